"""Searching, counting and statistics under PyTorch's names, over the records of `ir.ops.searching` and plain ops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import DTypeError, ShapeError
from ..ir import dtypes
from ..ir.ops import searching
from ..ir.ops.compare import where
from ..ir.ops.creation import filled
from . import casting
from . import generated as g
from . import return_types as results
from .arguments import wrap_dim, wrap_dims
from .arranging import cumsum
from .complexes import complex_of
from .executor import apply
from .functional import flatten, narrow, reshape, squeeze, stack, to, transpose, unbind, unsqueeze
from .mathematics import floating
from .ordering import argsort, distinct, sort
from .outputs import fills, into
from .pure import pure
from .reducing import index_along, norm, std
from .scattering import index_select, scatter, scatter_add
from .served import served

if TYPE_CHECKING:
    from .tensor import Tensor


class MinMax(NamedTuple):
    """Smallest and largest elements."""

    min: Any
    max: Any

    def __repr__(self) -> str:
        return results.shown("aminmax")(self)


class Histogram(NamedTuple):
    """How many, or what weight of, elements lie between each two edges."""

    hist: Any
    bin_edges: Any

    def __repr__(self) -> str:
        return results.shown("histogram")(self)


def _along(x: Tensor, dim: int) -> tuple[Tensor, int]:
    """`x` with one dimension at least, and `dim` counted from the front."""
    at = wrap_dim(dim, x.ndim)
    return (x, at) if x.ndim else (unsqueeze(x, 0), at)


# -- running extremes, orders


@served
@fills
@pure
def cummax(input: Tensor, dim: int) -> Any:
    """(the largest of the elements up to each one along `dim`, where the last of them is)."""
    return _running(searching.cummax_index, input, dim, results.cummax)


@served
@fills
@pure
def cummin(input: Tensor, dim: int) -> Any:
    """(the smallest of the elements up to each one along `dim`, where the last of them is)."""
    return _running(searching.cummin_index, input, dim, results.cummin)


def _running(op: Any, input: Tensor, dim: int, made: Any) -> Any:
    x, at = _along(input, dim)
    index = apply(op, (x,), {"dim": at})
    values = g.gather(x, at, index)
    return made(reshape(values, input.shape), reshape(index, input.shape))


@served
@pure
def logcumsumexp(input: Tensor, dim: int, *, out: Any = None) -> Tensor:
    """Logarithms of the sums of exponentials up to each element along `dim`."""
    x, at = _along(input, dim)
    result: Tensor = reshape(apply(searching.logcumsumexp, (x,), {"dim": at}), input.shape)
    return result if out is None else into(out, result, False)


@pure
def msort(input: Tensor, *, out: Any = None) -> Tensor:
    """The elements in order along the first dimension."""
    result: Tensor = sort(input, 0)[0] if input.ndim else input.clone()
    return result if out is None else into(out, result, False)


@fills
@pure
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """(the most frequent element along `dim`, the smallest of equally frequent ones; where it lies last)."""
    x, at = _along(input, dim)
    if x.shape[at] == 0:
        raise IndexError(f"mode(): Expected reduction dim {at} to have non-zero size, got {list(x.shape)}")
    index = unsqueeze(apply(searching.mode_index, (x,), {"dim": at}), at)
    values = g.gather(x, at, index)
    if keepdim and input.ndim:
        return results.mode(values, index)
    return results.mode(squeeze(values, at), squeeze(index, at))


@fills
@pure
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> MinMax:
    """The smallest and the largest element."""
    return MinMax(g.amin(input, dim, keepdim), g.amax(input, dim, keepdim))


# -- differences and areas


@served
@fills
@pure
def diff(input: Tensor, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    """Differences of neighbours along `dim`, `n` times; `prepend` and `append` are joined on before."""
    if not input.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    at = wrap_dim(dim, input.ndim)
    parts = [x for x in (prepend, input, append) if x is not None]
    x = g.cat(parts, at) if len(parts) > 1 else input
    for _ in range(n):
        size = x.shape[at]
        if size == 0:
            return x
        low, high = narrow(x, at, 0, size - 1), narrow(x, at, 1, size - 1)
        x = g.ne(high, low) if x.dtype.kind == "b" else high - low
    return g.clone(x) if x is input else x


def _widths(y: Tensor, x: Any, dx: Any, at: int) -> Any:
    if x is None:
        return 1.0 if dx is None else dx
    if x.ndim == 1:
        x = reshape(x, [-1 if d == at else 1 for d in range(y.ndim)])
    elif x.ndim < y.ndim:
        x = reshape(x, (1,) * (y.ndim - x.ndim) + tuple(x.shape))
    if x.shape[at] != y.shape[at]:
        raise RuntimeError("There must be one `x` value for each sample point")
    return diff(x, 1, at)


def _areas(y: Tensor, x: Any, dx: Any, dim: int) -> tuple[Tensor, int]:
    at = wrap_dim(dim, y.ndim)
    size = y.shape[at]
    if size == 0:
        return to(y, y.dtype if y.dtype.is_floating_point else dtypes.default()), at
    middle = narrow(y, at, 0, size - 1) + narrow(y, at, 1, size - 1)
    return middle * _widths(y, x, dx, at) / 2.0, at  # type: ignore[return-value]


@pure
def trapezoid(y: Tensor, x: Any = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The area under `y` along `dim` by the trapezoid rule; the points are `x`, or `dx` apart."""
    areas, at = _areas(y, x, dx, dim)
    return g.sum(areas, at)


