"""Every compiled function that lives, so that what all of them took for granted can change. Keeps none alive."""

from __future__ import annotations

import weakref
from typing import Protocol


class Compiled(Protocol):
    """What a compiled function does when it is told."""

    def forget(self) -> None:
        """Compile again from the next call on."""

    def serve_natively(self, on: bool) -> None:
        """Let machine code answer calls, or no longer."""


_living: weakref.WeakSet[Compiled] = weakref.WeakSet()


def enter(made: Compiled) -> None:
    """A function was compiled."""
    _living.add(made)


def living() -> list[Compiled]:
    """All there are now."""
    return list(_living)


def forget_all() -> None:
    """Every compiled function compiles again."""
    for made in living():
        made.forget()
