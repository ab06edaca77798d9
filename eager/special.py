"""What `fusewire.special` holds: special functions under PyTorch's names there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..ir import dtypes
from ..ir.dtypes import promote_types
from ..ir.ops import special as records
from ..ir.ops import transcendental
from ..ir.ops.compare import where
from ..ir.ops.creation import filled
from . import generated as g
from .arranging import logsumexp
from .executor import apply
from .functional import expand, to
from .mathematics import digamma, floating, i0, logit, polygamma, sinc
from .mathematics import lgamma as gammaln
from .mathematics import mvlgamma as multigammaln
from .neural import log_softmax, softmax
from .outputs import finished
from .pure import pure
from .reducing import round as _round

if TYPE_CHECKING:
    from .tensor import Tensor

_NONE: dict[str, Any] = {}

erf, erfc, erfinv, exp2, expm1, log1p = g.erf, g.erfc, g.erfinv, g.exp2, g.expm1, g.log1p
expit, xlogy, round = g.sigmoid, g.xlogy, _round
psi = digamma


def _one(op: Any, name: str, text: str) -> Any:
    @pure
    def function(input: Tensor, *, out: Any = None) -> Tensor:
        return finished(apply(op, (input,), _NONE), out)  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


i0e = _one(records.i0e, "i0e", "exp(-|x|) `i0`.")
i1 = _one(records.i1, "i1", "Modified Bessel function of the first kind, order 1.")
i1e = _one(records.i1e, "i1e", "exp(-|x|) `i1`.")
bessel_j0 = _one(records.bessel_j0, "bessel_j0", "Bessel function of the first kind, order 0.")
bessel_j1 = _one(records.bessel_j1, "bessel_j1", "Bessel function of the first kind, order 1.")
bessel_y0 = _one(records.bessel_y0, "bessel_y0", "Bessel function of the second kind, order 0.")
bessel_y1 = _one(records.bessel_y1, "bessel_y1", "Bessel function of the second kind, order 1.")
modified_bessel_i0, modified_bessel_i1 = i0, i1
modified_bessel_k0 = _one(records.bessel_k0, "modified_bessel_k0", "Modified Bessel function of the second kind, order 0.")
modified_bessel_k1 = _one(records.bessel_k1, "modified_bessel_k1", "Modified Bessel function of the second kind, order 1.")
scaled_modified_bessel_k0 = _one(records.bessel_k0e, "scaled_modified_bessel_k0", "exp(x) times `modified_bessel_k0`.")
scaled_modified_bessel_k1 = _one(records.bessel_k1e, "scaled_modified_bessel_k1", "exp(x) times `modified_bessel_k1`.")
erfcx = _one(records.erfcx, "erfcx", "exp(x * x) erfc(x).")
ndtri = _one(transcendental.ndtri, "ndtri", "The normal distribution's quantile.")


@pure
def gammainc(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Regularised lower incomplete gamma function; no gradient in `input`."""
    return finished(apply(records.gammainc, (input, other), _NONE), out)  # type: ignore[no-any-return]


