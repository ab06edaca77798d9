"""Functions of functions: `fusewire.func`, under PyTorch's address. The transforms themselves are in `eager.transforms`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .eager.functional import stack
from .eager.transforms import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp, vmap
from .nn.module import Module
from .nn.swapping import functional_call

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "stack_module_state", "vjp",
    "vmap",
]  # fmt: skip


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Any], dict[str, Any]]:
    """``(parameters, buffers)`` by dotted name, each stacked over `models`, which are alike, for `vmap` over `functional_call`.
    The stacked parameters are leaves. RuntimeError where models differ."""
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    if any(m.training is not models[0].training for m in models):
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    params = [dict(m.named_parameters()) for m in models]
    buffers = [dict(m.named_buffers()) for m in models]
    return {k: _stacked([p[k] for p in params]) for k in params[0]}, {k: _stacked([b[k] for b in buffers]) for k in buffers[0]}


def _stacked(tensors: list[Any]) -> Any:
    made = stack([t.detach() for t in tensors])
    return made.requires_grad_() if tensors[0].requires_grad else made
