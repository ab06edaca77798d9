"""Divergences of pairs that are not in `divergence`: minus the entropy of the first, minus what it expects of the second's log
density."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..eager import linalg
from ..eager.functional import matmul
from ..eager.generated import where, xlogy
from ..eager.mathematics import digamma, lgamma
from .continuous import Cauchy, Exponential, Gumbel, HalfNormal, Laplace, LogNormal, MultivariateNormal, Normal, Uniform
from .discrete import Bernoulli, Binomial, Poisson
from .divergence import kl_divergence, register_kl
from .gammas import Beta, Gamma
from .heavier import ContinuousBernoulli, LowRankMultivariateNormal
from .transformed import Pareto, TransformedDistribution

_EULER = 0.57721566490153286061


def _mean_log(p: Any) -> Any:
    """What the logarithm of a positive variable is expected to be."""
    if isinstance(p, Exponential):
        return -_EULER - p.rate.log()
    if isinstance(p, Gamma):
        return digamma(p.concentration) - p.rate.log()
    if isinstance(p, Beta):
        return digamma(p.concentration1) - digamma(p.concentration1 + p.concentration0)
    return (xlogy(p.high, p.high) - xlogy(p.low, p.low)) / (p.high - p.low) - 1  # Uniform


def _negative(p: Any) -> Any:
    """Where a variable may be negative."""
    return p.low < 0 if isinstance(p, Uniform) else p.mean != p.mean


def _to_normal(p: Any, q: Any) -> Any:
    square = (p.variance + (p.mean - q.loc) ** 2) / (q.scale * q.scale * 2)
    return square + q.scale.log() + 0.5 * math.log(2 * math.pi) - p.entropy()


def _to_exponential(p: Any, q: Any) -> Any:
    return where(_negative(p), math.inf, q.rate * p.mean - q.rate.log() - p.entropy())


def _to_gamma(p: Any, q: Any) -> Any:
    a, b = q.concentration, q.rate
    found = lgamma(a) - a * b.log() + (1 - a) * _mean_log(p) + b * p.mean - p.entropy()
    return where(_negative(p), math.inf, found)


def _to_pareto(p: Any, q: Any) -> Any:
    low = p.low if isinstance(p, Uniform) else p.mean * 0
    found = (q.alpha + 1) * _mean_log(p) - q.alpha.log() - q.alpha * q.scale.log() - p.entropy()
    return where(low < q.scale, math.inf, found)


def _infinite(p: Any, q: Any) -> Any:
    """The first reaches where the second has no density."""
    return p.mean * 0 + q.mean * 0 + math.inf if not isinstance(p, Pareto) else p.scale * 0 + math.inf


def _enter(firsts: tuple[type, ...], second: type, rule: Callable[[Any, Any], Any]) -> None:
    for first in firsts:
        register_kl(first, second)(rule)


_enter((Exponential, Gamma, Beta, Uniform, Laplace, Gumbel), Normal, _to_normal)
_enter((Gamma, Beta, Uniform), Exponential, _to_exponential)
_enter((Exponential, Beta, Uniform), Gamma, _to_gamma)
_enter((Uniform,), Pareto, _to_pareto)
_enter((Exponential, Gamma, Normal, Laplace, Gumbel, Pareto), Beta, _infinite)
_enter((Exponential, Gamma, Normal, Laplace, Gumbel, Pareto), Uniform, _infinite)
_enter((Exponential, Gamma, Beta, Normal, Laplace, Gumbel), Pareto, _infinite)
_enter((Normal, Laplace, Gumbel), Exponential, _infinite)
_enter((Normal, Laplace, Gumbel), Gamma, _infinite)
_enter((Poisson,), Bernoulli, _infinite)
_enter((Poisson,), Binomial, _infinite)


@register_kl(Beta, Uniform)
def _beta_uniform(p: Any, q: Any) -> Any:
    inside = (q.low <= 0) & (q.high >= 1)
    return where(inside, (q.high - q.low).log() - p.entropy(), math.inf)


@register_kl(Uniform, Beta)
def _uniform_beta(p: Any, q: Any) -> Any:
    a, b = q.concentration1, q.concentration0
    width = p.high - p.low
    low, high = 1 - p.low, 1 - p.high
    rest = (xlogy(low, low) - xlogy(high, high)) / width - 1
    found = lgamma(a) + lgamma(b) - lgamma(a + b) - (a - 1) * _mean_log(p) - (b - 1) * rest - width.log()
    return where((p.low < 0) | (p.high > 1), math.inf, found)


@register_kl(Normal, Laplace)
def _normal_laplace(p: Any, q: Any) -> Any:
    away = p.loc - q.loc
    ratio = away / p.scale
    first = p.scale * math.sqrt(2 / math.pi) * (ratio**2 * -0.5).exp() + away * (ratio * math.sqrt(0.5)).erf()
    return first / q.scale + (q.scale * 2).log() - p.entropy()


@register_kl(Normal, Gumbel)
def _normal_gumbel(p: Any, q: Any) -> Any:
    away, ratio = p.loc / q.scale, p.scale / q.scale
    grown = (-away + ratio**2 * 0.5 + q.loc / q.scale).exp()
    return away - q.loc / q.scale + grown + q.scale.log() - p.entropy()


@register_kl(Uniform, Gumbel)
def _uniform_gumbel(p: Any, q: Any) -> Any:
    width = q.scale / (p.high - p.low)
    low, high = ((x - q.loc) / q.scale for x in (p.low, p.high))
    return width.log() + (high + low) * 0.5 - width * ((-high).exp() - (-low).exp())


@register_kl(Exponential, Gumbel)
def _exponential_gumbel(p: Any, q: Any) -> Any:
    share, start = p.rate * q.scale, q.loc / q.scale
    return share.log() - start + start.exp() * share / (share + 1) + share.reciprocal() - 1


@register_kl(Gamma, Gumbel)
def _gamma_gumbel(p: Any, q: Any) -> Any:
    share, start = p.rate * q.scale, q.loc / q.scale
    grown = start.exp() * (1 + share.reciprocal()) ** -p.concentration
    return p.mean / q.scale - start + q.scale.log() + grown - p.entropy()


@register_kl(Gumbel, Gumbel)
def _gumbels(p: Any, q: Any) -> Any:
    ratio, away = p.scale / q.scale, (q.loc - p.loc) / q.scale
    return -ratio.log() - away + ratio * _EULER + (away + lgamma(1 + ratio)).exp() - (1 + _EULER)


@register_kl(Cauchy, Cauchy)
def _cauchys(p: Any, q: Any) -> Any:
    wide = (p.scale + q.scale) ** 2 + (p.loc - q.loc) ** 2
    return wide.log() - (p.scale * q.scale * 4).log()


@register_kl(HalfNormal, HalfNormal)
def _half_normals(p: Any, q: Any) -> Any:
    share = (p.scale / q.scale) ** 2
    return (share - 1 - share.log()) * 0.5


@register_kl(LogNormal, LogNormal)
def _log_normals(p: Any, q: Any) -> Any:
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Pareto, Pareto)
def _paretos(p: Any, q: Any) -> Any:
    share = p.scale / q.scale
    ratio = q.alpha / p.alpha
    return where(p.scale < q.scale, math.inf, q.alpha * share.log() - ratio.log() + ratio - 1)


@register_kl(Pareto, Exponential)
def _pareto_exponential(p: Any, q: Any) -> Any:
    product = p.scale * q.rate
    found = (p.alpha / product).log() - p.alpha.reciprocal() + p.alpha * product / (p.alpha - 1) - 1
    return where(p.alpha <= 1, math.inf, found)


@register_kl(Binomial, Binomial)
def _binomials(p: Any, q: Any) -> Any:
    each = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return where(p.total_count > q.total_count, math.inf, each)


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p: Any, q: Any) -> Any:
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoullis(p: Any, q: Any) -> Any:
    constant = p._log_constant() + (-p._inner()).log1p() - q._log_constant() - (-q._inner()).log1p()
    return p.mean * (p.logits - q.logits) + constant


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
@register_kl(MultivariateNormal, LowRankMultivariateNormal)
@register_kl(LowRankMultivariateNormal, MultivariateNormal)
def _low_rank(p: Any, q: Any) -> Any:
    n = p.event_shape[0]
    inner = linalg.solve_triangular(q.scale_tril, p.scale_tril, upper=False)
    away = linalg.solve_triangular(q.scale_tril, (q.loc - p.loc).unsqueeze(-1), upper=False)
    total = linalg.diagonal(matmul(inner, inner.mT)).sum(-1) + (away * away).sum((-2, -1))
    halves = (linalg.diagonal(x.scale_tril).log().sum(-1) for x in (q, p))
    return next(halves) - next(halves) + (total - n) * 0.5


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: Any, q: Any) -> Any:
    if [type(t) for t in p.transforms] != [type(t) for t in q.transforms] or p.event_shape != q.event_shape:
        raise NotImplementedError("KL of two transformed distributions whose transforms differ")
    return kl_divergence(p.base_dist, q.base_dist)

