"""How many threads work uses: kernels of ours on the pool of workers, and matrix products in NumPy's own OpenBLAS."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np

from . import pool


@lru_cache(maxsize=1)
def _openblas() -> Any:
    """The setter of NumPy's OpenBLAS; None where NumPy was built with another BLAS."""
    core: Any = getattr(np, "_core")  # noqa: B009  (NumPy keeps it out of its stubs)
    library = ctypes.CDLL(core._multiarray_umath.__file__)
    for name in ("scipy_openblas_set_num_threads64_", "openblas_set_num_threads64_", "openblas_set_num_threads"):
        if hasattr(library, name):
            return getattr(library, name)
    return None


def get_num_threads() -> int:
    """Threads that a kernel or a matrix product may use, the calling one included: at first, the cores this process may use or
    what the knob `threads` says."""
    return pool.threads()


def set_num_threads(num: int) -> None:
    """Let kernels and matrix products use `num` threads, in the whole process, NumPy's products included. ValueError below
    1. Results do not depend on it, but for products that OpenBLAS computes."""
    pool.set_threads(num)
    setter = _openblas()
    if setter is not None:
        setter(pool.threads())
