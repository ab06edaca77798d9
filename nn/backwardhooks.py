"""Hooks of modules in the backward pass: identity functions around a module's inputs and outputs, whose gradients they see."""

from __future__ import annotations

from typing import Any

from ..eager.custom import Function
from ..eager.tensor import Tensor


class _Gate(Function):
    """Gives tensors through; gradients pass through `ctx.see`."""

    @staticmethod
    def forward(ctx: Any, see: Any, *tensors: Any) -> Any:
        ctx.see = see
        return tuple(t.view_as(t) for t in tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return None, *ctx.see(grads)


class Gates:
    """One call of a module that has backward hooks: `enter` and `leave` wrap its inputs and outputs."""

    def __init__(self, module: Any, hooks: list[Any], pre_hooks: list[Any]) -> None:
        self.module, self.hooks, self.pre_hooks = module, hooks, pre_hooks
        self.outer: tuple[Any, ...] = ()
        self.count = -1

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, of which the tensors with gradients are watched."""
        if not any(isinstance(a, Tensor) and a.requires_grad for a in args):
            return args
        self.count = len(args)
        return self._through(args, self._inner)

    def leave(self, result: Any) -> Any:
        """The result, its tensors watched."""
        if isinstance(result, Tensor):
            return self._through((result,), self._outer)[0]
        if isinstance(result, (tuple, list)):
            return type(result)(self._through(tuple(result), self._outer))
        return result

    def _through(self, values: tuple[Any, ...], see: Any) -> tuple[Any, ...]:
        at = [i for i, v in enumerate(values) if isinstance(v, Tensor)]
        if not any(values[i].requires_grad for i in at):
            return values
        passed = dict(zip(at, _Gate.apply(lambda grads: see(at, len(values), grads), *[values[i] for i in at]), strict=True))
        return tuple(passed.get(i, v) for i, v in enumerate(values))

    def _outer(self, at: list[int], count: int, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        given = _spread(at, count, grads)
        for hook in self.pre_hooks:
            changed = hook(self.module, given)
            if changed is not None:
                given = changed if isinstance(changed, tuple) else (changed,)
        self.outer = given
        if self.count < 0:
            for hook in self.hooks:
                hook(self.module, (None,), given)
        return tuple(given[i] for i in at)

    def _inner(self, at: list[int], count: int, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        given = _spread(at, count, grads)
        for hook in self.hooks:
            changed = hook(self.module, given, self.outer)
            if changed is not None:
                given = changed if isinstance(changed, tuple) else (changed,)
        return tuple(given[i] for i in at)


def _spread(at: list[int], count: int, grads: tuple[Any, ...]) -> tuple[Any, ...]:
    found = dict(zip(at, grads, strict=True))
    return tuple(found.get(i) for i in range(count))
