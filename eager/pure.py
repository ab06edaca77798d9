"""The mark of functions a tracer may run directly on traced Tensors instead of following their bytecode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def pure(fn: F) -> F:
    """Mark `fn`: it writes no attribute and no container it did not make, and reads no global but constants."""
    fn.__fusewire_pure__ = True  # type: ignore[attr-defined]
    return fn


def is_pure(fn: Any) -> bool:
    """Whether `fn` carries the mark."""
    return getattr(fn, "__fusewire_pure__", False) is True
