"""Functions over windows of spatial dimensions: convolutions, pooling, interpolation. PyTorch's names and argument order.

Inputs are (batch, channels, *spatial), or without the batch. Sizes given as one int hold for every spatial dimension.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import ShapeError
from ..ir.ops import convolution as records
from ..ir.ops import linalg, pooling
from ..ir.ops.creation import filled
from . import casting
from . import generated as g
from .creation import arange
from .executor import apply
from .functional import reshape, transpose, unsqueeze
from .pure import pure

if TYPE_CHECKING:
    from .tensor import Tensor

_NONE: dict[str, Any] = {}
Ints = tuple[int, ...]


def _each(name: str, value: Any, n: int) -> Ints:
    """`value` for `n` dimensions: an int for all of them, or one a dimension."""
    if isinstance(value, (tuple, list)):
        found = tuple(int(v) for v in value)
        found = found * n if len(found) == 1 else found
    else:
        found = (int(value),) * n
    if len(found) != n:
        raise ShapeError(f"{name}: one int or {n} expected, got {value!r}")
    return found


def _batched(op: str, input: Tensor, n: int, run: Callable[[Tensor], Any]) -> Any:
    """``run(input)``; an input without a batch gets one for the call."""
    if input.ndim == n + 1:
        made = run(unsqueeze(input, 0))
        return tuple([m.squeeze(0) for m in made]) if isinstance(made, tuple) else made.squeeze(0)
    if input.ndim != n + 2:
        raise ShapeError(f"{op}: expected {n + 1} or {n + 2} dimensions (batch, channels, {n} spatial), got {list(input.shape)}")
    return run(input)


# -- convolution


def _conv(
    n: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> Tensor:
    steps, spread = _each("stride", stride, n), _each("dilation", dilation, n)
    edges: list[tuple[int, int]] | None = None
    if isinstance(padding, str):
        edges = _named_padding(padding, weight, steps, spread)
        around = tuple(low for low, _ in edges)
    else:
        around = _each("padding", padding, n)

    def run(x: Tensor) -> Any:
        if edges is not None and any(low != high for low, high in edges):
            x = records.padded(x, [(0, high - low) for low, high in edges])
        attrs = {"stride": steps, "padding": around, "dilation": spread, "groups": int(groups)}
        return apply(records.convolution, (x, weight, bias), attrs)

    return _batched(f"conv{n}d", input, n, run)  # type: ignore[no-any-return]


def _named_padding(padding: str, weight: Tensor, stride: Ints, dilation: Ints) -> list[tuple[int, int]]:
    if padding == "valid":
        return [(0, 0)] * len(stride)
    if padding != "same":
        raise ValueError(f"Invalid padding string {padding!r}, should be one of 'valid', 'same'")
    if any(s != 1 for s in stride):
        raise ValueError("padding='same' is not supported for strided convolutions")
    total = [d * (int(k) - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    return [(t // 2, t - t // 2) for t in total]


@pure
def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """Cross-correlation of (N, C, L) with `weight` (O, C / groups, k); `padding` an int, "same" or "valid"."""
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


@pure
def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """Cross-correlation of (N, C, H, W) with `weight` (O, C / groups, kh, kw); `padding` an int, two, "same" or "valid"."""
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


@pure
def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """Cross-correlation of (N, C, D, H, W) with `weight` (O, C / groups, kd, kh, kw)."""
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


def _conv_transpose(
    n: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, extra: Any, groups: int, dilation: Any
) -> Tensor:
    steps, spread = _each("stride", stride, n), _each("dilation", dilation, n)
    around, beyond = _each("padding", padding, n), _each("output_padding", extra, n)
    if any(b >= max(s, d) for b, s, d in zip(beyond, steps, spread, strict=True)):
        raise RuntimeError(f"output padding must be smaller than either stride or dilation, but got output_padding: {beyond}, "
                           f"stride: {steps}, dilation: {spread}")  # fmt: skip
    if any(b >= s for b, s in zip(beyond, steps, strict=True)):
        raise NotImplementedError(f"conv_transpose{n}d: output_padding {beyond} of at least the stride {steps} is not built")

    def run(x: Tensor) -> Any:
        sides = zip(x.shape[2:], weight.shape[2:], steps, around, beyond, spread, strict=True)
        shape = tuple((m - 1) * s - 2 * p + d * (k - 1) + b + 1 for m, k, s, p, b, d in sides)
        attrs = {"shape": shape, "stride": steps, "padding": around, "dilation": spread, "groups": int(groups)}
        out = apply(records.conv_input, (x, weight), attrs)
        shift = casting.low(bias)[0] if casting.on else bias
        return out if shift is None else out + reshape(shift, (shift.shape[0], *(1,) * n))

    return _batched(f"conv_transpose{n}d", input, n, run)  # type: ignore[no-any-return]


@pure
def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """The adjoint of `conv1d`: (N, C, L) with `weight` (C, O / groups, k)."""
    return _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


@pure
def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """The adjoint of `conv2d`: (N, C, H, W) with `weight` (C, O / groups, kh, kw)."""
    return _conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


@pure
def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """The adjoint of `conv3d`: (N, C, D, H, W) with `weight` (C, O / groups, kd, kh, kw)."""
    return _conv_transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


# -- pooling


def _pool_attrs(n: int, x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> dict[str, Any]:
    sides = _each("kernel_size", kernel, n)
    steps = sides if stride is None or stride == () or stride == [] else _each("stride", stride, n)
    around, spread = _each("padding", padding, n), _each("dilation", dilation, n)
    if any(2 * p > k for p, k in zip(around, sides, strict=True)):
        raise RuntimeError(f"pad should be at most half of effective kernel size, but got pad={around}, kernel_size={sides}")
    pairs = []
    for size, k, s, p, d in zip(x.shape[2:], sides, steps, around, spread, strict=True):
        high = p
        if ceil_mode:
            whole = d * (k - 1) + 1
            count = -((whole - int(size) - 2 * p) // s) + 1
            count -= (count - 1) * s >= int(size) + p  # a window that starts in the padding behind is left out
            high = max(p, (count - 1) * s + whole - int(size) - p)
        pairs.append((p, high))
    return {"kernel": sides, "stride": steps, "padding": tuple(pairs), "dilation": spread}


def _max_pool(
    n: int, input: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, return_indices: bool
) -> Any:
    def run(x: Tensor) -> Any:
        attrs = _pool_attrs(n, x, kernel, stride, padding, dilation, ceil_mode)
        made = apply(pooling.max_pool, (x,), attrs)
        return (made, apply(pooling.max_pool_index, (x,), attrs)) if return_indices else made

    return _batched(f"max_pool{n}d", input, n, run)


@pure
def max_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window; with `return_indices` also its position (int64)."""
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@pure
def max_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window; with `return_indices` also its row-major position in the plane (int64)."""
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@pure
def max_pool3d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window; with `return_indices` also its row-major position in the volume (int64)."""
    if casting.on:
        (input,) = casting.wide(input)
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _avg_pool(
    n: int, input: Tensor, kernel: Any, stride: Any, padding: Any, ceil_mode: bool, count_padding: bool,
    divisor: int | None = None,
) -> Tensor:  # fmt: skip
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")

    def run(x: Tensor) -> Any:
        attrs = _pool_attrs(n, x, kernel, stride, padding, 1, ceil_mode)
        total, pairs = apply(pooling.sum_pool, (x,), attrs), attrs["padding"]
        beyond = any(low != high for low, high in pairs)
        if divisor is None and (beyond or (not count_padding and any(low for low, _ in pairs))):
            return total / _counts(x, attrs, count_padding)
        return total / (math.prod(attrs["kernel"]) if divisor is None else divisor)

    return _batched(f"avg_pool{n}d", input, n, run)  # type: ignore[no-any-return]


