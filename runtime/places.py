"""Where another process finds an object that a capture holds: a function, class, module, namespace, cell.

`Places` says so for the objects of one capture, as records of a `codec.Writer`, each with the object's fingerprint; `Finder`
makes the records good again in the process that reads, on the arguments at hand. Guards are records among them, in their order:
no object is looked for through one that is not checked. Nothing of the user's runs.
"""

from __future__ import annotations

import enum
import importlib
import sys
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from . import fingerprint
from .codec import Unwritable, Writer
from .fingerprint import Opaque, module_name, module_named, named, trusted
from .guard import GONE, ClassAttrIs, Guard, Is, TensorIs, TypeIs, holds
from .source import Attr, Cell, Const, InstanceDict, Item, Length, Next, Source

_OURS = __name__.split(".")[0]
_PARTS = ("__func__", "__code__", "__globals__", "fget", "fset", "fdel", "__wrapped__")


class Unfit(Exception):
    """What was stored is not for this call: an object is gone or another one now, or a guard does not hold."""


def _base(source: Source) -> Source:
    while isinstance(source, (Attr, Cell, InstanceDict, Item, Length, Next)):
        source = source.base
    return source


def _consts(x: Any, found: dict[int, Any], seen: set[int]) -> None:
    """Every object that a guard or source holds as the root of a way."""
    if id(x) in seen:
        return
    seen.add(id(x))
    if isinstance(x, Const):
        found[id(x.value)] = x.value
    elif isinstance(x, tuple):
        for part in x:
            _consts(part, found, seen)
    elif hasattr(x, "__dataclass_fields__") and not isinstance(x, type):
        for name in x.__dataclass_fields__:
            _consts(getattr(x, name), found, seen)


class Places:
    """Says where the objects of one capture of `function` lie. `special`: objects that the reader knows by a name."""

    def __init__(
        self, function: types.FunctionType, guards: Sequence[Guard], special: dict[str, Any], args: Sequence[Any] | None = None
    ) -> None:
        self.function, self.args = function, args
        self.writer = Writer(self.number)
        self.special = {id(x): name for name, x in special.items()}
        self.numbers: dict[int, tuple[Any, int]] = {}
        self.ways: dict[int, tuple[Any, ...]] = {}
        self.roots: dict[int, Any] = {}
        self._under_way: set[int] = set()
        self.functions: list[types.FunctionType] = [function]
        _consts(tuple(guards), self.roots, set())
        for guard in guards:
            self._note(guard)
        self.functions += [x for x in self.roots.values() if isinstance(x, types.FunctionType)]

    def _note(self, guard: Guard) -> None:
        if isinstance(guard, Is):
            self._way(guard.value, ("place", guard.source))
        elif isinstance(guard, (TypeIs, TensorIs)):
            self._way(guard.cls, ("type", guard.source))
            if isinstance(guard, TensorIs) and self.args is not None:
                self._way(guard.source.load(self.args), ("tensor", guard.source))  # as a key of an optimiser's state
        elif isinstance(guard, ClassAttrIs) and not guard.missing:
            self._way(guard.value, ("entry", guard.cls, guard.name))
            if isinstance(guard.value, (staticmethod, classmethod, property)):
                self._parts_of(guard.value)

    def _parts_of(self, value: Any) -> None:
        """The functions that a class's static method, class method or property holds."""
        for name in ("__func__", "fget", "fset", "fdel"):
            part = getattr(value, name, None)
            if part is not None:
                self._way(part, ("part", value, name))

    def _way(self, x: Any, way: tuple[Any, ...]) -> None:
        base = _base(way[1]) if way[0] in ("place", "type") else None
        if isinstance(base, Const) and base.value is x:
            return
        self.ways.setdefault(id(x), way)
        if isinstance(x, types.FunctionType):
            self.functions.append(x)

    def guards(self, guards: Iterable[Guard]) -> None:
        """Write the guards."""
        for guard in guards:
            self.writer.emit("guard", self.writer.add(guard), shared=False)

    def number(self, x: Any) -> int:
        """The number of an object, which is written with its place where it is not yet."""
        known = self.numbers.get(id(x))
        if known is not None:
            return known[1]
        if id(x) in self._under_way:
            raise Unwritable(f"{_describe(x)} is reached through itself only")
        self._under_way.add(id(x))
        kind, *parts = self._find(x)
        places = [self.writer.add(part) for part in parts]
        deep = self._unguarded(x)
        try:
            print_ = "" if kind in _SURE else fingerprint.of(x, deep)
        except Opaque as unknown:
            raise Unwritable(f"{_describe(x)}: {unknown}") from None
        self._under_way.discard(id(x))
        self.writer.emit("at " + kind, *places, self.writer.add(print_), self.writer.add(deep), shared=False)
        self.numbers[id(x)] = x, len(self.numbers)
        return len(self.numbers) - 1

    def _unguarded(self, x: Any) -> bool:
        """Whether `x` is a method that no guard looks into: what it holds counts by value."""
        way = self.ways.get(id(x))
        return isinstance(x, types.FunctionType) and way is not None and way[0] == "entry" and id(x) not in self.roots

    def _find(self, x: Any) -> tuple[Any, ...]:
        name = self.special.get(id(x))
        if name is not None:
            return "special", name
        if x is self.function:
            return ("function",)
        if isinstance(x, types.ModuleType) and sys.modules.get(x.__name__) is x:
            return "module", module_name(x.__name__)
        module, qualname = _name_of(x)
        module = module_name(module)
        by_name = named(module, qualname) is x
        if by_name and trusted(module):
            return "name", module, qualname
        way = self.ways.get(id(x)) or self._inside(x)
        if way is not None:
            return way
        if by_name:
            return "name", module, qualname
        return self._by_search(x)

    def _inside(self, x: Any) -> tuple[Any, ...] | None:
        """A part of something that is found."""
        if isinstance(x, types.CellType):
            return next(
                (("cell", fn, i) for fn in self.functions for i, cell in enumerate(fn.__closure__ or ()) if cell is x), None
            )
        if isinstance(x, types.CodeType):
            return self._code(x)
        if type(x) is dict:
            if self.function.__globals__ is x:
                return "part", self.function, "__globals__"
            module = sys.modules.get(str(x.get("__name__")))
            if module is not None and vars(module) is x:
                return "namespace", module_name(module.__name__)
            for fn in self.functions:
                if fn.__globals__ is x:
                    return "part", fn, "__globals__"
        if isinstance(x, enum.Enum) and type(x).__members__.get(x.name) is x:
            return "member", type(x), x.name
        return None

    def _code(self, x: types.CodeType) -> tuple[Any, ...] | None:
        for fn in self.functions:
            if fn.__code__ is x:
                return "part", fn, "__code__"
        codes = [fn.__code__ for fn in self.functions]
        for code in codes:
            for i, inner in enumerate(code.co_consts):
                if inner is x:
                    return "constant", code, i
                if isinstance(inner, types.CodeType) and inner not in codes:
                    codes.append(inner)
        return None

    def _by_search(self, x: Any) -> tuple[Any, ...]:
        """An entry of a module that one of the functions is of."""
        for fn in self.functions:
            for name, value in list(fn.__globals__.items()):
                if value is x:
                    return "item", fn, name
        for name in sorted(n for n in sys.modules if n.split(".")[0] == _OURS):
            module = sys.modules[name]
            held = list(vars(module).items()) if isinstance(module, types.ModuleType) else ()
            for key, value in held:
                if value is x:
                    return "name", name, key
        raise Unwritable(f"{_describe(x)} has no place by which another process can find it")


