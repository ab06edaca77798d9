"""Distributions over real numbers and vectors, all drawn by transforming uniform or normal numbers."""

from __future__ import annotations

import math
from typing import Any

from ..eager import linalg
from ..eager.constraints import holds
from ..eager.functional import matmul
from ..eager.generated import erf, erfinv, where
from ..eager.mathematics import digamma, lgamma
from ..eager.random import rand, randn
from .base import Distribution, broadcast
from .constraints import interval

_LOG_ROOT = 0.5 * math.log(2 * math.pi)


class Located(Distribution):
    """Around `loc`, its mean and most probable value."""

    loc: Any

    @property
    def mean(self) -> Any:
        return self.loc

    @property
    def mode(self) -> Any:
        return self.loc


class LocationScale(Located):
    """A standard variable times `scale`, plus `loc`."""

    has_rsample = True
    constraints = {"loc": "real", "scale": "positive"}

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)

    def _standard(self, shape: Any) -> Any:
        raise NotImplementedError

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self.loc + self._standard(self._extended(sample_shape)) * self.scale

    def _away(self, value: Any) -> Any:
        return (self._checked(value) - self.loc) / self.scale


def _inner_uniform(shape: Any, like: Any) -> Any:
    """Uniform numbers away from 0 and 1."""
    least = 2.0**-53 if like.dtype.short == "f64" else 2.0**-24
    return rand(shape, dtype=like.dtype, device=like.device).clamp(least, 1 - least)


class Normal(LocationScale):
    """The normal distribution of mean `loc` and standard deviation `scale`."""

    @property
    def stddev(self) -> Any:
        return self.scale

    @property
    def variance(self) -> Any:
        return self.scale * self.scale

    def _standard(self, shape: Any) -> Any:
        return randn(shape, dtype=self.loc.dtype, device=self.loc.device)

    def log_prob(self, value: Any) -> Any:
        away = self._away(value)
        return away * away * -0.5 - self.scale.log() - _LOG_ROOT

    def cdf(self, value: Any) -> Any:
        return (erf(self._away(value) * math.sqrt(0.5)) + 1) * 0.5

    def icdf(self, value: Any) -> Any:
        return self.loc + self.scale * erfinv(value * 2 - 1) * math.sqrt(2)

    def entropy(self) -> Any:
        return self.scale.log() + (0.5 + _LOG_ROOT)


class LogNormal(Distribution):
    """exp of a normal variable."""

    has_rsample = True
    of_values = "positive"

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.base_dist = Normal(loc, scale, validate_args)
        self.loc, self.scale = self.base_dist.loc, self.base_dist.scale
        super().__init__(self.loc.shape, (), validate_args)

    @property
    def mean(self) -> Any:
        return (self.loc + self.scale * self.scale / 2).exp()

    @property
    def mode(self) -> Any:
        return (self.loc - self.scale * self.scale).exp()

    @property
    def variance(self) -> Any:
        square = self.scale * self.scale
        return square.expm1() * (self.loc * 2 + square).exp()

    def expand(self, batch_shape: Any) -> Any:
        made = super().expand(batch_shape)
        made.base_dist = self.base_dist.expand(batch_shape)
        return made

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self.base_dist.rsample(sample_shape).exp()

    def log_prob(self, value: Any) -> Any:
        low = self._checked(value).log()
        return self.base_dist.log_prob(low) - low

    def cdf(self, value: Any) -> Any:
        return self.base_dist.cdf(value.log())

    def icdf(self, value: Any) -> Any:
        return self.base_dist.icdf(value).exp()

    def entropy(self) -> Any:
        return self.base_dist.entropy() + self.loc


class Uniform(Distribution):
    """Uniform from `low` up to, not including, `high`."""

    has_rsample = True
    constraints = {"low": "real", "high": "real"}

    @property
    def support(self) -> Any:
        """The interval."""
        return interval(self.low, self.high)

    @property
    def mode(self) -> Any:
        return self.high * math.nan

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self.low, self.high = broadcast(low, high)
        super().__init__(self.low.shape, (), validate_args)

    @property
    def mean(self) -> Any:
        return (self.high + self.low) / 2

    @property
    def variance(self) -> Any:
        return (self.high - self.low) ** 2 / 12

    def rsample(self, sample_shape: Any = ()) -> Any:
        uniform = rand(self._extended(sample_shape), dtype=self.low.dtype, device=self.low.device)
        return self.low + uniform * (self.high - self.low)

    def _checked(self, value: Any) -> Any:
        value = super()._checked(value)
        if self._validate_args and not holds((value >= self.low) & (value <= self.high), "true"):
            raise ValueError(f"Expected value argument (Tensor of shape {tuple(value.shape)}) to be from low to high of the "
                             f"distribution {self}, but found invalid values:\n{value}")  # fmt: skip
        return value

    def log_prob(self, value: Any) -> Any:
        value = self._checked(value)
        inside = (value >= self.low) & (value < self.high)
        return where(inside, -(self.high - self.low).log(), -math.inf)

    def cdf(self, value: Any) -> Any:
        return ((self._checked(value) - self.low) / (self.high - self.low)).clamp(0.0, 1.0)

    def icdf(self, value: Any) -> Any:
        return self.low + value * (self.high - self.low)

    def entropy(self) -> Any:
        return (self.high - self.low).log()


