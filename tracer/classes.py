"""Which classes Python code made, and which hold native content. C code makes heap types too, so the flag alone does not tell."""

from __future__ import annotations

import types
import weakref
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
