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


def clip_grad_norm_(parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Tensor:
    """Scale all gradients so that their common norm is at most `max_norm`; the norm before."""
    with no_grad():
        grads = _gradients(parameters)
        if not grads:
            return zeros(())
        total = norm(stack([norm(g, norm_type).float() for g in grads]), norm_type)
        if error_if_nonfinite and total.item() * 0 != 0:
            raise RuntimeError(f"the total norm of order {norm_type} of the gradients is {total.item()}, so it cannot be clipped")
        factor = (max_norm / (total + 1e-6)).clamp(max=1.0)
        for g in grads:
            g.mul_(factor)
        return total


def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    """Bring every element of the gradients between ``-clip_value`` and `clip_value`."""
    with no_grad():
        for g in _gradients(parameters):
            g.clamp_(-clip_value, clip_value)
