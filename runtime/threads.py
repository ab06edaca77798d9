"""How many threads matrix products use. Kernels of ours run on the thread that calls them."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np


@lru_cache(maxsize=1)
def _openblas() -> tuple[Any, Any] | None:
    """The getter and setter of NumPy's OpenBLAS; None where NumPy was built with another BLAS."""
    core: Any = getattr(np, "_core")  # noqa: B009  (NumPy keeps it out of its stubs)
    library = ctypes.CDLL(core._multiarray_umath.__file__)
    for name in ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "openblas_{}_num_threads"):
        if hasattr(library, name.format("set")):
            return getattr(library, name.format("get")), getattr(library, name.format("set"))
    return None


def get_num_threads() -> int:
    """Threads that a matrix product may use."""
    found = _openblas()
    return int(found[0]()) if found is not None else 1


def set_num_threads(count: int) -> None:
    """Let matrix products use `count` threads, in the whole process, NumPy's included. ValueError below 1; without effect
    where NumPy brings no OpenBLAS."""
    if count < 1:
        raise ValueError(f"set_num_threads needs at least 1 thread, not {count}")
    found = _openblas()
    if found is not None:
        found[1](int(count))
