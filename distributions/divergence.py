"""Kullback-Leibler divergences of pairs of distributions, in a table by class."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

from ..eager import linalg
from ..eager.functional import matmul
from ..eager.generated import where, xlogy
from ..eager.mathematics import digamma, lgamma
from .base import Independent
from .continuous import Exponential, Laplace, MultivariateNormal, Normal, Uniform
from .discrete import Bernoulli, Categorical, Geometric, OneHotCategorical, Poisson
from .gammas import Beta, Dirichlet, Gamma

Rule = Callable[[Any, Any], Any]
_RULES: dict[tuple[type, type], Rule] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Rule], Rule]:
    """Decorator: this function gives ``kl_divergence(p, q)`` for these classes and those derived from them."""

    def enter(rule: Rule) -> Rule:
        _RULES[type_p, type_q] = rule
        return rule

    return enter


def kl_divergence(p: Any, q: Any) -> Any:
    """Expected value under `p` of ``log p - log q``; NotImplementedError for pairs that no rule covers."""
    rule = _rule(type(p), type(q))
    if rule is None:
        importlib.import_module(f"{__package__}.mixed")  # enters the rarer pairs
        rule = _rule(type(p), type(q))
    if rule is None:
        raise NotImplementedError(f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}")
    return rule(p, q)


def _rule(first: type, second: type) -> Rule | None:
    pairs = ((a, b) for a in first.__mro__ for b in second.__mro__)
    return next((_RULES[pair] for pair in pairs if pair in _RULES), None)


@register_kl(Normal, Normal)
def _normals(p: Any, q: Any) -> Any:
    share = (p.scale / q.scale) ** 2
    away = ((p.loc - q.loc) / q.scale) ** 2
    return (share + away - 1 - share.log()) * 0.5


@register_kl(Bernoulli, Bernoulli)
def _bernoullis(p: Any, q: Any) -> Any:
    a, b = p.probs, q.probs
    one = where(a == 0, 0.0, xlogy(a, a) - xlogy(a, b))
    zero = where(a == 1, 0.0, xlogy(1 - a, 1 - a) - xlogy(1 - a, 1 - b))
    return one + zero


@register_kl(Categorical, Categorical)
def _categoricals(p: Any, q: Any) -> Any:
    terms = p.probs * (p.logits - q.logits)
    terms = where(q.probs == 0, math.inf, terms)
    return where(p.probs == 0, 0.0, terms).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hots(p: Any, q: Any) -> Any:
    return _categoricals(p._categorical, q._categorical)


@register_kl(Uniform, Uniform)
def _uniforms(p: Any, q: Any) -> Any:
    inside = (q.low <= p.low) & (q.high >= p.high)
    return where(inside, ((q.high - q.low) / (p.high - p.low)).log(), math.inf)


@register_kl(Exponential, Exponential)
def _exponentials(p: Any, q: Any) -> Any:
    share = q.rate / p.rate
    return share - share.log() - 1


@register_kl(Laplace, Laplace)
def _laplaces(p: Any, q: Any) -> Any:
    share, away = p.scale / q.scale, (p.loc - q.loc).abs()
    return -share.log() + away / q.scale + share * (-away / p.scale).exp() - 1


@register_kl(Poisson, Poisson)
def _poissons(p: Any, q: Any) -> Any:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Geometric, Geometric)
def _geometrics(p: Any, q: Any) -> Any:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Gamma, Gamma)
def _gammas(p: Any, q: Any) -> Any:
    a, b = p.concentration, q.concentration
    first = b * (p.rate / q.rate).log() + lgamma(b) - lgamma(a)
    return first + (a - b) * digamma(a) + (q.rate - p.rate) * (a / p.rate)


@register_kl(Beta, Beta)
def _betas(p: Any, q: Any) -> Any:
    a1, a0, b1, b0 = p.concentration1, p.concentration0, q.concentration1, q.concentration0
    first = lgamma(b1) + lgamma(b0) + lgamma(a1 + a0) - lgamma(b1 + b0) - lgamma(a1) - lgamma(a0)
    return first + (a1 - b1) * digamma(a1) + (a0 - b0) * digamma(a0) + (b1 + b0 - a1 - a0) * digamma(a1 + a0)


@register_kl(Dirichlet, Dirichlet)
def _dirichlets(p: Any, q: Any) -> Any:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    first = lgamma(total) - lgamma(b.sum(-1)) - (lgamma(a) - lgamma(b)).sum(-1)
    return first + ((a - b) * (digamma(a) - digamma(total).unsqueeze(-1))).sum(-1)


@register_kl(MultivariateNormal, MultivariateNormal)
def _vectors(p: Any, q: Any) -> Any:
    n = p.event_shape[0]
    inner = linalg.solve_triangular(q.scale_tril, p.scale_tril, upper=False)
    away = linalg.solve_triangular(q.scale_tril, (q.loc - p.loc).unsqueeze(-1), upper=False)
    total = matmul(inner, inner.mT).diagonal(dim1=-2, dim2=-1).sum(-1) + (away * away).sum((-2, -1))
    return q._half_log_det() - p._half_log_det() + (total - n) * 0.5


@register_kl(Independent, Independent)
def _independents(p: Any, q: Any) -> Any:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError("KL of two Independent distributions with other numbers of reinterpreted dimensions")
    return p._summed(kl_divergence(p.base_dist, q.base_dist))