@pure
def gammaincc(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Regularised upper incomplete gamma function; no gradient in `input`."""
    return finished(apply(records.gammaincc, (input, other), _NONE), out)  # type: ignore[no-any-return]


@pure
def zeta(input: Any, other: Any, *, out: Any = None) -> Tensor:
    """Hurwitz' zeta function; no gradient in `input`."""
    like = input if hasattr(input, "meta") else other
    pair = [x if hasattr(x, "meta") else filled(floating(like), (), x) for x in (input, other)]
    return finished(apply(records.zeta, tuple(pair), _NONE), out)  # type: ignore[no-any-return]


@pure
def xlog1py(input: Any, other: Any, *, out: Any = None) -> Tensor:
    """``input * log(1 + other)``; 0 where `input` is 0."""
    return finished(apply(transcendental.xlog1py, (input, other), _NONE), out)  # type: ignore[no-any-return]


@pure
def entr(input: Tensor, *, out: Any = None) -> Tensor:
    """-x log(x); 0 at 0, minus infinity below."""
    x = floating(input)
    inside = g.gt(x, 0)
    outer = where(g.isnan(x), x, to(where(g.lt(x, 0), -math.inf, 0.0), x.dtype))
    kept = where(inside, x, 1.0)
    return finished(where(inside, -kept * g.log(kept), outer), out)  # type: ignore[no-any-return]


@pure
def ndtr(input: Tensor, *, out: Any = None) -> Tensor:
    """The normal distribution function."""
    return finished(g.erfc(floating(input) * -math.sqrt(0.5)) * 0.5, out)  # type: ignore[no-any-return]


@pure
def log_ndtr(input: Tensor, *, out: Any = None) -> Tensor:
    """Logarithm of `ndtr`, accurate far below."""
    x = floating(input)
    low = g.lt(x, -1)
    scaled = x * -math.sqrt(0.5)
    below = g.log(apply(records.erfcx, (where(low, scaled, 1.0),), _NONE) * 0.5) - x * x * 0.5
    above = g.log1p(g.erfc(where(low, 1.0, -scaled)) * -0.5)
    return finished(where(low, below, above), out)  # type: ignore[no-any-return]


# -- orthogonal polynomials, by their recurrences


def _recurrence(name: str, first: Any, step: Any) -> Any:
    @pure
    def function(input: Tensor, n: Any, *, out: Any = None) -> Tensor:
        x = floating(input)
        if hasattr(n, "meta") and n.numel() != 1:
            return finished(_by_degree(first, step, x, n), out)  # type: ignore[no-any-return]
        degree = int(n)
        low, high = filled(x, x.shape, 1), first(x)
        if degree < 0:
            return finished(filled(x, x.shape, 0), out)  # type: ignore[no-any-return]
        for k in range(1, degree):
            low, high = high, step(k, x, high, low)
        return finished(low if degree == 0 else high, out)  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The {name.replace('_', ' ')} of degree `n`, a number or one for each element."
    return function


def _by_degree(first: Any, step: Any, x: Any, n: Any) -> Any:
    """Each element by its own degree; the largest one is read."""
    dtype = promote_types(x.dtype, n.dtype)
    shape = (x + n).shape
    x, n = expand(x, shape), expand(n, shape)
    x, n = to(x, dtype), to(n, dtypes.int64)
    low, high = filled(x, x.shape, 1), first(x)
    out = where(g.eq(n, 0), low, 0.0)
    for k in range(1, int(g.amax(n)) + 1 if n.numel() else 0):
        out = where(g.eq(n, k), high, out)
        low, high = high, step(k, x, high, low)
    return out


def _shifted(name: str, plain: Any) -> Any:
    @pure
    def function(input: Tensor, n: Any, *, out: Any = None) -> Tensor:
        return plain(floating(input) * 2 - 1, n, out=out)  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`{plain.__name__}` at ``2 x - 1``."
    return function


@pure
def spherical_bessel_j0(input: Tensor, *, out: Any = None) -> Tensor:
    """sin(x) / x; 1 at 0."""
    x = floating(input)
    zero = g.eq(x, 0)
    return finished(where(zero, 1.0, g.sin(x) / where(zero, 1.0, x)), out)  # type: ignore[no-any-return]


def _chebyshev(k: int, x: Any, high: Any, low: Any) -> Any:
    return 2 * x * high - low


chebyshev_polynomial_t = _recurrence("chebyshev_polynomial_t", lambda x: x, _chebyshev)
chebyshev_polynomial_u = _recurrence("chebyshev_polynomial_u", lambda x: 2 * x, _chebyshev)
chebyshev_polynomial_v = _recurrence("chebyshev_polynomial_v", lambda x: 2 * x - 1, _chebyshev)
chebyshev_polynomial_w = _recurrence("chebyshev_polynomial_w", lambda x: 2 * x + 1, _chebyshev)
shifted_chebyshev_polynomial_t = _shifted("shifted_chebyshev_polynomial_t", chebyshev_polynomial_t)
shifted_chebyshev_polynomial_u = _shifted("shifted_chebyshev_polynomial_u", chebyshev_polynomial_u)
shifted_chebyshev_polynomial_v = _shifted("shifted_chebyshev_polynomial_v", chebyshev_polynomial_v)
shifted_chebyshev_polynomial_w = _shifted("shifted_chebyshev_polynomial_w", chebyshev_polynomial_w)
hermite_polynomial_h = _recurrence("hermite_polynomial_h", lambda x: 2 * x, lambda k, x, b, a: 2 * x * b - 2 * k * a)
hermite_polynomial_he = _recurrence("hermite_polynomial_he", lambda x: x, lambda k, x, b, a: x * b - k * a)
laguerre_polynomial_l = _recurrence(
    "laguerre_polynomial_l", lambda x: 1 - x, lambda k, x, b, a: ((2 * k + 1 - x) * b - k * a) / (k + 1)
)
legendre_polynomial_p = _recurrence(
    "legendre_polynomial_p", lambda x: x, lambda k, x, b, a: ((2 * k + 1) * x * b - k * a) / (k + 1)
)

__all__ = [
    "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "chebyshev_polynomial_t", "chebyshev_polynomial_u",
    "chebyshev_polynomial_v", "chebyshev_polynomial_w", "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit",
    "expm1", "gammainc", "gammaincc", "gammaln", "hermite_polynomial_h", "hermite_polynomial_he", "i0", "i0e", "i1", "i1e",
    "laguerre_polynomial_l", "legendre_polynomial_p", "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp",
    "modified_bessel_i0", "modified_bessel_i1", "modified_bessel_k0", "modified_bessel_k1", "multigammaln", "ndtr", "ndtri",
    "polygamma", "psi", "round", "scaled_modified_bessel_k0", "scaled_modified_bessel_k1",
    "shifted_chebyshev_polynomial_t", "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v",
    "shifted_chebyshev_polynomial_w", "sinc", "softmax", "spherical_bessel_j0", "xlog1py", "xlogy", "zeta",
]  # fmt: skip
