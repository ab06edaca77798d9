"""Random numbers of transforms: from the default generator, as the library's other draws."""

from __future__ import annotations

from ...eager.random import rand, randint


def uniform(low: float = 0.0, high: float = 1.0) -> float:
    """A number in [low, high)."""
    return low + (high - low) * float(rand((1,)).item())


def whole(low: int, high: int) -> int:
    """A whole number from `low` up to, not including, `high`."""
    return int(randint(low, high, (1,)).item())


def happens(p: float) -> bool:
    """True with probability `p`."""
    return uniform() < p
