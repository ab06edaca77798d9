"""Transforms of colours: grey, brightness, contrast, saturation, hue."""

from __future__ import annotations

from typing import Any

from ...eager.functional import stack
from ...eager.generated import maximum, where
from ...eager.random import randperm
from ...eager.tensor import Tensor
from ...ir import dtypes
from . import functional as F
from .chance import happens, uniform
from .images import channels, planes
from .steps import Transform


class Grayscale(Transform):
    """Luminance in 1 or 3 channels."""

    facts = ("num_output_channels",)

    def __init__(self, num_output_channels: int = 1) -> None:
        self.num_output_channels = num_output_channels

    def __call__(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, self.num_output_channels)


class RandomGrayscale(Transform):
    """Luminance in as many channels as there were, with probability `p`."""

    facts = ("p",)

    def __init__(self, p: float = 0.1) -> None:
        self.p = p

    def __call__(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, channels(img)) if happens(self.p) else img


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue changed by drawn factors, in drawn order. A number b means a factor from
    max(0, 1 - b) to 1 + b (hue: a turn from -b to b of at most 0.5); a pair means that range."""

    facts = "brightness", "contrast", "saturation", "hue"

    def __init__(self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0) -> None:
        self.brightness, self.contrast = _range("brightness", brightness), _range("contrast", contrast)
        self.saturation, self.hue = _range("saturation", saturation), _range("hue", hue)

    def __call__(self, img: Any) -> Any:
        steps = [(adjust_brightness, self.brightness), (adjust_contrast, self.contrast), (adjust_saturation, self.saturation),
                 (adjust_hue, self.hue)]  # fmt: skip
        for i in randperm(4).tolist():
            change, limits = steps[i]
            if limits is not None:
                img = change(img, uniform(*limits))
        return img


def _range(name: str, value: Any) -> tuple[float, float] | None:
    middle, bottom, top = (0.0, -0.5, 0.5) if name == "hue" else (1.0, 0.0, float("inf"))
    if isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(f"{name}={value} is negative")
        low, high = middle - value, middle + value
        low = low if name == "hue" else max(low, 0.0)
    else:
        low, high = value
    if not bottom <= low <= high <= top:
        raise ValueError(f"{name}={value!r} leaves the range from {bottom} to {top}")
    return None if low == high == middle else (float(low), float(high))


def _top(t: Tensor) -> float:
    return 1.0 if t.is_floating_point() else 255.0


def _blend(a: Tensor, b: Any, factor: float) -> Tensor:
    """`factor` of `a` and the rest of `b`, within the range of the dtype of `a`."""
    x = a if a.is_floating_point() else a.to(dtypes.float32)
    return (factor * x + (1 - factor) * b).clamp(0, _top(a)).to(a.dtype)  # type: ignore[no-any-return]


def _grey(t: Tensor) -> Tensor:
    grey = F._grey(t, 1)
    return grey if t.is_floating_point() else grey.to(dtypes.float32)  # type: ignore[no-any-return]


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """0 is black, 1 the image."""
    return planes(img, lambda t: _blend(t, 0.0, brightness_factor))


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """0 is grey of the mean luminance, 1 the image."""
    return planes(img, lambda t: _blend(t, _grey(t).mean((-3, -2, -1), keepdim=True), contrast_factor))


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """0 is without colours, 1 the image."""
    return planes(img, lambda t: t if t.shape[-3] == 1 else _blend(t, _grey(t), saturation_factor))


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """Colours turned by `hue_factor` (-0.5 to 0.5) of the circle."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor is between -0.5 and 0.5, {hue_factor} is not")
    return planes(img, lambda t: t if t.shape[-3] == 1 else _turned(t, hue_factor))


def _turned(t: Tensor, turn: float) -> Tensor:
    """Through hue, saturation and value and back."""
    x = t if t.is_floating_point() else t.to(dtypes.float32) / 255.0
    r, g, b = x.unbind(-3)
    top, low = maximum(maximum(r, g), b), -maximum(maximum(-r, -g), -b)
    spread = top - low
    safe = where(spread == 0, spread * 0 + 1, spread)
    red, green = top == r, (top == g) & (top != r)
    hue = where(red, (g - b) / safe, where(green, 2 + (b - r) / safe, 4 + (r - g) / safe)) / 6
    hue = (where(spread == 0, spread * 0, hue) + turn) % 1.0
    parts = []
    for n in (5, 3, 1):  # channel n of a colour: value less spread times a trapezoid of the hue
        k = (n + hue * 6) % 6.0
        parts.append(top - spread * (-maximum(-k, k - 4)).clamp(0, 1))
    out = stack(parts, -3)
    return out if t.is_floating_point() else (out * 255.0).round().clamp(0, 255).to(t.dtype)  # type: ignore[no-any-return]
