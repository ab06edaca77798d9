"""Reading and writing at positions held in tensors, under PyTorch's names: over the records of `ir.ops.indexing`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DTypeError, PositionError, ShapeError
from ..ir import dtypes
from ..ir.layout import broadcast_shapes
from ..ir.ops import indexing, pointwise, scans
from ..ir.ops.creation import filled
from . import generated as g
from .arguments import wrap_dim
from .creation import full
from .device import made_beside
from .executor import apply, is_plain
from .factory import make
from .functional import expand, narrow, reshape, stack, to, unsqueeze
from .generated import where
from .indexing import positions_of as indexing_of
from .inplace import store_checked
from .modes import no_grad
from .outputs import fills, into
from .pure import pure
from .reducing import index_along
from .served import served

if TYPE_CHECKING:
    from .tensor import Tensor

_NONE: dict[str, Any] = {}
_MOST = (1 << 63) - 1  # one more has no int64


@served
@pure
def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """The rows of `weight` (entries, width) at the positions `input`; row `padding_idx` gets no gradient. With `max_norm` the
    rows asked for are first scaled, in place, to norms of at most that; `scale_grad_by_freq`: gradients over how often a row is
    asked for."""
    if max_norm is not None:
        _renormed(weight, input, max_norm, norm_type)
    if padding_idx is not None:
        rows = weight.shape[0]
        if not -rows <= padding_idx < rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx = padding_idx + rows if padding_idx < 0 else padding_idx
    found: Tensor = apply(indexing.embedding, (weight, input), {"padding_idx": padding_idx})
    return _by_frequency(found, input, weight.shape[0]) if scale_grad_by_freq else found


def _renormed(weight: Tensor, index: Tensor, most: float, order: float) -> None:
    """Scale the rows at `index` of the table, in place, where their norm is more than `most`."""
    with no_grad():
        flat = index.reshape(-1)
        rows = apply(indexing.embedding, (weight, flat), {"padding_idx": None})
        length = rows.norm(order, -1, True)
        weight.index_copy_(0, flat.long(), where(length > most, rows * (most / (length + 1e-7)), rows))


def _by_frequency(rows: Tensor, index: Tensor, count: int) -> Tensor:
    """`rows`, whose gradients are divided by how often `index` has their position."""
    flat = index.reshape(-1).long()
    times = rows.new_zeros((count,)).index_add(0, flat, rows.new_ones((flat.shape[0],)))
    share = (1 / times[flat]).reshape((*index.shape, 1))
    return rows.detach() + (rows - rows.detach()) * share  # type: ignore[no-any-return]


def _flat_index(name: str, index: Tensor) -> Tensor:
    if index.ndim > 1:
        raise PositionError(f"{name}(): Index is supposed to be a vector, got {index.dtype.name}{list(index.shape)}")
    return index if index.ndim else unsqueeze(index, 0)


@served
@pure
def index_select(input: Tensor, dim: int, index: Tensor, *, out: Any = None) -> Tensor:
    """The slices of `input` along `dim` at the positions in the vector `index`."""
    at = wrap_dim(dim, input.ndim)
    index = _flat_index("index_select", index)
    x = input if input.ndim else unsqueeze(input, 0)
    result = apply(indexing.index, (x, index), {"dims": (at,), "wrap": False})
    result = result if input.ndim else reshape(result, ())
    return result if out is None else into(out, result, False)


@fills
@pure
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements of `input`, row by row, at the positions `index`."""
    return apply(indexing.index, (reshape(input, (-1,)), index), {"dims": (0,)})  # type: ignore[no-any-return]


