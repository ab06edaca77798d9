"""Floating-point lanes with the bit tricks that math functions need. Knows no functions."""

from __future__ import annotations

from .lanes import Lanes, suffix


class Real:
    """Operations on ``float`` or ``double`` lanes (`e`); integers beside them are `i` (i32 or i64)."""

    def __init__(self, lanes: Lanes, e: str) -> None:
        self.lanes, self.e, self.single = lanes, e, e == "float"
        self.i, self.bits, self.mantissa = ("i32", 32, 23) if self.single else ("i64", 64, 52)
        self.bias = (1 << (self.bits - self.mantissa - 2)) - 1
        self.magic = 1.5 * 2.0**self.mantissa

    def c(self, value: float) -> str:
        """A constant."""
        return self.lanes.const(value, self.e)

    def ic(self, value: int) -> str:
        """An integer constant."""
        return self.lanes.const(value, self.i)

    def add(self, a: str, b: str) -> str:
        return self.lanes.op("fadd", self.e, a, b)

    def sub(self, a: str, b: str) -> str:
        return self.lanes.op("fsub", self.e, a, b)

    def mul(self, a: str, b: str) -> str:
        return self.lanes.op("fmul", self.e, a, b)

    def div(self, a: str, b: str) -> str:
        return self.lanes.op("fdiv", self.e, a, b)

    def neg(self, a: str) -> str:
        return self.lanes.op("fneg", self.e, a)

    def fma(self, a: str, b: str, c: str) -> str:
        return self.lanes.fma(self.e, a, b, c)

    def abs(self, a: str) -> str:
        return self.lanes.call("llvm.fabs", self.e, a)

    def floor(self, a: str) -> str:
        return self.lanes.call("llvm.floor", self.e, a)

    def copysign(self, a: str, sign: str) -> str:
        return self.lanes.call("llvm.copysign", self.e, a, sign)

    def is_(self, relation: str, a: str, b: str) -> str:
        """A comparison: "oeq", "olt", "ogt", "uno" ..."""
        return self.lanes.op(f"fcmp {relation}", self.e, a, b)

    def select(self, condition: str, a: str, b: str) -> str:
        return self.lanes.select(condition, self.e, a, b)

    def select_int(self, condition: str, a: str, b: str) -> str:
        return self.lanes.select(condition, self.i, a, b)

    def both(self, a: str, b: str) -> str:
        """Logical and of two conditions."""
        return self.lanes.op("and", "i1", a, b)

    def clamp(self, x: str, lo: float, hi: float) -> str:
        """`x` within [lo, hi]; NaN stays."""
        x = self.select(self.is_("ogt", self.c(lo), x), self.c(lo), x)
        return self.select(self.is_("olt", self.c(hi), x), self.c(hi), x)

    def iop(self, name: str, a: str, b: str) -> str:
        """An integer instruction."""
        return self.lanes.op(name, self.i, a, b)

    def as_bits(self, x: str) -> str:
        return self.lanes.convert("bitcast", self.e, self.i, x)

    def from_bits(self, x: str) -> str:
        return self.lanes.convert("bitcast", self.i, self.e, x)

    def to_float(self, x: str) -> str:
        """Integer lanes as floats."""
        return self.lanes.convert("sitofp", self.i, self.e, x)

    def poly(self, x: str, *coefficients: float) -> str:
        """Horner's rule; the coefficient of the lowest power comes first."""
        out = self.c(coefficients[-1])
        for value in reversed(coefficients[:-1]):
            out = self.fma(out, x, self.c(value))
        return out

    def nearest(self, x: str, factor: float) -> tuple[str, str]:
        """(n, bits) with n = x * factor rounded to an integer; the low bits of `bits` are n's. For abs(n) < 2 ** 21."""
        shifted = self.fma(x, self.c(factor), self.c(self.magic))
        return self.sub(shifted, self.c(self.magic)), self.as_bits(shifted)

    def integer(self, bits: str) -> str:
        """The integer in what `nearest` returned as bits."""
        magic = 0x4B400000 if self.single else 0x4338000000000000
        return self.iop("sub", bits, self.ic(magic))

    def power_of_two(self, n: str) -> str:
        """2 ** n for integers within the normal exponents."""
        return self.from_bits(self.iop("shl", self.iop("add", n, self.ic(self.bias)), self.ic(self.mantissa)))

    def scale(self, x: str, n: str) -> str:
        """``x * 2 ** n``, also where the result overflows or is denormal."""
        if self.lanes.w.scalef and self.lanes.n > 1:
            t, it = self.lanes.type(self.e), self.lanes.type("i32")
            n = n if self.single else self.lanes.convert("trunc", "i64", "i32", n)
            return self.lanes.w.call(t, f"llvm.ldexp.{suffix(t)}.{suffix(it)}", f"{t} {x}", f"{it} {n}")
        half = self.iop("ashr", n, self.ic(1))
        return self.mul(self.mul(x, self.power_of_two(half)), self.power_of_two(self.iop("sub", n, half)))
