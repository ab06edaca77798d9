"""What may be assigned to a tensor's `grad`, and what is said where it is asked of a tensor that gets none. Holds no gradient."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from ..runtime.meta import Meta

if TYPE_CHECKING:
    from .tensor import Tensor

_NO_LEAF = (
    "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be populated during "
    "autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf Tensor, use .retain_grad() on the "
    "non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you access the leaf Tensor instead."
)


def warn_of_non_leaf(x: Tensor) -> None:
    """A warning at the line that reads `grad` of a tensor that an op made and that does not retain its gradient."""
    if x.meta.requires_grad and not x.retains_grad:
        warnings.warn(_NO_LEAF, UserWarning, stacklevel=3)


def may_be(value: Meta, owner: Meta) -> bool:
    """Whether a tensor of the first meta may be the gradient of one of the second."""
    return value.shape == owner.shape and value.dtype is owner.dtype and value.device == owner.device


def check(owner: Tensor, value: Any) -> None:
    """TypeError or RuntimeError where `value` may not be the gradient of `owner`."""
    if not hasattr(value, "meta"):
        if hasattr(value, "_values"):  # a sparse one
            return
        raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}")
    if value is owner:
        raise RuntimeError("can't assign a Tensor as its own grad")
    if may_be(value.meta, owner.meta):
        return
    given, wanted = value.meta, owner.meta
    if given.dtype is not wanted.dtype:
        raise RuntimeError(
            f"attempting to assign a gradient with dtype {given.dtype.name} to a tensor with dtype {wanted.dtype.name}: "
            "the gradient must have the tensor's dtype"
        )
    if given.device != wanted.device:
        raise RuntimeError(f"attempting to assign a gradient located on {given.device} to a tensor located on {wanted.device}")
    raise RuntimeError(
        f"attempting to assign a gradient of size '{list(given.shape)}' to a tensor of size '{list(wanted.shape)}'. "
        "Please ensure that the gradient and the tensor are the same size"
    )
