"""Sizes that data decide (masks as indices, nonzero, masked_select): one graph, the results and gradients of eager."""

import numpy as np
import pytest

import fusewire as fw
from fusewire.errors import SizeError, VerifyError
from fusewire.ir import passes
from fusewire.ir.graph import produced_symbols
from fusewire.ir.interpret import interpret
from fusewire.ir.passes.autodiff import joint
from fusewire.ir.passes.partition import partition
from fusewire.ir.segments import parts
from fusewire.ir.text import parse_graph, same_graph
from fusewire.ir.verify import verify

PROGRAMS = {
    "sum": lambda x, w, m: x[m].sum() * 2,
    "mean": lambda x, w, m: (x[m] * w).mean(),
    "product": lambda x, w, m: (x[m] @ w[:, None]).tanh(),
    "mask of masked": lambda x, w, m: x[m][x[m] > 0].sum() + x[~m].sum(),
    "softmax": lambda x, w, m: fw.softmax(x[m], -1) * w,
    "masked_select": lambda x, w, m: fw.masked_select(x, x > w).exp().mean(),
    "where": lambda x, w, m: x[fw.where(m)].relu() + w,
    "second dimension": lambda x, w, m: x[:, w > 0].sum(0),
    "amax": lambda x, w, m: (x * 2)[m].amax(1),
    "cat": lambda x, w, m: fw.cat([x[m], x[~m]]).cumsum(0),
    "length as number": lambda x, w, m: x[m].sum(0) * len(x[m]) / x[m].shape[0],
    "mask and int": lambda x, w, m: x[m, 0] * x[m, 1],
    "nonzero": lambda x, w, m: fw.nonzero(x > 0).sum() + x.sum(),
    "argwhere": lambda x, w, m: fw.argwhere(m).to(fw.float32).mean() + x[m].sum(),
    "none left": lambda x, w, m: x.sum() if len(x[m]) == 0 else x[m].max(),
}


def arguments(n, d, seed, mask=None):
    rng = np.random.default_rng(seed)
    m = rng.random(n) < rng.random() if mask is None else np.full(n, mask)
    return fw.tensor(rng.standard_normal((n, d))), fw.tensor(rng.standard_normal(d)), fw.tensor(m)


def outcome(fn, args):
    args = [x.clone().requires_grad_(x.dtype.is_floating_point) for x in args]
    try:
        out = fn(*args)
    except Exception as error:
        return type(error).__name__, str(error)
    if out.requires_grad:
        (out * out).sum().backward()
    return out.detach(), args[0].grad, args[1].grad


def same(got, want):
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        if hasattr(a, "meta") and hasattr(b, "meta"):
            assert a.shape == b.shape and a.dtype is b.dtype
            np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-9, 1e-9)
        else:
            assert a == b


@pytest.mark.parametrize("name", PROGRAMS)
def test_one_graph_does_what_eager_does(name):
    fn = PROGRAMS[name]
    compiled = fw.compile(fn)
    cases = [(6, 5, 0, None), (6, 5, 1, False), (6, 5, 2, True), (6, 5, 3, None), (4, 3, 4, None), (9, 2, 5, None)]
    for case in cases:
        args = arguments(*case)
        same(outcome(compiled, args), outcome(fn, args))
    variants = compiled.__fusewire_dispatcher__.variants
    assert len(variants) <= 3
    assert all(v.capture.break_ is None and produced_symbols(v.capture.graph) for v in variants)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_elements(count):
    compiled = fw.compile(lambda x, m: x[m] / x[m].shape[0])
    for _ in range(2):
        x, m = fw.arange(8.0), fw.arange(8) < 5
        np.testing.assert_allclose(compiled(x, m).numpy(), np.arange(5) / 5, 1e-6)
        m = fw.arange(8) < count
        np.testing.assert_allclose(compiled(x, m).numpy(), np.arange(count) / max(count, 1), 1e-6)


def test_a_function_that_is_run_eagerly_for_a_size_has_written_nothing_twice():
    def fn(x, m):
        x += 1
        return x[m].sum()

    compiled = fw.compile(fn)
    for count in (4, 1, 0, 3):
        x = fw.zeros(6)
        assert compiled(x, fw.arange(6) < count).item() == count
        assert x.tolist() == [1.0] * 6


def test_the_number_is_returned_kept_or_breaks_the_graph():
    def fn(x):
        y = x[x > 0]
        k = len(y) // 2
        return y[:k], y[k:], len(y), y.shape == x.shape

    compiled = fw.compile(fn)
    for seed in range(5):
        x = fw.tensor(np.random.default_rng(seed).standard_normal(9))
        got, want = compiled(x), fn(x)
        assert [t.tolist() for t in got[:2]] == [t.tolist() for t in want[:2]] and got[2:] == want[2:]
        assert type(got[2]) is int


def test_sizes_of_different_masks_must_fit():
    compiled = fw.compile(lambda x: x[x > 0] + x[x < 0])
    assert compiled(fw.tensor([1.0, -1.0, 2.0, -4.0])).tolist() == [0.0, -2.0]
    with pytest.raises(fw.errors.ShapeError):
        compiled(fw.tensor([1.0, -1.0, 2.0, 4.0, -5.0]))


TEXT = """
graph f(%x: f64[3,s0], %g: bool[3,s0]) where s0 >= 2, u1 >= 2 made:
  %0, %1 : i64[u1], i64[u1] = true_places(%g) {size=u1}
  %2 : f64[u1] = index(%x, %0, %1) {dims=(0,1)}
  %3 : i64[] = size_of() {size=s0 + u1}
  %4 : f64[u1] = mul(%2, 2.0)
  return %4, %3
"""


def test_text_verifier_interpreter_and_parts():
    graph = verify(parse_graph(TEXT))
    assert str(graph).strip() == TEXT.strip() and same_graph(parse_graph(str(graph)), graph)
    assert produced_symbols(graph) == ("u1",) and graph.symbols == ("s0",)
    x = np.arange(12.0).reshape(3, 4)
    (y, n), _ = interpret(graph, [x, x > 7])
    assert y.tolist() == [16, 18, 20, 22] and n == 8
    with pytest.raises(SizeError):
        interpret(graph, [x, x > 10])
    first, last = parts(graph)
    assert not first.graph.nodes and [n.op.name for n in first.then] == ["true_places"]
    assert "s0" in last.inputs or any(getattr(v, "name", "") == "x" for v in last.inputs)
    verify(passes.run(last.graph, passes.FINAL))


def test_the_verifier_wants_the_node_before_its_symbol():
    with pytest.raises(VerifyError, match="u1"):
        verify(parse_graph(TEXT.replace("(%g) {size=u1}", "(%g) {size=s0}")))


def test_backward_graphs_take_the_size_from_what_is_saved():
    graph = parse_graph(TEXT)
    cut = partition(joint(graph, (0,), (0,)))
    verify(cut.forward)
    verify(cut.backward)
    assert not produced_symbols(cut.backward) and "u1" in cut.backward.symbols
