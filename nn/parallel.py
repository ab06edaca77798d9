"""``torch.nn.parallel``: a Module whose gradients are averaged over processes, and what copies one to several GPUs (of which
there are none here: it runs where it is)."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .. import distributed
from ..eager.modes import no_grad
from .containers import DataParallel
from .module import Module

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]


class DistributedDataParallel(Module):
    """`module`, alike in all processes: its parameters and buffers are those of rank 0 at the start, and after each backward pass
    each gradient is the mean over the processes. RuntimeError where `distributed.init_process_group` was not called, or nothing
    in `module` requires a gradient.

    The processes exchange the gradients together when the last one of a backward pass is there; parameters that a pass does not
    reach need ``find_unused_parameters=True``, and count as zeros."""

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0, broadcast_buffers: bool = True,
        init_sync: bool = True, process_group: Any = None, find_unused_parameters: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        if not any(p.requires_grad for p in module.parameters()):
            raise RuntimeError("DistributedDataParallel is not needed when a module doesn't have any parameters that require a "
                               "gradient.")  # fmt: skip
        self.module, self.process_group, self.broadcast_buffers = module, process_group, broadcast_buffers
        self.device_ids, self.dim, self.find_unused_parameters = device_ids, dim, find_unused_parameters
        self.require_backward_grad_sync = True
        self._wanted = [p for p in module.parameters() if p.requires_grad]
        self._waiting: set[int] = set()
        if init_sync:
            self._send([*module.parameters(), *module.buffers()])
        for i, p in enumerate(self._wanted):
            p.register_post_accumulate_grad_hook(functools.partial(self._seen, i))

    def _send(self, tensors: list[Any]) -> None:
        with no_grad():
            for t in tensors:
                distributed.broadcast(t, 0, self.process_group)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module gives; the buffers of rank 0 come first, while it trains."""
        if self.training and self.broadcast_buffers and self.require_backward_grad_sync:
            self._send(list(self.module.buffers()))
        self._waiting = set(range(len(self._wanted)))
        out = self.module(*args, **kwargs)
        if self.find_unused_parameters:
            self._waiting &= _reached(out, self._wanted)
        return out

    def _seen(self, index: int, parameter: Any) -> None:
        self._arrived(index)

    def _arrived(self, index: int) -> None:
        """A gradient is there: with the last one all are averaged."""
        self._waiting.discard(index)
        if self._waiting or not self.require_backward_grad_sync:
            return
        size = distributed.get_world_size(self.process_group)
        with no_grad():
            for p in self._wanted:
                if p.grad is None:
                    p.grad = p.detach() * 0
                distributed.all_reduce(p.grad, group=self.process_group)
                p.grad.div_(size)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Inside the block gradients add up in each process for itself."""
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before


def _reached(out: Any, wanted: list[Any]) -> set[int]:
    """Numbers of the leaves that a backward pass from these results reaches."""
    found, seen, todo = set(), set(), [x.grad_fn for x in _tensors(out) if x.grad_fn is not None]
    places = {id(p): i for i, p in enumerate(wanted)}
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        for after, _ in node.next_functions:
            leaf = getattr(after, "variable", None)
            if leaf is None:
                todo += [after] if after is not None else []
            elif id(leaf) in places:
                found.add(places[id(leaf)])
    return found


def _tensors(out: Any) -> list[Any]:
    if hasattr(out, "meta"):
        return [out]
    parts = out.values() if isinstance(out, dict) else out if isinstance(out, (list, tuple)) else ()
    return [t for part in parts for t in _tensors(part)]


def data_parallel(
    module: Module, inputs: Any, device_ids: Any = None, output_device: Any = None, dim: int = 0, module_kwargs: Any = None
) -> Any:
    """``module(*inputs, **module_kwargs)``: there is one device."""
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    return module(*given, **(module_kwargs or {}))
