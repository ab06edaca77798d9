"""How long work on a device takes, by its own events: what Triton's autotuner, tuning and benchmarks ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...runtime.gpu.streams import Event

#: bytes written between two runs, more than any cache holds
_FLUSH = 256 << 20


def times(work: Callable[[], Any], *, runs: int = 20, warm: int = 5, flush: bool = True) -> list[float]:
    """Milliseconds of `runs` runs of `work` behind `warm` others, sorted; with `flush` each finds the caches empty."""
    from ...runtime.gpu.device import device

    gpu = device()
    rubbish = gpu.allocate(_FLUSH) if flush else None
    pairs = [(Event(True), Event(True)) for _ in range(runs)]
    for _ in range(warm):
        work()
    for start, end in pairs:
        if rubbish is not None:
            gpu.driver.fill(rubbish.address, 0, _FLUSH, gpu.stream)
        start.record()
        work()
        end.record()
    gpu.synchronize()
    return sorted(start.elapsed_time(end) for start, end in pairs)


def benchmark(work: Callable[[], Any], *, quantiles: Sequence[float] | None = None, **options: Any) -> Any:
    """As ``triton.testing.do_bench``: the mean, or these quantiles."""
    found = times(work)
    if quantiles is None:
        return sum(found) / len(found)
    return [found[min(int(q * len(found)), len(found) - 1)] for q in quantiles]
