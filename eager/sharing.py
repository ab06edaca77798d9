"""Memory of tensors that several processes see: an open file without a name, mapped by each of them.

`share` moves a tensor's storage there; `register` teaches Python's multiprocessing to send tensors so, not as copies. Nothing is
left behind: the memory goes with the last process that has it. Method: PyTorch's "file_descriptor" strategy.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from multiprocessing import reduction
from typing import Any

import numpy as np

from ..ir import dtypes
from ..ir.layout import windowed
from ..runtime.storage import Storage, address_of
from . import factory
from .factory import make, storage_of, tensors_in


class SharedMap(mmap.mmap):
    """A mapped file that keeps the number by which it is open."""

    fd: int

    @staticmethod
    def of(fd: int, size: int) -> SharedMap:
        """The file `fd`, which the map owns from now on."""
        made = SharedMap(fd, size)
        made.fd = fd
        return made

    def __del__(self) -> None:
        os.close(self.fd)


def _fresh(size: int) -> SharedMap:
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("fusewire")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return SharedMap.of(fd, size)


def map_of(storage: Storage) -> SharedMap | None:
    """The shared memory that a storage lies in; None where it lies in this process's own."""
    base: Any = storage.base
    while base is not None and not isinstance(base, SharedMap):
        base = base.obj if isinstance(base, memoryview) else getattr(base, "base", None)
    return base


def is_shared(x: Any) -> bool:
    """Whether other processes can see the memory of `x`."""
    return map_of(storage_of(x)) is not None


def share(x: Any) -> Any:
    """Move the memory of `x`, and of all tensors that lie in it, to where other processes can see it; gives `x`."""
    storage = storage_of(x)
    if storage.on_device or map_of(storage) is not None:
        return x
    flat, base = storage.flat, storage.base
    moved = np.frombuffer(_fresh(max(flat.nbytes, 1)), flat.dtype, flat.size)
    moved[...] = flat
    start = address_of(flat)
    window = _window(base, moved, start)
    for held in tensors_in(storage):
        held._array = _window(held._array, moved, start)
    storage.base, storage._address = window, None
    return x


def _window(array: Any, moved: Any, start: int) -> Any:
    first = address_of(array) - start if array.size else 0
    return np.ndarray(array.shape, array.dtype, moved, first, array.strides)  # a view may see the memory in another dtype


def _send(x: Any) -> Any:
    """How multiprocessing sends a tensor: the file, and where in it the tensor lies."""
    if x._node is not None:
        raise RuntimeError("only leaves can be sent to another process: send x.detach()")
    shared = map_of(storage_of(share(x)))
    assert shared is not None
    array = x.array
    origin = address_of(np.frombuffer(shared, np.uint8))
    offset = address_of(array) - origin if array.size else 0
    extra = dict(getattr(x, "__dict__", {}))
    facts = (x.dtype.name, tuple(x.shape), tuple(x.stride()), offset, x.requires_grad, type(x), extra)
    return _receive, (reduction.DupFd(shared.fd), len(shared), *facts)


def _receive(
    sent: Any, size: int, dtype: str, shape: tuple[int, ...], stride: tuple[int, ...], offset: int, requires_grad: bool,
    cls: type, extra: dict[str, Any],
) -> Any:  # fmt: skip
    kind = dtypes.lookup(dtype).np
    shared = SharedMap.of(sent.detach(), size)
    flat = np.frombuffer(shared, kind, size // kind.itemsize)
    steps = tuple(s * kind.itemsize for s in stride)
    out = make(windowed(flat[offset // kind.itemsize :], shape, steps), requires_grad)
    out.__class__ = cls  # type: ignore[assignment]
    for name, value in extra.items():
        setattr(out, name, value)
    return out


def register() -> None:
    """From now on multiprocessing sends tensors and Parameters by their memory."""
    if factory.sent_by_memory:
        return
    from .tensor import Tensor

    factory.sent_by_memory = True
    for kind in (Tensor, *_derived(Tensor)):
        enter(kind)


def enter(kind: type) -> None:
    """Multiprocessing sends tensors of just this class so."""
    reduction.ForkingPickler.register(kind, _send)  # type: ignore[arg-type]


def _derived(cls: Any) -> list[Any]:
    found: list[Any] = cls.__subclasses__()
    return [d for c in found for d in (c, *_derived(c))]
