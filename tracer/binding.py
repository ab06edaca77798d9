"""Arguments to parameters, as CPython binds them, for functions that are followed. A bad call's TypeError is CPython's own."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

from ..runtime.source import Attr
from .bytecode import NULL

if TYPE_CHECKING:
    from .session import Session

_VARARGS, _VARKEYWORDS = 0x04, 0x08


def bind(session: Session, function: types.FunctionType, args: list[Any], kwargs: dict[str, Any]) -> list[Any]:
    """The slots of the parameters of `function`, ``*args`` and ``**kwargs`` included."""
    code = function.__code__
    count, only = code.co_argcount, code.co_kwonlyargcount
    names = code.co_varnames
    slots: list[Any] = args[:count] + [NULL] * (count + only - min(len(args), count))
    extra: dict[str, Any] = {}
    for key, value in kwargs.items():
        index = _parameter(names, key, code.co_posonlyargcount, count + only)
        if index is None and code.co_flags & _VARKEYWORDS:
            extra[key] = value
        elif index is None or slots[index] is not NULL:
            _complain(session, function, args, kwargs)
        else:
            slots[index] = value
    if len(args) > count and not code.co_flags & _VARARGS:
        _complain(session, function, args, kwargs)
    if any(x is NULL for x in slots):
        _defaults(session, function, slots, count)
        if any(x is NULL for x in slots):
            _complain(session, function, args, kwargs)
    if code.co_flags & _VARARGS:
        slots.append(tuple(args[count:]))
    if code.co_flags & _VARKEYWORDS:
        slots.append(extra)
    return slots


def _parameter(names: tuple[str, ...], key: str, first: int, last: int) -> int | None:
    for i in range(first, last):
        if names[i] == key:
            return i
    return None


def _defaults(session: Session, function: types.FunctionType, slots: list[Any], count: int) -> None:
    """Fill missing parameters; the defaults of a function from outside are admitted with their guards."""
    source = session.outside.source_of(function)
    known = source is None or session.is_library(function.__globals__)
    positional, named = function.__defaults__, function.__kwdefaults__
    if not known and source is not None:
        if positional is not None and any(x is NULL for x in slots[:count]):
            positional = session.outside.admit(positional, Attr(source, "__defaults__"))
        if named is not None and any(x is NULL for x in slots[count:]):
            named = session.outside.admit(named, Attr(source, "__kwdefaults__"))
            session.outside.open(named)
    if positional:
        for i, x in zip(range(count - len(positional), count), positional, strict=True):
            if slots[i] is NULL:
                slots[i] = x
    names = function.__code__.co_varnames
    for i in range(count, len(slots)):
        if slots[i] is NULL and named and names[i] in named:
            slots[i] = named[names[i]]


def _complain(session: Session, function: types.FunctionType, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Let CPython make the TypeError: the same signature around an empty body."""
    code = function.__code__
    stub = types.FunctionType(
        (lambda: None).__code__.replace(
            co_argcount=code.co_argcount, co_posonlyargcount=code.co_posonlyargcount, co_kwonlyargcount=code.co_kwonlyargcount,
            co_varnames=code.co_varnames, co_nlocals=code.co_nlocals, co_name=code.co_name, co_qualname=code.co_qualname,
            co_flags=code.co_flags & (_VARARGS | _VARKEYWORDS) | 3,
        ), {}, function.__name__, function.__defaults__,
    )  # fmt: skip
    stub.__kwdefaults__, stub.__qualname__ = function.__kwdefaults__, function.__qualname__
    session.native(stub, *args, **kwargs)
    raise AssertionError(f"the arguments of {function.__qualname__} fit after all")
