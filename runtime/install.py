"""Puts a native vectorcall on a copy of a user's function, which stays a plain Python function in every other respect.

3.12 and later: ``PyFunction_SetVectorcall``. 3.11: its CALL inlines whatever is of type exactly `function`, so the copy's type
becomes a subclass with the same layout. The copy's ``__code__`` is always the user's own: a call site that goes past the
vectorcall runs the function uncompiled, never wrongly. Generates no code: thunks come from the caller.
"""

from __future__ import annotations

import ctypes
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

from . import layout

_pyapi = ctypes.pythonapi
#: attribute of an installed function that keeps its table alive
KEEP = "__fusewire_entry__"

_BASETYPE, _HAVE_VECTORCALL, _METHOD_DESCRIPTOR = 1 << 10, 1 << 11, 1 << 17


def copy_function(function: types.FunctionType) -> types.FunctionType:
    """A function with the same code, globals, closure, defaults, names, annotations and attributes."""
    made = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = dict(function.__kwdefaults__) if function.__kwdefaults__ else None
    made.__annotations__ = function.__annotations__
    made.__qualname__, made.__module__, made.__doc__ = function.__qualname__, function.__module__, function.__doc__
    made.__dict__.update((k, v) for k, v in function.__dict__.items() if k != KEEP)
    if hasattr(function, "__type_params__"):
        setattr(made, "__type_params__", getattr(function, "__type_params__"))  # noqa: B009, B010  (3.12 on)
    return made


def original_of(function: Any) -> Any:
    """The function that `function` is the compiled form of; None where it is no compiled one itself: functools.wraps copies
    the attributes of what it wraps, so that having them says nothing."""
    dispatcher = getattr(function, "__fusewire_dispatcher__", None)
    if dispatcher is None or dispatcher.installed is not getattr(function, "__func__", function):
        return None
    return dispatcher.function


def _make_subclass() -> type:
    """A subclass of `function` of the same layout; `function` is made a legal base for the length of one statement."""
    function = types.FunctionType
    flags = id(function) + layout.TP_FLAGS
    layout.set_word(flags, layout.word(flags) | _BASETYPE)
    try:
        sub = type("function", (function,), _SUBCLASS_BODY)
    finally:
        layout.set_word(flags, layout.word(flags) & ~_BASETYPE)
        _pyapi.PyType_Modified(ctypes.py_object(function))
    del sub.__slots__  # type: ignore[attr-defined]
    layout.need(sub.__basicsize__ == function.__basicsize__ and sub.__itemsize__ == 0, "subclasses of function")
    flags = id(sub) + layout.TP_FLAGS
    layout.set_word(flags, layout.word(flags) | _HAVE_VECTORCALL | _METHOD_DESCRIPTOR)
    layout.set_word(id(sub) + layout.TP_VECTORCALL_OFFSET, layout.function_offsets()["vectorcall"])
    _pyapi.PyType_Modified(ctypes.py_object(sub))
    return sub


_SUBCLASS_BODY: dict[str, Any] = {
    "__slots__": (),
    "__module__": types.FunctionType.__dict__["__module__"],  # else the class's own would hide the function's
    "__doc__": types.FunctionType.__dict__["__doc__"],
    "__reduce__": lambda self: self.__qualname__,  # pickled by name, as functions are
    "__copy__": lambda self: self,
    "__deepcopy__": lambda self, memo: self,
}

_subclass: list[type] = []


def set_vectorcall(function: types.FunctionType, address: int) -> None:
    """Make calls of `function` (an unshared copy) run the machine code at `address`, a vectorcallfunc."""
    if sys.version_info >= (3, 12):
        call = _pyapi.PyFunction_SetVectorcall
        call.argtypes, call.restype = [ctypes.py_object, ctypes.c_void_p], None
        call(function, address)
        return
    if not _subclass:
        _subclass.append(_make_subclass())
    _pyapi.Py_IncRef(ctypes.py_object(_subclass[0]))  # an instance owns its class
    layout.set_word(id(function) + layout.function_offsets()["vectorcall"], address)
    layout.set_word(id(function) + layout.TYPE, id(_subclass[0]))


class Thunks:
    """Vectorcall addresses, each with a slot that says which table it runs; a slot is free again when its function dies."""

    def __init__(self, map_code: Callable[[], Any], count: int) -> None:
        self._map, self._count = map_code, count
        self._free: list[tuple[int, int]] = []
        self.mapped: list[Any] = []

    def install(self, function: types.FunctionType, table: int, keep: Any, memory: Any) -> types.FunctionType:
        """A copy of `function` whose calls run `table`. `memory`, where the table lies, lives as long as the copy, and must not
        lead back to it; `keep` is an attribute of the copy."""
        if not self._free:
            code = self._map()
            self.mapped.append(code)
            slots = code["slots"]
            self._free = [(code[f"thunk{i}"], slots + 8 * i) for i in reversed(range(self._count))]
        pair = self._free.pop()
        made = copy_function(function)
        made.__dict__[KEEP] = keep  # not in the finalizer: a table that leads back to the function would never die
        layout.set_word(pair[1], table)
        set_vectorcall(made, pair[0])
        weakref.finalize(made, self._release, pair, memory).atexit = False
        return made

    def _release(self, pair: tuple[int, int], memory: Any) -> None:
        layout.set_word(pair[1], 0)
        self._free.append(pair)