trapz = trapezoid


@pure
def cumulative_trapezoid(y: Tensor, x: Any = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The areas under `y` up to each point but the first."""
    areas, at = _areas(y, x, dx, dim)
    return cumsum(areas, at)


@pure
def gradient(input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """Slopes along each of `dim` by central differences, at the edges one-sided; `spacing`: a number, one a dimension, or
    coordinates of the points."""
    dims, spacing = list(wrap_dims(dim, input.ndim)), 1 if spacing is None else spacing
    if dim is None and isinstance(spacing, (tuple, list)):
        dims = dims[: len(spacing)]
    steps = list(spacing) if isinstance(spacing, (tuple, list)) else [spacing] * len(dims)
    if len(steps) != len(dims):
        raise RuntimeError(f"torch.gradient expected spacing to be unspecified, a scalar or a list of length equal to 'dim', got "
                           f"{len(steps)} for {len(dims)} dimensions")  # fmt: skip
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    return tuple([_slope(input, d, s, edge_order) for d, s in zip(dims, steps, strict=True)])


def _slope(x: Any, d: int, step: Any, order: int) -> Any:
    n = x.shape[d]
    if n < order + 1:
        raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
    wide = diff(step) if hasattr(step, "meta") and step.ndim else None

    def part(a: int, b: int) -> Any:
        return narrow(x, d, a, b)

    def width(a: int, b: int) -> Any:
        if wide is None:
            return step
        return reshape(narrow(wide, 0, a, b), [-1 if k == d else 1 for k in range(x.ndim)])

    h, k = width(0, n - 2), width(1, n - 2)
    inner = part(2, n - 2) * (h / (k * (h + k))) + part(1, n - 2) * ((k - h) / (h * k)) - part(0, n - 2) * (k / (h * (h + k)))
    if order == 1:
        ends = (part(1, 1) - part(0, 1)) / width(0, 1), (part(n - 1, 1) - part(n - 2, 1)) / width(n - 2, 1)
    else:
        ends = _edge(part, width, (0, 1, 2), (0, 1)), _edge(part, width, (n - 1, n - 2, n - 3), (n - 2, n - 3), -1)
    return g.cat([ends[0], inner, ends[1]], d)


def _edge(part: Any, width: Any, at: tuple[int, ...], gaps: tuple[int, ...], sign: int = 1) -> Any:
    """The slope at the first of three points, of the parabola through them."""
    h, k = width(gaps[0], 1), width(gaps[1], 1)
    a, b, c = (part(i, 1) for i in at)
    return (b * ((h + k) / (h * k)) - a * ((2 * h + k) / (h * (h + k))) - c * (h / (k * (h + k)))) * sign


# -- sums and means without NaN


def _without_nan(x: Tensor, value: Any) -> Any:
    return where(g.isnan(x), value, x) if x.dtype.is_floating_point else x


@served
@pure
def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Tensor:
    """The sum, NaN counting as 0."""
    result = g.sum(_without_nan(input, 0.0), dim, keepdim, dtype=dtype)
    return result if out is None else into(out, result)


@served
@pure
def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Tensor:
    """The mean of the elements that are not NaN."""
    if not input.dtype.is_floating_point:
        raise DTypeError(f"nanmean(): expected input to have floating point or complex dtype but got {input.dtype.name}")
    total = nansum(input, dim, keepdim, dtype=dtype)
    result: Tensor = total / g.sum(g.eq(input, input), dim, keepdim)
    return result if out is None else into(out, result)


@served
@pure
def count_nonzero(input: Tensor, dim: Any = None) -> Tensor:
    """How many elements are not 0."""
    return g.sum(g.ne(input, 0), dim)


@served
@pure
def std_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Tensor, Tensor]:
    """`std` and the mean."""
    only = None if isinstance(dim, bool) else dim
    return std(input, dim, unbiased, keepdim, correction=correction), g.mean(input, only, keepdim)


# -- quantiles


@fills
@pure
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower middle of the elements that are not NaN; with `dim` also where it is."""
    if dim is None:
        flat = reshape(input, (-1,))
        return nanmedian(flat, 0)[0] if flat.shape[0] else g.mean(floating(flat))  # NaN
    x, at = _along(input, dim)
    values, index = sort(x, at)  # NaN last
    count = g.sum(g.eq(x, x), at, keepdim=True) if x.dtype.is_floating_point else filled(x, (), x.shape[at], dtypes.int64)
    place = where(g.eq(count, 0), 0, (count - 1) // 2)
    shape = [1 if d == at else n for d, n in enumerate(x.shape)]
    place = place.expand(shape)
    found = g.gather(values, at, place), g.gather(index, at, place)
    if keepdim and input.ndim:
        return results.nanmedian(*found)
    return results.nanmedian(*[squeeze(v, at) for v in found])


@served
@pure
def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear", out: Any = None
) -> Tensor:
    """The `q`-th quantiles (a number, or a vector whose results come first) along `dim`; NaN where there is one."""
    if casting.on:
        (input,) = casting.wide(input)
    result = _quantile(input, q, dim, keepdim, interpolation, False, "quantile")
    return result if out is None else into(out, result, False)


@pure
def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear", out: Any = None
) -> Tensor:
    """`quantile` of the elements that are not NaN."""
    if casting.on:
        (input,) = casting.wide(input)
    result = _quantile(input, q, dim, keepdim, interpolation, True, "nanquantile")
    return result if out is None else into(out, result, False)


