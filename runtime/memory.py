"""`fusewire.memory`: what large results and temporaries occupy, and giving it back. Counts blocks of 64 kB and more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..ir.lazyclass import dataclass
from . import blocks


@dataclass(frozen=True, slots=True)
class Report:
    """Bytes in arrays now and at most so far, bytes kept for the next ones, and how many may be kept; blocks taken from the
    system, and blocks used again."""

    used: int = 0
    peak: int = 0
    cached: int = 0
    limit: int = 0
    made: int = 0
    reused: int = 0

    def __str__(self) -> str:
        sizes = (f"{name} {getattr(self, name) / 2**20:.1f} MB" for name in ("used", "peak", "cached", "limit"))
        return f"{', '.join(sizes)}; {self.made} blocks made, {self.reused} used again"


def report() -> Report:
    """How memory stands. Results of compiled calls, their temporaries and eager's large results count; what NumPy allocates by
    itself does not."""
    found = blocks.current()
    return Report(**found.counts()) if found is not None else Report(limit=blocks.limit())


def release() -> int:
    """Give memory that is kept for later results back to the system; bytes."""
    found = blocks.current()
    return found.release() if found is not None else 0


@dataclass(slots=True)
class Peak:
    """`bytes`: held at most at one time, more than at the start."""

    bytes: int = 0


@contextmanager
def peak() -> Iterator[Peak]:
    """Measure the peak of what a ``with`` block holds beyond what was held before: temporaries, results and what is saved for
    gradients. Everything that runs meanwhile counts, other threads too; of two nested ones the outer sees what follows."""
    found, measured = blocks.start(), Peak()
    if found is None:
        yield measured
        return
    found.restart_peak()
    before = found.counts()["used"]
    try:
        yield measured
    finally:
        measured.bytes = found.counts()["peak"] - before
