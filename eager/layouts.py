"""Methods of sparse and quantised tensors, asked of a dense one: what they answer, or why they do not."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NoReturn

from ..ir import dtypes
from .arguments import size_of
from .functional import reshape, to

if TYPE_CHECKING:
    from .tensor import Tensor


def to_dense(self: Tensor, dtype: Any = None, *, masked_grad: Any = None) -> Tensor:
    """Self: it is dense."""
    return self if dtype is None else to(self, dtype)


def resize(self: Tensor, *sizes: Any) -> Tensor:
    """The elements in another shape of as many; `resize_` changes their number."""
    warnings.warn("non-inplace resize is deprecated", stacklevel=2)
    return reshape(self, size_of(sizes))


def resize_as(self: Tensor, tensor: Tensor) -> Tensor:
    """`resize` to the shape of another tensor."""
    return resize(self, tensor.shape)


def _sparse(what: str) -> NoReturn:
    raise RuntimeError(f"{what} expected sparse coordinate tensor layout but got Strided")


def indices(self: Tensor) -> NoReturn:
    """RuntimeError: the tensor is dense."""
    _sparse("indices")


def values(self: Tensor) -> NoReturn:
    """RuntimeError: the tensor is dense."""
    _sparse("values")


def coalesce(self: Tensor) -> NoReturn:
    """RuntimeError: the tensor is dense."""
    _sparse("coalesce")


def is_coalesced(self: Tensor) -> NoReturn:
    """RuntimeError: the tensor is dense."""
    _sparse("is_coalesced")


def sparse_dim(self: Tensor) -> int:
    """0: the tensor is dense."""
    return 0


def dense_dim(self: Tensor) -> int:
    """The number of dimensions: the tensor is dense."""
    return self.ndim


def q_scale(self: Tensor) -> NoReturn:
    """RuntimeError: the tensor is not quantised."""
    raise RuntimeError(f"q_scale() is only for quantised tensors, of which there are none here; this one is {self.dtype!r}")


def dequantize(self: Tensor) -> Tensor:
    """The values as float32."""
    return to(self, dtypes.float32)


q_zero_point = qscheme = int_repr = q_per_channel_scales = q_per_channel_zero_points = q_per_channel_axis = q_scale
