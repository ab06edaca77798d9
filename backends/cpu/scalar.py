"""The scalar primitives of the kernel IR as LLVM operations, any number of lanes wide. One entry per primitive."""

from __future__ import annotations

from collections.abc import Callable

from ...ir import dtypes
from ...ir.dtypes import DType
from . import byte_floats, intmath, math, philox
from .lanes import ELEMENT, Lanes
from .real import Real

#: ``(lanes, dtype of the operands, values) -> value``; the result's dtype is that of the operands or bool
Rule = Callable[[Lanes, DType, tuple[str, ...]], str]


def compute(lanes: Lanes, prim: str, dtype: DType, operand: DType, args: tuple[str, ...]) -> str:
    """``prim(args)`` with operands of dtype `operand` (that of the last one for `select`) and a result of dtype `dtype`."""
    if prim == "cast":
        return cast(lanes, operand, dtype, args[0])
    if prim == "select":
        return lanes.select(args[0], ELEMENT[dtype], args[1], args[2])
    if prim == "philox":
        return philox.words(lanes, [(args[0], args[1], args[2])])[0]
    return RULES[prim](lanes, operand, args)


def combine(lanes: Lanes, name: str, dtype: DType, a: str, b: str) -> str:
    """One step of a reduction; `b` is the running value."""
    return RULES[name](lanes, dtype, (a, b))


def _pick(floating: str, integer: str, boolean: str | None = None) -> Rule:
    """A rule that is one instruction, chosen by kind."""

    def rule(lanes: Lanes, dtype: DType, args: tuple[str, ...]) -> str:
        name = floating if dtype.kind == "f" else boolean if dtype.kind == "b" and boolean else integer
        return lanes.op(name, ELEMENT[dtype], *args)

    return rule


def _compare(floating: str, signed: str, unsigned: str) -> Rule:
    names = {"f": floating, "i": signed, "u": unsigned, "b": unsigned}
    return lambda lanes, dtype, args: lanes.op(names[dtype.kind], ELEMENT[dtype], *args)


def _rounding(intrinsic: str) -> Rule:
    return lambda lanes, dtype, args: lanes.call(intrinsic, ELEMENT[dtype], *args) if dtype.kind == "f" else args[0]


def _floating(function: Callable[..., str]) -> Rule:
    return lambda lanes, dtype, args: function(Real(lanes, ELEMENT[dtype]), *args)


def _fma(lanes: Lanes, dtype: DType, args: tuple[str, ...]) -> str:
    e = ELEMENT[dtype]
    if dtype.kind == "f":
        return lanes.fma(e, *args)
    return lanes.op("add", e, lanes.op("mul", e, args[0], args[1]), args[2])


def _neg(lanes: Lanes, dtype: DType, args: tuple[str, ...]) -> str:
    e = ELEMENT[dtype]
    return lanes.op("fneg", e, *args) if dtype.kind == "f" else lanes.op("sub", e, lanes.const(0, e), *args)


def _abs(lanes: Lanes, dtype: DType, args: tuple[str, ...]) -> str:
    if dtype.kind == "f":
        return lanes.call("llvm.fabs", ELEMENT[dtype], *args)
    return args[0] if dtype.kind in "ub" else intmath.absolute(lanes, ELEMENT[dtype], args[0])


def _extreme(greater: bool) -> Rule:
    """The larger or smaller operand; an operand that is NaN is handed on."""

    def rule(lanes: Lanes, dtype: DType, args: tuple[str, ...]) -> str:
        e, (a, b) = ELEMENT[dtype], args
        if dtype.kind == "f":
            chosen = lanes.select(lanes.op(f"fcmp {'ogt' if greater else 'olt'}", e, a, b), e, a, b)
            return lanes.select(lanes.op("fcmp uno", e, a, a), e, a, chosen)
        if dtype.kind == "b":
            return lanes.op("or" if greater else "and", e, a, b)
        sign = "u" if dtype.kind == "u" else "s"
        return lanes.call(f"llvm.{sign}{'max' if greater else 'min'}", e, a, b)

    return rule


def _not(lanes: Lanes, dtype: DType, args: tuple[str, ...]) -> str:
    return lanes.op("xor", ELEMENT[dtype], args[0], lanes.const(1 if dtype.kind == "b" else -1, ELEMENT[dtype]))


def _div(lanes: Lanes, dtype: DType, args: tuple[str, ...]) -> str:
    if dtype.kind == "f":
        return lanes.op("fdiv", ELEMENT[dtype], *args)
    return intmath.divide(lanes, ELEMENT[dtype], dtype.kind == "i", *args)


def _mod(lanes: Lanes, dtype: DType, args: tuple[str, ...]) -> str:
    if dtype.kind == "f":
        return math.python_mod(Real(lanes, ELEMENT[dtype]), *args)
    return intmath.modulo(lanes, ELEMENT[dtype], dtype.kind == "i", *args)


def _pow(lanes: Lanes, dtype: DType, args: tuple[str, ...]) -> str:
    if dtype.kind == "f":
        return math.power(Real(lanes, ELEMENT[dtype]), *args)
    return intmath.power(lanes, ELEMENT[dtype], *args)


