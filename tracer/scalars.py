"""Calls of `math`'s and built-in functions on numbers from outside, repeated at every call in place of fixing the numbers.

A size is a number too: as an argument of such a function it is read from where the call finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..runtime import arithmetic
from .symbols import SizeInt
from .values import SYMBOLIC, SymFloat, SymInt, apply

if TYPE_CHECKING:
    from .session import Session


def call(session: Session, fn: Callable[..., Any], args: Sequence[Any]) -> Any:
    """``fn(*args)`` for numbers one of which is symbolic; NotImplemented for everything else."""
    name = arithmetic.NAMES.get(fn) if getattr(fn, "__hash__", None) else None
    if name is None or not any(isinstance(x, SYMBOLIC) for x in args):
        return NotImplemented
    if not all(isinstance(x, (int, float)) for x in args):
        return NotImplemented
    if fn is round and any(isinstance(x, SYMBOLIC) for x in args[1:]):
        return NotImplemented
    found = [as_number(session, x) for x in args]
    if not any(isinstance(x, (SymFloat, SymInt)) for x in found):
        return NotImplemented
    if fn in (float, int) and type(found[0]) is (SymFloat if fn is float else SymInt):
        return found[0]
    return apply(name, *[int(x) if type(x) is bool else x for x in found])


def as_number(session: Session, x: Any) -> Any:
    """A size that is an int from outside as that int; anything else as it is."""
    if type(x) is not SizeInt:
        return x
    recorder = session.recorder
    source = recorder.numbers.get(str(recorder.symbols.now(x.size)))
    return x if source is None else session.outside.symbolic(x.raw, source)
