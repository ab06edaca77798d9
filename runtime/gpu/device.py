"""Devices of this process: each one's memory, its current stream in each thread, and pinned host memory for copies.

`device(0)` is the first thing that touches a driver. Nothing here knows tensors.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import weakref
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ... import knobs
from ...errors import DeviceError
from .allocator import ROUND, Allocator, Memory
from .driver import Driver, Properties
from .thread import here

Array = np.ndarray[Any, Any]


_STATUSES = 4096  # words of a page
_executors: list[Callable[[GPU], Any]] = []  # makes what runs tensors' ops on a device
_lock = threading.Lock()
_driver: Driver | None = None
_devices: dict[int, GPU] = {}


def provide(make_executor: Callable[[GPU], Any]) -> None:
    """Say what runs the ops of tensors on a device (`GPU.executor`)."""
    _executors[:] = [make_executor]
    for gpu in _devices.values():
        gpu.executor = make_executor(gpu)


def driver() -> Driver:
    """The driver, started at the first call; DeviceError where there is none, and in forks of a process that had it."""
    global _driver
    if _driver is None:
        if _forked:
            raise DeviceError("Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must use "
                              "the 'spawn' start method")  # fmt: skip
        with _lock:
            if _driver is None:
                _driver = _started()
                atexit.register(_close)
    return _driver


def _started() -> Driver:
    """CUDA's driver, or HIP's where that is the one there; what CUDA's says where there is none."""
    from .cuda import Cuda

    try:
        return Cuda()
    except DeviceError:
        from .hip import Hip

        try:
            return Hip()
        except DeviceError:
            if knobs.libhip:
                raise
        raise


_forked: list[bool] = []  # not empty in a fork of a process that had started the driver


def _close() -> None:
    """The interpreter ends, and the driver may go before our objects: nothing of theirs is given back any more."""
    for gpu in _devices.values():
        gpu.alive, gpu.open.value = False, 0
    pinned.forget()


def _fork() -> None:
    if _driver is not None:
        forget()
        _forked.append(True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fork)


@lru_cache(maxsize=1)
def _why_none() -> str:
    try:
        return "" if driver().count() else "the CUDA driver has found no device"
    except DeviceError as error:
        return str(error)


def is_available() -> bool:
    """Whether there is a driver with a device."""
    return not _why_none()


def forget() -> None:
    """Let go of the driver and all devices; what lies on them must not be used again. (For tests that change the driver.)"""
    global _driver
    for gpu in _devices.values():
        gpu.alive, gpu.open.value = False, 0
    _devices.clear()
    pinned.forget()
    _driver = None
    _why_none.cache_clear()
    _forked.clear()
    here.__init__()  # type: ignore[misc]


def in_fork() -> bool:
    """Whether this process is a fork of one that had started the driver."""
    return bool(_forked)


def started() -> list[GPU]:
    """The devices that were asked for so far."""
    return list(_devices.values())


def count() -> int:
    """Number of devices; 0 where there is no driver."""
    return driver().count() if is_available() else 0


def device(ordinal: int | None = None) -> GPU:
    """Device `ordinal`, or this thread's current one; DeviceError where it is not there."""
    number = here.ordinal if ordinal is None else ordinal
    found = _devices.get(number)
    if found is None:
        if not is_available():
            raise DeviceError(f"there is no CUDA device: {_why_none()}. Use the CPU, as cuda.is_available() says")
        if not 0 <= number < driver().count():
            raise DeviceError(f"there is no device cuda:{number}: this machine has {driver().count()} (cuda:0 to "
                              f"cuda:{driver().count() - 1})")  # fmt: skip
        with _lock:
            found = _devices.setdefault(number, _devices.get(number) or GPU(driver(), number))
    return found


class Waits:
    """What reading values of a device does beside waiting. `mode`: 0 nothing, 1 a warning, 2 an error."""

    mode = 0

    def note(self) -> None:
        """The host is about to wait."""
        if self.mode == 1:
            knobs.warn("called a synchronizing CUDA operation")
        if self.mode == 2:
            raise RuntimeError("called a synchronizing CUDA operation")


