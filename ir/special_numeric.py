"""Numerics of special functions on float64 arrays, by series, asymptotic expansions and quadrature. Knows no op."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = Any
_EULER = 0.57721566490153286061
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)

_log_gamma = np.frompyfunc(math.lgamma, 1, 1)


def lgamma(x: Array) -> Array:
    """log |gamma(x)|; infinite at 0, -1, -2 ..."""
    pole = (x <= 0) & (x == np.floor(x)) | np.isinf(x)
    out = np.asarray(_log_gamma(np.where(pole, 1.0, x))).astype(np.float64)
    return np.where(pole, np.inf, out)


def digamma(x: Array) -> Array:
    """Derivative of log gamma: shifted to x >= 10, then asymptotic; below 0 by reflection."""
    flipped = x < 0
    at = np.where(flipped, 1 - x, x)
    shift = np.zeros_like(at)
    for _ in range(10):
        small = at < 10
        shift -= np.where(small, 1 / np.where(small, at, 1.0), 0)
        at = np.where(small, at + 1, at)
    inverse = 1 / (at * at)
    tail = np.zeros_like(at)
    for k in range(len(_BERNOULLI) - 1, -1, -1):
        tail = inverse * (_BERNOULLI[k] / (2 * k + 2) + tail)
    out = np.log(at) - 0.5 / at - tail + shift
    out = np.where(np.isposinf(x), np.inf, out)
    mirrored = out - np.pi / np.tan(np.pi * (x - np.floor(x)))
    out = np.where(flipped, np.where(x == np.floor(x), np.nan, mirrored), out)
    return np.where(x == 0, np.where(np.signbit(x), np.inf, -np.inf), out)


def zeta(x: Array, q: Array) -> Array:
    """Hurwitz' zeta function by Euler's and Maclaurin's formula; infinite at x = 1 and at poles, NaN for x < 1."""
    n = 12
    out = np.zeros_like(x)
    for k in range(n):
        out = out + np.power(q + k, -x)
    at = q + n
    power = np.power(at, -x)
    out = out + power * at / (x - 1) + 0.5 * power
    term = x * power / at
    for k, b in enumerate(_BERNOULLI):
        out = out + b * term / math.factorial(2 * k + 2)
        term = term * (x + 2 * k + 1) * (x + 2 * k + 2) / (at * at)
    out = np.where((q <= 0) & (q == np.floor(q)), np.inf, out)
    out = np.where((q < 0) & (q != np.floor(q)) & (x != np.floor(x)), np.nan, out)
    return np.where(x == 1, np.inf, np.where(x < 1, np.nan, out))


def polygamma(x: Array, *, n: int) -> Array:
    """The n-th derivative of digamma."""
    if n == 0:
        return digamma(x)
    factor = (-1) ** (n + 1) * math.factorial(n)
    out = factor * zeta(np.full_like(x, n + 1.0), x)
    if n == 1:  # reflection
        low = x < 0.5
        away = np.where(low, np.sin(np.pi * x), 1.0)
        mirrored = np.pi**2 / (away * away) - zeta(np.full_like(x, 2.0), np.where(low, 1 - x, 1.0))
        out = np.where(low, mirrored, out)
    return out


def gammainc(a: Array, x: Array) -> Array:
    """Regularised lower incomplete gamma function."""
    return _incomplete(a, x)[0]


def gammaincc(a: Array, x: Array) -> Array:
    """Regularised upper incomplete gamma function."""
    return _incomplete(a, x)[1]


