"""Data movement: views (reshape, permute, expand, slice, as_strided), cat, and writing into a window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...errors import AutogradError, ShapeError
from .. import dtypes, layout, sizes
from ..op import Effects, Move, Op, Places, Promote, Sample, Scatter, register
from ..promote import type_of
from ..sizes import Size
from ..types import TensorType, contiguous_strides, numel, tensor
from .creation import arange, filled, made_by, number, size_of, zeros_like
from .declare import floats
from .pointwise import add, mul

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
    return x.reshape(shape, copy=False)


def _view_index(index: Any, shapes: Any, *, shape: tuple[Size, ...]) -> Any:
    if any(isinstance(n, int) and n == -1 for n in shape):
        known = [n for n in shape if not (isinstance(n, int) and n == -1)]
        missing = sizes.floordiv(numel(shapes[0]), numel(known))
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
view: Op = register(Op(
    "view", (), _view_infer, _view_eager, lambda g, need, out, x, *, shape: (reshape(g, x.shape),), Move(_view_index),
    _view_samples, effects=ALIAS, upcast=False, batch=lambda dims, x, *, shape: _view_batch(front(x, dims[0]), shape),
))  # fmt: skip


def reshape(x: Any, shape: Sequence[Size]) -> Any:
    """View `x` as `shape`, through a row-major copy where strides do not allow it. For use in gradient rules."""
    from .casts import contiguous

    shape = tuple(shape)
    strides = type_of(x).strides
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
        strides = contiguous_strides(shape)
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
    yield Sample((x.astype(np.int8)[:, ::2],), {"dims": (1, 2, 0)})
    yield Sample((floats(rng, ()),), {"dims": ()})
    yield Sample((floats(rng, (3, 0)),), {"dims": (1, 0)})
    yield Sample((x,), {"dims": (0, 1)}, raises=ShapeError)


#: Dimensions in another order. Public: permute, transpose, t, T, mT, movedim.
permute: Op = register(Op(
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
            strides.append(x.strides[d - lead] if d >= lead and not layout.is_constant_one(own) else 0)
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
expand: Op = register(Op(
    "expand", (), _expand_infer, _expand_eager, lambda g, need, out, x, *, shape: (g,), Move(_expand_index),
    _expand_samples, effects=ALIAS, upcast=False, batch=_expand_batch,
))  # fmt: skip


def _slice_infer(x: TensorType, *, dim: int, start: Size, stop: Size, step: int = 1) -> tuple[TensorType]:
    if not 0 <= dim < x.ndim or step < 1:
        raise ShapeError(f"slice: dim {dim} step {step} does not fit {layout.describe(x)}")
    length = sizes.floordiv(stop - start + step - 1, step)
    low, _ = sizes.bounds(length)
    room, _ = sizes.bounds(x.shape[dim] - stop)
    fixed = isinstance(stop, int) and isinstance(x.shape[dim], int)
    if (low is not None and low < 0) or (fixed and room is not None and room < 0):
        raise ShapeError(f"slice: [{start}:{stop}:{step}] lies outside dimension {dim} of {layout.describe(x)}")
    shape, strides = list(x.shape), list(x.strides)
    shape[dim], strides[dim] = length, strides[dim] * step
    return (view_type(x, tuple(shape), tuple(strides)),)


def _slice_eager(x: Any, *, dim: int, start: int, stop: int, step: int = 1) -> Any:
    if not 0 <= start <= stop <= x.shape[dim]:
        raise ValueError("slice outside of the dimension")
    return x[(slice(None),) * dim + (slice(start, stop, step),)]


def _slice_index(index: Any, shapes: Any, *, dim: int, start: Size, stop: Size, step: int = 1) -> Any:
    return ((None, 0, (*index[:dim], index[dim] * step + start, *index[dim + 1 :])),)


def _slice_grad(g: Any, need: Any, out: Any, x: Any, *, dim: int, start: Size, stop: Size, step: int = 1) -> tuple[Any, ...]:
    n, shape = x.shape[dim], g.shape
    reached = start + shape[dim] * step
    if step > 1:  # each element followed by step - 1 zeros, of which the last may lie beyond the end
        gaps = filled(g, (*shape[: dim + 1], step - 1, *shape[dim + 1 :]), 0)
        spread = cat(reshape(g, (*shape[: dim + 1], 1, *shape[dim + 1 :])), gaps, dim=dim + 1)
        spread = reshape(spread, (*shape[:dim], shape[dim] * step, *shape[dim + 1 :]))
        inside = sizes.minimum(reached, n)
        g = slice_(spread, dim=dim, start=0, stop=inside - start, step=1)
        reached = inside
    before, after = (filled(g, (*shape[:dim], m, *shape[dim + 1 :]), 0) for m in (start, n - reached))
    kept = [p for p in (before, g, after) if p is g or not layout.is_zero(p.shape[dim])]
    return (cat(*kept, dim=dim) if len(kept) > 1 else g,)


def _slice_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (4, 5))
    for dim, start, stop, step in ((0, 1, 3, 1), (1, 0, 5, 2), (1, 1, 5, 3), (0, 2, 2, 1), (1, 0, 5, 1), (0, 3, 4, 2)):
        yield Sample((x,), {"dim": dim, "start": start, "stop": stop, "step": step})
    yield Sample((x.astype(np.int16).T[::2],), {"dim": 1, "start": 1, "stop": 4, "step": 2})
    yield Sample((floats(rng, (0, 2)),), {"dim": 0, "start": 0, "stop": 0, "step": 1})
    yield Sample((x,), {"dim": 2, "start": 0, "stop": 1, "step": 1}, raises=ShapeError)
    yield Sample((x,), {"dim": 0, "start": 0, "stop": 9, "step": 1}, raises=ShapeError)


#: Every `step`-th element from `start` to `stop` (0 <= start <= stop <= size) along `dim`. Public: indexing, select, narrow.
slice_: Op = register(Op(
    "slice", (), _slice_infer, _slice_eager, _slice_grad, Move(_slice_index), _slice_samples, effects=ALIAS, upcast=False,
    batch=lambda dims, x, *, dim, **where: slice_(front(x, dims[0]), dim=dim + 1, **where),
))  # fmt: skip


def _cat_parts(shapes: Sequence[Any]) -> list[bool]:
    """Which operands count: PyTorch ignores 1-D empty ones among others."""
    empty = [len(s) == 1 and layout.is_zero(s[0]) for s in shapes]
    return [True] * len(shapes) if all(empty) else [not e for e in empty]


def _cat_infer(*xs: TensorType, dim: int) -> tuple[TensorType]:
    if not xs:
        raise ShapeError("cat: needs at least one tensor")
    parts = [x for x, used in zip(xs, _cat_parts([x.shape for x in xs]), strict=True) if used]
    first = parts[0]
    if not 0 <= dim < first.ndim:
        raise ShapeError(f"cat: dim {dim} does not fit {layout.describe(*xs)}")
    total: Size = 0
    for x in parts:
        rest, own = (*first.shape[:dim], *first.shape[dim + 1 :]), (*x.shape[:dim], *x.shape[dim + 1 :])
        if x.ndim != first.ndim or not layout.same_shape(rest, own):
            raise ShapeError(f"cat: {layout.describe(*xs)} differ in a dimension other than {dim}")
        total = total + x.shape[dim]
    return (tensor((*first.shape[:dim], total, *first.shape[dim + 1 :]), first.dtype),)


def _cat_eager(*xs: Any, dim: int) -> Any:
    parts = [x for x, used in zip(xs, _cat_parts([x.shape for x in xs]), strict=True) if used]
    shape = list(parts[0].shape)
    shape[dim] = sum(x.shape[dim] for x in parts)
    return np.concatenate(parts, dim, np.empty(shape, parts[0].dtype))


def _cat_index(index: Any, shapes: Any, *, dim: int) -> Any:
    pieces = []
    start: Size = 0
    for k, (shape, used) in enumerate(zip(shapes, _cat_parts(shapes), strict=True)):
        if used:
            stop = start + shape[dim]
            pieces.append(((start, index[dim], stop), k, (*index[:dim], index[dim] - start, *index[dim + 1 :])))
            start = stop
    return tuple(pieces)


def _cat_grad(g: Any, need: Any, out: Any, *xs: Any, dim: int) -> tuple[Any, ...]:
    grads: list[Any] = []
    start: Size = 0
    for x, wanted, used in zip(xs, need, _cat_parts([x.shape for x in xs]), strict=True):
        n = x.shape[dim] if used else 0
        piece = slice_(g, dim=dim, start=start, stop=start + n, step=1) if wanted and used else None
        grads.append(zeros_like(x) if wanted and not used else piece)
        start = start + n
    return tuple(grads)


def _cat_batch(dims: Any, *xs: Any, dim: int) -> Any:
    n = next(x.shape[d] for x, d in zip(xs, dims, strict=True) if d is not None)
    full = [front(x, d) if d is not None else expand(x, shape=(n, *x.shape)) for x, d in zip(xs, dims, strict=True)]
    used = _cat_parts([x.shape[1:] for x in full])
    return cat(*(x for x, u in zip(full, used, strict=True) if u), dim=dim + 1)


def _cat_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (2, 3))
    yield Sample((x, floats(rng, (2, 1)), x), {"dim": 1})
    yield Sample((x.T, x.T), {"dim": 0}, note="transposed")
    yield Sample((x, floats(rng, (0, 3))), {"dim": 0})
    yield Sample((floats(rng, (0,)), x), {"dim": 0}, note="a 1-D empty tensor is ignored")
    yield Sample((x,), {"dim": 0})
    yield Sample((x.astype(np.int32), x), {"dim": 0}, note="mixed dtypes")
    yield Sample((x.astype(np.float16), x.astype(np.float16)), {"dim": 1})
    yield Sample((floats(rng, (0,)), floats(rng, (0,))), {"dim": 0})
    yield Sample((x, floats(rng, (3, 2))), {"dim": 0}, raises=ShapeError)
    yield Sample((x, x), {"dim": 2}, raises=ShapeError)


#: Tensors joined along `dim`. Public: cat, concat, stack.
cat: Op = register(Op(
    "cat", ("cat(Tensor[] tensors, dim dim=0)",), _cat_infer, _cat_eager, _cat_grad, Move(_cat_index), _cat_samples,
    promote=Promote(), upcast=False, batch=_cat_batch, autocast="promote",
))  # fmt: skip


def _window_fits(op: str, x: TensorType, shape: Any, strides: Any, offset: Size) -> None:
    if not layout.is_row_major(x):
        raise ShapeError(f"{op}: the operand must be row-major, got {layout.describe(x)} with strides {list(x.strides)}")
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    gap, _ = sizes.bounds(numel(x.shape) - 1 - last)
    if isinstance(last, int) and not any(map(layout.is_zero, shape)) and gap is not None and gap < 0:
        raise ShapeError(f"{op}: window {list(shape)} with strides {list(strides)} from {offset} leaves {layout.describe(x)}")


def _as_strided_infer(x: TensorType, *, shape: Any, strides: Any, offset: Size = 0) -> tuple[TensorType]:
    _window_fits("as_strided", x, shape, strides, offset)
    return (view_type(x, tuple(shape), tuple(strides)),)


def _as_strided_eager(x: Any, *, shape: Any, strides: Any, offset: int = 0) -> Any:
    step = x.itemsize
    if offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) >= x.size and 0 not in shape:
        raise ValueError("window outside of the array")
    return layout.windowed(x.reshape(-1)[offset:], shape, [s * step for s in strides])


def _as_strided_index(index: Any, shapes: Any, *, shape: Any, strides: Any, offset: Size = 0) -> Any:
    flat = offset + sum(i * s for i, s in zip(index, strides, strict=True))
    return ((None, 0, layout.unravel(flat, shapes[0])),)


def _as_strided_grad(g: Any, need: Any, out: Any, x: Any, **window: Any) -> tuple[Any, ...]:
    """`g` put back into the window; where elements of the window may be the same one, their gradients are added up."""
    if _is_apart(**window):
        return (as_strided_scatter(zeros_like(x), g, **window),)
    from .indexing import scatter_add

    flat = filled(g, (numel(x.shape),), 0)
    at = reshape(_positions(g, **window), (numel(g.shape),))
    return (reshape(scatter_add(flat, at, reshape(g, (numel(g.shape),)), dim=0), tuple(x.shape)),)


def _is_apart(shape: Any, strides: Any, offset: Size = 0) -> bool:
    """Whether the elements of a window certainly are different ones: each stride steps over all that is inside of it."""
    if any(layout.is_zero(n) for n in shape):
        return True
    real = [(n, s) for n, s in zip(shape, strides, strict=True) if not layout.is_one(n)]
    if not all(isinstance(s, int) for _, s in real):
        return len(real) == 1 and not layout.is_zero(real[0][1])
    reach: Size = 0
    for n, s in sorted(real, key=lambda pair: pair[1]):
        if not isinstance(reach, int) or s <= reach:  # only the widest stride may be taken a symbolic number of times
            return False
        reach = reach + (n - 1) * s
    return True


def _positions(g: Any, shape: Any, strides: Any, offset: Size = 0) -> Any:
    """Where in the operand each element of the window lies: int64, of the window's shape."""
    total = made_by(g, size_of, size=offset)
    for d, (n, s) in enumerate(zip(shape, strides, strict=True)):
        steps = mul(made_by(g, arange, start=0, step=1, length=n, dtype=dtypes.int64), number(g, s))
        total = add(total, reshape(steps, (n, *(1,) * (len(shape) - d - 1))))
    return expand(total, shape=tuple(shape))