RULES: dict[str, Rule] = {
    "add": _pick("fadd", "add", "or"),
    "sub": _pick("fsub", "sub"),
    "mul": _pick("fmul", "mul", "and"),
    "div": _div,
    "mod": _mod,
    "fma": _fma,
    "neg": _neg,
    "abs": _abs,
    "minimum": _extreme(False),
    "maximum": _extreme(True),
    "sqrt": lambda lanes, dtype, args: lanes.call("llvm.sqrt", ELEMENT[dtype], *args),
    "exp": _floating(math.exp),
    "expm1": _floating(math.expm1),
    "log": _floating(math.log),
    "log1p": _floating(math.log1p),
    "sin": _floating(math.sin),
    "cos": _floating(math.cos),
    "tanh": _floating(math.tanh),
    "erf": _floating(math.erf),
    "pow": _pow,
    "floor": _rounding("llvm.floor"),
    "ceil": _rounding("llvm.ceil"),
    "trunc": _rounding("llvm.trunc"),
    "round": _rounding("llvm.roundeven"),
    "eq": _compare("fcmp oeq", "icmp eq", "icmp eq"),
    "lt": _compare("fcmp olt", "icmp slt", "icmp ult"),
    "le": _compare("fcmp ole", "icmp sle", "icmp ule"),
    "and": _pick("and", "and"),
    "or": _pick("or", "or"),
    "xor": _pick("xor", "xor"),
    "not": _not,
    "shl": lambda lanes, dtype, args: intmath.shift_left(lanes, ELEMENT[dtype], *args),
    "shr": lambda lanes, dtype, args: intmath.shift_right(lanes, ELEMENT[dtype], dtype.kind == "i", *args),
}


def literal_bits(value: float) -> str:
    """A bfloat16 literal: its 16 bits."""
    return str(int(dtypes.bfloat16.np.type(value).view("int16")))


# ---- casts ------------------------------------------------------------------------------------------------------------
def cast(lanes: Lanes, source: DType, target: DType, x: str) -> str:
    """`x` as `target`: to bool by ``x != 0``, to integers by truncation (wrapping), to half types rounded once."""
    if source is target:
        return x
    if source.is_half:
        return cast(lanes, dtypes.float32, target, _widen(lanes, source, x))
    e = ELEMENT[source]
    if target.is_half:
        if source is dtypes.float64 and target is dtypes.float16:
            return lanes.convert("fptrunc", "float", "half", _round_to_odd(lanes, x))
        return _narrow(lanes, target, cast(lanes, source, dtypes.float32, x))
    if target.kind == "b":
        return lanes.op("fcmp une" if source.kind == "f" else "icmp ne", e, x, lanes.const(0, e))
    if target.kind == "f":
        name = {"f": "fpext" if target.itemsize > source.itemsize else "fptrunc", "i": "sitofp", "u": "uitofp", "b": "uitofp"}
        return lanes.convert(name[source.kind], e, ELEMENT[target], x)
    if source.kind == "f":
        return intmath.from_float(lanes, e, ELEMENT[target], x)
    return intmath.resize(lanes, e, ELEMENT[target], source.kind == "i", x)


def _widen(lanes: Lanes, source: DType, x: str) -> str:
    if source in dtypes.BYTES:
        return byte_floats.widen(lanes, dtypes.BYTES[source], x)
    if source is dtypes.float16:
        return lanes.convert("fpext", "half", "float", x)
    high = lanes.op("shl", "i32", lanes.convert("zext", "i16", "i32", x), lanes.const(16, "i32"))
    return lanes.convert("bitcast", "i32", "float", high)


def _narrow(lanes: Lanes, target: DType, x: str) -> str:
    if target in dtypes.BYTES:
        return byte_floats.narrow(lanes, dtypes.BYTES[target], x)
    if target is dtypes.float16:
        return lanes.convert("fptrunc", "float", "half", x)
    bits = lanes.convert("bitcast", "float", "i32", x)
    high = lanes.op("lshr", "i32", bits, lanes.const(16, "i32"))
    half = lanes.op("add", "i32", lanes.op("and", "i32", high, lanes.const(1, "i32")), lanes.const(0x7FFF, "i32"))
    rounded = lanes.op("lshr", "i32", lanes.op("add", "i32", bits, half), lanes.const(16, "i32"))
    quiet = lanes.op("or", "i32", high, lanes.const(0x40, "i32"))
    return lanes.convert("trunc", "i32", "i16", lanes.select(lanes.op("fcmp uno", "float", x, x), "i32", quiet, rounded))


def _round_to_odd(lanes: Lanes, x: str) -> str:
    """f64 -> f32 such that a second rounding to a half type equals one rounding."""
    near = lanes.convert("fptrunc", "double", "float", x)
    back = lanes.convert("fpext", "float", "double", near)
    bits = lanes.convert("bitcast", "float", "i32", near)
    over = lanes.op("fcmp ogt", "double", lanes.call("llvm.fabs", "double", back), lanes.call("llvm.fabs", "double", x))
    bits = lanes.op("sub", "i32", bits, lanes.convert("zext", "i1", "i32", over))
    odd = lanes.op("or", "i32", bits, lanes.convert("zext", "i1", "i32", lanes.op("fcmp one", "double", back, x)))
    return lanes.convert("bitcast", "i32", "float", odd)
