"""Native code that the tracer runs or models: built-in functions and types, pure modules, the library's own state switches.

Everything that is in none of these tables is opaque and breaks the graph.
"""

from __future__ import annotations

import abc
import builtins
import collections
import functools
import itertools
import math
import operator
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..eager import functional, generators
from ..eager.tensor import Tensor
from ..ir.layout import is_row_major
from ..ir.ops import casts
from ..ir.sizes import identical
from ..ir.types import TensorType, contiguous_strides
from . import class_statements, equivalents, late_ops, scalars, subscripts
from .abstract import instance, subclass
from .attributes import Namespace, find, snapshot
from .breaks import Break, describe
from .bytecode import BINARY, COMPARE, NULL, UNARY
from .classes import by_python
from .generators import Generator, Lazily
from .late import LATE, Late
from .operators import CONTAINERS
from .special import SPECIAL, models
from .symbols import SizeInt, has_size, raw
from .values import SYMBOLIC, concrete, python_type

if TYPE_CHECKING:
    from .session import Session

PURE_MODULES = {"math", "cmath", "_operator", "unicodedata"}
WRITES = {operator.iconcat, getattr(operator, "call", None)}  # and has no model
PURE = {builtins.bin, builtins.hex, builtins.oct, builtins.chr, builtins.ord}
TENSOR_STATE = {
    "backward", "register_hook", "retain_grad", "requires_grad_", "detach_", "data_ptr", "storage_offset", "__deepcopy__",
    "__reduce_ex__", "__hash__", "numpy", "__array__",
}  # fmt: skip

_OURS = __name__.split(".")[0]
NATIVE = tuple(f"{_OURS}.{part}" for part in ("ir.", "eager.", "runtime."))
FOLLOWED = {f"{_OURS}.{part}" for part in ("eager.modes", "eager.random", "eager.sampling", "eager.sparse")}
_TAPE = (
    "autograd", "tape", "interop", "serialization", "display", "transforms", "batching", "jacobians", "gradcheck", "anomaly",
    "saved", "profiler", "forward_ad", "duals", "edges", "remaking", "scores",
)  # fmt: skip
TAPE = {f"{_OURS}.eager.{part}" for part in _TAPE}
TRANSFORMS = {f"{_OURS}.eager.{part}" for part in ("transforms", "jacobians", "scores")}  # they call functions of the user's
FILES = {f"{_OURS}.utils.serialization"}  # their functions read and write files
TAKES_NUMBERS = {f"{_OURS}.{part}" for part in ("eager.generated", "eager.functional")}
TAKES_LATE = TAKES_NUMBERS | {f"{_OURS}.eager.{part}" for part in ("scattering", "inplace", "tensor", "reducing")}
CLASSES: dict[type, Callable[..., Any]] = {}


# -- attributes and types ------------------------------------------------------------------------------------------------


@models(builtins.getattr)
def _getattr(s: Session, obj: Any, name: str, *default: Any) -> Any:
    return s.attributes.load_or(obj, name, default[0]) if default else s.attributes.load(obj, name)


@models(builtins.hasattr)
def _hasattr(s: Session, obj: Any, name: str) -> bool:
    return s.attributes.has(obj, name)


@models(builtins.setattr)
def _setattr(s: Session, obj: Any, name: str, value: Any) -> None:
    s.attributes.store(obj, name, value)


@models(builtins.delattr)
def _delattr(s: Session, obj: Any, name: str) -> None:
    s.attributes.store(obj, name, NULL)


@models(builtins.vars)
def _vars(s: Session, *args: Any) -> Any:
    if len(args) != 1:
        raise Break("namespace", "the namespace of the running function")
    (obj,) = args
    return s.attributes.namespace(obj)


@models(builtins.isinstance)
def _isinstance(s: Session, obj: Any, cls: Any) -> bool:
    _check_class(s, cls)
    if isinstance(obj, LATE):
        return issubclass(late_ops.class_of(obj), cls)
    if isinstance(obj, SYMBOLIC):
        return issubclass(python_type(obj), cls)
    if isinstance(obj, Generator):
        return issubclass(obj.kind, cls)
    return instance(s, obj, cls)


@models(builtins.issubclass)
def _issubclass(s: Session, sub: Any, cls: Any) -> bool:
    _check_class(s, cls)
    return subclass(s, sub, cls)


