"""Views that slices cannot name: diagonals and sliding windows. Data movement only; nothing here copies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import ShapeError
from .. import dtypes, layout, sizes
from ..op import Move, Op, Sample, register
from ..sizes import Size
from ..types import TensorType
from .compare import eq, where
from .creation import arange, made_by
from .declare import floats
from .indexing import spread
from .moves import pad
from .pointwise import add, mul
from .shape import ALIAS, expand, front, permute, reshape, view_type

# -- diagonals


def _span(n: Size, m: Size, offset: int) -> Size:
    """Elements on the diagonal `offset` of n rows and m columns."""
    rows, columns = (n, m - offset) if offset >= 0 else (n + offset, m)
    return sizes.maximum(0, sizes.minimum(rows, columns))


def _diagonal_infer(x: TensorType, *, offset: int, dim1: int, dim2: int) -> tuple[TensorType]:
    if dim1 == dim2 or not (0 <= dim1 < x.ndim and 0 <= dim2 < x.ndim):
        raise ShapeError(f"diagonal: dimensions {dim1} and {dim2} of {layout.describe(x)} must be two different ones")
    rest = [d for d in range(x.ndim) if d not in (dim1, dim2)]
    shape = (*(x.shape[d] for d in rest), _span(x.shape[dim1], x.shape[dim2], offset))
    return (view_type(x, shape, (*(x.strides[d] for d in rest), x.strides[dim1] + x.strides[dim2])),)


def _diagonal_index(index: Any, shapes: Any, *, offset: int, dim1: int, dim2: int) -> Any:
    rest = iter(index[:-1])
    row, column = index[-1] + max(-offset, 0), index[-1] + max(offset, 0)
    return ((None, 0, tuple(row if d == dim1 else column if d == dim2 else next(rest) for d in range(len(shapes[0])))),)


def _diagonal_grad(g: Any, need: Any, out: Any, x: Any, *, offset: int, dim1: int, dim2: int) -> tuple[Any, ...]:
    n, m = x.shape[dim1], x.shape[dim2]
    before = max(-offset, 0)
    after = n - before - g.shape[-1]
    rows = pad(g, 0.0, dim=g.ndim - 1, before=before, after=after) if before or not layout.is_zero(after) else g
    whole = (*rows.shape, m)
    down = reshape(made_by(g, arange, start=offset, step=1, length=n, dtype=dtypes.int64), (n, 1))
    across = made_by(g, arange, start=0, step=1, length=m, dtype=dtypes.int64)
    square = where(eq(down, across), expand(reshape(rows, (*rows.shape, 1)), shape=whole), 0.0)
    places = iter(range(x.ndim - 2))
    order = [x.ndim - 2 if d == dim1 else x.ndim - 1 if d == dim2 else next(places) for d in range(x.ndim)]
    return (permute(square, dims=tuple(order)),)


def _diagonal_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (3, 4, 5), dtypes.float64)
    for offset, a, b in ((0, 0, 1), (1, 1, 2), (-1, 0, 2), (0, 2, 0), (2, 0, 1), (4, 0, 1), (-2, 1, 2)):
        yield Sample((x,), {"offset": offset, "dim1": a, "dim2": b})
    yield Sample((x.astype(np.int16).T[::2],), {"offset": 0, "dim1": 0, "dim2": 1}, note="strided")
    yield Sample((floats(rng, (0, 3)),), {"offset": 0, "dim1": 0, "dim2": 1}, note="empty")
    yield Sample((floats(rng, (4, 4), dtypes.bfloat16),), {"offset": 0, "dim1": 0, "dim2": 1})
    yield Sample((x,), {"offset": 0, "dim1": 1, "dim2": 1}, raises=ShapeError)


def _diagonal_eager(x: Any, *, offset: int, dim1: int, dim2: int) -> Any:
    if dim1 == dim2:
        raise ValueError("two dimensions expected")
    out = np.diagonal(x, offset, dim1, dim2)
    return out if x.size or not out.size else out[..., :0]


#: The elements i of dimension `dim1` and i + offset of `dim2`, as a last dimension. Public: diagonal, diag.
diagonal: Op = register(Op(
    "diagonal", (), _diagonal_infer, _diagonal_eager, _diagonal_grad, Move(_diagonal_index), _diagonal_samples, effects=ALIAS,
    upcast=False, batch=lambda dims, x, *, offset, dim1, dim2: diagonal(front(x, dims[0]), offset=offset, dim1=dim1 + 1,
                                                                        dim2=dim2 + 1),
))  # fmt: skip


# -- sliding windows


def _unfold_infer(x: TensorType, *, dim: int, size: Size, step: Size) -> tuple[TensorType]:
    message = f"unfold: windows of {size}, {step} apart, along dimension {dim} of {layout.describe(x)}"
    if not 0 <= dim < x.ndim or (isinstance(step, int) and step < 1) or (isinstance(size, int) and size < 0):
        raise ShapeError(message)
    room, _ = sizes.bounds(x.shape[dim] - size)
    if room is not None and room < 0 and isinstance(x.shape[dim], int) and isinstance(size, int):
        raise ShapeError(f"{message}: a window does not fit")
    count = sizes.floordiv(x.shape[dim] - size, step) + 1
    shape = (*x.shape[:dim], count, *x.shape[dim + 1 :], size)
    return (view_type(x, shape, (*x.strides[:dim], x.strides[dim] * step, *x.strides[dim + 1 :], x.strides[dim])),)


def _unfold_eager(x: Any, *, dim: int, size: int, step: int) -> Any:
    count = (x.shape[dim] - size) // step + 1
    if count < 1 or step < 1:
        raise ValueError("a window that does not fit")
    shape, strides = [*x.shape, size], [*x.strides, x.strides[dim]]
    shape[dim], strides[dim] = count, strides[dim] * step
    return layout.windowed(x, shape, strides)


def _unfold_index(index: Any, shapes: Any, *, dim: int, size: Size, step: Size) -> Any:
    return ((None, 0, (*index[:dim], index[dim] * step + index[-1], *index[dim + 1 : -1])),)


def _unfold_grad(g: Any, need: Any, out: Any, x: Any, *, dim: int, size: Size, step: Size) -> tuple[Any, ...]:
    count = g.shape[dim]
    order = (*range(dim + 1), g.ndim - 1, *range(dim + 1, g.ndim - 1))
    values = reshape(permute(g, dims=order), (*x.shape[:dim], count * size, *x.shape[dim + 1 :]))
    first = mul(reshape(made_by(g, arange, start=0, step=1, length=count, dtype=dtypes.int64), (count, 1)), step)
    places = add(first, made_by(g, arange, start=0, step=1, length=size, dtype=dtypes.int64))
    return (spread(values, reshape(places, (count * size,)), shape=tuple(x.shape), dims=(dim,), wrap=False),)


def _unfold_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (7, 3), dtypes.float64)
    for dim, size, step in ((0, 3, 1), (0, 2, 2), (0, 2, 3), (1, 3, 1), (1, 1, 1), (0, 7, 4)):
        yield Sample((x,), {"dim": dim, "size": size, "step": step})
    yield Sample((x.astype(np.int32).T[:, ::2],), {"dim": 1, "size": 2, "step": 1}, note="strided")
    yield Sample((floats(rng, (0, 3)),), {"dim": 1, "size": 2, "step": 1}, note="empty")
    yield Sample((x,), {"dim": 0, "size": 8, "step": 1}, raises=ShapeError)
    yield Sample((x,), {"dim": 2, "size": 1, "step": 1}, raises=ShapeError)


#: Windows of `size` elements, `step` apart, along `dim`: their number in its place, their elements last. Public: Tensor.unfold.
unfold: Op = register(Op(
    "unfold", (), _unfold_infer, _unfold_eager, _unfold_grad, Move(_unfold_index), _unfold_samples, effects=ALIAS, upcast=False,
    batch=lambda dims, x, *, dim, size, step: unfold(front(x, dims[0]), dim=dim + 1, size=size, step=step),
))  # fmt: skip
