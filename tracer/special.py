"""Functions that the tracer does itself, not by following or running them. `natives` fills the table, `compiler` adds to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: function -> ``(session, *args, **kwargs) -> result``
SPECIAL: dict[Any, Callable[..., Any]] = {}
