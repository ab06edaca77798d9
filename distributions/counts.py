"""Counts of several kinds, mixtures, and classes through which gradients reach the probabilities."""

from __future__ import annotations

from typing import Any

from ..eager.generated import where
from ..eager.mathematics import lgamma
from ..eager.modes import no_grad
from ..eager.random import rand
from ..eager.sampling import poisson
from . import constraints
from .base import Distribution
from .discrete import Binary, Binomial, Categorical, OneHotCategorical, Repeated
from .gammas import standard_gamma
from .transformed import TransformedDistribution
from .transforms import ExpTransform, SigmoidTransform


class NegativeBinomial(Repeated):
    """How many 1 come before `total_count` zeros."""

    @property
    def mean(self) -> Any:
        return self.total_count * self.logits.exp()

    @property
    def mode(self) -> Any:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0)

    @property
    def variance(self) -> Any:
        return self.mean / (-self.logits).sigmoid()

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            shape = self._extended(sample_shape)
            return poisson(standard_gamma(self.total_count.expand(shape)) * self.logits.exp())

    def log_prob(self, value: Any) -> Any:
        k, n = self._checked(value), self.total_count
        chance = n * _log_sigmoid(-self.logits) + k * _log_sigmoid(self.logits)
        ways = -lgamma(n + k) + lgamma(1.0 + k) + lgamma(n)
        return chance - where(n + k == 0.0, 0.0, ways)


def _log_sigmoid(x: Any) -> Any:
    return x.clamp(max=0.0) - (-x.abs()).exp().log1p()


class Multinomial(Distribution):
    """How often each class comes in `total_count` draws."""

    total_count: int

    def __init__(self, total_count: int = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs, logits, validate_args)
        super().__init__(self._categorical.batch_shape, (self._categorical._num_events,), validate_args)

    of_values = "nonnegative"
    probs = property(lambda self: self._categorical.probs, doc="Probabilities of the classes.")
    logits = property(lambda self: self._categorical.logits, doc="Logarithms of the probabilities.")
    param_shape = property(lambda self: self._categorical.param_shape, doc="Shape of the probabilities.")

    @property
    def support(self) -> Any:
        """Counts that sum to `total_count` at most."""
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Any:
        return self.probs * self.total_count

    @property
    def variance(self) -> Any:
        return self.total_count * self.probs * (1 - self.probs)

    def expand(self, batch_shape: Any) -> Any:
        return Multinomial(self.total_count, logits=self.logits.expand((*batch_shape, *self._event_shape)))

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            drawn = self._categorical.sample((self.total_count, *sample_shape))
            counts = self.probs.expand((*drawn.shape[1:], *self._event_shape)) * 0
            moved = drawn.permute((*range(1, drawn.ndim), 0))
            return counts.scatter_add(-1, moved, moved.to(counts.dtype) * 0 + 1)

    def log_prob(self, value: Any) -> Any:
        n = self._checked(value)
        logits = where((n == 0) & (self.logits == -float("inf")), 0.0, self.logits)
        return lgamma(n.sum(-1) + 1) - lgamma(n + 1).sum(-1) + (logits * n).sum(-1)

    def entropy(self) -> Any:
        few = Binomial(self.total_count, self.probs)
        n = lgamma(self.probs[..., 0] * 0 + self.total_count + 1)
        values = few.enumerate_support(expand=False)[1:]
        weights = few.log_prob(values).exp()
        return self.total_count * self._categorical.entropy() - n + (weights * lgamma(values + 1)).sum((0, -1))


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """`OneHotCategorical` whose `rsample` hands gradients to the probabilities as they come (Bengio and others, 2013)."""

    has_rsample = True

    def rsample(self, sample_shape: Any = ()) -> Any:
        probs = self.probs
        return self.sample(sample_shape) + (probs - probs.detach())


