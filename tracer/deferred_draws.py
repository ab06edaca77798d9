"""Values that are drawn or read off a clock: ``random``, ``numpy.random``, ``time``.

Such a call is made among the effects, in order; where the graph needs what it gives, it is made before the graph, with all earlier
calls on the same generator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .session import Session


def method(s: Session, owner: Any, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """A method of a generator of random numbers; NotImplemented for any other."""
    return NotImplemented
