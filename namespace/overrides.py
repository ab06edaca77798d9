"""``torch.overrides``: asking what a class does with functions. Tensor's subclasses are computed with as Tensors here; their
``__torch_function__`` is not called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..eager.tensor import Tensor


def is_tensor_like(inp: Any) -> bool:
    """Whether it is a Tensor, or of a class with ``__torch_function__``."""
    return isinstance(inp, Tensor) or hasattr(type(inp), "__torch_function__")


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether a class among those of the arguments has a ``__torch_function__`` of its own."""
    return any(hasattr(type(a), "__torch_function__") for a in relevant_args)


def has_torch_function_unary(x: Any) -> bool:
    """`has_torch_function` of one argument."""
    return has_torch_function((x,))


def has_torch_function_variadic(*args: Any) -> bool:
    """`has_torch_function` of these arguments."""
    return has_torch_function(args)


def handle_torch_function(public_api: Any, relevant_args: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
    """What the first ``__torch_function__`` among the arguments gives; TypeError where none takes the call."""
    given = tuple(relevant_args)
    kinds = tuple(type(a) for a in given)
    for a in given:
        handler = getattr(type(a), "__torch_function__", None)
        result = NotImplemented if handler is None else handler(public_api, kinds, args, kwargs)
        if result is not NotImplemented:
            return result
    raise TypeError(f"no implementation found for {public_api!r} on types {[k.__name__ for k in kinds]}")
