"""Memory that a graph sees in two element types, complex numbers and pairs of floats: two values that do not know of each other.
What would need them to be one is a graph break."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .breaks import Break, Restart


class Recast:
    """Pairs of storages that are one memory in eager: of a tensor, and of a view of it with elements of another type, with the
    number of the unit of instructions that took the view, where a capture can break instead."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Any, Any]] = []
        self.units: list[int] = []

    def note(self, base: Any, view: Any, unit: int) -> None:
        """A view in other elements was taken."""
        self.pairs.append((base, view))
        self.units.append(unit)

    def others(self, storage: Any) -> list[Any]:
        """The storages that are the memory of `storage` in eager."""
        found, left = [storage], [storage]
        while left:
            x = left.pop()
            more = [b if a is x else a for a, b in self.pairs if a is x or b is x]
            more = [y for y in more if not any(y is z for z in found)]
            found += more
            left += more
        return found[1:]

    def check_write(self, storage: Any) -> None:
        """Break where a write would have to be seen in elements of another type."""
        if self.pairs and self.others(storage):
            raise Break("complex-numbers", "an in-place write to memory that is seen as complex numbers and as pairs of floats")

    def check_output(self, storage: Any, given: list[Any], inputs: Collection[int]) -> None:
        """Break at the view (Restart) where the caller would hold one memory in two types."""
        if self.pairs and any(id(x) in inputs or any(x is y for y in given) for x in self.others(storage)):
            at = next(u for pair, u in zip(self.pairs, self.units, strict=True) if any(x is storage for x in pair))
            raise Restart(at, "complex-numbers", "a result that sees an input, or another result, in elements of another type")
