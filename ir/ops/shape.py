"""Data movement: views (reshape, permute, expand, slice, as_strided), cat, and writing into a window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...errors import ShapeError
from .. import layout, sizes
from ..op import Effects, Move, Op, Sample, register
from ..sizes import Size
from ..types import TensorType
from .declare import floats

ALIAS = Effects(aliases=0)


def _view_infer(x: TensorType, *, shape: tuple[Size, ...]) -> tuple[TensorType]:
    shape = layout.resolve_shape("view", shape, x)
    strides = layout.view_strides(x, shape)
    if strides is None:
        raise ShapeError(
            f"view: {layout.describe(x)} with strides {list(x.strides)} cannot be seen as [{','.join(map(str, shape))}] "
            "without a copy; use reshape"
        )
    return (TensorType(shape, x.dtype, strides),)


def _view_eager(x: Any, *, shape: tuple[int, ...]) -> Any:
    out = x.view()
    out.shape = shape  # unlike reshape, never a copy
    return out


def _view_index(index: Any, shapes: Any, *, shape: tuple[Size, ...]) -> Any:
    if any(isinstance(n, int) and n == -1 for n in shape):
        known = [n for n in shape if not (isinstance(n, int) and n == -1)]
        missing = sizes.floordiv(layout.numel(shapes[0]), layout.numel(known))
        shape = tuple(missing if isinstance(n, int) and n == -1 else n for n in shape)
    return ((None, 0, layout.regroup(index, shape, shapes[0])),)


def _view_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (2, 3, 4))
    for shape in ((24,), (6, 4), (2, 12), (4, 6), (2, -1), (1, 2, 1, 3, 4), (3, 2, 2, 2)):
        yield Sample((x,), {"shape": shape})
    yield Sample((floats(rng, ()),), {"shape": (1, 1)})
    yield Sample((floats(rng, (0, 3)),), {"shape": (3, 0, 2)})
    yield Sample((x.transpose(2, 0, 1),), {"shape": (4, 6)}, note="a view of a transposed tensor")
    yield Sample((x[:, ::2],), {"shape": (2, 2, 2, 2)}, note="strided")
    yield Sample((floats(rng, (1, 5))[:, ::2],), {"shape": (3, 1)})
    yield Sample((x,), {"shape": (5, 5)}, raises=ShapeError)
    yield Sample((x.transpose(2, 1, 0),), {"shape": (24,)}, raises=ShapeError)
    yield Sample((x,), {"shape": (-1, 7)}, raises=ShapeError)


#: The same elements in row-major order under another shape (one size may be -1); never copies. Public: view, reshape.
view = register(Op(
    "view", (), _view_infer, _view_eager, lambda g, need, out, x, *, shape: (reshape(g, x.shape),), Move(_view_index),
    _view_samples, effects=ALIAS, upcast=False, batch=lambda dims, x, *, shape: _view_batch(front(x, dims[0]), shape),
))  # fmt: skip


def reshape(x: Any, shape: Sequence[Size]) -> Any:
    """View `x` as `shape`, through a row-major copy where strides do not allow it. For use in gradient rules."""
    from .casts import contiguous

    shape = tuple(shape)
    strides = getattr(x, "type", x).strides
    known = TensorType(tuple(x.shape), x.dtype, tuple(strides() if callable(strides) else strides))
    if layout.view_strides(known, layout.resolve_shape("reshape", shape, known)) is None:
        x = contiguous(x)
    return view(x, shape=shape)


def _view_batch(x: Any, shape: tuple[Size, ...]) -> Any:
    each = TensorType(tuple(x.shape[1:]), x.dtype, ())
    return reshape(x, (x.shape[0], *layout.resolve_shape("view", shape, each)))


def _permute_infer(x: TensorType, *, dims: tuple[int, ...]) -> tuple[TensorType]:
    if sorted(dims) != list(range(x.ndim)):
        raise ShapeError(f"permute: dims {list(dims)} are no order of the {x.ndim} dimensions of {layout.describe(x)}")
    strides = tuple(x.strides[d] for d in dims)
    return (view_type(x, tuple(x.shape[d] for d in dims), strides),)


def view_type(x: TensorType, shape: tuple[Size, ...], strides: tuple[Size, ...]) -> TensorType:
    """Type of a view; row-major strides where it is empty."""
    if any(layout.is_zero(n) for n in shape):
        strides = layout.contiguous_strides(shape)
    return TensorType(shape, x.dtype, strides)


def inverse(dims: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes `dims`."""
    out = [0] * len(dims)
    for i, d in enumerate(dims):
        out[d] = i
    return tuple(out)


