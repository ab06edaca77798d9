"""What the symbolic interpreter's frames hold.

Almost everything is the Python object itself, followed exactly. Three things are not: an unbound slot or a stack NULL
(`bytecode.NULL`), a value not loaded yet (`Lazy`), and a number from outside (`SymInt`, `SymFloat`): a real int or float that
stays an input of the graph as long as it only meets arithmetic and tensor ops, and becomes a guarded constant at any other use.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Protocol, Union

from ..ir.lazyclass import dataclass
from ..runtime import arithmetic
from ..runtime.source import Source
from .ratios import SizeFloat
from .symbols import SizeInt


@dataclass(frozen=True, slots=True)
class Lazy:
    """A value from outside whose guards are not due yet: nothing has looked at it."""

    value: Any
    source: Source


@dataclass(frozen=True, slots=True)
class Leaf:
    """A number at `source`."""

    source: Source


@dataclass(frozen=True, slots=True)
class Apply:
    """Arithmetic on numbers that every call repeats: `op` is a name of `arithmetic`; arguments are exprs or constants."""

    op: str
    args: tuple[Any, ...]
    depth: int = 1


Expr = Union[Leaf, Apply]


class World(Protocol):
    """What notes how numbers from outside are used."""

    def pin(self, source: Source, value: Any) -> None:
        """The number at `source` is this one from here on."""

    def decide(self, expr: Apply, truth: bool) -> None:
        """A comparison has come out so; it must, at every call."""

    def need(self, expr: Apply, cls: type) -> None:
        """Arithmetic that may fail, or give another type, must give this one."""


class Sym:
    """Where a symbolic number comes from. `pin` makes it a constant: it guards every leaf."""

    __slots__ = ("expr", "leaves", "pinned", "world")

    def __init__(self, expr: Expr, leaves: tuple[tuple[Source, Any], ...], world: World) -> None:
        self.expr, self.leaves, self.world, self.pinned = expr, leaves, world, False

    def pin(self) -> None:
        if not self.pinned:
            for source, value in self.leaves:
                self.world.pin(source, value)
            self.pinned = True


class SymFloat(float):
    """A float that is an input."""

    __slots__ = ("raw", "sym")
    raw: float
    sym: Sym
    plain = float

    def __new__(cls, value: float, sym: Sym) -> SymFloat:
        self = super().__new__(cls, value)
        self.raw, self.sym = value, sym
        return self


class SymInt(int):
    """An int that is an input."""

    raw: int
    sym: Sym
    plain = int

    def __new__(cls, value: int, sym: Sym) -> SymInt:
        self = super().__new__(cls, value)
        self.raw, self.sym = value, sym
        return self


SYMBOLIC = (SymFloat, SymInt, SizeInt, SizeFloat)


def concrete(x: Any) -> Any:
    """A symbolic number as a guarded constant; anything else as it is."""
    if type(x) is SizeInt or type(x) is SizeFloat:
        return x.pin()
    if type(x) is SymFloat or type(x) is SymInt:
        x.sym.pin()
        return x.raw
    return x


def python_type(x: Any) -> type:
    """``type(x)`` as the user's program sees it."""
    cls = type(x)
    return cls.plain if cls is SymFloat or cls is SymInt or cls is SizeInt or cls is SizeFloat else cls


_MAX_DEPTH = 24


def _expr(x: Any) -> Any:
    return x.sym.expr if isinstance(x, (SymFloat, SymInt)) and not x.sym.pinned else _raw(x)


def _raw(x: Any) -> Any:
    """The plain number without pinning."""
    return x.raw if isinstance(x, SYMBOLIC) else x


def symbolic(expr: Expr, value: Any, leaves: tuple[tuple[Source, Any], ...], world: World) -> Any:
    """A number that follows from those at `leaves`, which is `value` now."""
    sym = Sym(expr, leaves, world)
    return SymFloat(value, sym) if type(value) is float else SymInt(value, sym)


def apply(op: str, *args: Any) -> Any:
    """``op(*args)``, a name of `arithmetic`, for numbers one of which is symbolic: symbolic again, or a truth that guards hold on
    to; NotImplemented where that cannot be: then all are to become constants."""
    args = tuple([x.pin() if type(x) in (SizeInt, SizeFloat) else x for x in args])
    syms = [x.sym for x in args if isinstance(x, (SymFloat, SymInt)) and not x.sym.pinned]
    exprs = tuple(map(_expr, args))
    depth = 1 + max([getattr(e, "depth", 0) for e in exprs])
    if not syms or depth > _MAX_DEPTH:
        return NotImplemented
    try:
        result = arithmetic.compute(op, list(map(_raw, args)))
    except ValueError:
        return NotImplemented
    made, world = Apply(op, exprs, depth), syms[0].world
    if type(result) is bool:
        world.decide(made, result)
        return result
    if op not in arithmetic.SAFE:
        world.need(made, type(result))
    leaves = tuple(dict.fromkeys([leaf for sym in syms for leaf in sym.leaves]))
    return symbolic(made, result, leaves, world)


def _arithmetic(name: str, reflected: bool) -> Callable[[Any, Any], Any]:
    op = divmod if name == "divmod" else getattr(operator, name)
    symbol = _SYMBOLS.get(name)

    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, (int, float)):
            return NotImplemented
        a, b = (other, self) if reflected else (self, other)
        found = NotImplemented if symbol is None else apply(symbol, *[int(x) if type(x) is bool else x for x in (a, b)])
        return op(concrete(a), concrete(b)) if found is NotImplemented else found

    return method


def _comparison(name: str) -> Callable[[Any, Any], Any]:
    op = getattr(operator, name)

    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, (int, float)):
            return NotImplemented
        found = apply(_SYMBOLS[name], self, int(other) if type(other) is bool else other)
        return op(concrete(self), concrete(other)) if found is NotImplemented else found

    return method


def _pinning(plain: type, name: str) -> Callable[..., Any]:
    method = getattr(plain, name)

    def pinned(self: Any, *args: Any) -> Any:
        return method(concrete(self), *map(concrete, args))

    return pinned


_SYMBOLS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**",
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
}  # fmt: skip
_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow")
_BITWISE = ("and", "or", "xor", "lshift", "rshift")
_LOOKS = ("hash", "int", "float", "index", "trunc", "floor", "ceil", "repr", "str", "format", "pos", "invert", "round")


def _install(cls: type, plain: type) -> None:
    for name in _BINARY:
        setattr(cls, f"__{name}__", _arithmetic(name, False))
        setattr(cls, f"__r{name}__", _arithmetic(name, True))
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(cls, f"__{name}__", _comparison(name))
    for name in _BITWISE:
        for spelling in (f"__{name}__", f"__r{name}__"):
            if hasattr(plain, spelling):
                setattr(cls, spelling, _pinning(plain, spelling))
    for name in _LOOKS:
        if hasattr(plain, f"__{name}__"):
            setattr(cls, f"__{name}__", _pinning(plain, f"__{name}__"))
    own: Any = cls
    own.__neg__ = lambda self: self * -1  # -x == x * -1, for ints, floats, zeros and infinities
    own.__bool__ = lambda self: self != 0
    own.__abs__ = lambda self: abs(concrete(self)) if (found := apply("abs", self)) is NotImplemented else found


_install(SymFloat, float)
_install(SymInt, int)
