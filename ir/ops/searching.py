"""Positions that come of comparing: running extremes, places in sorted rows, the most frequent element; running log-sums.

Rarely used: loaded by `eager/searching.py` or `ops.load_rare`. Values are gathered by the positions, which have no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout
from ..op import Extern, Op, Promote, Sample, register
from ..types import TensorType, numel, tensor
from .compare import eq, gt, where
from .declare import CLOSE, check_kind, floats
from .moves import flip
from .pointwise import add, exp, log, neg, sub
from .reductions import row_major
from .shape import expand, front, reshape

_COMPARES = "kernel IR has no scan or search that carries an index along"


def _check_dim(op: str, x: TensorType, dim: int) -> None:
    if not 0 <= dim < x.ndim:
        raise ShapeError(f"{op}: dim {dim} does not fit {layout.describe(x)}")


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (3, 4, 5), dtypes.float64)
    for dim in (0, 1, 2):
        yield Sample((x,), {"dim": dim})
    yield Sample((x.transpose(2, 0, 1),), {"dim": 1}, note="transposed")
    yield Sample((np.array([[1.0, np.nan, 3.0, 2.0], [2.0, 2.0, -np.inf, np.nan]]),), {"dim": 1}, note="NaN stays, ties")
    yield Sample((floats(rng, (6,), dtypes.int32),), {"dim": 0})
    yield Sample((floats(rng, (2, 6), dtypes.bfloat16),), {"dim": 1})
    yield Sample((floats(rng, (0, 3)),), {"dim": 0}, note="empty")
    yield Sample((x,), {"dim": 3}, raises=ShapeError)


# -- running extremes


def _running_infer(op: str) -> Any:
    def infer(x: TensorType, *, dim: int) -> tuple[TensorType]:
        _check_dim(op, x, dim)
        return (tensor(x.shape, dtypes.int64),)

    return infer


def _running_eager(fold: Any) -> Any:
    def eager(x: Any, *, dim: int) -> Any:
        if not 0 <= dim < x.ndim:
            raise ValueError("no such dimension")
        best = fold.accumulate(x, dim)
        new = (x == best) | (x != x)  # the last of equals is the one PyTorch names
        places = np.arange(x.shape[dim]).reshape([-1 if d == dim else 1 for d in range(x.ndim)])
        return row_major(np.maximum.accumulate(np.where(new, places, 0), dim)).astype(np.int64, copy=False)

    return eager


def _running(name: str, fold: Any) -> Op:
    def batch(dims: Any, x: Any, *, dim: int) -> Any:
        return op(front(x, dims[0]), dim=dim + 1)

    op = register(Op(
        name, (), _running_infer(name), _running_eager(fold), None, Extern(_COMPARES), _samples, constant="positions",
        batch=batch,
    ))  # fmt: skip
    return op


#: Where the largest element up to each one lies, the last of equal ones; NaN is larger than all. Public: cummax.
cummax_index = _running("cummax_index", np.maximum)
#: Where the smallest element up to each one lies, the last of equal ones; NaN is smaller than all. Public: cummin.
cummin_index = _running("cummin_index", np.minimum)


# -- places in sorted rows


def _search_infer(table: TensorType, x: TensorType, *, right: bool = False) -> tuple[TensorType]:
    if table.dtype is not x.dtype:
        raise DTypeError(f"searchsorted: both must have one dtype, got {layout.describe(table, x)}")
    fits = table.ndim == 1 or (table.ndim == x.ndim and layout.same_shape(table.shape[:-1], x.shape[:-1]))
    if not table.ndim or not fits:
        raise ShapeError(
            "searchsorted: the boundaries must be one row, or have all dimensions but the last in common with the values, got "
            f"{layout.describe(table, x)}"
        )
    return (tensor(x.shape, dtypes.int64),)


def _search_eager(table: Any, x: Any, *, right: bool = False) -> Any:
    if table.dtype != x.dtype:
        raise TypeError("one dtype expected")
    side: Any = "right" if right else "left"
    if table.ndim == 1:
        return row_major(np.searchsorted(table, x, side)).astype(np.int64, copy=False)
    if table.ndim != x.ndim or table.shape[:-1] != x.shape[:-1]:
        raise ValueError("rows expected")
    out = np.empty(x.shape, np.int64)
    for i in np.ndindex(*x.shape[:-1]):
        out[i] = np.searchsorted(table[i], x[i], side)
    return out


def _search_samples(rng: np.random.Generator) -> Iterator[Sample]:
    row = np.sort(floats(rng, (6,), dtypes.float64))
    for right in (False, True):
        yield Sample((row, floats(rng, (3, 4), dtypes.float64)), {"right": right})
        yield Sample((np.array([1, 3, 3, 5]), np.array([[3, 9], [0, 5]])), {"right": right}, note="equal elements")
    rows = np.sort(floats(rng, (2, 3, 5), dtypes.float32), -1)
    yield Sample((rows, floats(rng, (2, 3, 4), dtypes.float32)), note="rows")
    yield Sample((row, floats(rng, (4, 6), dtypes.float64).T), note="transposed")
    yield Sample((row[:0], floats(rng, (3,), dtypes.float64)), note="empty")
    yield Sample((row, floats(rng, (), dtypes.float64)), note="0-d")
    yield Sample((np.arange(3), floats(rng, (3,), dtypes.float32)), note="mixed")
    yield Sample((rows, floats(rng, (2, 4), dtypes.float32)), raises=ShapeError)


def _search_batch(dims: Any, table: Any, x: Any, *, right: bool = False) -> Any:
    if dims[0] is None and table.ndim == 1:
        return searchsorted(table, front(x, dims[1]), right=right)
    single = table.ndim - (dims[0] is not None) == 1
    table, x = (v if d is None else front(v, d) for v, d in zip((table, x), dims, strict=True))
    n = table.shape[0] if dims[0] is not None else x.shape[0]
    if dims[0] is None:
        table = expand(table, shape=(n, *table.shape))
    if dims[1] is None:
        x = expand(x, shape=(n, *x.shape))
    if not single:
        return searchsorted(table, x, right=right)
    inner = x.shape[1:]
    flat = reshape(x, (n, numel(inner)))
    return reshape(searchsorted(table, flat, right=right), (n, *inner))


#: Before which element of an ascending row each of `x` belongs (`right`: behind equal ones). Public: searchsorted, bucketize.
searchsorted: Op = register(Op(
    "searchsorted", (), _search_infer, _search_eager, None, Extern(_COMPARES), _search_samples, constant="positions",
    batch=_search_batch, promote=Promote("same"),
))  # fmt: skip


# -- the most frequent element


def _mode_infer(x: TensorType, *, dim: int) -> tuple[TensorType]:
    _check_dim("mode", x, dim)
    if layout.is_zero(x.shape[dim]):
        raise ShapeError(f"mode: dimension {dim} of {layout.describe(x)} has no elements")
    return (tensor((*x.shape[:dim], *x.shape[dim + 1 :]), dtypes.int64),)


def _mode_eager(x: Any, *, dim: int) -> Any:
    if not 0 <= dim < x.ndim or not x.shape[dim]:
        raise ValueError("no element")
    rows = np.moveaxis(x, dim, -1)
    order = np.argsort(rows, -1, kind="stable")
    ranked = np.take_along_axis(rows, order, -1)
    n = x.shape[dim]
    fresh = np.ones(ranked.shape, np.bool_)
    fresh[..., 1:] = ranked[..., 1:] != ranked[..., :-1]
    start = np.maximum.accumulate(np.where(fresh, np.arange(n), 0), -1)
    run = np.arange(n) - start  # how many equal ones lie before, so the first longest run's end is the first maximum
    last = np.argmax(run, -1, keepdims=True)
    return row_major(np.take_along_axis(order, last, -1)[..., 0]).astype(np.int64, copy=False)


def _mode_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (3, 7, 5), dtypes.int64, (0, 3))
    for dim in (0, 1, 2):
        yield Sample((x,), {"dim": dim})
    yield Sample((x.transpose(2, 0, 1).astype(np.float32),), {"dim": 1}, note="transposed")
    yield Sample((floats(rng, (2, 6), dtypes.bfloat16),), {"dim": 1})
    yield Sample((floats(rng, (3, 0)),), {"dim": 0}, note="empty result")
    yield Sample((floats(rng, (0, 3)),), {"dim": 0}, raises=ShapeError)


#: Where the most frequent element along `dim` lies last; of equally frequent ones the smallest. Public: mode.
mode_index: Op = register(Op(
    "mode_index", (), _mode_infer, _mode_eager, None, Extern(_COMPARES), _mode_samples, constant="positions",
    batch=lambda dims, x, *, dim: mode_index(front(x, dims[0]), dim=dim + 1),
))  # fmt: skip


# -- running log-sums


def _lcse_infer(x: TensorType, *, dim: int) -> tuple[TensorType]:
    _check_dim("logcumsumexp", x, dim)
    check_kind("logcumsumexp", "f", x)
    return (tensor(x.shape, x.dtype),)


def _lcse_eager(x: Any, *, dim: int) -> Any:
    if not 0 <= dim < x.ndim or x.dtype.kind != "f":
        raise ValueError("no such dimension, or no floating array")
    return np.logaddexp.accumulate(x.astype(np.float64), dim).astype(x.dtype, order="C")


def _lcse_grad(g: Any, need: Any, out: Any, x: Any, *, dim: int) -> tuple[Any, ...]:
    """exp(x) times the sums from behind of g / exp(out), positive and negative parts of g apart and in logarithms."""
    parts = [_behind(where(gt(part, 0), log(where(gt(part, 0), part, 1.0)), float("-inf")), out, x, dim) for part in (g, neg(g))]
    return (sub(*parts),)


def _behind(low: Any, out: Any, x: Any, dim: int) -> Any:
    share = where(eq(low, float("-inf")), float("-inf"), sub(low, out))
    total = flip(logcumsumexp(flip(share, dims=(dim,)), dim=dim), dims=(dim,))
    return where(eq(total, float("-inf")), 0.0, exp(add(total, x)))


def _lcse_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _samples(rng):
        if sample.operands[0].dtype.kind != "i" and "NaN" not in sample.note:
            yield sample
    yield Sample((np.array([[1.0, -np.inf, 1000.0, 999.0]]),), {"dim": 1}, note="large")
    yield Sample((np.array([1, 2]),), {"dim": 0}, raises=DTypeError)


#: Logarithm of the sums of exponentials up to each element, without overflow.
logcumsumexp: Op = register(Op(
    "logcumsumexp", (), _lcse_infer, _lcse_eager, _lcse_grad,
    Extern("kernel IR has no scan whose combination is a log-sum"), _lcse_samples, tolerance=CLOSE,
    batch=lambda dims, x, *, dim: logcumsumexp(front(x, dims[0]), dim=dim + 1),
))  # fmt: skip
