"""Functions over windows of spatial dimensions: convolutions, pooling, interpolation. PyTorch's names and argument order.

Inputs are (batch, channels, *spatial), or without the batch. Sizes given as one int hold for every spatial dimension.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import DTypeError, ShapeError
from ..ir import dtypes
from ..ir.ops import convolution as records
from ..ir.ops import pooling
from ..ir.ops.creation import filled
from . import casting
from . import generated as g
from .complexes import complex_of
from .creation import arange
from .executor import apply
from .functional import div, reshape, transpose, unlowered, unsqueeze
from .outputs import fills
from .pure import pure
from .served import served

if TYPE_CHECKING:
    from .tensor import Tensor

_NONE: dict[str, Any] = {}
Ints = tuple[int, ...]


def each_dim(name: str, value: Any, n: int) -> Ints:
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
    steps, spread = each_dim("stride", stride, n), each_dim("dilation", dilation, n)
    if input.dtype.is_complex:
        return _of_parts(lambda x, w, b: _conv(n, x, w, b, stride, padding, dilation, groups), input, weight, bias)
    if input.dtype.kind in "ui":  # through float64, which holds all sums below 2 to the 53rd
        added = None if bias is None else bias.double()
        return _conv(n, input.double(), weight.double(), added, stride, padding, dilation, groups).to(input.dtype)
    edges: list[tuple[int, int]] | None = None
    if isinstance(padding, str):
        edges = _named_padding(padding, weight, steps, spread)
        around = tuple(low for low, _ in edges)
    else:
        around = each_dim("padding", padding, n)

    def run(x: Tensor) -> Any:
        if edges is not None and any(low != high for low, high in edges):
            x = records.padded(x, [(0, high - low) for low, high in edges])
        attrs = {"stride": steps, "padding": around, "dilation": spread, "groups": int(groups)}
        return apply(records.convolution, (x, weight, bias), attrs)

    return _batched(f"conv{n}d", input, n, run)  # type: ignore[no-any-return]


def _of_parts(run: Callable[..., Any], input: Tensor, weight: Tensor, bias: Any) -> Tensor:
    """A bilinear map of complex operands by four of real ones."""
    (a, b), (c, d) = ((x.real, x.imag) for x in (input, weight))
    ends = (None, None) if bias is None else (bias.real, bias.imag)
    return complex_of(run(a, c, ends[0]) - run(b, d, None), run(a, d, ends[1]) + run(b, c, None))


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
    steps, spread = each_dim("stride", stride, n), each_dim("dilation", dilation, n)
    around, beyond = each_dim("padding", padding, n), each_dim("output_padding", extra, n)
    if any(b >= max(s, d) for b, s, d in zip(beyond, steps, spread, strict=True)):
        raise RuntimeError(f"output padding must be smaller than either stride or dilation, but got output_padding: {beyond}, "
                           f"stride: {steps}, dilation: {spread}")  # fmt: skip

    def run_real(x: Any, w: Any, b: Any) -> Any:
        return _conv_transpose(n, x, w, b, stride, padding, extra, groups, dilation)

    if input.dtype.is_complex:
        return _of_parts(run_real, input, weight, bias)
    if input.dtype.kind in "ui":
        added = None if bias is None else bias.double()
        return run_real(input.double(), weight.double(), added).to(input.dtype)  # type: ignore[no-any-return]
    wide = any(b >= s for b, s in zip(beyond, steps, strict=True))  # no convolution of that stride has this for its input
    cut = [(-p, b - p) for p, b in zip(around, beyond, strict=True)] if wide else []
    around, beyond = ((0,) * n, (0,) * n) if wide else (around, beyond)

    def run(x: Tensor) -> Any:
        sides = zip(x.shape[2:], weight.shape[2:], steps, around, beyond, spread, strict=True)
        shape = tuple((m - 1) * s - 2 * p + d * (k - 1) + b + 1 for m, k, s, p, b, d in sides)
        attrs = {"shape": shape, "stride": steps, "padding": around, "dilation": spread, "groups": int(groups)}
        out = apply(records.conv_input, (x, weight), attrs)
        out = records.padded(out, cut) if wide else out
        shift = casting.low(bias)[0] if casting.on else bias
        return out if shift is None else out + reshape(shift, (shift.shape[0], *(1,) * n))

    return _batched(f"conv_transpose{n}d", input, n, run)  # type: ignore[no-any-return]


@served
@pure
def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """The adjoint of `conv1d`: (N, C, L) with `weight` (C, O / groups, k)."""
    return _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


@served
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
    sides = each_dim("kernel_size", kernel, n)
    steps = sides if stride is None or stride == () or stride == [] else each_dim("stride", stride, n)
    around, spread = each_dim("padding", padding, n), each_dim("dilation", dilation, n)
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


@served
@pure
def max_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window; with `return_indices` also its position (int64)."""
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@served
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

    if input.dtype.kind in "ui" and input.dtype is not dtypes.int64:
        raise DTypeError(f"avg_pool{n}d: of whole numbers int64 only, got {input.dtype.name}{list(input.shape)}")

    def run(x: Tensor) -> Any:
        attrs = _pool_attrs(n, x, kernel, stride, padding, 1, ceil_mode)
        total, pairs = apply(pooling.sum_pool, (x,), attrs), attrs["padding"]
        beyond = any(low != high for low, high in pairs)
        if divisor is None and (beyond or (not count_padding and any(low for low, _ in pairs))):
            by: Any = _counts(x, attrs, count_padding)
        else:
            by = math.prod(attrs["kernel"]) if divisor is None else divisor
        return div(total, by, rounding_mode="trunc") if total.dtype.kind in "ui" else total / by

    return _batched(f"avg_pool{n}d", input, n, run)  # type: ignore[no-any-return]


