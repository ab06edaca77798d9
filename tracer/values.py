"""What the symbolic interpreter's frames hold.

Almost everything is the Python object itself, followed exactly. Three things are not: an unbound slot or a stack NULL
(`bytecode.NULL`), a value not loaded yet (`Lazy`), and a number from outside (`SymInt`, `SymFloat`): a real int or float that
stays an input of the graph as long as it only meets arithmetic and tensor ops, and becomes a guarded constant at any other use.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Union

from ..ir.lazyclass import dataclass
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
    """Arithmetic on numbers that the tail repeats at every call: `op` is "+", "-" or "*"; arguments are exprs or constants."""

    op: str
    args: tuple[Any, ...]
    depth: int = 1


Expr = Union[Leaf, Apply]
Specialise = Callable[[Source, Any], None]


class Sym:
    """Where a symbolic number comes from. `pin` makes it a constant: it guards every leaf."""

    __slots__ = ("expr", "leaves", "on_pin", "pinned")

    def __init__(self, expr: Expr, leaves: tuple[tuple[Source, Any], ...], on_pin: Specialise) -> None:
        self.expr, self.leaves, self.on_pin, self.pinned = expr, leaves, on_pin, False

    def pin(self) -> None:
        if not self.pinned:
            self.pinned = True
            for source, value in self.leaves:
                self.on_pin(source, value)


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


_SYMBOL = {"add": "+", "sub": "-", "mul": "*"}
_MAX_DEPTH = 8


def _expr(x: Any) -> Any:
    return x.sym.expr if isinstance(x, (SymFloat, SymInt)) and not x.sym.pinned else _raw(x)


def _raw(x: Any) -> Any:
    """The plain number without pinning."""
    return x.raw if isinstance(x, SYMBOLIC) else x


def _derive(name: str, op: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """`a op b` with one symbolic side, kept symbolic where that is exact and cannot raise."""
    a, b = (x.pin() if type(x) in (SizeInt, SizeFloat) else x for x in (a, b))
    left, right = _raw(a), _raw(b)
    exprs = _expr(a), _expr(b)
    depth = 1 + max(getattr(e, "depth", 0) for e in exprs)
    plain = all(type(x) in (int, float) for x in (left, right))
    mixed = type(left) is not type(right) and max(abs(left), abs(right)) > 2**53
    if name not in _SYMBOL or depth > _MAX_DEPTH or not plain or mixed:
        return op(concrete(a), concrete(b))
    result = op(left, right)
    syms = [x.sym for x in (a, b) if isinstance(x, (SymFloat, SymInt))]
    leaves = tuple(leaf for sym in syms if not sym.pinned for leaf in sym.leaves)
    if not leaves:
        return result
    sym = Sym(Apply(_SYMBOL[name], exprs, depth), leaves, syms[0].on_pin)
    return SymFloat(result, sym) if type(result) is float else SymInt(result, sym)


def _arithmetic(name: str, reflected: bool) -> Callable[[Any, Any], Any]:
    op = divmod if name == "divmod" else getattr(operator, name)

    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, (int, float)):
            return NotImplemented
        return _derive(name, op, other, self) if reflected else _derive(name, op, self, other)

    return method


def _pinning(plain: type, name: str) -> Callable[..., Any]:
    method = getattr(plain, name)

    def pinned(self: Any, *args: Any) -> Any:
        return method(concrete(self), *map(concrete, args))

    return pinned


_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow")
_BITWISE = ("and", "or", "xor", "lshift", "rshift")
_LOOKS = (
    "eq", "ne", "lt", "le", "gt", "ge", "hash", "bool", "int", "float", "index", "round", "trunc", "floor", "ceil", "repr", "str",
    "format", "abs", "pos", "invert",
)  # fmt: skip


def _install(cls: type, plain: type) -> None:
    for name in _BINARY:
        setattr(cls, f"__{name}__", _arithmetic(name, False))
        setattr(cls, f"__r{name}__", _arithmetic(name, True))
    for name in _BITWISE:
        for spelling in (f"__{name}__", f"__r{name}__"):
            if hasattr(plain, spelling):
                setattr(cls, spelling, _pinning(plain, spelling))
    for name in _LOOKS:
        if hasattr(plain, f"__{name}__"):
            setattr(cls, f"__{name}__", _pinning(plain, f"__{name}__"))
    # -x == x * -1, for ints, floats, zeros and infinities
    cls.__neg__ = lambda self: _derive("mul", operator.mul, self, -1)  # type: ignore[operator]


_install(SymFloat, float)
_install(SymInt, int)
