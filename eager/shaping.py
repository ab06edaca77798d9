"""Shapes under PyTorch's names, over the records of views and moves: pieces, stacks, repeats, diagonals, windows, writes into
a part. Each is `@pure`; none looks at values but `repeat_interleave` at the counts of a tensor."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ShapeError
from ..ir import dtypes, layout
from ..ir.ops import casts, indexing, views
from ..ir.ops import shape as shapes
from ..ir.ops.compare import eq, where
from ..ir.ops.complexes import conj
from ..ir.ops.creation import filled
from . import functional as f
from . import generated as g
from .arguments import size_of, wrap_dim
from .arranging import flip, movedim
from .carried import window
from .device import made_beside, placed
from .executor import apply
from .factory import make, make_view, storage_of
from .inplace import store_checked, view_root
from .outputs import fills, matched
from .pure import pure
from .recall import viewing
from .reducing import index_along
from .served import served

if TYPE_CHECKING:
    from .tensor import Tensor

# -- names for what there is


@pure
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """`transpose`."""
    return f.transpose(input, axis0, axis1)


@pure
def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions swapped, conjugated where complex."""
    return f.transpose(conj(input) if input.meta.dtype.kind == "c" else input, -2, -1)


@pure
def hermitian(self: Tensor) -> Tensor:
    """A matrix transposed and conjugated."""
    if self.ndim not in (0, 2):
        raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {self.ndim}-D tensor.")
    return adjoint(self) if self.ndim else self


@pure
def ravel(input: Tensor) -> Tensor:
    """The elements in a row, without a copy where strides allow it."""
    return f.contiguous(f.reshape(input, -1))


@pure
def squeeze_(self: Tensor, dim: Any = None) -> Tensor:
    """`squeeze` of this very tensor."""
    return _become(self, f.squeeze(self, dim))  # type: ignore[no-any-return]


@pure
def unsqueeze_(self: Tensor, dim: int) -> Tensor:
    """`unsqueeze` of this very tensor."""
    return _become(self, f.unsqueeze(self, dim))  # type: ignore[no-any-return]


@pure
def transpose_(self: Tensor, dim0: int, dim1: int) -> Tensor:
    """`transpose` of this very tensor."""
    return _become(self, f.transpose(self, dim0, dim1))  # type: ignore[no-any-return]


@pure
def t_(self: Tensor) -> Tensor:
    """`t` of this very tensor."""
    return _become(self, f.t(self))  # type: ignore[no-any-return]


def _become(x: Any, view: Any) -> Any:
    """`x` as `view`, one of its own views."""
    if x._array is None:
        raise RuntimeError("an in-place change of a tensor's shape cannot be traced: use the form without the underscore")
    if view is not x:
        x.meta, x._array, x._storage, x._offset, x._node = view.meta, view._array, storage_of(view), view._offset, view._node
    return x


# -- pieces


@pure
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of pieces along `dim`: so many of nearly equal size, or cut at the given positions."""
    at = wrap_dim(dim, input.ndim)
    if not input.ndim:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    n, cuts = input.shape[at], indices_or_sections
    cuts = cuts.tolist() if hasattr(cuts, "meta") else cuts
    if isinstance(cuts, (tuple, list)):
        bounds = [0, *(b for b in cuts), n]
        clipped = [_clipped(b, n) for b in bounds]
        pairs = itertools.pairwise(clipped)
        return tuple([f.narrow(input, at, min(a, n), max(b - a, 0)) for a, b in pairs])
    if cuts <= 0:
        raise RuntimeError(f"number of sections must be larger than 0, got {cuts}")
    count, pieces, start = int(cuts), [], 0
    for k in range(count):
        length = n // count + (1 if k < n % count else 0)
        pieces.append(f.narrow(input, at, start, length))
        start = start + length
    return tuple(pieces)


def _clipped(b: Any, n: Any) -> Any:
    b = b + n if b < 0 else b
    return 0 if b < 0 else n if b > n else b


def _split_along(name: str, least: int, dim: int) -> Any:
    @pure
    def split(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
        if input.ndim < least:
            raise RuntimeError(f"{name} requires a tensor with at least {least} dimension{'s' if least > 1 else ''}, but got a "
                               f"tensor with {input.ndim} dimensions!")  # fmt: skip
        along = 0 if name == "hsplit" and input.ndim == 1 else dim
        n = input.shape[along]
        if isinstance(indices_or_sections, int) and (indices_or_sections <= 0 or n % indices_or_sections):
            raise RuntimeError(f"{name} attempted to split along dimension {along}, but the size of the dimension {n} is not "
                               f"divisible by the split_size {indices_or_sections}!")  # fmt: skip
        return tensor_split(input, indices_or_sections, along)

    split.__name__ = split.__qualname__ = name
    split.__doc__ = f"`tensor_split` along dimension {dim}, into equal pieces or at positions."
    return split


hsplit, vsplit, dsplit = _split_along("hsplit", 1, 1), _split_along("vsplit", 2, 0), _split_along("dsplit", 3, 2)


@pure
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of pieces of the given sizes along `dim`."""
    return f.split(input, list(split_sizes), dim)


