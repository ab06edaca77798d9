"""What this machine can do at most: bytes a second copied between buffers, float32 FLOPs a second in a large product."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from .timing import interleaved

#: elements of the copied buffers (64 MB each, beyond any cache but the largest) and rows of the product
COPIED, ROWS = 1 << 24, 1536


def copy_bandwidth(rounds: int = 9) -> float:
    """Bytes read and written a second by a copy between two existing buffers, on one thread."""
    source, target = np.ones(COPIED, np.float32), np.zeros(COPIED, np.float32)
    seconds = interleaved({"copy": partial(np.copyto, target, source)}, rounds)["copy"]
    return 2 * source.nbytes / seconds


def gemm_peak(products: dict[str, Callable[[np.ndarray, np.ndarray], object]], rounds: int = 9) -> tuple[str, float]:
    """(name, FLOPs a second) of the fastest of `products` on square float32 matrices, on the threads it is set to."""
    a = np.random.default_rng(0).random((ROWS, ROWS), np.float32)
    times = interleaved({name: partial(run, a, a) for name, run in products.items()}, rounds)
    best = min(times, key=times.__getitem__)
    return best, 2 * ROWS**3 / times[best]
