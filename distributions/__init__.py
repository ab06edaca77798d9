"""Probability distributions in PyTorch's shape: parameters are Tensors or numbers that broadcast.

`sample` draws from the default generator, `rsample` so that gradients reach the parameters; `log_prob`, `entropy` and
`kl_divergence` are plain functions over ops.
"""

from __future__ import annotations

import importlib
import sys

from . import constraints
from .base import Distribution, ExponentialFamily, Independent
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
    "Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Chi2", "Dirichlet", "Distribution", "Exponential",
    "ExponentialFamily", "Gamma",
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


#: PyTorch's files: each is this package itself
_FILES = (
    "bernoulli beta binomial categorical cauchy chi2 continuous_bernoulli dirichlet distribution exp_family exponential "
    "fishersnedecor gamma geometric gumbel half_cauchy half_normal independent inverse_gamma kl kumaraswamy laplace lkj_cholesky "
    "log_normal logistic_normal lowrank_multivariate_normal mixture_same_family multinomial multivariate_normal "
    "negative_binomial normal one_hot_categorical pareto poisson relaxed_bernoulli relaxed_categorical studentT "
    "transformed_distribution uniform von_mises weibull wishart"
)
sys.modules.update({f"{__name__}.{file}": sys.modules[__name__] for file in _FILES.split()})


def __getattr__(name: str) -> object:
    if name in _FILES.split():
        return sys.modules[__name__]
    if name in ("transforms", "constraint_registry"):
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    return globals().setdefault(name, found)
