"""Arithmetic on the caller's numbers -> rows: what `runtime.source.Computed` means, where the types of its numbers are known.

Ints have 64 bits here: one that does not fit, and a float that no row computes exactly as CPython does, is a miss, and the Python
form of the guards decides. Everything else is called in Python.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...runtime import guard as g
from ...runtime import layout
from ...runtime import source as s

if TYPE_CHECKING:
    from .guards import GuardRows

_INT = {"+": "add_int", "-": "sub_int", "*": "mul_int", "//": "floordiv", "%": "mod"}
_FLOAT = {"+": "add_float", "-": "sub_float", "*": "mul_float", "/": "div_float"}
_COMPARE = ("<", "<=", ">", ">=", "==", "!=")
#: functions of one number, and whether that must be above 0; others, and what is not finite, are misses
_LIBM = {"math.exp": False, "math.log": True, "math.sin": False, "math.cos": False, "math.tanh": False}
_MIRRORED = {">": "<", ">=": "<="}


def leaves(x: Any) -> Iterator[s.Source]:
    """The sources that a source is worked out from: itself, where it is no arithmetic."""
    if isinstance(x, s.Computed):
        for y in x.args:
            yield from leaves(y)
    elif not isinstance(x, (int, float)):
        yield x


class ScalarRows:
    """Writes rows of numbers. A number is a word and its type: an int's value, or a float's bits."""

    def __init__(self, rows: GuardRows) -> None:
        self.rows = rows
        self.types: dict[s.Source, type] = {}
        for x in rows.guards:
            if isinstance(x, g.TypeIs) and x.cls in (int, float):
                self.types[x.source] = x.cls
            elif isinstance(x, g.FitsInt64):
                self.types[x.source] = int
            elif isinstance(x, g.Equals) and type(x.value) in (int, float):
                self.types[x.source] = type(x.value)

    def type_of(self, x: Any) -> type | None:
        """int, float or bool: what rows make of a number or source; None where they cannot."""
        if isinstance(x, (int, float)):
            return type(x) if type(x) is float or abs(x) < 2**62 else None
        if not isinstance(x, s.Computed):
            return int if x in self.rows.counted else self.types.get(x)
        found = [self.type_of(y) for y in x.args]
        if None in found:
            return None
        if x.op in _COMPARE:
            return bool
        if x.op == "float":
            return float
        if x.op == "math.sqrt":
            return float
        if x.op in _LIBM:
            return float if len(x.args) == 1 and layout.libm(x.op.partition(".")[2], 1) else None
        if x.op == "**":
            return float if found[0] is float and layout.libm("pow", 2) else None
        if found == [int, int]:
            return int if x.op in _INT else float if x.op == "/" else None
        return float if x.op in _FLOAT else None

    def number(self, x: Any) -> int:
        """The word with a number."""
        frame = self.rows.frame
        if isinstance(x, (int, float)):
            return frame.const(x if isinstance(x, int) else _bits(x))
        if not isinstance(x, s.Computed):
            if self.type_of(x) is int:
                return self.rows.integer(x)
            at = frame.words()
            frame.row("float", at, self.rows.word(x))
            return at
        if x.op in ("float", "math.sqrt"):
            word = self._as_float(x.args[0])
            return word if x.op == "float" else self._row("sqrt_float", word, word)
        if x.op in _LIBM or x.op == "**":
            return self._called(x)
        if self.type_of(x) is int:
            return self._int(x)
        return self._row(_FLOAT[x.op], *map(self._as_float, x.args))

    def _called(self, x: s.Computed) -> int:
        frame, words = self.rows.frame, list(map(self._as_float, x.args))
        if x.op == "**" or _LIBM[x.op]:
            frame.row("positive", 0, words[0])
        at = frame.words()
        function = layout.libm("pow" if x.op == "**" else x.op.partition(".")[2], len(words))
        frame.row(f"libm{len(words)}", at, words[0], words[-1], function)
        return at

    def _int(self, x: s.Computed) -> int:
        a, b = map(self.number, x.args)
        if x.op in ("//", "%"):
            self.rows.frame.row("at_most", 0, self.rows.frame.const(1), b)
        return self._row(_INT[x.op], a, b)

    def _as_float(self, x: Any) -> int:
        if isinstance(x, int) and type(x) is not bool:
            return self.rows.frame.const(_bits(float(x))) if abs(x) <= 2**53 else self._row("to_float", self.number(x), 0)
        return self.number(x) if self.type_of(x) is float else self._row("to_float", self.number(x), 0)

    def _row(self, op: str, a: int, b: int) -> int:
        at = self.rows.frame.words()
        self.rows.frame.row(op, at, a, b)
        return at

    def holds(self, x: s.Computed, truth: bool) -> None:
        """A miss unless the comparison comes out so."""
        op, args = (_MIRRORED[x.op], x.args[::-1]) if x.op in _MIRRORED else (x.op, x.args)
        if all(self.type_of(y) is int for y in args):
            a, b = map(self.number, args)
            self._compare_ints(op, a, b, truth)
            return
        a, b = map(self._as_float, args)
        name, wanted = {"<": ("less_float", truth), "<=": ("at_most_float", truth), "==": ("same_float", truth)}.get(
            op, ("same_float", not truth)
        )
        self.rows.frame.row(name, 0, a, b, int(wanted))

    def _compare_ints(self, op: str, a: int, b: int, truth: bool) -> None:
        row = self.rows.frame.row
        if op == "<=":
            row(*(("at_most", 0, a, b) if truth else ("less", 0, b, a)))
        elif op == "<":
            row(*(("less", 0, a, b) if truth else ("at_most", 0, b, a)))
        else:
            row("same" if (op == "==") == truth else "differ", 0, a, b)


def _bits(x: float) -> int:
    return int(struct.unpack("<q", struct.pack("<d", x))[0])

