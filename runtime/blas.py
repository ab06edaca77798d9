"""Matrix products by NumPy's own OpenBLAS, called by address: which operands it takes, and how it walks them.

Runs nothing by itself: the native entry and `runtime.program` call what they find here.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np

from ..ir import dtypes
from ..ir import sizes as z
from ..ir.plan import GemmStep
from ..ir.types import TensorType


@lru_cache(maxsize=1)
def functions() -> dict[Any, int]:
    """dtype -> address of cblas_?gemm with 64-bit sizes in the OpenBLAS of NumPy's wheel; empty where there is none."""
    core: Any = getattr(np, "_core")  # noqa: B009  (NumPy keeps it out of its stubs)
    library, found = ctypes.CDLL(core._multiarray_umath.__file__), {}
    for dtype, letter in ((dtypes.float32, "s"), (dtypes.float64, "d")):
        for name in (f"scipy_cblas_{letter}gemm64_", f"cblas_{letter}gemm64_"):
            if hasattr(library, name):
                found[dtype] = int(ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0)
                break
    return found


def _orient(t: TensorType) -> tuple[int, z.Size] | None:
    """(CblasNoTrans or CblasTrans, leading dimension) of the last two dimensions; None where BLAS cannot walk them."""
    (rows, cols), (row, col) = t.shape[-2:], t.strides[-2:]
    for trans, unit, length, stride, count in ((111, col, cols, row, rows), (112, row, rows, col, cols)):
        leading = _leading(unit, length, stride, count)
        if leading is not None:
            return trans, leading
    return None


def _is(size: z.Size, value: int) -> bool:
    return isinstance(size, int) and size == value


def _leading(unit: z.Size, length: z.Size, stride: z.Size, count: z.Size) -> z.Size | None:
    """The leading dimension of `count` lines of `length` elements; None where a line has gaps or lines overlap.

    BLAS wants at least the length of a line, also where there is only one and its stride means nothing."""
    if not (_is(unit, 1) or _is(length, 1)):
        return None
    if _is(count, 1) or _is(count, 0):
        return z.maximum(length, 1)
    low = z.bounds(stride - length)[0]
    if isinstance(stride, int) and (stride < 1 or (isinstance(length, int) and stride < length)):
        return None
    return z.maximum(stride, 1) if low is not None and low >= 0 else None


def operands(step: GemmStep) -> tuple[Any, ...] | None:
    """(function, (trans, ld) of a, of b, ld of out), or None where BLAS cannot take the operands as they lie."""
    types = step.a.type, step.b.type, step.out.type
    function = functions().get(types[2].dtype)
    if function is None or any(t.dtype is not types[2].dtype or len(t.shape) < 2 for t in types):
        return None
    a, b, out = (_orient(t) for t in types)
    if a is None or b is None or out is None or out[0] != 111:
        return None
    return function, a, b, out[1]


def batch_strides(t: TensorType, rank: int) -> list[z.Size]:
    """Strides of `rank` batch dimensions: 0 where the matrix is repeated."""
    own = [0 if _is(n, 1) else s for n, s in zip(t.shape[:-2], t.strides[:-2], strict=True)]
    return [0] * (rank - len(own)) + own
