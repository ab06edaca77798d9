"""Which classes Python code made, and which hold native content. C code makes heap types too, so the flag alone does not tell."""

from __future__ import annotations

import types
import weakref
from collections.abc import Container
from typing import Any

_HEAP = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_NATIVE = (types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType, types.BuiltinFunctionType)
_known: weakref.WeakKeyDictionary[type, bool] = weakref.WeakKeyDictionary()


def by_python(cls: Any) -> bool:
    """Whether a class statement made `cls`: no C code looks into its instances but that of its bases."""
    if not cls.__flags__ & _HEAP:
        return False
    found = _known.get(cls)
    if found is None:
        own = [d for d in cls.__dict__.values() if isinstance(d, _NATIVE)]
        found = _known[cls] = not any(getattr(d, "__objclass__", getattr(d, "__self__", None)) is cls for d in own)
    return found


def native_base(cls: type) -> type:
    """The nearest class of the MRO that C code made."""
    return next(c for c in cls.__mro__ if not by_python(c))


def owner_of(cls: type, name: str) -> type | None:
    """The class of the MRO that holds `name`."""
    return next((base for base in cls.__mro__ if name in base.__dict__), None)


def watched(cls: type, name: str, fresh: Container[int]) -> list[type]:
    """The classes on whose attribute `name` a look-up in `cls` depends, of those that can change between calls. `fresh`: ids of
    the classes that the region made."""
    if id(cls) not in fresh:
        return [cls]
    owner, found = owner_of(cls, name), []
    for base in cls.__mro__:
        if id(base) not in fresh and by_python(base):
            found.append(base)
        if base is owner:
            break
    return found
