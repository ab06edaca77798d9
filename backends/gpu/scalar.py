"""The scalar primitives of the kernel IR as Triton expressions, and the helper functions some of them call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...ir import dtypes
from ...ir.dtypes import DType, bool_, float32
from ...ir.loops import method_of
from ...ir.scalar_numpy import NumpyScalars
from .names import Text

TYPES: dict[DType, str] = {
    dtypes.bool_: "tl.int1", dtypes.uint8: "tl.uint8", dtypes.int8: "tl.int8", dtypes.int16: "tl.int16", dtypes.int32: "tl.int32",
    dtypes.int64: "tl.int64", dtypes.float16: "tl.float16", dtypes.bfloat16: "tl.bfloat16", dtypes.float32: "tl.float32",
    dtypes.float64: "tl.float64", dtypes.float8_e4m3fn: "tl.uint8", dtypes.float8_e5m2: "tl.uint8",
}  # fmt: skip

#: what a kernel's source may need before the kernel, by the name it is called with
HELPERS: dict[str, str] = {
    "_floordiv": '''@triton.jit
def _floordiv(a, b):
    """Integer division toward minus infinity; Triton's own goes toward zero. What machines leave open, zero and the one
    overflow, is never divided: the compiler may take it for impossible."""
    safe = tl.where((b == 0) | (b == -1), 1, b)
    q = a // safe
    q = tl.where((a % safe != 0) & ((a < 0) != (safe < 0)), q - 1, q)
    return tl.where(b == -1, -a, q)''',
    "_udiv": '''@triton.jit
def _udiv(a, b):
    """Division of unsigned integers, of which none is by zero."""
    return a // tl.where(b == 0, 1, b)''',
    "_umod": '''@triton.jit
def _umod(a, b):
    """Remainder of unsigned integers, of which none is by zero."""
    return a % tl.where(b == 0, 1, b)''',
    "_mod": '''@triton.jit
def _mod(a, b):
    """Integer remainder with the sign of the divisor. (As in division, nothing is left to the machine.)"""
    r = a % tl.where((b == 0) | (b == -1), 1, b)
    return tl.where((r != 0) & ((r < 0) != (b < 0)), r + b, r)''',
    "_fmod": '''@triton.jit
def _fmod(a, b):
    """Floating remainder with the sign of the divisor."""
    r = libdevice.fmod(a, b)
    r = tl.where((r != 0) & ((r < 0) != (b < 0)), r + b, r)
    return tl.where(r == 0, libdevice.copysign(r * 0, b), r)''',
    "_ipow": '''@triton.jit
def _ipow(a, b, BITS: tl.constexpr):
    """Integer power by squaring, wrapping."""
    out = a * 0 + 1
    for _ in range(BITS):
        out = tl.where((b & 1) != 0, out * a, out)
        a = a * a
        b = b >> 1
    return out.to(a.dtype)''',
    "_philox": '''@triton.jit
def _philox(key, counter, word):
    """One 64-bit word of the Philox4x64-10 block with counter (counter, 0, 0, 0) and key (key, 0)."""
    c0 = counter.to(tl.uint64)
    c1 = c0 * 0
    c2 = c0 * 0
    c3 = c0 * 0
    k0 = key.to(tl.uint64)
    k1 = k0 * 0
    m0 = tl.full((), 0xD2E7470EE14C6C93, tl.uint64)
    m1 = tl.full((), 0xCA5A826395121157, tl.uint64)
    w0 = tl.full((), 0x9E3779B97F4A7C15, tl.uint64)
    w1 = tl.full((), 0xBB67AE8584CAA73B, tl.uint64)
    for _ in tl.static_range(10):
        h0 = tl.umulhi(c0, m0 + c0 * 0)
        l0 = c0 * m0
        h1 = tl.umulhi(c2, m1 + c2 * 0)
        l1 = c2 * m1
        c0 = h1 ^ c1 ^ k0
        c1 = l1
        c2 = h0 ^ c3 ^ k1
        c3 = l0
        k0 = k0 + w0
        k1 = k1 + w1
    out = tl.where(word == 0, c0, tl.where(word == 1, c1, tl.where(word == 2, c2, c3)))
    return out.to(tl.int64, bitcast=True)''',
    "_from_byte": '''@triton.jit
def _from_byte(x, MANTISSA: tl.constexpr, SCALE: tl.constexpr, SPECIAL: tl.constexpr):
    """The 8 bits of a float8 as float32. Shifted into place they are a number that is too small by a power of two."""
    magnitude = (x & 0x7F).to(tl.int32)
    moved = magnitude << (23 - MANTISSA)
    number = (moved.to(tl.float32, bitcast=True) * SCALE).to(tl.int32, bitcast=True)
    bits = tl.where(magnitude >= SPECIAL, moved | 0x7F800000, number)
    return (bits | ((x & 0x80).to(tl.int32) << 24)).to(tl.float32, bitcast=True)''',
    "_to_byte": '''@triton.jit
def _to_byte(x, MANTISSA: tl.constexpr, BIAS: tl.constexpr, TOP: tl.constexpr, NAN: tl.constexpr):
    """float32 as the 8 bits of a float8, to nearest even; beyond `TOP` it stays `TOP`. Of numbers below the smallest normal one
    an addition keeps the bits that count."""
    bits = x.to(tl.int32, bitcast=True)
    magnitude = bits & 0x7FFFFFFF
    odd = (magnitude >> (23 - MANTISSA)) & 1
    normal = (magnitude + odd + ((1 << (22 - MANTISSA)) - 1 - ((127 - BIAS) << 23))) >> (23 - MANTISSA)
    unit = ((151 - BIAS - MANTISSA) << 23) + bits * 0
    small = (magnitude.to(tl.float32, bitcast=True) + unit.to(tl.float32, bitcast=True)).to(tl.int32, bitcast=True) - unit
    out = tl.where(magnitude < ((128 - BIAS) << 23), small, tl.where(normal < TOP, normal, TOP))
    out = tl.where(magnitude > 0x7F800000, NAN, out)
    return (out | ((bits >> 24) & 0x80)).to(tl.uint8)''',
    "_erf": '''@triton.jit
def _erf(x):
    """The error function in float32. (CUDA's own picks each coefficient by a move: two fifths of what a GELU does.)"""
    square = x * x
    low = tl.fma(square, 7.88893902717454e-05, -0.000802078723640951)
    low = tl.fma(low, square, 0.005189529274183148)
    low = tl.fma(low, square, -0.026854441456432846)
    low = tl.fma(low, square, 0.11283600103048284)
    low = tl.fma(low, square, -0.37612627129721615)
    low = tl.fma(low, square, 0.12837916591288967)
    low = tl.fma(low, x, x)
    size = tl.abs(x)
    t = tl.where(size > 4.0, 4.0, size) - 2.0
    high = tl.fma(t, -3.135258017892729e-05, 0.00019858362014811055)
    high = tl.fma(high, t, -0.001053470210099376)
    high = tl.fma(high, t, 0.005151239337290108)
    high = tl.fma(high, t, -0.02375511608732806)
    high = tl.fma(high, t, -1.332690964076299)
    high = tl.fma(high, t, -6.374058656264763)
    high = tl.fma(high, t, -7.739974150812626)
    high = 1.0 - tl.exp2(high)
    return tl.where(size < 1.0, low, tl.where(x < 0.0, -high, high))''',
    "_add": "@triton.jit\ndef _add(a, b):\n    return a + b",
    "_mul": "@triton.jit\ndef _mul(a, b):\n    return a * b",
    "_and": "@triton.jit\ndef _and(a, b):\n    return a & b",
    "_or": "@triton.jit\ndef _or(a, b):\n    return a | b",
    "_maximum": "@triton.jit\ndef _maximum(a, b):\n    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)",
    "_minimum": "@triton.jit\ndef _minimum(a, b):\n    return tl.minimum(a, b, propagate_nan=tl.PropagateNan.ALL)",
    "_maximum_int": "@triton.jit\ndef _maximum_int(a, b):\n    return tl.where(a > b, a, b)",
    "_minimum_int": "@triton.jit\ndef _minimum_int(a, b):\n    return tl.where(a < b, a, b)",
}

#: ``(dtype of the operands, texts) -> text``
Rule = Callable[[DType, tuple[str, ...]], str]


def compute(prim: str, dtype: DType, operand: DType, args: tuple[str, ...]) -> str:
    """The expression of ``prim(args)``; `operand` is the operands' dtype, `dtype` the result's."""
    if prim == "cast":
        return cast(operand, dtype, args[0])
    return RULES[prim](operand, args)


def cast(source: DType, target: DType, x: str) -> str:
    """`x` as `target`; to bool by ``x != 0``. To a half type by way of float32, as eager and PyTorch do. A float beyond the
    integers of 32 (64) bits becomes the nearest of them, NaN 0 (in 64 bits the least): as PyTorch does on a GPU; on a CPU both
    have what the processor makes of it."""
    if source is target:
        return x
    if source in dtypes.BYTES:
        b = dtypes.BYTES[source]
        return cast(float32, target, f"_from_byte({x}, {b.mantissa}, {2.0 ** (127 - b.bias)!r}, {b.special})")
    if target in dtypes.BYTES:
        b = dtypes.BYTES[target]
        return f"_to_byte({cast(source, float32, x)}, {b.mantissa}, {b.bias}, {b.top}, {b.nan})"
    if target.kind == "b":
        return f"({x} != 0)"
    if target.is_half and source not in (float32, bool_):
        x = f"{x}.to(tl.float32)"
        x = f"({x} + 0.0)" if source.kind == "i" else x
    if source.kind == "f" and target.kind in "ui" and target.itemsize < 4:
        return f"{x}.to(tl.int32).to({TYPES[target]})"
    return f"{x}.to({TYPES[target]})"


def literal(value: bool | int | float, dtype: DType) -> str:
    """A constant of `dtype` as a Triton expression."""
    if dtype.kind == "f":
        number = float(value)
        finite = number - number == 0
        text = repr(number) if finite else f'float("{number}")'
        return f"tl.full((), {text}, {TYPES[dtype]})"
    return f"tl.full((), {int(value)}, {TYPES[dtype]})"


#: primitives whose operands may be plain numbers, as long as one is not
INLINE = frozenset(("add", "sub", "mul", "div", "minimum", "maximum", "eq", "lt", "le", "select"))
#: combine -> what Triton's atomic operation is called
ATOMIC = {"add": "add", "maximum": "max", "minimum": "min"}
_NORMAL = 2.0**-126, 3.4e38


def number(value: bool | int | float) -> str:
    """A literal as Triton reads it."""
    value = int(value) if isinstance(value, bool) else value
    return repr(value) if value - value == 0 else f'float("{value}")'


def inline(value: bool | int | float, dtype: DType) -> str:
    """A constant beside an operand of `dtype`: a plain number where Triton gives that the operand's type."""
    if dtype is dtypes.float32:
        size = abs(float(value))
        text = number(float(value))
        plain = size == 0 or size - size != 0 or _NORMAL[0] <= size <= _NORMAL[1]
        return (f"({text})" if text.startswith("-") else text) if plain else literal(value, dtype)
    if dtype in (dtypes.int32, dtypes.int64) and abs(value) < 2**31:
        return str(int(value)) if value >= 0 else f"({int(value)})"
    return literal(value, dtype)


def folded(prim: str, dtype: DType, args: Sequence[Text]) -> bool | int | float:
    """``prim(args)`` of constants."""
    s = NumpyScalars((), dtype.np)
    values = [np.asarray(a.constant).astype(a.dtype.np) for a in args]
    with np.errstate(all="ignore"):
        made = s.cast(values[0], dtype) if prim == "cast" else getattr(s, method_of(prim))(*values)
    return made.item()  # type: ignore[no-any-return]


def helpers_in(text: str) -> list[str]:
    """The helpers that `text` calls, in a fixed order."""
    return [name for name in HELPERS if f"{name}(" in text or f", {name})" in text]


def _erf(dtype: DType, args: tuple[str, ...]) -> str:
    return f"_erf({args[0]})" if dtype is float32 else f"libdevice.erf({args[0]})"


def _infix(symbol: str, boolean: str = "") -> Rule:
    def rule(dtype: DType, args: tuple[str, ...]) -> str:
        return f"{args[0]} {boolean if boolean and dtype.kind == 'b' else symbol} {args[1]}"

    return rule


def _library(name: str) -> Rule:
    return lambda dtype, args: f"libdevice.{name}({', '.join(args)})"


def _rounding(text: str) -> Rule:
    return lambda dtype, args: f"{text}({args[0]})" if dtype.kind == "f" else args[0]


def _extreme(greater: bool) -> Rule:
    name = "maximum" if greater else "minimum"

    def rule(dtype: DType, args: tuple[str, ...]) -> str:
        if dtype.kind == "b":
            return f"{args[0]} {'|' if greater else '&'} {args[1]}"
        return f"_{name}({', '.join(args)})" if dtype.kind == "f" else f"_{name}_int({', '.join(args)})"

    return rule


def _div(dtype: DType, args: tuple[str, ...]) -> str:
    if dtype.kind == "f":
        return f"tl.div_rn({args[0]}, {args[1]})" if dtype is dtypes.float32 else f"{args[0]} / {args[1]}"
    return f"{'_floordiv' if dtype.kind == 'i' else '_udiv'}({args[0]}, {args[1]})"


def _remainder(dtype: DType, args: tuple[str, ...]) -> str:
    name = {"f": "_fmod", "u": "_umod"}.get(dtype.kind, "_mod")
    return f"{name}({args[0]}, {args[1]})"


def _fma(dtype: DType, args: tuple[str, ...]) -> str:
    return f"tl.fma({', '.join(args)})" if dtype.kind == "f" else f"{args[0]} * {args[1]} + {args[2]}"


def _pow(dtype: DType, args: tuple[str, ...]) -> str:
    return f"libdevice.pow({args[0]}, {args[1]})" if dtype.kind == "f" else f"_ipow({args[0]}, {args[1]}, {8 * dtype.itemsize})"


def _shift(symbol: str) -> Rule:
    def rule(dtype: DType, args: tuple[str, ...]) -> str:
        a, by = args
        bits = 8 * dtype.itemsize
        beyond = f"{a} >> {bits - 1}" if symbol == ">>" and dtype.kind == "i" else f"{a} ^ {a}"
        fits = f"({by} >= 0) & ({by} < {bits})" if dtype.kind == "i" else f"{by} < {bits}"
        return f"tl.where({fits}, {a} {symbol} {by}, {beyond})"

    return rule


def _sqrt(dtype: DType, args: tuple[str, ...]) -> str:
    return f"tl.sqrt_rn({args[0]})" if dtype is dtypes.float32 else f"libdevice.sqrt({args[0]})"


RULES: dict[str, Rule] = {
    "add": _infix("+", "|"), "sub": _infix("-"), "mul": _infix("*", "&"), "div": _div, "mod": _remainder, "fma": _fma,
    "neg": lambda dtype, args: f"-{args[0]}",
    "abs": lambda dtype, args: f"tl.abs({args[0]})" if dtype.kind in "if" else args[0],
    "minimum": _extreme(False), "maximum": _extreme(True), "sqrt": _sqrt, "exp": _library("exp"), "expm1": _library("expm1"),
    "log": _library("log"), "log1p": _library("log1p"), "sin": _library("sin"), "cos": _library("cos"), "tanh": _library("tanh"),
    "erf": _erf, "pow": _pow, "floor": _rounding("tl.floor"), "ceil": _rounding("tl.ceil"),
    "trunc": _rounding("libdevice.trunc"), "round": _rounding("libdevice.nearbyint"), "eq": _infix("=="), "lt": _infix("<"),
    "le": _infix("<="), "and": _infix("&"), "or": _infix("|"), "xor": _infix("^"),
    "not": lambda dtype, args: f"{args[0]} ^ 255" if dtype.kind == "u" else f"~{args[0]}",
    "shl": _shift("<<"), "shr": _shift(">>"),
    "select": lambda dtype, args: f"tl.where({', '.join(args)})",
    "philox": lambda dtype, args: f"_philox({', '.join(args)})",
}  # fmt: skip
