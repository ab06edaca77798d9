"""Calls of `math`'s and built-in functions on numbers from outside, repeated at every call in place of fixing the numbers.

A size is a number too: as an argument of such a function it is read from where the call finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..runtime import arithmetic
from ..runtime.source import Attr, Item
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
    """A size that is an int from outside, or a dimension of a Tensor from there, as that int; anything else as it is."""
    if type(x) is not SizeInt:
        return x
    recorder, size = session.recorder, session.recorder.symbols.now(x.size)
    source = recorder.numbers.get(str(size)) or _dimension(session, size)
    return x if source is None else session.outside.symbolic(x.raw, source)


def _dimension(session: Session, size: Any) -> Any:
    """Where a Tensor from outside has this size."""
    for source, (_, type_, _) in session.outside.sized.items():
        for d, n in enumerate(type_.shape):
            if isinstance(n, SizeInt) and session.recorder.symbols.now(n.size) == size:
                return Item(Attr(source, "shape"), d)
    return None


def in_text(session: Session, x: Any) -> Any:
    """A symbolic number of which text is made: one that the text may follow at every call; NotImplemented for all else, and
    where the program has needed such a text itself before."""
    found = as_number(session, x) if isinstance(x, SYMBOLIC) else x
    if type(found) not in (SymInt, SymFloat) or found.sym.pinned:
        return NotImplemented
    fixed = session.outside.policy.in_text
    return NotImplemented if any(source in fixed for source, _ in found.sym.leaves) else found


def in_texts(session: Session, values: Any) -> Any:
    """`values`, a tuple, with each symbolic number as `in_text` says; NotImplemented where there is none."""
    if type(values) is not tuple:
        return in_text(session, values)
    found = [in_text(session, x) for x in values]
    if all(x is NotImplemented for x in found):
        return NotImplemented
    return tuple([old if new is NotImplemented else new for old, new in zip(values, found, strict=True)])