def _permute_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (2, 3, 4))
    for dims in ((2, 1, 0), (0, 2, 1), (0, 1, 2)):
        yield Sample((x,), {"dims": dims})
    yield Sample((x[:, ::2].astype(np.int8),), {"dims": (1, 2, 0)})
    yield Sample((floats(rng, ()),), {"dims": ()})
    yield Sample((floats(rng, (3, 0)),), {"dims": (1, 0)})
    yield Sample((x,), {"dims": (0, 1)}, raises=ShapeError)


#: Dimensions in another order. Public: permute, transpose, t, T, mT, movedim.
permute = register(Op(
    "permute", (), _permute_infer, lambda x, *, dims: np.transpose(x, dims),
    lambda g, need, out, x, *, dims: (permute(g, dims=inverse(dims)),),
    Move(lambda index, shapes, *, dims: ((None, 0, tuple(index[i] for i in inverse(dims))),)),
    _permute_samples, effects=ALIAS, upcast=False,
    batch=lambda bdims, x, *, dims: permute(front(x, bdims[0]), dims=(0, *(d + 1 for d in dims))),
))  # fmt: skip


def front(x: Any, dim: int | None) -> Any:
    """`x` with dimension `dim` moved to the front; as it is where `dim` is None or 0."""
    if not dim:
        return x
    return permute(x, dims=(dim, *(d for d in range(x.ndim) if d != dim)))


def _expand_infer(x: TensorType, *, shape: tuple[Size, ...]) -> tuple[TensorType]:
    lead = len(shape) - x.ndim
    if lead < 0:
        raise ShapeError(f"expand: {layout.describe(x)} has more dimensions than the shape [{','.join(map(str, shape))}]")
    out: list[Size] = []
    strides: list[Size] = []
    for d, n in enumerate(shape):
        own = x.shape[d - lead] if d >= lead else 1
        keep = isinstance(n, int) and n == -1 and d >= lead
        if keep or layout.same(own, n):
            out.append(own)
            strides.append(x.strides[d - lead] if d >= lead else 0)
        elif layout.is_one(own) and not (isinstance(n, int) and n < 0):
            out.append(n)
            strides.append(0)
        else:
            raise ShapeError(f"expand: {layout.describe(x)} does not expand to [{','.join(map(str, shape))}]: dimension {d}")
    return (view_type(x, tuple(out), tuple(strides)),)


def _expand_eager(x: Any, *, shape: tuple[int, ...]) -> Any:
    lead = len(shape) - x.ndim
    full = tuple(x.shape[d - lead] if n == -1 and d >= lead else n for d, n in enumerate(shape))
    return np.broadcast_to(x, full)


def _expand_index(index: Any, shapes: Any, *, shape: tuple[Size, ...]) -> Any:
    own = index[len(index) - len(shapes[0]) :]
    return ((None, 0, tuple(0 if layout.is_one(n) else i for i, n in zip(own, shapes[0], strict=True))),)


def _expand_batch(dims: Any, x: Any, *, shape: tuple[Size, ...]) -> Any:
    x = aligned(front(x, dims[0]), len(shape) + 1)
    return expand(x, shape=(x.shape[0], *shape))


def aligned(x: Any, ndim: int) -> Any:
    """`x`, whose first dimension is the batch, with dimensions of size 1 behind it up to `ndim` in all."""
    missing = ndim - x.ndim
    return x if missing <= 0 else view(x, shape=(x.shape[0], *(1,) * missing, *x.shape[1:]))


def _expand_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (3, 1))
    for shape in ((3, 4), (2, 3, 4), (-1, 5), (3, 1), (2, 1, -1, 4), (3, 0)):
        yield Sample((x,), {"shape": shape})
    yield Sample((floats(rng, ()),), {"shape": (2, 2)})
    yield Sample((floats(rng, (4, 3)).T[1:2],), {"shape": (2, 4)})
    yield Sample((x,), {"shape": (4, 4)}, raises=ShapeError)
    yield Sample((x,), {"shape": (3,)}, raises=ShapeError)


#: Dimensions of size 1 repeated with stride 0, and new ones in front; -1 keeps a size. Public: expand, broadcast_to.
expand = register(Op(
    "expand", (), _expand_infer, _expand_eager, lambda g, need, out, x, *, shape: (g,), Move(_expand_index),
    _expand_samples, effects=ALIAS, upcast=False, batch=_expand_batch,
))  # fmt: skip