# -- stacks


def _listed(tensors: Any) -> list[Any]:
    return list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else list(tensors)


def _each(fn: Any, tensors: Any) -> Any:
    if len(tensors) == 1 and hasattr(tensors[0], "meta"):
        return fn(tensors[0])
    return tuple([fn(x) for x in _listed(tensors)])


@pure
def atleast_1d(*tensors: Any) -> Any:
    """Tensors with a dimension of size 1 where they have none."""
    return _each(lambda x: x if x.ndim else f.reshape(x, 1), tensors)


@pure
def atleast_2d(*tensors: Any) -> Any:
    """Tensors with dimensions of size 1 in front up to two."""
    return _each(lambda x: x if x.ndim >= 2 else f.reshape(x, (1,) * (2 - x.ndim) + tuple(x.shape)), tensors)


@pure
def atleast_3d(*tensors: Any) -> Any:
    """Tensors with dimensions of size 1 around up to three."""
    return _each(_three_dims, tensors)


def _three_dims(x: Any) -> Any:
    if x.ndim >= 3:
        return x
    return f.unsqueeze(atleast_2d(x), -1)


def _some(name: str, tensors: Any) -> Any:
    """`tensors`; RuntimeError where there are none."""
    if not len(tensors):
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return tensors


@pure
def hstack(tensors: Sequence[Tensor], *, out: Any = None) -> Tensor:
    """Tensors side by side: joined along dimension 1, vectors along 0."""
    parts = [atleast_1d(x) for x in _some("hstack", tensors)]
    return g.cat(parts, 0 if parts[0].ndim == 1 else 1, out=out)


@pure
def vstack(tensors: Sequence[Tensor], *, out: Any = None) -> Tensor:
    """Tensors on top of each other: rows joined along dimension 0."""
    return g.cat([atleast_2d(x) for x in _some("vstack", tensors)], 0, out=out)


@pure
def dstack(tensors: Sequence[Tensor], *, out: Any = None) -> Tensor:
    """Tensors joined along dimension 2."""
    return g.cat([atleast_3d(x) for x in _some("dstack", tensors)], 2, out=out)


@pure
def column_stack(tensors: Sequence[Tensor], *, out: Any = None) -> Tensor:
    """Vectors as columns, joined with matrices along dimension 1."""
    return g.cat([f.reshape(x, (x.numel(), 1)) if x.ndim < 2 else x for x in tensors], 1, out=out)


