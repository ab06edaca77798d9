"""Sizes that change between calls: the second value makes a symbol, one variant serves all others, results are eager's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import compiler
from fusewire.errors import ShapeError
from fusewire.nn import functional as F
from fusewire.runtime.guard import SizesFit, TensorLike, first_failure


def numbers(*shape: int, seed: int = 0) -> Any:
    return fw.from_numpy(np.random.default_rng((seed, *shape)).standard_normal(shape, np.float32))


def variants(fn: Any) -> int:
    return len(compiler.variants_of(fn))


def flat(x: Any) -> list[Any]:
    return [y for z in x for y in flat(z)] if isinstance(x, (tuple, list)) else [x]


def agree(fn: Callable[..., Any], calls: list[tuple[Any, ...]], expected: int, **options: Any) -> Any:
    """`fn` compiled gives what it gives eagerly on every call, from `expected` variants in all."""
    compiled = compiler.compile(fn, fullgraph=True, **options)
    for args in calls:
        for got, want in zip(flat(compiled(*args)), flat(fn(*args)), strict=True):
            if isinstance(want, fw.Tensor):
                assert got.shape == want.shape and got.dtype is want.dtype
                assert all(a == b for a, b, n in zip(got.stride(), want.stride(), want.shape, strict=True) if n != 1)
                np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-4, atol=1e-5)
            else:
                assert type(got) is type(want) and got == want
    assert variants(compiled) == expected, [m.guard for m in compiler.dispatcher_of(compiled).misses]
    return compiled


PAIRS = [(2, 3), (4, 5), (7, 9), (1, 5), (3, 1), (1, 1), (33, 17)]


def attention(x: Any, w: Any) -> Any:
    batch, time, width = x.shape
    q, k, v = (y.view(batch, time, 2, width // 2).transpose(1, 2) for y in (x @ w).split(width, dim=2))
    mask = fw.tril(fw.ones(64, 64))[:time, :time]
    scores = (q @ k.transpose(-2, -1)).masked_fill(mask == 0, float("-inf"))
    return (F.softmax(scores, dim=-1) @ v).transpose(1, 2).contiguous().view(batch, time, width)


PROGRAMS: dict[str, tuple[Callable[..., Any], Callable[[int, int], tuple[Any, ...]]]] = {
    "pointwise": (lambda x, y: (x * y + x).tanh(), lambda b, t: (numbers(b, t), numbers(b, t, seed=1))),
    "matmul softmax": (lambda x, w: F.softmax(x @ w, dim=-1), lambda b, t: (numbers(b, t, 8), numbers(8, 16))),
    "flattened": (
        lambda x, w: (x.view(-1, 8) @ w).view(x.shape[0], x.shape[1], -1), lambda b, t: (numbers(b, t, 8), numbers(8, 4))
    ),
    "attention": (attention, lambda b, t: (numbers(b, t, 8), numbers(8, 24))),
    "reductions": (lambda x: (x.sum(0), x.mean(dim=1), x.amax(), x.var(dim=(0, 1), correction=0)), lambda b, t: (numbers(b, t),)),
    "broadcast": (lambda x, y: x + y, lambda b, t: (numbers(b, t, 3), numbers(t, 3))),
    "positions": (lambda x, p: x + p[fw.arange(x.shape[1])], lambda b, t: (numbers(b, t, 3), numbers(64, 3))),
    "sizes out": (lambda x: (x * 2, x.shape[0], x.shape[1] * 2 + 1, x.numel(), len(x)), lambda b, t: (numbers(b, t),)),
    "size as operand": (lambda x: x.sum() * x.shape[0] + x.size(1), lambda b, t: (numbers(b, t),)),
    "ratios": (
        lambda x: (x / x.shape[0], x * (1 / x.shape[1]), x.sum(0) * (len(x) / (len(x) + 1)) + 0.5 * x.shape[1]),
        lambda b, t: (numbers(b, t),),
    ),
    "creation": (
        lambda x: fw.zeros(x.shape[0], 2) + fw.full((x.shape[0], 1), 3.0) + fw.ones_like(x[:, :1]), lambda b, t: (numbers(b, t),)
    ),
    "cat and stack": (lambda x, y: (fw.cat([x, y], dim=1), fw.stack([x, x], dim=0)), lambda b, t: (numbers(b, t), numbers(b, 3))),
    "ends": (lambda x: (x[-1], x[:, -1:], x[1:], x[:, : x.shape[1] - 1]), lambda b, t: (numbers(b + 1, t + 1),)),
    "flatten": (
        lambda x: (x.flatten(), x.flatten(1), x.reshape(x.shape[0], -1), x.unsqueeze(1)), lambda b, t: (numbers(b, t, 2),)
    ),
    "layer norm": (lambda x, w: F.layer_norm(x, (8,), w), lambda b, t: (numbers(b, t, 8), numbers(8))),
    "transposed": (lambda x: x.t() * 2, lambda b, t: (numbers(b, t + 1),)),
    "expanded": (lambda x, y: x.expand(y.shape[0], y.shape[1]) * y, lambda b, t: (numbers(1, 1), numbers(b, t))),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_two_variants_serve_all_sizes(name: str) -> None:
    fn, args = PROGRAMS[name]
    pairs = PAIRS if name != "expanded" else [p for p in PAIRS if 1 not in p]  # a size of 1 is broadcast
    compiled = agree(fn, [args(b, t) for b, t in pairs], 2)
    native = compiler.dispatcher_of(compiled).native
    assert native is None or native.entry.variants[0].hits == len(pairs) - 2


@pytest.mark.parametrize("backend", ["interpret", "reference", "eager"])
def test_other_back_ends(backend: str) -> None:
    for name in ("matmul softmax", "attention", "sizes out"):
        fn, args = PROGRAMS[name]
        agree(fn, [args(b, t) for b, t in PAIRS[:4]], 2, backend=backend)


# -- guards ----------------------------------------------------------------------------------------------------------------


def spans(fn: Any) -> str:
    (fit,) = [g for g in compiler.variants_of(fn)[-1].guards if isinstance(g, SizesFit)]
    return fit.expr()


def test_a_comparison_leaves_a_bound_with_its_line() -> None:
    def f(x: Any) -> Any:
        return x.sum() if x.shape[0] > 3 else x * 2

    compiled = agree(f, [(numbers(n),) for n in (2, 3, 1, 2)], 2)
    assert "1 <= s0 <= 3 (test_dynamic.py:" in spans(compiled)
    compiled(numbers(4)), compiled(numbers(400))
    assert variants(compiled) == 3 and "4 <= s0" in spans(compiled)
    assert compiler.dispatcher_of(compiled).misses[-1].guard.startswith("1 <= s0 <= 3 (test_dynamic.py:")
    assert compiler.dispatcher_of(compiled).misses[-1].guard.endswith("with s0 = 4")


def test_equal_sizes_are_one_symbol_only_where_the_code_needs_it() -> None:
    compiled = agree(lambda x, y: (x * 2, y * 3), [(numbers(n), numbers(m)) for n, m in ((2, 2), (3, 3), (4, 5), (6, 6))], 2)
    assert "s1" in spans(compiled)
    compiled = agree(lambda x, y: x * y, [(numbers(n), numbers(n)) for n in (2, 3, 4)], 2)
    assert "s1" not in spans(compiled)
    with pytest.raises(ShapeError, match="cannot broadcast"):
        compiled(numbers(5), numbers(6))


def test_a_view_by_a_constant_asks_for_a_multiple() -> None:
    compiled = agree(lambda x: x.view(-1, 4).sum(1), [(numbers(n),) for n in (4, 8, 40)], 2)
    (like,) = [g for g in compiler.variants_of(compiled)[-1].guards if isinstance(g, TensorLike)]
    assert str(like.type) == "f32[4*s1]"
    with pytest.raises(ShapeError):
        compiled(numbers(42))


def test_a_loop_over_a_size_fixes_it() -> None:
    def f(x: Any) -> Any:
        total = x[0] * 0
        for i in range(x.shape[0]):
            total = total + x[i]
        return total

    agree(f, [(numbers(n, 2),) for n in (2, 3, 4, 3, 2)], 3)


@pytest.mark.parametrize(
    "how",
    [
        lambda n: 1 if f"{n}" == "3" else 2, lambda n: {n: 1}, lambda n: n in (3, 4), lambda n: [0] * n,
        lambda n: n / 2, lambda n: hash(n),
        lambda n: 0.5 * n > 1.4,
    ],
)
def test_other_uses_of_a_size_fix_it(how: Callable[[int], Any]) -> None:
    agree(lambda x: (x + 1, how(x.shape[0])), [(numbers(n),) for n in (2, 3, 4, 3, 2)], 3)


def test_python_and_native_guards_agree() -> None:
    def f(x: Any, y: Any, n: int) -> Any:
        return (x.view(x.shape[0] * 2, -1) + y[:n]).sum() if x.shape[0] >= y.shape[1] else x

    compiled, plain = compiler.compile(f), f
    rng = np.random.default_rng(5)
    for _ in range(80):
        a, b = int(rng.integers(1, 4)), int(rng.integers(1, 6))
        n = int(rng.choice([1, 2 * a]))
        args = numbers(a, 2 * b), numbers(7, b), n
        before = [v.hits for v in compiler.dispatcher_of(compiled).native.entry.variants]
        try:
            want = plain(*args)
        except Exception:
            with pytest.raises((ShapeError, IndexError, RuntimeError)):
                compiled(*args)
            continue
        holds = any(first_failure(v.guards, args) is None for v in compiler.variants_of(compiled))
        np.testing.assert_allclose(compiled(*args).numpy(), want.numpy(), rtol=1e-4, atol=1e-5)
        after = [v.hits for v in compiler.dispatcher_of(compiled).native.entry.variants]
        assert holds == (sum(after) == sum(before) + 1)
    assert variants(compiled) < 20


# -- what the user says --------------------------------------------------------------------------------------------------------


def test_dynamic_from_the_first_call_or_never() -> None:
    fn, args = PROGRAMS["matmul softmax"]
    agree(fn, [args(b, t) for b, t in PAIRS[:4]], 1, dynamic=True)
    agree(fn, [args(b, t) for b, t in PAIRS[:4]], 4, dynamic=False)
    with pytest.raises(ValueError, match="no mode 'fast'"):
        compiler.compile(fn, mode="fast")
    with pytest.raises(TypeError, match="dynamic is None"):
        compiler.compile(fn, dynamic="yes")


def test_marks() -> None:
    fn, args = PROGRAMS["pointwise"]
    compiled = compiler.compile(fn)
    x, y = args(3, 4)
    compiler.mark_dynamic(x, 0), compiler.mark_dynamic(y, [0])
    compiled(x, y), compiled(*args(5, 4))
    assert variants(compiled) == 1
    compiled(*args(5, 6)), compiled(*args(9, 7))
    assert variants(compiled) == 2
    x, y = args(8, 9)
    compiled = compiler.compile(fn, dynamic=True)
    compiler.mark_static(x), compiler.mark_static(y, 1)
    compiled(x, y)
    assert "f32[8,9]" in str(compiler.variants_of(compiled)[0].graph)
    with pytest.raises(IndexError, match="dimension 2"):
        compiler.mark_dynamic(x, 2)


# -- ints ------------------------------------------------------------------------------------------------------------------


def test_an_int_is_a_size_at_its_second_value() -> None:
    agree(lambda x, n: x[:n] * 2, [(numbers(9), n) for n in (2, 3, 4, 5, 0)], 3)  # 0 is a constant
    agree(lambda x, n: x.view(n, 4) + n, [(numbers(4 * n), n) for n in (2, 3, 4, 6)], 2)
    agree(lambda x, n: x.view(n, -1).sum(0), [(numbers(12), n) for n in (2, 3, 4, 6)], 4)  # which divisors 12 has is no size
    agree(lambda n: fw.arange(n) * 2, [(n,) for n in (2, 3, 4, 6)], 2)
    agree(lambda x, n: x + n if n > 2 else x - n, [(numbers(2), n) for n in (3, 4, 5, 9)], 1)


# -- gradients ---------------------------------------------------------------------------------------------------------------


def gradients(fn: Callable[..., Any], *args: Any) -> list[Any]:
    leaves = [a.clone().requires_grad_() for a in args]
    out = fn(*leaves)
    (out * numbers(*out.shape, seed=7)).sum().backward()
    return [out.detach(), *(leaf.grad for leaf in leaves)]


DIFFERENTIATED = ["pointwise", "matmul softmax", "flattened", "attention", "broadcast", "layer norm", "positions"]


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_gradients(name: str) -> None:
    fn, args = PROGRAMS[name]
    compiled = compiler.compile(fn)
    for b, t in PAIRS:
        for got, want in zip(gradients(compiled, *args(b, t)), gradients(fn, *args(b, t)), strict=True):
            assert got.shape == want.shape
            np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-3, atol=1e-4)
    assert variants(compiled) == 2


def test_second_derivatives() -> None:
    compiled = compiler.compile(lambda x, w: ((x @ w).tanh() ** 2).sum() * x.shape[0])

    def twice(fn: Any, x: Any, w: Any) -> Any:
        x, w = x.clone().requires_grad_(), w.clone().requires_grad_()
        (g,) = fw.autograd.grad(fn(x, w), x, create_graph=True)
        return fw.autograd.grad((g * g).sum(), w)[0]

    def plain(x: Any, w: Any) -> Any:
        return ((x @ w).tanh() ** 2).sum() * x.shape[0]

    for n in (2, 3, 5):
        x, w = numbers(n, 4), numbers(4, 3)
        np.testing.assert_allclose(twice(compiled, x, w).numpy(), twice(plain, x, w).numpy(), rtol=1e-3, atol=1e-4)
    assert variants(compiled) == 2


# -- memory, breaks ------------------------------------------------------------------------------------------------------------


def test_writes_through_views() -> None:
    def f(x: Any, n: int) -> Any:
        x[1 : x.shape[0] - 1] += 1.0
        x[:n] *= 2
        y = x[1:]
        return y, x.view(-1)[2:]

    compiled = compiler.compile(f)
    for k, n in ((4, 1), (5, 2), (9, 3), (7, 4)):
        a, b = numbers(k, 3), numbers(k, 3)
        for got, want in zip(compiled(a, n), f(b, n), strict=True):
            np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-6)
            got.zero_(), want.zero_()
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)
    assert variants(compiled) <= 3


def test_views_that_begin_at_a_size() -> None:
    def f(x: Any, y: Any) -> Any:
        n = x.shape[0]
        y[n - 3 :] += 1.0
        return x[n - 3 :], x.view(-1)[n - 3 :], y[n - 3 :].sum()

    compiled = compiler.compile(f)
    for n in (4, 3, 5, 9):
        (x, a), (z, b) = ((numbers(n, 2), numbers(12)) for _ in range(2))
        for got, want in zip(compiled(x, a), f(z, b), strict=True):
            np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-6)
            assert got.storage_offset() == want.storage_offset()
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert variants(compiled) <= 3


def test_a_copy_that_is_none_at_size_1_shares_memory_there() -> None:
    def f(x: Any) -> Any:
        y = x.transpose(0, 1).contiguous()
        y += 1
        return y

    compiled = compiler.compile(f)
    for n in (3, 4, 1, 5):
        a, b = numbers(n, 3), numbers(n, 3)
        np.testing.assert_array_equal(compiled(a).numpy(), f(b).numpy())
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_sizes_over_a_graph_break() -> None:
    seen: list[int] = []

    def f(x: Any) -> Any:
        batch, time = x.shape
        y = x * 2
        seen.append(int(y.sum().item()))
        return y.view(batch * time) + time

    compiled = compiler.compile(f)
    for b, t in PAIRS:
        np.testing.assert_allclose(compiled(numbers(b, t)).numpy(), f(numbers(b, t)).numpy(), rtol=1e-6)
    assert seen[::2] == seen[1::2]
    assert variants(compiled) == 2


def test_a_size_that_only_zeros_of_the_backward_graph_have() -> None:
    """`x` is 3 * s0 rows; its gradient is zero and read from nothing, so the backward graph needs s0 from elsewhere."""

    def f(x: Any, y: Any) -> Any:
        x.view(3, -1).gather(0, fw.full((1, 1), 2, dtype=fw.int64))
        return y * 2

    compiled = compiler.compile(f)
    for n in (3, 6, 9):
        x, y = numbers(n, 4).requires_grad_(True), numbers(5).requires_grad_(True)
        compiled(x, y).sum().backward()
        assert y.grad.tolist() == [2] * 5 and (x.grad is None or x.grad.tolist() == [[0] * 4] * n)
    assert variants(compiled) == 2


def test_strides_that_change() -> None:
    agree(lambda x: x + 1, [(numbers(4, n)[:, :2],) for n in (3, 4, 5, 9)], 2)
    agree(lambda x: x.sum(1), [(numbers(5, n)[:, : n - 1],) for n in (3, 4, 5, 9)], 2)
    agree(lambda x: x * 2, [(numbers(n, 5).t(),) for n in (3, 4, 5, 9)], 2)


def test_explain_shows_symbols_and_guards() -> None:
    report = str(compiler.explain(lambda x: x.view(-1) * 2, dynamic=True)(numbers(3, 4)))
    assert "f32[s0,s1]" in report and "1 <= s0, 1 <= s1" in report and "%0 : f32[s0*s1] = view(%x)" in report


def test_how_many_pieces_is_fixed() -> None:
    """Library code that counts up to a size, or repeats a list by one, asks for the number."""
    calls = [(numbers(n, 3),) for n in (5, 7, 3, 2, 16, 17)]
    programs: list[Callable[[Any], Any]] = [
        lambda x: list(x), lambda x: x.unbind(0), lambda x: [a * b for a, b in zip(x, range(3), strict=False)],
        lambda x: sum(list(x)), lambda x: x.chunk(2), lambda x: x.chunk(3), lambda x: x.split(3),
    ]  # fmt: skip
    for program in programs:
        compiled = compiler.compile(program, fullgraph=True)
        for args in calls:
            got, want = flat(compiled(*args)), flat(program(*args))
            assert [tuple(x.shape) for x in got] == [tuple(x.shape) for x in want]
            assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(got, want, strict=True))


def test_random_orders_are_eager_s() -> None:
    compiled = compiler.compile(lambda x: (fw.randperm(x.shape[0]), fw.randperm(4)))
    for n in (5, 7, 9):
        fw.manual_seed(n)
        got = compiled(numbers(n))
        fw.manual_seed(n)
        assert [x.numpy().tolist() for x in got] == [fw.randperm(n).numpy().tolist(), fw.randperm(4).numpy().tolist()]


def test_gradients_of_writes_to_columns() -> None:
    def program(x: Any) -> Any:
        y = x.clone()
        y[:, 1:] += 1
        return y * y

    compiled = compiler.compile(program, fullgraph=True)
    for n in (3, 5, 7):
        grads = []
        for fn in (compiled, program):
            x = numbers(n, 4).requires_grad_()
            fn(x).sum().backward()
            grads.append(x.grad.numpy())
        np.testing.assert_allclose(*grads, rtol=1e-5)
