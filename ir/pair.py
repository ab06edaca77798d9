"""A complex value of a graph as two real ones, and arithmetic on such pairs by calls of the graph's ops. Runs nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .dtypes import DType
from .graph import Value
from .lazyclass import dataclass
from .op import Scalar, lookup
from .types import TensorType


@dataclass(frozen=True, slots=True)
class Pair:
    """The real and the imaginary part of a complex value: Values of one real dtype, or Python numbers."""

    re: Any
    im: Any
    dtype: DType

    @property
    def parts(self) -> tuple[Any, Any]:
        """Both."""
        return self.re, self.im


def pair_of(parts: Iterable[Any], dtype: DType) -> Pair:
    """Two parts as one value."""
    re, im = parts
    return Pair(re, im, dtype)


class Whole(Exception):
    """No rule splits this call."""


class Arithmetic:
    """Stands in for the builder of scalar primitives (`ir.loops.PRIMITIVES`): its values are Pairs, real Values and numbers,
    and what it builds are calls of the graph's ops on the parts."""

    def __init__(self, results: tuple[Value, ...]) -> None:
        self.result = results[0].dtype

    def run(self, lowering: Scalar, xs: list[Any], attrs: dict[str, Any]) -> Any:
        """The expression of `lowering` on pairs."""
        made = lowering.fn(self, *xs, **attrs)
        if self.result.is_complex and not isinstance(made, Pair):
            made = Pair(made, 0.0, self.result)
        return made

    def __getattr__(self, prim: str) -> Any:
        raise Whole

    def dtype_of(self, x: Any) -> DType:
        if isinstance(x, Pair) or (isinstance(x, Value) and isinstance(x.type, TensorType)):
            return x.dtype
        raise Whole

    def const(self, value: Any) -> Any:
        return value

    def const_as(self, value: Any, dtype: DType) -> Any:
        return value

    def cast(self, x: Any, dtype: DType) -> Any:
        if isinstance(x, Pair):
            parts = [_cast(p, dtype.to_real()) for p in x.parts]
            if dtype.kind == "b":
                return self.or_(*[_call("ne", p, 0.0) for p in x.parts])
            return pair_of(parts, dtype) if dtype.is_complex else parts[0]
        return Pair(_cast(x, dtype.to_real()), 0.0, dtype) if dtype.is_complex else _cast(x, dtype)

    def add(self, x: Any, y: Any) -> Any:
        return self._each("add", x, y)

    def sub(self, x: Any, y: Any) -> Any:
        return self._each("sub", x, y)

    def neg(self, x: Any) -> Any:
        return self._each("neg", x)

    def _each(self, name: str, *xs: Any) -> Any:
        if not any(isinstance(x, Pair) for x in xs):
            return _call(name, *xs)
        ins = [self._pair(x) for x in xs]
        return pair_of([_call(name, *[x.parts[k] for x in ins]) for k in (0, 1)], ins[0].dtype)

    def _pair(self, x: Any) -> Pair:
        if isinstance(x, Pair):
            return x
        z = complex(x) if not isinstance(x, Value) else None
        return Pair(x, 0.0, self.result) if z is None else Pair(z.real, z.imag, self.result)

    def mul(self, x: Any, y: Any) -> Any:
        if not isinstance(x, Pair) and not isinstance(y, Pair):
            return _call("mul", x, y)
        (a, b), (c, d) = self._pair(x).parts, self._pair(y).parts
        re = _call("sub", _call("mul", a, c), _call("mul", b, d))
        return Pair(re, _call("add", _call("mul", a, d), _call("mul", b, c)), self.result)

    def div(self, x: Any, y: Any) -> Any:
        """Smith's method: by the larger part of the divisor, so that no square overflows."""
        if not isinstance(x, Pair) and not isinstance(y, Pair):
            return _call("div", x, y)
        (a, b), (c, d) = self._pair(x).parts, self._pair(y).parts
        if not isinstance(y, (Pair, complex)):  # what is no tensor has no absolute value
            tops = _call("add", a, _call("mul", b, 0.0)), _call("sub", b, _call("mul", a, 0.0))
            return pair_of([_call("div", top, c) for top in tops], self.result)
        wide = _call("ge", _call("abs", c), _call("abs", d))
        big, small = _choose(wide, c, d), _choose(wide, d, c)
        ratio = _call("div", small, big)
        scale = _call("add", big, _call("mul", small, ratio))
        high = _call("add", _choose(wide, a, b), _call("mul", _choose(wide, b, a), ratio))
        turned = _call("sub", _call("mul", _choose(wide, a, b), ratio), _choose(wide, b, a))
        low = _choose(wide, _call("neg", turned), turned)
        return Pair(_call("div", high, scale), _call("div", low, scale), self.result)

    def exp(self, x: Any) -> Any:
        if not isinstance(x, Pair):
            return _call("exp", x)
        size = _call("exp", x.re)
        return Pair(_call("mul", size, _call("cos", x.im)), _call("mul", size, _call("sin", x.im)), x.dtype)

    def abs(self, x: Any) -> Any:
        if isinstance(x, Pair) and self.result.is_complex:
            raise Whole  # in an expression that is meant for real numbers
        return _call("hypot", *x.parts) if isinstance(x, Pair) else _call("abs", x)

    def log(self, x: Any) -> Any:
        if not isinstance(x, Pair):
            return _call("log", x)
        return Pair(_call("log", _call("hypot", *x.parts)), _call("atan2", x.im, x.re), x.dtype)

    def eq(self, x: Any, y: Any) -> Any:
        if not isinstance(x, Pair) and not isinstance(y, Pair):
            return _call("eq", x, y)
        (a, b), (c, d) = self._pair(x).parts, self._pair(y).parts
        return self.and_(_call("eq", a, c), _call("eq", b, d))

    def and_(self, x: Any, y: Any) -> Any:
        return _call("logical_and", x, y)

    def or_(self, x: Any, y: Any) -> Any:
        return _call("logical_or", x, y)

    def not_(self, x: Any) -> Any:
        return _call("logical_not", x)

    def select(self, c: Any, x: Any, y: Any) -> Any:
        if not isinstance(x, Pair) and not isinstance(y, Pair):
            return _choose(c, x, y)
        one, other = self._pair(x).parts, self._pair(y).parts
        return pair_of([_choose(c, one[k], other[k]) for k in (0, 1)], self.result)


def _call(name: str, *xs: Any) -> Any:
    """An op on real operands; on numbers alone its value, by the op's own kernel."""
    op = lookup(name)
    if any(isinstance(x, Value) for x in xs):
        return op(*xs)
    with np.errstate(all="ignore"):
        return op.eager(*map(np.asarray, xs)).item()


def _choose(c: Any, x: Any, y: Any) -> Any:
    return lookup("where")(c, x, y) if isinstance(c, Value) else x if c else y


def _cast(x: Any, dtype: DType) -> Any:
    if not isinstance(x, Value):
        return x
    return x if x.dtype is dtype else lookup("cast")(x, dtype=dtype)