waits = Waits()


class GPU:
    """One device: `memory` is its allocator, `name` how users write it."""

    def __init__(self, driver: Driver, ordinal: int) -> None:
        self.driver, self.ordinal = driver, ordinal
        self.name = f"{driver.kind}:{ordinal}"
        self.alive = True  # until `forget`
        #: what machine code looks at before it launches: 0 where it may not
        self.open = ctypes.c_int64(not knobs.cuda_launch_blocking)
        self._capturing = False
        self.held: list[Array] = []  # pinned memory that copies of the graph under way read
        self.properties: Properties = driver.properties(ordinal)
        self.memory = Allocator(driver, self.activate, lambda: f"{self.name} ({self.properties.name})")
        self.executor: Any = _executors[0](self) if _executors else None
        self._lock = threading.Lock()  # one thread takes a word
        self._statuses: list[tuple[Array, list[Callable[[int], None]]]] = []  # pages of words, and who tells what they mean

    def activate(self) -> None:
        """Let this thread's driver calls go to this device."""
        self.driver.activate(self.ordinal)

    @property
    def capturing(self) -> bool:
        """Whether a graph is being recorded."""
        return self._capturing

    @capturing.setter
    def capturing(self, on: bool) -> None:
        self._capturing, self.open.value = on, not on and not knobs.cuda_launch_blocking

    @property
    def recording(self) -> bool:
        """Whether this thread records a graph."""
        return self._capturing and threading.get_ident() in self.memory.recording

    @property
    def stream(self) -> int:
        """This thread's current stream."""
        return here.streams.get(self.ordinal, 0)

    def allocate(self, nbytes: int) -> Memory:
        """Memory for work in the current stream."""
        return self.memory.allocate(nbytes, here.streams.get(self.ordinal, 0))

    def synchronize(self, stream: int | None = None) -> None:
        """Wait for `stream` (None: all streams), then raise what kernels have found wrong."""
        self.activate()
        if stream is None:
            self.driver.synchronize()
        else:
            self.driver.stream_synchronize(stream)
        self.check()

    def check(self) -> None:
        """Raise what a kernel that has run found wrong. It is said once."""
        for page, tells in self._statuses:
            if page.any():
                places = page.nonzero()[0]
                found = [(int(page[i]), tells[i]) for i in places]
                page[places] = 0  # others may be written meanwhile
                for status, tell in found:
                    tell(status)

    def status_word(self, tell: Callable[[int], None]) -> int:
        """Address of an int32 on the host, zero, that kernels may write to; ``tell(its value)`` raises what that means."""
        with self._lock:
            if not self._statuses or len(self._statuses[-1][1]) == _STATUSES:
                page = pinned.array(4 * _STATUSES).view(np.int32)
                page[:] = 0
                self._statuses.append((page, []))
            page, tells = self._statuses[-1]
            tells.append(tell)
            return int(page.__array_interface__["data"][0]) + 4 * (len(tells) - 1)

    def upload(self, target: int, array: Array, held: bool = False) -> None:
        """Copy a dense array to the device, in the order of the current stream. With `held` the array is pinned memory that
        the caller keeps until the stream has come so far."""
        if array.nbytes:
            self.activate()
            if self.recording and not pinned.is_pinned(array):
                raise RuntimeError("Cannot copy between CPU and CUDA tensors during CUDA graph capture unless the CPU tensor is "
                                   "pinned: put the values on the device before the capture")  # fmt: skip
            self.driver.to_device(target, array.__array_interface__["data"][0], array.nbytes, self.stream)
            if not held:
                pinned.busy(array, self)

    def download(self, source: int, array: Array, wait: bool = True) -> None:
        """Copy from the device into a dense array; it is there on return, or with `wait` False once the stream is so far."""
        if self.recording and (wait or not pinned.is_pinned(array)):
            raise RuntimeError("operation not permitted when stream is capturing: values of the device cannot be read while a "
                               "CUDA graph is recorded (.item(), .cpu(), printing, branches on tensors)")  # fmt: skip
        if array.nbytes:
            self.activate()
            self.driver.to_host(array.__array_interface__["data"][0], source, array.nbytes, self.stream)
        if wait:
            if waits.mode:
                waits.note()
            self.synchronize(self.stream)


