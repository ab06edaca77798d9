"""Places in the arena for buffers whose sizes are known at the call only: buffers that are never alive at once share a slot.

A slot is as large as its largest buffer, as a polynomial; which buffers share one is decided with all symbols at NOMINAL, which
settles only how much memory is saved. Compiles nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

from . import sizes
from .sizes import Size

#: what a symbol counts as where sizes are compared that no bounds tell apart
NOMINAL = 64


class _Nominal(dict[str, int]):
    def __missing__(self, name: str) -> int:
        return NOMINAL


_VALUES = _Nominal()


class _Slot:
    """Memory for buffers with spans of steps that do not meet. `spans` is in order."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.spans: list[tuple[int, int]] = []
        self.buffers: list[int] = []

    def is_free(self, first: int, last: int) -> bool:
        at = bisect_left(self.spans, (first, first))
        return (at == 0 or self.spans[at - 1][1] < first) and (at == len(self.spans) or self.spans[at][0] > last)

    def take(self, buffer: int, nbytes: Size, first: int, last: int) -> None:
        self.spans.insert(bisect_left(self.spans, (first, first)), (first, last))
        self.buffers.append(buffer)
        self.size = larger(self.size, nbytes)


def larger(a: Size, b: Size) -> Size:
    """The larger of two sizes of at least 0."""
    return a if sizes.identical((a,), (b,)) else sizes.maximum(a, b)


def nominal(size: Size) -> int:
    """A number to compare sizes by."""
    return sizes.evaluate(size, _VALUES)


def slots(lives: Sequence[Any], aligned: Callable[[Size], Size], start: Size) -> tuple[dict[int, Size], Size]:
    """(offset of each buffer, end of the last slot) for `memory.Lifetime`s, from offset `start` on: large buffers first, each
    into the first slot that is free."""
    made: list[_Slot] = []
    order = sorted(((-nominal(life.nbytes), life.first, life.buffer, life) for life in lives), key=lambda x: x[:3])
    for _, _, _, life in order:
        slot = next((s for s in made if s.is_free(life.first, life.last)), None)
        if slot is None:
            slot = _Slot(life.nbytes)
            made.append(slot)
        slot.take(life.buffer, life.nbytes, life.first, life.last)
    offsets: dict[int, Size] = {}
    for slot in made:
        offsets |= dict.fromkeys(slot.buffers, start)
        start = start + aligned(slot.size)
    return offsets, start
