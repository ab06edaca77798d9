"""Who is called: Python functions are followed, trusted native code runs, instances are made; all else breaks the graph."""

from __future__ import annotations

import enum
import functools
import types
from typing import TYPE_CHECKING, Any

from ..eager.autograd import grad_of_batch
from ..eager.pure import is_pure, is_rule
from ..eager.tensor import Tensor
from ..ir.op import Op
from ..ir.ops import casts
from ..runtime.install import original_of
from ..runtime.source import Attr, Const
from . import late_ops, launches, natives, scalars, sorting, transforms
from .attributes import Namespace, find, snapshot
from .breaks import Break, describe, opaque, stateful, subject
from .bytecode import NULL
from .classes import by_python
from .generators import Generator
from .guards import of_library
from .late import LATE, WEAK, LateMethod, weak
from .operators import CONTAINERS, ITERATORS, VIEWS
from .ratios import SizeFloat
from .special import SPECIAL
from .symbols import SizeInt
from .values import SymFloat, concrete

if TYPE_CHECKING:
    from .session import Session

_BOUND = (types.BuiltinFunctionType, types.MethodWrapperType)
_UNBOUND = (types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType)
_CHANGING: dict[Any, set[str]] = {
    list: {
        "append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse", "__iadd__", "__imul__", "__setitem__",
        "__delitem__",
    },
    dict: {"pop", "popitem", "clear", "update", "setdefault", "__setitem__", "__delitem__", "__ior__"},
    set: {
        "add", "discard", "remove", "pop", "clear", "update", "difference_update", "intersection_update",
        "symmetric_difference_update", "__ior__", "__iand__", "__isub__", "__ixor__",
    },
}  # fmt: skip
_KEYED = {
    "get", "pop", "setdefault", "__getitem__", "__contains__", "add", "discard", "remove", "index", "count", "insert",
    "__setitem__", "__delitem__",
}  # fmt: skip
_ITERABLE_ARGS = {
    "extend",
    "update",
    "join",
    "union",
    "difference",
    "intersection",
    "fromkeys",
    "__iadd__",
    "isdisjoint",
    "issubset",
}


_VALUES = (int, float, str, bytes, complex, frozenset)
_POSITIONS = {"popitem": ("last",), "move_to_end": ("key", "last"), "setdefault": ("key", "default"), "pop": ("key", "default")}


