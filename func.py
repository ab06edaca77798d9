"""Functions of functions: `fusewire.func`, under PyTorch's address. The transforms themselves are in `eager.transforms`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .eager.batching import level_of
from .eager.functional import stack
from .eager.transforms import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp, vmap
from .nn.module import Module
from .nn.normalisation import _BatchNorm
from .nn.swapping import functional_call

__all__ = [
    "debug_unwrap", "functional_call", "functionalize", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp",
    "linearize", "replace_all_batch_norm_modules_", "stack_module_state", "vjp", "vmap",
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


def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """`func` itself: what PyTorch's form does to a function, graphs here do to every in-place write. RuntimeError for another
    `remove` than "mutations" or "mutations_and_views"."""
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            f"functionalize(f, remove='mutations'): received invalid argument for remove={remove}. Valid options are: "
            "remove='mutations', remove='mutations_and_views'"
        )

    @functools.wraps(func, assigned=("__name__", "__doc__"), updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return run


def debug_unwrap(tensor: Any, *, recurse: bool = True) -> Any:
    """The Tensor with all members, where `tensor` is a member of a batch; with `recurse` of all batches at once."""
    while level_of(tensor) is not None:
        tensor = tensor._storage.value
        if not recurse:
            break
    return tensor


def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Switch the running statistics of all batch norms in `root` off, so that nothing in it writes to buffers; returns `root`."""
    for module in root.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root


def _stacked(tensors: list[Any]) -> Any:
    made = stack([t.detach() for t in tensors])
    return made.requires_grad_() if tensors[0].requires_grad else made
