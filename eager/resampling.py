"""Resizing of planes: `interpolate` in all its modes, as linear maps along each dimension or as picks. Nothing else."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..ir import dtypes
from ..ir.ops.compare import where
from . import generated as g
from .creation import arange
from .functional import reshape, to, transpose, unsqueeze
from .pure import pure
from .served import served
from .windows import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, mapped

if TYPE_CHECKING:
    from .tensor import Tensor

#: What `mode` may be, with the numbers of spatial dimensions.
_MODES = {
    "nearest": (1, 2, 3), "nearest-exact": (1, 2, 3), "area": (1, 2, 3), "linear": (1,), "bilinear": (2,), "trilinear": (3,),
    "bicubic": (2,),
}  # fmt: skip


@served
@pure
def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Tensor:  # fmt: skip
    """Spatial dimensions resized to `size` or by `scale_factor`; `mode`: "nearest", "nearest-exact", "area", "linear" (1-d),
    "bilinear" or "bicubic" (2-d; with `antialias` over wider windows where it gets smaller), "trilinear" (3-d)."""
    n = input.ndim - 2
    if (size is None) == (scale_factor is None):
        raise ValueError("only one of size or scale_factor should be defined")
    if n not in _MODES.get(mode, ()):
        raise NotImplementedError(f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {input.ndim}D) for the modes: "
                                  f"{' | '.join(_MODES)} (got {mode})")  # fmt: skip
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError("Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as input")
    if align_corners is not None and mode in ("nearest", "nearest-exact", "area"):
        raise ValueError("align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | "
                         "trilinear")  # fmt: skip
    given = size if scale_factor is None else scale_factor
    each = tuple(given) if isinstance(given, (tuple, list)) else (given,) * n
    sizes = [int(s) for s in input.shape[-n:]]
    counts = [int(v) if scale_factor is None else math.floor(s * v) for s, v in zip(sizes, each, strict=True)]
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[n - 1](input, counts)
    keep = scale_factor is None or recompute_scale_factor
    ratios = [s / m if keep else 1 / v for s, m, v in zip(sizes, counts, each, strict=True)]
    if mode.startswith("nearest"):
        out = input
        for dim, count, ratio in zip(range(-n, 0), counts, ratios, strict=True):
            out = _nearest(out, dim, count, ratio, 0.5 if mode == "nearest-exact" else 0.0)
        return out.contiguous()
    return _blended(input, mode, counts, ratios, bool(align_corners), antialias)


def _blended(input: Tensor, mode: str, counts: list[int], ratios: list[float], align_corners: bool, antialias: bool) -> Tensor:
    """Each new element a weighted mean of old ones: one linear map a dimension, of floats that hold the weights well."""
    dtype = input.dtype if input.dtype is dtypes.float64 else dtypes.float32
    out, n = to(input, dtype), len(counts)
    for dim, count, ratio in zip(range(-1, -n - 1, -1), counts[::-1], ratios[::-1], strict=True):
        have = int(input.shape[dim])
        ratio = ((have - 1) / (count - 1) if count > 1 else 0.0) if align_corners else ratio
        if count == have and ratio == 1:
            continue
        if antialias:
            weights = _filtered(input, have, count, ratio, mode == "bicubic")
        else:
            at = _places(input, count, ratio, align_corners)
            weights = _cubic(input, at, have) if mode == "bicubic" else _linear(input, at, have)
        out = mapped(out, dim, to(weights, dtype))
        if input.dtype.kind in "ui":  # as PyTorch's: each pass in whole numbers, halves up
            out = (out + 0.5).floor().clamp(0, 255)
    return to(out, input.dtype).contiguous()


def _places(x: Tensor, count: int, ratio: float, align_corners: bool) -> Tensor:
    """Where the new elements lie among the old ones, (count, 1), float64."""
    i = unsqueeze(arange(count, dtype=dtypes.float64, device=x.device), 1)
    return i * ratio if align_corners else (i + 0.5) * ratio - 0.5


def _old(x: Tensor, size: int) -> Tensor:
    return arange(size, dtype=dtypes.float64, device=x.device)


def _linear(x: Tensor, at: Tensor, size: int) -> Tensor:
    """Of its two neighbours by nearness."""
    at = at.clamp(min=0.0, max=float(size - 1))
    return (1.0 - (at - _old(x, size)).abs()).clamp(min=0.0)


def _cubic(x: Tensor, at: Tensor, size: int) -> Tensor:
    """Of its four neighbours by Keys's cubic convolution (1981), of slope -0.75; beyond an edge the last element."""
    base, total = at.floor(), None
    for k in range(-1, 3):
        place = (base + k).clamp(min=0.0, max=float(size - 1))
        part = _keys(at - base - k, -0.75) * to(g.eq(place, _old(x, size)), dtypes.float64)
        total = part if total is None else total + part
    return total  # type: ignore[return-value]


def _keys(away: Tensor, a: float) -> Tensor:
    """Keys's kernel at a distance."""
    d = away.abs()
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return where(d <= 1, near, where(d < 2, far, 0.0))  # type: ignore[no-any-return]


def _filtered(x: Tensor, size: int, count: int, ratio: float, cubic: bool) -> Tensor:
    """Of all within reach of a kernel as wide as the step between new elements."""
    wide = max(ratio, 1.0)
    reach = (2.0 if cubic else 1.0) * wide
    center = (unsqueeze(arange(count, dtype=dtypes.float64, device=x.device), 1) + 0.5) * ratio
    first, last = (center - reach + 0.5).floor().clamp(min=0.0), (center + reach + 0.5).floor().clamp(max=float(size))
    j = _old(x, size)
    away = (j - center + 0.5) / wide
    weights = _keys(away, -0.5) if cubic else (1.0 - away.abs()).clamp(min=0.0)
    weights = where(g.logical_and(j >= first, j < last), weights, 0.0)
    return weights / weights.sum(1, keepdim=True)  # type: ignore[no-any-return]


def _nearest(x: Tensor, dim: int, count: int, ratio: float, offset: float) -> Tensor:
    size, at = int(x.shape[dim]), x.ndim + dim
    if size and count % size == 0 and ratio * count == size:
        times = count // size
        wide = unsqueeze(x, at + 1).expand(*x.shape[: at + 1], times, *x.shape[at + 1 :])
        return reshape(wide, (*x.shape[:at], count, *x.shape[at + 1 :]))
    place = g.minimum(((arange(count, device=x.device) + offset) * ratio).floor().long(), size - 1)
    lines = x if dim == -1 else transpose(x, dim, -1)
    made = g.gather(lines, -1, place.expand(*lines.shape[:-1], place.shape[0]))
    return made if dim == -1 else transpose(made, dim, -1)
