"""Pointwise functions that are more than one record, or second names of records, and the rarer special functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..errors import DTypeError
from ..ir import dtypes
from ..ir.ops import special
from ..ir.ops.compare import where
from . import generated as g
from .executor import apply
from .functional import to
from .outputs import fills, finished
from .pure import pure
from .reducing import norm
from .served import served

if TYPE_CHECKING:
    from .tensor import Tensor

_NONE: dict[str, Any] = {}

arcsin, arccos, arctan, arctan2 = g.asin, g.acos, g.atan, g.atan2
arcsinh, arccosh, arctanh = g.asinh, g.acosh, g.atanh
expit = g.sigmoid


def floating(x: Any) -> Any:
    """`x`; in the default float where it is integral."""
    return x if x.dtype.is_inexact else to(x, dtypes.default())


@pure
def sinc(input: Tensor, *, out: Any = None) -> Tensor:
    """sin(pi x) / (pi x); 1 at 0."""
    x = floating(input) * math.pi
    zero = g.eq(x, 0)
    return finished(where(zero, 1.0, g.sin(x) / where(zero, 1.0, x)), out)  # type: ignore[no-any-return]


@pure
def deg2rad(input: Tensor, *, out: Any = None) -> Tensor:
    """Degrees as radians."""
    return finished(floating(input) * (math.pi / 180), out)  # type: ignore[no-any-return]


@pure
def rad2deg(input: Tensor, *, out: Any = None) -> Tensor:
    """Radians as degrees."""
    return finished(floating(input) * (180 / math.pi), out)  # type: ignore[no-any-return]


@served
@pure
def logit(input: Tensor, eps: float | None = None, *, out: Any = None) -> Tensor:
    """log(x / (1 - x)); `eps`: x is brought between eps and 1 - eps first."""
    x = floating(input)
    if eps is not None:
        x = x.clamp(eps, 1 - eps)
    return finished(g.log(x / (1 - x)), out)  # type: ignore[no-any-return]


@pure
def lgamma(input: Tensor, *, out: Any = None) -> Tensor:
    """Logarithm of the magnitude of the gamma function."""
    return finished(apply(special.lgamma, (input,), _NONE), out)  # type: ignore[no-any-return]


@pure
def digamma(input: Tensor, *, out: Any = None) -> Tensor:
    """Derivative of `lgamma`."""
    return finished(apply(special.digamma, (input,), _NONE), out)  # type: ignore[no-any-return]


@pure
def polygamma(n: Any, input: Any = None, *, out: Any = None) -> Tensor:
    """The n-th derivative of `digamma`; as a method ``x.polygamma(n)``."""
    if hasattr(n, "meta"):
        n, input = input, n
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    if n == 0:
        return digamma(input, out=out)
    return finished(apply(special.polygamma, (input,), {"n": int(n)}), out)  # type: ignore[no-any-return]


@pure
def mvlgamma(input: Tensor, p: int, *, out: Any = None) -> Tensor:
    """Logarithm of the gamma function of `p` dimensions."""
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    x = floating(input)
    total = lgamma(x)
    for j in range(1, p):
        total = total + lgamma(x - j / 2)
    return finished(total + p * (p - 1) / 4 * math.log(math.pi), out)  # type: ignore[no-any-return]


@pure
def i0(input: Tensor, *, out: Any = None) -> Tensor:
    """Modified Bessel function of the first kind, order 0."""
    return finished(apply(special.i0, (input,), _NONE), out)  # type: ignore[no-any-return]


@pure
def gcd(input: Tensor, other: Any, *, out: Any = None) -> Tensor:
    """Greatest common divisor of whole numbers."""
    return finished(apply(special.gcd, (input, other), _NONE), out)  # type: ignore[no-any-return]


@pure
def lcm(input: Tensor, other: Any, *, out: Any = None) -> Tensor:
    """Least common multiple of whole numbers."""
    divisor = gcd(input, other)
    zero = g.eq(divisor, 0)
    return finished(where(zero, 0, g.abs(input // where(zero, 1, divisor) * other)), out)  # type: ignore[no-any-return]


@pure
def nextafter(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """The next number of the dtype after `input` towards `other`."""
    return finished(apply(special.nextafter, (input, other), _NONE), out)  # type: ignore[no-any-return]


@fills
@pure
def frexp(input: Tensor) -> tuple[Tensor, Tensor]:
    """(mantissa of magnitude 0.5 to 1, exponent): ``input = mantissa * 2 ** exponent``."""
    if not input.dtype.is_floating_point:
        raise DTypeError(f"torch.frexp() only supports floating-point dtypes, got {input.dtype.name}{list(input.shape)}")
    return apply(special.frexp, (input,), _NONE)  # type: ignore[no-any-return]


@pure
def ldexp(input: Tensor, other: Any, *, out: Any = None) -> Tensor:
    """``input * 2 ** other``."""
    x = floating(input)
    power = g.exp2(other if other.dtype.is_inexact else to(other, x.dtype)) if hasattr(other, "meta") else 2.0**other
    return finished(x * power, out)  # type: ignore[no-any-return]


@served
@pure
def heaviside(input: Tensor, values: Tensor, *, out: Any = None) -> Tensor:
    """0 below 0, 1 above, `values` at 0."""
    if input.dtype is not values.dtype:
        raise DTypeError(f"heaviside is not yet implemented for tensors with different dtypes: {input.dtype.name} and "
                         f"{values.dtype.name}")  # fmt: skip
    return finished(where(g.eq(input, 0), values, to(g.gt(input, 0), input.dtype)), out)  # type: ignore[no-any-return]


@served
@pure
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of the difference."""
    return norm(input - other, p)


@pure
def igamma(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Regularised lower incomplete gamma function; no gradient in `input`."""
    return finished(apply(special.gammainc, (input, other), _NONE), out)  # type: ignore[no-any-return]


@pure
def igammac(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Regularised upper incomplete gamma function; no gradient in `input`."""
    return finished(apply(special.gammaincc, (input, other), _NONE), out)  # type: ignore[no-any-return]


def _preferring(name: str, pair: Any, text: str) -> Any:
    @pure
    def function(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
        if not input.dtype.is_floating_point and not other.dtype.is_floating_point:
            return finished(pair(input, other), out)  # type: ignore[no-any-return]
        a, b = floating(input), floating(other)
        return finished(where(g.isnan(a), b, where(g.isnan(b), a, pair(a, b))), out)  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The {text} of two; where one is NaN the other."
    return function


fmax, fmin = _preferring("fmax", g.maximum, "larger"), _preferring("fmin", g.minimum, "smaller")