def copy_across(to: GPU, target: int, home: GPU, source: int, nbytes: int) -> None:
    """Copy memory of device `home` to device `to`: behind all that their current streams were given, before all that comes."""
    if not nbytes:
        return
    run = home.driver
    to.activate()
    ready = run.event_create(False)
    run.event_record(ready, to.stream)
    home.activate()
    run.stream_wait(home.stream, ready)
    run.copy(target, source, nbytes, home.stream)
    done = run.event_create(False)
    run.event_record(done, home.stream)
    to.activate()
    run.stream_wait(to.stream, done)
    run.event_destroy(ready)
    run.event_destroy(done)


class Pinned:
    """Page-locked host memory. Freed memory is kept, by size, for the next that asks, once copies from and to it are done."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.forget()

    def forget(self) -> None:
        """Know of no memory; what was handed out is not taken back any more."""
        self._age = object()
        self._free: dict[int, list[int]] = {}
        self._sizes: dict[int, int] = {}  # of all that there are, by address
        self._waiting: list[tuple[int, list[tuple[GPU, int]]]] = []  # given back; events behind the last copies
        self._used: dict[int, dict[tuple[GPU, int], int]] = {}  # address -> the event of each stream's last copy

    def array(self, nbytes: int) -> Array:
        """`nbytes` of page-locked memory as bytes."""
        gpu = device()
        size = 1 << max(9, (nbytes - 1).bit_length())
        with self._lock:
            self._collect()
            kept = self._free.get(size)
            gpu.activate()
            address = kept.pop() if kept else gpu.driver.allocate_host(size)
            self._sizes[address] = size
        raw = _at(address, size)
        weakref.finalize(raw, self._give_back, address, self._age).atexit = False
        return np.frombuffer(raw, np.uint8, nbytes)

    def sizes(self) -> list[int]:
        """Bytes of each piece that was taken from the driver."""
        return list(self._sizes.values())

    def is_pinned(self, array: Array) -> bool:
        """Whether the array lies in such memory."""
        return self._find(array) is not None

    def _find(self, array: Array) -> int | None:
        first = array.__array_interface__["data"][0]
        return next((a for a, n in list(self._sizes.items()) if a <= first < a + n), None)

    def busy(self, array: Array, gpu: GPU) -> None:
        """A copy from or to the array was put into the current stream: its memory is not to be used again before."""
        address = self._find(array) if self._sizes else None
        if address is None:
            return
        if gpu.recording:
            gpu.held.append(array)  # each replay reads it again
            return
        with self._lock:
            gpu.activate()
            event, stream = gpu.driver.event_create(False), gpu.stream
            gpu.driver.event_record(event, stream)
            former = self._used.setdefault(address, {}).pop((gpu, stream), None)
            if former is not None:
                gpu.driver.event_destroy(former)
            self._used[address][gpu, stream] = event

    def _give_back(self, address: int, age: object) -> None:
        if age is not self._age:
            return
        with self._lock:
            used = self._used.pop(address, None)
            if not used:
                self._free.setdefault(self._sizes[address], []).append(address)
            else:
                self._waiting.append((address, [(gpu, event) for (gpu, _), event in used.items()]))

    def _collect(self) -> None:
        waiting, self._waiting = self._waiting, []
        for address, events in waiting:
            left = []
            for gpu, event in events:
                gpu.activate()
                if gpu.driver.event_query(event):
                    gpu.driver.event_destroy(event)
                else:
                    left.append((gpu, event))
            if left:
                self._waiting.append((address, left))
            else:
                self._free.setdefault(self._sizes[address], []).append(address)


def _at(address: int, size: int) -> Any:
    return (ctypes.c_ubyte * size).from_address(address)


pinned = Pinned()

__all__ = [
    "GPU", "ROUND", "Memory", "Pinned", "count", "device", "driver", "forget", "here", "is_available", "pinned", "provide",
    "started",
]  # fmt: skip
