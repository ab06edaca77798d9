"""How everything here is timed: contenders take turns in one process, many short rounds, medians. Prints nothing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


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
