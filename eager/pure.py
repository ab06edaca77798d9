"""The mark of functions a tracer may run directly on traced Tensors instead of following their bytecode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def pure(fn: F) -> F:
    """Mark `fn`: it reads no global but constants and writes no container it did not make; the only thing of its arguments
    that it may change is a Tensor's memory, through `Storage.write`, which a traced Storage records."""
    fn.__fusewire_pure__ = True  # type: ignore[attr-defined]
    return fn


def rule(fn: F) -> F:
    """Mark a pure function written in op calls: numbers from outside among its arguments, in dicts too, may stay inputs."""
    fn.__fusewire_rule__ = True  # type: ignore[attr-defined]
    return pure(fn)


def is_rule(fn: Any) -> bool:
    """Whether `fn` carries the mark of `rule`."""
    return getattr(fn, "__fusewire_rule__", False) is True


def is_pure(fn: Any) -> bool:
    """Whether `fn` carries the mark."""
    return getattr(fn, "__fusewire_pure__", False) is True