def _check_class(s: Session, cls: Any) -> None:
    if isinstance(cls, tuple):
        for each in cls:
            _check_class(s, each)
    elif type(cls) is abc.ABCMeta and find(cls, "__subclasshook__") is find(object, "__subclasshook__"):
        pass
    elif isinstance(find(type(cls), "__instancecheck__"), types.FunctionType):
        module = getattr(cls, "__module__", "")
        if module not in ("collections.abc", "numbers", "typing") and not module.startswith(__name__.split(".")[0]):
            raise Break("metaclass", f"isinstance with {describe(cls)}, whose metaclass decides")


@models(builtins.callable)
def _callable(s: Session, obj: Any) -> bool:
    if type(obj) is Late:
        if obj.cls is None:
            raise obj.needed()
        return bool(find(obj.cls, "__call__") is not NULL)
    return s.attributes.of_class(obj, "__call__") is not NULL if by_python(type(obj)) else callable(obj)


@models(builtins.id)
def _id(s: Session, obj: Any) -> int:
    raise Break("identity", "id()")


@models(builtins.hash)
def _hash(s: Session, obj: Any) -> int:
    obj = s.operators.settle(obj)
    if type(obj) in (int, float, bool, type(None)):
        return hash(obj)
    raise Break("identity", "hash()")


@models(builtins.super)
def _super(s: Session, *args: Any) -> Any:
    if args:
        return s.native(super, *args)
    frame = s.frames[-1]
    cells = dict(zip(frame.code.co_freevars, frame.slots[len(frame.slots) - len(frame.code.co_freevars) :], strict=True))
    if "__class__" not in cells or not frame.code.co_argcount:
        raise s.thrown(RuntimeError("super(): __class__ cell not found"))
    first = frame.load_slot(0)
    if isinstance(first, types.CellType):
        first = first.cell_contents
    return s.native(super, cells["__class__"].cell_contents, first)


def _object_setattr(s: Session, obj: Any, name: str, value: Any) -> None:
    if isinstance(obj, Tensor):
        s.attributes.store(obj, name, value)
    else:
        s.attributes.store_plain(obj, name, value)


def _object_getattribute(s: Session, obj: Any, name: str) -> Any:
    if isinstance(obj, (Tensor, type, types.ModuleType)):
        return s.attributes.load(obj, name)
    return s.attributes.plain(obj, type(obj), name, hook=False)


def _object_ne(s: Session, obj: Any, other: Any) -> Any:
    equal = s.operators.try_special(obj, "__eq__", (other,))
    return equal if equal is NotImplemented else not s.operators.truth(equal)


OBJECT_METHODS: dict[str, Callable[..., Any]] = {
    "__setattr__": _object_setattr,
    "__delattr__": lambda s, obj, name: _object_setattr(s, obj, name, NULL),
    "__getattribute__": _object_getattribute,
    "__init__": lambda s, obj, *args: None,
    "__init_subclass__": lambda s, obj, *args: None,
    "__eq__": lambda s, obj, other: True if obj is other else NotImplemented,
    "__ne__": lambda s, obj, other: _object_ne(s, obj, other),
    "__str__": lambda s, obj: s.operators.text(obj, repr),
}
ATTRIBUTE_METHODS = {"__setattr__", "__delattr__", "__getattribute__"}


# -- numbers, text -------------------------------------------------------------------------------------------------------


@models(builtins.len)
def _len(s: Session, x: Any) -> int:
    return s.operators.length(x)


@models(builtins.abs)
def _abs(s: Session, x: Any) -> Any:
    if type(x) is Late:
        return late_ops.call_number(s, "abs", x)
    return s.operators.special(x, "__abs__") if not _plain(s, x) else s.native(abs, x)


@models(builtins.round)
def _round(s: Session, x: Any, *digits: Any) -> Any:
    if type(x) is Late:
        return late_ops.call_number(s, "round", x, *digits)
    if not _plain(s, x):
        return s.operators.special(x, "__round__", *digits)
    found = scalars.call(s, round, [x, *digits])
    return s.native(round, concrete(x), *map(concrete, digits)) if found is NotImplemented else found


@models(builtins.pow)
def _pow(s: Session, a: Any, b: Any, *mod: Any) -> Any:
    return s.operators.binary("**", a, b) if not mod else s.native(pow, concrete(a), concrete(b), *map(concrete, mod))


@models(builtins.divmod)
def _divmod(s: Session, a: Any, b: Any) -> Any:
    if not (_plain(s, a) and _plain(s, b)) or isinstance(a, Tensor) or isinstance(b, Tensor):
        raise Break("own-number", "divmod of objects")
    return s.native(divmod, concrete(a), concrete(b))