class MixtureSameFamily(Distribution):
    """Draws of the last batch dimension of `component_distribution`, chosen by `mixture_distribution`, a `Categorical`."""

    def __init__(self, mixture_distribution: Any, component_distribution: Any, validate_args: bool | None = None) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(" The Mixture distribution needs to be an  instance of torch.distributions.Categorical")
        self._mixture_distribution, self._component_distribution = mixture_distribution, component_distribution
        lead, count = tuple(component_distribution.batch_shape[:-1]), component_distribution.batch_shape[-1]
        if count != mixture_distribution._num_events:
            raise ValueError(f"`mixture_distribution` component ({mixture_distribution._num_events}) does not equal "
                             f"`component_distribution.batch_shape[-1]` ({count})")  # fmt: skip
        self._event_ndims = len(component_distribution.event_shape)
        super().__init__(lead, component_distribution.event_shape, validate_args)

    mixture_distribution = property(lambda self: self._mixture_distribution, doc="What chooses.")
    component_distribution = property(lambda self: self._component_distribution, doc="What is chosen from.")

    @property
    def support(self) -> Any:
        """That of the components."""
        return self._component_distribution.support

    def _weighted(self, x: Any) -> Any:
        """The mean over the components."""
        p = self._mixture_distribution.probs
        p = p.reshape((*p.shape, *(1,) * self._event_ndims))
        return (p * x).sum(-1 - self._event_ndims)

    @property
    def mean(self) -> Any:
        return self._weighted(self._component_distribution.mean)

    @property
    def variance(self) -> Any:
        means = self._component_distribution.mean
        inside = self._weighted(self._component_distribution.variance)
        return inside + self._weighted((means - self._one_more(self.mean)) ** 2)

    def _one_more(self, x: Any) -> Any:
        return x.unsqueeze(-1 - self._event_ndims)

    def cdf(self, value: Any) -> Any:
        found = self._component_distribution.cdf(self._one_more(value))
        return (found * self._mixture_distribution.probs).sum(-1)

    def log_prob(self, value: Any) -> Any:
        found = self._component_distribution.log_prob(self._one_more(value))
        return (found + self._mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            chosen = self._mixture_distribution.sample(sample_shape)
            drawn = self._component_distribution.sample(sample_shape)
            at = -1 - self._event_ndims
            index = chosen.reshape((*chosen.shape, *(1,) * (self._event_ndims + 1)))
            index = index.expand((*chosen.shape, 1, *self._event_shape))
            return drawn.gather(drawn.ndim + at, index).squeeze(at)

    def expand(self, batch_shape: Any) -> Any:
        count = self._component_distribution.batch_shape[-1]
        component = self._component_distribution.expand((*batch_shape, count))
        return MixtureSameFamily(self._mixture_distribution.expand(batch_shape), component)

    def __repr__(self) -> str:
        return f"MixtureSameFamily({self._mixture_distribution}, {self._component_distribution})"


def _noise(like: Any, shape: Any) -> Any:
    least = 2.0**-53 if like.dtype.short == "f64" else 2.0**-24
    return rand(shape, dtype=like.dtype, device=like.device).clamp(least, 1 - least)


class LogitRelaxedBernoulli(Binary):
    """Logits of `RelaxedBernoulli`."""

    has_rsample = True
    of_values = "real"

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        self.temperature = temperature
        super().__init__(self._given(probs, logits).shape, (), validate_args)

    def expand(self, batch_shape: Any) -> Any:
        return LogitRelaxedBernoulli(self.temperature, logits=self.logits.expand(batch_shape))

    def rsample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended(sample_shape)
        u = _noise(self.probs, shape)
        return (u.log() - (-u).log1p() + self.logits.expand(shape)) / self.temperature

    def log_prob(self, value: Any) -> Any:
        away = self.logits - self._checked(value) * self.temperature
        return self.temperature.log() + away - away.exp().log1p() * 2


class RelaxedBernoulli(TransformedDistribution):
    """Numbers between 0 and 1 that near `Bernoulli`'s as `temperature` falls (Maddison and others, 2017)."""

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        super().__init__(LogitRelaxedBernoulli(temperature, probs, logits), SigmoidTransform(), validate_args)

    temperature = property(lambda self: self.base_dist.temperature, doc="How far from 0 and 1 they are.")
    logits = property(lambda self: self.base_dist.logits, doc="log(p / (1 - p)).")
    probs = property(lambda self: self.base_dist.probs, doc="Probabilities of a 1.")


class ExpRelaxedCategorical(Distribution):
    """Logarithms of `RelaxedOneHotCategorical`."""

    has_rsample = True

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        self._categorical = Categorical(probs, logits)
        self.temperature = temperature
        super().__init__(self._categorical.batch_shape, (self._categorical._num_events,), validate_args)

    probs = property(lambda self: self._categorical.probs, doc="Probabilities of the classes.")
    logits = property(lambda self: self._categorical.logits, doc="Their logarithms.")

    def expand(self, batch_shape: Any) -> Any:
        return ExpRelaxedCategorical(self.temperature, logits=self.logits.expand((*batch_shape, *self._event_shape)))

    def rsample(self, sample_shape: Any = ()) -> Any:
        u = _noise(self.logits, self._extended(sample_shape))
        scores = (self.logits - (-u.log()).log()) / self.temperature
        return scores - scores.logsumexp(-1, keepdim=True)

    def log_prob(self, value: Any) -> Any:
        k = self._categorical._num_events
        constant = lgamma(self.temperature * 0 + float(k)) - (self.temperature.log() * -(k - 1))
        score = self.logits - value * self.temperature
        return (score - score.logsumexp(-1, keepdim=True)).sum(-1) + constant


class RelaxedOneHotCategorical(TransformedDistribution):
    """Rows that sum to 1 and near `OneHotCategorical`'s as `temperature` falls (Maddison and others, 2017)."""

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        super().__init__(ExpRelaxedCategorical(temperature, probs, logits), ExpTransform(), validate_args)

    temperature = property(lambda self: self.base_dist.temperature, doc="How far from 0 and 1 they are.")
    logits = property(lambda self: self.base_dist.logits, doc="Logarithms of the probabilities.")
    probs = property(lambda self: self.base_dist.probs, doc="Probabilities of the classes.")
