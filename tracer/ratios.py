"""Floats that follow from sizes which a capture does not fix: ``1 / x.shape[0]``, ``n / (n - 1)``.

As an operand such a float is computed in the graph, in float64; at any other use it becomes the number at hand, which fixes the
sizes. Makes no guard itself.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

_OPS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv,
}  # fmt: skip
_DEEPEST = 8


class SizeFloat(float):
    """``op(*args)`` of sizes, floats of sizes and numbers; `raw` now."""

    raw: float
    op: str
    args: tuple[Any, Any]
    depth: int
    plain = float

    def __new__(cls, raw: float, op: str, args: tuple[Any, Any]) -> SizeFloat:
        self = super().__new__(cls, raw)
        self.raw, self.op, self.args = raw, op, args
        self.depth = 1 + max(getattr(x, "depth", 0) for x in args)
        return self

    def pin(self) -> float:
        """The number, which the guards fix from now on."""
        for x in self.args:
            settled(x)
        return self.raw

    def __reduce__(self) -> Any:
        return float, (self.pin(),)


def settled(x: Any) -> Any:
    """A symbolic number of any kind as the number that the guards fix from now on; anything else as it is."""
    if hasattr(x, "pin"):
        return x.pin()
    if hasattr(x, "sym"):
        x.sym.pin()
        return x.raw
    return x


def ratio(op: str, a: Any, b: Any) -> Any:
    """``a op b`` for numbers one of which follows from sizes; NotImplemented for what is no number."""
    a, b = (settled(x) if hasattr(x, "sym") else x for x in (a, b))  # a number that is an input is no part of a float of sizes
    left, right = (getattr(x, "raw", x) for x in (a, b))
    if not all(type(x) in (int, float) for x in (left, right)):
        return NotImplemented
    deep = max(getattr(x, "depth", 0) for x in (a, b)) >= _DEEPEST
    if deep or (op == "div" and right == 0) or max(abs(left), abs(right)) > 2**53:
        return _OPS[op](settled(a), settled(b))
    return SizeFloat(_OPS[op](left, right), op, (a, b))


def _method(op: str, reflected: bool) -> Callable[[Any, Any], Any]:
    return lambda self, other: ratio(op, other, self) if reflected else ratio(op, self, other)


def _pinning(name: str) -> Callable[..., Any]:
    method = getattr(float, name)
    return lambda self, *args: method(self.pin(), *map(settled, args))


def _install() -> None:
    for name, op in (("add", "add"), ("sub", "sub"), ("mul", "mul"), ("truediv", "div")):
        setattr(SizeFloat, f"__{name}__", _method(op, False))
        setattr(SizeFloat, f"__r{name}__", _method(op, True))
    for name in (
        "floordiv", "rfloordiv", "mod", "rmod", "divmod", "rdivmod", "pow", "rpow", "eq", "ne", "lt", "le", "gt", "ge", "hash",
        "bool", "int", "float", "round", "trunc", "floor", "ceil", "abs", "pos",
    ):  # fmt: skip
        setattr(SizeFloat, f"__{name}__", _pinning(f"__{name}__"))
    own: Any = SizeFloat
    own.__neg__ = lambda self: ratio("mul", self, -1)
    own.__repr__ = own.__str__ = lambda self: repr(self.raw)  # messages; the tracer settles what the user makes text of


_install()
