"""Distributions over whole numbers and classes, by probabilities or by logits."""

from __future__ import annotations

from typing import Any

from ..eager.creation import arange, eye
from ..eager.generated import where, xlogy
from ..eager.mathematics import lgamma
from ..eager.modes import no_grad
from ..eager.neural import binary_cross_entropy_with_logits, log_softmax, softmax
from ..eager.ordering import multinomial
from ..eager.random import rand
from ..eager.sampling import poisson
from ..eager.scattering import one_hot
from .base import Distribution, broadcast


def _clamped(p: Any) -> Any:
    least = 2.0**-52 if p.dtype.short == "f64" else 2.0**-23
    return p.clamp(least, 1 - least)


def _one_of(probs: Any, logits: Any) -> None:
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


class Binary(Distribution):
    """By `probs`, each the probability of a 1, or `logits`, log(p / (1 - p))."""

    constraints = {"_probs": "unit interval", "_logits": "real"}

    def _given(self, probs: Any, logits: Any) -> Any:
        _one_of(probs, logits)
        self._probs: Any = None if probs is None else broadcast(probs)[0]
        self._logits: Any = None if logits is None else broadcast(logits)[0]
        return self._probs if logits is None else self._logits

    @property
    def probs(self) -> Any:
        """Probabilities of a 1."""
        return self._probs if self._probs is not None else self._logits.sigmoid()

    @property
    def logits(self) -> Any:
        """log(p / (1 - p))."""
        if self._logits is not None:
            return self._logits
        held = _clamped(self._probs)
        return held.log() - (-held).log1p()


class Bernoulli(Binary):
    """1 with probability `probs`, else 0."""

    has_enumerate_support = True
    of_values = "boolean"

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        super().__init__(self._given(probs, logits).shape, (), validate_args)

    @property
    def mean(self) -> Any:
        return self.probs

    @property
    def mode(self) -> Any:
        p = self.probs
        return where(p == 0.5, float("nan"), (p >= 0.5).to(p.dtype))

    @property
    def variance(self) -> Any:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            p = self.probs
            return (rand(self._extended(sample_shape), dtype=p.dtype, device=p.device) < p).to(p.dtype)

    def log_prob(self, value: Any) -> Any:
        logits = self.logits
        value = self._checked(value) + logits * 0
        return -binary_cross_entropy_with_logits(logits.expand(value.shape), value, reduction="none")

    def entropy(self) -> Any:
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand: bool = True) -> Any:
        values = arange(2, dtype=self.probs.dtype, device=self.probs.device).reshape((2, *(1,) * len(self._batch_shape)))
        return values.expand((2, *self._batch_shape)) if expand else values


class Geometric(Binary):
    """How many 0 come before the first 1."""

    of_values = "count"

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        super().__init__(self._given(probs, logits).shape, (), validate_args)

    @property
    def mean(self) -> Any:
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Any:
        return self.probs * 0

    @property
    def variance(self) -> Any:
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            p = self.probs
            u = (1 - rand(self._extended(sample_shape), dtype=p.dtype, device=p.device)).clamp(min=2.0**-126)
            return (u.log() / (-p).log1p()).floor()

    def log_prob(self, value: Any) -> Any:
        p = self.probs
        return xlogy(self._checked(value), 1 - p) + p.log()

    def entropy(self) -> Any:
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs


class Repeated(Binary):
    """Of counts that hang on `total_count` and the probability of a 1."""

    of_values = "count"

    def __init__(self, total_count: Any = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        given = self._given(probs, logits)
        self.total_count, given = broadcast(total_count if hasattr(total_count, "meta") else given * 0 + total_count, given)
        if logits is None:
            self._probs = given
        else:
            self._logits = given
        super().__init__(given.shape, (), validate_args)


class Binomial(Repeated):
    """How many of `total_count` draws are 1."""

    @property
    def mean(self) -> Any:
        return self.total_count * self.probs

    @property
    def variance(self) -> Any:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            p, most = self.probs, int(self.total_count.max().item())
            hits = rand((most, *self._extended(sample_shape)), dtype=p.dtype, device=p.device) < p
            turn = arange(most, device=p.device).reshape((most, *(1,) * (hits.ndim - 1)))
            return (hits & (turn < self.total_count)).sum(0).to(p.dtype)

    @property
    def mode(self) -> Any:
        return ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count)

    has_enumerate_support = True

    def enumerate_support(self, expand: bool = True) -> Any:
        most = int(self.total_count.max().item())
        if int(self.total_count.min().item()) != most:
            raise NotImplementedError("Inhomogeneous total count not supported by `enumerate_support`.")
        values = arange(most + 1, dtype=self.probs.dtype, device=self.probs.device).reshape((-1, *(1,) * len(self._batch_shape)))
        return values.expand((most + 1, *self._batch_shape)) if expand else values

    def entropy(self) -> Any:
        found = self.log_prob(self.enumerate_support(False))
        return -(found.exp() * found).sum(0)

    def log_prob(self, value: Any) -> Any:
        n, k, logits = self.total_count, self._checked(value), self.logits
        ways = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
        return ways + k * logits - n * (logits.clamp(min=0.0) + (-logits.abs()).exp().log1p())


