"""``autograd.graph``: what becomes of the values that a tape keeps for its backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import tape
from .edges import GradientEdge, allow_mutation_on_saved_tensors, get_gradient_edge, increment_version, register_multi_grad_hook

__all__ = [
    "GradientEdge", "Node", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks", "get_gradient_edge",
    "increment_version", "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks",
]  # fmt: skip

Node = tape.Node


class saved_tensors_hooks:
    """Inside the block each value that a call keeps goes through `pack_hook`, and what that gave through `unpack_hook` when
    the backward pass reads it. ``unpack_hook(pack_hook(x))`` must equal `x`."""

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.pair = pack_hook, unpack_hook

    def __enter__(self) -> None:
        if _refused:
            raise RuntimeError(_refused[-1])
        tape.packers.append(self.pair)

    def __exit__(self, *exc: object) -> None:
        tape.packers.pop()


class save_on_cpu(saved_tensors_hooks):
    """Keep copies in main memory, in pages that a GPU reads itself where `pin_memory` says so."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        def kept(x: Any) -> Any:
            copy = x.detach().to("cpu", copy=True)
            return x.device, copy.pin_memory() if pin_memory else copy

        super().__init__(kept, lambda pair: pair[1].to(pair[0], non_blocking=pin_memory))


_refused: list[str] = []


class disable_saved_tensors_hooks:
    """Inside the block `saved_tensors_hooks` is a RuntimeError with this text."""

    def __init__(self, error_message: str) -> None:
        self.text = error_message

    def __enter__(self) -> None:
        _refused.append(self.text)

    def __exit__(self, *exc: object) -> None:
        _refused.pop()
