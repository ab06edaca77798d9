"""Handles of module hooks. Hooks are kept in ordered dicts of the module itself; a handle only knows which and where."""

from __future__ import annotations

import itertools
from collections.abc import Callable, MutableMapping
from typing import Any

from ..eager.custom import Function
from ..eager.tensor import Tensor

_ids = itertools.count()


class RemovableHandle:
    """What registering a hook returns."""

    __slots__ = ("hooks", "id")

    def __init__(self, hooks: MutableMapping[int, Any]) -> None:
        self.hooks = hooks
        self.id = next(_ids)

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self.hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def add_hook(hooks: dict[int, Any], hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
    """Enter `hook`, last or first; its handle."""
    handle = RemovableHandle(hooks)
    if prepend:
        later = dict(hooks)
        hooks.clear()
        hooks[handle.id] = hook
        hooks.update(later)
    else:
        hooks[handle.id] = hook
    return handle


# -- hooks of the backward pass --------------------------------------------------------------------------------------------


class Everywhere:
    """Hooks of all modules, by kind; see `nn.everywhere`."""

    def __init__(self) -> None:
        self.forward_pre: dict[int, Any] = {}
        self.forward: dict[int, Any] = {}
        self.backward_pre: dict[int, Any] = {}
        self.backward: dict[int, Any] = {}
        self.registration: dict[str, dict[int, Any]] = {"_buffers": {}, "_modules": {}, "_parameters": {}}


EVERYWHERE = Everywhere()


def _mark(module: Any, args: Any, result: Any) -> None:
    """A forward hook that does nothing: a module that has any takes the call with hooks."""


def backward_hooks(module: Any, kind: str) -> dict[int, Any]:
    """The module's dict of backward hooks of this kind, made at first need."""
    fields = module.__dict__
    if kind not in fields:
        fields[kind] = {}
        add_hook(module._forward_hooks, (_mark, False, False))  # type: ignore[arg-type]
    return fields[kind]  # type: ignore[no-any-return]


def has_backward_hooks(module: Any) -> bool:
    """Whether a call of the module is one to watch in the backward pass."""
    fields = module.__dict__
    own = fields.get("_backward_hooks") or fields.get("_backward_pre_hooks")
    return bool(own or EVERYWHERE.backward or EVERYWHERE.backward_pre)


class Crossing:
    """One call of a module with backward hooks: its tensors pass through two identities whose gradients tell the hooks."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.grad_output: tuple[Any, ...] = ()
        self.entered = False
        self.count = 0

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments behind the first identity."""
        self.count = len(args)
        if not any(isinstance(x, Tensor) and x.requires_grad for x in args):
            return args
        self.entered = True
        return _Watch.apply(self.done, *args)  # type: ignore[no-any-return]

    def leave(self, result: Any) -> Any:
        """The result, a Tensor or a tuple or list with Tensors, behind the second identity."""
        if isinstance(result, Tensor):
            return _Watch.apply(self.given, result)[0]
        if isinstance(result, (tuple, list)):
            made = _Watch.apply(self.given, *result)
            return type(result)(made) if type(result) in (tuple, list) else type(result)(*made)
        return result

    def given(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        """The gradients of the results as the pre-hooks leave them."""
        for hook in [*EVERYWHERE.backward_pre.values(), *self.module.__dict__.get("_backward_pre_hooks", {}).values()]:
            changed = hook(self.module, grads)
            if changed is not None:
                grads = changed if isinstance(changed, tuple) else (changed,)
        self.grad_output = grads
        if not self.entered:
            self.done((None,) * self.count)
        return grads

    def done(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        """The gradients of the arguments as the hooks leave them."""
        for hook in [*EVERYWHERE.backward.values(), *self.module.__dict__.get("_backward_hooks", {}).values()]:
            changed = hook(self.module, grads, self.grad_output)
            if changed is not None:
                grads = changed if isinstance(changed, tuple) else (changed,)
        return grads


class _Watch(Function):
    """The identity; the gradients of its results become what `told` makes of them."""

    @staticmethod
    def forward(ctx: Any, told: Callable[..., Any], *tensors: Any) -> Any:
        ctx.set_materialize_grads(False)
        ctx.told = told
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return (None, *ctx.told(grads))