@pure
def block_diag(*tensors: Any) -> Tensor:
    """Matrices along the diagonal of a matrix of zeros."""
    parts = [atleast_2d(x) for x in tensors]
    for x in parts:
        if x.ndim > 2:
            raise RuntimeError(f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Got a tensor of {x.ndim}")
    width, rows, left = sum(x.shape[1] for x in parts), [], 0
    for x in parts:
        right = width - left - x.shape[1]
        before, after = (filled(x, (x.shape[0], n), 0) for n in (left, right))
        rows.append(g.cat([before, x, after], 1))
        left += x.shape[1]
    return g.cat(rows, 0)


@pure
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Tensors expanded to their common shape."""
    given = _listed(tensors)
    shape = layout.broadcast_shapes("broadcast_tensors", [x.shape for x in given], [x.meta.type for x in given])
    return tuple([f.expand(x, shape) for x in given])


@pure
def cartesian_prod(*tensors: Any) -> Tensor:
    """Every combination of an element of each vector, one a row."""
    from .arranging import meshgrid

    given = _listed(tensors)
    if len(given) == 1:
        return given[0]  # type: ignore[no-any-return]
    return f.stack([f.reshape(x, -1) for x in meshgrid(*given)], 1)


# -- repeats


@pure
def tile(input: Tensor, *counts: Any, dims: Any = None) -> Tensor:
    """`repeat`, with ones in front of too few counts."""
    times = size_of(counts if dims is None else (dims,))
    return f.repeat(input, (1,) * (input.ndim - len(times)) + times)


@served
@pure
def repeat_interleave(input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None) -> Tensor:
    """Each slice along `dim` (without: each element) `repeats` times; a tensor says how often each. Counts alone: the number of
    each, as often as it says."""
    if repeats is None:
        counts = input.storage.read(input)
        return made_beside(np.repeat(np.arange(len(counts)), counts), input)  # type: ignore[no-any-return]
    x = f.reshape(input, -1) if dim is None else input if input.ndim else f.reshape(input, 1)
    at = wrap_dim(0 if dim is None else dim, x.ndim)
    if hasattr(repeats, "meta") and repeats.numel() == 1 and repeats._array is not None:
        repeats = int(repeats.item())
    if not hasattr(repeats, "meta"):
        if repeats < 0:
            raise RuntimeError("Repeats must be non-negative")
        shape = tuple(x.shape)
        wide = f.expand(f.unsqueeze(x, at + 1), (*shape[: at + 1], repeats, *shape[at + 1 :]))
        wide = apply(casts.contiguous, (wide,), {})
        return shapes.reshape(wide, (*shape[:at], shape[at] * repeats, *shape[at + 1 :]))  # type: ignore[no-any-return]
    if repeats.ndim != 1 or repeats.shape[0] != x.shape[at]:
        raise RuntimeError(f"repeats must have the same size as input along dim, but got repeats.size(0) = {repeats.shape[0]} "
                           f"and input.size({at}) = {x.shape[at]}")  # fmt: skip
    counts = repeats.storage.read(repeats)
    if (counts < 0).any():
        raise RuntimeError("repeats can not be negative")
    places = made_beside(np.repeat(np.arange(len(counts)), counts), x)
    return apply(indexing.index, (x, places), {"dims": (at,), "wrap": False})  # type: ignore[no-any-return]


@served
@pure
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned `k` times by 90 degrees from the first of `dims` towards the second."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    a, b = (wrap_dim(d, input.ndim) for d in dims)
    if a == b:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {a} and dim1 = {b}")
    turns = k % 4
    if turns == 0:
        return g.clone(input)
    if turns == 2:
        return flip(input, a, b)
    return f.transpose(flip(input, b), a, b) if turns == 1 else flip(f.transpose(input, a, b), b)


# -- diagonals and windows


@pure
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A view of the diagonal of two dimensions, as a last dimension."""
    a, b = wrap_dim(dim1, input.ndim), wrap_dim(dim2, input.ndim)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return apply(views.diagonal, (input,), {"offset": offset, "dim1": a, "dim2": b})  # type: ignore[no-any-return]


@served
@pure
def diag(input: Tensor, diagonal: int = 0, *, out: Any = None) -> Tensor:
    """A vector on the diagonal of a square matrix; of a matrix a copy of its diagonal."""
    if input.ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    result = diag_embed(input, diagonal) if input.ndim == 1 else g.clone(_diagonal(input, diagonal))
    return matched(result, out)  # type: ignore[no-any-return]


_diagonal = diagonal


@pure
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices in two new dimensions with the last dimension of `input` on their diagonal."""
    a, b = wrap_dim(dim1, input.ndim + 1), wrap_dim(dim2, input.ndim + 1)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    a, b, offset = (a, b, offset) if a < b else (b, a, -offset)
    size = input.shape[-1] + abs(offset)
    zeros = filled(input, (*input.shape[:-1], size, size), 0)
    return movedim(diagonal_scatter(zeros, input, offset, -2, -1), (-2, -1), (a, b))


@pure
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The elements in a row on the diagonal of a square matrix."""
    return diag_embed(f.reshape(input, -1), offset)


@pure
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of `input` with `src` on the diagonal of two dimensions."""
    a, b = wrap_dim(dim1, input.ndim), wrap_dim(dim2, input.ndim)
    part = diagonal(input, offset, a, b)
    if part.shape != src.shape:
        raise RuntimeError(f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
                           f"{list(part.shape)}")  # fmt: skip
    x = movedim(input, (a, b), (-2, -1))
    n = x.shape[-2]
    before = max(-offset, 0)
    from .arranging import pad

    rows = pad(src, (before, n - before - src.shape[-1]))
    on = eq(f.unsqueeze(index_along(x, -2), 1) + offset, index_along(x, -1))
    mixed = where(on, f.expand(f.unsqueeze(f.to(rows, x.dtype), -1), x.shape), x)
    return f.contiguous(movedim(mixed, (-2, -1), (a, b)))


@pure
def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """The main diagonal `fill_value`; with `wrap` of a tall matrix again below it."""
    if self.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    if self.ndim > 2:
        if len(set(self.shape)) > 1:
            raise RuntimeError("all dimensions of input must be of equal length")
        on = eq(index_along(self, 0), index_along(self, 0))
        for d in range(1, self.ndim):
            a = f.reshape(index_along(self, 0), (-1, *(1,) * (self.ndim - 1)))
            b = f.reshape(index_along(self, d), (-1, *(1,) * (self.ndim - 1 - d)))
            on = eq(a, b) if d == 1 else g.logical_and(on, eq(a, b))
    else:
        rows, columns = f.unsqueeze(index_along(self, 0), 1), index_along(self, 1)
        on = eq(g.remainder(rows, self.shape[1] + 1) if wrap else rows, columns)
    from .reducing import masked_fill

    return store_checked(self, masked_fill(self, on, fill_value))  # type: ignore[no-any-return]


@pure
@viewing
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """A view of the windows of `size` elements, `step` apart, along `dimension`; their elements are the last dimension."""
    x = self if self.ndim else f.reshape(self, 1)
    at = wrap_dim(dimension, x.ndim)
    if not self.ndim:
        return f.reshape(x, -1) if size else f.reshape(x, -1)[:0]
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if size > x.shape[at]:
        raise RuntimeError(f"maximum size for tensor at dimension {at} is {x.shape[at]} but size is {size}")
    return apply(views.unfold, (x,), {"dim": at, "size": size, "step": step})  # type: ignore[no-any-return]


def as_strided(input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Tensor:
    """A view of the storage of `input`: element i lies ``storage_offset + sum(i * stride)`` elements behind its start."""
    shape, strides = size_of((size,)), size_of((stride,))
    if len(shape) != len(strides):
        raise RuntimeError("mismatch in length of strides and shape")
    offset = (input._offset or 0) if storage_offset is None else storage_offset
    traced = input._array is None
    if traced and _is_made_here(input):
        return _window_of_made(input, {"shape": shape, "strides": strides, "offset": offset})
    if traced and (storage_offset is not None or not _within(input, shape, strides)):
        storage_of(input).read(input)  # an input of a graph may be a view: how far into its storage it begins is not known
    if (input.meta.requires_grad or traced) and layout.is_row_major(input.meta.type) and not input._offset:
        attrs = {"shape": shape, "strides": strides, "offset": offset}
        return apply(shapes.as_strided, (input,), attrs)  # type: ignore[no-any-return]
    root: Any = view_root(input)
    if root is not input and _is_whole(root) and _inside(input, shape, strides, offset):
        part = {"shape": shape, "strides": strides, "offset": offset}
        return apply(shapes.as_strided, (root,), part)  # type: ignore[no-any-return]
    if input.meta.requires_grad:
        raise NotImplementedError(_VIEW_WITH_GRAD)
    storage: Any = storage_of(input)
    step = input.meta.dtype.itemsize
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    count = storage.nbytes // step if storage.on_device else storage.flat.size
    if 0 not in shape and not (offset >= 0 and last < count):
        raise RuntimeError(f"setStorage: sizes {list(shape)}, strides {list(strides)}, storage offset {offset} are out of bounds "
                           f"for storage of {count} elements")  # fmt: skip
    if storage.on_device:
        return window(input, offset - (input._offset or 0), shape, strides)  # type: ignore[no-any-return]
    flat = storage.flat
    return make_view(layout.windowed(flat[offset:], shape, [s * step for s in strides]), input)


_VIEW_WITH_GRAD = "as_strided of a view that requires grad: take it of the tensor that the view was made of"


def _is_whole(root: Any) -> bool:
    """Whether a tensor that views were made of can be asked for any element of its memory by its place."""
    return root._array is not None and not root._offset and layout.is_row_major(root.meta.type)


def _is_made_here(x: Any) -> bool:
    """Whether a traced tensor lies in memory that its graph makes, all of which the graph knows."""
    storage = x._storage
    fresh = getattr(storage.recorder, "is_fresh", None)  # levels of vmap and forward_ad have none
    return not storage.on_device and fresh is not None and fresh(x) and bool(storage.cover.type.is_contiguous)


def _window_of_made(x: Any, window: dict[str, Any]) -> Tensor:
    """A window on all of the memory that a traced tensor, maybe a view, lies in; gradients reach what `x` shows."""
    whole = x._storage.recorder.whole(x)
    if not x.meta.requires_grad:
        whole = apply(casts.detach, (whole,), {}) if whole.meta.requires_grad else whole
    elif not _inside(x, **window):  # its other elements are constants, as in PyTorch
        shown = {"shape": x.meta.shape, "strides": x.meta.strides, "offset": x._offset or 0}
        whole = apply(shapes.as_strided_scatter, (apply(casts.detach, (whole,), {}), x), shown)
    return apply(shapes.as_strided, (whole,), window)  # type: ignore[no-any-return]


def _inside(x: Any, shape: Sequence[int], strides: Sequence[int], offset: int) -> bool:
    """Whether a window on the memory of `x` shows nothing but elements of `x`, which fills all between its ends."""
    first, meta = x._offset or 0, x.meta
    reach = sum((n - 1) * s for n, s in zip(meta.shape, meta.strides, strict=True)) + 1
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    return 0 not in shape and 0 not in meta.shape and reach == x.numel() and first <= offset and last < first + reach


def _within(input: Tensor, shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether a window from the first element of `input` on, which is row-major, stays inside of it."""
    return 0 in shape or sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) < input.numel()


