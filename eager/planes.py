"""Reading planes at given points or by windows, shuffling pixels, bags of embeddings: plain functions over indexed reads."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ShapeError
from ..ir import dtypes
from ..ir.ops import searching
from ..ir.ops.compare import where
from ..ir.ops.creation import filled
from . import casting, notices
from . import generated as g
from .arguments import size_of
from .arranging import pad
from .constraints import within
from .executor import apply
from .folding import untouched
from .functional import expand, flatten, permute, reshape, stack, to, transpose, unlowered, unsqueeze
from .pure import pure
from .reducing import index_along
from .resampling import interpolate
from .scattering import embedding, index_add, scatter
from .served import served
from .windows import avg_pool1d, avg_pool2d, avg_pool3d, each_dim, max_pool1d, max_pool2d, max_pool3d

if TYPE_CHECKING:
    from .tensor import Tensor

upsample = interpolate


# -- pixels and channels


@served
@pure
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., channels * r * r, h, w) as (..., channels, h * r, w * r)."""
    r = upscale_factor
    if input.ndim < 3:
        raise RuntimeError(f"pixel_shuffle expects input to have at least 3 dimensions, but got {input.ndim} dimension(s)")
    if r <= 0 or input.shape[-3] % (r * r):
        raise RuntimeError("pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of "
                           f"upscale_factor, but input.size(-3)={input.shape[-3]} is not divisible by {r * r}")  # fmt: skip
    c, h, w = input.shape[-3] // (r * r), input.shape[-2], input.shape[-1]
    lead, k = input.shape[:-3], input.ndim - 3
    wide = permute(reshape(input, (*lead, c, r, r, h, w)), (*range(k), k, k + 3, k + 1, k + 4, k + 2))
    return reshape(wide, (*lead, c, h * r, w * r)) if r > 1 else g.clone(input)


