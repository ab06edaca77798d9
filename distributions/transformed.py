"""Distributions of transformed draws, and those that are a short chain of transforms of another one."""

from __future__ import annotations

import math
from typing import Any

from ..eager.generated import where
from ..eager.mathematics import lgamma
from ..eager.modes import no_grad
from . import constraints
from .base import Distribution, Independent, broadcast
from .continuous import Exponential, Normal, Uniform
from .transforms import (
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    PowerTransform,
    StickBreakingTransform,
    Transform,
    summed,
)


class TransformedDistribution(Distribution):
    """Draws of `base_distribution` sent through `transforms` (one or a list)."""

    def __init__(self, base_distribution: Any, transforms: Any, validate_args: bool | None = None) -> None:
        self.transforms = [transforms] if isinstance(transforms, Transform) else list(transforms)
        chain = ComposeTransform(self.transforms)
        shape = (*base_distribution.batch_shape, *base_distribution.event_shape)
        need = max(chain.domain.event_dim, len(base_distribution.event_shape))
        more = need - len(base_distribution.event_shape)
        if len(shape) < need:
            raise ValueError(f"base_distribution needs to have shape with size at least {need}, but got {shape}.")
        self.base_dist = Independent(base_distribution, more) if more > 0 else base_distribution
        image = tuple(chain.forward_shape(shape))
        count = chain.codomain.event_dim + max(len(base_distribution.event_shape) - chain.domain.event_dim, 0)
        cut = len(image) - count
        super().__init__(image[:cut], image[cut:], validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether the base has."""
        return bool(self.base_dist.has_rsample)

    @property
    def support(self) -> Any:
        """Where the last transform leads."""
        if not self.transforms:
            return self.base_dist.support
        found = self.transforms[-1].codomain
        more = len(self.event_shape) - found.event_dim
        return constraints.independent(found, more) if more > 0 else found

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            return self._sent(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self._sent(self.base_dist.rsample(sample_shape))

    def _sent(self, x: Any) -> Any:
        for t in self.transforms:
            x = t(x)
        return x

    def log_prob(self, value: Any) -> Any:
        event, total, y = len(self.event_shape), 0.0, value
        for t in reversed(self.transforms):
            x = t.inv(y)
            event += t.domain.event_dim - t.codomain.event_dim
            total = total - summed(t.log_abs_det_jacobian(x, y), event - t.domain.event_dim)
            y = x
        base = self.base_dist.log_prob(y)
        return total + summed(base, event - len(self.base_dist.event_shape))

    def _turned(self, value: Any) -> Any:
        """`value` from the other end where the transforms fall."""
        sign: Any = 1
        for t in self.transforms:
            sign = sign * t.sign
        return value if isinstance(sign, int) and sign == 1 else sign * (value - 0.5) + 0.5

    def cdf(self, value: Any) -> Any:
        for t in reversed(self.transforms):
            value = t.inv(value)
        return self._turned(self.base_dist.cdf(value))

    def icdf(self, value: Any) -> Any:
        return self._sent(self.base_dist.icdf(self._turned(value)))

    def expand(self, batch_shape: Any) -> Any:
        kept = tuple(self.base_dist.batch_shape)[len(self.batch_shape) :]
        return TransformedDistribution(self.base_dist.expand((*batch_shape, *kept)), self.transforms)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Pareto(TransformedDistribution):
    """Numbers above `scale` whose logarithms are exponential of rate `alpha`."""

    def __init__(self, scale: Any, alpha: Any, validate_args: bool | None = None) -> None:
        self.scale, self.alpha = broadcast(scale, alpha)
        chain = [ExpTransform(), AffineTransform(0, self.scale)]
        super().__init__(Exponential(self.alpha, validate_args), chain, validate_args)

    constraints = {"scale": "positive", "alpha": "positive"}

    def expand(self, batch_shape: Any) -> Any:
        return Pareto(self.scale.expand(batch_shape), self.alpha.expand(batch_shape))

    @property
    def mean(self) -> Any:
        a = self.alpha.clamp(min=1)
        return a * self.scale / (a - 1)

    @property
    def mode(self) -> Any:
        return self.scale

    @property
    def variance(self) -> Any:
        a = self.alpha.clamp(min=2)
        return self.scale**2 * a / ((a - 1) ** 2 * (a - 2))

    def entropy(self) -> Any:
        return (self.scale / self.alpha).log() + (1 + self.alpha.reciprocal())


class Weibull(TransformedDistribution):
    """`scale` times an exponential variable to the power of 1 / concentration."""

    constraints = {"scale": "positive", "concentration": "positive"}

    def __init__(self, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.scale, self.concentration = broadcast(scale, concentration)
        self.concentration_reciprocal = self.concentration.reciprocal()
        chain = [PowerTransform(self.concentration_reciprocal), AffineTransform(0, self.scale)]
        super().__init__(Exponential(self.scale * 0 + 1, validate_args), chain, validate_args)

    def expand(self, batch_shape: Any) -> Any:
        return Weibull(self.scale.expand(batch_shape), self.concentration.expand(batch_shape))

    @property
    def mean(self) -> Any:
        return self.scale * lgamma(1 + self.concentration_reciprocal).exp()

    @property
    def mode(self) -> Any:
        return self.scale * ((self.concentration - 1) / self.concentration) ** self.concentration_reciprocal

    @property
    def variance(self) -> Any:
        r = self.concentration_reciprocal
        return self.scale**2 * (lgamma(1 + 2 * r).exp() - (lgamma(1 + r) * 2).exp())

    def entropy(self) -> Any:
        r = self.concentration_reciprocal
        return 0.57721566490153286061 * (1 - r) + (self.scale * r).log() + 1


class Kumaraswamy(TransformedDistribution):
    """Numbers between 0 and 1: ``(1 - u ** (1 / concentration0)) ** (1 / concentration1)`` of a uniform u."""

    constraints = {"concentration1": "positive", "concentration0": "positive"}

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        self.concentration1, self.concentration0 = broadcast(concentration1, concentration0)
        chain = [PowerTransform(self.concentration0.reciprocal()), AffineTransform(1.0, -1.0),
                 PowerTransform(self.concentration1.reciprocal())]  # fmt: skip
        base = Uniform(self.concentration0 * 0, self.concentration0 * 0 + 1, validate_args)
        super().__init__(base, chain, validate_args)

    def expand(self, batch_shape: Any) -> Any:
        return Kumaraswamy(self.concentration1.expand(batch_shape), self.concentration0.expand(batch_shape))

    def _moment(self, n: int) -> Any:
        a, b = self.concentration1, self.concentration0
        return (b.log() + lgamma(1 + n / a) + lgamma(b) - lgamma(1 + n / a + b)).exp()

    @property
    def mean(self) -> Any:
        return self._moment(1)

    @property
    def variance(self) -> Any:
        return self._moment(2) - self.mean**2

    @property
    def mode(self) -> Any:
        a, b = self.concentration1, self.concentration0
        log = a.reciprocal() * (-b).log1p() - (-a * b).log1p()
        return where((a < 1) | (b < 1), math.nan, log.exp())

    def entropy(self) -> Any:
        from ..eager.mathematics import digamma

        a, b = self.concentration1.reciprocal(), self.concentration0.reciprocal()
        harmonic = digamma(self.concentration0 + 1) + 0.57721566490153286061
        return (1 - b) + (1 - a) * harmonic + a.log() + b.log()


class LogisticNormal(TransformedDistribution):
    """Shares of 1 made of normal numbers by breaking a stick."""

    constraints = {"loc": "real", "scale": "positive"}

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args)
        if not base.batch_shape:
            base = base.expand((1,))
        super().__init__(base, StickBreakingTransform(), validate_args)

    @property
    def loc(self) -> Any:
        """Means of the normal numbers."""
        return self.base_dist.base_dist.loc

    @property
    def scale(self) -> Any:
        """Their standard deviations."""
        return self.base_dist.base_dist.scale


