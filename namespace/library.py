"""``torch.library``: the user's own operators. One is a Python function with a name, and where given a gradient; capture follows
or calls it like any function, so fake implementations are kept but not needed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..eager.custom import Function

#: "namespace::name" -> the operator
registered: dict[str, Any] = {}


class CustomOpDef:
    """An operator made by `custom_op`: call it as the function that it was made of."""

    def __init__(self, name: str, fn: Callable[..., Any]) -> None:
        self._qualname, self._init_fn = name, fn
        self._backward: Callable[..., Any] | None = None
        self._setup: Callable[..., Any] | None = None
        functools.update_wrapper(self, fn)
        registered[name] = self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._backward is None:
            return self._init_fn(*args, **kwargs)
        if kwargs:
            raise TypeError(f"{self._qualname} has a gradient of its own: give its arguments by position")
        return self._function().apply(*args)

    def register_autograd(self, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None) -> None:
        """The gradient: ``backward(ctx, *grads)`` gives one for each argument; ``setup_context(ctx, inputs, output)`` keeps
        what it reads."""
        self._backward, self._setup = backward, setup_context

    def register_fake(self, fn: Callable[..., Any], /) -> Callable[..., Any]:
        """Accepted: shapes are found by running the function."""
        return fn

    def register_kernel(self, device_types: Any, fn: Any = None, /) -> Any:
        """A function for one device: for the CPU it takes the place of the one given first."""

        def enter(fn: Callable[..., Any]) -> Callable[..., Any]:
            if device_types is None or "cpu" in ([device_types] if isinstance(device_types, str) else device_types):
                self._init_fn = fn
            return fn

        return enter if fn is None else enter(fn)

    def _function(self) -> Any:
        op = self

        class Made(Function):
            """The operator with its gradient."""

            @staticmethod
            def forward(ctx: Any, *args: Any) -> Any:
                out = op._init_fn(*args)
                if op._setup is not None:
                    op._setup(ctx, args, out)
                return out

            @staticmethod
            def backward(ctx: Any, *grads: Any) -> Any:
                return op._backward(ctx, *grads)  # type: ignore[misc]

        return Made


def custom_op(name: str, fn: Any = None, /, *, mutates_args: Any = (), device_types: Any = None, schema: Any = None) -> Any:
    """Make a function the operator ``"namespace::name"``; also a decorator. ValueError for a name without a namespace."""
    if "::" not in name:
        raise ValueError(f"the name of an operator is 'namespace::name', not {name!r}")
    return (lambda fn: CustomOpDef(name, fn)) if fn is None else CustomOpDef(name, fn)


def register_autograd(op: Any, backward: Callable[..., Any], /, *, setup_context: Any = None, lib: Any = None) -> None:
    """`CustomOpDef.register_autograd` of an operator or its name."""
    (registered[op] if isinstance(op, str) else op).register_autograd(backward, setup_context=setup_context)


def register_fake(op: Any, fn: Any = None, /, *, lib: Any = None) -> Any:
    """Accepted: shapes are found by running the operator."""
    return (lambda fn: fn) if fn is None else fn


def register_kernel(op: Any, device_types: Any, fn: Any = None, /, *, lib: Any = None) -> Any:
    """`CustomOpDef.register_kernel` of an operator or its name."""
    return (registered[op] if isinstance(op, str) else op).register_kernel(device_types, fn)


triton_op = custom_op
