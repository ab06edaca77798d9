"""Parameter: a Tensor that a Module counts among its own. Same slots as Tensor, nothing added."""

from __future__ import annotations

from typing import Any

from ..eager import factory
from ..eager.tensor import Tensor


class Parameter(Tensor):
    """``Parameter(tensor)`` shares the tensor's memory, requires grad by default and starts a history of its own."""

    __slots__ = ()

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Any:
        out = factory.alias(Tensor() if data is None else data, requires_grad)
        out.__class__ = cls
        return out

    def __repr__(self) -> str:  # type: ignore[override]
        return "Parameter containing:\n" + super().__repr__()


def is_lazy(x: Any) -> bool:
    """Whether a parameter or buffer has no shape yet (`nn.lazy`)."""
    return getattr(type(x), "waits_for_shape", False)


class Buffer(Tensor):
    """``Buffer(tensor)``: assigned to a Module it becomes a buffer."""

    __slots__ = ()

    def __new__(cls, data: Any = None) -> Any:
        out = factory.alias(Tensor() if data is None else data, False)
        out.__class__ = cls
        return out
