"""Lays out the frame of one variant and collects its program: rows, constants and the objects that must stay alive.

The first words of a frame are the bound arguments. Constants are set at the start of a call; owned words are released at
every exit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import CompileError
from .words import OP

#: words of a frame at most (512 KiB of stack)
LIMIT = 1 << 16


class Frame:
    """A program under construction. A register is the number of a frame word."""

    def __init__(self, nparams: int) -> None:
        self.nparams = nparams
        self.size = nparams
        self.rows: list[tuple[int, int, int, int]] = []
        self.keep: list[Any] = []
        self.consts: dict[int, int] = {}
        self.owned_words: list[int] = []
        self.arena_at: int | None = None
        self.hold = 0  # of a plan for a GPU: `words.T_HOLD`, then first and number of the pairs of words for memory
        self.blocks = 0, 0
        self._runs: list[tuple[int, int]] = []
        #: lists that Python callbacks write to once the rows are an array: (function of the address of a row, row number)
        self.patches: list[tuple[Any, int]] = []

    def words(self, count: int = 1) -> int:
        """`count` consecutive fresh words."""
        at = self.size
        self.size += count
        if self.size > LIMIT:
            raise CompileError(f"the plan needs more than {LIMIT} frame words: too many inputs, buffers and steps for one call")
        return at

    def object(self, obj: Any) -> int:
        """Address of an object, which the variant keeps alive."""
        self.keep.append(obj)
        return id(obj)

    def array(self, values: Sequence[int]) -> int:
        """Address of a list of words, which the variant keeps alive."""
        made = np.array([_signed(v) for v in values] or [0], np.int64)
        self.keep.append(made)
        return int(made.ctypes.data)

    def row(self, op: str, dest: int = 0, a: int = 0, b: int = 0, c: int = 0) -> int:
        """Append an instruction; its number."""
        self.rows.append((OP[op] | dest << 8, _signed(a), _signed(b), _signed(c)))
        return len(self.rows) - 1

    def change(self, number: int, op: str, dest: int = 0, a: int = 0, b: int = 0, c: int = 0) -> None:
        """Write instruction `number` anew."""
        self.rows[number] = (OP[op] | dest << 8, _signed(a), _signed(b), _signed(c))

    def const(self, value: int) -> int:
        """A word that holds `value` from the start of the call on."""
        value = _signed(value)
        if value not in self.consts:
            self.consts[value] = self.words()
        return self.consts[value]

    def const_run(self, values: Sequence[int]) -> int:
        """Consecutive words that hold `values`; made anew at each call of this method."""
        at = self.words(max(1, len(values)))
        self._runs.extend(zip(range(at, at + len(values)), map(_signed, values), strict=True))
        return at

    def owned(self, count: int = 1) -> int:
        """Consecutive words whose objects are released at the end of the call (0: nothing)."""
        at = self.words(count)
        self.owned_words.extend(range(at, at + count))
        return at

    def constants(self) -> list[tuple[int, int]]:
        """(word, value) of all constants."""
        return [(at, value) for value, at in self.consts.items()] + self._runs


def _signed(value: int) -> int:
    return value if value < 1 << 63 else value - (1 << 64)
