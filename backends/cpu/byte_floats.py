"""Casts between float32 and floats of 8 bits, by integer operations on any number of lanes."""

from __future__ import annotations

from ...ir.dtypes import ByteFloat
from .lanes import Lanes

_MAGNITUDE, _INFINITY = 0x7FFFFFFF, 0x7F800000


def widen(lanes: Lanes, kind: ByteFloat, x: str) -> str:
    """8 bits as float32, exactly. Shifted into place they are a number that is too small by a power of two."""
    bits = lanes.convert("zext", "i8", "i32", x)
    magnitude = _and(lanes, bits, 0x7F)
    moved = lanes.op("shl", "i32", magnitude, lanes.const(23 - kind.mantissa, "i32"))
    scale = lanes.const(2.0 ** (127 - kind.bias), "float")
    number = lanes.op("fmul", "float", lanes.convert("bitcast", "i32", "float", moved), scale)
    number = lanes.convert("bitcast", "float", "i32", number)
    odd = lanes.op("or", "i32", moved, lanes.const(_INFINITY, "i32"))
    special = lanes.op("icmp uge", "i32", magnitude, lanes.const(kind.special, "i32"))
    sign = lanes.op("shl", "i32", _and(lanes, bits, 0x80), lanes.const(24, "i32"))
    return lanes.convert("bitcast", "i32", "float", lanes.op("or", "i32", lanes.select(special, "i32", odd, number), sign))


def narrow(lanes: Lanes, kind: ByteFloat, x: str) -> str:
    """float32 as 8 bits, to nearest even. Of numbers below the smallest normal one an addition keeps the bits that count."""
    bits = lanes.convert("bitcast", "float", "i32", x)
    magnitude, cut = _and(lanes, bits, _MAGNITUDE), 23 - kind.mantissa
    odd = _and(lanes, lanes.op("lshr", "i32", magnitude, lanes.const(cut, "i32")), 1)
    moved = lanes.const((1 << cut - 1) - 1 - (127 - kind.bias << 23), "i32")
    rounded = lanes.op("add", "i32", lanes.op("add", "i32", magnitude, odd), moved)
    normal = lanes.op("ashr", "i32", rounded, lanes.const(cut, "i32"))
    normal = lanes.call("llvm.smin", "i32", normal, lanes.const(kind.top, "i32"))
    exponent = 24 - kind.bias - kind.mantissa
    added = lanes.op("fadd", "float", lanes.convert("bitcast", "i32", "float", magnitude), lanes.const(2.0**exponent, "float"))
    small = lanes.op("sub", "i32", lanes.convert("bitcast", "float", "i32", added), lanes.const(127 + exponent << 23, "i32"))
    tiny = lanes.op("icmp ult", "i32", magnitude, lanes.const(128 - kind.bias << 23, "i32"))
    out = lanes.select(tiny, "i32", small, normal)
    nan = lanes.op("icmp ugt", "i32", magnitude, lanes.const(_INFINITY, "i32"))
    out = lanes.select(nan, "i32", lanes.const(kind.nan, "i32"), out)
    sign = _and(lanes, lanes.op("lshr", "i32", bits, lanes.const(24, "i32")), 0x80)
    return lanes.convert("trunc", "i32", "i8", lanes.op("or", "i32", out, sign))


def _and(lanes: Lanes, x: str, mask: int) -> str:
    return lanes.op("and", "i32", x, lanes.const(mask, "i32"))
