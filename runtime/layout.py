"""Facts about the running CPython and NumPy that machine code relies on: found and checked here, never taken on trust.

Every function raises LayoutError where the interpreter does not look as expected; callers then stay in Python.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable
from functools import lru_cache
from types import CellType, FunctionType
from typing import Any

import numpy as np

from ..errors import LoadError

_api = ctypes.PyDLL(None)

#: offset in a list of the number of items that it has memory for
LIST_ROOM = 32
#: offsets in a PyObject, and in list, tuple, bytes, float, dict and set objects
TYPE, SIZE, LIST_ITEMS, TUPLE_ITEMS, BYTES, FLOAT, SET_USED, CELL = 8, 16, 24, 24, 32, 16, 24, 16
#: offset in a dict of its version, a number that no other state of a dict has ever had
DICT_VERSION = 24
#: offsets in a dict of its keys and of the values where the keys are shared; in the keys of their kind, 0 where not all are str
DICT_KEYS, DICT_VALUES, KEYS_KIND = 32, 40, 10
#: where the pointer to the dict lies in an instance whose class keeps it in front of the object
MANAGED_DICT = -24
#: offsets in a bound method
METHOD_FUNCTION, METHOD_SELF = 16, 24
#: offsets in a PyTypeObject
TP_VECTORCALL_OFFSET, TP_FLAGS, TP_VERSION = 56, 168, 384
#: bits of tp_flags
LIST, TUPLE, DICT, HAS_MANAGED_DICT = 1 << 25, 1 << 26, 1 << 29, 1 << 4
#: offsets in a PyArrayObject
DATA, NDIM, DIMS, STRIDES, BASE, DESCR, FLAGS = 16, 24, 32, 40, 48, 56, 64
#: bits of an array's flags
WRITEABLE, CONTIGUOUS = 0x400, 0x101  # with the bit that says that its address is a multiple of its item's
#: the address of memory of no bytes, which nobody reads; a null pointer would make NumPy allocate
NOWHERE = 64
#: numbers in NumPy's C API table
NPY_NDARRAY, NPY_NEW_FROM_DESCR, NPY_SET_BASE = 2, 94, 282


class LayoutError(LoadError):
    """This interpreter's objects are not laid out as machine code expects."""


def word(address: int) -> int:
    """The 8 bytes at `address`."""
    return ctypes.c_size_t.from_address(address).value


def set_word(address: int, value: int) -> None:
    """Store a 64-bit word."""
    ctypes.c_int64.from_address(address).value = value


def half(address: int) -> int:
    """The 4 bytes at `address`."""
    return ctypes.c_uint32.from_address(address).value


def need(holds: bool, what: str) -> None:
    """LayoutError(`what`) unless it holds."""
    if not holds:
        raise LayoutError(f"this Python ({sys.version.split()[0]}) differs in: {what}; the native entry is not used")


def capi(name: str) -> int:
    """Address of a function of CPython's C API."""
    return int(ctypes.cast(getattr(_api, name), ctypes.c_void_p).value or 0)


def slot_offsets(cls: type) -> dict[str, int]:
    """Byte offset of every ``__slots__`` member of `cls` and its bases, found by planting marks in two instances."""
    names = [n for c in cls.__mro__ for n in c.__dict__.get("__slots__", ()) if n not in ("__weakref__", "__dict__")]

    def look() -> dict[str, int]:
        instance: Any = object.__new__(cls)
        marks = {n: object() for n in names}
        for n, mark in marks.items():
            object.__setattr__(instance, n, mark)
        span = range(16, cls.__basicsize__, 8)
        found = {n: [o for o in span if word(id(instance) + o) == id(mark)] for n, mark in marks.items()}
        need(all(len(at) == 1 for at in found.values()), f"slots of {cls.__name__}")
        return {n: at[0] for n, at in found.items()}

    first = look()
    need(first == look(), f"slots of {cls.__name__}")
    return first


