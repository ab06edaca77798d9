"""Attribute access as CPython does it: descriptors, instance dict, MRO, ``__getattr__``; user code is followed as bytecode.

Reads of objects from outside are admitted with their guards; stores to them go through `effects`.
"""

from __future__ import annotations

import collections
import functools
import threading
import types
from typing import TYPE_CHECKING, Any

from ..eager.device import Device
from ..eager.gradients import may_be
from ..eager.tensor import Tensor
from ..ir.dtypes import DType
from ..ir.op import Effects, Op
from ..ir.types import TensorType
from ..runtime.guard import ClassAttrIs, Is, Lacks
from ..runtime.source import Attr, Const, InstanceDict, Item, Source
from . import generators, late_ops
from .breaks import Break, UserRaise, describe, subject
from .bytecode import NULL, Null
from .classes import by_python, owner_of, watched
from .guards import of_library
from .late import LATE
from .values import SYMBOLIC, concrete

if TYPE_CHECKING:
    from .session import Session

_OPAQUE_TENSOR = {
    "_array", "_storage", "_node", "_offset", "storage", "array", "data", "grad_fn", "data_ptr", "storage_offset",
    "_version", "__dict__", "__class__",
}  # fmt: skip
_NATIVE_BINDERS = (
    types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType, types.GetSetDescriptorType,
    types.MemberDescriptorType, types.BuiltinFunctionType,
)  # fmt: skip

_OF_CALLABLES = {
    "__defaults__", "__kwdefaults__", "__self__", "__func__", "__name__", "__qualname__", "__doc__", "__module__",
    "__annotations__", "__type_params__",
}  # fmt: skip
_GENERIC = {  # those of built-in types that do what object's do
    getattr(cls, name)
    for cls in (BaseException, types.SimpleNamespace, functools.partial)
    for name in ("__setattr__", "__delattr__")
}
_FIELD = type(vars(collections.namedtuple("_Field", "x"))["x"])  # what a named tuple's fields are


def find(cls: type, name: str) -> Any:
    """What the MRO of `cls` holds under `name`, unbound; NULL where nothing."""
    for base in cls.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return NULL


