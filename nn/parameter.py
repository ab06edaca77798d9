"""Parameter and Buffer: Tensors that a Module counts among its own, with a shape or without one yet. Same slots as
Tensor, nothing added."""

from __future__ import annotations

from typing import Any

from ..eager import factory
from ..eager.creation import empty
from ..eager.tensor import Tensor


class Parameter(Tensor):
    """``Parameter(tensor)`` shares the tensor's memory, requires grad by default and starts a history of its own."""

    __slots__ = ()

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Any:
        if requires_grad and data is not None and data.meta.dtype.kind not in "fc":
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
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


class UninitializedTensorMixin:
    """What parameters and buffers share that have no shape yet: they can be given one, a dtype, and no more."""

    __slots__ = ()
    waits_for_shape = True
    cls_to_become: type = Tensor

    def materialize(self: Any, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Give it unset memory of `shape`; it is a plain parameter (or Tensor) from then on."""
        self.__class__ = self.cls_to_become
        self.data = empty(tuple(shape), device=device, dtype=self.dtype if dtype is None else dtype)

    @property
    def shape(self) -> Any:
        """RuntimeError: there is none."""
        raise RuntimeError("Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
                           "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call "
                           "`forward` to initialize the parameters before accessing their attributes.")  # fmt: skip

    def share_memory_(self) -> Any:
        """RuntimeError: there is no memory."""
        raise RuntimeError("Can't share memory on an uninitialized parameter or buffer. Call `forward` to initialize the "
                           "parameters before calling `module.share_memory()`.")  # fmt: skip

    def numel(self) -> Any:
        """ValueError: it has no elements to count."""
        return self.__apply_op__(Tensor.numel, (), {})

    def copy_(self: Any, source: Any, non_blocking: bool = False) -> Any:
        """Itself, where `source` has no shape either."""
        return self if is_lazy(source) else self.__apply_op__(Tensor.copy_, (), {})

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __apply_op__(self, op: Any, operands: Any, attrs: Any) -> Any:
        raise ValueError(f"Attempted to use an uninitialized parameter in {op!r}. This error happens when you are using a "
                         f"`LazyModule` or explicitly manipulating `torch.nn.parameter.{type(self).__name__}` objects. When "
                         "using LazyModules Call `forward` with a dummy batch to initialize the parameters before calling torch "
                         "functions")  # fmt: skip

    def __deepcopy__(self: Any, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, None, self.dtype)
        return memo[id(self)]

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        return type(self), (self.requires_grad, None, self.dtype)


class UninitializedParameter(UninitializedTensorMixin, Parameter):  # type: ignore[misc]
    """A parameter without a shape: what a lazy layer has before its first call."""

    __slots__ = ()
    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        return Parameter.__new__(cls, empty(0, device=device, dtype=dtype), requires_grad)


class UninitializedBuffer(UninitializedTensorMixin, Tensor):  # type: ignore[misc]
    """A buffer without a shape."""

    __slots__ = ()

    def __new__(cls, requires_grad: bool = False, device: Any = None, dtype: Any = None) -> Any:
        out = factory.alias(empty(0, device=device, dtype=dtype), requires_grad)
        out.__class__ = cls
        return out
