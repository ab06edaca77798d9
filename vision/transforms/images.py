"""What an image is here: a Tensor [..., C, H, W], an array [H, W] or [H, W, C], or a PIL image where that library is there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ...eager import factory
from ...eager.tensor import Tensor

Array = np.ndarray[Any, Any]


def is_pil(image: Any) -> bool:
    """Whether `image` is PIL's; that library is not loaded to find out."""
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(image, pil.Image)


def pil() -> Any:
    """PIL's module Image; ImportError that says what to install."""
    try:
        from PIL import Image  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise ImportError("this needs Pillow, which reads and holds images: pip install pillow") from None
    return Image


def as_image(array: Array) -> Any:
    """`array` (u8 [H, W] or [H, W, 3]) as a PIL image where PIL is installed, else itself."""
    try:
        from PIL import Image
    except ImportError:
        return array
    return Image.fromarray(array)


def check(image: Any) -> None:
    """TypeError for what is no image."""
    if isinstance(image, Tensor):
        if image.ndim < 2:
            raise TypeError(f"an image has at least the dimensions H and W, a tensor of shape {list(image.shape)} has not")
    elif isinstance(image, np.ndarray):
        if image.ndim not in (2, 3):
            raise TypeError(f"an array is an image as [H, W] or [H, W, C], not as {list(image.shape)}")
    elif not is_pil(image):
        raise TypeError(f"an image is a Tensor, an array or a PIL image, not {type(image)}")


def size(image: Any) -> tuple[int, int]:
    """(height, width)."""
    check(image)
    if isinstance(image, Tensor):
        return int(image.shape[-2]), int(image.shape[-1])
    if isinstance(image, np.ndarray):
        return int(image.shape[0]), int(image.shape[1])
    return int(image.size[1]), int(image.size[0])


def channels(image: Any) -> int:
    """Number of channels."""
    check(image)
    if isinstance(image, Tensor):
        return int(image.shape[-3]) if image.ndim > 2 else 1
    if isinstance(image, np.ndarray):
        return int(image.shape[2]) if image.ndim == 3 else 1
    return len(image.getbands())


def plain(image: Tensor) -> Array | None:
    """The values of a Tensor on the CPU that records no gradient: what NumPy may compute on. None for others."""
    meta = image.meta
    return None if meta.requires_grad or meta.device != "cpu" else image._array


def planes(image: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """`change`, which is written for Tensors [..., C, H, W], made of an image of any kind, which it stays."""
    check(image)
    if isinstance(image, Tensor):
        return change(image)
    array = np.asarray(image)
    stacked = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    out = change(factory.make(np.ascontiguousarray(stacked))).numpy()
    out = out[0] if array.ndim == 2 and out.shape[0] == 1 else out.transpose(1, 2, 0)
    return like(image, np.ascontiguousarray(out))


def pixels(image: Any, change: Callable[[Array], Array]) -> Any:
    """`change`, which is written for arrays [H, W] or [H, W, C], made of an array or a PIL image, which it stays."""
    check(image)
    return like(image, change(np.asarray(image)))


def like(image: Any, array: Array) -> Any:
    """`array` as an image of the kind of `image`."""
    if not is_pil(image):
        return array
    out = pil().fromarray(np.ascontiguousarray(array))
    return out if out.mode == image.mode or image.mode not in ("P", "1", "LA", "RGBA") else out.convert(image.mode)
