"""Whole kernels: layouts, reductions, scratch, checks, gathers, threads, half types, and the text they become."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fusewire.backends.cpu import module
from fusewire.backends.cpu.kinds import Target
from fusewire.ir import dtypes, sizes
from fusewire.ir.graph import Where
from fusewire.ir.loops import (
    Acc,
    Axis,
    Buffer,
    Check,
    Compute,
    Const,
    Index,
    Kernel,
    KernelError,
    Load,
    LoadAt,
    Loop,
    Param,
    Reduce,
    ScalarParam,
    Scratch,
    Stmt,
    Store,
)  # fmt: skip

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from run_kernel import TARGETS, pointwise, run

I, J, K, N, M = (sizes.symbol(s) for s in "ijknm")
F = dtypes.float32
ways = pytest.mark.parametrize("target", TARGETS, ids=str)


def kernel(buffers: list[Buffer], grid: list[Axis], *body: Stmt, symbols: tuple[str, ...] = (), **more: object) -> Kernel:
    """A kernel called k."""
    return Kernel("k", tuple(buffers), symbols, more.pop("scalars", ()), tuple(grid), body, **more)  # type: ignore[arg-type]


def buffers(sizes_: dict[str, object], out: str = "o", dtype: dtypes.DType = F) -> list[Buffer]:
    """f32 buffers, read but for `out`."""
    return [Buffer(name, dtype, size, "w" if name == out else "r") for name, size in sizes_.items()]  # type: ignore[arg-type]


@ways
@pytest.mark.parametrize("n", [1, 7, 16, 33, 100])
def test_strides_broadcasts_and_reversal(target: Target, n: int) -> None:
    """o[i, j] = a[j, i] * row[j] + column[i] - b[i, n - 1 - j]"""
    rng = np.random.default_rng(n)
    m = 5
    a, b = rng.normal(size=(n, m)).astype("f4"), rng.normal(size=(m, n)).astype("f4")
    row, column, o = rng.normal(size=n).astype("f4"), rng.normal(size=m).astype("f4"), np.zeros((m, n), "f4")
    k = kernel(
        buffers({"a": N * m, "b": N * m, "row": N, "column": m, "o": N * m}), [Axis("i", m), Axis("j", N)],
        Load("a1", "a", J * m + I), Load("r1", "row", J), Load("c1", "column", I), Load("b1", "b", I * N + N - 1 - J),
        Compute("x", "mul", ("a1", "r1"), F), Compute("y", "add", ("x", "c1"), F), Compute("z", "sub", ("y", "b1"), F),
        Store("o", I * N + J, "z"), symbols=("n",),
    )  # fmt: skip
    assert run(k, [a, b, row, column, o], {"n": n}, target=target) == 0
    np.testing.assert_allclose(o, a.T * row + column[:, None] - b[:, ::-1], rtol=1e-6)


@ways
def test_reversed_and_scattered_stores(target: Target) -> None:
    x = np.arange(77, dtype="f4")
    o, p = np.zeros(77, "f4"), np.zeros(77 * 3, "f4")
    k = kernel(
        [*buffers({"x": 77, "o": 77}), Buffer("p", F, 231, "w")], [Axis("i", 77)],
        Load("a", "x", I), Store("o", 76 - I, "a"), Store("p", I * 3, "a"),
    )  # fmt: skip
    assert run(k, [x, o, p], target=target) == 0
    np.testing.assert_array_equal(o, x[::-1])
    np.testing.assert_array_equal(p.reshape(77, 3), np.stack([x, 0 * x, 0 * x], 1))


@ways
def test_index_arithmetic_in_lanes(target: Target) -> None:
    """Index expressions with // and % of the vector axis, and an index used as data."""
    n = 90
    x, o, p = np.arange(100, dtype="f4"), np.zeros(n, "f4"), np.zeros(n, np.int64)
    at = sizes.floordiv(I, 4) + sizes.mod(I, 7) * 10
    k = kernel(
        [*buffers({"x": 100, "o": n}), Buffer("p", dtypes.int64, n, "w")], [Axis("i", n)],
        Load("a", "x", at), Store("o", I, "a"), Index("v", I * 3 + sizes.mod(I, 5)), Store("p", I, "v"),
    )  # fmt: skip
    assert run(k, [x, o, p], target=target) == 0
    i = np.arange(n)
    np.testing.assert_array_equal(o, i // 4 + i % 7 * 10)
    np.testing.assert_array_equal(p, i * 3 + i % 5)


@ways
@pytest.mark.parametrize("shape", [(3, 5), (8, 64), (1, 1000), (130, 2), (4, 0), (0, 4)])
@pytest.mark.parametrize("over", ["rows", "columns", "all"])
def test_sums(target: Target, shape: tuple[int, int], over: str) -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(size=shape).astype("f4")
    n, m = shape
    load, acc = Load("a", "x", I * M + J), Acc("s", "add", "a", F)
    i, j = Axis("i", N), Axis("j", M)
    grid, reduced, out, want = {
        "rows": ([i], (j,), I, x.sum(1)), "columns": ([j], (i,), J, x.sum(0)), "all": ([], (i, j), 0, x.sum().reshape(1)),
    }[over]  # fmt: skip
    o = np.full(want.shape, 9, "f4")
    k = kernel(buffers({"x": N * M, "o": N}), grid, Reduce(reduced, (load,), (acc,)), Store("o", out, "s"), symbols=("n", "m"))
    assert run(k, [x, o], {"n": n, "m": m}, target=target) == 0
    np.testing.assert_allclose(o, want, rtol=1e-5, atol=1e-5)


@ways
def test_several_accumulators_over_columns(target: Target) -> None:
    x = np.random.default_rng(0).normal(size=(50, 150)).astype("f4")
    o = np.zeros((2, 150), "f4")
    body = (Load("a", "x", I * 150 + J), Compute("b", "mul", ("a", "a"), F))
    k = kernel(
        buffers({"x": 7500, "o": 300}), [Axis("j", 150)],
        Reduce((Axis("i", 50),), body, (Acc("s", "add", "b", F), Acc("t", "maximum", "a", F))),
        Store("o", J, "s"), Store("o", J + 150, "t"),
    )  # fmt: skip
    assert run(k, [x, o], target=target) == 0
    np.testing.assert_allclose(o, [(x * x).sum(0), x.max(0)], rtol=1e-5)


def softmax(n: object, m: object, dtype: dtypes.DType = F) -> Kernel:
    """Softmax of rows through a scratch row; half types compute in f32."""
    index = I * m + J  # type: ignore[operator]

    def load(name: str) -> tuple[Stmt, ...]:
        return (Load(name + "0", "x", index), Compute(name, "cast", (name + "0",), F))

    low = Reduce((Axis("j", m),), load("a"), (Acc("m", "maximum", "a", F),))  # type: ignore[arg-type]
    body = (*load("b"), Compute("d", "sub", ("b", "m"), F), Compute("e", "exp", ("d",), F), Store("row", J, "e"))
    total = Reduce((Axis("j", m),), body, (Acc("s", "add", "e", F),))  # type: ignore[arg-type]
    last = (Load("g", "row", J), Compute("q", "div", ("g", "s"), F), Compute("h", "cast", ("q",), dtype), Store("o", index, "h"))
    whole = n * m  # type: ignore[operator]
    return Kernel(
        "softmax", (Buffer("x", dtype, whole, "r"), Buffer("o", dtype, whole, "w")), ("n", "m"), (), (Axis("i", n),),  # type: ignore[arg-type]
        (low, total, Loop(Axis("j", m), last)), (), (Scratch("row", F, m),),  # type: ignore[arg-type]
    )  # fmt: skip


@ways
@pytest.mark.parametrize("dtype", dtypes.FLOATING[:3], ids=str)
@pytest.mark.parametrize("threads", [1, 3])
def test_softmax(target: Target, dtype: dtypes.DType, threads: int) -> None:
    x = np.random.default_rng(1).normal(size=(11, 45)).astype(dtype.np)
    o = np.zeros_like(x)
    assert run(softmax(N, M, dtype), [x, o], {"n": 11, "m": 45}, threads=threads, target=target) == 0
    e = np.exp(x.astype("f4") - x.astype("f4").max(1, keepdims=True))
    np.testing.assert_allclose(o.astype("f4"), e / e.sum(1, keepdims=True), rtol=1e-2 if dtype.is_half else 1e-6)


def test_long_sums_keep_their_accuracy() -> None:
    x = np.random.default_rng(2).random(4_000_001).astype("f4")
    o = np.zeros(1, "f4")
    k = kernel(buffers({"x": N, "o": 1}), [], Reduce((Axis("i", N),), (Load("a", "x", I),), (Acc("s", "add", "a", F),)),
               Store("o", 0, "s"), symbols=("n",))  # fmt: skip
    assert run(k, [x, o], {"n": x.size}) == 0
    exact = x.sum(dtype="f8")
    assert abs(o[0] - exact) <= 4 * max(abs(x.sum() - exact), np.spacing(np.float32(exact)))


@ways
def test_gather_with_check(target: Target) -> None:
    """o[i, j] = table[at[i], j], bounds checked, and its transpose, where every lane has its own index."""
    table = np.arange(60, dtype="f4").reshape(10, 6)
    at = np.array([3, 0, 9, 9, 5] * 7, np.int64)
    error = KernelError("gather", IndexError, "index out of range")
    for index in (I * 6 + J, J * 35 + I):
        o = np.zeros(210, "f4")
        k = kernel(
            [Buffer("t", F, 60, "r"), Buffer("at", dtypes.int64, 35, "r"), Buffer("o", F, 210, "w")],
            [Axis("i", 35), Axis("j", 6)],
            Load("p", "at", I), Const("zero", 0, dtypes.int64), Const("ten", 10, dtypes.int64),
            Compute("low", "le", ("zero", "p"), dtypes.bool_), Compute("high", "lt", ("p", "ten"), dtypes.bool_),
            Compute("ok", "and", ("low", "high"), dtypes.bool_), Check("ok", 0), LoadAt("v", "t", J, "p", 6),
            Store("o", index, "v"),
            errors=(error,),
        )  # fmt: skip
        assert run(k, [table, at, o], target=target) == 0
        got = o.reshape(35, 6) if index == I * 6 + J else o.reshape(6, 35).T
        np.testing.assert_array_equal(got, table[at])
        for wrong in (-1, 10, 2**62):
            bad = at.copy()
            bad[34] = wrong
            assert run(k, [table, bad, o], target=target) == 1


@ways
def test_masked_loads_read_nothing(target: Target) -> None:
    """Padding: lanes outside the operand are zero and not read (the buffer has no more elements)."""
    x, o = np.arange(20, dtype="f4"), np.ones(50, "f4")
    k = kernel(
        buffers({"x": 20, "o": 50}), [Axis("i", 50)],
        Index("at", I - 15), Const("zero", 0, dtypes.int64), Const("end", 20, dtypes.int64),
        Compute("low", "le", ("zero", "at"), dtypes.bool_), Compute("high", "lt", ("at", "end"), dtypes.bool_),
        Compute("in", "and", ("low", "high"), dtypes.bool_), Load("a", "x", I - 15, "in"), Store("o", I, "a"),
    )  # fmt: skip
    assert run(k, [x, o], target=target) == 0
    np.testing.assert_array_equal(o, np.pad(x, (15, 15)))


@ways
def test_scalar_parameters_and_thread_shares(target: Target) -> None:
    x, o = np.arange(101, dtype="f4"), np.zeros(101, "f4")
    k = kernel(
        buffers({"x": N, "o": N}), [Axis("i", N)], Load("a", "x", I), Param("p", "p", F), Param("q", "q", F),
        Compute("y", "fma", ("a", "p", "q"), F), Store("o", I, "y"), symbols=("n",),
        scalars=(ScalarParam("p", "float"), ScalarParam("q", "int")),
    )  # fmt: skip
    for threads in (1, 4):
        o[:] = -1
        assert run(k, [x, o], {"n": 101}, (0.5, 7), threads, target) == 0
        np.testing.assert_array_equal(o, x * 0.5 + 7)


def test_in_place() -> None:
    x = np.arange(100, dtype="f4")
    k = kernel(
        [Buffer("x", F, 100, "rw")], [Axis("i", 100)], Load("a", "x", I), Compute("b", "add", ("a", "a"), F), Store("x", I, "b")
    )
    assert run(k, [x]) == 0
    np.testing.assert_array_equal(x, 2 * np.arange(100))


@ways
def test_small_inner_axes(target: Target) -> None:
    x, b = np.random.default_rng(3).normal(size=(6, 4, 3)).astype("f4"), np.arange(3, dtype="f4")
    o = np.zeros_like(x)
    at = I * 12 + J * 3 + K
    grid = [Axis("i", 6), Axis("j", 4), Axis("k", 3)]
    for bias in (False, True):
        add = (Load("c", "b", K), Compute("d", "add", ("a", "c"), F)) if bias else (Compute("d", "add", ("a", "a"), F),)
        k = kernel(buffers({"x": 72, "b": 3, "o": 72}), grid, Load("a", "x", at), *add, Store("o", at, "d"))
        assert run(k, [x, b, o], target=target) == 0
        np.testing.assert_array_equal(o, x + b if bias else x + x)


@ways
@pytest.mark.parametrize("shape", [(40, 50), (16, 64), (100, 3), (33, 20)])
def test_transposing_copies(target: Target, shape: tuple[int, int]) -> None:
    n, m = shape
    x = np.arange(n * m, dtype="f4").reshape(n, m)
    o = np.zeros((m, n), "f4")
    k = kernel(buffers({"x": n * m, "o": N * M}), [Axis("j", M), Axis("i", N)], Load("a", "x", I * M + J),
               Store("o", J * N + I, "a"), symbols=("n", "m"))  # fmt: skip
    for threads in (1, 3):
        o[:] = -1
        assert run(k, [x, o], {"n": n, "m": m}, threads=threads, target=target) == 0
        np.testing.assert_array_equal(o, x.T)


def test_equal_kernels_are_written_once() -> None:
    first, second = (pointwise("add", [F, F], F, name) for name in ("one", "two"))
    other = pointwise("mul", [F, F], F, "three")
    code = module.compile_kernels([first, second, other])
    assert code["one"] == code["two"] != code["three"]
    assert code.text.count("define ") == 2


def test_what_counts_as_equal() -> None:
    """The user's lines do not; the sign of a zero does."""
    zeros = [
        Kernel(name, (Buffer("o", F, 1, "w"),), (), (), (), (
            Const("z", value, F), Compute("y", "neg", ("z",), F, Where("m.py", line)), Store("o", 0, "y"),
        ))
        for name, value, line in (("plus", 0.0, 1), ("other_line", 0.0, 2), ("minus", -0.0, 1))
    ]  # fmt: skip
    code = module.compile_kernels(zeros)
    assert code["plus"] == code["other_line"] != code["minus"]


def test_names_of_memory_and_arguments_do_not_count() -> None:
    def scaled(name: str, x: str, o: str, by: str) -> Kernel:
        body = Load("a", x, I), Param("s", by, F), Compute("y", "mul", ("a", "s"), F), Store(o, I, "y")
        memory = Buffer(x, F, 8, "r"), Buffer(o, F, 8, "w")
        return Kernel(name, memory, (), (ScalarParam(by, "float"),), (Axis("i", 8),), body)

    code = module.compile_kernels([scaled("one", "x", "o", "lr"), scaled("two", "t0", "out1", "decay")])
    assert code["one"] == code["two"] and code.text.count("define ") == 1
    swapped = pointwise("sub", [F, F], F, "three")
    other = {"x0": "x1", "x1": "x0"}
    body = tuple(replace(s, buffer=other[s.buffer]) if isinstance(s, Load) else s for s in swapped.body)
    code = module.compile_kernels([swapped, replace(swapped, name="four", body=body)])
    assert code["three"] != code["four"]


def test_text(golden: Callable[[str, str], None]) -> None:
    golden("cpu_axpy.ll", module.llvm_text([pointwise("fma", [F, F, F], F)], Target(64, True)))
    golden("cpu_softmax.ll", module.llvm_text([softmax(N, M)], Target(64, True)))


def test_assembly_uses_the_widest_vectors() -> None:
    text = module.asm_text([pointwise("mul", [F, F], F)])
    widest = "zmm" if module.host_target().vector_bytes == 64 else "mm"
    assert widest in text
