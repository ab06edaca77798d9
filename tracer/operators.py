"""Operators, subscripts, truth, iteration and text on what the interpreter holds, dispatched as CPython does.

Built-in values and Tensors run natively; special methods of the user's classes are followed as bytecode.
"""

from __future__ import annotations

import collections
import enum
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..eager.device import Device
from ..eager.tensor import Tensor
from ..ir.dtypes import DType
from ..ir.op import Effects, Op
from ..ir.types import ScalarType, TensorType
from ..runtime.size import Size
from . import equivalents, late_ops, scalars
from .attributes import Namespace, find, snapshot
from .breaks import Break, UserRaise, describe
from .bytecode import BINARY, COMPARE, NULL, UNARY
from .classes import by_python
from .generators import Generator
from .guards import of_library
from .late import LATE, Late, weak
from .ratios import SizeFloat
from .symbols import SizeInt
from .values import SYMBOLIC, SymInt, concrete

if TYPE_CHECKING:
    from .session import Session

CONTAINERS = (
    list,
    tuple,
    dict,
    set,
    frozenset,
    collections.OrderedDict,
    collections.deque,
    collections.defaultdict,
    collections.Counter,
)
RECORDS = (DType, Op, Effects, TensorType, ScalarType, Device)  # the library's own values, which never change
ATOMS = (
    type(None),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    bytearray,
    range,
    slice,
    type(Ellipsis),
    type(NotImplemented),
    *RECORDS,
)
VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()), types.MappingProxyType)
_EXAMPLES: tuple[Any, ...] = (
    iter([]), iter(()), iter({}), iter({}.values()), iter({}.items()), iter(set()), iter(range(0)), iter(range(2**70)), iter(""),
    iter(b""), iter(collections.OrderedDict()), iter(collections.deque()), enumerate([]), zip(), reversed([]), reversed(()),
    reversed({}), reversed(range(0)),
)  # fmt: skip
ITERATORS: tuple[type, ...] = tuple(map(type, _EXAMPLES))
_NAMES = {
    "+": "add", "&": "and", "//": "floordiv", "<<": "lshift", "@": "matmul", "*": "mul", "%": "mod", "|": "or", "**": "pow",
    ">>": "rshift", "-": "sub", "/": "truediv", "^": "xor",
}  # fmt: skip
_SEQUENCES = (str, bytes, bytearray, list, tuple, collections.deque)
_IN_PLACE = {f"__i{name}__" for name in _NAMES.values()}
_COMPARISONS = {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"}
_LOOKS = ("__eq__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__", "__iter__", "__len__", "__getitem__", "__contains__")
_COMPARE = {"<": ("lt", "gt"), "<=": ("le", "ge"), "==": ("eq", "eq"), "!=": ("ne", "ne"), ">": ("gt", "lt"), ">=": ("ge", "le")}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_UNARY = {"-": "neg", "+": "pos", "~": "invert"}


def is_native(x: Any) -> bool:
    """Whether operators on `x` run no code of the user's: built-in types, Tensors, and classes that only inherit from them."""
    cls = type(x)
    return not by_python(cls) or isinstance(x, (Tensor, *SYMBOLIC, *RECORDS, types.ModuleType))


class Operators:
    """What the operator instructions do."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def is_native(self, x: Any) -> bool:
        """`is_native`, where the content is guarded; a break where it is not."""
        if self.session.outside.is_opaque(x):
            raise Break("outside-object", f"the content of {describe(x)}, which comes from outside")
        self.session.outside.open(x)
        return is_native(x)

    # -- values ----------------------------------------------------------------------------------------------------

    def settle(self, x: Any, keep: tuple[type, ...] = ()) -> Any:
        """`x` for native code: symbolic numbers in it, however deep, become constants, but those of types in `keep`."""
        if isinstance(x, SYMBOLIC):
            return x if type(x) in keep else concrete(x)
        self.session.outside.open(x)
        if type(x) in (list, tuple, Size, set, frozenset) and any(self._unsettled(y, keep) for y in x):
            return type(x)([self.settle(y, keep) for y in x])
        if type(x) is dict and any(self._unsettled(y, keep) for y in x.values()):
            return {k: self.settle(v, keep) for k, v in x.items()}
        if isinstance(x, tuple) and type(x) is not tuple:
            for y in tuple.__iter__(x):
                self.settle(y, keep)  # in its place: the numbers are guarded from now on
        if type(x) is slice and any(self._unsettled(y, keep) for y in (x.start, x.stop, x.step)):
            return slice(*[self.settle(y, keep) for y in (x.start, x.stop, x.step)])
        return x

    def _unsettled(self, x: Any, keep: tuple[type, ...]) -> bool:
        if isinstance(x, SYMBOLIC):
            return type(x) not in keep
        return type(x) in (list, tuple, Size, dict, set, frozenset, slice) and self.settle(x, keep) is not x

    def is_plain(self, x: Any, depth: int = 0) -> bool:
        """Whether native code may do anything with `x`: no object of the user's classes is in it, however deep."""
        if depth > 20 or self.session.outside.is_opaque(x) or type(x) in LATE:
            return False
        self.session.outside.open(x)
        cls = type(x)
        if isinstance(x, tuple) and all(find(cls, name) is find(tuple, name) for name in _LOOKS):
            return all(self.is_plain(y, depth + 1) for y in tuple.__iter__(x))
        if cls in CONTAINERS:
            parts = (y for kv in x.items() for y in kv) if isinstance(x, dict) else x
            return all(self.is_plain(y, depth + 1) for y in parts)
        if isinstance(x, (Tensor, *SYMBOLIC, *RECORDS, type)):
            return True
        return (isinstance(x, ATOMS) and not by_python(cls)) or of_library(cls.__module__)

    def is_inert(self, x: Any, depth: int = 0) -> bool:
        """Whether native code may compare and hash `x`, however deep, without running code of the user's or needing a tensor's
        values. Objects that compare by identity are guarded to be no other."""
        if type(x) in LATE:
            raise x.needed()
        if depth > 20 or self.session.outside.is_opaque(x):
            return False
        self.session.outside.open(x)
        if (isinstance(x, ATOMS) and not by_python(type(x))) or isinstance(x, (Tensor, *SYMBOLIC, *RECORDS)):
            return True
        if isinstance(x, (list, tuple, set, frozenset, collections.deque)):
            plain = not by_python(type(x)) or (isinstance(x, tuple) and find(type(x), "__eq__") is tuple.__eq__)
            return plain and all(self.is_inert(y, depth + 1) for y in x)
        if isinstance(x, dict):
            return not by_python(type(x)) and all(self.is_inert(y, depth + 1) for kv in x.items() for y in kv)
        if isinstance(x, (type, types.ModuleType)):
            return True
        if find(type(x), "__eq__") is not object.__eq__ or find(type(x), "__hash__") is not object.__hash__:
            return False
        self.session.outside.individual(x)
        return True

    def is_key(self, x: Any) -> bool:
        """`is_inert` for what is looked up by its hash: Tensors too are found by identity."""
        if isinstance(x, Tensor):
            self.session.outside.individual(x)
        return self.is_inert(x) and (type(x) is not tuple or all(map(self.is_key, x)))

    # -- arithmetic --------------------------------------------------------------------------------------------------

    def binary(self, symbol: str, a: Any, b: Any) -> Any:
        """``a symbol b``, in-place forms included."""
        fn = BINARY[symbol]
        if type(a) is bool and isinstance(b, SYMBOLIC):
            a = int(a)  # bool's own methods would read the number unasked
        if type(a) is str and symbol[0] == "%" and isinstance(b, tuple) and type(b) is not tuple:
            b = self.settle(b)  # the text of a named tuple: str reads the numbers unasked
        if type(a) in LATE or type(b) in LATE:
            if isinstance(a, Tensor) or isinstance(b, Tensor):
                return self.session.native(fn, weak(a), weak(b))
            return late_ops.binary(self.session, symbol, a, b)
        if self.is_native(a) and self.is_native(b):
            return self._native_binary(symbol, fn, a, b)
        name = _NAMES[symbol.rstrip("=")]
        if symbol.endswith("="):
            found = self.try_special(a, f"__i{name}__", (b,))
            if found is not NotImplemented:
                return found
        return self._reflected(symbol, a, b, f"__{name}__", f"__r{name}__")

    def _native_binary(self, symbol: str, fn: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
        if type(a) is str and symbol.startswith("%"):
            found = scalars.in_texts(self.session, b)
            if found is not NotImplemented:
                return late_ops.percent(self.session, a, found)
        numbers = (int, float)
        if isinstance(a, SYMBOLIC) or isinstance(b, SYMBOLIC):
            keep = isinstance(a, (Tensor, *numbers)) and isinstance(b, (Tensor, *numbers))
            if not keep:
                a, b = concrete(a), concrete(b)
        if type(a) in CONTAINERS or type(b) in CONTAINERS:
            if symbol == "%":
                b = self.settle(b)
            change = f"__i{_NAMES[symbol.rstrip('=')]}__"
            if symbol.endswith("=") and type(a) in CONTAINERS and hasattr(type(a), change):
                b = self.session.calls.iterable(b) if type(a) is list and symbol == "+=" else b
                self.session.effects.container(a, change, (b,))
        if type(a) is str and symbol.startswith("%") and late_ops.holds(b):
            return late_ops.percent(self.session, a, b)
        if type(a) is str and symbol.startswith("%") and not self._printable(b):
            raise Break("own-text", "text made of an object with code of its own")
        if isinstance(b, SymInt) and type(a) is float:  # so would it here
            return self.session.native(getattr(SymInt, f"__r{_NAMES[symbol.rstrip('=')]}__"), b, a)
        if isinstance(b, (SizeInt, SizeFloat)) and type(a) is float:  # float's own method would read the int unasked
            found = self.session.native(getattr(type(b), f"__r{_NAMES[symbol.rstrip('=')]}__"), b, a)
            return found if found is not NotImplemented else self.session.native(fn, a, concrete(b))
        return self.session.native(fn, a, b)

    def _reflected(self, symbol: str, a: Any, b: Any, name: str, reflected: str) -> Any:
        order = [(a, name, b), (b, reflected, a)]
        if type(a) is type(b):
            order.pop()
        elif issubclass(type(b), type(a)) and find(type(b), reflected) is not find(type(a), reflected):
            order.reverse()
        for x, method, y in order:
            found = self.try_special(x, method, (y,))
            if found is not NotImplemented:
                return found
        text = f"unsupported operand type(s) for {symbol}: '{type(a).__name__}' and '{type(b).__name__}'"
        raise self.session.thrown(TypeError(text))

    def try_special(self, x: Any, name: str, args: tuple[Any, ...]) -> Any:
        """The special method's result; NotImplemented where there is none."""
        if isinstance(x, Tensor):
            return self.session.native(getattr(type(x), name), x, *args) if hasattr(type(x), name) else NotImplemented
        raw = self.session.attributes.of_class(x, name)
        if raw is NULL or raw is None:
            return NotImplemented
        if (
            isinstance(raw, types.WrapperDescriptorType)
            and isinstance(x, (*ATOMS, *CONTAINERS))
            and not any(map(self.is_native, args))
        ):
            free = name in _COMPARISONS or not (isinstance(x, _SEQUENCES) or name.startswith("__i"))
            if not free and not all(map(self.is_plain, args)):
                code = "own-text" if isinstance(x, str) else "own-number"
                raise Break(code, f"{name} of {describe(x)} with an object with code of its own")
            found = self.session.native(raw, concrete(x), *args)  # a built-in type says NotImplemented to a stranger
            if name in _IN_PLACE and isinstance(x, CONTAINERS) and found is not NotImplemented:
                self.session.effects.container(x, name, args)
            return found
        return self.session.call(raw, (x, *args))

    def special(self, x: Any, name: str, *args: Any) -> Any:
        """Call a special method that must be there."""
        found = self.try_special(x, name, args)
        if found is NotImplemented:
            raise self.session.thrown(TypeError(f"'{type(x).__name__}' object has no {name}"))
        return found

    def unary(self, symbol: str, x: Any) -> Any:
        """``-x``, ``+x``, ``~x``."""
        if type(x) is Late:
            return late_ops.unary(self.session, symbol, x)
        if self.is_native(x):
            return self.session.native(UNARY[symbol], x)
        return self.special(x, f"__{_UNARY[symbol]}__")

    def compare(self, symbol: str, a: Any, b: Any) -> Any:
        """``a symbol b`` for the six comparisons."""
        if type(a) in (bool, float) and isinstance(b, SYMBOLIC):  # their own methods would read the number unasked
            return self.session.native(COMPARE[_MIRRORED[symbol]], b, a)
        if type(a) in LATE or type(b) in LATE:
            if isinstance(a, Tensor) or isinstance(b, Tensor):
                return self.session.native(COMPARE[symbol], weak(a), weak(b))
            return late_ops.compare(self.session, symbol, a, b)
        if self._comparable(a) and self._comparable(b):
            return self.session.native(COMPARE[symbol], a, b)
        name, reflected = _COMPARE[symbol]
        try:
            return self._compare_user(symbol, a, b, f"__{name}__", f"__{reflected}__")
        except RecursionError as error:
            raise Break("own-comparison", f"a comparison of {describe(a)}") from error

    def _comparable(self, x: Any) -> bool:
        return self.is_plain(x)

    def _compare_user(self, symbol: str, a: Any, b: Any, name: str, reflected: str) -> Any:
        holds = isinstance(a, CONTAINERS) or isinstance(b, CONTAINERS)
        if holds and not self._eq_is_python(a) and not self._eq_is_python(b):
            if symbol in ("==", "!=") and self.is_inert(a) and self.is_inert(b):
                return self.session.native(COMPARE[symbol], a, b)
            raise Break("own-comparison", "a comparison of containers that hold objects with code of their own")
        order = [(a, name, b), (b, reflected, a)]
        if type(a) is not type(b) and issubclass(type(b), type(a)):
            order.reverse()
        for x, method, y in order:
            found = self.try_special(x, method, (y,))
            if found is not NotImplemented:
                return found
        if symbol in ("==", "!="):
            return self.same(a, b) == (symbol == "==")
        text = f"'{symbol}' not supported between instances of '{type(a).__name__}' and '{type(b).__name__}'"
        raise self.session.thrown(TypeError(text))

    def _eq_is_python(self, x: Any) -> bool:
        return isinstance(find(type(x), "__eq__"), types.FunctionType)

    def same(self, a: Any, b: Any) -> bool:
        """``a is b``, guarded where both come from outside."""
        if type(a) in LATE or type(b) in LATE:
            return late_ops.same(a, b)
        if isinstance(a, SYMBOLIC) != isinstance(b, SYMBOLIC) and not (type(a) in (int, float) or type(b) in (int, float)):
            return False
        a, b = concrete(a), concrete(b)
        outside = self.session.outside
        source_a, source_b = outside.source_of(a), outside.source_of(b)
        named = isinstance(a, (type, enum.Enum)) and isinstance(b, (type, enum.Enum))  # by guards of their own
        if source_a is not None and source_b is not None and a is not b and not named:
            outside.apart(source_a, source_b)
        return a is b

    # -- truth, length, iteration, text ----------------------------------------------------------------------------------

    def truth(self, x: Any) -> bool:
        """``bool(x)``."""
        closed = self.session.outside.closed_truth(x)
        if closed is not None:
            return closed
        if type(x) in LATE:
            raise x.needed().as_break(bool) if x.needed().code.startswith("tensor") else x.needed()
        if self.is_native(x):
            return self.session.native(bool, x)  # type: ignore[no-any-return]
        if self.session.attributes.of_class(x, "__bool__") is not NULL:
            return self.special(x, "__bool__")  # type: ignore[no-any-return]
        if self.session.attributes.of_class(x, "__len__") is not NULL:
            return bool(self.special(x, "__len__"))
        return True

    def length(self, x: Any) -> int:
        """``len(x)``."""
        if type(x) is Late:
            return late_ops.length(self.session, x)  # type: ignore[return-value]
        if isinstance(x, Namespace):
            return len(snapshot(self.session, x.owner))
        closed = self.session.outside.closed_length(x)
        if closed is not None:
            return closed  # type: ignore[no-any-return]
        if isinstance(x, Tensor) and x.meta.shape:
            return x.meta.shape[0]
        return self.session.native(len, x) if self.is_native(x) else self.special(x, "__len__")  # type: ignore[no-any-return]

    def iterate(self, x: Any) -> Any:
        """``iter(x)``: a native iterator, or a `Generator`."""
        if type(x) in LATE:
            raise x.needed()
        if isinstance(x, Generator):
            return x
        if isinstance(x, Namespace):
            return self.iterate(snapshot(self.session, x.owner))
        if type(x) is set and id(x) in self.session.outside.changed:  # the order of the real one may be another by now
            raise Break("outside-object", "a loop over a set from outside that was changed")
        if self.session.outside.source_of(x) is not None and isinstance(x, ITERATORS):
            return x
        if self.is_native(x) or (isinstance(x, (tuple, dict)) and not isinstance(find(type(x), "__iter__"), types.FunctionType)):
            if not isinstance(x, (Tensor, *CONTAINERS, *ATOMS, *VIEWS, *ITERATORS)):
                raise Break("outside-object", f"iteration over {describe(x)}")
            it = self.session.native(iter, x)
            self.session.made_from.setdefault(id(it), (it, x))
            return it
        if self.session.attributes.of_class(x, "__iter__") is not NULL:
            return self.special(x, "__iter__")
        if self.session.attributes.of_class(x, "__getitem__") is not NULL:
            return self.session.call(equivalents.by_index, (x,))
        raise self.session.thrown(TypeError(f"'{type(x).__name__}' object is not iterable"))

    def advance(self, it: Any) -> Any:
        """``next(it)``; NULL where it is exhausted."""
        if isinstance(it, Generator):
            return it.advance()
        if self.session.outside.source_of(it) is not None and isinstance(it, ITERATORS):
            return self._take(it)
        if isinstance(it, ITERATORS):
            return self.session.native(next, it, NULL)
        if self.is_native(it):
            raise Break("outside-object", f"the next item of {describe(it)}")
        with self.session.catches():
            try:
                return self.special(it, "__next__")
            except UserRaise as raised:
                if isinstance(raised.exc, StopIteration):
                    return NULL
                raise

    def _take(self, it: Any) -> Any:
        """The next item of an iterator from outside, from which the tail takes it at every call."""
        found = self.session.outside.take(it)
        if found is None:
            raise Break("outer-iterator", f"the next item of {describe(it)}")
        if not found:
            return NULL
        self.session.effects.container(it, "__next__", ())
        return found[0]

    def items(self, x: Any, limit: int = 100_000) -> Iterator[Any]:
        """All items of an iterable, one after the other."""
        it = self.iterate(x)
        for _ in range(limit):
            value = self.advance(it)
            if value is NULL:
                return
            yield value
        raise Break("endless", f"more than {limit} items in one go")

    def contains(self, x: Any, container: Any) -> bool:
        """``x in container``."""
        for each in (x, container):
            if type(each) in LATE:
                raise each.needed()
        if isinstance(container, Namespace):
            return self.session.attributes.in_instance(container.owner, concrete(x)) is not NULL
        if isinstance(container, Tensor):
            raise Break("tensor-value", "membership in a tensor")
        if self.is_native(container):
            x = self.settle(x)
            keyed = isinstance(container, (dict, set, frozenset, VIEWS[0]))
            if not (
                (self.is_key(x) if keyed else self.is_inert(x))
                and (keyed or isinstance(container, (str, bytes, range)) or self.is_inert(self._listed(container)))
            ):
                raise Break("own-comparison", "membership among objects that compare in their own way")
            return self.session.native(lambda: x in container)  # type: ignore[no-any-return]
        if self.session.attributes.of_class(container, "__contains__") is not NULL:
            return self.truth(self.special(container, "__contains__", x))
        return any(self.same(x, y) or self.truth(self.compare("==", y, x)) for y in self.items(container))

    def _listed(self, container: Any) -> Any:
        return [*container] if isinstance(container, VIEWS) else container  # type: ignore[misc]

    def is_printable(self, x: Any) -> bool:
        """Whether native code makes text of `x` without running code of the user's or needing a tensor's values."""
        return self._printable(x)

    def _printable(self, x: Any) -> bool:
        if self.session.outside.is_opaque(x):
            return False
        self.session.outside.open(x)
        if isinstance(x, (*CONTAINERS,)) and not by_python(type(x)):
            return all(self._printable(y) for y in (x.values() if isinstance(x, dict) else x)) and not isinstance(x, Tensor)
        return (
            isinstance(x, (*ATOMS, *SYMBOLIC)) and not (by_python(type(x)) and not isinstance(x, (*SYMBOLIC, *RECORDS)))
        ) or isinstance(x, type)

    def text(self, x: Any, how: Callable[[Any], str]) -> str:
        """``str(x)``, ``repr(x)`` or ``ascii(x)``."""
        x = self.settle(x) if type(x) is Size else x  # its own method would read sizes unasked
        number = scalars.in_text(self.session, x)
        if late_ops.holds(x) or number is not NotImplemented:
            return late_ops.text(self.session, x if number is NotImplemented else number, how)  # type: ignore[return-value]
        if self.session.outside.is_opaque(x):
            raise Break("outside-object", f"the text of {describe(x)}, which comes from outside")
        if self._printable(x) or isinstance(x, Tensor):
            return self.session.native(how, self.settle(x))  # type: ignore[no-any-return]
        for name in ("__str__", "__repr__") if how is str else ("__repr__",):
            raw = self.session.attributes.of_class(x, name)
            if isinstance(raw, types.FunctionType):
                return self._told(self.session.call(raw, (x,)), name, how)
            if raw is not object.__str__:
                break
        if isinstance(x, BaseException) and all(map(self._printable, x.args)):
            self.settle(x.args)
            return self.session.native(how, x)  # type: ignore[no-any-return]
        if isinstance(x, (str, int, float)) and getattr(raw, "__objclass__", None) in (str, int, float):
            return self.session.native(how, x)  # type: ignore[no-any-return]
        raise Break("own-text", f"the text of {describe(x)}")

    def _told(self, text: Any, name: str, how: Callable[[Any], str]) -> str:
        """What a ``__str__`` or ``__repr__`` of the user's has given."""
        if not isinstance(text, (str, *LATE)):
            raise self.session.thrown(TypeError(f"{name} returned non-string (type {type(text).__name__})"))
        if how is ascii and type(text) is str:
            return text.encode("ascii", "backslashreplace").decode()
        return text  # type: ignore[return-value]

    def format(self, x: Any, spec: str) -> str:
        """``format(x, spec)``."""
        x = self.settle(x) if type(x) is Size else x
        number = scalars.in_text(self.session, x)
        if late_ops.holds(x) or isinstance(spec, LATE) or number is not NotImplemented:
            late: str = late_ops.formatted(self.session, x if number is NotImplemented else number, spec)
            return late
        if self._printable(x) or isinstance(x, Tensor):
            return self.session.native(format, self.settle(x), spec)  # type: ignore[no-any-return]
        raw = self.session.attributes.of_class(x, "__format__")
        if isinstance(raw, types.FunctionType):
            return self.session.call(raw, (x, spec))  # type: ignore[no-any-return]
        if spec == "" and raw is object.__format__:
            return self.text(x, str)
        raise Break("own-text", f"the text of {describe(x)}")