def _plain(s: Session, x: Any) -> bool:
    return isinstance(x, (Tensor, *SYMBOLIC)) or type(x) in (bool, int, float, complex)


@models(builtins.repr)
def _repr(s: Session, x: Any) -> str:
    return s.operators.text(x, repr)


@models(builtins.ascii)
def _ascii(s: Session, x: Any) -> str:
    return s.operators.text(x, ascii)


@models(builtins.format)
def _format(s: Session, x: Any, spec: str = "") -> str:
    return s.operators.format(x, spec)


# -- tensors -------------------------------------------------------------------------------------------------------------


@models(functional.contiguous)
def _contiguous(s: Session, input: Any) -> Any:
    """A copy where the sizes at hand call for one: that it would be none where some size is 1 is asked when it matters."""
    if not isinstance(input, Tensor) or not has_size((*input.meta.shape, *input.meta.strides)):
        return s.calls.library(functional.contiguous, [input], {})
    if identical(input.meta.strides, contiguous_strides(input.meta.shape)):
        return input
    if is_row_major(TensorType(raw(input.meta.shape), input.meta.dtype, raw(input.meta.strides))):
        return s.calls.library(functional.contiguous, [input], {})
    return s.native(s.recorder.apply, casts.contiguous, (input,), {})


@models(generators.of)
def _generator_of(s: Session, device: Any = None) -> Any:
    """A device's own generator: part of the program, as its name says."""
    return s.outside.constant(s.native(generators.of, device), f"generator_of({device})")


# -- iteration -----------------------------------------------------------------------------------------------------------


@models(builtins.iter)
def _iter(s: Session, x: Any, *sentinel: Any) -> Any:
    if sentinel:
        return s.call(equivalents.forever, (x, *sentinel))
    return s.operators.iterate(x)


@models(builtins.next)
def _next(s: Session, it: Any, *default: Any) -> Any:
    value = s.operators.advance(it)
    if value is not NULL:
        return value
    if default:
        return default[0]
    raise s.thrown(StopIteration(getattr(it, "value", None)) if getattr(it, "value", None) is not None else StopIteration())


@models(builtins.sum)
def _sum(s: Session, items: Any, /, start: Any = 0) -> Any:
    values = list(s.operators.items(items))
    if type(start) is str or not values:
        return s.native(sum, values, start)
    if any(type(x) is Late for x in (start, *values)) and not any(isinstance(x, Tensor) for x in values):
        return late_ops.total(s, values, start)
    if all(type(x) in (int, float, bool) for x in (start, *values)):
        return s.native(sum, values, start)  # CPython 3.12 adds floats with compensation
    sized = any(isinstance(x, SizeInt) for x in (start, *values)) and all(isinstance(x, int) for x in (start, *values))
    if not sized and any(isinstance(x, SYMBOLIC) for x in values) and not any(isinstance(x, Tensor) for x in (start, *values)):
        return s.native(sum, s.operators.settle(values), concrete(start))
    total = start
    for x in values:
        total = s.operators.binary("+", total, x)
    return total


@models(math.prod)
def _prod(s: Session, items: Any, /, *, start: Any = 1) -> Any:
    values = list(s.operators.items(items))
    if not any(isinstance(x, SizeInt) for x in values):
        return s.native(math.prod, s.operators.settle(values), start=concrete(start))
    total = start
    for x in values:
        total = s.operators.binary("*", total, x)
    return total


@models(builtins.any)
def _any(s: Session, items: Any) -> bool:
    return any(s.operators.truth(x) for x in s.operators.items(items))


@models(builtins.all)
def _all(s: Session, items: Any) -> bool:
    return all(s.operators.truth(x) for x in s.operators.items(items))


def _extreme(symbol: str) -> Callable[..., Any]:
    def pick(s: Session, *args: Any, key: Any = None, default: Any = NULL) -> Any:
        values = list(s.operators.items(args[0])) if len(args) == 1 else list(args)
        if not values:
            if default is not NULL and len(args) == 1:
                return default
            raise s.thrown(ValueError(f"{'min' if symbol == '<' else 'max'}() iterable argument is empty"))
        if any(type(x) is Late for x in values) and key is None:
            return late_ops.extreme(s, "min" if symbol == "<" else "max", values)
        best, weight = values[0], values[0] if key is None else s.call(key, (values[0],))
        for x in values[1:]:
            w = x if key is None else s.call(key, (x,))
            if s.operators.truth(s.operators.compare(symbol, w, weight)):
                best, weight = x, w
        return best

    return pick


