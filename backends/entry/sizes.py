"""Sizes -> rows: polynomials over symbols whose values lie in frame words. Knows no guard and no plan."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from ...errors import CompileError
from ...ir import sizes as z
from .frame import Frame


class SizeRows:
    """Writes rows that compute sizes. `known`: symbols with a value fixed by the guards; `symbols`: the words of the others."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.known: dict[str, int] = {}
        self.symbols: dict[str, int] = {}
        self._sizes: dict[z.Size, int] = {}

    def size(self, value: z.Size) -> int:
        """The word with the value of a size."""
        value = z.substitute(value, self.known)
        if isinstance(value, int):
            return self.frame.const(value)
        at = self._sizes.get(value)
        if at is None:
            at = self._sizes[value] = self._polynomial(value)
        return at

    def _polynomial(self, value: z.Expr) -> int:
        total: int | None = None
        for mono, k in value.terms:
            factors = [] if k == 1 and mono else [self.frame.const(k)]
            for atom, power in mono:
                factors += [self._atom(atom)] * power
            word = functools.reduce(lambda a, b: self.op("mul", a, b), factors)
            total = word if total is None else self.op("add", total, word)
        return total if total is not None else self.frame.const(0)

    def _atom(self, atom: z.Atom) -> int:
        if isinstance(atom, z.Symbol):
            try:
                return self.symbols[atom.name]
            except KeyError:
                raise CompileError(f"the plan does not say where the size {atom.name} comes from") from None
        return self.op(atom.fn, self.size(atom.a), self.size(atom.b))

    def op(self, name: str, a: int, b: int) -> int:
        """The word with the result of an arithmetic row."""
        at = self.frame.words()
        self.frame.row(name, at, a, b)
        return at

    def run(self, values: Sequence[z.Size]) -> int:
        """The first of consecutive words that hold these sizes."""
        values = [z.substitute(v, self.known) for v in values]
        if all(isinstance(v, int) for v in values):
            return self.frame.const_run([int(v) for v in values])  # type: ignore[arg-type]
        zero, words = self.frame.const(0), [self.size(v) for v in values]
        at = self.frame.words(len(words))
        for i, word in enumerate(words):
            self.frame.row("add", at + i, word, zero)
        return at