def _counts(x: Tensor, attrs: dict[str, Any], count_padding: bool) -> Tensor:
    """How many elements of each window count."""
    ones = filled(x, (1, 1, *x.shape[2:]), 1)
    if count_padding:
        ones = records.padded(ones, [(low, low) for low, _ in attrs["padding"]], 1)
        attrs = {**attrs, "padding": tuple((0, high - low) for low, high in attrs["padding"])}
    return apply(pooling.sum_pool, (ones,), attrs)  # type: ignore[no-any-return]


@pure
def avg_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True
) -> Tensor:
    """The mean of each window."""
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


@pure
def avg_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window; the sum over `divisor_override` where that is given."""
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@pure
def avg_pool3d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window; the sum over `divisor_override` where that is given."""
    if casting.on:
        (input,) = casting.wide(input)
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _wanted(output_size: Any, x: Tensor, n: int) -> Ints:
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * n
    if len(given) != n:
        raise ShapeError(f"adaptive pooling: one size or {n} expected, got {output_size!r}")
    return tuple(int(size if m is None else m) for m, size in zip(given, x.shape[-n:], strict=True))


def _edges(x: Tensor, size: int, count: int) -> tuple[Tensor, Tensor]:
    """Where each of `count` parts of a dimension of `size` starts and ends: int64 (count, 1)."""
    i = unsqueeze(arange(count, device=x.device), 1)
    return g.floor_divide(i * size, count), g.floor_divide((i + 1) * size + (count - 1), count)


