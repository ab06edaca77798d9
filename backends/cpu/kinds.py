"""What the emitter of loops keeps in mind: its target, the values named so far, the vector that is open."""

from __future__ import annotations

from ...ir.dtypes import DType
from ...ir.lazyclass import dataclass
from .lanes import Lanes


@dataclass(frozen=True, slots=True)
class Target:
    """What the text is written for: width of a vector register, and whether masked memory access is an instruction."""

    vector_bytes: int
    masked: bool


@dataclass(slots=True)
class Value:
    """A name of the kernel: one text where uniform, else one per copy."""

    dtype: DType
    texts: list[str]
    varying: bool


@dataclass(slots=True)
class Vector:
    """The vector axis that is open: first index of each copy, lanes, and the mask of the lanes in range (None: all)."""

    axis: str
    bases: list[str]
    lanes: Lanes
    mask: str | None