def _window_samples(rng: np.random.Generator) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    x = floats(rng, (4, 6), dtypes.float64)
    windows: tuple[Any, ...] = (
        ((2, 3), (6, 1), 1), ((3,), (7,), 0), ((6, 4), (1, 6), 0), ((), (), 5), ((2, 2, 2), (12, 3, 1), 2), ((0, 2), (1, 1), 0),
    )  # fmt: skip
    for shape, strides, offset in windows:
        yield x, floats(rng, shape, dtypes.float64), {"shape": shape, "strides": strides, "offset": offset}


def _as_strided_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for x, _, window in _window_samples(rng):
        yield Sample((x,), window)
    for shape, strides in (((5, 4), (2, 1)), ((3, 4), (0, 2)), ((2, 2, 2), (1, 1, 1)), ((0, 3), (0, 0)), ((1, 3), (0, 5))):
        yield Sample((floats(rng, (4, 6), dtypes.float64),), {"shape": shape, "strides": strides, "offset": 3}, note="overlap")
    yield Sample((floats(rng, (4,)),), {"shape": (3,), "strides": (2,), "offset": 0}, raises=ShapeError)


#: A window on a row-major operand: element i of the result is element offset + sum(i * strides) of the operand.
as_strided: Op = register(Op(
    "as_strided", (), _as_strided_infer, _as_strided_eager, _as_strided_grad, Move(_as_strided_index), _as_strided_samples,
    effects=ALIAS, upcast=False, batch=lambda dims, x, **window: _as_strided_batch(front(x, dims[0]), **window),
))  # fmt: skip


