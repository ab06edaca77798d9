"""What all distributions share: shapes, drawing without gradients, checks of arguments; and `Independent`."""

from __future__ import annotations

from typing import Any

from ..eager.constraints import holds
from ..eager.creation import tensor
from ..eager.modes import no_grad
from ..eager.shaping import broadcast_tensors
from ..eager.size import Size
from .constraints import BY_WORD, independent, is_dependent

#: Constraints as PyTorch's messages name them.
_TEXTS = {
    "real": "Real()", "positive": "GreaterThan(lower_bound=0.0)", "nonnegative": "GreaterThanEq(lower_bound=0.0)",
    "unit interval": "Interval(lower_bound=0.0, upper_bound=1.0)", "simplex": "Simplex()", "boolean": "Boolean()",
}  # fmt: skip
_validating = [True]
_GIVEN = ("_probs", "_logits")  # parameters of which one was given and the other is made from it


def broadcast(*parameters: Any) -> list[Any]:
    """Parameters as Tensors of one shape; numbers take dtype and device of the Tensors among them."""
    like = next((p for p in parameters if hasattr(p, "meta")), None)
    beside: dict[str, Any] = {} if like is None else {"dtype": like.dtype, "device": like.device}
    made = [p if hasattr(p, "meta") else tensor(float(p), **beside) for p in parameters]
    return list(broadcast_tensors(*made))


class Distribution:
    """Base of all distributions. `batch_shape`: how many independent ones; `event_shape`: the shape of one draw of one of them.

    `constraints`: what each parameter must be (`eager.constraints`); `of_values`: what draws are."""

    has_rsample = False
    has_enumerate_support = False
    constraints: dict[str, str] = {}
    of_values = "real"

    def __init__(self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None) -> None:
        self._batch_shape, self._event_shape = Size(tuple(batch_shape)), Size(tuple(event_shape))
        self._validate_args = _validating[0] if validate_args is None else bool(validate_args)
        if self._validate_args:
            self._check_given()
            for name, what in self.constraints.items():
                value = self.__dict__.get(name)
                if value is not None and not holds(value, what):
                    raise ValueError(
                        f"Expected parameter {name.lstrip('_')} ({type(value).__name__} of shape {tuple(value.shape)}) of "
                        f"distribution {self!r} to satisfy the constraint {_TEXTS.get(what, what)}, "
                        f"but found invalid values:\n{value}"
                    )

    def _check_given(self) -> None:
        """ValueError where a parameter breaks the constraint that a user's class gives it in `arg_constraints`."""
        given: Any = type(self).arg_constraints
        for name, constraint in (given or {}).items() if isinstance(given, dict) else ():
            value: Any = self.__dict__.get(name)
            if hasattr(value, "meta") and not is_dependent(constraint) and not bool(constraint.check(value).all()):
                raise ValueError(f"Expected parameter {name} (Tensor of shape {tuple(value.shape)}) of distribution {self!r} to "
                                 f"satisfy the constraint {constraint!r}, but found invalid values:\n{value}")  # fmt: skip

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether parameters and values are checked where a distribution does not say."""
        _validating[0] = bool(value)

    @property
    def arg_constraints(self) -> Any:
        """What each parameter must be, as `constraints` has it."""
        return {name.lstrip("_"): BY_WORD[word] for name, word in self.constraints.items()}

    @property
    def support(self) -> Any:
        """What draws are, as `constraints` has it."""
        found = BY_WORD[self.of_values]
        more = len(self._event_shape) - found.event_dim
        return independent(found, more) if more > 0 else found

    @property
    def batch_shape(self) -> Any:
        """Shape of the independent distributions."""
        return self._batch_shape

    @property
    def event_shape(self) -> Any:
        """Shape of one draw of one distribution."""
        return self._event_shape

    @property
    def mean(self) -> Any:
        """The expected value."""
        raise NotImplementedError(f"{type(self).__name__} has no mean")

    @property
    def variance(self) -> Any:
        """The expected squared distance from the mean."""
        raise NotImplementedError(f"{type(self).__name__} has no variance")

    @property
    def mode(self) -> Any:
        """The most probable value."""
        raise NotImplementedError(f"{type(self).__name__} has no mode")

    @property
    def stddev(self) -> Any:
        """Square root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Any = ()) -> Any:
        """Draws of shape sample_shape + batch_shape + event_shape, without gradients."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Any:
        """Draws through which gradients reach the parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no rsample")

    def sample_n(self, n: int) -> Any:
        """`n` draws."""
        return self.sample((n,))

    def log_prob(self, value: Any) -> Any:
        """Logarithm of the density, or of the probability, at `value`."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob")

    def cdf(self, value: Any) -> Any:
        """The probability of a draw up to `value`."""
        raise NotImplementedError(f"{type(self).__name__} has no cdf")

    def icdf(self, value: Any) -> Any:
        """Inverse of `cdf`."""
        raise NotImplementedError(f"{type(self).__name__} has no icdf")

    def entropy(self) -> Any:
        """Expected value of minus `log_prob`."""
        raise NotImplementedError(f"{type(self).__name__} has no entropy")

    def perplexity(self) -> Any:
        """exp of the entropy."""
        return self.entropy().exp()

    def enumerate_support(self, expand: bool = True) -> Any:
        """All values of a discrete distribution."""
        raise NotImplementedError(f"{type(self).__name__} has no finite support")

    def expand(self, batch_shape: Any) -> Any:
        """The same distribution, repeated to `batch_shape`."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        lead = len(self._batch_shape)
        for name in self._parameters():
            value = self.__dict__[name]
            made.__dict__[name] = value.expand((*batch_shape, *value.shape[lead:]))
        made._batch_shape = Size(tuple(batch_shape))
        return made

    def _parameters(self) -> list[str]:
        return [n for n in self.__dict__ if hasattr(self.__dict__[n], "meta")]

    def _extended(self, sample_shape: Any) -> tuple[int, ...]:
        """The shape of draws."""
        return (*sample_shape, *self._batch_shape, *self._event_shape)

    def _extended_shape(self, sample_shape: Any = ()) -> Any:
        return Size(self._extended(sample_shape))

    def _validate_sample(self, value: Any) -> None:
        self._checked(value)

    def _get_checked_instance(self, cls: Any, _instance: Any = None) -> Any:
        if _instance is None and type(self).__init__ is not cls.__init__:
            raise NotImplementedError(f"Subclass {type(self).__name__} of {cls.__name__} that defines a custom __init__ method "
                                      "must also define a custom .expand() method.")  # fmt: skip
        return object.__new__(type(self)) if _instance is None else _instance

    def _checked(self, value: Any) -> Any:
        """`value`; ValueError where it is no draw of this distribution."""
        if self._validate_args:
            if not hasattr(value, "meta"):
                raise ValueError("The value argument to log_prob must be a Tensor")
            if not holds(value, self.of_values):
                raise ValueError(f"Expected value argument (Tensor of shape {tuple(value.shape)}) to be within the support "
                                 f"({self.of_values}) of {self}, but found invalid values:\n{value}")  # fmt: skip
        return value

    def __repr__(self) -> str:
        own = {n.lstrip("_"): v for n, v in self.__dict__.items() if hasattr(v, "meta") and (n[0] != "_" or n in _GIVEN)}
        given = (f"{n}: {v if v.numel() == 1 else v.size()}" for n, v in own.items())
        return f"{type(self).__name__}({', '.join(given)})"