class Calls:
    """Calls of anything the interpreter holds."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def resolve(self, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> tuple[Any, list[Any], dict[str, Any]]:
        """Unwrap bound methods and partials."""
        while True:
            if type(fn) is types.MethodType:
                fn, args = fn.__func__, [fn.__self__, *args]
            elif type(fn) is functools.partial:
                fn, args, kwargs = fn.func, [*fn.args, *args], {**fn.keywords, **kwargs}
            else:
                return fn, args, kwargs

    def entered(self, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> tuple[Any, list[Any], dict[str, Any]]:
        """`resolve`, and an object whose class has a ``__call__`` in Python is that function, called with it."""
        fn, args, kwargs = self.resolve(fn, args, kwargs)
        if isinstance(fn, (types.FunctionType, type, Op, *_BOUND, *_UNBOUND, *LATE)) or not by_python(type(fn)):
            return fn, args, kwargs
        if _hashes(fn) and fn in SPECIAL:
            return fn, args, kwargs
        raw = self.session.attributes.of_class(fn, "__call__")
        return (raw, [fn, *args], kwargs) if type(raw) is types.FunctionType else (fn, args, kwargs)

    def follows(self, fn: Any) -> bool:
        """Whether a call of `fn` (resolved) is nothing but following its bytecode."""
        return type(fn) is types.FunctionType and not runs_natively(fn) and fn not in SPECIAL and not _is_disabled(fn)

    def call(self, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """The result of the call."""
        fn, args, kwargs = self.resolve(fn, args, kwargs)
        if type(fn) is LateMethod:
            return late_ops.method(self.session, fn, args, kwargs)
        special = SPECIAL.get(fn) if _hashes(fn) else None
        if special is not None:
            return self._model(fn, special, args, kwargs)
        if isinstance(fn, types.FunctionType):
            return self._function(fn, args, kwargs)
        if isinstance(fn, type):
            return self._class(fn, args, kwargs)
        if isinstance(fn, _BOUND):
            return self._builtin(fn, args, kwargs)
        if isinstance(fn, _UNBOUND):
            return self._unbound(fn, args, kwargs)
        if isinstance(fn, Op):
            return self._op(fn, args, kwargs)
        if by_python(type(fn)):
            return self._object(fn, args, kwargs)
        if type(fn) is types.GenericAlias and not by_python(fn.__origin__):
            return self.call(fn.__origin__, args, kwargs)
        if type(fn).__name__ == "ufunc" and not kwargs and any(isinstance(x, Tensor) for x in args):
            return self._ufunc(fn, args)
        drawn = late_ops.cython_call(self.session, fn, args, kwargs)
        if drawn is not NotImplemented:
            return drawn
        raise opaque(fn)

    def _ufunc(self, fn: Any, args: list[Any]) -> Any:
        """A function of NumPy that is an op of Tensors."""
        from ..eager.numpy_calls import is_op, ufunc_of_ops

        if not is_op(fn):
            raise opaque(fn)
        args = [self._number(x, False) for x in args]
        for x in args:
            if not self.session.operators.is_plain(x):
                raise Break("library-argument", f"{describe(x)} handed to {describe(fn)}")
        with self.session.recorder.symbols.strictly():
            return self.session.native(ufunc_of_ops, fn, *args)

    def _model(self, fn: Any, special: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        try:
            return special(self.session, *args, **kwargs)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:  # these arguments do not fit the model
                raise Break("unusual-arguments", f"a call of {describe(fn)} with unusual arguments") from None
            raise

    # -- functions -----------------------------------------------------------------------------------------------------

    def _function(self, fn: types.FunctionType, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if _is_disabled(fn):
            reason = getattr(fn, "__fusewire_reason__", None)
            raise Break("disabled", f"a call of {subject(describe(fn))}" + (f" ({reason})" if reason else ""))
        if fn.__module__ in natives.FILES and not fn.__name__.startswith("_"):
            raise Break("input-output", f"a call of {subject(describe(fn))}")
        original = original_of(fn)
        if original is not None:
            if fn.__code__ is original.__code__:
                return self.session.inline(fn, args, kwargs)  # with the defaults it has now
            outside = self.session.outside
            source = outside.source_of(fn)
            if source is not None and outside.source_of(original) is None:  # its cells and defaults come from outside too
                outside.admit(original, Attr(Attr(source, "__fusewire_dispatcher__"), "function"))
            return self.session.inline(original, args, kwargs)
        if runs_natively(fn):
            return self.library(fn, args, kwargs)
        if launches.launches(fn):
            return launches.call(self.session, fn, args, kwargs)
        return self.session.inline(fn, args, kwargs)

    def library(self, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Run the library's own code on traced Tensors."""
        if is_rule(fn):
            for x in (*args, *kwargs.values()):
                self.session.outside.open(x)
            return self.session.native(fn, *args, **kwargs)
        if getattr(fn, "__module__", "") in natives.TRANSFORMS or fn is grad_of_batch:
            return transforms.call(self.session, fn, args, kwargs)
        if fn.__name__ in natives.TENSOR_STATE or getattr(fn, "__module__", "") in natives.TAPE:
            raise stateful(fn)
        keeps = getattr(fn, "__module__", "") in natives.TAKES_NUMBERS
        if getattr(fn, "__module__", "") in natives.TAKES_LATE:
            args, kwargs = [weak(x) for x in args], {k: weak(v) for k, v in kwargs.items()}
        args = [self._number(x, keeps) for x in args]
        kwargs = {k: self._number(v, keeps) for k, v in kwargs.items()}
        for x in (*args, *kwargs.values()):
            if type(x) in LATE:
                raise x.needed()
            if not self.session.operators.is_plain(x):
                raise Break("library-argument", f"{describe(x)} handed to {describe(fn)}")
        with self.session.recorder.symbols.strictly():
            result = self.session.native(fn, *args, **kwargs)
        late = next((x for x in (*args, *kwargs.values()) if type(x) in WEAK), None)
        if late is not None and isinstance(result, Tensor) and result._array is not None:
            raise late.late.needed()  # its number was read without being asked for
        return self._traced(result, fn)

    def _op(self, op: Op, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A record called by name: numbers among its operands stay symbolic."""
        for x in (*args, *kwargs.values()):
            if not self.session.operators.is_plain(x):
                raise Break("library-argument", f"{describe(x)} handed to the op {op.name}")
        return self.session.native(self.session.recorder.apply, op, tuple(args), kwargs)

    def _number(self, x: Any, keeps: bool) -> Any:
        """A symbolic number stays one only where the library takes it for an operand."""
        return x if keeps and type(x) is SymFloat else self.session.operators.settle(x, (SizeInt, SizeFloat))

    def _traced(self, result: Any, fn: Any) -> Any:
        """A Tensor that library code made without an op holds values the graph does not know: a uniform one is a constant."""
        if type(result) in (tuple, list):
            return type(result)([self._traced(x, fn) for x in result])
        if not isinstance(result, Tensor):
            return result
        array, storage = result._array, result._storage
        if array is None and (storage is None or not storage.on_device):
            return result
        if type(result) is not Tensor or (result.meta.requires_grad and (array is None or array.size > 1)):
            raise Break("tensor-from-python", f"{subject(describe(fn))}, which makes a tensor from Python values")
        if array is None:
            return self._data(result)
        if not array.size or (array.size > 1 and not (array == array.flat[0]).all()):
            return self._data(result)
        value = array.flat[0].item()
        return self.session.recorder.constant(value, result.meta)

    def _data(self, made: Any) -> Any:
        """A fresh copy of a Tensor that was made of Python values: the capture holds it as an input of its own."""
        held = self.session.outside.admit(made, Const(made, "tensor"))
        return self.session.native(self.session.recorder.apply, casts.clone, (held,), {})

    # -- objects -------------------------------------------------------------------------------------------------------

    def _object(self, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """``type(fn).__call__(fn, ...)``."""
        raw = self.session.attributes.of_class(fn, "__call__")
        if isinstance(raw, staticmethod):
            return self.call(raw.__func__, args, kwargs)
        if isinstance(raw, (types.FunctionType, types.MethodType)):
            return self.call(raw, [fn, *args], kwargs)
        if raw is NULL:
            raise self.session.thrown(TypeError(f"'{type(fn).__name__}' object is not callable"))
        raise opaque(fn)

    def _class(self, cls: type, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Make an instance: ``__new__`` and ``__init__``, each native for built-in types and followed otherwise."""
        meta_call = find(type(cls), "__call__")
        if meta_call is not type.__call__:
            if isinstance(cls, enum.EnumType) and all(map(self.session.operators.is_plain, args)):
                return self.session.native(cls, *map(concrete, args), **kwargs)
            if isinstance(meta_call, types.FunctionType) and not isinstance(cls, enum.EnumType):
                return self.call(self.session.attributes.of_class(cls, "__call__"), [cls, *args], kwargs)
            raise Break("metaclass", f"a call of {describe(cls)}, whose metaclass makes its objects")
        return self._made(cls, args, kwargs)

    def _made(self, cls: type, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """``type.__call__(cls, ...)``."""
        if not by_python(cls) or cls in natives.CLASSES:
            return self._builtin_class(cls, args, kwargs)
        if issubclass(cls, Tensor):
            code = "tensor-from-python" if cls is Tensor else "new-leaf"
            raise Break(code, f"a call of {subject(describe(cls))}, which makes a tensor")
        if find(cls, "__del__") is not NULL:
            raise Break("finalizer", f"a call of {describe(cls)}, whose objects run code when they die")
        self.session.outside.constant(cls, cls.__qualname__)
        made = self._new(cls, args, kwargs)
        if not isinstance(made, cls):
            return made
        init = self.session.attributes.find(type(made), "__init__")
        if isinstance(init, types.FunctionType):
            if self.call(init, [made, *args], kwargs) is not None:
                raise self.session.thrown(TypeError("__init__() should return None"))
        elif init is not object.__init__:
            self._native_init(init, made, args, kwargs)
        return made

    def _new(self, cls: type, args: list[Any], kwargs: dict[str, Any]) -> Any:
        new = self.session.attributes.find(cls, "__new__")
        new = new.__func__ if isinstance(new, staticmethod) else new
        if isinstance(new, types.FunctionType):
            return self.call(new, [cls, *args], kwargs)
        if new is object.__new__:
            init = find(cls, "__init__")
            if init is object.__init__ and (args or kwargs):
                raise self.session.thrown(TypeError(f"{cls.__name__}() takes no arguments"))
            return self.session.native(object.__new__, cls)
        if issubclass(cls, (BaseException, list, dict, tuple, set)) and not getattr(cls, "__abstractmethods__", None):
            settled = [list(self.session.operators.items(x)) for x in args] if issubclass(cls, tuple) else args
            return self.session.native(new, cls, *settled, **(kwargs if issubclass(cls, BaseException) else {}))
        if issubclass(cls, _VALUES) and all(map(self.session.operators.is_plain, args)):
            return self.session.native(new, cls, *map(self.session.operators.settle, args), **kwargs)
        raise opaque(cls)

    def _native_init(self, init: Any, made: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
        if isinstance(made, BaseException):
            self.session.native(init, made, *args, **kwargs)
        elif isinstance(made, (list, set, dict)) and len(args) <= 1:
            self.session.native(init, made, *map(self.mapping_or_items, args), **kwargs)
        elif not isinstance(made, tuple):
            raise opaque(type(made))

    def mapping_or_items(self, x: Any) -> Any:
        """An argument of dict() or update(): a mapping as it is, else the items."""
        if isinstance(x, Namespace):
            return snapshot(self.session, x.owner)
        if isinstance(x, dict) and self.session.operators.is_native(x):
            return x
        return list(self.session.operators.items(x))

    def _builtin_class(self, cls: type, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if issubclass(cls, BaseException) or cls is object:
            return self.session.native(cls, *args, **kwargs)
        make = natives.CLASSES.get(cls)
        if make is not None:
            return make(self.session, cls, *args, **kwargs)
        raise opaque(cls)

    # -- native code -----------------------------------------------------------------------------------------------------

    def _builtin(self, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        owner = getattr(fn, "__self__", None)
        if owner is None or isinstance(owner, types.ModuleType):
            return self._module_function(fn, args, kwargs)
        if isinstance(owner, type):
            return self._class_method(fn, owner, args, kwargs)
        return self.method(owner, fn.__name__, fn, args, kwargs)

    def _module_function(self, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if (getattr(fn, "__module__", None) not in natives.PURE_MODULES and fn not in natives.PURE) or fn in natives.WRITES:
            raise opaque(fn)
        if any(type(x) in LATE for x in args) and not kwargs:
            return late_ops.module_function(self.session, fn, args)
        found = NotImplemented if kwargs else scalars.call(self.session, fn, args)
        if found is not NotImplemented:
            return found
        args = [self.session.operators.settle(x) for x in args]
        kwargs = {k: self.session.operators.settle(v) for k, v in kwargs.items()}
        for x in (*args, *kwargs.values()):
            if not self.session.operators.is_plain(x) and not isinstance(x, ITERATORS + VIEWS):
                raise opaque(fn)
        return self.session.native(fn, *args, **kwargs)

    def _class_method(self, fn: Any, owner: type, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if fn.__name__ == "__new__" and args and isinstance(args[0], type):
            return self._new_of(owner, args[0], args[1:], kwargs)
        if fn.__name__ == "__call__" and isinstance(fn, types.MethodWrapperType):
            return self._made(owner, args, kwargs)
        if owner in (dict, int, float, bytes, str) and all(map(self.session.operators.is_plain, args)):
            return self.session.native(fn, *map(self.session.operators.settle, args), **kwargs)
        raise opaque(fn)

    def _new_of(self, owner: type, cls: type, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if owner is object:
            return self.session.native(object.__new__, cls)
        if owner is tuple:
            return self.session.native(tuple.__new__, cls, *[list(self.session.operators.items(x)) for x in args])
        if issubclass(owner, (BaseException, list, dict, set)):
            return self.session.native(owner.__new__, cls, *args, **kwargs)
        if owner in _VALUES and all(map(self.session.operators.is_plain, args)):
            return self.session.native(owner.__new__, cls, *map(self.session.operators.settle, args), **kwargs)
        raise Break("c-class", f"{owner.__name__}.__new__")

    def _unbound(self, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if not args:
            self.session.native(fn)
        owner = args[0]
        if isinstance(fn, types.ClassMethodDescriptorType):
            return self._class_method(fn, fn.__objclass__, args, kwargs)
        if not isinstance(owner, fn.__objclass__):
            self.session.native(fn, *args, **kwargs)
        return self.method(owner, fn.__name__, fn.__get__(owner), args[1:], kwargs)

    def method(self, owner: Any, name: str, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A built-in type's own method `fn`, bound to `owner`."""
        session = self.session
        if (
            name in natives.OBJECT_METHODS and getattr(fn, "__objclass__", object) is object
        ) or name in natives.ATTRIBUTE_METHODS:
            return natives.OBJECT_METHODS[name](session, owner, *args)
        if isinstance(owner, Tensor):
            return self.library(fn, args, kwargs)
        if name == "__get__" and isinstance(owner, types.FunctionType):
            return owner if args[0] is None else types.MethodType(owner, args[0])
        deferred = late_ops.deferred_method(session, owner, name, args, kwargs)
        if deferred is not NotImplemented:
            return deferred
        if not (type(owner) is list and name in ("append", "extend")):
            session.outside.open(owner)
        if session.outside.is_opaque(owner) or session.outside.is_opaque(fn):
            raise opaque(fn, f"{name} of {describe(owner)}, which comes from outside")
        if isinstance(owner, BaseException):
            if name in ("with_traceback", "add_note", "__init__", "__str__", "__repr__"):
                return session.native(fn, *args, **kwargs)
            raise opaque(fn)
        if isinstance(owner, (Generator, *ITERATORS)):
            return self._iterator_method(owner, name)
        if isinstance(owner, CONTAINERS):
            return self._container(owner, name, fn, args, kwargs)
        if type(owner) is str and name == "join" and len(args) == 1:
            args = [list(session.operators.items(args[0]))]
        if type(owner) is str and any(map(late_ops.holds, (*args, *kwargs.values()))):
            return late_ops.string_method(session, owner, name, args, kwargs)
        if isinstance(owner, (str, bytes, int, float, complex, range, slice, *VIEWS, type(None))):
            if name == "join" and args:
                args = [list(session.operators.items(args[0]))]
            args = [session.operators.settle(x) for x in args]
            kwargs = {k: session.operators.settle(v) for k, v in kwargs.items()}
            if name == "format" and not all(map(session.operators._printable, (*args, *kwargs.values()))):
                raise Break("own-text", "text made of objects with code of their own")
            if all(map(session.operators.is_plain, args)) or name == "join":
                return session.native(fn, *args, **kwargs)
        raise opaque(fn)

    def _iterator_method(self, owner: Any, name: str) -> Any:
        if name == "__iter__":
            return owner
        if name == "__next__":
            value = self.session.operators.advance(owner)
            if value is NULL:
                raise self.session.thrown(StopIteration())
            return value
        raise Break("generator-alive", f"{name} of an iterator")

    def _container(self, owner: Any, name: str, fn: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """A method of a list, dict, set, ...: on the shadow or fresh object, noted where it changes one from outside."""
        session = self.session
        base = next((t for t in (list, dict, set) if isinstance(owner, t)), None)
        if name == "__init__" and base is not None and session.outside.source_of(owner) is None:
            return self._native_init(
                fn.__objclass__.__init__ if hasattr(fn, "__objclass__") else base.__init__, owner, args, kwargs
            )
        if name == "sort":
            return sorting.sort(session, owner, *args, **kwargs)
        if name in _ITERABLE_ARGS:
            args = [self.mapping_or_items(x) for x in args]
        if name == "update" and kwargs:
            args, kwargs = [*args, dict(kwargs)], {}
            if len(args) > 1:
                args = [session.native(lambda: {**dict(args[0]), **args[1]})]
        if name in _KEYED:
            args = [session.operators.settle(args[0]), *args[1:]] if args else args
            if args and not session.operators.is_key(args[0]):
                raise Break("own-comparison", f"{name} with an object that compares in its own way")
        if (
            name in ("remove", "index", "count", "__contains__", "__eq__")
            and not (name == "__contains__" and base in (dict, set))
            and not session.operators.is_inert(owner)
        ):
            raise Break("own-comparison", f"{name} among objects that compare in their own way")
        extra = _in_order(name, args, kwargs)
        changes = name in _CHANGING.get(base, ()) or (
            isinstance(owner, CONTAINERS[5:]) and name not in ("items", "values", "keys", "get")
        )
        result = session.native(fn, *args, **kwargs)
        if changes and session.outside.source_of(owner) is not None:
            if kwargs and extra is None:
                raise Break("unusual-arguments", f"{name} with keywords on a container from outside")
            session.effects.container(owner, name, (*args, *(extra or ())))
        if name in ("__iter__",):
            session.made_from.setdefault(id(result), (result, owner))
        return result

    def iterable(self, x: Any) -> Any:
        """An iterable as something native code may run over."""
        return x if type(x) in CONTAINERS or isinstance(x, (str, bytes, range, *VIEWS)) else list(self.session.operators.items(x))


def _in_order(name: str, args: list[Any], kwargs: dict[str, Any]) -> list[Any] | None:
    """The keyword arguments of a container's method as further positional ones; None where they are not."""
    names = _POSITIONS.get(name, ())[len(args) : len(args) + len(kwargs)]
    return [kwargs[k] for k in names] if set(names) == set(kwargs) else None


def runs_natively(fn: Any) -> bool:
    """Whether the library's own function runs as it is on traced Tensors: it changes nothing but Tensors."""
    if is_pure(fn):
        return True
    module = fn.__module__
    return of_library(module) and module.startswith(natives.NATIVE) and module not in natives.FOLLOWED


def _hashes(fn: Any) -> bool:
    return isinstance(
        fn, (types.FunctionType, types.BuiltinFunctionType, type, types.MethodDescriptorType, types.WrapperDescriptorType)
    )


def _is_disabled(fn: Any) -> bool:
    return getattr(fn, "__fusewire_disabled__", False) is True

