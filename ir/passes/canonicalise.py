"""Algebra: a table of named rules, each with its law, tried on every call once its operands are in their final form.

A rule changes no bit of any result and keeps its type, strides included; nothing here reassociates floating point.
`finalise` is for graphs that will not be differentiated any more.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from ..dtypes import DType
from ..graph import Graph, Value
from ..types import TensorType
from .rules import Call, Match, Right, Rule, apply_rules, rule

RULES: list[Rule] = []
FINAL_RULES: list[Rule] = []


def is_literal(x: Any, number: float) -> bool:
    """Whether `x` is the Python number `number`, its sign of zero included."""
    return type(x) in (int, float) and x == number and math.copysign(1, x) == math.copysign(1, number)


def _exact_zero(x: Any, like: Any, sign: int) -> bool:
    """Whether adding `x` changes nothing: in integers any zero, in floats the zero of this sign only."""
    if isinstance(like, Value) and isinstance(like.type, TensorType) and not like.type.dtype.is_floating_point:
        return type(x) is int and x == 0
    return is_literal(x, -0.0 if sign < 0 else 0.0) or (sign > 0 and is_literal(x, 0))


# x * 1 -> x    1 * x -> x    (1 as a literal or as a tensor of ones; so for the constants below)
@rule(RULES, "mul")
def multiply_by_one(m: Match) -> Right:
    return m[0] if is_literal(m.number(1), 1) else m[1] if is_literal(m.number(0), 1) else None


# x / 1 -> x
@rule(RULES, "div")
def divide_by_one(m: Match) -> Right:
    return m[0] if is_literal(m.number(1), 1) and not m.attrs else None


# x ** 1 -> x
@rule(RULES, "pow")
def first_power(m: Match) -> Right:
    return m[0] if is_literal(m.number(1), 1) else None


# x ** 2 -> x * x    x ** 0.5 -> sqrt(x)    x ** -1 -> 1 / x    for floats, whose eager powers are these
@rule(RULES, "pow")
def plain_power(m: Match) -> Right:
    x, y = m[0], m[1]
    if not isinstance(x, Value) or not isinstance(x.type, TensorType):
        return None
    if not x.dtype.is_floating_point or type(y) not in (int, float):
        return None
    if y == 2:
        return Call("mul", (x, x), {})
    return Call("sqrt", (x,), {}) if y == 0.5 else Call("reciprocal", (x,), {}) if y == -1 else None


# x - 0 -> x    (not x - (-0.0): for x = -0.0 that is 0.0)
@rule(RULES, "sub")
def subtract_zero(m: Match) -> Right:
    return m[0] if not m.attrs and _exact_zero(m.number(1), m[0], 1) else None


# x + (-0.0) -> x    in integers x + 0 -> x    (not x + 0.0: for x = -0.0 that is 0.0)
@rule(RULES, "add")
def add_zero(m: Match) -> Right:
    if m.attrs:
        return None
    return m[0] if _exact_zero(m.number(1), m[0], -1) else m[1] if _exact_zero(m.number(0), m[1], -1) else None


# x + (-y) -> x - y    (-x) + y -> y - x
@rule(RULES, "add")
def add_negative(m: Match) -> Right:
    if m.attrs:
        return None
    if (right := m.inner(1, "neg")) is not None:
        return Call("sub", (m[0], right.args[0]), {})
    left = m.inner(0, "neg")
    return None if left is None else Call("sub", (m[1], left.args[0]), {})


# x - (-y) -> x + y
@rule(RULES, "sub")
def subtract_negative(m: Match) -> Right:
    right = m.inner(1, "neg")
    return None if right is None or m.attrs else Call("add", (m[0], right.args[0]), {})


# -(-x) -> x    not(not x) -> x for bool x    ~(~x) -> x
@rule(RULES, "neg", "logical_not", "bitwise_not")
def undo_twice(m: Match) -> Right:
    inner = m.inner(0, m.op.name)
    return None if inner is None else inner.args[0]  # type: ignore[return-value]


# f(f(x)) -> f(x)
@rule(RULES, "abs", "relu", "floor", "ceil")
def twice_is_once(m: Match) -> Right:
    return m[0] if m.inner(0, m.op.name) is not None else None


# |-x| -> |x|    (not unsigned: -1 is 255 there)
@rule(RULES, "abs")
def absolute_of_negative(m: Match) -> Right:
    inner = m.inner(0, "neg")
    return None if inner is None or inner.results[0].dtype.kind == "u" else Call("abs", inner.args, {})


# f(x) -> x where the result has the type of x: such calls move nothing and round nothing. (For reordered dimensions the
# type is not enough: see identity_permute. A sum over nothing still turns -0.0 into 0.0.)
@rule(RULES, "cast", "contiguous", "view", "expand")
def same_type(m: Match) -> Right:
    return m.operand(0)


# permute(x, 0 1 2 ...) -> x
@rule(RULES, "permute")
def identity_permute(m: Match) -> Right:
    return m[0] if m.attrs["dims"] == tuple(range(len(m.attrs["dims"]))) else None


# permute(permute(x, p), q) -> permute(x, p[q])
@rule(RULES, "permute")
def permute_of_permute(m: Match) -> Right:
    inner = m.inner(0, "permute")
    if inner is None:
        return None
    return Call("permute", inner.args, {"dims": tuple(inner.attrs["dims"][d] for d in m.attrs["dims"])})


# view(view(x, a), b) -> view(x, b)    expand(expand(x, a), b) -> expand(x, b)    where b names every size
@rule(RULES, "view", "expand")
def last_shape_counts(m: Match) -> Right:
    inner, shape = m.inner(0, m.op.name), m.attrs["shape"]
    return None if inner is None or -1 in [n for n in shape if isinstance(n, int)] else Call(m.op.name, inner.args, dict(m.attrs))


# cast(cast(x, a), b) -> cast(x, b) where a holds every value of x. (Not from floats to integers: out of range, the result
# depends on the float's width.)
@rule(RULES, "cast")
def cast_of_cast(m: Match) -> Right:
    inner = m.inner(0, "cast")
    if inner is None:
        return None
    x, to = inner.args[0], m.attrs["dtype"]
    if not isinstance(x, Value) or not holds(x.dtype, inner.attrs["dtype"]):
        return None
    return None if x.dtype.is_floating_point and to.kind in "iu" else Call("cast", (x,), {"dtype": to})


_BITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}


def holds(a: DType, b: DType) -> bool:
    """Whether every value of `a` is a value of `b`."""
    if a is b or a.kind == "b":
        return True
    if b.kind == "b":
        return False
    if a.kind == "f":
        return b.kind == "f" and b.itemsize > a.itemsize
    bits = 8 * a.itemsize - (a.kind == "i")
    room = _BITS[b.name] if b.kind == "f" else 8 * b.itemsize - (b.kind == "i")
    return bits <= room and (a.kind == "u" or b.kind != "u")


# where(c, x, x) -> x
@rule(RULES, "where")
def settled_choice(m: Match) -> Right:
    return m[1] if isinstance(m[1], Value) and m[1] is m[2] else None


# detach(x) -> x in a graph that is not differentiated any more
@rule(FINAL_RULES, "detach")
def attached(m: Match) -> Right:
    return m.operand(0)


def canonicalise(graph: Graph, fired: Counter[str] | None = None) -> Graph:
    """`graph` with the rules applied; `fired` counts them by name."""
    return apply_rules(graph, RULES, fired)


def finalise(graph: Graph, fired: Counter[str] | None = None) -> Graph:
    """As `canonicalise`, with the rules that forget what only autodiff asks about."""
    return apply_rules(graph, [*RULES, *FINAL_RULES], fired)
