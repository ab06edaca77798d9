"""Arithmetic on plain Python numbers, by name: what a capture leaves to every call. CPython's own operators and `math` do it.

Every name is an operator's symbol, or a function's name; `text` writes a use of it as Python.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

#: infix
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv, "%": operator.mod,
    "**": operator.pow,
}  # fmt: skip
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
#: functions of `math` that follow from their arguments' values alone
MATH: tuple[Callable[..., Any], ...] = (
    math.sqrt, math.exp, math.expm1, math.log, math.log2, math.log10, math.log1p, math.sin, math.cos, math.tan, math.sinh,
    math.cosh, math.tanh, math.asin, math.acos, math.atan, math.atan2, math.erf, math.floor, math.ceil, math.trunc,
    math.fabs, math.hypot,
    math.pow, math.fmod, math.copysign, math.degrees, math.radians, math.isnan, math.isinf, math.isfinite,
)  # fmt: skip
BUILTIN: tuple[Callable[..., Any], ...] = (float, int, abs, round)
FUNCTIONS: dict[str, Callable[..., Any]] = {f.__name__: f for f in BUILTIN} | {f"math.{f.__name__}": f for f in MATH}
NAMES: dict[Any, str] = {f: name for name, f in FUNCTIONS.items()}
#: what gives a result for all ints and floats: no error, no complex number
SAFE = {"+", "-", "*", "abs"}
_LONGEST_POWER = 64  # of an int: a longer one may take its time


def compute(op: str, args: Sequence[Any]) -> Any:
    """``op(*args)`` for plain ints and floats, which is an int, a float or a bool again. ValueError where there is no such."""
    if any(type(x) is not int and type(x) is not float for x in args):
        raise ValueError(f"{text(op, [repr(x) for x in args])} is not arithmetic on plain numbers")
    if op == "**" and type(args[0]) is int and type(args[1]) is int and args[1] > _LONGEST_POWER:
        raise ValueError(f"the power {args[1]} of an int")
    try:
        found = (BINARY.get(op) or COMPARE.get(op) or FUNCTIONS[op])(*args)
    except ArithmeticError as error:
        raise ValueError(f"{text(op, [repr(x) for x in args])}: {error}") from None
    if type(found) not in (int, float, bool):
        raise ValueError(f"{text(op, [repr(x) for x in args])} is no plain number")
    return found


def text(op: str, args: Sequence[str]) -> str:
    """Python for ``op(*args)``."""
    if op in FUNCTIONS:
        return f"{op}({', '.join(args)})"
    return f"({args[0]} {op} {args[1]})"