class ExponentialFamily(Distribution):
    """Base for users' distributions of this family; adds nothing."""


class Independent(Distribution):
    """The last `reinterpreted_batch_ndims` batch dimensions of `base_distribution` as dimensions of one draw."""

    def __init__(self, base_distribution: Any, reinterpreted_batch_ndims: int, validate_args: bool | None = None) -> None:
        shape, k = base_distribution.batch_shape, reinterpreted_batch_ndims
        if k > len(shape):
            raise ValueError(f"Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), actual {k} vs "
                             f"{len(shape)}")  # fmt: skip
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, k
        cut = len(shape) - k
        super().__init__(shape[:cut], (*shape[cut:], *base_distribution.event_shape), validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """Whether the base has."""
        return bool(self.base_dist.has_rsample)

    @property
    def mean(self) -> Any:
        return self.base_dist.mean

    @property
    def mode(self) -> Any:
        return self.base_dist.mode

    @property
    def variance(self) -> Any:
        return self.base_dist.variance

    @property
    def support(self) -> Any:
        """That of the base, of vectors."""
        found = self.base_dist.support
        k = self.reinterpreted_batch_ndims
        return independent(found, k) if k else found

    @property
    def has_enumerate_support(self) -> bool:  # type: ignore[override]
        """Whether the base has, where nothing was reinterpreted."""
        return bool(self.base_dist.has_enumerate_support) and not self.reinterpreted_batch_ndims

    def enumerate_support(self, expand: bool = True) -> Any:
        if self.reinterpreted_batch_ndims > 0:
            raise NotImplementedError("Enumeration over cartesian product is not implemented")
        return self.base_dist.enumerate_support(expand)

    def sample(self, sample_shape: Any = ()) -> Any:
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self.base_dist.rsample(sample_shape)

    def expand(self, batch_shape: Any) -> Any:
        kept = self._event_shape[: self.reinterpreted_batch_ndims]
        return Independent(self.base_dist.expand((*batch_shape, *kept)), self.reinterpreted_batch_ndims)

    def _summed(self, x: Any) -> Any:
        k = self.reinterpreted_batch_ndims
        return x.sum(tuple(range(-k, 0))) if k else x

    def log_prob(self, value: Any) -> Any:
        return self._summed(self.base_dist.log_prob(value))

    def entropy(self) -> Any:
        return self._summed(self.base_dist.entropy())

    def __repr__(self) -> str:
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"
