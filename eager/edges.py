"""Places on a tape as values of their own, and hooks on several of them: parts of ``autograd.graph``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..errors import AutogradError
from .factory import storage_of
from .tape import AccumulateGrad, Node, Pick, edge_of

__all__ = [
    "GradientEdge", "allow_mutation_on_saved_tensors", "get_gradient_edge", "increment_version", "register_multi_grad_hook",
]  # fmt: skip


class GradientEdge(NamedTuple):
    """Where a gradient goes: output number `output_nr` of the step `node`. `backward` and `grad` take it for the Tensor that it
    is of, which need not be alive. `ownership_token` is the tape's own name of the place."""

    node: Any
    output_nr: int
    ownership_token: Any = None


def get_gradient_edge(tensor: Any) -> GradientEdge:
    """The place at which the gradient of `tensor` arrives. RuntimeError where it requires none."""
    edge = edge_of(tensor)
    if edge is None:
        raise AutogradError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    if isinstance(edge, Pick):
        return GradientEdge(edge.parent, edge.index, edge)
    return GradientEdge(edge if isinstance(edge, Node) else AccumulateGrad(edge), 0, edge)


def place_of(x: Any) -> Any:
    """`tape.edge_of` of a Tensor or of a GradientEdge."""
    if type(x) is not GradientEdge:
        return edge_of(x)
    if x.ownership_token is not None:
        return x.ownership_token
    if isinstance(x.node, AccumulateGrad):
        return x.node.variable
    return x.node if len(x.node.results) < 2 else Pick(x.node, x.output_nr)


class _Handles:
    """The handles of hooks that are one to the user."""

    def __init__(self, handles: Sequence[Any]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        """Take all of them away."""
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> _Handles:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register_multi_grad_hook(tensors: Sequence[Any], fn: Callable[[Any], Any], *, mode: str = "all") -> Any:
    """With `mode` "all" call ``fn(gradients)`` (None for a tensor that takes no part) once a backward pass has the gradients of
    all of `tensors` that it computes; with "any" ``fn(gradient)`` at the first one. Returns a removable handle."""
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    watched = _Any(fn) if mode == "any" else _All(fn, tensors)
    return _Handles([t.register_hook(lambda g, i=i: watched.arrived(i, g)) for i, t in enumerate(tensors)])


class _Any:
    """Calls `fn` once in each backward pass."""

    def __init__(self, fn: Callable[[Any], Any]) -> None:
        self.fn, self.lock, self.seen = fn, threading.Lock(), None

    def arrived(self, i: int, g: Any) -> None:
        from .autograd import current_pass

        now = current_pass()
        with self.lock:
            first, self.seen = self.seen is not now, now
        if first:
            self.fn(g)


class _All:
    """Gathers the gradients of each backward pass."""

    def __init__(self, fn: Callable[[Any], Any], tensors: Sequence[Any]) -> None:
        self.fn, self.places = fn, [edge_of(t) for t in tensors]
        self.seen: Any = None
        self.gradients: list[Any] = []
        self.missing = 0

    def arrived(self, i: int, g: Any) -> None:
        from .autograd import current_pass

        now = current_pass()
        if self.seen is not now:
            self.seen, self.gradients = now, [None] * len(self.places)
            self.missing = sum(now.will_reach(p) for p in self.places)
        self.gradients[i] = g
        self.missing -= 1
        if not self.missing:
            self.seen = None
            gradients, self.gradients = self.gradients, []
            self.fn(gradients)


def increment_version(tensor: Any) -> None:
    """Count a write to the memory of a Tensor (or of each of an iterable) that nobody has seen: what is saved of it is refused
    by a backward pass."""
    for t in (tensor,) if hasattr(tensor, "meta") else tensor:
        storage_of(t).version += 1


class allow_mutation_on_saved_tensors:
    """Inside the block values that a call keeps are copied, so that they may be written to before the backward pass, which must
    run inside of it too."""

    def __init__(self) -> None:
        from .saved import saved_tensors_hooks

        self.hooks = saved_tensors_hooks(lambda x: x.detach().clone(), lambda x: x)

    def __enter__(self) -> None:
        self.hooks.__enter__()

    def __exit__(self, *exc: object) -> None:
        self.hooks.__exit__(*exc)