class Attributes:
    """getattr, setattr and delattr on what the interpreter holds."""

    def __init__(self, session: Session) -> None:
        self.session = session

    # -- reading -----------------------------------------------------------------------------------------------------

    def load(self, obj: Any, name: str) -> Any:
        """``obj.name``; raises `UserRaise` with AttributeError."""
        if isinstance(obj, Tensor):
            return self._of_tensor(obj, name)
        if type(obj) in LATE:
            return late_ops.attribute(self.session, obj, name)
        if isinstance(obj, SYMBOLIC):
            obj = concrete(obj)
        owned = self.session.effects.owned
        if owned and id(obj) in owned and not callable(getattr(type(obj), name, None)):
            raise Break("outside-object", f"{name} of {describe(obj)}, which a deferred call changes")
        if isinstance(obj, (DType, Op, Effects, TensorType, Device)):
            return self.session.native(getattr, obj, name)
        cls = type(obj)
        if isinstance(obj, generators.Generator):
            return generators.attribute(self.session, obj, name)
        if cls is Namespace:
            return self._of_namespace(obj, name)
        if cls is types.ModuleType or isinstance(obj, types.ModuleType):
            return self._of_module(obj, name)
        if isinstance(obj, type):
            return self._of_class(obj, name)
        if cls is super:
            return self._of_super(obj, name)
        if not by_python(cls):
            _check_shared(cls)
            return self._of_builtin(obj, cls, name)
        return self.of_instance(obj, cls, name)

    def has(self, obj: Any, name: str) -> bool:
        """``hasattr``."""
        return self.load_or(obj, name, NULL) is not NULL

    def load_or(self, obj: Any, name: str, default: Any) -> Any:
        """``getattr(obj, name, default)``."""
        with self.session.catches():
            try:
                return self.load(obj, name)
            except UserRaise as raised:
                if isinstance(raised.exc, AttributeError):
                    return default
                raise

    def of_class(self, obj: Any, name: str) -> Any:
        """What the type of `obj` holds under `name`, guarded, unbound; NULL where nothing. For special methods."""
        return self.find(type(obj), name)

    def find(self, cls: type, name: str) -> Any:
        """`find`, guarded where the class can change."""
        value = find(cls, name)
        for base in watched(cls, name, self.session.fresh_classes):
            if by_python(base) and not (of_library(base.__module__) and not name.startswith("forward")):
                held = value if base is cls else find(base, name)
                if type(held) in (int, float) and (base, name) in self.session.outside.policy.class_numbers:
                    continue  # an input, with guards of its own
                self.session.outside.guard(ClassAttrIs(base, name, None if held is NULL else held, held is NULL))
        return value

    def of_instance(self, obj: Any, cls: type, name: str) -> Any:
        """Generic lookup on an instance of a class made by Python code."""
        getter = find(cls, "__getattribute__")
        if getter is not object.__getattribute__:
            if isinstance(getter, types.FunctionType):
                return self.session.call(getter, (obj, name))
            if not isinstance(obj, (BaseException, tuple, list, dict, set, frozenset, str, int, float)):
                raise Break("own-attributes", f"an attribute of {describe(cls)}, which looks attributes up in its own way")
        return self.plain(obj, cls, name)

    def plain(self, obj: Any, cls: type, name: str, hook: bool = True) -> Any:
        """``object.__getattribute__(obj, name)``, then ``__getattr__`` if `hook`."""
        raw = self.find(cls, name)
        if raw is not NULL and self._is_data(raw):
            return self._bind(raw, obj, cls, name)
        value = self._in_instance(obj, name)
        if value is not NULL:
            return value
        value = self._stored(cls, name)
        if value is not NULL:
            return types.MethodType(value, obj) if isinstance(value, types.FunctionType) else value
        if raw is not NULL:
            return self._bind(raw, obj, cls, name)
        fallback = self.find(cls, "__getattr__") if hook else NULL
        if fallback is not NULL:
            return self.session.call(fallback, (obj, name))
        raise self._missing(obj, name)

    def _stored(self, cls: type, name: str) -> Any:
        """What the region has stored as attribute of `cls` or a base, where that is found first; NULL where nothing."""
        if name not in self.session.stored_names:
            return NULL
        for base in cls.__mro__:
            changed = self.session.effects.attr_of(base, name)
            if changed is not None and changed[0] is NULL:
                raise Break("class-change", f"a look-up of {name}, which was deleted from {describe(base)}")
            if changed is not None or name in base.__dict__:
                return NULL if changed is None else changed[0]
        return NULL

    def _store_class(self, cls: type, name: str, value: Any) -> None:
        special = "__delattr__" if value is NULL else "__setattr__"
        plain = find(type(cls), special) is find(type, special) and find(type(cls), name) is NULL
        simple = value is NULL or isinstance(value, types.FunctionType) or find(type(value), "__get__") is NULL
        held = (int, float, str, tuple, list, dict, set, type(None), types.FunctionType, Tensor, Null)
        known = isinstance(find(cls, name), held)
        if not (plain and simple and known and by_python(cls)) or of_library(cls.__module__) or name.startswith("__"):
            raise Break("class-change", f"a change of the class {describe(cls)}")
        if value is NULL and name not in vars(cls):
            raise self.session.thrown(AttributeError(name))
        self.session.outside.constant(cls, cls.__qualname__)
        self.session.stored_names.add(name)
        self.session.effects.set_attr(cls, name, value)

    def _missing(self, obj: Any, name: str) -> UserRaise:
        error = AttributeError(f"'{type(obj).__name__}' object has no attribute '{name}'", name=name, obj=obj)
        return self.session.thrown(error)

    def _in_instance(self, obj: Any, name: str) -> Any:
        """The entry of the instance's own dict; NULL where there is none."""
        own = _dict_of(obj)
        if own is None:
            return NULL
        outside = self.session.outside
        changed = self.session.effects.attr_of(obj, name)
        if changed is not None:
            return changed[0]
        source = outside.source_of(obj)
        if source is None:
            return own.get(name, NULL)
        if name in own:
            return outside.admit(own[name], Item(InstanceDict(source), name))
        outside.guard(Lacks(InstanceDict(source), name))
        return NULL

    def _is_data(self, raw: Any) -> bool:
        """Whether what a class holds goes before the instance's own."""
        return any(self.find(type(raw), name) is not NULL for name in ("__set__", "__delete__"))

    def _bind(self, raw: Any, obj: Any, cls: type, name: str) -> Any:
        """``raw.__get__(obj, cls)``."""
        kind = type(raw)
        if kind is types.FunctionType:
            return types.MethodType(self.session.outside.constant(raw, f"{cls.__name__}.{name}"), obj)
        if kind is property:
            if raw.fget is None:
                raise self.session.thrown(AttributeError(f"property '{name}' of '{cls.__name__}' object has no getter"))
            return self.session.call(raw.fget, (obj,))
        if kind is classmethod:
            return types.MethodType(raw.__func__, cls)
        if kind is staticmethod:
            return self.session.outside.constant(raw.__func__, f"{cls.__name__}.{name}")
        if kind is types.MemberDescriptorType or kind is types.GetSetDescriptorType:
            return self._slot(raw, obj, name)
        if isinstance(raw, (*_NATIVE_BINDERS, _FIELD)):
            return self.session.native(raw.__get__, obj, cls)  # type: ignore[union-attr]
        getter = self.find(kind, "__get__")
        if getter is NULL:
            return self._class_value(raw, cls, name)
        if isinstance(getter, types.FunctionType):
            return self.session.call(getter, (self.session.outside.constant(raw, f"{cls.__name__}.{name}"), obj, cls))
        raise Break("descriptor", f"the descriptor {cls.__name__}.{name} of type {kind.__name__}")

    def _slot(self, raw: Any, obj: Any, name: str) -> Any:
        if name == "__class__":
            return type(obj)
        if name == "__dict__":
            return self.namespace(obj)
        changed = self.session.effects.attr_of(obj, name)
        if changed is not None:
            if changed[0] is NULL:
                raise self.session.thrown(AttributeError(name, name=name, obj=obj))
            return changed[0]
        source = self.session.outside.source_of(obj)
        if source is not None and isinstance(raw, types.MemberDescriptorType) and not hasattr(obj, name):
            raise Break("unbound", f"the slot {name} of {describe(obj)}, which is empty")  # no guard says so
        value = self.session.native(raw.__get__, obj, type(obj))
        return value if source is None else self.session.outside.admit(value, Attr(source, name))

    def _class_value(self, raw: Any, cls: type, name: str) -> Any:
        if id(owner_of(cls, name)) in self.session.fresh_classes:
            return raw
        if type(raw) in (int, float) and (cls, name) in self.session.outside.policy.class_numbers:
            return self.session.outside.number(raw, Attr(Const(cls, cls.__name__), name))
        return self.session.outside.constant(raw, f"{cls.__name__}.{name}")

    def namespace(self, obj: Any) -> Any:
        """``vars(obj)``: the dict itself for an object made inside, a `Namespace` for one from outside."""
        if isinstance(obj, types.ModuleType) or self.session.outside.source_of(obj) is not None:
            return Namespace(obj)
        if isinstance(obj, type):
            raise Break("namespace", f"vars({obj.__name__})")
        return self.session.native(vars, obj)

    def _of_namespace(self, obj: Namespace, name: str) -> Any:
        if name in ("keys", "values", "items", "copy", "__len__", "__iter__"):
            return getattr(snapshot(self.session, obj.owner), name)
        method = find(Namespace, name)
        if not isinstance(method, types.FunctionType):
            raise Break("namespace", f"vars(...).{name}")
        return types.MethodType(method, obj)

    def in_instance(self, obj: Any, name: str) -> Any:
        """``vars(obj)[name]``; NULL where there is none."""
        if isinstance(obj, types.ModuleType):
            own, changes = vars(obj), self.session.effects.globals
            if (id(own), name) in changes:
                return changes[id(own), name]
            if name in own:
                return self._of_module(obj, name)
            self.session.outside.guard(Lacks(Const(own, f"vars({obj.__name__})"), name))
            return NULL
        return self._in_instance(obj, name)

    def _of_builtin(self, obj: Any, cls: type, name: str) -> Any:
        source = self.session.outside.source_of(obj)
        changed = self.session.effects.attr_of(obj, name)
        if changed is not None:
            if changed[0] is NULL:
                raise self._missing(obj, name)
            return changed[0]
        if cls in (types.FunctionType, types.MethodType, types.BuiltinFunctionType) and source is not None:
            return self._of_callable(obj, name, source)
        if cls is types.FunctionType and name == "__closure__":
            raise Break("function-internals", "the closure of a function")
        if cls is types.TracebackType:
            raise self.session.undo(obj, "a traceback")
        if cls is types.CellType or name in ("__traceback__", "tb_frame", "gi_frame", "f_locals"):
            raise Break("function-internals", f"{name} of an object of type {cls.__name__}")
        try:
            value = self.session.native(getattr, obj, name)
        except UserRaise:
            if source is not None and _dict_of(obj) is not None:
                self.session.outside.guard(Lacks(InstanceDict(source), name))
            raise
        if source is None or isinstance(value, (types.BuiltinFunctionType, types.MethodWrapperType, type)):
            return value
        return self.session.outside.admit(value, Attr(source, name))

    def _of_callable(self, obj: Any, name: str, source: Source) -> Any:
        own = getattr(obj, "__dict__", {})
        if isinstance(obj, types.FunctionType) and name in own:
            return self.session.outside.admit(own[name], Item(InstanceDict(source), name))
        if isinstance(obj, types.FunctionType) and not name.startswith("__"):
            self.session.outside.guard(Lacks(InstanceDict(source), name))
        if name == "__dict__" and isinstance(obj, types.FunctionType):
            found = self.session.outside.admit(own, InstanceDict(source))
            self.session.outside.open(found)
            return found
        if name in ("__dict__", "__closure__", "__globals__"):
            raise Break("function-internals", f"{name} of a function")
        if name in _OF_CALLABLES:
            value = self.session.native(getattr, obj, name)
            return value if isinstance(obj, types.MethodType) else self.session.outside.admit(value, Attr(source, name))
        return self.session.native(getattr, obj, name)

    def _of_module(self, module: Any, name: str) -> Any:
        own, outside, changes = vars(module), self.session.outside, self.session.effects.globals
        changed = changes.get((id(own), name), NULL)
        if changed is not NULL:
            return changed
        if (id(own), name) in changes:
            if "__getattr__" in own:
                raise Break("unbound", f"the attribute {name}, deleted, of a module with a __getattr__")
            error = AttributeError(f"module {module.__name__!r} has no attribute {name!r}", name=name, obj=module)
            raise self.session.thrown(error)
        if name in own:
            value = own[name]
            if of_library(module.__name__) and isinstance(value, (types.FunctionType, type, types.ModuleType, Op, DType)):
                return outside.constant(value, f"{module.__name__}.{name}")
            return outside.admit(value, Item(Const(own, f"vars({module.__name__})"), name))
        if not of_library(module.__name__):
            place = Const(own, f"vars({module.__name__})")
            outside.guard(Lacks(place, name))
            hook = own.get("__getattr__", NULL)
            if hook is NULL:
                outside.guard(Lacks(place, "__getattr__"))
            elif isinstance(hook, types.FunctionType) and type(module) is types.ModuleType:
                return self.session.call(outside.admit(hook, Item(place, "__getattr__")), (name,))
        value = self.session.native(getattr, module, name)  # the module's own __getattr__, or an AttributeError
        return outside.constant(value, f"{module.__name__}.{name}")

    def _of_class(self, cls: type, name: str) -> Any:
        meta = type(cls)
        raw_meta = find(meta, name)
        if raw_meta is not NULL and _is_data(raw_meta):
            if isinstance(raw_meta, property):
                return self._bind(self.find(meta, name), cls, meta, name)
            if by_python(meta) and not isinstance(raw_meta, _NATIVE_BINDERS):
                raise Break("metaclass", f"the attribute {name} of the metaclass {meta.__name__}")
            if name == "__dict__":
                raise Break("namespace", f"vars({cls.__name__})")
            return self.session.native(getattr, cls, name)
        stored = self._stored(cls, name)
        if stored is not NULL:
            return stored
        raw = self.find(cls, name)
        if raw is NULL:
            fallback = find(meta, "__getattr__")
            if (raw_meta is NULL and fallback is NULL) or meta is type or not by_python(meta):
                return self.session.native(getattr, cls, name)
            if raw_meta is NULL:
                return self.session.call(fallback, (cls, name))
            return self._bind(self.find(meta, name), cls, meta, name)
        return self._class_bind(raw, cls, name)

    def _class_bind(self, raw: Any, cls: type, name: str) -> Any:
        kind = type(raw)
        if kind is classmethod:
            return types.MethodType(raw.__func__, cls)
        if kind is staticmethod:
            return self.session.outside.constant(raw.__func__, f"{cls.__name__}.{name}")
        if kind is types.FunctionType or kind is property:
            return self.session.outside.constant(raw, f"{cls.__name__}.{name}")
        if isinstance(raw, _NATIVE_BINDERS):
            return self.session.native(raw.__get__, None, cls) if hasattr(raw, "__get__") else raw
        if self.find(kind, "__get__") is NULL or not by_python(kind):
            return self._class_value(raw, cls, name)
        raise Break("descriptor", f"the descriptor {cls.__name__}.{name} of type {kind.__name__}")

    def _of_super(self, obj: Any, name: str) -> Any:
        start, target, cls = obj.__thisclass__, obj.__self__, obj.__self_class__
        mro = cls.__mro__
        for base in mro[mro.index(start) + 1 :]:
            if name in base.__dict__:
                raw = base.__dict__[name]
                if by_python(base):
                    self.session.outside.guard(ClassAttrIs(base, name, raw))
                return self._class_bind(raw, cls, name) if target is cls else self._bind(raw, target, cls, name)
            self.find(base, name)  # it may get one
        raise self.session.thrown(AttributeError(f"'super' object has no attribute '{name}'", name=name, obj=obj))

    # -- tensors -------------------------------------------------------------------------------------------------------

    def _of_tensor(self, tensor: Any, name: str) -> Any:
        if name in ("grad", "_grad"):
            return self._grad(tensor)
        if name == "is_leaf":
            return self._is_leaf(tensor)
        if name == "__class__":
            return type(tensor)
        if name == "data":
            return self.session.recorder.as_data(self.session.native(type(tensor).detach, tensor))
        raw = find(type(tensor), name)
        if name in _OPAQUE_TENSOR and not isinstance(raw, types.FunctionType):  # a method breaks the graph at its call
            raise Break("tensor-state", subject(f"Tensor.{name}"))
        if name == "__dict__":
            raise Break("tensor-state", subject("the attributes that a Tensor has been given"))
        if raw is NULL:
            return self._given(tensor, name)
        if isinstance(raw, types.FunctionType):
            return types.MethodType(raw, tensor)
        return self.session.native(getattr, tensor, name)

    def _given(self, tensor: Any, name: str) -> Any:
        """An attribute that the user has given a Tensor from outside."""
        source, found = self.session.outside.source_of(tensor), self.session.recorder.input_of(tensor)
        if found is None:
            return self.session.native(getattr, tensor, name)
        if source is None:
            raise Break("tensor-state", subject(f"{name}, an attribute that a Tensor may have been given,"))
        if name in found.real.__dict__:
            return self.session.outside.admit(found.real.__dict__[name], Item(InstanceDict(source), name))
        self.session.outside.guard(Lacks(InstanceDict(source), name))
        return self.session.native(getattr, tensor, name)

    def _is_leaf(self, tensor: Any) -> bool:
        histories, source = self.session.recorder.histories, self.session.outside.source_of(tensor)
        found = self.session.recorder.input_of(tensor)
        if tensor.meta.requires_grad and source is not None and found is not None:
            self.session.outside.guard(Is(Attr(source, "_node"), found.real._node))
        return not tensor.meta.requires_grad or histories.leaf_of(self.session.recorder.value_of(tensor)) is not None

    def _grad(self, tensor: Any) -> Any:
        changed = self.session.effects.attr_of(tensor, "grad")
        if changed is not None:
            return changed[0]
        source = self.session.outside.source_of(tensor)
        found = self.session.recorder.input_of(tensor)
        if source is None or found is None:
            return tensor._grad
        return self.session.outside.admit(found.real._grad, Attr(source, "_grad"))

    # -- writing -------------------------------------------------------------------------------------------------------

    def store(self, obj: Any, name: str, value: Any) -> None:
        """``obj.name = value``; NULL deletes."""
        if isinstance(obj, Tensor):
            self._store_tensor(obj, name, value)
            return
        if isinstance(obj, types.ModuleType):
            if value is NULL and self.in_instance(obj, name) is NULL:
                raise self.session.thrown(AttributeError(name, name=name, obj=obj))
            self.session.effects.set_global(vars(obj), name, value)
            return
        if isinstance(obj, type):
            if id(obj) in self.session.fresh_classes and type(obj) is type:
                self.session.native(*((delattr, obj, name) if value is NULL else (setattr, obj, name, value)))
                return
            self._store_class(obj, name, value)
            return
        cls = type(obj)
        _check_shared(cls)
        special = "__delattr__" if value is NULL else "__setattr__"
        setter = self.find(cls, special)
        if isinstance(setter, types.FunctionType):
            self.session.call(setter, (obj, name) if value is NULL else (obj, name, value))
            return
        if setter is not getattr(object, special) and setter not in _GENERIC:
            raise Break("own-attributes", f"an attribute of {describe(cls)}, which stores attributes in its own way")
        self.store_plain(obj, name, value)

    def store_plain(self, obj: Any, name: str, value: Any) -> None:
        """``object.__setattr__(obj, name, value)``."""
        cls = type(obj)
        raw = self.find(cls, name)
        source = self.session.outside.source_of(obj)
        if raw is not NULL and self._is_data(raw):
            self._store_data(raw, obj, name, value)
            return
        if _dict_of(obj) is None:
            raise self.session.thrown(AttributeError(f"'{cls.__name__}' object has no attribute '{name}'", name=name, obj=obj))
        if value is NULL and self._in_instance(obj, name) is NULL:
            raise self.session.thrown(AttributeError(f"'{cls.__name__}' object has no attribute '{name}'", name=name, obj=obj))
        if source is not None:
            self.session.effects.set_attr(obj, name, value)
        elif value is NULL:
            del _dict_of(obj)[name]
        else:
            _dict_of(obj)[name] = value

    def _store_data(self, raw: Any, obj: Any, name: str, value: Any) -> None:
        if isinstance(raw, property):
            hook = raw.fdel if value is NULL else raw.fset
            if hook is None:
                what = "deleter" if value is NULL else "setter"
                raise self.session.thrown(AttributeError(f"property '{name}' of '{type(obj).__name__}' object has no {what}"))
            self.session.call(hook, (obj,) if value is NULL else (obj, value))
            return
        hook = self.find(type(raw), "__delete__" if value is NULL else "__set__")
        if isinstance(hook, types.FunctionType):
            self.session.call(hook, (raw, obj) if value is NULL else (raw, obj, value))
            return
        slot = isinstance(raw, types.MemberDescriptorType)
        if name == "__dict__" and type(value) is dict and self.session.outside.source_of(obj) is None:
            self.session.native(raw.__set__, obj, value)
            self.session.own_dicts[id(obj)] = obj
            return
        if id(obj) in self.session.fresh_functions and name in _OF_CALLABLES and value is not NULL:
            self.session.native(setattr, obj, name, value)
            return
        if self.session.outside.source_of(obj) is not None and slot:
            if value is NULL:
                self._slot(raw, obj, name)  # there is something to delete
            self.session.effects.set_attr(obj, name, value)
            return
        if self.session.outside.source_of(obj) is not None or not (slot or isinstance(obj, BaseException)):
            raise Break("descriptor", f"a store to {type(obj).__name__}.{name}")
        self.session.native(raw.__delete__ if value is NULL else raw.__set__, *((obj,) if value is NULL else (obj, value)))

    def _store_tensor(self, tensor: Any, name: str, value: Any) -> None:
        if name == "requires_grad":
            from .backward import set_requires_grad

            set_requires_grad(self.session, tensor, value)
            return
        if name not in ("grad", "_grad") or not (value is None or isinstance(value, Tensor)):
            raise Break("tensor-state", f"a store to Tensor.{name}")
        if value is not None and (value is tensor or not may_be(value.meta, tensor.meta)):
            raise Break("raise", "a store of what is no gradient of the tensor to its grad")
        if self.session.outside.source_of(tensor) is not None:
            self.session.effects.set_attr(tensor, "grad", value)
        else:
            tensor._grad = value