def _quantile(input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str, skip: bool, name: str) -> Tensor:
    if input.dtype.short not in ("f32", "f64"):
        raise DTypeError(f"{name}() input tensor must be either float or double dtype, got {input.dtype.name}")
    if interpolation not in _ROUND:
        raise RuntimeError(f"{name}() interpolation must be one of {', '.join(_ROUND)}, but got {interpolation}")
    q = filled(input, (), float(q)) if not hasattr(q, "meta") else q
    if q.ndim > 1:
        raise ShapeError(f"{name}() q must be a scalar or 1D tensor, but got {list(q.shape)}")
    rows = reshape(input, (-1,)) if dim is None else transpose(input, wrap_dim(dim, input.ndim), -1) if input.ndim else input
    rows = rows if rows.ndim else reshape(rows, (1,))
    if rows.shape[-1] == 0:
        raise ShapeError(f"{name}() input tensor must be non-empty, got {list(input.shape)}")
    found = _between(sort(rows, -1)[0], rows, q, interpolation, skip)
    if dim is None:
        shape = [1] * input.ndim if keepdim else []
    else:
        found = transpose(unsqueeze(found, -2), wrap_dim(dim, input.ndim) - input.ndim - 1, -2) if input.ndim else found
        at = wrap_dim(dim, input.ndim)
        shape = [1 if d == at else n for d, n in enumerate(input.shape) if keepdim or d != at]
    moved = unbind(reshape(found, (*shape, -1)), -1) if q.ndim else None
    return reshape(found, shape) if moved is None else stack(moved, 0)


