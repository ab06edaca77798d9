"""``isinstance`` and ``issubclass`` while tracing: what they ask besides the classes' own bases is guarded, or followed."""

from __future__ import annotations

import abc
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..runtime.guard import NoSubclass
from .classes import by_python

if TYPE_CHECKING:
    from .session import Session

_PLAIN = object.__dict__["__class__"]


def instance(s: Session, obj: Any, cls: Any) -> bool:
    """``isinstance(obj, cls)``; a ``__class__`` of the user's is run as `obj`'s attribute."""
    kind = type(obj)
    if by_python(kind) and s.attributes.find(kind, "__class__") is not _PLAIN:
        return any(_told(s, obj, each) for each in _each(cls))
    found: bool = s.native(isinstance, obj, cls)
    if not found:
        _unrelated(s, kind, cls)
    return found


def subclass(s: Session, sub: Any, cls: Any) -> bool:
    """``issubclass(sub, cls)``."""
    found: bool = s.native(issubclass, sub, cls)
    if not found:
        _unrelated(s, sub, cls)
    return found


def _told(s: Session, obj: Any, cls: Any) -> bool:
    """``isinstance`` of one class, of an object that says what it is an instance of."""
    if not isinstance(cls, abc.ABCMeta) and s.native(issubclass, type(obj), cls):
        return True
    told = s.attributes.load(obj, "__class__")
    return (isinstance(told, type) and subclass(s, told, cls)) or (isinstance(cls, abc.ABCMeta) and subclass(s, type(obj), cls))


def _unrelated(s: Session, sub: type, cls: Any) -> None:
    """Guard that an abstract class knows nothing of `sub`. That it does know of it is for good."""
    for each in _each(cls):
        if type(each) is abc.ABCMeta and not {id(each), id(sub)} & s.fresh_classes.keys():
            s.outside.guard(NoSubclass(sub, each))


def _each(cls: Any) -> Iterator[Any]:
    """The classes that ``isinstance`` asks."""
    if isinstance(cls, tuple | types.UnionType):
        for part in cls if isinstance(cls, tuple) else cls.__args__:
            yield from _each(part)
    else:
        yield cls