# -- writes into a part, out of place


@pure
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of `input` with `src` at position `index` of `dim`."""
    at = wrap_dim(dim, input.ndim)
    i = index + input.shape[at] if index < 0 else index
    return slice_scatter(input, f.unsqueeze(src, at), at, i, i + 1)


@fills
@pure
def slice_scatter(input: Tensor, src: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Tensor:
    """A copy of `input` with `src` in the slice ``start:end:step`` of `dim`."""
    at = wrap_dim(dim, input.ndim)
    out = g.clone(input)
    part = out[(slice(None),) * at + (slice(start, end, step),)]
    if part.shape != src.shape:
        raise ShapeError(f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice size = "
                         f"{list(part.shape)}")  # fmt: skip
    store_checked(part, f.to(src, input.dtype))
    return out


def _triangle_places(row: int, col: int, offset: int, dtype: Any, device: Any, upper: bool) -> Any:
    from .arguments import to_dtype

    found = np.triu_indices(row, offset, col) if upper else np.tril_indices(row, offset, col)
    return placed(make(np.stack(found).astype((to_dtype(dtype) or dtypes.int64).np)), device)


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None) -> Tensor:
    """Rows and columns of the elements on and below a diagonal: int64[2, n]."""
    return _triangle_places(row, col, offset, dtype, device, False)  # type: ignore[no-any-return]


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None) -> Tensor:
    """Rows and columns of the elements on and above a diagonal: int64[2, n]."""
    return _triangle_places(row, col, offset, dtype, device, True)  # type: ignore[no-any-return]