@pure
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of `input` with the elements of `source` at, or added at, the positions `index`, counted row by row."""
    if source.dtype is not input.dtype or index.numel() != source.numel():
        raise RuntimeError(f"put_(): expected index and source of as many elements and self and source of one dtype, got "
                           f"{input.dtype.name}{list(input.shape)}, index {list(index.shape)}, source {source.dtype.name}"
                           f"{list(source.shape)}")  # fmt: skip
    attrs = {"dims": (0,), "accumulate": bool(accumulate)}
    if accumulate and input.dtype.kind == "b":
        return to(put(_counted(input), index, _counted(source), True), dtypes.bool_)
    flat = apply(indexing.index_put, (reshape(input, (-1,)), reshape(index, (-1,)), reshape(source, (-1,))), attrs)
    return reshape(flat, input.shape)


@pure
def put_(self: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """`put`, stored in self."""
    return store_checked(self, put(self, index, source, accumulate))  # type: ignore[no-any-return]


@pure
def kept_where(input: Tensor, condition: Tensor, other: Any) -> Tensor:
    """The method `where`: elements of `input` where `condition` holds, of `other` elsewhere."""
    return where(condition, input, other)


@served
@pure
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None, *, out: Any = None) -> Tensor:
    """`gather` with both operands broadcast along the other dimensions; without `dim` over the flat elements."""
    if dim is None:
        result = g.gather(reshape(input, (-1,)), 0, reshape(indices, (-1,)))
        return result if out is None else into(out, result, False)
    if input.ndim != indices.ndim:
        raise ShapeError(f"torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
                         f"{input.ndim} dimensions for input, and {indices.ndim} dimensions for indices")  # fmt: skip
    at = wrap_dim(dim, input.ndim)
    indices = where(g.lt(indices, 0), indices + input.shape[at], indices)
    rests = [(*s[:at], 1, *s[at + 1 :]) for s in (input.shape, indices.shape)]
    wide = broadcast_shapes("take_along_dim", rests, (input.meta.type, indices.meta.type))
    table, places = ((*wide[:at], s[at], *wide[at + 1 :]) for s in (input.shape, indices.shape))
    result = g.gather(expand(input, table), at, expand(indices, places))
    return result if out is None else into(out, result, False)


# -- one coordinate of each index


def _fitted(name: str, input: Tensor, dim: int, index: Tensor, src: Any) -> tuple[Any, ...]:
    """(input, index, source) with at least one dimension, the source cut to the shape of the index, and the dimension."""
    at = wrap_dim(dim, input.ndim)
    if not hasattr(src, "meta"):
        src = filled(input, index.shape, _number(input, src))
    input, index, src = (x if x.ndim else unsqueeze(x, 0) for x in (input, index, src))
    if src.ndim != index.ndim or any(n > m for n, m in zip(index.shape, src.shape, strict=True)):
        raise ShapeError(f"{name}: Expected index {list(index.shape)} to be no larger than src {list(src.shape)} anywhere")
    for d, n in enumerate(index.shape):
        src = src if src.shape[d] == n else narrow(src, d, 0, n)
    return input, index, src, at


def _number(x: Tensor, value: Any) -> Any:
    """A number as an element of `x`."""
    if x.dtype.is_complex:
        return complex(value)
    return float(value) if x.dtype.is_floating_point else bool(value) if x.dtype.kind == "b" else int(value)


def _counted(x: Any) -> Any:
    """A bool as a number, so that sums tell whether one of several is true."""
    return to(x, dtypes.int32) if x.dtype.kind == "b" else x


def _scattered(op: Any, input: Tensor, dim: int, index: Tensor, src: Any) -> Tensor:
    if op is indexing.scatter_add and input.dtype.kind == "b" and hasattr(src, "meta"):
        return to(_scattered(op, _counted(input), dim, index, _counted(src)), dtypes.bool_)
    x, places, source, at = _fitted(op.name, input, dim, index, src)
    result = apply(op, (x, places, source), {"dim": at})
    return result if input.ndim else reshape(result, ())  # type: ignore[no-any-return]


@served
@fills
@pure
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy of `input` with each element of `src` added where `index` says along `dim`."""
    return _scattered(indexing.scatter_add, input, dim, index, src)