def _as_strided_batch(x: Any, *, shape: Any, strides: Any, offset: Size = 0) -> Any:
    from .casts import contiguous

    x = reshape(contiguous(x), (x.shape[0], numel(x.shape[1:])))
    return as_strided(x, shape=(x.shape[0], *shape), strides=(x.shape[1], *strides), offset=offset)


def _scatter_infer(x: TensorType, y: TensorType, *, shape: Any, strides: Any, offset: Size = 0) -> tuple[TensorType]:
    _window_fits("as_strided_scatter", x, shape, strides, offset)
    if x.dtype is not y.dtype or not layout.same_shape(y.shape, tuple(shape)):
        raise ShapeError(f"as_strided_scatter: a window of shape {list(shape)} does not take {layout.describe(x, y)}")
    return (tensor(x.shape, x.dtype),)


def _scatter_eager(x: Any, y: Any, **window: Any) -> Any:
    out = np.array(x, order="C", copy=True)
    _as_strided_eager(out, **window)[...] = y
    return out


def _scatter_grad(g: Any, need: Any, out: Any, x: Any, y: Any, **window: Any) -> tuple[Any, ...]:
    from .casts import contiguous

    if need[1] and not _is_apart(**window):
        raise AutogradError(
            f"as_strided_scatter: elements of the window {list(window['shape'])} with strides {list(window['strides'])} may be "
            "the same one, and which of the values is kept is not defined; write into a window without overlap"
        )

    g = contiguous(g)
    return as_strided_scatter(g, zeros_like(y), **window) if need[0] else None, as_strided(g, **window) if need[1] else None


