"""Frames that stand in for the user's where the tail makes a call of his: code objects with his file, line and function.

What looks at its caller (`logging`, `warnings`, a traceback) finds the line that made the call. Nothing of the user's runs here
but the call itself.
"""

from __future__ import annotations

import sys
import types
from typing import Any

from ..runtime.source import Const

_TEMPLATE = (lambda inner, *rest, **named: inner(*rest, **named)).__code__
_NO_COLUMNS = 0x80 | 13 << 3  # an entry of the line table: so many code units (at most 8), no columns, lines since the last entry


def _throw(error: BaseException) -> None:
    raise error


def _line_table() -> bytes:
    units = len(_TEMPLATE.co_code) // 2
    return b"".join(bytes((_NO_COLUMNS | min(8, units - i) - 1, 0)) for i in range(0, units, 8))


class Place:
    """The user's lines at one point, outermost frame first: (globals, file, function, qualified name, line) each."""

    __slots__ = ("frames", "made")

    def __init__(self, frames: tuple[tuple[dict[str, Any], str, str, str, int], ...]) -> None:
        self.frames = frames
        self.made: tuple[Any, ...] | None = None

    def functions(self) -> tuple[Any, ...]:
        """One function for each frame; each calls what it is given."""
        if self.made is None:
            table = _line_table()
            self.made = tuple([
                types.FunctionType(
                    _TEMPLATE.replace(
                        co_filename=file, co_name=name, co_qualname=qualname, co_firstlineno=line, co_linetable=table
                    ), namespace,
                )
                for namespace, file, name, qualname, line in self.frames
            ])  # fmt: skip
        return self.made

    def __call__(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        """``fn(*args, **kwargs)``, called from the user's lines."""
        first, *rest = self.functions()
        return first(*rest, fn, *args, **kwargs)

    def raising(self, error: BaseException) -> None:
        """Put the user's lines before what the traceback of `error` holds."""
        try:
            self(_throw, error)
        except BaseException as same:
            entry = same.__traceback__
            for _ in range(2):  # this function, and `__call__`
                entry = entry.tb_next if entry is not None else None
            same.__traceback__ = _without_throw(entry)


def _without_throw(entry: types.TracebackType | None) -> types.TracebackType | None:
    """A traceback without the entry of `_throw`."""
    found = []
    while entry is not None:
        if entry.tb_frame.f_code is not _throw.__code__:
            found.append(entry)
        entry = entry.tb_next
    out = None
    for each in reversed(found):
        out = types.TracebackType(out, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return out


def put_place(places: dict[int, Place]) -> None:
    """Called by a tail whose line raises: the traceback gets the user's lines in place of the tail's, and inner frames stay."""
    error = sys.exception()
    if error is None or error.__traceback__ is None:
        return
    entry = error.__traceback__
    place = places.get(entry.tb_lineno)
    if place is not None:
        error.__traceback__ = _inner(entry.tb_next, place)
        place.raising(error)


def _inner(entry: types.TracebackType | None, place: Place) -> types.TracebackType | None:
    """What lies behind the frames of `place`, where the call was made through it."""
    codes = {Place.__call__.__code__, *(f.__code__ for f in place.made or ())}
    while entry is not None and entry.tb_frame.f_code in codes:
        entry = entry.tb_next
    return entry


_MARK = "\0lines of the user's"


#: containers, which are written by what they hold
_CONTAINERS = (list, dict, set, frozenset, tuple)
_ATOMS = frozenset((type(None), bool, int, float, complex, str, bytes))


def packed(x: Any, held: bool = False) -> Any:
    """A `Place`, or a dict of them, as plain data with the namespaces; a container of the user's (`held`), which the tail may
    change and pass on, as a Const, that is by its place; anything else as it is."""
    if held and type(x) in _CONTAINERS and not (type(x) is tuple and all(type(y) in _ATOMS for y in x)):
        return Const(x, "held")
    if type(x) is Place:
        return _MARK, x.frames
    if type(x) is dict and x and all(type(y) is Place for y in x.values()):
        return {k: packed(y) for k, y in x.items()}
    return x


def unpacked(x: Any) -> Any:
    """What `packed` has packed."""
    if type(x) is Const:
        return x.value
    if type(x) is tuple and len(x) == 2 and x[0] == _MARK:
        return Place(x[1])
    if type(x) is dict and x and all(type(y) is tuple and len(y) == 2 and y[0] == _MARK for y in x.values()):
        return {k: unpacked(y) for k, y in x.items()}
    return x