_ROUND = {"linear": None, "lower": g.floor, "higher": g.ceil, "midpoint": None, "nearest": g.round}


def _between(ranked: Tensor, rows: Tensor, q: Tensor, interpolation: str, skip: bool) -> Any:
    """Quantiles of sorted rows, along the last dimension: (..., number of quantiles)."""
    valid = g.eq(rows, rows)
    count = g.sum(valid, -1, keepdim=True)
    q = to(q, ranked.dtype) if q.dtype is not ranked.dtype else q
    last = to(count, ranked.dtype) - 1.0 if skip else float(rows.shape[-1] - 1)
    place = (reshape(q, (-1,)) * last).expand((*rows.shape[:-1], q.numel()))
    place = g.relu(place)
    if not skip:  # a row with NaN, which is last, gives it
        place = where(g.eq(count, rows.shape[-1]), place, last)
    nearest = _ROUND[interpolation]
    if nearest is not None:
        place = nearest(place)
    low, high = to(g.floor(place), dtypes.int64), to(g.ceil(place), dtypes.int64)
    below, above = g.gather(ranked, -1, low), g.gather(ranked, -1, high)
    weight = place - g.floor(place) if interpolation != "midpoint" else where(g.eq(low, high), 0.0, 0.5)
    return below if nearest is not None else below + where(g.eq(low, high), 0.0, (above - below) * weight)


# -- different elements


@pure
def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The different elements (or with `dim` the different slices along it) in order; with `return_inverse` also which of them
    each element is, with `return_counts` also how many there are of each."""
    if dim is not None:
        order = _order_of_slices(_slices(input, dim))
        ranked = index_select(input, wrap_dim(dim, input.ndim), order)
        values, inverse, counts = _runs(ranked, dim, order)
    else:
        if not (return_inverse or return_counts) and (few := distinct(input)) is not None:
            return few
        flat = reshape(input, (-1,))
        ranked, order = sort(flat, 0)
        values, inverse, counts = _runs(ranked, 0, order)
        inverse = reshape(inverse, input.shape)
    return _chosen(values, inverse, counts, return_inverse, return_counts)


@pure
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The first of each run of equal elements (or slices along `dim`); further results as for `unique`."""
    x, at = (reshape(input, (-1,)), 0) if dim is None else (input, dim)
    values, inverse, counts = _runs(x, at, None)
    inverse = reshape(inverse, input.shape) if dim is None else inverse
    return _chosen(values, inverse, counts, return_inverse, return_counts)


def _chosen(values: Any, inverse: Any, counts: Any, return_inverse: bool, return_counts: bool) -> Any:
    found = (values, *((inverse,) if return_inverse else ()), *((counts,) if return_counts else ()))
    return found if len(found) > 1 else values


def _slices(x: Tensor, dim: int) -> Tensor:
    """The slices along `dim`, each as a row."""
    at = wrap_dim(dim, x.ndim)
    rows = transpose(x, 0, at)
    return flatten(unsqueeze(rows, -1), 1, -1)


def _order_of_slices(rows: Tensor) -> Tensor:
    """Positions that put rows in lexicographic order: stable sorts from the last column to the first."""
    order = index_along(rows, 0)
    for column in range(int(rows.shape[1]) - 1, -1, -1):
        order = order[argsort(rows[:, column][order], 0)]
    return order


