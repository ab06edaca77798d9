"""Probability distributions in PyTorch's shape: parameters are Tensors or numbers that broadcast.

`sample` draws from the default generator, `rsample` so that gradients reach the parameters; `log_prob`, `entropy` and
`kl_divergence` are plain functions over ops.
"""

from __future__ import annotations

import importlib

from . import constraints
from .base import Distribution, Independent
from .continuous import (
    Cauchy,
    Exponential,
    Gumbel,
    HalfNormal,
    Laplace,
    LogNormal,
    MultivariateNormal,
    Normal,
    StudentT,
    Uniform,
)
from .discrete import Bernoulli, Binomial, Categorical, Geometric, OneHotCategorical, Poisson
from .divergence import kl_divergence, register_kl
from .gammas import Beta, Chi2, Dirichlet, Gamma

__all__ = [
    "Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Chi2", "Dirichlet", "Distribution", "Exponential", "Gamma",
    "Geometric", "Gumbel", "HalfNormal", "Independent", "Laplace", "LogNormal", "MultivariateNormal", "Normal",
    "OneHotCategorical", "Poisson", "StudentT", "Uniform", "constraints", "kl_divergence", "register_kl",
]  # fmt: skip

#: module, loaded at first use -> names in it
_LATER = {
    "counts": "LogitRelaxedBernoulli MixtureSameFamily Multinomial NegativeBinomial OneHotCategoricalStraightThrough "
              "ExpRelaxedCategorical RelaxedBernoulli RelaxedOneHotCategorical",
    "heavier": "ContinuousBernoulli FisherSnedecor HalfCauchy InverseGamma LKJCholesky LowRankMultivariateNormal VonMises "
               "Wishart",
    "transformed": "Kumaraswamy LogisticNormal Pareto TransformedDistribution Weibull",
    "transforms": "AbsTransform AffineTransform CatTransform ComposeTransform ExpTransform IndependentTransform "
                  "LowerCholeskyTransform PowerTransform ReshapeTransform SigmoidTransform SoftmaxTransform SoftplusTransform "
                  "StackTransform StickBreakingTransform TanhTransform Transform identity_transform",
    "constraint_registry": "biject_to transform_to",
}  # fmt: skip
_PLACES = {name: module for module, row in _LATER.items() for name in row.split()}


def __getattr__(name: str) -> object:
    if name in ("transforms", "constraint_registry"):
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    return globals().setdefault(name, found)
