"""A tensor's memory on a GPU: who holds it, and how the host reads it. Records nothing; writes go to the device's executor."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import DeviceError
from ...ir.layout import extent_of, windowed
from ..storage import Array, Held, Storage
from .allocator import Memory
from .device import GPU


class DeviceStorage(Storage):
    """`nbytes` of device memory from `address` on. `memory`: what keeps it (a block of ours, or what another library handed
    over). Tensors in it have no array."""

    __slots__ = ("gpu", "memory", "nbytes")
    on_device = True

    def __init__(self, gpu: GPU, memory: Any, nbytes: int, address: int | None = None) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.gpu, self.memory, self.nbytes = gpu, memory, nbytes
        self._address = memory.address if address is None else address

    @property
    def recorder(self) -> Any:  # type: ignore[override]
        """What runs the ops of tensors here."""
        return self.gpu.executor

    @property
    def flat(self) -> Array:
        """A copy of all bytes on the host."""
        out = np.empty(self.nbytes, np.uint8)
        self.gpu.download(self.address, out)
        return out

    def read(self, tensor: Held) -> Array:
        """The values of `tensor` as an array on the host, which is a copy and therefore read-only."""
        out = self.copied(tensor)
        out.flags.writeable = False
        return out

    def copied(self, tensor: Any) -> Array:
        """The values of `tensor` in new memory of the host, laid out as on the device."""
        meta, step = tensor.meta, tensor.meta.dtype.itemsize
        extent = extent_of(meta.shape, meta.strides)
        flat = np.empty(extent, meta.dtype.np)
        if tensor._storage.address:
            self.gpu.download(address_of(tensor), flat)
        return windowed(flat, meta.shape, [s * step for s in meta.strides])

    def shared(self, tensor: Held) -> Array:
        """TypeError: the host sees a copy only."""
        raise TypeError(f"can't convert {self.gpu.name} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
                        "memory first.")  # fmt: skip

    def true_places(self, tensor: Held) -> Any:
        """As `Storage.true_places`, as tensors on the device; waits for the mask."""
        return self.recorder.true_places(tensor)

    def write_at(self, tensor: Held, window: Any, key: Any, source: Any) -> None:
        """A write of the whole tensor goes to the device; DeviceError for NumPy's indices, which nothing on the device knows."""
        if key is not None or window not in ((), Ellipsis):
            raise DeviceError("a tensor on a GPU cannot be written through a NumPy index")
        self.recorder.write(tensor, source)

    def record_stream(self, stream: int) -> None:
        """Work in `stream` uses the memory, too."""
        if isinstance(self.memory, Memory):
            self.gpu.memory.record_stream(self.memory, stream)
        elif hasattr(self.memory, "record_stream"):
            self.memory.record_stream(stream)


def address_of(tensor: Any) -> int:
    """Device address of a tensor's first element."""
    storage = tensor._storage
    return int(storage._address + (tensor._offset or 0) * tensor.meta.dtype.itemsize)


