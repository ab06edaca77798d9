"""What compiled graphs take and give for tensors: arrays on the CPU, the tensors themselves on a GPU. Compiles nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir.layout import windowed
from ..runtime.meta import Meta
from .factory import make, make_view


def carried(x: Any) -> Any:
    """What a graph takes for `x`: a tensor's array, or the tensor itself where it lies on a GPU; numbers as they are."""
    array = getattr(x, "_array", x)
    return x if array is None else array


def tensor_of(found: Any, requires_grad: bool = False) -> Any:
    """The Tensor of what a graph gave."""
    if hasattr(found, "meta"):
        found.meta = found.meta.with_grad(requires_grad) if found.meta.requires_grad is not requires_grad else found.meta
        return found
    return make(found, requires_grad)


def view_of(found: Any, source: Any) -> Any:
    """The Tensor of what a graph gave as a view of its input `source`."""
    return found if hasattr(found, "meta") else make_view(found, source)


def window(x: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    """A Tensor on the memory of `x`, `offset` elements from its first one."""
    if x._array is None:
        from .gpu import tensor_in

        meta = Meta.of(shape, strides, x.meta.dtype, False, x.meta.device)
        return tensor_in(x._storage, meta, (x._offset or 0) + offset)
    step = x._array.itemsize
    moved = windowed(x._array, (offset + 1,), (step,))[offset:] if offset else x._array
    return make_view(windowed(moved, shape, tuple([s * step for s in strides])), x)


def zeros(shape: tuple[int, ...], dtype: Any, beside: Sequence[Any]) -> Any:
    """Zeros on the device of the first tensor in `beside`."""
    from . import device as devices

    home = next((x for x in beside if hasattr(x, "meta")), None)
    out = make(np.zeros(shape, dtype.np))
    return out if home is None or home.meta.device == "cpu" else devices.placed(out, home.meta.device)


class Layout:
    """Shape and strides (in bytes) of a tensor, as an array has them."""

    __slots__ = ("itemsize", "shape", "size", "strides")

    def __init__(self, meta: Meta) -> None:
        self.shape, self.itemsize, self.size = meta.shape, meta.dtype.itemsize, 0 if 0 in meta.shape else 1
        self.strides = tuple([s * self.itemsize for s in meta.strides])


def layout_of(x: Any) -> Any:
    """What has the shape and strides of `x`; numbers as they are."""
    array = getattr(x, "_array", x)
    return Layout(x.meta) if array is None else array