def _counts(x: Tensor, attrs: dict[str, Any], count_padding: bool) -> Tensor:
    """How many elements of each window count."""
    ones = filled(x, (1, 1, *x.shape[2:]), 1)
    if count_padding:
        ones = records.padded(ones, [(low, low) for low, _ in attrs["padding"]], 1)
        attrs = {**attrs, "padding": tuple((0, high - low) for low, high in attrs["padding"])}
    return apply(pooling.sum_pool, (ones,), attrs)  # type: ignore[no-any-return]


@served
@pure
def avg_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True
) -> Tensor:
    """The mean of each window."""
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


@served
@fills
@pure
def avg_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window; the sum over `divisor_override` where that is given."""
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@served
@fills
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
    return mapped(x, dim, share)


def mapped(x: Tensor, dim: int, matrix: Tensor) -> Tensor:
    """Dimension `dim` (negative) under a linear map (new size, old size)."""
    lines = x if dim == -1 else transpose(x, dim, -1)
    made = unlowered(lines, transpose(matrix, 0, 1))
    return made if dim == -1 else transpose(made, dim, -1)  # type: ignore[no-any-return]


def _adaptive_avg(n: int, input: Tensor, output_size: Any) -> Tensor:
    def run(x: Tensor) -> Tensor:
        wanted = _wanted(output_size, x, n)
        if all(m == 1 for m in wanted):
            return x.mean(tuple(range(-n, 0)), keepdim=True)
        given = x
        for dim, count in zip(range(-n, 0), wanted, strict=True):
            x = _mean_parts(x, dim, count)
        return x.clone() if x is given else x.contiguous()

    return _batched(f"adaptive_avg_pool{n}d", input, n, run)  # type: ignore[no-any-return]


@served
@pure
def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """Means of `output_size` parts."""
    return _adaptive_avg(1, input, output_size)


@served
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
        if all(m and s % m == 0 for s, m in zip(sizes, wanted, strict=True)):
            kernel = tuple(s // m for s, m in zip(sizes, wanted, strict=True))
            return _max_pool(n, x, kernel, kernel, 0, 1, False, return_indices)
        at = _positions(x, n) if return_indices else None
        for dim, size, count in zip(range(-1, -n - 1, -1), sizes[::-1], wanted[::-1], strict=True):
            start, end = _edges(x, size, count)
            longest = max([-((i + 1) * size // -count) - i * size // count for i in range(count)], default=1)
            place = g.minimum(start + arange(longest, device=x.device), end - 1)
            x, at = _largest(x, at, dim, place)
        return (x.contiguous(), at.contiguous()) if at is not None else x.contiguous()

    return _batched(f"adaptive_max_pool{n}d", input, n, run)


def _positions(x: Tensor, n: int) -> Tensor:
    """The row-major number of each element in its plane of `n` dimensions, int64."""
    spatial = tuple(x.shape[-n:])
    return arange(math.prod(spatial), device=x.device).reshape(spatial).expand(x.shape)


def _largest(x: Tensor, at: Any, dim: int, place: Tensor) -> tuple[Tensor, Any]:
    """The first largest of each group of elements along dimension `dim` (negative), and what `at`, if there is one, has at that
    place. `place`: (..., groups, elements of a group)."""
    count, longest = place.shape[-2:]
    lines = x if dim == -1 else transpose(x, dim, -1)
    wide = place.reshape((*place.shape[:-2], count * longest)).expand((*lines.shape[:-1], count * longest))
    parts = reshape(g.gather(lines, -1, wide), (*lines.shape[:-1], count, longest))
    if at is None:
        found = parts.amax(-1)
        return (found if dim == -1 else transpose(found, dim, -1)), None
    best = g.argmax(parts, -1, keepdim=True)
    numbers = at if dim == -1 else transpose(at, dim, -1)
    numbers = reshape(g.gather(numbers, -1, wide), (*lines.shape[:-1], count, longest))
    made = [g.gather(v, -1, best).squeeze(-1) for v in (parts, numbers)]
    made = made if dim == -1 else [transpose(m, dim, -1) for m in made]
    return made[0], made[1]


@pure
def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of `output_size` parts."""
    return _adaptive_max(1, input, output_size, return_indices)


@served
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


def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """Cross-correlation of (time, batch, channels); `weight` (kernel, in, out)."""
    return conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, 1, pad).permute(2, 0, 1)
