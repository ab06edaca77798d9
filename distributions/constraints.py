"""``distributions.constraints``: what parameters and draws may be. ``constraint.check(x)`` says of each element (or vector, or
matrix) whether it is so."""

from __future__ import annotations

from typing import Any

from ..eager import linalg
from ..eager.generated import all as all_of


class Constraint:
    """Base of all. `event_dim`: how many dimensions one thing that is checked has; `is_discrete`: whether values are
    countable."""

    event_dim = 0
    is_discrete = False

    def check(self, value: Any) -> Any:
        """A bool Tensor: which of the values satisfy the constraint."""
        raise NotImplementedError(f"{self!r} has no check")

    def __repr__(self) -> str:
        return f"{type(self).__name__.lstrip('_')}()"


class _Dependent(Constraint):
    """Hangs on other parameters; `check` is an error."""

    def __init__(self, *, is_discrete: bool = False, event_dim: int = 0) -> None:
        self.is_discrete, self.event_dim = is_discrete, event_dim

    def __call__(self, *, is_discrete: bool = False, event_dim: int = 0) -> _Dependent:
        return _Dependent(is_discrete=is_discrete, event_dim=event_dim)

    def check(self, value: Any) -> Any:
        raise ValueError("Cannot determine validity of dependent constraint")


class _DependentProperty(property, _Dependent):
    """A property whose class says that it hangs on parameters: ``@constraints.dependent_property``."""

    def __init__(self, fn: Any = None, *, is_discrete: bool = False, event_dim: int = 0) -> None:
        property.__init__(self, fn)
        _Dependent.__init__(self, is_discrete=is_discrete, event_dim=event_dim)

    def __call__(self, fn: Any = None, *, is_discrete: bool = False, event_dim: int = 0) -> Any:
        return _DependentProperty(fn, is_discrete=self.is_discrete, event_dim=self.event_dim)


def _dependent_property(fn: Any = None, **options: Any) -> Any:
    return _DependentProperty(fn, **options)


class _Test(Constraint):
    """One that is a condition of each element."""

    def __init__(self, name: str, test: Any, is_discrete: bool = False, event_dim: int = 0) -> None:
        self.name, self.test, self.is_discrete, self.event_dim = name, test, is_discrete, event_dim

    def check(self, value: Any) -> Any:
        return self.test(value)

    def __repr__(self) -> str:
        return self.name


class _GreaterThan(Constraint):
    def __init__(self, lower_bound: Any) -> None:
        self.lower_bound = lower_bound

    def check(self, value: Any) -> Any:
        return value > self.lower_bound

    def __repr__(self) -> str:
        return f"{type(self).__name__[1:]}(lower_bound={self.lower_bound})"


class _GreaterThanEq(_GreaterThan):
    def check(self, value: Any) -> Any:
        return value >= self.lower_bound


class _LessThan(Constraint):
    def __init__(self, upper_bound: Any) -> None:
        self.upper_bound = upper_bound

    def check(self, value: Any) -> Any:
        return value < self.upper_bound

    def __repr__(self) -> str:
        return f"LessThan(upper_bound={self.upper_bound})"


class _Interval(Constraint):
    def __init__(self, lower_bound: Any, upper_bound: Any) -> None:
        self.lower_bound, self.upper_bound = lower_bound, upper_bound

    def check(self, value: Any) -> Any:
        return (value >= self.lower_bound) & (value <= self.upper_bound)

    def __repr__(self) -> str:
        return f"{type(self).__name__[1:]}(lower_bound={self.lower_bound}, upper_bound={self.upper_bound})"


class _HalfOpenInterval(_Interval):
    def check(self, value: Any) -> Any:
        return (value >= self.lower_bound) & (value < self.upper_bound)


class _IntegerInterval(_Interval):
    is_discrete = True

    def check(self, value: Any) -> Any:
        return (value % 1 == 0) & (value >= self.lower_bound) & (value <= self.upper_bound)


