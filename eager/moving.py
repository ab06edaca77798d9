"""Tensors from one device to another, with history: the gradient goes the other way."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import knobs
from ..ir import dtypes
from ..ir.dtypes import DType
from ..ir.layout import extent_of
from ..ir.types import contiguous_strides
from ..runtime import gradmode
from ..runtime.gpu import device as gpus
from ..runtime.gpu.device import pinned
from ..runtime.gpu.storage import DeviceStorage
from ..runtime.gpu.streams import Stream
from ..runtime.meta import Meta
from . import device as devices
from . import tape
from .factory import make
from .gpu import moved, tensor_in, to_cpu


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
    """A copy of `x`, a tensor of the CPU, in page-locked memory, from which copies to a GPU need not wait. `x` itself where it
    lies there, or where there is no GPU."""
    if x._array is None and x._storage.on_device:
        raise RuntimeError(f"cannot pin a tensor on {x.meta.device}: only memory of the CPU can be pinned")
    if x._array is None or pinned.is_pinned(x._array) or not gpus.is_available():
        return x
    array = pinned.array(max(x._array.nbytes, 1))[: x._array.nbytes].view(x._array.dtype).reshape(x._array.shape)
    np.copyto(array, x._array)
    return make(array, x.meta.requires_grad)


def is_pinned(x: Any) -> bool:
    """Whether a tensor of the CPU lies in page-locked memory."""
    return x._array is not None and pinned.is_pinned(x._array)


def copied(x: Any, memo: dict[int, Any]) -> Any:
    """What ``deepcopy`` makes of a tensor on a GPU; those that share memory share it in the copy, too."""
    storage = x._storage
    kept = memo.get(id(storage))
    if kept is None:
        gpu = storage.gpu
        memory = gpu.allocate(storage.nbytes)
        gpu.activate()
        if storage.nbytes:
            gpu.driver.copy(memory.address, storage.address, storage.nbytes, gpu.stream)
        kept = memo[id(storage)] = storage, DeviceStorage(gpu, memory, storage.nbytes)
    return tensor_in(kept[1], x.meta, x._offset or 0)


def whole(x: Any) -> Any:
    """All memory of a tensor on a GPU, as one dimension of its dtype."""
    count = x._storage.nbytes // x.meta.dtype.itemsize
    return tensor_in(x._storage, Meta.of((count,), (1,), x.meta.dtype, False, x.meta.device))


def grown_to(x: Any, shape: tuple[int, ...], count: int) -> Any:
    """`x`, a tensor on a GPU, with another shape row by row; its memory, which its views share, has `count` elements at least."""
    storage, nbytes = x._storage, count * x.meta.dtype.itemsize
    if storage.nbytes < nbytes:
        gpu = storage.gpu
        memory = gpu.allocate(nbytes)
        gpu.activate()
        if storage.nbytes:
            gpu.driver.copy(memory.address, storage.address, storage.nbytes, gpu.stream)
        storage.record_stream(gpu.stream)
        storage.memory, storage.nbytes, storage._address = memory, nbytes, memory.address
    steps: Any = contiguous_strides(shape)
    x.meta = Meta.of(shape, steps, x.meta.dtype, x.meta.requires_grad, x.meta.device)
    return x


def reduced(x: Any) -> tuple[Any, ...]:
    """What ``pickle`` keeps of a tensor on a GPU."""
    return rebuilt, (type(x), to_cpu(x.detach().contiguous()), x.meta.device, x.meta.requires_grad)


def rebuilt(cls: type, x: Any, device: str, requires_grad: bool) -> Any:
    """What a pickle of a tensor on a GPU calls."""
    out = to_device(x, device)
    out.requires_grad = requires_grad
    out.__class__ = cls
    return out


def array_interface(x: Any) -> dict[str, Any]:
    """``__cuda_array_interface__`` of a tensor on a GPU (version 3); AttributeError on the CPU and for bfloat16."""
    if x.meta.device == "cpu" or x._array is not None:
        raise AttributeError("a tensor of the CPU has no __cuda_array_interface__")
    if x.meta.requires_grad:
        raise RuntimeError("Can't get __cuda_array_interface__ on Variable that requires grad. Use x.detach() first.")
    if x.meta.dtype.np.kind == "V" or x.meta.dtype.name == "bfloat16":
        raise AttributeError("NumPy's type strings know no bfloat16")
    size = x.meta.dtype.itemsize
    return {
        "shape": tuple(x.meta.shape), "typestr": x.meta.dtype.np.str, "data": (x.data_ptr() if x.numel() else 0, False),
        "strides": None if x.meta.plain else tuple(s * size for s in x.meta.strides), "version": 3,
        "stream": x._storage.gpu.stream or 1,
    }  # fmt: skip


def from_array_interface(x: Any) -> Any:
    """A tensor on the memory of an object with ``__cuda_array_interface__``, which it keeps alive."""
    found = x.__cuda_array_interface__
    address = int(found["data"][0])
    if found.get("mask") is not None:
        raise TypeError("an array with a mask cannot be a tensor")
    dtype = dtypes.from_numpy(np.dtype(found["typestr"]))
    shape = tuple(found["shape"])
    given = found.get("strides")
    strides = contiguous_strides(shape) if given is None else tuple(s // dtype.itemsize for s in given)
    if given is not None and any(s % dtype.itemsize or (s < 0 and n > 1) for s, n in zip(given, shape, strict=True)):
        raise ValueError(f"strides of {given} bytes: a tensor of {dtype} takes multiples of {dtype.itemsize} that run forwards")
    if found["data"][1]:
        knobs.warn("the array of __cuda_array_interface__ is read-only, and no tensor knows that: do not write to it")
    gpu = gpus.device(gpus.device().driver.device_of(address)) if address else gpus.device()
    stream = found.get("stream")
    if stream == 0:
        raise ValueError("__cuda_array_interface__: stream 0 names none: 1 is the default stream")
    theirs = 0 if stream == 1 else stream
    if theirs is not None and theirs != gpu.stream:
        Stream(gpu=gpu, handle=gpu.stream).wait_stream(Stream(gpu=gpu, handle=theirs))
    storage = DeviceStorage(gpu, x, extent_of(shape, strides) * dtype.itemsize, address)  # type: ignore[arg-type]
    return tensor_in(storage, Meta.of(shape, strides, dtype, False, gpu.name))  # type: ignore[arg-type]
