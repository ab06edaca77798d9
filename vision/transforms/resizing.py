"""Resizing by one matrix a direction: each result is a weighted mean of the pixels that a filter as wide as the scale covers.

Nothing is computed in a loop over pixels, and gradients go through it. Method: separable resampling with the triangle, the cubic
(a = -0.5) or no filter; with `antialias` the filter widens when an image becomes smaller.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ...eager import factory
from ...eager.functional import matmul
from ...eager.tensor import Tensor
from ...ir import dtypes

Array = np.ndarray[Any, Any]


def _triangle(x: Array) -> Array:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _cubic(x: Array, a: float) -> Array:
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


@lru_cache(maxsize=256)
def weights(source: int, target: int, mode: str, antialias: bool) -> Array:
    """f32[target, source]: how much each pixel of a row gives to each of the resized row."""
    scale = source / target
    centre = (np.arange(target) + 0.5) * scale
    if mode in ("nearest", "nearest-exact"):
        at = np.arange(target) * scale if mode == "nearest" else centre
        return np.eye(source, dtype=np.float32)[np.minimum(at.astype(np.int64), source - 1)]
    wide = max(scale, 1.0) if antialias else 1.0
    support = (2.0 if mode == "bicubic" else 1.0) * wide
    if not antialias:
        return _clamped(source, target, centre - 0.5, mode)
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + support + 0.5).astype(np.int64), source)
    j = np.arange(source)
    x = (j[None] - centre[:, None] + 0.5) / wide
    w = _cubic(x, -0.5) if mode == "bicubic" else _triangle(x)
    w = np.where((j[None] >= first[:, None]) & (j[None] < last[:, None]), w, 0.0)
    return (w / w.sum(1, keepdims=True)).astype(np.float32)  # type: ignore[no-any-return]


def _clamped(source: int, target: int, at: Array, mode: str) -> Array:
    """Without antialias: the nearest 2 or 4 pixels, those outside standing at the border."""
    if mode == "bilinear":
        at = np.maximum(at, 0.0)
    base = np.floor(at).astype(np.int64)
    out = np.zeros((target, source))
    for k in (-1, 0, 1, 2) if mode == "bicubic" else (0, 1):
        x = at - (base + k)
        w = _cubic(x, -0.75) if mode == "bicubic" else _triangle(x)
        np.add.at(out, (np.arange(target), np.clip(base + k, 0, source - 1)), w)
    return out.astype(np.float32)


def resize(image: Tensor, height: int, width: int, mode: str = "bilinear", antialias: bool = True) -> Tensor:
    """`image` [..., H, W] with `height` rows and `width` columns, in its own dtype (whole numbers are rounded and clipped)."""
    if mode not in ("nearest", "nearest-exact", "bilinear", "bicubic"):
        raise ValueError(f"interpolation is nearest, nearest-exact, bilinear or bicubic, not {mode!r}")
    h, w = image.shape[-2:]
    if (h, w) == (height, width):
        return image
    dtype, smooth = image.dtype, mode in ("bilinear", "bicubic")
    if not smooth:
        rows, columns = (weights(n, m, mode, False).argmax(1) for n, m in ((h, height), (w, width)))
        return image[..., factory.make(rows), :][..., factory.make(columns)]  # type: ignore[no-any-return]
    x = image if dtype.is_floating_point and not dtype.is_half else image.to(dtypes.float32)
    down, across = (factory.make(weights(n, m, mode, antialias)).to(x.dtype) for n, m in ((h, height), (w, width)))
    if dtype.is_floating_point:
        return matmul(down, matmul(x, across.t())).to(dtype)  # type: ignore[no-any-return]
    low, high = np.iinfo(dtype.np).min, np.iinfo(dtype.np).max
    halfway = (
        (matmul(x, across.t()) + 0.5).floor().clamp(low, high)
    )  # whole numbers between the two passes, as PIL and PyTorch have
    return (matmul(down, halfway) + 0.5).floor().clamp(low, high).to(dtype)  # type: ignore[no-any-return]
