"""LLVM types, literals and elementary operations on values of `n` lanes (1: plain scalars). Knows no kernels.

Values in registers: bool is i1, bfloat16 its 16 bits, a float8 its 8, everything else the type of the same name. In memory
bool is i8.
"""

from __future__ import annotations

import struct

import numpy as np

from ...ir import dtypes
from ...ir.dtypes import DType
from .writer import Writer

ELEMENT: dict[DType, str] = {
    dtypes.bool_: "i1", dtypes.uint8: "i8", dtypes.int8: "i8", dtypes.int16: "i16", dtypes.int32: "i32", dtypes.int64: "i64",
    dtypes.float16: "half", dtypes.bfloat16: "i16", dtypes.float32: "float", dtypes.float64: "double",
    dtypes.float8_e4m3fn: "i8", dtypes.float8_e5m2: "i8",
}  # fmt: skip


def memory_element(dtype: DType) -> str:
    """The LLVM type of one stored element."""
    return "i8" if dtype is dtypes.bool_ else ELEMENT[dtype]


def suffix(type_: str) -> str:
    """How LLVM spells a type inside the name of an intrinsic."""
    short = {"float": "f32", "double": "f64", "half": "f16"}
    if type_.startswith("<"):
        count, element = type_[1:-1].split(" x ")
        return f"v{count}{short.get(element, element)}"
    return short.get(type_, type_)


def float_text(value: float, element: str) -> str:
    """A literal of ``float``, ``double`` or ``half``."""
    if element == "half":
        return f"0xH{np.float16(value).view(np.uint16):04X}"
    with np.errstate(over="ignore"):
        rounded = float(np.float32(value)) if element == "float" else float(value)
    return f"0x{struct.unpack('>Q', struct.pack('>d', rounded))[0]:016X}"


class Lanes:
    """Writes operations `n` lanes wide into `w`. Types are LLVM's element types ("float", "i32" ...)."""

    def __init__(self, w: Writer, n: int) -> None:
        self.w, self.n = w, n

    def type(self, element: str) -> str:
        """The type of a value with this element."""
        return element if self.n == 1 else f"<{self.n} x {element}>"

    def const(self, value: float | int | bool, element: str) -> str:
        """A literal in every lane."""
        if element in ("float", "double", "half"):
            text = float_text(value, element)
        elif element == "i1":
            text = "true" if value else "false"
        else:
            text = str(_wrapped(int(value), int(element[1:])))
        return text if self.n == 1 else f"splat ({element} {text})"

    def splat(self, scalar: str, element: str) -> str:
        """A scalar value in every lane."""
        if self.n == 1:
            return scalar
        if not scalar.startswith("%"):
            return f"splat ({element} {scalar})"
        first = self.w.let(f"insertelement {self.type(element)} poison, {element} {scalar}, i64 0")
        return self.w.let(
            f"shufflevector {self.type(element)} {first}, {self.type(element)} poison, <{self.n} x i32> zeroinitializer"
        )

    def op(self, name: str, element: str, *args: str) -> str:
        """An instruction whose operands are all of one type: ``fadd``, ``icmp slt``, ``fneg`` ..."""
        return self.w.let(f"{name} {self.type(element)} {', '.join(args)}")

    def call(self, name: str, element: str, *args: str, flags: str = "") -> str:
        """An intrinsic whose operands and result are of one type."""
        t = self.type(element)
        return self.w.call(t, f"{name}.{suffix(t)}", *(f"{t} {a}" for a in args), flags=flags)

    def select(self, condition: str, element: str, yes: str, no: str) -> str:
        """``yes`` where `condition`, else ``no``."""
        t = self.type(element)
        return self.w.let(f"select {self.type('i1')} {condition}, {t} {yes}, {t} {no}")

    def convert(self, name: str, source: str, target: str, value: str) -> str:
        """A conversion instruction: ``sext``, ``fptrunc``, ``bitcast`` ..."""
        return self.w.let(f"{name} {self.type(source)} {value} to {self.type(target)}")

    def iota(self, element: str = "i64") -> str:
        """0, 1, 2 ... in the lanes."""
        return "0" if self.n == 1 else "<" + ", ".join(f"{element} {k}" for k in range(self.n)) + ">"

    def fma(self, element: str, a: str, b: str, c: str) -> str:
        """``a * b + c``, rounded once."""
        return self.call("llvm.fma", element, a, b, c)


def _wrapped(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