class OneParameter(Distribution):
    """Of numbers that are not negative, with one parameter, which is positive."""

    has_rsample = True
    of_values = "nonnegative"

    def _made_of(self, name: str, value: Any, validate_args: bool | None) -> None:
        (held,) = broadcast(value)
        setattr(self, name, held)
        Distribution.__init__(self, held.shape, (), validate_args)


class Exponential(OneParameter):
    """Waiting times of events that come at `rate`."""

    constraints = {"rate": "positive"}
    rate: Any

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        self._made_of("rate", rate, validate_args)

    @property
    def mean(self) -> Any:
        return self.rate.reciprocal()

    @property
    def stddev(self) -> Any:
        return self.rate.reciprocal()

    @property
    def variance(self) -> Any:
        return self.rate.pow(-2)

    def rsample(self, sample_shape: Any = ()) -> Any:
        return -(-rand(self._extended(sample_shape), dtype=self.rate.dtype, device=self.rate.device)).log1p() / self.rate

    def log_prob(self, value: Any) -> Any:
        return self.rate.log() - self.rate * self._checked(value)

    def cdf(self, value: Any) -> Any:
        return -(-self.rate * value).expm1()

    def icdf(self, value: Any) -> Any:
        return -(-value).log1p() / self.rate

    @property
    def mode(self) -> Any:
        return self.rate * 0

    def entropy(self) -> Any:
        return 1.0 - self.rate.log()


class Laplace(LocationScale):
    """Two exponential distributions back to back."""

    @property
    def variance(self) -> Any:
        return self.scale * self.scale * 2

    @property
    def stddev(self) -> Any:
        return self.scale * math.sqrt(2)

    def _standard(self, shape: Any) -> Any:
        u = _inner_uniform(shape, self.loc) * 2 - 1
        return -u.sign() * (-u.abs()).log1p()

    def log_prob(self, value: Any) -> Any:
        return -(self.scale * 2).log() - self._away(value).abs()

    def cdf(self, value: Any) -> Any:
        away = self._away(value)
        return 0.5 - away.sign() * (-away.abs()).expm1() * -0.5 * -1

    def icdf(self, value: Any) -> Any:
        term = value - 0.5
        return self.loc - self.scale * term.sign() * (term.abs() * -2).log1p()

    def entropy(self) -> Any:
        return (self.scale * 2).log() + 1


class Cauchy(LocationScale):
    """Tangents of uniform angles."""

    @property
    def mean(self) -> Any:
        return self.loc * math.nan

    @property
    def variance(self) -> Any:
        return self.loc.abs() * math.inf + math.inf

    def _standard(self, shape: Any) -> Any:
        return ((_inner_uniform(shape, self.loc) - 0.5) * math.pi).tan()

    def log_prob(self, value: Any) -> Any:
        away = self._away(value)
        return -math.log(math.pi) - self.scale.log() - (away * away).log1p()

    def cdf(self, value: Any) -> Any:
        return self._away(value).atan() / math.pi + 0.5

    def icdf(self, value: Any) -> Any:
        return ((value - 0.5) * math.pi).tan() * self.scale + self.loc

    def entropy(self) -> Any:
        return (self.scale * (4 * math.pi)).log()


class Gumbel(LocationScale):
    """The largest of many."""

    @property
    def mean(self) -> Any:
        return self.loc + self.scale * 0.57721566490153286061

    @property
    def variance(self) -> Any:
        return self.stddev**2

    @property
    def stddev(self) -> Any:
        return self.scale * (math.pi / math.sqrt(6))

    def _standard(self, shape: Any) -> Any:
        return -(-_inner_uniform(shape, self.loc).log()).log()

    def log_prob(self, value: Any) -> Any:
        away = self._away(value)
        return -away - (-away).exp() - self.scale.log()

    def cdf(self, value: Any) -> Any:
        return (-(-self._away(value)).exp()).exp()

    def icdf(self, value: Any) -> Any:
        return self.loc - self.scale * (-value.log()).log()

    def entropy(self) -> Any:
        return self.scale.log() + (1 + 0.57721566490153286061)


