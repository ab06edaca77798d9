"""The gamma distribution and those made of it. Draws by rejection (Marsaglia and Tsang, 2000)."""

from __future__ import annotations

from typing import Any

from ..eager.generated import where, xlogy
from ..eager.mathematics import digamma, igamma, lgamma
from ..eager.modes import no_grad
from ..eager.random import rand, randn
from .base import Distribution, broadcast

#: Proposals for each draw; one is refused with a probability below 0.05, all of them below 1e-13.
_ROUNDS = 10


def standard_gamma(shape: Any) -> Any:
    """A draw of the gamma distribution of rate 1 for each element of `shape`, its shape parameter."""
    small = shape < 1
    d = where(small, shape + 1, shape) - 1 / 3
    c = (d * 9).rsqrt()
    found = d
    done = small & False
    for _ in range(_ROUNDS):
        x = randn(shape.shape, dtype=shape.dtype, device=shape.device)
        v = (c * x + 1) ** 3
        u = (1 - rand(shape.shape, dtype=shape.dtype, device=shape.device)).clamp(min=1e-38)
        inside = v > 0
        held = where(inside, v, 1.0)
        good = inside & (u.log() < x * x * 0.5 + d - d * held + d * held.log())
        found = where(good & ~done, d * held, found)
        done = done | good
    boost = (1 - rand(shape.shape, dtype=shape.dtype, device=shape.device)).clamp(min=1e-38) ** (1 / where(small, shape, 1.0))
    return where(small, found * boost, found).clamp(min=1e-38)


def drawn_gamma(shape: Any) -> Any:
    """`standard_gamma` through which a gradient reaches `shape`: minus the change of the distribution function with it, over the
    density (implicit reparametrisation; Figurnov and others, 2018). Of first order."""
    with no_grad():
        z = standard_gamma(shape.detach())
    return z + (shape - shape.detach()) * gamma_gradient(shape.detach(), z) if shape.requires_grad else z


def gamma_gradient(shape: Any, z: Any) -> Any:
    """How draws `z` of the gamma distribution move with its parameter, by central differences in float64."""
    with no_grad():
        a, x = shape.double(), z.double().clamp(min=1e-300)
        h = a.clamp(max=1.0) * 1e-4
        change = (igamma(a + h, x) - igamma(a - h, x)) / (h * 2)
        density = ((a - 1) * x.log() - x - lgamma(a)).exp()
        small = a < 1  # near 0 the distribution function is x**a / gamma(a + 1): its slope over the density is known
        near = x * (digamma(a + 1) - x.log()) / a
        return where(small & (x < 1e-3), near, -change / density).to(shape.dtype)


class Shaped(Distribution):
    """By `concentration` and `rate`, both positive."""

    has_rsample = True
    constraints = {"concentration": "positive", "rate": "positive"}

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast(concentration, rate)
        super().__init__(self.concentration.shape, (), validate_args)


class Gamma(Shaped):
    """Sums of `concentration` waiting times of events that come at `rate`."""

    of_values = "nonnegative"

    @property
    def mean(self) -> Any:
        return self.concentration / self.rate

    @property
    def mode(self) -> Any:
        return ((self.concentration - 1) / self.rate).clamp(min=0.0)

    @property
    def variance(self) -> Any:
        return self.concentration / self.rate**2

    def rsample(self, sample_shape: Any = ()) -> Any:
        return drawn_gamma(self.concentration.expand(self._extended(sample_shape))) / self.rate

    def cdf(self, value: Any) -> Any:
        return igamma(self.concentration, self.rate * self._checked(value))

    def log_prob(self, value: Any) -> Any:
        x, a = self._checked(value), self.concentration
        return xlogy(a, self.rate) + xlogy(a - 1, x) - self.rate * x - lgamma(a)

    def entropy(self) -> Any:
        a = self.concentration
        return a - self.rate.log() + lgamma(a) + (1.0 - a) * digamma(a)


class Chi2(Gamma):
    """Sums of `df` squares of normal variables."""

    def __init__(self, df: Any, validate_args: bool | None = None) -> None:
        (given,) = broadcast(df)
        super().__init__(given * 0.5, 0.5, validate_args)

    @property
    def df(self) -> Any:
        """Degrees of freedom."""
        return self.concentration * 2


class Dirichlet(Distribution):
    """Rows of numbers that sum to 1."""

    has_rsample = True
    constraints = {"concentration": "positive"}
    of_values = "simplex"

    def __init__(self, concentration: Any, validate_args: bool | None = None) -> None:
        if concentration.ndim < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args)

    @property
    def mean(self) -> Any:
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    @property
    def variance(self) -> Any:
        a = self.concentration
        total = a.sum(-1, keepdim=True)
        return a * (total - a) / (total**2 * (total + 1))

    @property
    def mode(self) -> Any:
        less = (self.concentration - 1).clamp(min=0.0)
        found = less / less.sum(-1, keepdim=True)
        flat = (self.concentration < 1).all(-1, keepdim=True)
        largest = self.concentration == self.concentration.amax(-1, keepdim=True)
        return where(flat, largest.to(found.dtype), found)

    def rsample(self, sample_shape: Any = ()) -> Any:
        parts = drawn_gamma(self.concentration.expand(self._extended(sample_shape)))
        return parts / parts.sum(-1, keepdim=True)

    def log_prob(self, value: Any) -> Any:
        a = self.concentration
        return xlogy(a - 1.0, self._checked(value)).sum(-1) + lgamma(a.sum(-1)) - lgamma(a).sum(-1)

    def entropy(self) -> Any:
        a = self.concentration
        k, total = a.shape[-1], a.sum(-1)
        return lgamma(a).sum(-1) - lgamma(total) - (k - total) * digamma(total) - ((a - 1.0) * digamma(a)).sum(-1)


class Beta(Distribution):
    """Numbers between 0 and 1: the first of two gammas' share of both."""

    has_rsample = True
    constraints = {"concentration1": "positive", "concentration0": "positive"}
    of_values = "unit interval"

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        self.concentration1, self.concentration0 = broadcast(concentration1, concentration0)
        super().__init__(self.concentration1.shape, (), validate_args)

    @property
    def mean(self) -> Any:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def variance(self) -> Any:
        a, b = self.concentration1, self.concentration0
        return a * b / ((a + b) ** 2 * (a + b + 1))

    @property
    def mode(self) -> Any:
        one, zero = ((c - 1).clamp(min=0.0) for c in (self.concentration1, self.concentration0))
        flat = (self.concentration1 < 1) & (self.concentration0 < 1)
        higher = (self.concentration1 > self.concentration0).to(one.dtype)
        ends = where(self.concentration1 == self.concentration0, float("nan"), higher)
        return where(flat, ends, one / (one + zero))

    def rsample(self, sample_shape: Any = ()) -> Any:
        a, b = (drawn_gamma(c.expand(self._extended(sample_shape))) for c in (self.concentration1, self.concentration0))
        least = 2.0**-53 if a.dtype.short == "f64" else 2.0**-24
        return (a / (a + b)).clamp(least, 1 - least)

    def log_prob(self, value: Any) -> Any:
        x, a, b = self._checked(value), self.concentration1, self.concentration0
        return xlogy(a - 1.0, x) + xlogy(b - 1.0, 1 - x) + lgamma(a + b) - lgamma(a) - lgamma(b)

    def entropy(self) -> Any:
        a, b = self.concentration1, self.concentration0
        low = lgamma(a) + lgamma(b) - lgamma(a + b)
        return low - (a - 1) * digamma(a) - (b - 1) * digamma(b) + (a + b - 2) * digamma(a + b)