#: kinds of places that say what lies there by themselves
_SURE = ("special", "function", "module", "namespace", "tensor")


def _name_of(x: Any) -> tuple[Any, Any]:
    if isinstance(x, (types.FunctionType, type)):
        return x.__module__, x.__qualname__
    if isinstance(x, (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)):
        owner = getattr(x, "__objclass__", None)
        return (x.__module__, x.__qualname__) if owner is None else (owner.__module__, x.__qualname__)  # type: ignore[union-attr]
    return None, None


def _describe(x: Any) -> str:
    name = getattr(x, "__qualname__", None) or getattr(x, "__name__", None)
    return f"{type(x).__name__} {name}" if isinstance(name, str) else f"an object of type {type(x).__name__}"


# ---- in the process that reads ---------------------------------------------------------------------------------------


class Finder:
    """Finds the objects of a stored capture again, for one call of `function` with bound arguments `args`."""

    def __init__(self, function: types.FunctionType, args: Sequence[Any], special: Callable[[str], Any]) -> None:
        self.function, self.args, self.special = function, args, special
        self.objects: list[Any] = []
        self.guards: list[Guard] = []
        self.records: dict[str, Callable[..., Any]] = {"guard": self._guard}
        for kind in ("special", "function", "module", "namespace", "name", "place", "tensor", "type", "entry", "part", "cell",
                     "member", "constant", "item"):  # fmt: skip
            self.records["at " + kind] = self._maker(getattr(self, "_" + kind))

    def foreign(self, number: int) -> Any:
        """The object of this number."""
        return self.objects[number]

    def _guard(self, guard: Guard) -> None:
        if not holds(guard, self.args):
            raise Unfit(guard.expr())
        self.guards.append(guard)

    def _maker(self, find: Callable[..., Any]) -> Callable[..., None]:
        def make(*parts: Any) -> None:
            *way, print_, deep = parts
            try:
                found = find(*way)
                same = not print_ or fingerprint.of(found, deep) == print_
            except (*GONE, Opaque) as gone:
                raise Unfit(f"{find.__name__[1:]} {way}: {gone}") from None
            if not same:
                raise Unfit(f"{_describe(found)} is another one now")
            self.objects.append(found)

        return make

    def _special(self, name: str) -> Any:
        return self.special(name)

    def _function(self) -> Any:
        return self.function

    def _module(self, name: str) -> Any:
        if name not in sys.modules and name.split(".")[0] == _OURS:
            importlib.import_module(name)
        found = module_named(name)
        if found is None:
            raise KeyError(name)
        return found

    def _namespace(self, name: str) -> Any:
        return vars(self._module(name))

    def _name(self, module: str, qualname: str) -> Any:
        self._module(module)
        found = named(module, qualname)
        if found is None:
            raise KeyError(f"{module}.{qualname}")
        return found

    def _place(self, source: Source) -> Any:
        return source.load(self.args)

    def _tensor(self, source: Source) -> Any:
        return source.load(self.args)

    def _type(self, source: Source) -> Any:
        return type(source.load(self.args))

    def _entry(self, cls: type, name: str) -> Any:
        return next(base.__dict__[name] for base in cls.__mro__ if name in base.__dict__)

    def _part(self, x: Any, name: str) -> Any:
        if name not in _PARTS:
            raise KeyError(name)
        return getattr(x, name)

    def _cell(self, fn: Any, index: int) -> Any:
        return fn.__closure__[index]

    def _member(self, cls: Any, name: str) -> Any:
        return cls.__members__[name]

    def _constant(self, code: types.CodeType, index: int) -> Any:
        return code.co_consts[index]

    def _item(self, fn: Any, name: str) -> Any:
        return fn.__globals__[name]