class HalfNormal(OneParameter):
    """Magnitudes of normal variables."""

    constraints = {"scale": "positive"}
    scale: Any

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        self._made_of("scale", scale, validate_args)

    @property
    def mean(self) -> Any:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Any:
        return self.scale * self.scale * (1 - 2 / math.pi)

    def rsample(self, sample_shape: Any = ()) -> Any:
        return randn(self._extended(sample_shape), dtype=self.scale.dtype, device=self.scale.device).abs() * self.scale

    def log_prob(self, value: Any) -> Any:
        away = self._checked(value) / self.scale
        return away * away * -0.5 - self.scale.log() - _LOG_ROOT + math.log(2)

    def cdf(self, value: Any) -> Any:
        return erf(value / self.scale * math.sqrt(0.5))

    def icdf(self, value: Any) -> Any:
        return self.scale * erfinv(value) * math.sqrt(2)

    @property
    def mode(self) -> Any:
        return self.scale * 0

    def entropy(self) -> Any:
        return self.scale.log() + (0.5 + _LOG_ROOT - math.log(2))


class StudentT(Distribution):
    """Student's t of `df` degrees of freedom, times `scale`, plus `loc`."""

    has_rsample = True
    constraints = {"df": "positive", "loc": "real", "scale": "positive"}

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None) -> None:
        self.df, self.loc, self.scale = broadcast(df, loc, scale)
        super().__init__(self.df.shape, (), validate_args)

    @property
    def mean(self) -> Any:
        return where(self.df > 1, self.loc, math.nan)

    @property
    def mode(self) -> Any:
        return self.loc

    def entropy(self) -> Any:
        a, b = (self.df + 1) * 0.5, self.df * 0.5
        beta = lgamma(b) + math.lgamma(0.5) - lgamma(a)
        return self.scale.log() + a * (digamma(a) - digamma(b)) + self.df.log() * 0.5 + beta

    @property
    def variance(self) -> Any:
        wide = where(self.df > 2, self.df, 3.0)
        finite = self.scale * self.scale * wide / (wide - 2)
        return where(self.df > 2, finite, where(self.df > 1, math.inf, math.nan).to(self.df.dtype))

    def rsample(self, sample_shape: Any = ()) -> Any:
        from .gammas import drawn_gamma

        shape = self._extended(sample_shape)
        square = drawn_gamma((self.df / 2).expand(shape)) * 2
        return self.loc + self.scale * randn(shape, dtype=self.loc.dtype, device=self.loc.device) * (self.df / square).sqrt()

    def log_prob(self, value: Any) -> Any:
        away = (self._checked(value) - self.loc) / self.scale
        constant = self.scale.log() + self.df.log() * 0.5 + 0.5 * math.log(math.pi)
        constant = constant + lgamma(self.df * 0.5) - lgamma((self.df + 1) * 0.5)
        return (self.df + 1) * -0.5 * (away * away / self.df).log1p() - constant


def factor_of(covariance_matrix: Any, precision_matrix: Any, scale_tril: Any) -> Any:
    """The Cholesky factor of a covariance that is given as one of the three. ValueError for none or several."""
    if sum([m is not None for m in (covariance_matrix, precision_matrix, scale_tril)]) != 1:
        raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
    if scale_tril is not None:
        return scale_tril
    return linalg.cholesky(linalg.inv(precision_matrix) if covariance_matrix is None else covariance_matrix)


class MultivariateNormal(Distribution):
    """Normal vectors of mean `loc`, by one of a covariance matrix, its inverse (`precision_matrix`) or its Cholesky factor."""

    has_rsample = True

    def __init__(
        self, loc: Any, covariance_matrix: Any = None, precision_matrix: Any = None, scale_tril: Any = None,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        scale_tril = factor_of(covariance_matrix, precision_matrix, scale_tril)
        batch = (loc[..., 0] + scale_tril[..., 0, 0]).shape
        n = loc.shape[-1]
        self.loc, self.scale_tril = loc.expand((*batch, n)), scale_tril.expand((*batch, n, n))
        super().__init__(batch, (n,), validate_args)

    @property
    def mean(self) -> Any:
        return self.loc

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def covariance_matrix(self) -> Any:
        """Covariances of the elements."""
        return matmul(self.scale_tril, self.scale_tril.mT)

    @property
    def precision_matrix(self) -> Any:
        """Inverse of the covariance matrix."""
        return linalg.inv(self.covariance_matrix)

    @property
    def variance(self) -> Any:
        return (self.scale_tril * self.scale_tril).sum(-1)

    def rsample(self, sample_shape: Any = ()) -> Any:
        noise = randn(self._extended(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + matmul(self.scale_tril, noise.unsqueeze(-1)).squeeze(-1)

    def _half_log_det(self) -> Any:
        return linalg.diagonal(self.scale_tril).log().sum(-1)

    def log_prob(self, value: Any) -> Any:
        away = (self._checked(value) - self.loc).unsqueeze(-1)
        solved = linalg.solve_triangular(self.scale_tril, away, upper=False).squeeze(-1)
        return (solved * solved).sum(-1) * -0.5 - self._half_log_det() - self._event_shape[0] * _LOG_ROOT

    def entropy(self) -> Any:
        return self._half_log_det() + self._event_shape[0] * (0.5 + _LOG_ROOT)