@pure
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(..., channels, h * r, w * r) as (..., channels * r * r, h, w)."""
    r = downscale_factor
    if input.ndim < 3:
        raise RuntimeError(f"pixel_unshuffle expects input to have at least 3 dimensions, but got {input.ndim} dimension(s)")
    if r <= 0 or input.shape[-2] % r or input.shape[-1] % r:
        raise RuntimeError(f"pixel_unshuffle expects height and width to be divisible by downscale_factor={r}, but got "
                           f"{list(input.shape)}")  # fmt: skip
    c, h, w = input.shape[-3], input.shape[-2] // r, input.shape[-1] // r
    lead, k = input.shape[:-3], input.ndim - 3
    wide = permute(reshape(input, (*lead, c, h, r, w, r)), (*range(k), k, k + 2, k + 4, k + 1, k + 3))
    return reshape(wide, (*lead, c * r * r, h, w)) if r > 1 else g.clone(input)


@served
@pure
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Channels (dimension 1) of each group dealt out in turn."""
    if input.ndim < 3:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}")
    n, c = input.shape[:2]
    if groups <= 0 or c % groups:
        raise RuntimeError(f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups.")
    wide = transpose(reshape(input, (n, groups, c // groups, *input.shape[2:])), 1, 2)
    return reshape(wide, tuple(input.shape))


# -- windows as columns


def _window(kernel: Any, dilation: Any, padding: Any, stride: Any) -> tuple[Any, ...]:
    names = ("kernel_size", "dilation", "padding", "stride")
    return tuple(each_dim(name, v, 2) for name, v in zip(names, (kernel, dilation, padding, stride), strict=True))


def _places(x: Any, size: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> tuple[Any, tuple[int, int]]:
    """(where in the padded plane each tap of each window lies, as (taps, windows); the number of windows down and across)."""
    high, wide = (size[d] + 2 * padding[d] for d in (0, 1))
    counts = tuple((n - dilation[d] * (kernel[d] - 1) - 1) // stride[d] + 1 for d, n in enumerate((high, wide)))
    if min(counts) < 1:
        raise RuntimeError(f"Given a plane of {list(size)}, kernel_size={kernel}, dilation={dilation}, padding={padding}, "
                           f"stride={stride}, the array of sliding blocks has shape {list(counts)}: too small")  # fmt: skip
    taps = [_steps(x, kernel[d], dilation[d]) for d in (0, 1)]
    starts = [_steps(x, counts[d], stride[d]) for d in (0, 1)]
    rows = unsqueeze(taps[0], 1) + starts[0]
    columns = unsqueeze(taps[1], 1) + starts[1]
    (kh, kw), (oh, ow) = kernel, counts
    flat = reshape(rows, (kh, 1, oh, 1)) * wide + reshape(columns, (1, kw, 1, ow))
    return reshape(flat, (kh * kw, oh * ow)), counts  # type: ignore[return-value]


def _steps(x: Any, count: int, step: int) -> Any:
    return index_along(filled(x, (count,), 0), 0) * step


@served
@pure
def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """(batch, channels * taps, windows): each window of the plane as a column."""
    if input.ndim not in (3, 4):
        raise ShapeError(f"unfold: (batch, channels, height, width) or without the batch expected, got {list(input.shape)}")
    kernel, dilation, padding, stride = _window(kernel_size, dilation, padding, stride)
    x = input if input.ndim == 4 else unsqueeze(input, 0)
    places, _ = _places(x, x.shape[2:], kernel, dilation, padding, stride)
    flat = flatten(pad(x, (padding[1], padding[1], padding[0], padding[0])), 2, 3)
    found = flat[:, :, reshape(places, (-1,))]
    out = reshape(found, (x.shape[0], x.shape[1] * places.shape[0], places.shape[1]))
    return out if input.ndim == 4 else reshape(out, tuple(out.shape[1:]))


@served
@pure
def fold(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Columns as `unfold` makes them summed back into planes of `output_size`."""
    if input.ndim not in (2, 3):
        raise ShapeError(f"fold: (batch, channels * taps, windows) or without the batch expected, got {list(input.shape)}")
    size = each_dim("output_size", output_size, 2)
    kernel, dilation, padding, stride = _window(kernel_size, dilation, padding, stride)
    x = input if input.ndim == 3 else unsqueeze(input, 0)
    places, counts = _places(x, size, kernel, dilation, padding, stride)
    taps = kernel[0] * kernel[1]
    if x.shape[1] % taps or x.shape[2] != counts[0] * counts[1]:
        raise RuntimeError(f"fold: {taps} taps and {counts[0] * counts[1]} windows do not fit columns {list(input.shape)}")
    c, (high, wide) = x.shape[1] // taps, (size[0] + 2 * padding[0], size[1] + 2 * padding[1])
    columns = reshape(x, (x.shape[0], c, taps * x.shape[2]))
    plane = index_add(filled(x, (x.shape[0], c, high * wide), 0), 2, reshape(places, (-1,)), columns)
    plane = pad(reshape(plane, (x.shape[0], c, high, wide)), (-padding[1], -padding[1], -padding[0], -padding[0]))
    return plane if input.ndim == 3 else reshape(plane, tuple(plane.shape[1:]))


# -- reading at points


@served
@pure
def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Where affine maps `theta` (batch, n, n + 1) take the points of an output of `size`, for `grid_sample`."""
    n = theta.shape[1]
    shape = size_of((size,))
    if align_corners is None:
        notices.default_corners()
    if theta.ndim != 3 or n not in (2, 3) or theta.shape[2] != n + 1 or len(shape) != n + 2:
        raise ShapeError(f"affine_grid: theta (batch, 2, 3) or (batch, 3, 4) and a size of as many dimensions expected, got "
                         f"{list(theta.shape)} and {list(shape)}")  # fmt: skip
    spatial = shape[2:]
    axes = [_points(theta, count, bool(align_corners)) for count in spatial]
    full = [expand(reshape(a, [-1 if d == k else 1 for d in range(n)]), spatial) for k, a in enumerate(axes)]
    base = stack([*full[::-1], filled(theta, spatial, 1)], -1)
    flat = unlowered(reshape(base, (1, -1, n + 1)), transpose(theta, 1, 2))
    return reshape(flat, (theta.shape[0], *spatial, n))


def _points(x: Any, count: int, corners: bool) -> Any:
    """Middles of `count` cells of [-1, 1], or with `corners` points from end to end."""
    at = to(index_along(filled(x, (count,), 0), 0), x.dtype)
    if not corners:
        return (at * 2 + 1) / count - 1
    return at * (2 / (count - 1)) - 1 if count > 1 else at * 0.0


@served
@pure
def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """`input` (batch, channels, *spatial) read at the points of `grid` (batch, *output, n), whose coordinates run from -1 to 1,
    the last spatial dimension first. `padding_mode`: what lies outside: "zeros", "border" or "reflection"."""
    if casting.on:
        input, grid = casting.wide(input, grid)
    n = input.ndim - 2
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(f"grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError("nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
                         f"'{padding_mode}'")  # fmt: skip
    if n not in (2, 3) or grid.ndim != input.ndim or grid.shape[-1] != n or grid.shape[0] != input.shape[0]:
        raise ShapeError(f"grid_sample(): expected grid to have size {n} in last dimension and the batch of the input, but got "
                         f"grid with sizes {list(grid.shape)} for an input of {list(input.shape)}")  # fmt: skip
    if mode == "bicubic" and n != 2:
        raise RuntimeError("grid_sample(): bicubic interpolation only supports 4D input")
    if align_corners is None:
        notices.default_corners()
    corners = bool(align_corners)
    sizes = [int(s) for s in input.shape[2:]]
    at = [_unnormalised(grid[..., n - 1 - d], sizes[d], corners) for d in range(n)]
    if mode != "bicubic":
        at = [_brought_in(v, s, padding_mode, corners) for v, s in zip(at, sizes, strict=True)]
    if mode == "nearest":
        nearest = _read(input, [(g.round(v),) for v in at], [(None,)] * n, padding_mode, sizes)
        return untouched(nearest, unsqueeze(grid[..., 0], 1))  # type: ignore[no-any-return]
    low = [g.floor(v) for v in at]
    away = [v - f for v, f in zip(at, low, strict=True)]
    if mode == "bilinear":
        return _read(input, [(f, f + 1) for f in low], [(1 - w, w) for w in away], padding_mode, sizes)  # type: ignore
    taps = [tuple(_brought_in(f + k, s, padding_mode, corners) for k in (-1, 0, 1, 2)) for f, s in zip(low, sizes, strict=True)]
    return _read(input, taps, [_cubic(w) for w in away], padding_mode, sizes)  # type: ignore[no-any-return]


def _unnormalised(x: Any, size: int, corners: bool) -> Any:
    return (x + 1) * ((size - 1) / 2) if corners else ((x + 1) * size - 1) / 2


def _brought_in(x: Any, size: int, padding_mode: str, corners: bool) -> Any:
    """A coordinate inside of the plane, as the padding mode has it."""
    if padding_mode == "zeros":
        return x
    if padding_mode == "reflection":
        low, span = (0.0, size - 1.0) if corners else (-0.5, float(size))
        x = g.abs(x - low) if span else x * 0.0
        if span:
            turns = g.floor(x / span)
            rest = x - turns * span
            x = where(g.remainder(turns, 2) == 0, rest, span - rest) + low
    return x.clamp(0.0, size - 1.0)


def _cubic(t: Any) -> tuple[Any, ...]:
    """Weights of four neighbours (a = -0.75) at the fraction `t` behind the second."""
    a = -0.75

    def near(x: Any) -> Any:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Any) -> Any:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return far(t + 1), near(t), near(1 - t), far(2 - t)


def _read(input: Any, taps: list[Any], weights: list[Any], padding_mode: str, sizes: list[int]) -> Any:
    """The weighted sum of the elements at every combination of taps."""
    flat = flatten(input, 2, input.ndim - 1)
    total: Any = None
    for chosen in itertools.product(*[range(len(t)) for t in taps]):
        at = [t[k] for t, k in zip(taps, chosen, strict=True)]
        share: Any = None
        for w, k in zip(weights, chosen, strict=True):
            share = w[k] if share is None else share * w[k]
        value = _picked(flat, at, sizes, padding_mode == "zeros")
        value = value if share is None else value * unsqueeze(share, 1)
        total = value if total is None else total + value
    return total


def _picked(flat: Any, at: list[Any], sizes: list[int], masked: bool) -> Any:
    """(batch, channels, *output): elements at whole coordinates; 0 outside of the plane."""
    place: Any = None
    inside: Any = None
    for v, s in zip(at, sizes, strict=True):
        begun = v >= 0  # false for NaN, too
        held = to(where(begun, v.detach().clamp(max=s - 1.0), 0.0), dtypes.int64)
        place = held if place is None else place * s + held
        ok = g.logical_and(begun, v <= s - 1)
        inside = ok if inside is None else g.logical_and(inside, ok)
    rows = expand(reshape(place, (place.shape[0], 1, -1)), (place.shape[0], flat.shape[1], math.prod(place.shape[1:])))
    found = reshape(g.gather(flat, 2, rows), (place.shape[0], flat.shape[1], *place.shape[1:]))
    return where(unsqueeze(inside, 1), found, 0.0) if masked else found


# -- bags of embeddings


@pure
def embedding_bag(
    input: Tensor, weight: Tensor, offsets: Any = None, max_norm: Any = None, norm_type: float = 2,
    scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, per_sample_weights: Any = None,
    include_last_offset: bool = False, padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    """Rows of `weight` at each bag of indices, reduced by "sum", "mean" or "max": a bag is a row of `input`, or the stretch of a
    vector from one of `offsets` to the next. `padding_idx` does not count."""
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if input.dtype.is_floating_point and not weight.dtype.is_floating_point:  # the older order of arguments
        input, weight = weight, input
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(f"embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for "
                                  f"mode='sum' (got mode='{mode}').")  # fmt: skip
    index, shares, offsets, count = _bags(input, offsets, per_sample_weights, include_last_offset)
    rows = embedding(index, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq)
    kept = None if padding_idx is None else g.ne(index, padding_idx % weight.shape[0])
    rows = rows if shares is None else rows * unsqueeze(shares, 1)
    bag = apply(searching.searchsorted, (offsets, index_along(index, 0)), {"right": True}) - 1  # a last offset ends the last bag
    member = bag == unsqueeze(index_along(filled(index, (count,), 0), 0), 1)
    member = member if kept is None else g.logical_and(member, kept)
    if mode == "max":
        found = where(unsqueeze(member, 2), rows, -math.inf)
        empty = g.logical_not(g.any(member, 1, keepdim=True))
        top = g.amax(found, 1) if rows.shape[0] else 0.0
        return where(empty, 0.0, top) if rows.shape[0] else filled(weight, (count, weight.shape[1]), 0)  # type: ignore
    total = unlowered(to(member, weight.dtype), rows)
    if mode == "sum":
        return total  # type: ignore[no-any-return]
    return total / g.sum(member, 1, keepdim=True).clamp(min=1)  # type: ignore[no-any-return]


_FIRST = ("offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. "
          "However, got {}")  # fmt: skip


def _bags(input: Any, offsets: Any, shares: Any, last: bool) -> tuple[Any, Any, Any, int]:
    """(indices in a row, their weights, where bags begin, how many there are)."""
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError("if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
                             f"sequences. However, found offsets of type {type(offsets)}")  # fmt: skip
        n, wide = input.shape
        starts = index_along(input, 0) * wide
        return reshape(input, (-1,)), None if shares is None else reshape(shares, (-1,)), starts, n
    if input.ndim != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if offsets.ndim != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    n, count = input.shape[0], offsets.shape[0] - last
    starts = to(offsets, dtypes.int64)
    if offsets.shape[0]:
        starts = starts - within(starts[:1], low=0, high=0, message=_FIRST)
        beyond = f"offsets[-1] can not be greater than input's length {n} but got offsets[-1] of {{}}"
        starts = within(starts, low=0, high=n, message=beyond)
    return input, shares, starts, count


# -- power-average pooling


def _lp(name: str, pool: Any, n: int) -> Any:
    @pure
    def function(input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
        taps = math.prod(each_dim("kernel_size", kernel_size, n))
        mean = pool(g.pow(input, norm_type), kernel_size, stride, 0, ceil_mode)
        return g.pow(g.sign(mean) * g.relu(g.abs(mean)) * taps, 1.0 / norm_type)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Sums of `norm_type`-th powers over windows, and their root."
    return function


lp_pool1d, lp_pool2d = _lp("lp_pool1d", avg_pool1d, 1), _lp("lp_pool2d", avg_pool2d, 2)
lp_pool3d = _lp("lp_pool3d", avg_pool3d, 3)


# -- undoing largest-element pooling


def _unpool(n: int) -> Any:
    @pure
    def function(
        input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
    ) -> Tensor:
        if casting.on and n > 1:
            (input,) = casting.wide(input)
        kernel, around = each_dim("kernel_size", kernel_size, n), each_dim("padding", padding, n)
        steps = kernel if stride is None else each_dim("stride", stride, n)
        if output_size is None:
            rows = zip(input.shape[-n:], kernel, steps, around, strict=True)
            size = [(int(m) - 1) * s + k - 2 * p for m, k, s, p in rows]
        else:
            size = [int(m) for m in tuple(output_size)[-n:]]
        lead = input.shape[: input.ndim - n]
        flat = filled(input, (*lead, math.prod(size)), 0)
        rows_of = [reshape(x, (*lead, math.prod(input.shape[-n:]))) for x in (indices, input)]
        return reshape(scatter(flat, input.ndim - n, *rows_of), (*lead, *size))

    function.__name__ = function.__qualname__ = f"max_unpool{n}d"
    function.__doc__ = "Elements put back to the positions `indices` they came from in their planes, zeros elsewhere."
    return function


max_unpool1d, max_unpool2d, max_unpool3d = _unpool(1), _unpool(2), _unpool(3)


def _with_indices(pool: Any, name: str) -> Any:
    @pure
    def function(*args: Any, **kwargs: Any) -> Any:
        return pool(*args, **{**kwargs, "return_indices": True})

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`{pool.__name__}` and the positions."
    return function


max_pool1d_with_indices = _with_indices(max_pool1d, "max_pool1d_with_indices")
max_pool2d_with_indices = _with_indices(max_pool2d, "max_pool2d_with_indices")
max_pool3d_with_indices = _with_indices(max_pool3d, "max_pool3d_with_indices")


@pure
def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` by nearest elements."""
    return interpolate(input, size, scale_factor, "nearest")


@pure
def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate`, bilinear, with corners aligned."""
    return interpolate(input, size, scale_factor, "bilinear", True)


native_channel_shuffle = channel_shuffle
