"""What the interpreter cannot tell of kernels: the instructions they become. Each op keeps its rounding, indices do not wrap,
memory is reached 16 bytes at a time, threads meet where they must."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from fusewire.backends.gpu import stages
from fusewire.backends.gpu.config import choose
from fusewire.backends.gpu.kernel import SM90
from fusewire.backends.gpu.triton import triton_source
from fusewire.backends.gpu.ways import kernel_ways
from fusewire.ir import dtypes, sizes
from fusewire.ir.dtypes import DType
from fusewire.ir.loops import Acc, Axis, Buffer, Compute, Const, Index, Kernel, Load, Loop, Reduce, Stmt, Store
from fusewire.ir.sizes import Size

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from run_kernel import pointwise

F, D, H, L = dtypes.float32, dtypes.float64, dtypes.bfloat16, dtypes.int64
I, J = sizes.symbol("i"), sizes.symbol("j")
compiles = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="the optional package triton is not installed")


def ptx(kernel: Kernel, way: int = 0) -> str:
    """The instructions of a kernel's only launch, by way number `way`."""
    (job,) = kernel_ways(kernel)[way].jobs
    return str(stages.run(job.build, SM90, "ptx").asm["ptx"])


def loop(dtype: DType, count: Size, *body: Stmt, out: DType | None = None, reads: int = 1) -> Kernel:
    """A kernel over `count` elements of buffers a, b, ... that stores "v"."""
    inputs = tuple(Buffer("abc"[n], dtype, count, "r") for n in range(reads))
    loads = tuple(Load(b.name, b.name, I) for b in inputs)
    buffers = (*inputs, Buffer("o", out or dtype, count, "w"))
    return Kernel("k", buffers, tuple(sizes.symbols_of(count)), (), (Axis("i", count),), (*loads, *body, Store("o", I, "v")))


@compiles
def test_divisions_and_roots_are_rounded_once_and_nothing_is_flushed() -> None:
    assert "div.rn.f32" in ptx(pointwise("div", [F, F], F)) and "sqrt.rn.f32" in ptx(pointwise("sqrt", [F], F))
    for prim in ("abs", "floor", "ceil", "exp", "tanh", "erf", "log", "sin", "pow"):
        text = ptx(pointwise(prim, [F] * (2 if prim == "pow" else 1), F))
        flushed = set(re.findall(r"\b[a-z0-9.]+\.ftz\.f32", text)) - {"ex2.approx.ftz.f32", "rcp.approx.ftz.f32"}
        assert not flushed, (prim, flushed)  # those two come between scalings: the library's own way to a rounded result
        assert "div.full" not in text and "div.approx" not in text


@compiles
def test_two_ops_are_not_contracted() -> None:
    body = Compute("t", "mul", ("a", "b"), F), Compute("v", "add", ("t", "c"), F)
    text = ptx(loop(F, 4096, *body, reads=3))
    assert "mul.rn.f32" in text and "add.rn.f32" in text and "fma" not in text
    assert "fma.rn.f32" in ptx(pointwise("fma", [F, F, F], F))


@compiles
@pytest.mark.parametrize(("source", "first"), [(D, "cvt.rn.f32.f64"), (L, "cvt.rn.f32.s64"), (dtypes.int32, "cvt.rn.f32.s32")])
def test_half_types_are_reached_through_float32(source: DType, first: str) -> None:
    for half in (H, dtypes.float16):
        steps = Compute("t", "cast", ("a",), F), Compute("v", "cast", ("t",), half)
        for k in (pointwise("cast", [source], half), loop(source, 4096, *steps, out=half)):
            assert first in ptx(k) and re.search(rf"cvt\.rn\.{half.short}(x2)?\.f32", ptx(k)), half


@compiles
def test_nan_goes_through_extremes() -> None:
    assert "max.NaN.f32" in ptx(pointwise("maximum", [F, F], F))
    text = ptx(pointwise("minimum", [D, D], D))
    assert "min.f64" in text and "setp.nan.f64" in text