def _incomplete(a: Array, x: Array) -> tuple[Array, Array]:
    """Both functions: a power series where x < a + 1, a continued fraction elsewhere."""
    bad = (x < 0) | (a < 0) | np.isnan(a) | np.isnan(x) | ((a == 0) & (x == 0))
    edge = (x == 0) | np.isinf(x) | (a == 0) | np.isinf(a)
    plain = ~(bad | edge)
    sa, sx = np.where(plain, a, 1.0), np.where(plain, x, 1.0)
    front = np.exp(sa * np.log(sx) - sx - lgamma(sa))
    below = sx < sa + 1
    steps = int(100 + 8 * math.sqrt(float(np.max(sa, initial=1.0))))
    low = front * _power_series(np.where(below, sa, 1.0), np.where(below, sx, 0.5), steps)
    high = front * _fraction(np.where(below, 1.0, sa), np.where(below, 3.0, sx), steps)
    p = np.where(below, low, 1 - high)
    q = np.where(below, 1 - low, high)
    all_below = np.isinf(x) & ~np.isinf(a) | (a == 0)
    p = np.where(edge, np.where(all_below, 1.0, 0.0), p)
    q = np.where(edge, np.where(all_below, 0.0, 1.0), q)
    return np.where(bad, np.nan, p), np.where(bad, np.nan, q)


def _power_series(a: Array, x: Array, steps: int) -> Array:
    term = 1 / a
    total = term
    for k in range(1, steps):
        term = term * x / (a + k)
        total = total + term
    return total


def _fraction(a: Array, x: Array, steps: int) -> Array:
    """By Lentz' method."""
    b = x + 1 - a
    c, d = np.full_like(x, 1e300), 1 / b
    out = d
    for k in range(1, steps):
        top = -k * (k - a)
        b = b + 2
        d = 1 / (top * d + b)
        c = b + top / c
        out = out * d * c
    return out


# -- Bessel functions


def _angles(n: int) -> Array:
    return (np.arange(n) + 0.5) * (np.pi / n)


