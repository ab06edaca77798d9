"""Size: a tuple of ints with PyTorch's extras. Shapes are plain tuples; this is for those who ask for the class."""

from __future__ import annotations

import math


class Size(tuple[int, ...]):
    """``Size([2, 3])``, equal to the tuple ``(2, 3)``."""

    __slots__ = ()

    def numel(self) -> int:
        """Number of elements of a tensor of this shape."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"Size({list(self)})"
