"""Probability distributions in PyTorch's shape: parameters are Tensors or numbers that broadcast.

`sample` draws from the default generator, `rsample` so that gradients reach the parameters; `log_prob`, `entropy` and
`kl_divergence` are plain functions over ops.
"""

from __future__ import annotations

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
    "OneHotCategorical", "Poisson", "StudentT", "Uniform", "kl_divergence", "register_kl",
]  # fmt: skip
