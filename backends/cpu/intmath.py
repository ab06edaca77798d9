"""Integer arithmetic on lanes: floor division, wrapping powers, safe shifts, conversions, Philox4x64-10.

Nothing here traps or is undefined, whatever the lanes hold: lanes that a mask switches off hold zeros.
"""

from __future__ import annotations

from .lanes import Lanes

_PHILOX_M = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_PHILOX_W = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)


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


# ---- random numbers ---------------------------------------------------------------------------------------------------
def philox(lanes: Lanes, args: tuple[str, ...]) -> str:
    """Word number `word` of the Philox4x64-10 block with counter (counter, 0, 0, 0) and key (key, 0)."""
    key, counter, word = args
    zero = lanes.const(0, "i64")
    c, k = [counter, zero, zero, zero], [key, zero]
    for step in range(10):
        high0, low0 = _multiply(lanes, _PHILOX_M[0], c[0])
        high1, low1 = _multiply(lanes, _PHILOX_M[1], c[2])
        c = [_xor(lanes, _xor(lanes, high1, c[1]), k[0]), low1, _xor(lanes, _xor(lanes, high0, c[3]), k[1]), low0]
        if step < 9:
            k = [lanes.op("add", "i64", k[i], lanes.const(_PHILOX_W[i], "i64")) for i in (0, 1)]
    out = c[3]
    for number in (2, 1, 0):
        out = lanes.select(lanes.op("icmp eq", "i64", word, lanes.const(number, "i64")), "i64", c[number], out)
    return out


def _xor(lanes: Lanes, a: str, b: str) -> str:
    return lanes.op("xor", "i64", a, b)


def _multiply(lanes: Lanes, m: int, x: str) -> tuple[str, str]:
    """(high, low) 64 bits of the product, by 32-bit halves where there are lanes."""
    low = lanes.op("mul", "i64", x, lanes.const(m, "i64"))
    if lanes.n == 1:
        wide = lanes.op("mul", "i128", lanes.convert("zext", "i64", "i128", x), str(m))
        return lanes.convert("trunc", "i128", "i64", lanes.op("lshr", "i128", wide, "64")), low
    half = lanes.const(0xFFFFFFFF, "i64")
    x0, x1 = lanes.op("and", "i64", x, half), _high(lanes, x)
    m0, m1 = lanes.const(m & 0xFFFFFFFF, "i64"), lanes.const(m >> 32, "i64")
    p00, p01, p10, p11 = (lanes.op("mul", "i64", a, b) for a, b in ((x0, m0), (x0, m1), (x1, m0), (x1, m1)))
    middle = lanes.op("add", "i64", p10, _high(lanes, p00))
    carry = lanes.op("add", "i64", lanes.op("and", "i64", middle, half), p01)
    high = lanes.op("add", "i64", p11, _high(lanes, middle))
    return lanes.op("add", "i64", high, _high(lanes, carry)), low


def _high(lanes: Lanes, x: str) -> str:
    return lanes.op("lshr", "i64", x, lanes.const(32, "i64"))
