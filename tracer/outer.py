"""Sets, deques and dicts of collections that come from outside: opened at once, each member with its source."""

from __future__ import annotations

import collections
from typing import Any

from ..runtime.guard import Equals, Is, LengthIs, TypeIs
from ..runtime.source import Attr, Item, Listed, Source, listed
from .classes import by_python, native_base
from .guards import MAKERS, SUBCLASSED, Outside, of_library

_LARGEST = 200
_HASHED = (str, int, float, bool, bytes, type(None))


def _members(outside: Outside, value: Any, source: Source) -> list[Any]:
    content, at = listed(value), Listed(source)
    outside.guard(TypeIs(source, type(value)))
    _whole(outside, at, len(content))
    return [outside.admit(x, Item(at, k)) for k, x in enumerate(content)]


def _whole(outside: Outside, at: Listed, count: int) -> None:
    outside.guard(TypeIs(at, tuple))
    outside.guard(LengthIs(at, count))


def _constant(x: Any) -> bool:
    return type(x) in _HASHED or isinstance(x, type) or (type(x) is tuple and all(map(_constant, x)))


def _set(outside: Outside, value: Any, source: Source) -> Any:
    """Only of constants."""
    copy = value.copy() if type(value) is set else frozenset(list(value))
    if len(value) > _LARGEST or not all(map(_constant, value)):
        return outside._as_it_is(value, source)
    if list(copy) != list(value):
        outside.individual(copy)  # as if it were changed: no loop over it, whose order would be another
    at = Listed(source)
    outside.guard(TypeIs(source, type(value)))
    _whole(outside, at, len(value))
    for k, x in enumerate(value):
        _fix(outside, x, Item(at, k))
    return outside.register(value, copy, source)


def _fix(outside: Outside, x: Any, source: Source) -> None:
    """Guard a constant."""
    if isinstance(x, type):
        outside.guard(Is(source, x))
        return
    if type(x) is not tuple:
        outside.guard(Equals(source, x))
        return
    outside.guard(TypeIs(source, tuple))
    outside.guard(LengthIs(source, len(x)))
    for k, y in enumerate(x):
        _fix(outside, y, Item(source, k))


def _deque(outside: Outside, value: Any, source: Source) -> Any:
    if len(value) > _LARGEST:
        return outside._as_it_is(value, source)
    outside.guard(Equals(Attr(source, "maxlen"), value.maxlen))
    seen: Any = collections.deque(maxlen=value.maxlen)
    outside.register(value, seen, source)
    seen.extend(_members(outside, value, source))
    return seen


def _dict(outside: Outside, value: Any, source: Source) -> Any:
    if len(value) > _LARGEST or not all(map(_constant, value)):
        return outside._as_it_is(value, source)
    cls = type(value)
    seen: Any = cls()
    outside.register(value, seen, source)
    if cls is collections.defaultdict:
        seen.default_factory = outside.admit(value.default_factory, Attr(source, "default_factory"))
    content, at = listed(value), Listed(source)
    outside.guard(TypeIs(source, cls))
    _whole(outside, at, len(content))
    for k in range(0, len(content), 2):
        _fix(outside, content[k], Item(at, k))
        seen[content[k]] = outside.admit(content[k + 1], Item(at, k + 1))
    return seen


def _as_before(outside: Outside, value: Any, source: Source) -> Any:
    outside.guard(TypeIs(source, type(value)))
    outside.opaque.add(id(value))
    return outside.register(value, value, source)


def _subclassed(outside: Outside, value: Any, source: Source) -> Any:
    """A list or dict of a class made by Python code: a shadow with the same attributes, of which reads are guarded."""
    cls: type = type(value)
    base: Any = native_base(cls)
    slotted = any(vars(c).get("__slots__") for c in cls.__mro__ if by_python(c))
    keys = isinstance(value, dict) and not all(map(_constant, dict.keys(value)))
    if of_library(cls.__module__) or slotted or keys or base.__len__(value) > _LARGEST:
        return _as_before(outside, value, source)
    seen = base.__new__(cls)
    if getattr(value, "__dict__", None) is not None:
        object.__setattr__(seen, "__dict__", value.__dict__)
    outside.register(value, seen, source)
    content, at = listed(value), Listed(source)
    outside.guard(TypeIs(source, cls))
    _whole(outside, at, len(content))
    if base is list:
        for k, x in enumerate(content):
            list.append(seen, outside.admit(x, Item(at, k)))
        return seen
    for k in range(0, len(content), 2):
        _fix(outside, content[k], Item(at, k))
        base.__setitem__(seen, content[k], outside.admit(content[k + 1], Item(at, k + 1)))
    return seen


for _base in (list, dict, collections.OrderedDict):
    SUBCLASSED[_base] = _subclassed
MAKERS[set] = MAKERS[frozenset] = _set
MAKERS[collections.deque] = _deque
for _cls in (collections.OrderedDict, collections.defaultdict, collections.Counter):
    MAKERS[_cls] = _dict
