"""Data movement that copies: flip, roll, and padding with a number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import ShapeError
from .. import dtypes, layout
from ..op import Move, Op, Sample, register
from ..promote import check_fits
from ..sizes import Size
from ..types import TensorType, tensor
from .declare import floats
from .shape import cat, front, slice_


def _check_dims(op: str, x: TensorType, dims: tuple[int, ...]) -> None:
    if len(set(dims)) != len(dims) or not all(0 <= d < x.ndim for d in dims):
        raise ShapeError(f"{op}: dims {list(dims)} do not fit {layout.describe(x)}, or appear twice")


def _flip_infer(x: TensorType, *, dims: tuple[int, ...]) -> tuple[TensorType]:
    _check_dims("flip", x, dims)
    return (tensor(x.shape, x.dtype),)


def _flip_eager(x: Any, *, dims: tuple[int, ...]) -> Any:
    return np.array(np.flip(x, dims), order="C", copy=True)


def _flip_index(index: Any, shapes: Any, *, dims: tuple[int, ...]) -> Any:
    return ((None, 0, tuple(n - 1 - i if d in dims else i for d, (i, n) in enumerate(zip(index, shapes[0], strict=True)))),)


def _flip_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (2, 3, 4), dtypes.float64)
    for dims in ((0,), (2,), (0, 1), (0, 1, 2), ()):
        yield Sample((x,), {"dims": dims})
    yield Sample((x.astype(np.int16).transpose(2, 0, 1),), {"dims": (1,)}, note="transposed")
    yield Sample((floats(rng, (3, 40)),), {"dims": (1,)}, note="rows")
    yield Sample((floats(rng, (0, 3), dtypes.bfloat16),), {"dims": (0,)})
    yield Sample((x,), {"dims": (0, 0)}, raises=ShapeError)
    yield Sample((x,), {"dims": (3,)}, raises=ShapeError)


#: A copy with the order of elements reversed along `dims`. Public: flip, fliplr, flipud.
flip: Op = register(Op(
    "flip", (), _flip_infer, _flip_eager, lambda g, need, out, x, *, dims: (flip(g, dims=dims),), Move(_flip_index),
    _flip_samples, upcast=False, batch=lambda bdims, x, *, dims: flip(front(x, bdims[0]), dims=tuple(d + 1 for d in dims)),
))  # fmt: skip


def rolled(x: Any, shift: Size, dim: int) -> Any:
    """`x` moved on by 0 <= shift <= size along `dim`, what leaves at the end coming in at the start."""
    n = x.shape[dim]
    if layout.is_zero(shift) or layout.same(shift, n):
        return x
    last = slice_(x, dim=dim, start=n - shift, stop=n, step=1)
    return cat(last, slice_(x, dim=dim, start=0, stop=n - shift, step=1), dim=dim)


def _pad_infer(x: TensorType, value: Any, *, dim: int, before: Size, after: Size) -> tuple[TensorType]:
    _check_dims("pad", x, (dim,))
    if any(isinstance(n, int) and n < 0 for n in (before, after)):
        raise ShapeError(f"pad: {before} before and {after} after dimension {dim} of {layout.describe(x, value)}: use slice")
    check_fits("pad", value, x.dtype)
    return (tensor((*x.shape[:dim], before + x.shape[dim] + after, *x.shape[dim + 1 :]), x.dtype),)


def _pad_eager(x: Any, value: Any, *, dim: int, before: int, after: int) -> Any:
    if not 0 <= dim < x.ndim or before < 0 or after < 0:
        raise ValueError("no such dimension, or negative padding")
    out = np.empty((*x.shape[:dim], before + x.shape[dim] + after, *x.shape[dim + 1 :]), x.dtype)
    lead = (slice(None),) * dim
    out[(*lead, slice(before, before + x.shape[dim]))] = x
    fill = np.asarray(value).astype(x.dtype)
    out[(*lead, slice(0, before))] = fill
    out[(*lead, slice(before + x.shape[dim], None))] = fill
    return out


def _pad_index(index: Any, shapes: Any, *, dim: int, before: Size, after: Size) -> Any:
    n, i = shapes[0][dim], index[dim]
    inside = (*index[:dim], i - before, *index[dim + 1 :])
    pieces = [((0, i, before), 1, ())] if not layout.is_zero(before) else []
    pieces.append(((before, i, before + n), 0, inside))  # type: ignore[arg-type]
    return (*pieces, ((before + n, i, before + n + after), 1, ())) if not layout.is_zero(after) else tuple(pieces)


def _pad_grad(g: Any, need: Any, out: Any, x: Any, value: Any, *, dim: int, before: Size, after: Size) -> tuple[Any, ...]:
    return slice_(g, dim=dim, start=before, stop=before + x.shape[dim], step=1), None


def _pad_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (2, 3), dtypes.float64)
    for dim, before, after, value in ((0, 1, 2, 0.5), (1, 0, 3, 0), (1, 2, 0, -1), (0, 0, 0, 1.0)):
        yield Sample((x, value), {"dim": dim, "before": before, "after": after})
    yield Sample((floats(rng, (3, 4), dtypes.int8).T, -1), {"dim": 1, "before": 1, "after": 1}, note="transposed")
    yield Sample((floats(rng, (3,), dtypes.bfloat16), float("-inf")), {"dim": 0, "before": 1, "after": 1})
    yield Sample((floats(rng, (3, 37)), 0.0), {"dim": 1, "before": 5, "after": 2}, note="rows")
    yield Sample((np.array([True, False]), True), {"dim": 0, "before": 1, "after": 0})
    yield Sample((floats(rng, (0, 3)), 2.0), {"dim": 0, "before": 2, "after": 1}, note="empty")
    yield Sample((x, 0.0), {"dim": 2, "before": 1, "after": 1}, raises=ShapeError)
    yield Sample((x, 0.0), {"dim": 0, "before": -1, "after": 1}, raises=ShapeError)


#: A copy with `before` and `after` places of the weak operand around dimension `dim`. Public: F.pad.
pad: Op = register(Op(
    "pad", (), _pad_infer, _pad_eager, _pad_grad, Move(_pad_index), _pad_samples, upcast=False,
    batch=lambda dims, x, value, *, dim, **around: pad(front(x, dims[0]), value, dim=dim + 1, **around),
))  # fmt: skip
