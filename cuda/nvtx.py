"""``torch.cuda.nvtx``: marks and ranges for NVIDIA's profilers, by their library where it is installed; nothing elsewhere."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

__all__ = ["mark", "range", "range_end", "range_pop", "range_push", "range_start"]


@lru_cache(maxsize=1)
def _library() -> Any:
    for path in ("libnvToolsExt.so.1", "libnvToolsExt.so"):
        try:
            found = ctypes.CDLL(path)
            found.nvtxRangeStartA.restype = ctypes.c_uint64
            found.nvtxRangeEnd.argtypes = (ctypes.c_uint64,)
            return found
        except (AttributeError, OSError):
            continue
    return None


def range_push(msg: str) -> int:
    """Begin a range of this thread inside of those that are open; how many were."""
    found = _library()
    return -1 if found is None else int(found.nvtxRangePushA(msg.encode()))


def range_pop() -> int:
    """End the innermost range of this thread; how many are open."""
    found = _library()
    return -1 if found is None else int(found.nvtxRangePop())


def range_start(msg: str) -> int:
    """Begin a range that any thread may end; its number."""
    found = _library()
    return 0 if found is None else int(found.nvtxRangeStartA(msg.encode()))


def range_end(range_id: int) -> None:
    """End a range of `range_start`."""
    found = _library()
    if found is not None:
        found.nvtxRangeEnd(range_id)


def mark(msg: str) -> None:
    """A moment."""
    found = _library()
    if found is not None:
        found.nvtxMarkA(msg.encode())


@contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """``with range("step {}", n):`` a range; also a decorator."""
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()