def _runs(x: Tensor, dim: int, order: Any) -> tuple[Any, Any, Any]:
    """(the first of each run of equal slices along `dim`, the run of each slice, lengths of runs). `order`: where the slices were
    before they were sorted."""
    at = wrap_dim(dim, x.ndim)
    n = x.shape[at]
    if n == 0:
        empty = filled(x, (0,), 0, dtypes.int64)
        return g.clone(x), empty, empty
    rows = _slices(x, at) if x.ndim > 1 else unsqueeze(x, 1)
    other = g.any(g.ne(rows[1:], rows[:-1]), 1) if rows.shape[1] else filled(x, (n - 1,), False, dtypes.bool_)
    fresh = g.cat([filled(x, (1,), True, dtypes.bool_), other], 0)
    starts = index_along(fresh, 0)[fresh]
    values = x[(slice(None),) * at + (fresh,)]
    number = cumsum(fresh, 0) - 1
    inverse = number if order is None else scatter(filled(x, (n,), 0, dtypes.int64), 0, order, number)
    ends = g.cat([starts[1:], filled(x, (1,), n, dtypes.int64)], 0)
    return values, inverse, ends - starts


@fills
@pure
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is among `test_elements`."""
    like = elements if hasattr(elements, "meta") else test_elements
    elements, among = (v if hasattr(v, "meta") else filled(like, (), v) for v in (elements, test_elements))
    among = reshape(among, (-1,))
    if not among.shape[0]:
        return filled(like, elements.shape, invert, dtypes.bool_)  # type: ignore[no-any-return]
    if elements.dtype is not among.dtype:
        wanted = dtypes.promote_types(elements.dtype, among.dtype)
        elements, among = to(elements, wanted), to(among, wanted)
    table = sort(among, 0)[0]
    place = apply(searching.searchsorted, (table, elements), {"right": False})
    hit = g.eq(table[g.minimum(place, among.shape[0] - 1)], elements)
    return g.logical_not(hit) if invert else hit


# -- places and counts


@pure
def searchsorted(
    sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Any = None, out: Any = None,
) -> Tensor:  # fmt: skip
    """Before which element of the ascending rows `sorted_sequence` each of `input` belongs; with `right` behind equal ones.
    `sorter`: positions that put the rows in order."""
    if side not in (None, "left", "right"):
        raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError("searchsorted(): side and right can't be set to opposites, got side of left while right was True")
    table = sorted_sequence if sorter is None else g.gather(sorted_sequence, -1, sorter)
    x = input if hasattr(input, "meta") else filled(table, (), input)
    result = apply(searching.searchsorted, (table, x), {"right": bool(right or side == "right")})
    result = to(result, dtypes.int32) if out_int32 else result
    return result if out is None else into(out, result, False)  # type: ignore[no-any-return]


@served
@pure
def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False, out: Any = None) -> Tensor:
    """Between which of the ascending `boundaries` each element lies; with `right` an element on one belongs above it."""
    if boundaries.ndim != 1:
        raise ShapeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right, out=out)


@pure
def histc(input: Tensor, bins: int = 100, min: Any = 0, max: Any = 0, *, out: Any = None) -> Tensor:
    """How many elements lie in each of `bins` stretches of equal width from `min` to `max` (both 0: of the elements' own)."""
    if bins <= 0:
        raise RuntimeError("bins must be > 0")
    x = reshape(input, (-1,))
    if not x.shape[0]:
        return filled(input, (bins,), 0)  # type: ignore[no-any-return]
    low, high = (to(g.amin(x), x.dtype), to(g.amax(x), x.dtype)) if min == max == 0 else (min, max)
    if hasattr(low, "meta"):
        flat = g.eq(low, high)
        low, high = where(flat, low - 1, low), where(flat, high + 1, high)
    elif low > high:
        raise RuntimeError("max must be larger than min")
    elif low == high:
        low, high = low - 1, high + 1
    place = to((x - low) / (high - low) * bins if hasattr(low, "meta") else (x - low) * bins / (high - low), dtypes.int64)
    inside = g.logical_and(g.ge(x, low), g.le(x, high))
    place = where(inside, g.minimum(place, bins - 1), bins)
    result = scatter_add(filled(x, (bins + 1,), 0), 0, place, to(inside, x.dtype))[:bins]
    return result if out is None else into(out, result, False)


@fills
@pure
def histogram(
    input: Tensor, bins: Any, *, range: Sequence[float] | None = None, weight: Any = None, density: bool = False
) -> Histogram:
    """Elements, or their weights, between each two edges: `bins` stretches of equal width, or those between the edges `bins`."""
    x = reshape(input, (-1,))
    edges = bins if hasattr(bins, "meta") else edges_of(x, int(bins), range)
    count = edges.shape[0] - 1
    place = apply(searching.searchsorted, (edges, x), {"right": True}) - 1
    place = where(g.eq(x, edges[-1]), count - 1, place)
    inside = g.logical_and(g.ge(place, 0), g.lt(place, count))
    share = where(inside, 1.0 if weight is None else reshape(weight, (-1,)), 0.0).to(x.dtype)
    hist = scatter_add(filled(x, (count + 1,), 0), 0, where(inside, place, count), share)[:count]
    if density:
        hist = hist / hist.sum() / diff(edges)
    return Histogram(hist, edges)


def edges_of(x: Tensor, bins: int, span: Sequence[float] | None) -> Any:
    """`bins` + 1 numbers equally far apart over `span`, by default that of the values."""
    low, high = span if span is not None else (g.amin(x), g.amax(x)) if x.shape[0] else (0.0, 0.0)
    if span is None and bool(low == high):
        low, high = low - 0.5, high + 0.5
    at = index_along(filled(x, (bins + 1,), 0), 0)
    return where(g.eq(at, bins), high, to(at, x.dtype) * ((high - low) / bins) + low)  # the last one exactly


# -- covariances


@served
@pure
def cov(input: Tensor, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Tensor:
    """Covariances of the rows of `input`, whose columns are observations."""
    if input.ndim > 2:
        raise ShapeError(f"cov(): expected input to have two or fewer dimensions but got an input with {input.ndim} dimensions")
    x = reshape(input, (1, -1)) if input.ndim < 2 else input
    x = x if x.dtype.is_inexact else to(x, dtypes.float32)
    weights = [w for w in (fweights, aweights) if w is not None]
    w = weights[0] * weights[1] if len(weights) == 2 else weights[0] if weights else None
    count = float(x.shape[1]) if w is None else g.sum(w)
    middle = g.sum(x if w is None else x * w, 1) / count
    if w is None or aweights is None or not correction:
        norm_factor = count - correction
    else:
        norm_factor = count - correction * g.sum(w * aweights) / count
    away = x - unsqueeze(middle, 1)
    norm_factor = max(norm_factor, 0.0) if isinstance(norm_factor, float) else g.relu(norm_factor)
    turned = transpose(away if w is None else away * w, 0, 1)
    turned = turned.conj() if x.dtype.is_complex else turned
    result = to(away, turned.dtype) @ turned / norm_factor
    return squeeze(result) if input.ndim < 2 or result.shape[0] == 1 else result


@served
@pure
def corrcoef(input: Tensor) -> Tensor:
    """Correlations of the rows of `input`: covariances over the product of both deviations, held within -1 and 1."""
    c = cov(input)
    if not c.ndim:
        return c / c  # type: ignore[return-value]
    deviation = g.sqrt(c.diagonal().real if c.dtype.is_complex else c.diagonal())
    found = c / unsqueeze(deviation, 1) / deviation
    if c.dtype.is_complex:
        return complex_of(found.real.clamp(-1, 1), found.imag.clamp(-1, 1))
    return found.clamp(-1, 1)  # type: ignore[no-any-return, operator]


@pure
def renorm(input: Tensor, p: float, dim: int, maxnorm: float, *, out: Any = None) -> Tensor:
    """Slices along `dim` whose p-norm is above `maxnorm` scaled down to it."""
    at = wrap_dim(dim, input.ndim)
    length = norm(input, p, wrap_dims(tuple(d for d in range(input.ndim) if d != at), input.ndim), True)
    scale = where(g.gt(length, maxnorm), maxnorm / (length + 1e-7), 1.0)
    result = input * scale
    return result if out is None else into(out, result, False)  # type: ignore[no-any-return]


