"""``obj[key]``, ``obj[key] = value`` and ``del obj[key]`` on what the interpreter holds."""

from __future__ import annotations

import enum
import operator
import types
import typing
from typing import TYPE_CHECKING, Any

from ..eager import creation
from ..eager.tensor import Tensor
from . import late_ops
from .attributes import Namespace, find
from .breaks import Break, describe
from .bytecode import NULL
from .classes import by_python
from .late import LATE, weak
from .operators import CONTAINERS, VIEWS

if TYPE_CHECKING:
    from .session import Session


def _python(obj: Any, name: str) -> bool:
    return isinstance(find(type(obj), name), types.FunctionType)


def load(session: Session, obj: Any, key: Any) -> Any:
    """``obj[key]``."""
    if type(obj) in LATE:
        return late_ops.subscript(session, obj, key)
    if type(key) in LATE:
        raise key.needed()
    if isinstance(obj, Namespace):
        value = session.attributes.in_instance(obj.owner, key)
        if value is NULL:
            raise session.thrown(KeyError(key))
        return value
    entry = session.outside.entry(obj, session.operators.settle(key) if type(obj) in (dict, list) else None)
    if entry is not NotImplemented:
        return entry
    session.outside.open(obj)
    if isinstance(obj, Tensor):
        with session.recorder.symbols.strictly():
            return session.native(type(obj).__getitem__, obj, _index(session, key))
    if isinstance(obj, type):
        return _of_class(session, obj, key)
    if _python(obj, "__getitem__") or (not session.operators.is_native(obj) and not isinstance(obj, (tuple, dict, list))):
        return session.operators.special(obj, "__getitem__", key)
    key = session.operators.settle(key)
    if not session.operators.is_key(key) or not isinstance(
        obj, (*CONTAINERS, str, bytes, bytearray, range, *VIEWS, types.GenericAlias)
    ):
        raise Break("outside-object", f"an item of {describe(obj)}")
    factory = getattr(obj, "default_factory", None)
    if isinstance(obj, dict) and key not in obj and (factory is not None or _python(obj, "__missing__")):
        return _missing(session, obj, key, factory)
    return session.native(operator.getitem, obj, key)


def _index(session: Session, x: Any) -> Any:
    """What a Tensor is indexed with, or is assigned: native code looks into it."""
    if not session.operators.is_plain(x):
        raise Break("tensor-index", f"{describe(x)} as the index of a tensor")
    return _lists_as_tensors(session, x)


def _lists_as_tensors(session: Session, x: Any) -> Any:
    """Lists of ints or bools in an index as tensors, which the graph knows."""
    if type(x) is tuple and any(type(y) is list for y in x):
        return tuple([_lists_as_tensors(session, y) if type(y) is list else y for y in x])
    if type(x) is list and x and all(type(y) in (int, bool) for y in x):
        return session.calls.library(creation.tensor, [x], {})
    return x


def _missing(session: Session, obj: Any, key: Any, factory: Any) -> Any:
    if factory is None:
        return session.operators.special(obj, "__missing__", key)
    value = session.call(factory)
    obj[key] = value
    session.effects.item(obj, key, value)
    return value


def _of_class(session: Session, cls: type, key: Any) -> Any:
    made = find(cls, "__class_getitem__")
    of_enum = isinstance(cls, enum.EnumType) and find(type(cls), "__getitem__") is enum.EnumType.__getitem__
    if not by_python(cls) or of_enum or (made is not NULL and made is find(typing.Generic, "__class_getitem__")):
        return session.native(lambda: cls[session.operators.settle(key)])  # type: ignore[index]
    if _python(cls, "__getitem__"):
        return session.operators.special(cls, "__getitem__", key)
    if made is not NULL:
        return session.call(session.attributes.load(cls, "__class_getitem__"), (key,))
    raise Break("metaclass", f"{cls.__name__}[...]")


def store(session: Session, obj: Any, key: Any, value: Any) -> None:
    """``obj[key] = value``; NULL deletes."""
    if type(key) in LATE or type(obj) in LATE:
        raise (key if type(key) in LATE else obj).needed()
    key = session.operators.settle(key) if type(obj) is dict else key
    if session.outside.put(obj, key, value):
        session.effects.item(obj, key, value)
        return
    session.outside.open(obj)
    if isinstance(obj, Namespace):
        _store_namespace(session, obj, key, value)
    elif isinstance(obj, Tensor):
        with session.recorder.symbols.strictly():
            session.native(type(obj).__setitem__, obj, _index(session, key), _index(session, weak(value)))
    elif type(obj) in CONTAINERS and session.operators.is_native(obj) is not None:
        _store_container(session, obj, key, value)
    elif value is NULL:
        session.operators.special(obj, "__delitem__", key)
    else:
        session.operators.special(obj, "__setitem__", key, value)


def _store_container(session: Session, obj: Any, key: Any, value: Any) -> None:
    key = session.operators.settle(key)
    if not session.operators.is_key(key):
        raise Break("own-comparison", "a key that compares in its own way")
    if isinstance(key, slice) and value is not NULL:
        value = list(session.operators.items(value))
    if value is NULL:
        session.native(lambda: obj.__delitem__(key))
    else:
        session.native(lambda: obj.__setitem__(key, value))
    session.effects.item(obj, key, value)


def _store_namespace(session: Session, obj: Namespace, key: Any, value: Any) -> None:
    if value is NULL and session.attributes.in_instance(obj.owner, key) is NULL:
        raise session.thrown(KeyError(key))
    if isinstance(obj.owner, types.ModuleType):
        session.effects.set_global(vars(obj.owner), key, value)
        return
    session.effects.set_attr(obj.owner, key, value)