def _mean_parts(x: Tensor, dim: int, count: int) -> Tensor:
    """Means of `count` parts of dimension `dim` (negative), which overlap where they are not equal."""
    size = int(x.shape[dim])
    if size == count:
        return x
    if size % count == 0:
        at = x.ndim + dim
        return reshape(x, (*x.shape[:at], count, size // count, *x.shape[at + 1 :])).mean(at + 1)
    start, end = _edges(x, size, count)
    j = arange(size, device=x.device)
    share = ((j >= start) & (j < end)).to(x.dtype) / (end - start).to(x.dtype)
    return _mapped(x, dim, share)


def _mapped(x: Tensor, dim: int, matrix: Tensor) -> Tensor:
    """Dimension `dim` (negative) under a linear map (new size, old size)."""
    lines = x if dim == -1 else transpose(x, dim, -1)
    made = apply(linalg.matmul, (lines, transpose(matrix, 0, 1)), _NONE)
    return made if dim == -1 else transpose(made, dim, -1)  # type: ignore[no-any-return]


def _adaptive_avg(n: int, input: Tensor, output_size: Any) -> Tensor:
    def run(x: Tensor) -> Tensor:
        wanted = _wanted(output_size, x, n)
        if all(m == 1 for m in wanted):
            return x.mean(tuple(range(-n, 0)), keepdim=True)
        for dim, count in zip(range(-n, 0), wanted, strict=True):
            x = _mean_parts(x, dim, count)
        return x.contiguous()

    return _batched(f"adaptive_avg_pool{n}d", input, n, run)  # type: ignore[no-any-return]


@pure
def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """Means of `output_size` parts."""
    return _adaptive_avg(1, input, output_size)


@pure
def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means of a grid of `output_size` parts (an int, or two of which None keeps a size)."""
    return _adaptive_avg(2, input, output_size)


@pure
def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """Means of a grid of `output_size` parts."""
    if casting.on:
        (input,) = casting.wide(input)
    return _adaptive_avg(3, input, output_size)


def _adaptive_max(n: int, input: Tensor, output_size: Any, return_indices: bool) -> Any:
    def run(x: Tensor) -> Any:
        wanted = _wanted(output_size, x, n)
        sizes = [int(s) for s in x.shape[-n:]]
        if all(s % m == 0 for s, m in zip(sizes, wanted, strict=True)):
            kernel = tuple(s // m for s, m in zip(sizes, wanted, strict=True))
            return _max_pool(n, x, kernel, kernel, 0, 1, False, return_indices)
        if return_indices:
            raise NotImplementedError(f"adaptive_max_pool{n}d with return_indices: sizes {sizes} must be multiples of {wanted}")
        for dim, size, count in zip(range(-n, 0), sizes, wanted, strict=True):
            x = _max_parts(x, dim, size, count)
        return x.contiguous()

    return _batched(f"adaptive_max_pool{n}d", input, n, run)


def _max_parts(x: Tensor, dim: int, size: int, count: int) -> Tensor:
    start, end = _edges(x, size, count)
    longest = max(-((i + 1) * size // -count) - i * size // count for i in range(count))
    steps = arange(longest, device=x.device)
    place = g.minimum(start + steps, end - 1)
    lines = x if dim == -1 else transpose(x, dim, -1)
    at = place.reshape(-1).expand(*lines.shape[:-1], count * longest)
    parts = reshape(g.gather(lines, -1, at), (*lines.shape[:-1], count, longest)).amax(-1)
    return parts if dim == -1 else transpose(parts, dim, -1)


@pure
def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of `output_size` parts."""
    return _adaptive_max(1, input, output_size, return_indices)


@pure
def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of a grid of `output_size` parts."""
    return _adaptive_max(2, input, output_size, return_indices)


@pure
def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of a grid of `output_size` parts."""
    if casting.on:
        (input,) = casting.wide(input)
    return _adaptive_max(3, input, output_size, return_indices)


# -- interpolation


@pure
def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Tensor:  # fmt: skip
    """Spatial dimensions resized to `size` or by `scale_factor`; `mode` "nearest", "linear" (1-d) or "bilinear" (2-d)."""
    n = input.ndim - 2
    if (size is None) == (scale_factor is None):
        raise ValueError("only one of size or scale_factor should be defined")
    if antialias or mode not in ("nearest", ("linear", "bilinear", "trilinear")[n - 1]):
        raise NotImplementedError(f"interpolate: mode {mode!r} of {n} spatial dimensions is not built (antialias={antialias})")
    given = size if scale_factor is None else scale_factor
    each = tuple(given) if isinstance(given, (tuple, list)) else (given,) * n
    out = input
    for dim, value in zip(range(-n, 0), each, strict=True):
        have = int(input.shape[dim])
        count = int(value) if scale_factor is None else math.floor(have * value)
        ratio = have / count if scale_factor is None or recompute_scale_factor else 1 / value
        out = _nearest(out, dim, count, ratio) if mode == "nearest" else _linear(out, dim, count, ratio, bool(align_corners))
    return out.contiguous()


def _nearest(x: Tensor, dim: int, count: int, ratio: float) -> Tensor:
    size, at = int(x.shape[dim]), x.ndim + dim
    if count % size == 0 and ratio * count == size:
        times = count // size
        wide = unsqueeze(x, at + 1).expand(*x.shape[: at + 1], times, *x.shape[at + 1 :])
        return reshape(wide, (*x.shape[:at], count, *x.shape[at + 1 :]))
    place = g.minimum((arange(count, device=x.device) * ratio).floor().long(), size - 1)
    return _picked(x, dim, place)


def _picked(x: Tensor, dim: int, place: Tensor) -> Tensor:
    lines = x if dim == -1 else transpose(x, dim, -1)
    made = g.gather(lines, -1, place.expand(*lines.shape[:-1], place.shape[0]))
    return made if dim == -1 else transpose(made, dim, -1)


def _linear(x: Tensor, dim: int, count: int, ratio: float, align_corners: bool) -> Tensor:
    """Each new element the mean of its two neighbours, weighted by nearness: a linear map with two entries a row."""
    size = int(x.shape[dim])
    i, j = unsqueeze(arange(count, dtype=x.dtype, device=x.device), 1), arange(size, dtype=x.dtype, device=x.device)
    if align_corners:
        at = i * ((size - 1) / (count - 1) if count > 1 else 0.0)
    else:
        at = ((i + 0.5) * ratio - 0.5).clamp(min=0.0, max=float(size - 1))
    return _mapped(x, dim, (1.0 - (at - j).abs()).clamp(min=0.0))