@pure
def scatter_add_(self: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`scatter_add`, stored in self."""
    return store_checked(self, scatter_add(self, dim, index, src))  # type: ignore[no-any-return]


@served
@fills
@pure
def scatter(input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Tensor:
    """A copy of `input` in which each element of `src`, a Tensor or number, stands where `index` says along `dim`. `reduce`:
    "add" it instead, or "multiply" by it."""
    given = value if src is None else src
    if given is None:
        raise TypeError("scatter() takes src (a Tensor) or value (a number)")
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError(f"reduce argument must be either add or multiply, got {reduce}.")
    if reduce == "multiply":
        from .folding import scatter_reduce

        source = given if hasattr(given, "meta") else filled(input, index.shape, _number(input, given))
        return scatter_reduce(input, dim, index, source, "prod")
    return _scattered(indexing.scatter if reduce is None else indexing.scatter_add, input, dim, index, given)


@pure
def scatter_(
    self: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """`scatter`, stored in self."""
    return store_checked(self, scatter(self, dim, index, src, value=value, reduce=reduce))  # type: ignore[no-any-return]


# -- whole slices


@served
@fills
@pure
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """A copy of `input` with slices of `source` times `alpha` added along `dim` at the positions in the vector `index`."""
    source = source if alpha == 1 else apply(pointwise.mul, (source, alpha), _NONE)
    return _put_slices("index_add", input, dim, index, source, True)


@pure
def index_add_(self: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """`index_add`, stored in self."""
    return store_checked(self, index_add(self, dim, index, source, alpha=alpha))  # type: ignore[no-any-return]


@served
@fills
@pure
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy of `input` with slices of `source` along `dim` at the positions in the vector `index`."""
    return _put_slices("index_copy", input, dim, index, source, False)


@pure
def index_copy_(self: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """`index_copy`, stored in self."""
    return store_checked(self, index_copy(self, dim, index, source))  # type: ignore[no-any-return]


@served
@pure
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy of `input` with `value` along `dim` at the positions in the vector `index`."""
    at = wrap_dim(dim, input.ndim)
    shape = (*input.shape[:at], _flat_index("index_fill", index).shape[0], *input.shape[at + 1 :])
    if hasattr(value, "meta"):  # each place takes it once, also where the index repeats
        hit = _put_slices("index_fill", _same(input, input.shape, False), dim, index, _same(input, shape, True), False)
        return where(hit, to(value, input.dtype), input)
    return _put_slices("index_fill", input, dim, index, filled(input, shape, _number(input, value)), False)


@pure
def index_fill_(self: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """`index_fill`, stored in self."""
    return store_checked(self, index_fill(self, dim, index, value))  # type: ignore[no-any-return]


def _same(x: Tensor, shape: Any, value: bool) -> Any:
    return filled(x, shape, value, dtypes.bool_)


def _put_slices(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor, accumulate: bool) -> Tensor:
    if accumulate and input.dtype.kind == "b" and source.dtype.kind == "b":
        return to(_put_slices(name, _counted(input), dim, index, _counted(source), True), dtypes.bool_)
    at = wrap_dim(dim, input.ndim)
    index = _flat_index(name, index)
    if not input.ndim:
        one = _put_slices(name, unsqueeze(input, 0), 0, index, reshape(source, (-1,)), accumulate)
        return reshape(one, ())
    if source.dtype is not input.dtype:
        raise DTypeError(f"{name}: self and source expected to have the same dtype, got {input.dtype.name}{list(input.shape)} "
                         f"and {source.dtype.name}{list(source.shape)}")  # fmt: skip
    attrs = {"dims": (at,), "accumulate": accumulate, "wrap": False}
    return apply(indexing.index_put, (input, index, source), attrs)  # type: ignore[no-any-return]


@served
@pure
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Vectors of zeros with a one at each position of `tensor`, in a new last dimension; int64. Without `num_classes` there are
    as many as the largest position needs, which is read from the values."""
    if tensor.dtype is not dtypes.int64:
        raise DTypeError(f"one_hot is only applicable to index tensor of type LongTensor, got {tensor.dtype.name}")
    if num_classes == -1:
        num_classes = int(g.amax(tensor).item()) + 1
    if is_plain(tensor) and tensor.meta.shape and type(num_classes) is int and num_classes > 0:
        known: Any = tensor._array
        if known.size and known.min() >= 0 and known.max() < num_classes:
            rows = known.reshape(-1, 1)
            return make(np.equal(rows, np.arange(num_classes)).astype(np.int64).reshape(*known.shape, num_classes))
    flat = reshape(tensor, (-1,))
    attrs = {"shape": (flat.shape[0], num_classes), "dims": (0, 1), "wrap": False}
    hot = apply(indexing.spread, (filled(flat, flat.shape, 1), index_along(flat, 0), flat), attrs)
    return reshape(hot, (*tensor.shape, num_classes))


@pure
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, ... occurs in the vector `input`, or the sum of its `weights`; the largest value is read."""
    if weights is None and input.ndim == 1 and input.dtype.kind in "iu" and is_plain(input) and minlength >= 0:
        array: Any = input._array
        if array.itemsize == 8 and array.size and array.max() >= _MOST:
            raise RuntimeError(f"bincount: the largest value, {array.max()}, is no number of bins")  # NumPy writes anywhere
        try:
            return make(np.bincount(array, minlength=minlength))
        except (ValueError, TypeError):
            pass  # below by its own error
    size = max(minlength, int(g.amax(input).item()) + 1 if input.numel() else 0)
    ones = filled(input, input.shape, 1, dtypes.int64) if weights is None else weights
    ones = ones if weights is None or ones.dtype.is_floating_point else to(ones, dtypes.float64)
    zeros = filled(ones, (size,), 0)
    return apply(indexing.scatter_add, (zeros, to(input, dtypes.int64), ones), {"dim": 0})  # type: ignore[no-any-return]


# -- masks, and positions of what is true


@pure
def index_put(input: Tensor, indices: Any, values: Any, accumulate: bool = False) -> Tensor:
    """A copy of `input` with `values` at, or added at, the positions that the tensors `indices` name together (None: all)."""
    x, at, dims = indexing_of(input, tuple(indices))
    wide = indexing.together([p.shape for p in at])
    rest = [n for d, n in enumerate(x.shape) if d not in dims]
    lead = dims[0] if indexing.is_adjacent(dims) else 0
    values = values if hasattr(values, "meta") else filled(input, (), _number(input, values))
    values = expand(values, (*rest[:lead], *wide, *rest[lead:]))
    attrs = {"dims": dims, "accumulate": bool(accumulate)}
    if accumulate and x.dtype.kind == "b":
        return to(apply(indexing.index_put, (_counted(x), *at, _counted(values)), attrs), dtypes.bool_)
    return apply(indexing.index_put, (x, *at, values), attrs)  # type: ignore[no-any-return]


@pure
def index_put_(self: Tensor, indices: Any, values: Any, accumulate: bool = False) -> Tensor:
    """`index_put`, stored in self."""
    return store_checked(self, index_put(self, indices, values, accumulate))  # type: ignore[no-any-return]


@pure
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy of `input` in which the next element of `source` stands wherever the mask is true."""
    if source.dtype is not input.dtype:
        raise DTypeError(f"masked_scatter: expected self and source to have same dtypes but got {input.dtype.name}"
                         f"{list(input.shape)} and {source.dtype.name}{list(source.shape)}")  # fmt: skip
    shape = broadcast_shapes("masked_scatter", (input.shape, mask.shape), (input.meta.type, mask.meta.type))
    keep = reshape(expand(mask, shape), (-1,))
    at = where(keep, apply(scans.cumsum, (keep,), {"dim": 0}) - 1, 0)
    flat = reshape(source, (-1,))
    if not flat.shape[0]:
        flat = filled(source, (1,), _number(source, 0))
    picked = apply(indexing.index, (flat, at), {"dims": (0,), "wrap": False})
    return where(expand(mask, shape), reshape(picked, shape), input)  # type: ignore[no-any-return]


@pure
def masked_scatter_(self: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """`masked_scatter`, stored in self."""
    return store_checked(self, masked_scatter(self, mask, source))  # type: ignore[no-any-return]


def masked_select(input: Tensor, mask: Tensor, *, out: Any = None) -> Tensor:
    """The elements of `input` where the mask, which broadcasts, is true, as a vector (the mask's values are read)."""
    shape = broadcast_shapes("masked_select", (input.shape, mask.shape), (input.meta.type, mask.meta.type))
    result: Tensor = expand(input, shape)[expand(mask, shape)]
    return result if out is None else into(out, result, False)


def nonzero(input: Tensor, *, out: Any = None, as_tuple: bool = False) -> Any:
    """Indices of the elements that are not zero: one row each, or with `as_tuple` one vector for each dimension. The values are
    read."""
    x = input if input.ndim or not as_tuple else unsqueeze(input, 0)
    if x._array is None and x.ndim:
        return _nonzero_traced(x, out, as_tuple)
    found = x.storage.read(x).nonzero() if x.ndim else (np.zeros(int(bool(x)), np.int64),)
    if as_tuple:
        return tuple([make(p) for p in found])
    result = made_beside(np.stack(found, 1).astype(np.int64) if x.ndim else np.zeros((len(found[0]), 0), np.int64), x)
    return result if out is None else into(out, result, False)


def _nonzero_traced(x: Tensor, out: Any, as_tuple: bool) -> Any:
    found = tuple(x.storage.true_places(x if x.dtype is dtypes.bool_ else x != 0))
    if as_tuple:
        return found
    result = stack(found, 1)
    return result if out is None else into(out, result, False)


def argwhere(input: Tensor) -> Tensor:
    """`nonzero`, one row for each index."""
    return nonzero(input)  # type: ignore[no-any-return]


def where_or_nonzero(condition: Tensor, input: Any = None, other: Any = None, *, out: Any = None) -> Any:
    """`input` where the condition is true, else `other`; the condition alone: where it is true, as `nonzero` with `as_tuple`."""
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    condition = to(condition, dtypes.bool_) if condition.dtype is dtypes.uint8 else condition
    return where(condition, input, other, out=out)


def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """`nonzero` of `size` rows: cut, or filled up with `fill_value`."""
    found = input.nonzero()
    rows = min(int(found.shape[0]), size)
    return g.cat([found[:rows], full((size - rows, input.ndim), fill_value, dtype=found.dtype, device=found.device)], 0)
