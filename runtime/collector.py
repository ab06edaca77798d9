"""Python's cyclic garbage collector, paused while something makes many objects that all stay.

A graph of thousands of nodes on the way to machine code makes the collector walk it again and again and find nothing: up to half
of the time to compile.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from . import forks

_lock = forks.hold(forks.SHORT, threading.Lock())
_inside = 0
_resume = False


@contextmanager
def paused() -> Iterator[None]:
    """No collection of cycles in the ``with`` block, in any thread; afterwards as before the first of the blocks that overlap.
    Also a decorator."""
    global _inside, _resume
    with _lock:
        if _inside == 0:
            _resume = gc.isenabled()
            gc.disable()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _resume:
                gc.enable()