def test_a_choice_of_two_constants_has_its_dtype() -> None:
    body = (
        Const("zero", 0, L), Compute("low", "lt", ("a", "zero"), dtypes.bool_), Const("p", 2**30, L), Const("q", 3, L),
        Compute("s", "select", ("low", "p", "q"), L), Compute("v", "mul", ("s", "s"), L),
    )  # fmt: skip
    text = triton_source(loop(L, 64, *body)).text
    assert "tl.full((), 1073741824, tl.int64)" in text and "tl.full((), 3, tl.int64)" in text


@compiles
def test_division_leaves_no_case_to_the_machine() -> None:
    for prim in ("div", "mod"):
        for dtype in (L, dtypes.uint8):
            ir = str(stages.run(kernel_ways(pointwise(prim, [dtype, dtype], dtype))[0].jobs[0].build, SM90, "ttir").asm["ttir"])
            assert "arith.select" in ir, (prim, dtype)


@compiles
def test_indices_of_a_huge_matrix_have_64_bits() -> None:
    rows, columns = 70_000, 40_000
    at = I * columns + J
    k = Kernel(
        "k", (Buffer("x", F, rows * columns, "r"), Buffer("o", F, rows * columns, "w")), (), (),
        (Axis("i", rows), Axis("j", columns)), (Load("a", "x", at), Compute("v", "add", ("a", "a"), F), Store("o", at, "v")),
    )  # fmt: skip
    (way,) = kernel_ways(k)
    assert re.search(r"(mul\.wide\.[su]32|mad\.wide|shl\.b64|mul\.lo\.s64)", ptx(k)) and "tl.int64" in way.jobs[0].build.text
    many = Reduce((Axis("j", 1 << 32),), (Load("a", "x", I),), (Acc("v", "add", "a", F),))  # of repeated elements
    short = Kernel("k", (Buffer("x", F, 8, "r"), Buffer("o", F, 8, "w")), (), (), (Axis("i", 8),), (many, Store("o", I, "v")))
    assert all("program_id(0).to(tl.int64)" in job.build.text for way in kernel_ways(short) for job in way.jobs)


@compiles
@pytest.mark.parametrize(("dtype", "load"), [(F, "ld.global.v4.b32"), (H, "ld.global.v4.b32"), (dtypes.int8, "ld.global")])
def test_memory_is_reached_16_bytes_at_a_time(dtype: DType, load: str) -> None:
    body = (Compute("v", "cast", ("a",), F),) if dtype is not F else (Compute("v", "neg", ("a",), F),)
    n = sizes.symbol("n")
    assert load in ptx(loop(dtype, 1 << 22, *body, out=F)) and "st.global.v4.b32" in ptx(loop(dtype, n, *body, out=F))


@compiles
def test_both_sides_of_a_transposition_are_reached_16_bytes_at_a_time() -> None:
    buffers = Buffer("x", F, 1 << 22, "r"), Buffer("o", F, 1 << 22, "w")
    body = Load("v", "x", J * 2048 + I), Store("o", I * 2048 + J, "v")
    text = ptx(Kernel("k", buffers, (), (), (Axis("i", 2048), Axis("j", 2048)), body))
    assert "ld.global.v4.b32" in text and "st.global.v4.b32" in text and not re.search(r"(ld|st)\.global\.b32", text)


def test_threads_meet_before_what_others_read_is_written_over() -> None:
    row = Axis("j", 4096)
    at = I * 4096 + J
    body = (
        Load("s", "x", I), Loop(row, (Load("a", "y", at), Compute("b", "mul", ("a", "s"), F), Store("o", at, "b"))),
        Index("n", 4096), Compute("c", "cast", ("n",), F), Compute("d", "mul", ("s", "c"), F), Store("x", I, "d"),
    )  # fmt: skip
    buffers = Buffer("x", F, 8, "rw"), Buffer("y", F, 8 * 4096, "r"), Buffer("o", F, 8 * 4096, "w")
    text = triton_source(Kernel("k", buffers, (), (), (Axis("i", 8),), body)).text
    assert text.index("tl.store(o_ptr") < text.index("tl.debug_barrier()") < text.index("tl.store(x_ptr")
    assert choose(Kernel("k", buffers, (), (), (Axis("i", 8),), body)).warps > 1
