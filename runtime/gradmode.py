"""Two modes of a thread: whether gradients are recorded, and which dtypes autocast lowers to. Knows no tape: eager asks here,
and machine code reads the same word.

The modes are kept twice and in step: in a `threading.local` for Python, and as the *value* of a CPython thread-specific
storage key for machine code: `word` of them, 0 (null) in a new thread. Never shared between threads.
"""

from __future__ import annotations

import ctypes
import threading

_api = ctypes.PyDLL(None)
_alloc, _create, _tss_set = _api.PyThread_tss_alloc, _api.PyThread_tss_create, _api.PyThread_tss_set
_alloc.restype = ctypes.c_void_p
_create.argtypes = [ctypes.c_void_p]
_tss_set.argtypes = [ctypes.c_void_p, ctypes.c_void_p]


def make_key() -> int:
    """The address of a fresh thread-specific storage key (Py_tss_t); its value is null in every thread."""
    key = _alloc()
    if not key or _create(key):
        raise MemoryError("no thread-specific storage key left")
    return int(key)


def publish(key: int, value: int) -> None:
    """Set the value of such a key in this thread."""
    if _tss_set(key, value or None):
        raise MemoryError("the state of this thread cannot be stored")


class _Local(threading.local):
    enabled = True
    casting = 0


_local = _Local()

#: address of the Py_tss_t whose value is the word of the thread's modes: what machine code reads
KEY: int = make_key()


def get() -> bool:
    """Whether operations on this thread record gradients. True in a new thread."""
    return _local.enabled


def set(enabled: bool) -> None:
    """Switch recording on this thread on or off."""
    enabled = bool(enabled)
    if enabled is _local.enabled:
        return
    publish(KEY, word(enabled, _local.casting))
    _local.enabled = enabled


def casting() -> int:
    """What autocast does on this thread, as the number that `eager.casting` makes of it; 0: nothing, as in a new thread."""
    return _local.casting


def set_casting(mode: int) -> None:
    """Switch autocast on this thread; `mode` as `casting` gives it."""
    if mode == _local.casting:
        return
    publish(KEY, word(_local.enabled, mode))
    _local.casting = mode


def word(enabled: bool, casting: int = 0) -> int:
    """Both modes as one number; 0 where gradients are recorded and nothing is cast."""
    return casting << 1 | (not enabled)
