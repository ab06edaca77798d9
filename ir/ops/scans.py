"""Running totals along one dimension: cumsum, cumprod. Floating ones add up in float64, so that long rows keep their digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout
from ..dtypes import DType
from ..op import Op, Sample, Scan, register
from ..types import TensorType, tensor
from .compare import eq, ge, where
from .creation import arange, made_by
from .declare import CLOSE, LARGE, floats, holomorphic
from .moves import flip
from .pointwise import mul
from .reductions import converted, sum
from .shape import expand, front, reshape


def _infer(op: str) -> Callable[..., tuple[TensorType]]:
    def infer(x: TensorType, *, dim: int, dtype: DType | None = None) -> tuple[TensorType]:
        if not 0 <= dim < x.ndim:
            raise ShapeError(f"{op}: dim {dim} does not fit {layout.describe(x)}")
        if dtype is dtypes.bool_:
            raise DTypeError(f"{op}: totals of {layout.describe(x)} cannot be bool")
        return (tensor(x.shape, dtype or (x.dtype if x.dtype.is_inexact else dtypes.int64)),)

    return infer


def _eager(ufunc: Any) -> Callable[..., Any]:
    def eager(x: Any, *, dim: int, dtype: DType | None = None) -> Any:
        if not 0 <= dim < x.ndim or dtype is dtypes.bool_:
            raise ValueError("no such dimension, or totals in bool")
        to = dtype.compute if dtype is not None else x.dtype if x.dtype.kind in "fc" else np.dtype(np.int64)
        kept = x if x.dtype.kind == to.kind else x.astype(to)
        wide = np.dtype(np.float64) if to.kind == "f" else to
        return ufunc.accumulate(kept.astype(wide, copy=False), dim).astype(to, order="C", copy=False)

    return eager


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (3, 4, 5), dtypes.float64)
    for dim in (0, 1, 2):
        yield Sample((x,), {"dim": dim})
    yield Sample((x.transpose(2, 0, 1),), {"dim": 1}, note="transposed")
    yield Sample((floats(rng, (2, 70)),), {"dim": 1}, note="a row")
    yield Sample((floats(rng, (7, 33)),), {"dim": 0}, note="columns")
    yield Sample((floats(rng, (4, 1), dtypes.float64),), {"dim": 1}, note="one element")
    yield Sample((floats(rng, (3, 0)),), {"dim": 1}, note="empty")
    for dtype in (dtypes.int8, dtypes.int32, dtypes.uint8, dtypes.bool_, dtypes.bfloat16, dtypes.float16):
        yield Sample((floats(rng, (3, 6), dtype),), {"dim": 1})
    yield Sample((floats(rng, (5,), dtypes.int32),), {"dim": 0, "dtype": dtypes.float64})
    yield Sample((floats(rng, (5,)),), {"dim": 0, "dtype": dtypes.int64})
    yield Sample((x,), {"dim": 3}, raises=ShapeError)


def _totals_backwards(g: Any, dim: int) -> Any:
    return flip(cumsum(flip(g, dims=(dim,)), dim=dim), dims=(dim,))


#: Sums of the elements up to each one along `dim`; of bool and integral operands in int64.
cumsum: Op = register(Op(
    "cumsum", (), _infer("cumsum"), _eager(np.add),
    lambda g, need, out, x, *, dim, dtype=None: (converted(_totals_backwards(g, dim), x.dtype),),
    Scan("add"), _samples, tolerance=CLOSE, autocast="f32 gpu", heavy=LARGE,
    batch=lambda dims, x, *, dim, dtype=None: cumsum(front(x, dims[0]), dim=dim + 1, dtype=dtype),
))  # fmt: skip


def _cumprod_grad(g: Any, need: Any, out: Any, x: Any, *, dim: int, dtype: DType | None = None) -> tuple[Any, ...]:
    """dx[i] is the sum over j >= i of g[j] times the product of x[k], k <= j, without k = i: exact where elements are zero, in
    n * n elements of memory a row."""
    x, n = converted(x, g.dtype), x.shape[dim]
    at = made_by(x, arange, start=0, step=1, length=n, dtype=dtypes.int64)
    tail = (1,) * (x.ndim - dim - 1)
    row, column = reshape(at, (n, 1, *tail)), reshape(at, (1, n, *tail))
    wide = (*x.shape[:dim], n, *x.shape[dim:])
    without = where(eq(row, column), 1.0, expand(reshape(x, (*x.shape[:dim], 1, *x.shape[dim:])), shape=wide))
    products = cumprod(without, dim=dim + 1)
    parts = where(ge(column, row), mul(products, reshape(g, (*g.shape[:dim], 1, *g.shape[dim:]))), 0.0)
    return (sum(parts, dim=(dim + 1,), keepdim=False),)


def _product_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _samples(rng):
        if sample.note != "a row":
            yield sample
    yield Sample((floats(rng, (2, 70), span=(0.8, 1.2)),), {"dim": 1}, note="a row")
    yield Sample((np.array([[1.5, 0.0, 2.0], [0.0, 3.0, 0.0]]),), {"dim": 1}, note="zeros")


#: Products of the elements up to each one along `dim`; of bool and integral operands in int64.
cumprod: Op = register(Op(
    "cumprod", (), _infer("cumprod"), _eager(np.multiply), holomorphic(_cumprod_grad), Scan("mul"), _product_samples,
    tolerance=CLOSE, autocast="f32 gpu", heavy=LARGE,
    batch=lambda dims, x, *, dim, dtype=None: cumprod(front(x, dims[0]), dim=dim + 1, dtype=dtype),
))  # fmt: skip
