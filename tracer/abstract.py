"""``isinstance`` and ``issubclass`` while tracing: what they ask besides the classes' own bases is guarded, or followed."""

from __future__ import annotations

import abc
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..runtime.guard import SubclassIs
from .classes import by_python

if TYPE_CHECKING:
    from .session import Session

_PLAIN = object.__dict__["__class__"]
_LIBRARY = ("collections.abc", "numbers")  # which register the built-in classes when they are loaded


def instance(s: Session, obj: Any, cls: Any) -> bool:
    """``isinstance(obj, cls)``; a ``__class__`` of the user's is run as `obj`'s attribute."""
    kind = type(obj)
    if by_python(kind) and s.attributes.find(kind, "__class__") is not _PLAIN:
        return any(_told(s, obj, each) for each in _each(cls))
    found: bool = s.native(isinstance, obj, cls)
    _watch(s, kind, cls)
    return found


def subclass(s: Session, sub: Any, cls: Any) -> bool:
    """``issubclass(sub, cls)``."""
    found: bool = s.native(issubclass, sub, cls)
    _watch(s, sub, cls)
    return found


def _told(s: Session, obj: Any, cls: Any) -> bool:
    """``isinstance`` of one class, of an object that says what it is an instance of."""
    if not isinstance(cls, abc.ABCMeta) and s.native(issubclass, type(obj), cls):
        return True
    told = s.attributes.load(obj, "__class__")
    return (isinstance(told, type) and subclass(s, told, cls)) or (isinstance(cls, abc.ABCMeta) and subclass(s, type(obj), cls))


def _watch(s: Session, sub: type, cls: Any) -> None:
    """Guard what abstract classes know of `sub` besides its bases: what is registered stays so, but not in the next process."""
    for each in _each(cls):
        if each in sub.__mro__:
            return
        known = issubclass(sub, each)
        if known and each.__module__ in _LIBRARY and not by_python(sub):
            return
        if type(each) is abc.ABCMeta and not {id(each), id(sub)} & s.fresh_classes.keys():
            s.outside.guard(SubclassIs(sub, each, known))
        if known:
            return


def _each(cls: Any) -> Iterator[Any]:
    """The classes that ``isinstance`` asks."""
    if isinstance(cls, tuple | types.UnionType):
        for part in cls if isinstance(cls, tuple) else cls.__args__:
            yield from _each(part)
    else:
        yield cls
