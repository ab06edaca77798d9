"""Transforms that join others, and those between kinds and dtypes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from ...eager.random import randperm
from ...eager.tensor import Tensor
from ...ir import dtypes
from . import functional as F
from .chance import happens, whole


class Compose:
    """Transforms one after another."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for t in self.transforms:
            img = t(img)
        return img

    def __repr__(self) -> str:
        return "\n".join(["Compose(", *(f"    {t}" for t in self.transforms), ")"])


class Transform:
    """One step; `facts` are the attributes that its text shows."""

    facts: tuple[str, ...] = ()

    def __call__(self, img: Any) -> Any:
        raise NotImplementedError

    def __repr__(self) -> str:
        shown = [(n, getattr(self, n)) for n in self.facts]
        return f"{type(self).__name__}({', '.join(f'{n}={v.value if isinstance(v, Enum) else repr(v)}' for n, v in shown)})"


class Lambda(Transform):
    """Any function as a transform."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Lambda takes a function, not {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)


class ToTensor(Transform):
    """f32[C, H, W] in 0..1 of an array [H, W(, C)] or PIL image."""

    def __call__(self, pic: Any) -> Tensor:
        return F.to_tensor(pic)


class PILToTensor(Transform):
    """[C, H, W] of a PIL image or an array, values as they are."""

    def __call__(self, pic: Any) -> Tensor:
        return F.pil_to_tensor(pic)


class ToImage(Transform):
    """[C, H, W] of any kind of image, values as they are."""

    def __call__(self, pic: Any) -> Tensor:
        return pic if isinstance(pic, Tensor) else F.pil_to_tensor(pic)


class ToPILImage(Transform):
    """A PIL image of a Tensor or an array."""

    facts = ("mode",)

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def __call__(self, pic: Any) -> Any:
        return F.to_pil_image(pic, self.mode)


class ConvertImageDtype(Transform):
    """A Tensor in `dtype`, its values scaled to that dtype's range."""

    facts = ("dtype",)

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype

    def __call__(self, image: Tensor) -> Tensor:
        return F.convert_image_dtype(image, self.dtype)


class ToDtype(Transform):
    """A Tensor in `dtype`; with `scale` its values are scaled to that dtype's range. Other things pass as they are."""

    facts = "dtype", "scale"

    def __init__(self, dtype: Any, scale: bool = False) -> None:
        self.dtype, self.scale = dtype, scale

    def __call__(self, image: Any) -> Any:
        if not isinstance(image, Tensor):
            return image
        return F.convert_image_dtype(image, self.dtype) if self.scale else image.to(self.dtype)


class Normalize(Transform):
    """``(x - mean) / std`` for each channel of a floating Tensor."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        self.mean, self.std, self.inplace = mean, std, inplace

    def __call__(self, tensor: Tensor) -> Tensor:
        return F.normalize(tensor, self.mean, self.std, self.inplace)

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"


class RandomApply(Transform):
    """All of `transforms` with probability `p`, else none."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5) -> None:
        self.transforms, self.p = transforms, p

    def __call__(self, img: Any) -> Any:
        return Compose(self.transforms)(img) if happens(self.p) else img


class RandomChoice(Transform):
    """One of `transforms`, drawn anew for each image (with weights `p`, if given)."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: Sequence[float] | None = None) -> None:
        if not isinstance(transforms, Sequence):
            raise TypeError(f"RandomChoice takes a sequence of transforms, not {type(transforms).__name__}")
        self.transforms, self.p = transforms, p

    def __call__(self, img: Any) -> Any:
        if self.p is None:
            return self.transforms[whole(0, len(self.transforms))](img)
        from ...eager.creation import tensor
        from ...eager.ordering import multinomial

        return self.transforms[int(multinomial(tensor(list(self.p), dtype=dtypes.float64), 1).item())](img)


class RandomOrder(Transform):
    """All of `transforms`, in an order drawn anew for each image."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for i in randperm(len(self.transforms)).tolist():
            img = self.transforms[i](img)
        return img
