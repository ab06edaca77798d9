"""Transforms that move, cut and turn images; the random ones draw from the default generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...eager.random import randn
from ...eager.tensor import Tensor
from . import functional as F
from .chance import happens, uniform, whole
from .functional import InterpolationMode
from .images import size as size_of
from .steps import Transform


class RandomHorizontalFlip(Transform):
    """The mirror image with probability `p`."""

    facts = ("p",)

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, img: Any) -> Any:
        return F.hflip(img) if happens(self.p) else img


class RandomVerticalFlip(Transform):
    """The image upside down with probability `p`."""

    facts = ("p",)

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, img: Any) -> Any:
        return F.vflip(img) if happens(self.p) else img


class CenterCrop(Transform):
    """The middle of `size`, (h, w) or a number."""

    facts = ("size",)

    def __init__(self, size: Any) -> None:
        self.size = F.pair(size)

    def __call__(self, img: Any) -> Any:
        return F.center_crop(img, self.size)


class Pad(Transform):
    """Borders: see `functional.pad`."""

    facts = "padding", "fill", "padding_mode"

    def __init__(self, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> None:
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def __call__(self, img: Any) -> Any:
        return F.pad(img, self.padding, self.fill, self.padding_mode)


class RandomCrop(Transform):
    """A part of `size` at a random place, after padding. ValueError where the image is smaller, unless `pad_if_needed`."""

    facts = "size", "padding"

    def __init__(
        self, size: Any, padding: Any = None, pad_if_needed: bool = False, fill: Any = 0, padding_mode: str = "constant"
    ) -> None:
        self.size, self.padding, self.pad_if_needed = F.pair(size), padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode

    @staticmethod
    def get_params(img: Any, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """(top, left, height, width) drawn for `img`."""
        (h, w), (height, width) = size_of(img), output_size
        if h < height or w < width:
            raise ValueError(f"a part of {height}x{width} does not lie in an image of {h}x{w}")
        top = whole(0, h - height + 1) if h > height else 0
        return top, whole(0, w - width + 1) if w > width else 0, height, width

    def __call__(self, img: Any) -> Any:
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        (h, w), (height, width) = size_of(img), self.size
        if self.pad_if_needed and w < width:
            img = F.pad(img, [width - w, 0], self.fill, self.padding_mode)
        if self.pad_if_needed and h < height:
            img = F.pad(img, [0, height - h], self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))


class Resize(Transform):
    """`size` is (h, w), or a number for the shorter side."""

    facts = "size", "interpolation", "max_size", "antialias"

    def __init__(
        self,
        size: Any,
        interpolation: Any = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        if not isinstance(size, (int, list, tuple)):
            raise TypeError(f"size is a number or two, not {size!r}")
        if not isinstance(size, int) and len(size) not in (1, 2):
            raise ValueError(f"size is a number or two, not {size!r}")
        self.size, self.interpolation, self.max_size, self.antialias = size, interpolation, max_size, antialias

    def __call__(self, img: Any) -> Any:
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)


class RandomResizedCrop(Transform):
    """A part with an area of `scale` of the image's and sides in proportion `ratio`, both drawn, resized to `size`."""

    facts = "size", "scale", "ratio", "interpolation", "antialias"

    def __init__(
        self, size: Any, scale: Sequence[float] = (0.08, 1.0), ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: Any = InterpolationMode.BILINEAR, antialias: bool | None = True,
    ) -> None:  # fmt: skip
        self.size, self.scale, self.ratio = F.pair(size), tuple(scale), tuple(ratio)
        self.interpolation, self.antialias = interpolation, antialias

    @staticmethod
    def get_params(img: Any, scale: Sequence[float], ratio: Sequence[float]) -> tuple[int, int, int, int]:
        """(top, left, height, width) drawn for `img`; after ten draws that do not fit, the largest part in the middle."""
        h, w = size_of(img)
        for _ in range(10):
            area = h * w * uniform(*scale)
            shape = math.exp(uniform(math.log(ratio[0]), math.log(ratio[1])))
            width, height = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
            if 0 < width <= w and 0 < height <= h:
                return whole(0, h - height + 1), whole(0, w - width + 1), height, width
        width, height = min(w, round(h * max(ratio))), min(h, round(w / min(ratio)))
        return (h - height) // 2, (w - width) // 2, height, width

    def __call__(self, img: Any) -> Any:
        return F.resized_crop(img, *self.get_params(img, self.scale, self.ratio), self.size, self.interpolation, self.antialias)


class RandomRotation(Transform):
    """The image turned by an angle drawn from -degrees to degrees, or from a range."""

    facts = "degrees", "interpolation", "expand", "fill"

    def __init__(
        self,
        degrees: Any,
        interpolation: Any = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Any = None,
        fill: Any = 0,
    ) -> None:
        if isinstance(degrees, (int, float)) and degrees < 0:
            raise ValueError(f"one number for degrees is not negative, {degrees} is")
        self.degrees = [-float(degrees), float(degrees)] if isinstance(degrees, (int, float)) else [float(d) for d in degrees]
        self.interpolation, self.expand, self.center, self.fill = interpolation, expand, center, fill

    def __call__(self, img: Any) -> Any:
        return F.rotate(img, uniform(*self.degrees), self.interpolation, self.expand, self.center, self.fill)


class FiveCrop(Transform):
    """The corners and the middle, as a tuple."""

    facts = ("size",)

    def __init__(self, size: Any) -> None:
        self.size = F.pair(size)

    def __call__(self, img: Any) -> tuple[Any, ...]:
        return F.five_crop(img, self.size)


class TenCrop(Transform):
    """`FiveCrop` of the image and of its mirror image, as a tuple."""

    facts = "size", "vertical_flip"

    def __init__(self, size: Any, vertical_flip: bool = False) -> None:
        self.size, self.vertical_flip = F.pair(size), vertical_flip

    def __call__(self, img: Any) -> tuple[Any, ...]:
        return F.ten_crop(img, self.size, self.vertical_flip)


class RandomErasing(Transform):
    """With probability `p` a part of a Tensor (area and proportion drawn) set to `value`, or to noise for "random"."""

    facts = "p", "scale", "ratio", "value", "inplace"

    def __init__(
        self, p: float = 0.5, scale: Sequence[float] = (0.02, 0.33), ratio: Sequence[float] = (0.3, 3.3), value: Any = 0,
        inplace: bool = False,
    ) -> None:  # fmt: skip
        if isinstance(value, str) and value != "random":
            raise ValueError(f"value is numbers or 'random', not {value!r}")
        if not 0 <= p <= 1 or not 0 <= scale[0] <= scale[1] <= 1:
            raise ValueError(f"p={p} and scale={tuple(scale)} lie between 0 and 1")
        self.p, self.scale, self.ratio, self.value, self.inplace = p, tuple(scale), tuple(ratio), value, inplace

    def __call__(self, img: Tensor) -> Tensor:
        if not happens(self.p):
            return img
        h, w = size_of(img)
        for _ in range(10):
            area = h * w * uniform(*self.scale)
            shape = math.exp(uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
            height, width = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
            if height < h and width < w:
                top, left = whole(0, h - height + 1), whole(0, w - width + 1)
                return F.erase(img, top, left, height, width, self._filling(img, height, width), self.inplace)
        return img

    def _filling(self, img: Tensor, height: int, width: int) -> Any:
        if self.value == "random":
            return randn(*img.shape[:-2], height, width).to(img.dtype)
        if isinstance(self.value, (int, float)):
            return self.value
        return img.new_tensor(list(self.value)).view(-1, 1, 1)