def _scatter_places(index: Any, shapes: Any, *, shape: Any, strides: Any, offset: Size = 0) -> Places:
    flat = offset + sum(i * s for i, s in zip(index, strides, strict=True))
    return Places(layout.unravel(flat, shapes[0]), ())


def _scatter_serial(shapes: Any, **window: Any) -> tuple[int, ...]:
    return () if _is_apart(**window) else tuple(range(len(window["shape"])))


def _scatter_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for x, y, window in _window_samples(rng):
        yield Sample((x, y), window)
    yield Sample((floats(rng, (4,)), floats(rng, (3,))), {"shape": (2,), "strides": (2,), "offset": 0}, raises=ShapeError)


def _scatter_batch(dims: Any, x: Any, y: Any, *, shape: Any, strides: Any, offset: Size = 0) -> Any:
    from .casts import contiguous

    n = next(v.shape[d] for v, d in zip((x, y), dims, strict=True) if d is not None)
    x, y = (front(v, d) if d is not None else expand(v, shape=(n, *v.shape)) for v, d in zip((x, y), dims, strict=True))
    each = numel(x.shape[1:])
    return as_strided_scatter(contiguous(x), y, shape=(n, *shape), strides=(each, *strides), offset=offset)


#: A copy of a row-major operand in which the window of `as_strided` holds the second operand: a write through a view.
as_strided_scatter: Op = register(Op(
    "as_strided_scatter", (), _scatter_infer, _scatter_eager, _scatter_grad,
    Scatter(_scatter_places, _scatter_serial, lambda **window: None), _scatter_samples, upcast=False, batch=_scatter_batch,
))  # fmt: skip