@lru_cache(maxsize=1)
def numpy_api() -> Any:
    """NumPy's C API as an array of addresses."""
    get = _api.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    core: Any = getattr(np, "_core", None)
    need(core is not None, "the place of NumPy's C API")
    table = ctypes.cast(get(core._multiarray_umath._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    need(table[NPY_NDARRAY] == id(np.ndarray), "NumPy's C API table")
    return table


@lru_cache(maxsize=1)
def function_offsets() -> dict[str, int]:
    """Offsets in a function object of vectorcall, __code__, __defaults__ and __kwdefaults__."""

    def probe(a: int = 1, *, b: int = 2) -> None: ...

    def other(c: int = 3, *, d: int = 4) -> None: ...

    out = {}
    for name in ("__code__", "__defaults__", "__kwdefaults__"):
        found = [
            [o for o in range(16, FunctionType.__basicsize__, 8) if word(id(f) + o) == id(getattr(f, name))]
            for f in (probe, other)
        ]
        need(found[0] == found[1] and len(found[0]) == 1, f"function objects ({name})")
        out[name] = found[0][0]
    out["vectorcall"] = word(id(FunctionType) + TP_VECTORCALL_OFFSET)
    need(16 < out["vectorcall"] < FunctionType.__basicsize__, "function objects (vectorcall)")
    need(word(id(probe) + out["vectorcall"]) == word(id(other) + out["vectorcall"]) != 0, "function objects (vectorcall)")
    return out


@lru_cache(maxsize=1)
def finalizer_offset() -> int:
    """Offset in a type object of tp_finalize, which runs ``__del__``."""

    def with_del() -> type:
        return type("Probe", (), {"__slots__": (), "__del__": lambda self: None})

    one, other, none = with_del(), with_del(), type("Probe", (), {"__slots__": ()})
    span = range(TP_FLAGS + 8, type.__basicsize__, 8)  # type: ignore[call-overload]
    found = [o for o in span if word(id(one) + o) == word(id(other) + o) != 0 and not word(id(none) + o)]
    need(len(found) == 1, "types with a finalizer")
    return int(found[0])


def _array_is_known() -> bool:
    a = np.zeros((3, 5, 7), "f4").transpose(2, 0, 1)
    at = id(a)
    dims, strides = word(at + DIMS), word(at + STRIDES)
    return (
        (word(at + DATA), half(at + NDIM)) == (a.ctypes.data, 3)
        and tuple(word(dims + 8 * i) for i in range(3)) == a.shape
        and tuple(word(strides + 8 * i) for i in range(3)) == a.strides
        and (word(at + BASE), word(at + DESCR), half(at + FLAGS)) == (id(a.base), id(a.dtype), a.flags.num)
        and a.flags.num & WRITEABLE != 0
    )


def _containers_are_known() -> bool:
    mark = object()
    cell, a_list, a_tuple, a_dict, a_set = CellType(mark), [mark, 1, 2], (mark, 1, 2), {1: 1, 2: 2, 3: 3}, {1, 2, 3}
    text, number = b"abcdefgh", 1.5
    return (
        word(word(id(a_list) + LIST_ITEMS)) == word(id(a_tuple) + TUPLE_ITEMS) == word(id(cell) + CELL) == id(mark)
        and word(id(a_list) + SIZE) == word(id(a_tuple) + SIZE) == word(id(a_dict) + SIZE) == word(id(a_set) + SET_USED) == 3
        and 3 <= word(id(a_list) + LIST_ROOM) < 64
        and ctypes.string_at(id(text) + BYTES, 8) == text
        and ctypes.c_double.from_address(id(number) + FLOAT).value == number
    )


@lru_cache
def libm(name: str, count: int) -> int:
    """Address of a function of the C library's mathematics, of `count` doubles; 0 where it does not give what `math` gives."""
    try:
        found = getattr(_api, name)
    except AttributeError:
        return 0
    found.argtypes, found.restype = [ctypes.c_double] * count, ctypes.c_double
    cases = [[0.3, 1.7], [2.5, 0.25], [0.999, 1000.0]]
    if any(found(*case[:count]) != getattr(math, name)(*case[:count]) for case in cases):
        return 0
    return ctypes.cast(found, ctypes.c_void_p).value or 0


@lru_cache(maxsize=1)
def range_iterator() -> tuple[int | None, int, int, int] | None:
    """Offsets of index, start, step and length in a range iterator; no index where start and length move on. None: not known."""
    it, where = iter(range(5, 50, 7)), (None, 16, 24, 32)
    next(it)
    found: tuple[int | None, int, int, int] = where if sys.version_info >= (3, 12) else (16, 24, 32, 40)
    index = 0 if found[0] is None else word(id(it) + found[0])
    start, step, length = (word(id(it) + offset) for offset in found[1:])
    return found if (start + index * step, step, length - index) == (12, 7, 6) else None


def _flags_are_known() -> bool:
    bits = LIST | TUPLE | DICT
    cases: list[tuple[type, int]] = [
        (list, LIST),
        (tuple, TUPLE),
        (dict, DICT),
        (int, 0),
        (object, 0),
        (type("D", (dict,), {}), DICT),
    ]
    return all(word(id(t) + TP_FLAGS) == t.__flags__ and t.__flags__ & bits == bit for t, bit in cases)


_KINDS: tuple[Any, ...] = (object(), 1.5, [], sys)


@lru_cache(maxsize=1)
def check() -> None:
    """Check everything above against live objects; LayoutError where something is not as expected."""
    need(sys.implementation.name == "cpython" and (3, 11) <= sys.version_info[:2] <= (3, 13), "version")
    need(sys.maxsize > 2**32 and sys.byteorder == "little", "word size")
    need(not hasattr(sys, "_is_gil_enabled") or sys._is_gil_enabled(), "the interpreter lock")
    need(all(word(id(x) + TYPE) == id(type(x)) for x in _KINDS), "object headers")
    need(_refcounts_are_known(), "reference counts")
    need(_containers_are_known(), "built-in containers")
    need(_flags_are_known(), "type flags")
    need(_array_is_known(), "NumPy arrays")
    need(_methods_are_known(), "bound methods")
    need(_dict_keys_are_known(), "keys of dicts")
    numpy_api()
    function_offsets()


def _refcounts_are_known() -> bool:
    x = object()
    before = half(id(x))
    also = [x, x]
    return half(id(x)) == before + 2 and len(also) == 2


@lru_cache(maxsize=1)
def type_versions() -> bool:
    """Whether `TP_VERSION` holds a number that is never 0 after a look-up and changes with every change of the class."""

    class Base:
        mark = 1

    class Child(Base):
        pass

    def look(change: Callable[[], None]) -> bool:
        Child().mark  # noqa: B018  (the look-up assigns a version)
        before = half(id(Child) + TP_VERSION)
        change()
        after = half(id(Child) + TP_VERSION)
        return before != 0 and after != before

    changes = (lambda: setattr(Base, "mark", 2), lambda: setattr(Child, "mark", 3), lambda: setattr(Child, "other", 4))
    return all(look(c) for c in changes) and not look(lambda: None)


@lru_cache(maxsize=1)
def dict_versions() -> bool:
    """Whether `DICT_VERSION` holds a number that changes with every change of a plain dict, and with nothing else."""
    table: dict[Any, Any] = {"a": 1, "b": 2}
    seen = [word(id(table) + DICT_VERSION)]
    changes: tuple[Callable[[], Any], ...] = (
        lambda: table.__setitem__("a", 3), lambda: table.__setitem__("c", 3), lambda: table.__delitem__("c"),
        lambda: table.pop("b"),
        lambda: table.update(d=4), lambda: table.setdefault("e", 5), lambda: table.popitem(), lambda: table.__ior__({"a": 9}),
        lambda: table.clear(), lambda: table.update(a=1, b=2),
    )  # fmt: skip
    for change in changes:
        change()
        seen.append(word(id(table) + DICT_VERSION))
    other = {"a": 1, "b": 2}
    seen.append(word(id(other) + DICT_VERSION))
    before = word(id(table) + DICT_VERSION)
    reads = table["a"], table.get("x"), list(table), "b" in table, dict(table), table.copy()
    return len(set(seen)) == len(seen) and before == word(id(table) + DICT_VERSION) and len(reads) == 6


class _Plain:
    def method(self) -> None: ...


def dict_pointer(cls: type) -> int | None:
    """Offset in an instance of exactly `cls` of the pointer to its dict; None where there is none at a fixed place.

    The pointer is that of the dict once someone has asked for the dict; until then it is something else."""
    if cls.__flags__ & HAS_MANAGED_DICT:
        return MANAGED_DICT if _managed_dicts() else None
    return cls.__dictoffset__ if cls.__dictoffset__ > 0 and cls.__itemsize__ == 0 else None


@lru_cache(maxsize=1)
def _managed_dicts() -> bool:
    instances = [_Plain(), _Plain()]
    instances[1].__dict__ = {"a": 1}
    return all(id(x.__dict__) == word(id(x) + MANAGED_DICT) for x in instances)  # asking for the dict makes it


@lru_cache(maxsize=1)
def inline_fields() -> bool:
    """Whether a dict may share the fields inside of an instance, whose stores leave the version of the dict alone."""
    x = _Plain()
    setattr(x, "a", 1)  # noqa: B010  (the class declares no field)
    fields = vars(x)
    return word(id(fields) + DICT_VALUES) == id(x) + _Plain.__basicsize__


def _methods_are_known() -> bool:
    bound: Any = _Plain().method
    return (word(id(bound) + METHOD_FUNCTION), word(id(bound) + METHOD_SELF)) == (id(bound.__func__), id(bound.__self__))


def _dict_keys_are_known() -> bool:
    cases: list[tuple[dict[Any, Any], bool]] = [({"a": 1}, True), ({1: 1}, False), ({"a": 1, 2: 2}, False), ({}, True)]
    x = _Plain()
    setattr(x, "a", 1)  # noqa: B010
    cases.append((vars(x), True))
    return all((ctypes.c_uint8.from_address(word(id(d) + DICT_KEYS) + KEYS_KIND).value != 0) is strings for d, strings in cases)


def decref(address: int) -> None:
    """Give up a reference that machine code owned."""
    _api.Py_DecRef(ctypes.c_void_p(address))
