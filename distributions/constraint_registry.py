"""``biject_to`` and ``transform_to``: from a constraint to a transform whose images satisfy it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import constraints as c
from . import transforms as t


class ConstraintRegistry:
    """A table from classes of constraints to functions that make a transform of one."""

    def __init__(self) -> None:
        self._by_class: dict[type, Callable[[Any], Any]] = {}
        self._by_value: dict[int, Callable[[Any], Any]] = {}

    def register(self, constraint: Any, factory: Callable[[Any], Any] | None = None) -> Any:
        """Enter `factory` for a constraint or a class of them; also a decorator."""
        if factory is None:
            return lambda made: self.register(constraint, made)
        if isinstance(constraint, type):
            self._by_class[constraint] = factory
        else:
            self._by_value[id(constraint)] = factory
        return factory

    def __call__(self, constraint: Any) -> Any:
        found = self._by_value.get(id(constraint)) or self._by_class.get(type(constraint))
        if found is None:
            raise NotImplementedError(f"Cannot transform {constraint!r} constraints")
        return found(constraint)


biject_to, transform_to = ConstraintRegistry(), ConstraintRegistry()


def _interval(x: Any) -> Any:
    low, width = x.lower_bound, x.upper_bound - x.lower_bound
    if isinstance(low, (int, float)) and low == 0 and width == 1:
        return t.SigmoidTransform()
    return t.ComposeTransform([t.SigmoidTransform(), t.AffineTransform(low, width)])


def _above(x: Any) -> Any:
    return t.ComposeTransform([t.ExpTransform(), t.AffineTransform(x.lower_bound, 1)])


def _independent(registry: ConstraintRegistry) -> Callable[[Any], Any]:
    def of(x: Any) -> Any:
        return t.IndependentTransform(registry(x.base_constraint), x.reinterpreted_batch_ndims)

    return of


for _registry in (biject_to, transform_to):
    _registry.register(c.real, lambda x: t.identity_transform)
    _registry.register(c.real_vector, lambda x: t.IndependentTransform(t.identity_transform, 1))
    _registry.register(c.positive, lambda x: t.ExpTransform())
    _registry.register(c.nonnegative, lambda x: t.ExpTransform())
    _registry.register(c.greater_than, _above)
    _registry.register(c.greater_than_eq, _above)
    _registry.register(c.less_than, lambda x: t.ComposeTransform([t.ExpTransform(), t.AffineTransform(x.upper_bound, -1)]))
    _registry.register(c.interval, _interval)
    _registry.register(c.half_open_interval, _interval)
    _registry.register(c.independent, _independent(_registry))
    _registry.register(c.lower_cholesky, lambda x: t.LowerCholeskyTransform())
biject_to.register(c.simplex, lambda x: t.StickBreakingTransform())
transform_to.register(c.simplex, lambda x: t.SoftmaxTransform())
