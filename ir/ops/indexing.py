"""Reads and writes at positions held in a tensor. Positions are checked: an index out of range raises PositionError."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, PositionError, ShapeError
from .. import dtypes, layout
from ..op import Effects, Extern, Gather, Op, Sample, register
from ..types import TensorType, tensor
from .creation import zeros_like
from .declare import floats
from .shape import expand, front

_RAISES = Effects(raises=(PositionError,))


def _check(op: str, x: TensorType, index: TensorType, dim: int) -> None:
    if index.dtype not in (dtypes.int64, dtypes.int32):
        raise DTypeError(f"{op}(): Expected dtype int32/int64 for index, got {layout.describe(x, index)}")
    if index.ndim != x.ndim or not 0 <= dim < x.ndim:
        raise ShapeError(f"{op}: operand and index must have equally many dimensions, got {layout.describe(x, index)}, dim {dim}")
    for d, (n, m) in enumerate(zip(index.shape, x.shape, strict=True)):
        too_big = isinstance(n, int) and isinstance(m, int) and n > m
        if d != dim and too_big:
            raise ShapeError(f"{op}: the index reaches beyond dimension {d}: {layout.describe(x, index)}, dim {dim}")


def _gather_infer(x: TensorType, index: TensorType, *, dim: int) -> tuple[TensorType]:
    _check("gather", x, index, dim)
    return (tensor(index.shape, x.dtype),)


def check_range(index: Any, size: int, dim: int) -> None:
    """PositionError where an element of `index` is no position in a dimension of `size`."""
    bad = (index < 0) | (index >= size)
    if bad.any():
        raise PositionError(f"index {index[bad].flat[0]} is out of bounds for dimension {dim} with size {size}")


def _checked(index: Any, size: int, dim: int) -> None:
    if index.dtype.itemsize < 4 or index.dtype.kind != "i":
        raise TypeError("int32 or int64 positions expected")
    check_range(index, size, dim)


def _places(index: Any, dim: int) -> tuple[Any, ...]:
    """Positions along every dimension, to read or write with."""
    grid = np.ogrid[tuple(slice(n) for n in index.shape)]
    return tuple(index if d == dim else grid[d] for d in range(index.ndim))


def _gather_eager(x: Any, index: Any, *, dim: int) -> Any:
    _checked(index, x.shape[dim], dim)
    return np.asarray(x[_places(index, dim)], order="C")


def _gather_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (3, 4), dtypes.float64)
    for dim, shape in ((0, (2, 4)), (1, (3, 6)), (1, (2, 1)), (0, (0, 4))):
        yield Sample((x, rng.integers(0, x.shape[dim], shape)), {"dim": dim})
    yield Sample((floats(rng, (4, 3)).T, rng.integers(0, 3, (4, 3)).T), {"dim": 0}, note="transposed")
    yield Sample((floats(rng, (2, 3, 4), dtypes.bfloat16), rng.integers(0, 3, (2, 2, 4))), {"dim": 1})
    yield Sample((x, np.array([[4]])), {"dim": 1}, raises=PositionError)
    yield Sample((x, np.array([[-1]])), {"dim": 0}, raises=PositionError)
    yield Sample((x, rng.integers(0, 3, (2, 4)).astype(np.int32)), {"dim": 0}, note="int32")
    yield Sample((x, np.array([[3]], np.int32)), {"dim": 0}, raises=PositionError)
    yield Sample((x, np.array([[0]], np.int16)), {"dim": 0}, raises=DTypeError)
    yield Sample((x, np.array([0])), {"dim": 0}, raises=ShapeError)


def _batched(dims: Any, xs: Any) -> tuple[Any, ...]:
    n = next(x.shape[d] for x, d in zip(xs, dims, strict=True) if d is not None)
    return tuple(front(x, d) if d is not None else expand(x, shape=(n, *x.shape)) for x, d in zip(xs, dims, strict=True))


#: result[i] = x[i with i[dim] replaced by index[i]].
gather: Op = register(Op(
    "gather", ("gather(Tensor input, dim dim, Tensor index)",), _gather_infer, _gather_eager,
    lambda g, need, out, x, index, *, dim: (scatter_add(zeros_like(x), index, g, dim=dim) if need[0] else None, None),
    Gather(), _gather_samples, effects=_RAISES, upcast=False,
    batch=lambda dims, x, index, *, dim: gather(*_batched(dims, (x, index)), dim=dim + 1),
))  # fmt: skip


def _scatter_infer(x: TensorType, index: TensorType, source: TensorType, *, dim: int) -> tuple[TensorType]:
    _check("scatter_add", x, index, dim)
    if x.dtype is not source.dtype:
        raise DTypeError(f"scatter_add: operand and source must share one dtype, got {layout.describe(x, index, source)}")
    if not layout.same_shape(index.shape, source.shape):
        raise ShapeError(f"scatter_add: index and source must share one shape, got {layout.describe(x, index, source)}")
    return (tensor(x.shape, x.dtype),)


def _scatter_eager(x: Any, index: Any, source: Any, *, dim: int) -> Any:
    _checked(index, x.shape[dim], dim)
    out = np.array(x, order="C", copy=True)
    np.add.at(out, _places(index, dim), source)
    return out


def _scatter_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _gather_samples(rng):
        x, index = sample.operands
        yield Sample((x, index, floats(rng, index.shape, dtypes.from_numpy(x.dtype))), sample.attrs, sample.raises)
    yield Sample((np.zeros((3,), np.int64), np.array([1, 1, 1]), np.array([1, 2, 3])), {"dim": 0}, note="repeats add up")


#: A copy of x with source[i] added at x[i with i[dim] replaced by index[i]]; repeated positions add up in index order.
scatter_add: Op = register(Op(
    "scatter_add", ("scatter_add(Tensor input, dim dim, Tensor index, Tensor src)",), _scatter_infer, _scatter_eager,
    lambda g, need, out, x, index, source, *, dim: (g, None, gather(g, index, dim=dim) if need[2] else None),
    Extern("kernel IR stores each element once; colliding positions would need atomic or ordered adds"), _scatter_samples,
    effects=_RAISES, batch=lambda dims, *xs, dim: scatter_add(*_batched(dims, xs), dim=dim + 1),
))  # fmt: skip