class _Independent(Constraint):
    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int) -> None:
        self.base_constraint, self.reinterpreted_batch_ndims = base_constraint, reinterpreted_batch_ndims
        self.event_dim = base_constraint.event_dim + reinterpreted_batch_ndims
        self.is_discrete = base_constraint.is_discrete

    def check(self, value: Any) -> Any:
        result = self.base_constraint.check(value)
        k = self.reinterpreted_batch_ndims
        return all_of(result.reshape((*result.shape[: result.ndim - k], -1)), -1) if k else result

    def __repr__(self) -> str:
        return f"Independent({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class _Multinomial(Constraint):
    is_discrete, event_dim = True, 1

    def __init__(self, upper_bound: Any) -> None:
        self.upper_bound = upper_bound

    def check(self, x: Any) -> Any:
        return all_of(x >= 0, -1) & (x.sum(-1) <= self.upper_bound)


def _simplex(x: Any) -> Any:
    return all_of(x >= 0, -1) & ((x.sum(-1) - 1).abs() < 1e-6)


def _lower(x: Any) -> Any:
    return all_of((x.tril() == x).reshape((*x.shape[:-2], -1)), -1)


def _positive_diagonal(x: Any) -> Any:
    return all_of(linalg.diagonal(x) > 0, -1)


def _symmetric(x: Any) -> Any:
    near = ((x - x.mT).abs() <= 1e-6 + 1e-6 * x.mT.abs()).reshape((*x.shape[:-2], -1))
    return all_of(near, -1)


def _positive_definite(x: Any) -> Any:
    return _symmetric(x) & (linalg.cholesky_ex(x)[1] == 0)


def _corr_cholesky(x: Any) -> Any:
    unit = ((x * x).sum(-1) - 1).abs() < 1e-5
    return _lower(x) & _positive_diagonal(x) & all_of(unit, -1)


dependent = _Dependent()
dependent_property = _dependent_property
independent = _Independent
boolean = _Test("Boolean()", lambda x: (x == 0) | (x == 1), True)
one_hot = _Test("OneHot()", lambda x: all_of((x == 0) | (x == 1), -1) & (x.sum(-1) == 1), True, 1)
nonnegative_integer = _Test("IntegerGreaterThan(lower_bound=0)", lambda x: (x % 1 == 0) & (x >= 0), True)
positive_integer = _Test("IntegerGreaterThan(lower_bound=1)", lambda x: (x % 1 == 0) & (x >= 1), True)
integer_interval = _IntegerInterval
real = _Test("Real()", lambda x: x == x)
real_vector = _Independent(real, 1)
positive = _GreaterThan(0.0)
nonnegative = _GreaterThanEq(0.0)
greater_than, greater_than_eq, less_than = _GreaterThan, _GreaterThanEq, _LessThan
multinomial = _Multinomial
unit_interval = _Interval(0.0, 1.0)
interval, half_open_interval = _Interval, _HalfOpenInterval
simplex = _Test("Simplex()", _simplex, event_dim=1)
square = _Test("Square()", lambda x: x[..., 0, 0] == x[..., 0, 0], event_dim=2)
lower_triangular = _Test("LowerTriangular()", _lower, event_dim=2)
lower_cholesky = _Test("LowerCholesky()", lambda x: _lower(x) & _positive_diagonal(x), event_dim=2)
corr_cholesky = _Test("CorrCholesky()", _corr_cholesky, event_dim=2)
symmetric = _Test("Symmetric()", _symmetric, event_dim=2)
positive_definite = _Test("PositiveDefinite()", _positive_definite, event_dim=2)
positive_semidefinite = _Test("PositiveSemidefinite()", lambda x: all_of(linalg.eigvalsh(x) >= 0, -1), event_dim=2)

#: the constraint that each word of `eager.constraints` stands for
BY_WORD: dict[str, Constraint] = {
    "real": real, "positive": positive, "nonnegative": nonnegative, "unit interval": unit_interval, "simplex": simplex,
    "boolean": boolean, "one-hot": one_hot, "count": nonnegative_integer, "true": boolean,
}  # fmt: skip


def is_dependent(constraint: Any) -> bool:
    """Whether a constraint hangs on parameters."""
    return isinstance(constraint, _Dependent)