SPECIAL[builtins.min] = _extreme("<")
SPECIAL[builtins.max] = _extreme(">")


@models(functools.reduce)
def _reduce(s: Session, fn: Any, items: Any, *first: Any) -> Any:
    values = [*first, *s.operators.items(items)]
    if not values:
        raise s.thrown(TypeError("reduce() of empty iterable with no initial value"))
    total = values[0]
    for x in values[1:]:
        total = s.call(fn, (total, x))
    return total


def _mapped(s: Session, fn: Any, iterators: list[Any]) -> Iterator[Any]:
    while True:
        args = []
        for it in iterators:
            value = s.operators.advance(it)
            if value is NULL:
                return
            args.append(value)
        yield s.call(fn, tuple(args))


def _filtered(s: Session, fn: Any, it: Any) -> Iterator[Any]:
    while (value := s.operators.advance(it)) is not NULL:
        if s.operators.truth(value if fn is None else s.call(fn, (value,))):
            yield value


def _makes(*classes: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def enter(fn: Callable[..., Any]) -> Callable[..., Any]:
        for cls in classes:
            CLASSES[cls] = fn
        return fn

    return enter


@_makes(map)
def _map(s: Session, cls: type, fn: Any, *items: Any) -> Any:
    return Lazily(s, _mapped(s, fn, [s.operators.iterate(x) for x in items]))


@_makes(filter)
def _filter(s: Session, cls: type, fn: Any, items: Any) -> Any:
    return Lazily(s, _filtered(s, fn, s.operators.iterate(items)))


@_makes(zip, enumerate)
def _zip(s: Session, cls: type, *items: Any, **kwargs: Any) -> Any:
    count = 1 if cls is enumerate else len(items)
    if cls is zip and kwargs.get("strict") is False:
        kwargs = {}
    sources = [s.operators.iterate(x) for x in items[:count]]
    if any(isinstance(x, Generator) or s.outside.source_of(x) is not None for x in sources):
        if kwargs or (cls is enumerate and len(items) > 1):
            raise Break("unusual-arguments", f"{cls.__name__} with options over a generator")
        return Lazily(s, _zipped(s, cls, sources))
    settled = {k: concrete(v) for k, v in kwargs.items()}
    return s.native(cls, *sources, *map(concrete, items[count:]), **settled)


def _zipped(s: Session, cls: type, iterators: list[Any]) -> Iterator[Any]:
    for number in itertools.count():
        values = []
        for it in iterators:
            value = s.operators.advance(it)
            if value is NULL:
                return
            values.append(value)
        yield (number, values[0]) if cls is enumerate else tuple(values)


@_makes(reversed)
def _reversed(s: Session, cls: type, x: Any) -> Any:
    s.operators.is_native(x)  # opens a list, refuses content that no guard covers
    if type(x) in CONTAINERS or isinstance(x, (range, str, type({}.keys()), type({}.values()), type({}.items()))):
        it = s.native(reversed, x)
        s.made_from[id(it)] = it, x
        return it
    return s.operators.special(x, "__reversed__")


@_makes(list, tuple, set, frozenset)
def _collect(s: Session, cls: type, *items: Any) -> Any:
    if not items:
        return cls()
    if cls is tuple and type(items[0]) is tuple:
        return items[0]
    values = list(s.operators.items(items[0]))
    if cls in (set, frozenset):
        values = [s.operators.settle(x) for x in values]
        if not all(map(s.operators.is_key, values)):
            raise Break("own-comparison", "a set of objects that compare in their own way")
    return s.native(cls, values)


@_makes(dict)
def _dict(s: Session, cls: type, *items: Any, **kwargs: Any) -> Any:
    if items and isinstance(items[0], Namespace):
        items = (snapshot(s, items[0].owner),)
    if not items or (isinstance(items[0], dict) and s.operators.is_native(items[0])):
        return s.native(dict, *items, **kwargs)
    pairs = [tuple(s.operators.items(pair)) for pair in s.operators.items(items[0])]
    return s.native(dict, [(s.operators.settle(p[0]), *p[1:]) for p in pairs], **kwargs)


@_makes(collections.OrderedDict, collections.deque, collections.defaultdict)
def _collection(s: Session, cls: type, *args: Any, **kwargs: Any) -> Any:
    at = 1 if cls is collections.defaultdict else 0
    settled = [s.calls.mapping_or_items(x) if i == at else concrete(x) for i, x in enumerate(args)]
    return s.native(cls, *settled, **kwargs)


@_makes(int, float, bool, complex, bytes, range, slice)
def _number(s: Session, cls: type, *args: Any, **kwargs: Any) -> Any:
    if cls in (bool, int, float) and len(args) == 1 and isinstance(args[0], (Late, Tensor)):
        return late_ops.number(s, cls, args[0])
    if cls is bool and args:
        return s.operators.truth(args[0])
    for x in args:
        if isinstance(x, LATE):
            raise x.needed()
    if cls is int and len(args) == 1 and type(args[0]) is SizeInt:
        return args[0]
    if cls in (int, float) and not kwargs and len(args) == 1:
        found = scalars.call(s, cls, args)
        if found is not NotImplemented:
            return found
    if cls is slice:
        return slice(*[x if type(x) is SizeInt else s.operators.settle(x) for x in args])
    args = tuple(s.operators.settle(x) for x in args)
    if any(isinstance(x, Tensor) for x in args):
        raise Break("tensor-value", f"{cls.__name__}() of a tensor")
    if len(args) == 1 and by_python(type(args[0])) and cls in (int, float):
        special = "__float__" if cls is float else "__int__"
        if isinstance(find(type(args[0]), special), types.FunctionType):
            return s.operators.special(args[0], special)
    if not all(map(s.operators.is_plain, args)):
        raise Break("own-number", f"{cls.__name__}() of an object with code of its own")
    return s.native(cls, *args, **{k: concrete(v) for k, v in kwargs.items()})


@_makes(str)
def _str(s: Session, cls: type, *args: Any) -> Any:
    return "" if not args else s.operators.text(args[0], str) if len(args) == 1 else s.native(str, *args)


@_makes(type)
def _type(s: Session, cls: type, *args: Any) -> Any:
    if len(args) == 3 and type(args[0]) is str and type(args[2]) is dict:
        bases = tuple(s.operators.items(args[1]))
        class_statements.check(bases, {})
        return class_statements.make(s, args[0], bases, {"__module__": s.frames[-1].globals.get("__name__"), **args[2]})
    if len(args) != 1:
        raise Break("class-statement", "a class made by type()")
    if isinstance(args[0], Generator):
        return args[0].kind
    if isinstance(args[0], LATE):
        return late_ops.class_of(args[0])
    return python_type(args[0])


@_makes(property, classmethod, staticmethod, types.MethodType, types.SimpleNamespace)
def _wrapper(s: Session, cls: type, *args: Any, **kwargs: Any) -> Any:
    return s.native(cls, *args, **kwargs)


@_makes(functools.partial)
def _partial(s: Session, cls: type, fn: Any, *args: Any, **kwargs: Any) -> Any:
    return s.native(functools.partial, fn, *args, **kwargs)


@_makes(super)
def _super_class(s: Session, cls: type, *args: Any) -> Any:
    return _super(s, *args)


# -- operator module, state of the library ----------------------------------------------------------------------------------


def _operator_module() -> None:
    for symbol, fn in BINARY.items():
        SPECIAL[fn] = functools.partial(lambda sym, s, a, b: s.operators.binary(sym, a, b), symbol)
    for symbol, fn in COMPARE.items():
        SPECIAL[fn] = functools.partial(lambda sym, s, a, b: s.operators.compare(sym, a, b), symbol)
    for symbol, unary in UNARY.items():
        SPECIAL[unary] = functools.partial(lambda sym, s, x: s.operators.unary(sym, x), symbol)


_operator_module()


@models(operator.setitem)
def _setitem(s: Session, obj: Any, key: Any, value: Any) -> None:
    subscripts.store(s, obj, key, value)


@models(operator.delitem)
def _delitem(s: Session, obj: Any, key: Any) -> None:
    subscripts.store(s, obj, key, NULL)


@models(operator.is_)
def _is(s: Session, a: Any, b: Any) -> bool:
    return s.operators.same(a, b)


@models(operator.is_not)
def _is_not(s: Session, a: Any, b: Any) -> bool:
    return not s.operators.same(a, b)


@models(operator.truth)
def _truth(s: Session, x: Any) -> bool:
    return s.operators.truth(x)


@models(operator.not_)
def _not(s: Session, x: Any) -> bool:
    return not s.operators.truth(x)


@models(operator.getitem)
def _getitem(s: Session, obj: Any, key: Any) -> Any:
    return subscripts.load(s, obj, key)