def _asymptotic(order: int, x: Array, alternate: bool, terms: int) -> tuple[Array, Array]:
    """Even and odd parts of the sum of a_k / x ** k in Hankel's expansion; `alternate`: with the signs of J and Y."""
    parts = [np.ones_like(x), np.zeros_like(x)]
    term = np.ones_like(x)
    for k in range(1, terms):
        term = term * (4.0 * order * order - (2 * k - 1) ** 2) / (k * 8.0 * x)
        sign = (-1.0) ** (k // 2) if alternate else 1.0
        parts[k % 2] = parts[k % 2] + sign * term
    return parts[0], parts[1]


def _modified(order: int, x: Array) -> Array:
    """exp(-|x|) I(|x|): the integral over the circle, beyond 60 the asymptotic series."""
    size = np.abs(x)
    near = np.where(size < 60, size, 0.0)
    theta = _angles(64)
    weights = np.cos(order * theta) / 64
    inner = np.exp(near[..., None] * (np.cos(theta) - 1)) @ weights
    far = np.where(size < 60, 60.0, size)
    even, odd = _asymptotic(order, far, False, 16)
    out = np.where(size < 60, inner, (even - odd) / np.sqrt(2 * np.pi * far))
    out = np.where(np.isnan(x), np.nan, out)
    return np.where(np.isinf(size), 0.0, out)


def i0e(x: Array) -> Array:
    """exp(-|x|) I0(x)."""
    return _modified(0, x)


def i1e(x: Array) -> Array:
    """exp(-|x|) I1(x)."""
    return np.sign(x) * _modified(1, x)


def i0(x: Array) -> Array:
    """Modified Bessel function of the first kind, order 0."""
    return np.exp(np.abs(x)) * i0e(x)


def i1(x: Array) -> Array:
    """Modified Bessel function of the first kind, order 1."""
    return np.exp(np.abs(x)) * i1e(x)


def _first(order: int, x: Array) -> Array:
    size = np.abs(x)
    near = np.where(size < 25, size, 0.0)
    theta = _angles(64)
    inner = np.cos(order * theta - near[..., None] * np.sin(theta)).mean(-1)
    far = np.where(size < 25, 25.0, np.where(np.isinf(size), 25.0, size))
    even, odd = _asymptotic(order, far, True, 24)
    phase = far - (order / 2 + 0.25) * np.pi
    outer = np.sqrt(2 / (np.pi * far)) * (even * np.cos(phase) - odd * np.sin(phase))
    out = np.where(size < 25, inner, outer)
    out = np.where(np.isinf(size) | np.isnan(x), np.nan, out)
    return out if order % 2 == 0 else np.where(x < 0, -out, out)


def j0(x: Array) -> Array:
    """Bessel function of the first kind, order 0."""
    return _first(0, x)


def j1(x: Array) -> Array:
    """Bessel function of the first kind, order 1."""
    return _first(1, x)


def _second(order: int, x: Array) -> Array:
    nodes, weights = np.polynomial.legendre.leggauss(96)
    near = np.where((x > 0) & (x < 25), x, 1.0)[..., None]
    theta = (nodes + 1) * (np.pi / 2)
    round_ = np.sin(near * np.sin(theta) - order * theta) @ weights / 2
    reach = np.arcsinh(745 / near)
    t = (nodes + 1) / 2 * reach
    even = np.exp(order * t) + (-1) ** order * np.exp(-order * t)
    out = round_ - (even * np.exp(-near * np.sinh(t))) @ weights * reach[..., 0] / (2 * np.pi)
    far = np.where((x < 25) | np.isinf(x) | np.isnan(x), 25.0, x)
    a, b = _asymptotic(order, far, True, 24)
    phase = far - (order / 2 + 0.25) * np.pi
    out = np.where(x < 25, out, np.sqrt(2 / (np.pi * far)) * (a * np.sin(phase) + b * np.cos(phase)))
    out = np.where(x == 0, -np.inf, out)
    return np.where((x < 0) | np.isinf(x) | np.isnan(x), np.nan, out)


def y0(x: Array) -> Array:
    """Bessel function of the second kind, order 0."""
    return _second(0, x)


def y1(x: Array) -> Array:
    """Bessel function of the second kind, order 1."""
    return _second(1, x)


def _third(order: int, x: Array) -> Array:
    """exp(x) K(x): the trapezoid rule on a range that decays doubly exponentially; near 0 the leading term."""
    plain = (x > 1e-5) & ~np.isinf(x)
    at = np.where(plain, x, 1.0)[..., None]
    reach = np.arccosh(1 + 745 / at)
    t = np.linspace(0, 1, 257) * reach
    values = np.exp(-2 * at * np.sinh(t / 2) ** 2) * np.cosh(order * t)
    out = (values.sum(-1) - 0.5 * (values[..., 0] + values[..., -1])) * reach[..., 0] / 256
    small = -np.log(np.where(x > 0, x, 1.0) / 2) - _EULER if order == 0 else 1 / np.where(x > 0, x, 1.0)
    out = np.where(plain, out, np.where(np.isposinf(x), 0.0, small))
    out = np.where(x == 0, np.inf, out)
    return np.where((x < 0) | np.isnan(x), np.nan, out)


def k0e(x: Array) -> Array:
    """exp(x) K0(x)."""
    return _third(0, x)


def k1e(x: Array) -> Array:
    """exp(x) K1(x)."""
    return _third(1, x)


def k0(x: Array) -> Array:
    """Modified Bessel function of the second kind, order 0."""
    return np.exp(-x) * k0e(x)


def k1(x: Array) -> Array:
    """Modified Bessel function of the second kind, order 1."""
    return np.exp(-x) * k1e(x)


_erfc = np.frompyfunc(math.erfc, 1, 1)


def erfcx(x: Array) -> Array:
    """exp(x * x) erfc(x): the product below 20, beyond the asymptotic series."""
    near = np.where(x < 20, x, 0.0)
    inner = np.exp(near * near) * np.asarray(_erfc(near)).astype(np.float64)
    far = np.where(x < 20, 20.0, x)
    inverse = 1 / (2 * far * far)
    tail = np.zeros_like(far)
    for k in range(8, 0, -1):
        tail = -(2 * k - 1) * inverse * (1 + tail)
    return np.where(np.isnan(x), np.nan, np.where(x < 20, inner, (1 + tail) / (far * math.sqrt(math.pi))))
