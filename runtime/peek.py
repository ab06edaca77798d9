"""Looks at what a built-in iterator gives next and leaves it where it stands. Runs no code of the user's.

Known are the iterators of range, list and tuple, reversed lists, and enumerate and zip over these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

RANGE: type = type(iter(range(0)))
_SEQUENCE: tuple[type, ...] = (type(iter([])), type(iter(())))
_BACKWARDS: type = type(reversed([]))
KNOWN: tuple[type, ...] = (RANGE, *_SEQUENCE, _BACKWARDS, enumerate, zip)


def known(it: Any) -> bool:
    """Whether `item` can tell what `it` gives next."""
    if type(it) is enumerate:
        return known(it.__reduce__()[1][0])
    if type(it) is zip:
        parts = it.__reduce__()
        return len(parts) == 2 and len(parts[1]) > 0 and all(map(known, parts[1]))
    return type(it) in KNOWN


def item(it: Any) -> Any:
    """What ``next(it)`` would give. IndexError where it is exhausted, TypeError for an iterator that is not `known`."""
    cls = type(it)
    if cls is RANGE or cls in _SEQUENCE:
        parts = it.__reduce__()
        return parts[1][0][parts[2] or 0 if len(parts) > 2 else 0]
    if cls is _BACKWARDS:
        parts = it.__reduce__()
        if len(parts) < 3 or not 0 <= parts[2] < len(parts[1][0]):
            raise IndexError("exhausted")
        return parts[1][0][parts[2]]
    if cls is enumerate:
        inner, count = it.__reduce__()[1]
        return count, item(inner)
    if cls is zip and known(it):
        return tuple([item(inner) for inner in it.__reduce__()[1]])
    raise TypeError(f"an iterator of type {cls.__name__}")


def more(it: Any) -> bool:
    """Whether ``next(it)`` gives something. TypeError as for `item`."""
    try:
        item(it)
    except IndexError:
        return False
    return True


def under(it: Any) -> Iterator[Any]:
    """The lists that a known iterator runs over."""
    parts = it.__reduce__()[1]
    for x in parts:
        if type(x) is list:
            yield x
        elif type(x) in KNOWN:
            yield from under(x)
