"""Functions that the tracer does itself, not by following or running them: the table that each module with `models` fills."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: function -> ``(session, *args, **kwargs) -> result``
SPECIAL: dict[Any, Callable[..., Any]] = {}


def models(*things: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: this function does a call of each of `things`."""

    def enter(fn: Callable[..., Any]) -> Callable[..., Any]:
        for thing in things:
            SPECIAL[thing] = fn
        return fn

    return enter
