"""``torch.cuda.profiler``: where NVIDIA's profilers begin and end to record (``nsys --capture-range=cudaProfilerApi``)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import DeviceError
from ..runtime.gpu import device as _devices

__all__ = ["profile", "start", "stop"]


def _call(name: str) -> None:
    if not _devices.is_available() or _devices.driver().target != "cuda":
        return
    try:
        address = _devices.driver().library.address(name)
    except (DeviceError, KeyError):
        return
    ctypes.CFUNCTYPE(ctypes.c_int)(address)()


def start() -> None:
    """Let a profiler that waits for it record."""
    _call("cuProfilerStart")


def stop() -> None:
    """Let it stop."""
    _call("cuProfilerStop")


@contextmanager
def profile() -> Iterator[None]:
    """``with profile():`` `start`, then `stop`."""
    start()
    try:
        yield
    finally:
        stop()
