"""Our own matrix product against NumPy: sizes, strides, batches, threads, what is not a number, memory around the result."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fusewire.backends.cpu import gemm, routines
from fusewire.backends.cpu.gemm_tile import Tile, tile
from fusewire.backends.cpu.kinds import Target
from fusewire.backends.cpu.module import host_target
from fusewire.backends.cpu.product import merged, parts, routine_step
from fusewire.ir import dtypes, sizes
from fusewire.ir.graph import Builder
from fusewire.ir.ops.linalg import matmul
from fusewire.ir.plan import BufferView, GemmStep
from fusewire.ir.types import TensorType, tensor
from fusewire.pipeline import compile_graph
from fusewire.runtime import blas

Array = np.ndarray[Any, Any]
ROUTINE = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 4, ctypes.c_int64, ctypes.c_int64)
DTYPES = {"f32": (np.float32, dtypes.float32, 1e-5), "f64": (np.float64, dtypes.float64, 1e-13)}

pytestmark = pytest.mark.skipif(tile(dtypes.float32, host_target()) is None, reason="this processor has no tiles")


def host_tile(short: str) -> Tile:
    found = tile(DTYPES[short][1], host_target())
    assert found is not None
    return found


def view(x: Array) -> BufferView:
    dtype = dtypes.BY_NUMPY[x.dtype]
    return BufferView(0, TensorType(x.shape, dtype, tuple(s // x.itemsize for s in x.strides)))


def product(a: Array, b: Array, out: Array, threads: int = 1) -> None:
    """out = a @ b by the routine, its parts run one after the other."""
    batch = out.shape[:-2]
    whole = (np.broadcast_to(x, batch + x.shape[-2:]) for x in (a, b))
    step = routine_step(GemmStep(*map(view, (*whole, out))))
    assert step is not None
    turned = out.shape[-1] != 1 and out.strides[-1] != out.itemsize
    first, second = (b, a) if turned else (a, b)
    args = np.array([x.ctypes.data for x in (first, second, out)], np.int64)
    words = np.array(step.sizes, np.int64)
    assert isinstance(step.scratch, int)
    guard = 64
    for thread in range(threads):
        raw = np.full(step.scratch + 128 + guard, 0xA5, np.uint8)
        at = -raw.ctypes.data % 64
        routine, scratch = ROUTINE(routines.address(step.routine)), raw.ctypes.data + at
        assert routine(args.ctypes.data, words.ctypes.data, None, scratch, thread, threads) == 0
        assert (raw[at + step.scratch :] == 0xA5).all(), "written behind the scratch that the step asks for"


def laid_out(rng: np.random.Generator, rows: int, cols: int, how: str, dtype: Any) -> Array:
    if how == "rows":
        return rng.standard_normal((rows, cols)).astype(dtype)
    if how == "columns":
        return rng.standard_normal((cols, rows)).astype(dtype).T
    if how == "apart":
        return rng.standard_normal((rows, cols + 5)).astype(dtype)[:, :cols]
    return rng.standard_normal((2 * rows, 3 * cols)).astype(dtype)[::2, ::3]


def check(a: Array, b: Array, threads: int = 1, order: str = "C", scale: float = 1e-5) -> Array:
    """The product, in memory that is watched on both sides."""
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    count = int(np.prod(shape))
    raw = np.full(count + 64, np.nan, a.dtype)
    raw[:32] = raw[32 + count :] = 7
    out = raw[32 : 32 + count].reshape(shape) if order == "C" else raw[32 : 32 + count].reshape(shape[::-1]).T
    product(a, b, out, threads)
    assert (raw[:32] == 7).all() and (raw[32 + count :] == 7).all()
    want = a.astype(np.float64) @ b.astype(np.float64)
    limit = scale * (np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64)) + 1)
    assert (np.abs(out - want) <= limit).all(), (a.shape, b.shape, a.strides, b.strides, threads)
    return out


SIZES = [
    (1, 1, 1), (1, 33, 5), (5, 7, 3), (13, 31, 17), (14, 32, 16), (15, 33, 1), (29, 65, 40), (100, 70, 500), (3, 700, 30),
    (300, 3, 20), (28, 48, 400), (64, 10, 256),
]  # fmt: skip


def cases() -> Iterator[Any]:
    layouts = list(itertools.product(("rows", "columns", "apart", "gaps"), repeat=2))
    for number, (shape, lay) in enumerate(itertools.product(SIZES, layouts)):
        short = ("f32", "f64")[number % 2 ^ number // 16 % 2]
        yield pytest.param(shape, lay, short, id=f"{'x'.join(map(str, shape))}-{'-'.join(lay)}")


@pytest.mark.parametrize(("shape", "lay", "short"), list(cases()))
def test_layouts(shape: tuple[int, int, int], lay: tuple[str, str], short: str) -> None:
    rng = np.random.default_rng(sum(shape))
    (m, n, k), (np_dtype, _, scale) = shape, DTYPES[short]
    a, b = laid_out(rng, m, k, lay[0], np_dtype), laid_out(rng, k, n, lay[1], np_dtype)
    check(a, b, scale=scale)


@pytest.mark.parametrize("short", DTYPES)
@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 0, 3), (4, 5, 0), (0, 0, 0)])
def test_nothing(shape: tuple[int, int, int], short: str) -> None:
    (m, n, k), np_dtype = shape, DTYPES[short][0]
    out = check(np.ones((m, k), np_dtype), np.ones((k, n), np_dtype))
    assert out.shape == (m, n) and not out.any()


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 7, 16, 61])
@pytest.mark.parametrize("short", DTYPES)
def test_results_do_not_hang_on_threads(threads: int, short: str) -> None:
    rng = np.random.default_rng(1)
    np_dtype, _, scale = DTYPES[short]
    for m, n, k in ((70, 130, 800), (9, 300, 40), (300, 9, 40), (1, 1, 2000)):
        a, b = rng.standard_normal((m, k)).astype(np_dtype), rng.standard_normal((k, n)).astype(np_dtype)
        assert np.array_equal(check(a, b, threads, scale=scale), check(a, b, scale=scale))
        assert np.array_equal(check(a, b.T.copy().T, threads, scale=scale), check(a, b, scale=scale))
    a, b = rng.standard_normal((3, 5, 20, 30)).astype(np_dtype), rng.standard_normal((5, 30, 40)).astype(np_dtype)
    assert np.array_equal(check(a, b, threads, scale=scale), check(a, b, scale=scale))


@pytest.mark.parametrize("short", DTYPES)
def test_blocks_of_every_kind(short: str) -> None:
    rng, t = np.random.default_rng(2), host_tile(short)
    depth, width = gemm.blocks(t).depth, gemm.blocks(t).width
    np_dtype, _, scale = DTYPES[short]
    long = (30, width + 3, depth + 1), (29, 2 * width, 2 * depth), (2 * t.rows + 1, width, depth - 1), (3, width + 40, 3 * depth)
    for m, n, k in long:
        check(rng.standard_normal((m, k)).astype(np_dtype), rng.standard_normal((k, n)).astype(np_dtype), scale=scale)
        check(rng.standard_normal((k, m)).astype(np_dtype).T, rng.standard_normal((n, k)).astype(np_dtype).T, scale=scale)


@pytest.mark.parametrize("short", DTYPES)
def test_a_result_of_columns(short: str) -> None:
    rng = np.random.default_rng(3)
    np_dtype, _, scale = DTYPES[short]
    for m, n in ((5, 70), (70, 5), (1, 9), (9, 1)):
        a, b = rng.standard_normal((m, 20)).astype(np_dtype), rng.standard_normal((20, n)).astype(np_dtype)
        check(a, b, order="F", scale=scale)


def test_what_is_not_finite_reaches_as_far_as_in_numpy() -> None:
    rng = np.random.default_rng(4)
    for bad in (np.nan, np.inf, -np.inf):
        a, b = rng.standard_normal((20, 40)).astype(np.float32), rng.standard_normal((40, 50)).astype(np.float32)
        a[3, 7], b[9, 11], b[7, 2], b[9, 5] = bad, bad, 0, 0
        a[:, 9][5] = 0
        out = np.empty((20, 50), np.float32)
        product(a, b, out)
        with np.errstate(all="ignore"):
            want = a.astype(np.float64) @ b.astype(np.float64)
        assert np.array_equal(np.isnan(out), np.isnan(want)) and np.array_equal(np.isposinf(out), np.isposinf(want))


def test_batches_become_rows_where_memory_goes_on() -> None:
    kinds = tensor((4, 6, 8), dtypes.float32), TensorType((4, 8, 5), dtypes.float32, (0, 5, 1)), tensor((4, 6, 5), dtypes.float32)
    whole = merged(GemmStep(*(BufferView(0, t) for t in kinds)))
    assert [v.type.shape for v in (whole.a, whole.b, whole.out)] == [(24, 8), (8, 5), (24, 5)]
    apart = TensorType((4, 6, 8), dtypes.float32, (60, 8, 1)), *kinds[1:]
    assert merged(GemmStep(*(BufferView(0, t) for t in apart))).out.type.shape == (4, 6, 5)
    own = kinds[0], tensor((4, 8, 5), dtypes.float32), kinds[2]
    assert merged(GemmStep(*(BufferView(0, t) for t in own))).out.type.shape == (4, 6, 5)


def test_random_products_of_graphs() -> None:
    rng = np.random.default_rng(5)
    for _ in range(60):
        batch = [int(rng.integers(1, 4)) for _ in range(rng.integers(0, 3))]
        m, n, k = (int(rng.integers(1, 40)) for _ in range(3))
        a, b = rng.standard_normal((*batch, m, k)), rng.standard_normal((*batch[int(rng.integers(0, len(batch) + 1)) :], k, n))
        a, b = (x.astype(np.float32 if m % 2 else np.float64) for x in (a, b))
        a, b = (np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2) if rng.integers(2) else x for x in (a, b))
        builder = Builder("product")
        x, y = (builder.input(view(v).type) for v in (a, b))
        (out,) = compile_graph(builder.finish([matmul(x, y)])).run([a, b])
        np.testing.assert_allclose(out, a @ b, rtol=1e-4, atol=1e-4)


def test_parts_are_few_and_powers_of_two() -> None:
    assert [parts(n) for n in (0, 1000, 12_000_000, 33_000_000, 10**12)] == [1, 1, 1, 2, 64]


@pytest.mark.parametrize("short", DTYPES)
def test_tiles_of_shorter_vectors(short: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from fusewire.backends.cpu import product as steps

    monkeypatch.setattr(steps, "host_target", lambda: Target(32, False))
    rng, (np_dtype, dtype, scale) = np.random.default_rng(7), DTYPES[short]
    t = tile(dtype, Target(32, False))
    assert t is not None and (t.rows, t.columns) == (6, 64 // dtype.itemsize)
    for m, n, k in ((1, 1, 1), (7, 17, 9), (23, 70, 33), (6, 16, 1000), (40, 1, 7), (3, 50, 0)):
        for lay in (("rows", "rows"), ("columns", "columns"), ("gaps", "gaps")):
            check(laid_out(rng, m, k, lay[0], np_dtype), laid_out(rng, k, n, lay[1], np_dtype), 2, scale=scale)


def test_no_tiles() -> None:
    assert tile(dtypes.int32, Target(64, True)) is None and tile(dtypes.float32, Target(16, False)) is None


def test_few_columns_are_left_to_blas() -> None:
    def steps(m: Any, n: int, k: int) -> str:
        builder = Builder("product")
        x, y = builder.input(tensor((m, k), dtypes.float32)), builder.input(tensor((k, n), dtypes.float32))
        (step,) = compile_graph(builder.finish([matmul(x, y)])).plan.steps
        return type(step).__name__

    if not blas.functions():
        pytest.skip("NumPy has no OpenBLAS here")
    assert [steps(*shape) for shape in ((4096, 8, 768), (4096, 12, 8), (sizes.symbol("m"), 4, 9))] == ["GemmStep"] * 3
    assert [steps(*shape) for shape in ((100, 8, 768), (4096, 12, 768), (4096, 16, 8))] == ["RoutineStep"] * 3
