"""Indexing, scattering, ordering, rearranging: eager against PyTorch where that is installed, compiled against eager."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.errors import DeviceError

torch: Any = importlib.import_module("torch") if importlib.util.find_spec("torch") else None

RNG = np.random.default_rng(7)
X = RNG.normal(size=(5, 6, 7)).astype(np.float32)
W = RNG.normal(size=(9, 8)).astype(np.float32)
I, J, K = RNG.integers(-5, 5, (3,)), RNG.integers(-6, 6, (2, 3)), RNG.integers(0, 7, (3,))
S = RNG.normal(size=(9, 20)).astype(np.float32)
MANY = RNG.integers(0, 8, (9, 20))
APART = np.array([0, 2, -1])
MASK = X > 0.3


def put(x: Any, key: Any, v: Any) -> Any:
    y = x * 1
    y[key] = v
    return y



Case = tuple[str, Callable[..., Any], tuple[np.ndarray, ...]]
READS: list[Case] = [
    ("x[i]", lambda l, x, i: x[i], (X, I)),
    ("x[:, j]", lambda l, x, j: x[:, j] * 2, (X, J)),
    ("x[i, :, k]", lambda l, x, i, k: x[i, :, k], (X, I, K)),
    ("x[0, j, k]", lambda l, x, j, k: x[0, j, k], (X, J, K)),
    ("x[0, :, k]", lambda l, x, k: x[0, :, k], (X, K)),
    ("x[1:4, None, j]", lambda l, x, j: x[1:4, None, j], (X, J)),
    ("x[..., k]", lambda l, x, k: x[..., k], (X, K)),
    ("x[i, j, k]", lambda l, x, i, j, k: x[i, j, k], (X, I, J, K)),
    ("x[::2, j, 1]", lambda l, x, j: x[::2, j % 6, 1], (X, J)),
    ("embedding", lambda l, w, i: l.nn.functional.embedding(i, w), (W, RNG.integers(0, 9, (4, 5)))),
    ("embedding, padding", lambda l, w, i: l.nn.functional.embedding(i, w, padding_idx=3), (W, RNG.integers(0, 9, (4, 5)))),
    ("gather", lambda l, x, i: l.gather(x, 1, i), (W, RNG.integers(0, 8, (7, 3)))),
    ("take_along_dim", lambda l, x, i: l.take_along_dim(x, i, 1), (W, RNG.integers(0, 8, (1, 3)))),
    ("index_select", lambda l, x, i: l.index_select(x, 1, i), (W, RNG.integers(0, 8, (20,)))),
    ("take", lambda l, x, i: l.take(x, i), (W, RNG.integers(0, 72, (2, 9)))),
]  # fmt: skip
WRITES: list[Case] = [
    ("x[i] = v", lambda l, x, i, v: put(x, i, v), (X, APART, X[:3] * 2)),
    ("x[i] = 1.5", lambda l, x, i: put(x, i, 1.5), (X, I)),
    ("x[1:4, :, i] = v", lambda l, x, i, v: put(x, (slice(1, 4), slice(None), i), v), (X, APART, X[1:4, :, :3].copy())),
    ("x[1:4, :, i] = row", lambda l, x, i, v: put(x, (slice(1, 4), slice(None), i), v), (X, APART, X[0, 0, :3].copy())),
    ("x[0, :, i] = v", lambda l, x, i, v: put(x, (0, slice(None), i), v), (X, APART, X[0, :, :3].copy())),
    ("x[mask] = 1", lambda l, x, m: put(x, m, 1.0), (X, MASK)),
    ("x[mask] = values", lambda l, x, m, v: put(x, m, v), (X, MASK, RNG.normal(size=int(MASK.sum())).astype(np.float32))),
    ("x[rows] = row", lambda l, x, m, v: put(x, m, v), (X, MASK[:, 0, 0], X[0].copy())),
    ("index_put", lambda l, x, i, v: x.index_put((i,), v, accumulate=True), (X, I, X[:3].copy())),
    ("index_put two", lambda l, x, i, j, v: x.index_put((i, j), v, accumulate=True), (X, I, J[0], X[0, :3].copy())),
    ("index_add", lambda l, x, i, s: l.index_add(x, 1, i, s, alpha=2), (W, MANY[0], S)),
    ("index_copy", lambda l, x, i, s: l.index_copy(x, 0, i, s), (W, APART % 9, W[:3] * 2)),
    ("index_fill", lambda l, x, i: l.index_fill(x, 0, i, 3), (W, APART % 9)),
    ("scatter_add", lambda l, x, i, s: x.scatter_add(1, i, s), (W, MANY, S)),
    ("scatter a number", lambda l, x, i: x.scatter(1, i, 2.5), (W, MANY)),
    ("masked_scatter", lambda l, x, m, s: x.masked_scatter(m, s), (X, MASK, RNG.normal(size=300).astype("f"))),
    ("masked_fill", lambda l, x, m: x.masked_fill(m, 0.5), (X, MASK[:, :1])),
    ("one_hot", lambda l, i: l.nn.functional.one_hot(i, 9), (K,)),
    ("bincount", lambda l, i, w: l.zeros(7).index_add(0, i, w), (K, X[0, 0, :3].copy())),
]  # fmt: skip
ORDER: list[Case] = [
    *[(f"cumsum {d}", lambda l, x, d=d: l.cumsum(x, d), (X,)) for d in range(3)],
    ("cumsum of exp", lambda l, x: l.cumsum(x.exp(), -1) * 2, (X,)),
    ("cumsum of ints", lambda l, x: l.cumsum(x, -1), (J.astype(np.int32),)),
    ("cumprod", lambda l, x: l.cumprod(x, -1), (X,)),
    ("flip", lambda l, x: l.flip(x, (0, -1)), (X,)),
    ("roll", lambda l, x: l.roll(x, (1, -2), (0, 2)), (X,)),
    ("roll in a row", lambda l, x: l.roll(x, 5), (X,)),
    ("pad", lambda l, x: l.nn.functional.pad(x, (1, 2, 0, 3), value=1.5), (X,)),
    ("pad, cut", lambda l, x: l.nn.functional.pad(x, (-1, 2)), (X,)),
    *[(m, lambda l, x, m=m: l.nn.functional.pad(x, (2, 1), mode=m), (X,)) for m in ("reflect", "replicate", "circular")],
    ("logsumexp", lambda l, x: l.logsumexp(x, 1), (X,)),
    ("logsumexp of two", lambda l, x: l.logsumexp(x, (0, 2), keepdim=True), (X,)),
    ("movedim", lambda l, x: l.movedim(x, (0, 1), (2, 0)), (X,)),
    ("stack", lambda l, x: l.stack([x, x * 2], 1), (X,)),
    ("split and cat", lambda l, x: l.cat([y * k for k, y in enumerate(l.split(x, 2, 1))], 1), (X,)),
    ("chunk", lambda l, x: l.chunk(x, 3, 2)[1], (X,)),
    ("tril and triu", lambda l, x: l.tril(x, 1) + l.triu(x, 2), (X,)),
    ("topk", lambda l, x: l.topk(x, 3, 1)[0], (X,)),
    ("sort", lambda l, x: l.sort(x, 1, descending=True)[0], (X,)),
    ("argsort", lambda l, x: l.argsort(x, 1), (X,)),
    ("kthvalue", lambda l, x: l.kthvalue(x, 2, 1)[0], (X,)),
    ("median", lambda l, x: l.median(x, 1)[0], (X,)),
]  # fmt: skip
EQUATIONS = {
    "ij,jk->ik": ((3, 4), (4, 5)), "bij,bjk->bik": ((2, 3, 4), (2, 4, 5)), "bhqd,bhkd->bhqk": ((2, 2, 3, 4), (2, 2, 5, 4)),
    "ii->i": ((4, 4),), "ii": ((4, 4),), "ij->ji": ((3, 4),), "i,j->ij": ((3,), (4,)),
    "...ij,...jk->...ik": ((2, 1, 3, 4), (5, 4, 6)), "ij,ij,ij->i": ((3, 4),) * 3, "bn,anm,bm->ba": ((2, 5), (3, 5, 4), (2, 4)),
    "ij->": ((3, 4),), "ijk,k": ((2, 3, 4), (4,)), "iij->j": ((3, 3, 2),),
}  # fmt: skip
SUMS: list[Case] = [
    (e, lambda l, *xs, e=e: l.einsum(e, *xs), tuple(RNG.normal(size=s).astype(np.float32) for s in shapes))
    for e, shapes in EQUATIONS.items()
]
CASES = [*READS, *WRITES, *ORDER, *SUMS]
each_case = pytest.mark.parametrize(("fn", "arrays"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])


def results(lib: Any, fn: Callable[..., Any], arrays: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """The result, then the gradient of each floating operand that has one."""
    tensors = [lib.tensor(a) for a in arrays]
    floating = [t for a, t in zip(arrays, tensors, strict=True) if a.dtype == np.float32]
    for t in floating:
        t.requires_grad_()
    out = fn(*tensors)
    found = [out.detach().numpy()]
    if out.requires_grad:
        weights = lib.tensor(np.random.default_rng(1).normal(size=tuple(out.shape)).astype(np.float32))
        found += [g.numpy() for g in lib.autograd.grad((out * weights).sum(), floating)]
    return found


def agree(got: list[np.ndarray], want: list[np.ndarray]) -> None:
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@each_case
def test_compiled_is_eager(fn: Callable[..., Any], arrays: tuple[np.ndarray, ...]) -> None:
    def mine(*xs: Any) -> Any:
        return fn(fw, *xs)

    agree(results(fw, fw.compile(mine, fullgraph=True), arrays), results(fw, mine, arrays))


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
@each_case
def test_eager_is_pytorch(fn: Callable[..., Any], arrays: tuple[np.ndarray, ...]) -> None:
    agree(results(fw, lambda *xs: fn(fw, *xs), arrays), results(torch, lambda *xs: fn(torch, *xs), arrays))


PRODUCED: list[Case] = [
    ("x[mask]", lambda l, x, m: (x * 2)[m] + 1, (X, MASK)),
    ("nonzero", lambda l, x: l.nonzero(x > 0) * 2, (X,)),
    ("where", lambda l, x: l.where(x > 0)[1], (X,)),
    ("masked_select", lambda l, x: l.masked_select(x, x > 0) * 2, (X,)),
    ("argwhere", lambda l, x: l.argwhere(x > 0), (X,)),
    ("one_hot", lambda l, i: l.nn.functional.one_hot(i), (K,)),
]  # fmt: skip


@pytest.mark.parametrize(("fn", "arrays"), [c[1:] for c in PRODUCED], ids=[c[0] for c in PRODUCED])
def test_sizes_that_values_decide(fn: Callable[..., Any], arrays: tuple[np.ndarray, ...]) -> None:
    """The graph breaks there; the result is the same."""
    tensors = [fw.tensor(a) for a in arrays]
    eager = fn(fw, *tensors)
    np.testing.assert_array_equal(fw.compile(lambda *xs: fn(fw, *xs))(*tensors).numpy(), eager.numpy())
    if torch is not None:
        np.testing.assert_array_equal(fn(torch, *[torch.tensor(a) for a in arrays]).numpy(), eager.numpy())


ERRORS: dict[str, tuple[Callable[..., Any], type[BaseException], str]] = {
    "read": (lambda l, x: x[l.tensor([7])], IndexError, "index 7 is out of bounds for dimension 0 wi"),
    "write": (lambda l, x: put(x, l.tensor([9]), 1.0), IndexError, "index 9 is out of bounds for dimension 0 wi"),
    "fill": (lambda l, x: x.index_fill(0, l.tensor([7]), 1.0), IndexError, "index 7 is out of bounds for dimension 0 wi"),
    "gather": (lambda l, x: l.gather(x, 0, l.tensor([[[9]]])), RuntimeError, "index 9 is out of bounds for dimension 0 wi"),
    "shapes": (lambda l, x: x[l.tensor([1, 2]), l.tensor([0, 1, 2])], IndexError, "indexing tensors could not be broadcast"),
    "count": (lambda l, x: put(x, x > 0, l.zeros(3)), RuntimeError, r"shape mismatch: value tensor of shape \[3\] cannot"),
    "rows": (lambda l, x: l.nn.functional.embedding(l.tensor([9]), x[0]), IndexError, "index out of range in self"),
    "topk": (lambda l, x: l.topk(x, 9, 1), RuntimeError, "selected index k out of range"),
    "weights": (lambda l, x: l.multinomial(-x[0].abs(), 1), RuntimeError, "probability tensor contains either"),
    "choices": (lambda l, x: l.multinomial(x[0].abs(), 8), RuntimeError, "cannot sample n_sample > prob_dist.size"),
    "flip": (lambda l, x: l.flip(x, (0, 0)), RuntimeError, "dim 0 appears multiple times in the list of dims"),
    "pad": (lambda l, x: l.nn.functional.pad(x, (6, 7), mode="reflect"), RuntimeError, "Padding size should be less than"),
    "vector": (lambda l, x: l.index_select(x, 0, l.tensor([[0]])), IndexError, "Index is supposed to be a vector"),
    "einsum": (lambda l, x: l.einsum("ij->i", x), RuntimeError, "einsum()"),
}  # fmt: skip


@pytest.mark.parametrize(("fn", "kind", "text"), list(ERRORS.values()), ids=list(ERRORS))
def test_errors(fn: Callable[..., Any], kind: type[BaseException], text: str) -> None:
    if torch is not None:
        with pytest.raises(kind, match=text):
            fn(torch, torch.tensor(X))
    with pytest.raises(kind, match=text) as eager:
        fn(fw, fw.tensor(X))
    with pytest.raises(kind) as compiled:
        fw.compile(lambda x: fn(fw, x))(fw.tensor(X))
    assert str(compiled.value) == str(eager.value)


def test_multinomial_chooses_in_proportion_and_never_what_has_no_weight() -> None:
    fw.manual_seed(0)
    weights = fw.tensor([0.0, 1.0, 3.0, 0.0])
    many = fw.multinomial(weights, 4000, replacement=True).numpy()
    assert set(many) == {1, 2} and abs((many == 2).mean() - 0.75) < 0.03
    rows = fw.stack([weights] * 500)
    first = fw.multinomial(rows, 2).numpy()
    assert all(set(r) == {1, 2} for r in first) and abs((first[:, 0] == 2).mean() - 0.75) < 0.06


def test_multinomial_draws_the_same_compiled() -> None:
    weights = fw.tensor(np.abs(W))

    def draw(w: Any) -> Any:
        return fw.multinomial(w, 3), fw.multinomial(w, 1), fw.multinomial(w, 5, replacement=True)

    fw.manual_seed(3)
    eager = [x.tolist() for x in draw(weights)]
    fw.manual_seed(3)
    assert [x.tolist() for x in fw.compile(draw)(weights)] == eager


def test_a_copy_taken_before_a_write_holds_what_was_there() -> None:
    """The kernel of a softmax keeps rows between its loops, so that the copy would be read after the write."""

    def step(x: Any) -> Any:
        before = x - 0.0
        x.copy_(fw.softmax(x, 1))
        return before

    a, b = fw.tensor(W), fw.tensor(W)
    np.testing.assert_array_equal(fw.compile(step)(a).numpy(), step(b).numpy())
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)


def test_rounding_to_decimals() -> None:
    x = fw.tensor([1.25, -0.375, 1234.5])
    assert x.round(decimals=1).tolist() == pytest.approx([1.2, -0.4, 1234.5])
    assert fw.round(x, decimals=-2).tolist() == [0.0, 0.0, 1200.0]
    assert fw.compile(lambda v: fw.round(v) + v.round(decimals=2))(x).tolist() == (fw.round(x) + x.round(decimals=2)).tolist()


@pytest.mark.parametrize("make", ["empty(3, device='meta')", "rand(3, device='meta')", "nn.Linear(3, 3, device='meta')"])
def test_tensors_without_values_are_refused_by_name(make: str) -> None:
    with pytest.raises(DeviceError, match="cannot make tensors on meta: they hold values"):
        eval(f"fw.{make}", {"fw": fw})
