"""What `nn.utils` has for gradients: clipping by norm and by value. Works in place, unrecorded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..eager.creation import zeros
from ..eager.functional import stack
from ..eager.modes import no_grad
from ..eager.reducing import norm
from ..eager.tensor import Tensor


def _gradients(parameters: Any) -> list[Tensor]:
    given: Iterable[Tensor] = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad for p in given if p.grad is not None]


def _at(x: Tensor, like: Tensor) -> Tensor:
    """`x` on the device of `like`."""
    return x if x.meta.device == like.meta.device else x.to(like.device)


def get_total_norm(
    tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """The norm of all elements of all tensors; RuntimeError where `error_if_nonfinite` and it is not finite."""
    with no_grad():
        given = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        if not given:
            return zeros(())  # anywhere
        lengths = [norm(x, norm_type) for x in given]
        total: Tensor = norm(stack([_at(x, lengths[0]) for x in lengths]), norm_type)
        if error_if_nonfinite and total.item() * 0 != 0:
            raise RuntimeError(f"The total norm of order {float(norm_type)} for gradients from `parameters` is non-finite, so it "
                               "cannot be clipped. To disable this error and scale the gradients by the non-finite norm anyway, "
                               "set `error_if_nonfinite=False`")  # fmt: skip
        return total


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: Tensor, foreach: bool | None = None) -> None:
    """Scale all gradients, whose norm is `total_norm`, so that it is at most `max_norm`."""
    with no_grad():
        factor = (max_norm / (total_norm + 1e-6)).clamp(max=1.0)
        for g in _gradients(parameters):
            g.mul_(_at(factor, g))


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """Scale all gradients so that their common norm is at most `max_norm`; the norm before."""
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    total = get_total_norm(_gradients(given), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(given, max_norm, total)
    return total


def clip_grad_norm(parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Tensor:
    """The older name of `clip_grad_norm_`."""
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite)


def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Bring every element of the gradients between ``-clip_value`` and `clip_value`."""
    with no_grad():
        for g in _gradients(parameters):
            g.clamp_(-clip_value, clip_value)