class Categorical(Distribution):
    """Class indices, by probabilities (scaled to sum 1) or `logits` along the last dimension."""

    has_enumerate_support = True
    of_values = "count"

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        _one_of(probs, logits)
        given = probs if logits is None else logits
        if given.ndim < 1:
            raise ValueError(f"`{'probs' if logits is None else 'logits'}` parameter must be at least one-dimensional.")
        self._probs: Any = None if probs is None else probs / probs.sum(-1, keepdim=True)
        self._logits: Any = None if logits is None else log_softmax(logits, -1)
        self._num_events = given.shape[-1]
        super().__init__(given.shape[:-1], (), validate_args)

    constraints = {"_probs": "simplex", "_logits": "real"}

    @property
    def probs(self) -> Any:
        """Probabilities of the classes."""
        return self._probs if self._probs is not None else softmax(self._logits, -1)

    @property
    def logits(self) -> Any:
        """Logarithms of the probabilities."""
        return self._logits if self._logits is not None else _clamped(self._probs).log()

    @property
    def param_shape(self) -> Any:
        """Shape of the probabilities."""
        return self.probs.shape

    @property
    def mean(self) -> Any:
        return self.probs[..., 0] * float("nan")

    @property
    def variance(self) -> Any:
        return self.probs[..., 0] * float("nan")

    @property
    def mode(self) -> Any:
        return self.probs.argmax(-1)

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            rows = self.probs.reshape((-1, self._num_events))
            count = 1
            for n in sample_shape:
                count = count * n
            found = multinomial(rows, count, True).t()
            return found.reshape(self._extended(sample_shape))

    def log_prob(self, value: Any) -> Any:
        index = self._checked(value).long().unsqueeze(-1)
        logits = self.logits
        shape = (index[..., 0] + logits[..., 0] * 0).shape
        return logits.expand((*shape, self._num_events)).gather(-1, index.expand((*shape, 1))).squeeze(-1)

    def entropy(self) -> Any:
        low = self.logits
        return -(low.clamp(min=-3.4e38) * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Any:
        given = self._logits if self._probs is None else self._probs
        values = arange(self._num_events, device=given.device).reshape((-1, *(1,) * len(self._batch_shape)))
        return values.expand((self._num_events, *self._batch_shape)) if expand else values


class OneHotCategorical(Distribution):
    """`Categorical` whose draws are rows with one 1."""

    of_values = "one-hot"

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        self._categorical = Categorical(probs, logits, validate_args)
        super().__init__(self._categorical.batch_shape, (self._categorical._num_events,), validate_args)

    @property
    def probs(self) -> Any:
        """Probabilities of the classes."""
        return self._categorical.probs

    @property
    def logits(self) -> Any:
        """Logarithms of the probabilities."""
        return self._categorical.logits

    @property
    def mean(self) -> Any:
        return self.probs

    @property
    def mode(self) -> Any:
        return one_hot(self.probs.argmax(-1), self._event_shape[0]).to(self.probs.dtype)

    has_enumerate_support = True

    def enumerate_support(self, expand: bool = True) -> Any:
        n = self._event_shape[0]
        values = eye(n, dtype=self.probs.dtype, device=self.probs.device).reshape((n, *(1,) * len(self._batch_shape), n))
        return values.expand((n, *self._batch_shape, n)) if expand else values

    def expand(self, batch_shape: Any) -> Any:
        made = super().expand(batch_shape)
        made._categorical = self._categorical.expand(batch_shape)
        return made

    @property
    def variance(self) -> Any:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Any:
        return one_hot(self._categorical.sample(sample_shape), self._event_shape[0]).to(self.probs.dtype)

    def log_prob(self, value: Any) -> Any:
        return self._categorical.log_prob(self._checked(value).argmax(-1))

    def entropy(self) -> Any:
        return self._categorical.entropy()


class Poisson(Distribution):
    """How many events come at `rate`."""

    constraints = {"rate": "nonnegative"}
    of_values = "count"

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast(rate)
        super().__init__(self.rate.shape, (), validate_args)

    @property
    def mean(self) -> Any:
        return self.rate

    @property
    def mode(self) -> Any:
        return self.rate.floor()

    @property
    def variance(self) -> Any:
        return self.rate

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            return poisson(self.rate.expand(self._extended(sample_shape)))

    def log_prob(self, value: Any) -> Any:
        k = self._checked(value)
        return xlogy(k, self.rate) - self.rate - lgamma(k + 1)


