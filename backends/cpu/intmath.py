"""Integer arithmetic on lanes: floor division, wrapping powers, safe shifts, conversions.

Nothing here traps or is undefined, whatever the lanes hold: lanes that a mask switches off hold zeros.
"""

from __future__ import annotations

from .lanes import Lanes


def absolute(lanes: Lanes, e: str, x: str) -> str:
    """``|x|``; the most negative number stays."""
    return lanes.call("llvm.smax", e, x, lanes.op("sub", e, lanes.const(0, e), x))


def resize(lanes: Lanes, source: str, target: str, signed: bool, x: str) -> str:
    """To another width, wrapping."""
    a, b = int(source[1:]), int(target[1:])
    if a == b:
        return x
    return lanes.convert("trunc" if b < a else "sext" if signed else "zext", source, target, x)


def from_float(lanes: Lanes, source: str, target: str, x: str) -> str:
    """Truncation toward zero; what 32 or 64 bits cannot hold (NaN too) is the most negative number, as on x86; then wraps."""
    wide = "i64" if target == "i64" else "i32"
    top = 2.0 ** (int(wide[1:]) - 1)
    low = lanes.op("fcmp oge", source, x, lanes.const(-top, source))
    if source == "double" and wide == "i32":
        low = lanes.op("fcmp ogt", source, x, lanes.const(-top - 1, source))
    inside = lanes.op("and", "i1", low, lanes.op("fcmp olt", source, x, lanes.const(top, source)))
    safe = lanes.select(inside, source, x, lanes.const(0, source))
    out = lanes.select(inside, wide, lanes.convert("fptosi", source, wide, safe), lanes.const(-int(top), wide))
    return resize(lanes, wide, target, True, out)


def _quotient(lanes: Lanes, e: str, signed: bool, a: str, b: str) -> tuple[str, str]:
    """(truncated quotient, remainder); zero and -1 divisors do not trap."""
    zero, one = lanes.const(0, e), lanes.const(1, e)
    odd = lanes.op("icmp eq", e, b, zero)
    minus = lanes.op("icmp eq", e, b, lanes.const(-1, e)) if signed else None
    if minus:
        odd = lanes.op("or", "i1", odd, minus)
    safe = lanes.select(odd, e, one, b)
    q = lanes.op("sdiv" if signed else "udiv", e, a, safe)
    if minus:
        q = lanes.select(minus, e, lanes.op("sub", e, zero, a), q)
    return q, lanes.op("sub", e, a, lanes.op("mul", e, q, b))


def _uneven(lanes: Lanes, e: str, rest: str, b: str) -> str:
    """Where the remainder is not zero and its sign is not the divisor's."""
    differ = lanes.op("icmp slt", e, lanes.op("xor", e, rest, b), lanes.const(0, e))
    return lanes.op("and", "i1", differ, lanes.op("icmp ne", e, rest, lanes.const(0, e)))


def divide(lanes: Lanes, e: str, signed: bool, a: str, b: str) -> str:
    """``a // b`` toward minus infinity (by zero: any number)."""
    q, rest = _quotient(lanes, e, signed, a, b)
    if not signed:
        return q
    return lanes.op("sub", e, q, lanes.convert("zext", "i1", e, _uneven(lanes, e, rest, b)))


def modulo(lanes: Lanes, e: str, signed: bool, a: str, b: str) -> str:
    """``a % b`` with the sign of `b` (by zero: any number)."""
    _, rest = _quotient(lanes, e, signed, a, b)
    if not signed:
        return rest
    return lanes.op("add", e, rest, lanes.select(_uneven(lanes, e, rest, b), e, b, lanes.const(0, e)))


def power(lanes: Lanes, e: str, base: str, exponent: str) -> str:
    """``base ** exponent``, wrapping, by squaring; a negative exponent counts by its low bits (a Check forbids it)."""
    t = lanes.type(e)
    loop = lanes.w.open_loop("0", e[1:], 1, [(t, lanes.const(1, e)), (t, base), (t, exponent)])
    result, square, rest = loop.carried
    low = lanes.op("icmp ne", e, lanes.op("and", e, rest, lanes.const(1, e)), lanes.const(0, e))
    result = lanes.op("mul", e, result, lanes.select(low, e, square, lanes.const(1, e)))
    square = lanes.op("mul", e, square, square)
    return lanes.w.close_loop(loop, [result, square, lanes.op("lshr", e, rest, lanes.const(1, e))])[0]


def shift_left(lanes: Lanes, e: str, a: str, by: str) -> str:
    """``a << by``; zero where `by` is the width or more."""
    fits = lanes.op("icmp ult", e, by, lanes.const(int(e[1:]), e))
    return lanes.select(fits, e, lanes.op("shl", e, a, lanes.select(fits, e, by, lanes.const(0, e))), lanes.const(0, e))


def shift_right(lanes: Lanes, e: str, signed: bool, a: str, by: str) -> str:
    """``a >> by``; filled with the sign (signed) or zero where `by` is the width or more."""
    fits = lanes.op("icmp ult", e, by, lanes.const(int(e[1:]), e))
    if signed:
        return lanes.op("ashr", e, a, lanes.select(fits, e, by, lanes.const(int(e[1:]) - 1, e)))
    return lanes.select(fits, e, lanes.op("lshr", e, a, lanes.select(fits, e, by, lanes.const(0, e))), lanes.const(0, e))
