"""Whether gradients are recorded, per thread. Knows no tape: eager asks here, and machine code reads the same flag.

The flag is kept twice and in step: in a `threading.local` for Python, and as the *value* of a CPython thread-specific
storage key for machine code (null, what a new thread sees, means enabled). Never shared between threads.
"""

from __future__ import annotations

import ctypes
import threading

_api = ctypes.PyDLL(None)
_alloc, _create, _tss_set = _api.PyThread_tss_alloc, _api.PyThread_tss_create, _api.PyThread_tss_set
_alloc.restype = ctypes.c_void_p
_create.argtypes = [ctypes.c_void_p]
_tss_set.argtypes = [ctypes.c_void_p, ctypes.c_void_p]


class _Local(threading.local):
    enabled = True


def _make_key() -> int:
    key = _alloc()
    if not key or _create(key):
        raise MemoryError("no thread-specific storage key left for the gradient mode")
    return int(key)


_local = _Local()

#: address of the Py_tss_t whose value is null where gradients are recorded: what machine code reads
KEY: int = _make_key()


def get() -> bool:
    """Whether operations on this thread record gradients. True in a new thread."""
    return _local.enabled


def set(enabled: bool) -> None:
    """Switch recording on this thread on or off."""
    enabled = bool(enabled)
    if enabled is _local.enabled:
        return
    if _tss_set(KEY, None if enabled else 1):
        raise MemoryError("the gradient mode of this thread cannot be stored")
    _local.enabled = enabled
