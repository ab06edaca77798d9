"""Changes of an image: Tensor [..., C, H, W], array [H, W(, C)] or PIL image in, the same kind out. Draws no random numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np

from ...eager import factory
from ...eager.functional import stack
from ...eager.tensor import Tensor
from ...ir import dtypes
from ...nn import functional as F
from . import resizing
from .images import Array, channels, check, is_pil, pil, pixels, plain, planes, size

__all__ = [
    "InterpolationMode", "center_crop", "convert_image_dtype", "crop", "erase", "five_crop", "get_dimensions", "get_image_size",
    "hflip", "normalize", "pad", "pil_to_tensor", "resize", "resized_crop", "rgb_to_grayscale", "rotate", "ten_crop",
    "to_grayscale", "to_pil_image", "to_tensor", "vflip",
]  # fmt: skip


class InterpolationMode(Enum):
    """How pixels between pixels are made."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"


# ---- kinds -----------------------------------------------------------------------------------------------------------------
def to_tensor(pic: Any) -> Tensor:
    """f32[C, H, W] of an array [H, W(, C)] or PIL image; values of u8 become 0..1, those of other arrays keep their dtype."""
    if isinstance(pic, Tensor):
        raise TypeError("to_tensor takes an array or a PIL image, not a Tensor: convert_image_dtype scales those")
    check(pic)
    array = _array(pic)
    array = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    if array.dtype == np.uint8:
        out = np.empty(array.shape, np.float32)
        return factory.make(np.divide(array, np.float32(255), out=out, dtype=np.float32))
    if array.dtype == np.bool_ and is_pil(pic):
        return factory.make(array.astype(np.float32))
    return factory.make(np.ascontiguousarray(array))


def pil_to_tensor(pic: Any) -> Tensor:
    """[C, H, W] of a PIL image (or array [H, W(, C)]) with its own values."""
    check(pic)
    array = _array(pic)
    return factory.make(np.array(array[None] if array.ndim == 2 else array.transpose(2, 0, 1), order="C"))


