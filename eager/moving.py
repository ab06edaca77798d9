"""Tensors from one device to another, with history: the gradient goes the other way."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.dtypes import DType
from ..runtime import gradmode
from ..runtime.gpu.device import pinned
from . import device as devices
from . import tape
from .factory import make
from .gpu import moved, to_cpu


class ToCopy(tape.Node):
    """History of a tensor that came from another device."""

    __slots__ = ("source",)

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source

    def name(self) -> str:
        return "ToCopyBackward0"

    def apply(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        (g,) = grads
        return (None if g is None else to_device(g, self.source),)


def to_device(x: Any, device: Any, dtype: DType | None = None, non_blocking: bool = False) -> Any:
    """`x` in new memory on `device`, as `dtype` where that is given. With `non_blocking` a copy to the CPU goes to pinned memory
    and is there once the stream has come so far."""
    if dtype is not None and dtype is not x.meta.dtype:
        x = x.to(dtype)
    gpu = devices.gpu(device)
    if gpu is not None:
        out = moved(x, gpu)
    else:
        out = _late(x) if non_blocking else to_cpu(x)
    if x.meta.requires_grad and gradmode.get():
        ToCopy(x.meta.device).attach([out], [x])
    return out


def _late(x: Any) -> Any:
    """The values of `x` in pinned memory, which are there once the stream has come so far."""
    gpu = x._storage.gpu
    dense = x if x.meta.plain else x.contiguous()
    raw = pinned.array(max(x.numel() * x.meta.dtype.itemsize, 1))
    array: Any = raw[: x.numel() * x.meta.dtype.itemsize].view(x.meta.dtype.np).reshape(x.meta.shape)
    gpu.download(dense._storage.address + (dense._offset or 0) * x.meta.dtype.itemsize, array, wait=False)
    pinned.busy(array, gpu)
    dense._storage.record_stream(gpu.stream)
    return make(array)


def pin_memory(x: Any) -> Any:
    """A copy of `x`, a tensor of the CPU, in page-locked memory, from which copies to a GPU need not wait."""
    if pinned.is_pinned(x._array):
        return x
    array = pinned.array(max(x._array.nbytes, 1))[: x._array.nbytes].view(x._array.dtype).reshape(x._array.shape)
    np.copyto(array, x._array)
    return make(array, x.meta.requires_grad)
