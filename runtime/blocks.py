"""A cache of large blocks of memory for results: fresh pages cost more than most work on them. Thread safe, bounded.

A block belongs to one ndarray, made as NumPy makes its own (NEP 49): it comes back when that array's memory is released, so never
while a view or a Tensor refers to it. Small blocks go to malloc. The code comes from a provider (`backends.native`).
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import knobs
from ..errors import LoadError
from . import forks, layout

#: Words of the control block, in bytes. HELD bytes are cached, at most LIMIT; USED bytes are in arrays, PEAK at most since it was
#: last asked for; FRESH and REUSED count blocks. RECENT is a ring of cached blocks, the latest first, and so is each class's.
LOCK, HELD, LIMIT, USED, PEAK, FRESH, REUSED, RECENT, CLASSES = 0, 8, 16, 24, 32, 40, 48, 64, 128
#: In front of each block: class, bytes, links in the rings of its class and of all, whether its pages are fresh zeros.
HEADER, H_CLASS, H_BYTES, H_CLASS_NEXT, H_CLASS_BACK, H_NEXT, H_BACK, H_ZERO = 64, 0, 8, 16, 24, 32, 40, 48
#: classes in an octave of sizes, and in all
OCTAVE, COUNT = 8, 64 * 8
#: bytes from which a block is cached, is mapped by itself, is asked to have large pages
LARGE, MAPPED, HUGE = 1 << 16, 1 << 20, 1 << 22
#: numbers in NumPy's C API table
_SET_HANDLER, _GET_HANDLER = 304, 305
#: offset in an array of its handler; the bit of its flags that says that it owns its memory
HANDLER, OWNDATA = 88, 4

_lock = forks.hold(forks.START, threading.Lock())


class _Handler(ctypes.Structure):
    """PyDataMem_Handler."""

    _fields_ = [("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("state", ctypes.c_void_p),
                *((n, ctypes.c_void_p) for n in ("malloc", "calloc", "realloc", "free"))]  # fmt: skip


class Blocks:
    """The cache, once its code is there. `capsule` is NumPy's handle of it, `new` the address of ``ptr new(state, bytes)`` (null
    where there is no memory), `drop` of ``void drop(state, ptr, bytes)``."""

    def __init__(self, code: Mapping[str, int]) -> None:
        size = CLASSES + 16 * COUNT
        raw = np.zeros(size + 64, np.uint8)
        self.state = -(-raw.ctypes.data // 64) * 64
        for ring in (RECENT, *range(CLASSES, size, 16)):
            self._word(ring).value = self._word(ring + 8).value = self.state + ring
        self._word(LIMIT).value = limit()
        self.new, self.drop = code["block_new"], code["block_drop"]
        handler = _Handler(b"fusewire", 1, self.state, self.new, code["block_zeros"], code["block_renew"], self.drop)
        name = ctypes.create_string_buffer(b"mem_handler")
        make = ctypes.pythonapi.PyCapsule_New
        make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        self.capsule = make(ctypes.addressof(handler), ctypes.addressof(name), None)
        table = layout.numpy_api()
        swap = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)
        self.set_handler = swap(table[_SET_HANDLER])
        self._release = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(code["block_release"])
        for kept in (raw, handler, name, self.capsule, code):  # arrays may outlive every module
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
        self._check(table)

    def _check(self, table: Any) -> None:
        """LayoutError where arrays of this NumPy keep their handler elsewhere."""
        current, plain = ctypes.PYFUNCTYPE(ctypes.py_object)(table[_GET_HANDLER])(), np.empty(1)
        layout.need(layout.word(id(plain) + HANDLER) == id(current), "the place of an array's memory handler")
        mine = self.empty(LARGE)
        ours = layout.word(id(mine) + HANDLER) == id(self.capsule)
        layout.need(ours and mine.ctypes.data % 64 == 0, "memory handlers of NumPy")

    def _word(self, offset: int) -> ctypes.c_int64:
        return ctypes.c_int64.from_address(self.state + offset)

    def empty(self, count: int) -> Any:
        """An array of `count` bytes, whose memory comes from the cache."""
        former = self.set_handler(self.capsule)
        try:
            return np.empty(count, np.uint8)
        finally:
            self.set_handler(former)

    def release(self) -> int:
        """Give what is cached back to the system; bytes."""
        return int(self._release(self.state))

    def counts(self) -> dict[str, int]:
        """Bytes in arrays now and at most, bytes cached, bytes that may be cached, blocks made and blocks used again."""
        names = {"used": USED, "peak": PEAK, "cached": HELD, "limit": LIMIT, "made": FRESH, "reused": REUSED}
        return {name: self._word(offset).value for name, offset in names.items()}

    def restart_peak(self) -> None:
        """Count the peak anew from what is used now."""
        self._word(PEAK).value = self._word(USED).value

    def set_limit(self, count: int) -> None:
        """Let at most `count` bytes be cached from now on."""
        self._word(LIMIT).value = count
        if self._word(HELD).value > count:
            self.release()


def limit() -> int:
    """Bytes that may be cached: what the knob `recycle` says, but no more than a quarter of the machine's memory."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        whole = 1 << 32
    return min(int(knobs.recycle) << 20, whole // 4)


class _State:
    provider: Callable[[], Mapping[str, int]] | None = None
    blocks: Blocks | None = None
    failed = False


def provide(make: Callable[[], Mapping[str, int]]) -> None:
    """Say who makes the machine code, when the first large block is asked for."""
    _State.provider = make


def start() -> Blocks | None:
    """The cache; None where there is none on this system, or the knob `recycle` is 0."""
    if _State.blocks is None and not _State.failed and _State.provider is not None and knobs.recycle > 0:
        with _lock:
            _start(_State.provider)
    return _State.blocks


def _start(provider: Callable[[], Mapping[str, int]]) -> None:
    if _State.blocks is None:
        try:
            _State.blocks = Blocks(provider())
        except LoadError:
            _State.failed = True


def current() -> Blocks | None:
    """The cache, if it is in use already."""
    return _State.blocks


def empty(count: int) -> Any:
    """An array of `count` uninitialised bytes, out of the cache where it is large."""
    blocks = start() if count >= LARGE else None
    return np.empty(count, np.uint8) if blocks is None else blocks.empty(count)


@contextmanager
def used() -> Iterator[None]:
    """NumPy's own results come out of the cache, in this thread, while the ``with`` block runs."""
    blocks = start()
    if blocks is None:
        yield
        return
    former = blocks.set_handler(blocks.capsule)
    try:
        yield
    finally:
        blocks.set_handler(former)