def snapshot(session: Session, obj: Any) -> dict[str, Any]:
    """The instance's own attributes as they are now, a new dict; those of an object from outside are guarded, names and all."""
    own, source = _dict_of(obj), session.outside.source_of(obj)
    if own is None or isinstance(obj, types.ModuleType):
        if own is None:
            return {}
        raise Break("namespace", f"all names of module {obj.__name__}")
    if source is None:
        return dict(own)
    seen = session.outside.admit(own, InstanceDict(source))
    if session.outside.is_opaque(seen):
        raise Break("namespace", f"the attributes of {describe(obj)}")
    session.outside.open(seen)
    found = dict(seen)
    for (owner, name), value in session.effects.attrs.items():
        if owner == id(obj) and value is NULL:
            found.pop(name, None)
        elif owner == id(obj):
            found[name] = value
    return found


class Namespace:
    """``vars(obj)`` of an object or module from outside: reads and stores go through the object.

    The bodies of its methods are in `natives`, which models calls of them."""

    __slots__ = ("owner",)

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def get(self, key: str, default: Any = None) -> Any: ...

    def pop(self, key: str, *default: Any) -> Any: ...

    def setdefault(self, key: str, default: Any = None) -> Any: ...


def _dict_of(obj: Any) -> Any:
    try:
        return object.__getattribute__(obj, "__dict__")
    except AttributeError:
        return None


def _check_shared(cls: type) -> None:
    """Refuse objects that have other attributes in each thread."""
    if cls is threading.local:
        raise Break("own-attributes", f"an attribute of {describe(cls)}, which looks attributes up in its own way")


def _is_data(raw: Any) -> bool:
    kind = type(raw)
    return hasattr(kind, "__set__") or hasattr(kind, "__delete__")
