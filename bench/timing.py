"""How everything here is timed: contenders take turns in one process, many short rounds, medians. Prints nothing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np


def interleaved(contenders: Mapping[str, Callable[[], object]], rounds: int = 15, seconds: float = 0.02) -> dict[str, float]:
    """Median seconds a call of each contender. Every round runs each contender for about `seconds`."""
    repeats = {}
    for name, call in contenders.items():
        call()
        start = time.perf_counter()
        call()
        repeats[name] = max(1, int(seconds / max(1e-9, time.perf_counter() - start)))
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            samples[name].append(_once(call, repeats[name]))
    return {name: statistics.median(times) for name, times in samples.items()}


def _once(call: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats


def copy_bandwidth(nbytes: int, rounds: int = 15) -> float:
    """Bytes read and written a second by a copy of `nbytes` between existing buffers, one thread: the machine's limit."""
    source, target = np.ones(nbytes // 4, np.float32), np.empty(nbytes // 4, np.float32)
    return 2 * nbytes / interleaved({"copy": lambda: np.copyto(target, source)}, rounds)["copy"]


def first_call(make: Callable[[], Callable[[], object]]) -> float:
    """Seconds of the first call of what `make` returns."""
    call = make()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