def _array(pic: Any) -> Array:
    if is_pil(pic) and pic.mode in ("I", "F", "I;16", "1"):
        kinds = {"I": np.int32, "F": np.float32, "I;16": np.int16, "1": np.bool_}
        return np.array(pic, kinds[pic.mode])
    return np.asarray(pic)


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A PIL image of a Tensor [C, H, W] or [H, W] (floats are scaled by 255) or an array [H, W(, C)]."""
    image = pil()
    if isinstance(pic, Tensor):
        if pic.ndim not in (2, 3):
            raise ValueError(f"one image has 2 or 3 dimensions, this tensor has shape {list(pic.shape)}")
        array = (pic.detach().mul(255).to(dtypes.uint8) if pic.is_floating_point() and mode != "F" else pic.detach()).numpy()
        array = array.transpose(1, 2, 0) if pic.ndim == 3 else array
    elif isinstance(pic, np.ndarray):
        array = pic
    else:
        raise TypeError(f"to_pil_image takes a Tensor or an array, not {type(pic)}")
    array = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if array.ndim == 3 and array.shape[2] > 4:
        raise ValueError(f"an image has at most 4 channels, not {array.shape[2]}")
    out = image.fromarray(np.ascontiguousarray(array))
    return out if mode is None or mode == out.mode else out.convert(mode)


def convert_image_dtype(image: Tensor, dtype: Any = dtypes.float32) -> Tensor:
    """`image` in `dtype`, its values scaled from the range of its own (floats: 0 to 1) to that of `dtype`. RuntimeError where the
    floating one does not hold that."""
    source = image.dtype
    if source is dtype:
        return image
    if source.is_floating_point:
        if dtype.is_floating_point:
            return image.to(dtype)  # type: ignore[no-any-return]
        if dtype.itemsize > 4 or (dtype.itemsize == 4 and source.itemsize <= 4):
            raise RuntimeError(f"{source.name} does not hold the range of {dtype.name}: convert to float64 or a narrower dtype")
        top = np.iinfo(dtype.np).max
        return (image * (top + 1 - 1e-3)).to(dtype)  # type: ignore[no-any-return]
    top = np.iinfo(source.np).max
    if dtype.is_floating_point:
        array = plain(image)
        if array is not None and source is dtypes.uint8 and dtype is dtypes.float32:
            return factory.make(np.divide(array, np.float32(255), dtype=np.float32))
        return image.to(dtype) / top  # type: ignore[no-any-return]
    high = np.iinfo(dtype.np).max
    if top > high:
        return (image // ((top + 1) // (high + 1))).to(dtype)  # type: ignore[no-any-return]
    return image.to(dtype) * ((high + 1) // (top + 1))  # type: ignore[no-any-return]


def normalize(tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> Tensor:
    """``(tensor - mean) / std`` for each channel of a floating Tensor [..., C, H, W]. ValueError for a std of 0."""
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        what = tensor.dtype.name if isinstance(tensor, Tensor) else type(tensor).__name__
        raise TypeError(f"normalize takes a floating Tensor (ToTensor makes one), not {what}")
    if tensor.ndim < 3:
        raise ValueError(f"normalize takes a Tensor [..., C, H, W], not of shape {list(tensor.shape)}")
    shift, scale = _statistics(tensor, mean), _statistics(tensor, std)
    if (scale == 0).any():
        raise ValueError(f"std={list(std)} divides by zero")
    array = plain(tensor)
    if array is not None and not inplace:
        out = np.subtract(array, shift, dtype=array.dtype) if not tensor.dtype.is_half else None
        if out is not None:
            return factory.make(np.divide(out, scale, out=out))
    if inplace:
        return tensor.sub_(factory.make(shift)).div_(factory.make(scale))  # type: ignore[no-any-return]
    return (tensor - factory.make(shift)) / factory.make(scale)  # type: ignore[no-any-return]


def _statistics(tensor: Tensor, values: Any) -> Array:
    array = np.asarray(values, tensor.dtype.np)
    if array.size not in (1, tensor.shape[-3]):
        raise ValueError(f"mean and std have a number for each of {tensor.shape[-3]} channels, not {array.size}")
    return array.reshape(-1, 1, 1)


# ---- places ------------------------------------------------------------------------------------------------------------------
def get_dimensions(image: Any) -> list[int]:
    """[channels, height, width]."""
    return [channels(image), *size(image)]


def get_image_size(image: Any) -> list[int]:
    """[width, height]."""
    return [*size(image)][::-1]


def hflip(img: Any) -> Any:
    """Left and right exchanged."""
    if isinstance(img, Tensor):
        array = plain(img)
        return factory.make(array[..., ::-1].copy()) if array is not None else img.flip(-1)
    return pixels(img, lambda a: np.ascontiguousarray(a[:, ::-1]))


def vflip(img: Any) -> Any:
    """Top and bottom exchanged."""
    if isinstance(img, Tensor):
        array = plain(img)
        return factory.make(array[..., ::-1, :].copy()) if array is not None else img.flip(-2)
    return pixels(img, lambda a: np.ascontiguousarray(a[::-1]))


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """The part of `height` rows and `width` columns from (top, left) on; what lies outside of the image is 0."""
    h, w = size(img)
    right, bottom = left + width, top + height
    if left < 0 or top < 0 or right > w or bottom > h:
        img = pad(img, [max(-left, 0), max(-top, 0), max(right - w, 0), max(bottom - h, 0)])
        left, top = max(left, 0), max(top, 0)
    if isinstance(img, Tensor):
        return img[..., top : top + height, left : left + width]
    return pixels(img, lambda a: a[top : top + height, left : left + width])


def pair(value: Any, name: str = "size") -> tuple[int, int]:
    """(height, width) of a number or of a sequence of one or two."""
    values = (value, value) if isinstance(value, (int, float)) else tuple(value)
    values = values * 2 if len(values) == 1 else values
    if len(values) != 2:
        raise ValueError(f"{name} is a number or two, not {value!r}")
    return int(values[0]), int(values[1])


def center_crop(img: Any, output_size: Any) -> Any:
    """The middle of `output_size` (h, w); a smaller image is padded with 0."""
    height, width = pair(output_size)
    h, w = size(img)
    if width > w or height > h:
        left, top = max(width - w, 0) // 2, max(height - h, 0) // 2
        img = pad(img, [left, top, max(width - w + 1, 0) // 2, max(height - h + 1, 0) // 2])
        h, w = size(img)
    return crop(img, round((h - height) / 2.0), round((w - width) / 2.0), height, width)


def pad(img: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """`img` with borders: a number, (sides, top and bottom) or (left, top, right, bottom); of `fill`, or by `padding_mode`
    "edge", "reflect" or "symmetric" (reflected with the border's pixels repeated)."""
    modes = ("constant", "edge", "reflect", "symmetric")
    if padding_mode not in modes:
        raise ValueError(f"padding_mode is {', '.join(modes)}, not {padding_mode!r}")
    sides = (padding,) if isinstance(padding, int) else tuple(padding)
    if len(sides) not in (1, 2, 4):
        raise ValueError(f"padding is 1, 2 or 4 numbers, not {padding!r}")
    left, top, right, bottom = sides * 4 if len(sides) == 1 else sides * 2 if len(sides) == 2 else sides
    if not isinstance(img, Tensor):
        check(img)
        return pixels(img, lambda a: _padded(a, ((top, bottom), (left, right)), fill, padding_mode, 0))
    array = plain(img)
    if array is not None:
        return factory.make(_padded(array, ((top, bottom), (left, right)), fill, padding_mode, array.ndim - 2))
    if padding_mode == "symmetric" or not isinstance(fill, (int, float)):
        raise NotImplementedError("a Tensor that records gradients is padded by one number, at its edge or reflected")
    return F.pad(img, [left, right, top, bottom], {"edge": "replicate"}.get(padding_mode, padding_mode), fill)


def _padded(array: Array, widths: Any, fill: Any, mode: str, at: int) -> Array:
    """`array` padded along dimensions `at` and `at` + 1; negative widths cut."""
    if min(min(p) for p in widths) < 0:
        cut = [slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(widths, array.shape[at : at + 2], strict=True)]
        array = array[(slice(None),) * at + tuple(cut)]
        widths = tuple((max(a, 0), max(b, 0)) for a, b in widths)
    every = ((0, 0),) * at + tuple(widths) + ((0, 0),) * (array.ndim - at - 2)
    if mode != "constant":
        return np.pad(array, every, mode)  # type: ignore[call-overload,no-any-return]
    out = np.empty([n + a + b for n, (a, b) in zip(array.shape, every, strict=True)], array.dtype)
    values = np.asarray(fill)
    out[...] = values.reshape(-1, 1, 1) if at and values.ndim else values
    out[tuple(slice(a, a + n) for n, (a, _) in zip(array.shape, every, strict=True))] = array
    return out


def _wanted(img: Any, wanted: Any, max_size: int | None) -> tuple[int, int]:
    h, w = size(img)
    if not isinstance(wanted, int) and len(wanted) == 2:
        if max_size is not None:
            raise ValueError("max_size goes with one number for the shorter side")
        return int(wanted[0]), int(wanted[1])
    short = wanted if isinstance(wanted, int) else wanted[0]
    long = int(short * max(h, w) / min(h, w))
    if max_size is not None:
        if max_size <= short:
            raise ValueError(f"max_size={max_size} is not above the shorter side, {short}")
        if long > max_size:
            short, long = int(max_size * short / long), max_size
    return (short, long) if h <= w else (long, short)


def resize(
    img: Any,
    size: Any,
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """`img` in `size`: (h, w), or a number for its shorter side. Bilinear and bicubic widen their filter when they shrink."""
    height, width = _wanted(img, size, max_size)
    mode = interpolation.value if isinstance(interpolation, InterpolationMode) else str(interpolation)
    if is_pil(img):
        ways = {"nearest": 0, "nearest-exact": 0, "bilinear": 2, "bicubic": 3}
        if mode not in ways:
            raise ValueError(f"interpolation is {', '.join(ways)}, not {mode!r}")
        return img.resize((width, height), ways[mode])
    return planes(img, lambda t: resizing.resize(t, height, width, mode, antialias is not False))


def resized_crop(
    img: Any, top: int, left: int, height: int, width: int, size: Any, interpolation: Any = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:  # fmt: skip
    """`crop`, then `resize`."""
    return resize(crop(img, top, left, height, width), size, interpolation, None, antialias)


def five_crop(img: Any, size: Any) -> tuple[Any, ...]:
    """The corners (top left, top right, bottom left, bottom right) and the middle."""
    height, width = pair(size)
    h, w = _size(img)
    if height > h or width > w:
        raise ValueError(f"parts of {height}x{width} do not lie in an image of {h}x{w}")
    places = (0, 0), (0, w - width), (h - height, 0), (h - height, w - width)
    return (*(crop(img, y, x, height, width) for y, x in places), center_crop(img, (height, width)))


def ten_crop(img: Any, size: Any, vertical_flip: bool = False) -> tuple[Any, ...]:
    """`five_crop` of the image and of its mirror image."""
    return five_crop(img, size) + five_crop(vflip(img) if vertical_flip else hflip(img), size)


_size = size


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Tensor:
    """A Tensor with `v` in its part of h rows and w columns from (i, j) on."""
    if not isinstance(img, Tensor):
        raise TypeError(f"erase takes a Tensor, not {type(img)}")
    out = img if inplace else img.clone()
    out[..., i : i + h, j : j + w] = v
    return out  # type: ignore[no-any-return]


def rotate(
    img: Any,
    angle: float,
    interpolation: Any = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Any = None,
    fill: Any = 0,
) -> Any:
    """`img` turned by `angle` degrees against the clock about its middle (or `center`, (x, y)); what comes from outside is
    `fill`."""
    mode = interpolation.value if isinstance(interpolation, InterpolationMode) else str(interpolation)
    if is_pil(img):
        ways = {"nearest": 0, "bilinear": 2, "bicubic": 3}
        return img.rotate(angle, ways[mode], expand, center, fillcolor=fill)
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f"a Tensor is turned by nearest or bilinear pixels, not {mode!r}")
    return planes(img, lambda t: _turned(t, angle, mode, expand, center, fill))


def _turned(t: Tensor, angle: float, mode: str, expand: bool, center: Any, fill: Any) -> Tensor:
    h, w = (int(n) for n in t.shape[-2:])
    turn = math.radians(angle)
    cos, sin = math.cos(turn), math.sin(turn)
    height, width = h, w
    if expand:
        width, height = (math.ceil(round(abs(a * cos) + abs(b * sin), 6)) for a, b in ((w, h), (h, w)))
    cx, cy = (w / 2, h / 2) if center is None else center
    y, x = np.mgrid[0:height, 0:width]
    x, y = x + 0.5 - (width / 2 if expand else cx), y + 0.5 - (height / 2 if expand else cy)
    u, v = x * cos - y * sin + cx - 0.5, x * sin + y * cos + cy - 0.5
    array = t.detach().numpy()
    flat = array.reshape(-1, h, w).astype(np.float64)
    out = np.zeros((flat.shape[0], height, width))
    inside = np.zeros((height, width))
    if mode == "nearest":
        corners = [(np.rint(v).astype(int), np.rint(u).astype(int), np.ones_like(u))]
    else:
        v0, u0 = np.floor(v).astype(int), np.floor(u).astype(int)
        corners = [(v0 + b, u0 + a, np.abs(1 - b - (v - v0)) * np.abs(1 - a - (u - u0))) for b in (0, 1) for a in (0, 1)]
    for row, column, weight in corners:
        there = (row >= 0) & (row < h) & (column >= 0) & (column < w)
        out += np.where(there, weight, 0) * flat[:, row.clip(0, h - 1), column.clip(0, w - 1)]
        inside += np.where(there, weight, 0)
    out += (1 - inside) * np.broadcast_to(np.asarray(fill, np.float64).reshape(-1, 1, 1), (np.size(fill), 1, 1))
    out = np.rint(out) if array.dtype.kind in "iu" else out
    return factory.make(out.reshape(*array.shape[:-2], height, width).astype(array.dtype))


# ---- colours -------------------------------------------------------------------------------------------------------------------
def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """The luminance (0.2989 red + 0.587 green + 0.114 blue) in 1 or 3 channels."""
    if num_output_channels not in (1, 3):
        raise ValueError(f"a grey image has 1 or 3 channels, not {num_output_channels}")
    if is_pil(img):
        grey = img.convert("L")
        return grey if num_output_channels == 1 else pil().merge("RGB", (grey, grey, grey))
    return planes(img, lambda t: _grey(t, num_output_channels))


to_grayscale = rgb_to_grayscale


def _grey(t: Tensor, count: int) -> Tensor:
    n = t.shape[-3]
    if n not in (1, 3):
        raise TypeError(f"an image has 1 or 3 channels, not {n}")
    if n == 3:
        x = t if t.is_floating_point() else t.to(dtypes.float32)
        r, g, b = x.unbind(-3)
        t = (0.2989 * r + 0.587 * g + 0.114 * b).to(t.dtype).unsqueeze(-3)
    return t if count == 1 else stack([t.squeeze(-3)] * 3, -3)
