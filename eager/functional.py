"""Public functions that are more than one op record: PyTorch's spellings over the records' calls.

Each is `@pure` unless it says otherwise; the Tensor class takes its methods from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ShapeError
from ..ir.ops import casts, linalg, pointwise, shape as shapes
from .arguments import size_of, to_dtype, wrap_dim
from .executor import apply
from .inplace import inplace, into
from .pure import pure

if TYPE_CHECKING:
    from .tensor import Tensor

_NONE: dict[str, Any] = {}


def _scaled(other: Any, alpha: Any) -> Any:
    """`other` times `alpha`, as add and sub take it."""
    if alpha == 1:
        return other
    return apply(pointwise.mul, (other, alpha), _NONE) if hasattr(other, "meta") else other * alpha


@pure
def add(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Tensor:
    """``input + alpha * other``."""
    result: Tensor = apply(pointwise.add, (input, _scaled(other, alpha)), _NONE)
    return result if out is None else into(out, result)


@pure
def sub(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Tensor:
    """``input - alpha * other``."""
    result: Tensor = apply(pointwise.sub, (input, _scaled(other, alpha)), _NONE)
    return result if out is None else into(out, result)


@pure
def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """``other - alpha * input``."""
    return sub(other, input, alpha=alpha)


@pure
def div(input: Any, other: Any, *, rounding_mode: str | None = None, out: Any = None) -> Tensor:
    """``input / other``; `rounding_mode` "floor" or "trunc" rounds the quotient."""
    if rounding_mode is None:
        result: Tensor = apply(pointwise.div, (input, other), _NONE)
    elif rounding_mode == "floor":
        result = input // other
    elif rounding_mode == "trunc":
        result = _truncated(input, other)
    else:
        raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found {rounding_mode!r}")
    return result if out is None else into(out, result)


def _truncated(input: Any, other: Any) -> Any:
    quotient = input // other
    inexact = (quotient * other).ne(input)
    return quotient + apply(pointwise.mul, ((quotient < 0) & inexact, 1), _NONE)


def add_(self: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """`add`, stored in self."""
    return inplace(pointwise.add, (self, _scaled(other, alpha)), _NONE)  # type: ignore[no-any-return]


def sub_(self: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """`sub`, stored in self."""
    return inplace(pointwise.sub, (self, _scaled(other, alpha)), _NONE)  # type: ignore[no-any-return]


def div_(self: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """`div`, stored in self."""
    if rounding_mode is not None:
        from .inplace import store_checked

        return store_checked(self, div(self, other, rounding_mode=rounding_mode))
    return inplace(pointwise.div, (self, other), _NONE)  # type: ignore[no-any-return]


# -- dtype, memory


@pure
def contiguous(input: Tensor) -> Tensor:
    """Self where the elements lie in row-major order, else a row-major copy."""
    return input if input.is_contiguous() else apply(casts.contiguous, (input,), _NONE)


@pure
def to(self: Tensor, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False, non_blocking: bool = False) -> Tensor:
    """``x.to(dtype)``, ``x.to(device)``, ``x.to(other)``, or both: self where nothing changes."""
    from . import device as devices

    for a in args:
        if isinstance(a, (str, devices.Device)):
            device = a
        elif hasattr(a, "meta"):
            dtype = a.dtype
        elif not isinstance(a, bool):
            dtype = a
    devices.check(device)
    wanted = to_dtype(dtype)
    if wanted is None or wanted is self.dtype:
        return apply(casts.clone, (self,), _NONE) if copy else self
    return apply(casts.cast, (self,), {"dtype": wanted})  # type: ignore[no-any-return]


# -- shape


@pure
def view(self: Tensor, *shape: Any) -> Tensor:
    """The same memory under another shape (one size may be -1); RuntimeError where strides do not allow it."""
    return apply(shapes.view, (self,), {"shape": size_of(shape)})  # type: ignore[no-any-return]


@pure
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """`view` where strides allow it, else a copy."""
    return shapes.reshape(input, size_of(shape))  # type: ignore[no-any-return]


@pure
def permute(input: Tensor, *dims: Any) -> Tensor:
    """Dimensions in another order."""
    order = size_of(dims)
    wrapped = tuple([wrap_dim(d, input.ndim) for d in order])
    if len(set(wrapped)) != len(wrapped) or len(wrapped) != input.ndim:
        raise ShapeError(f"permute: dims {list(order)} are no order of the {input.ndim} dimensions of shape {list(input.shape)}")
    return apply(shapes.permute, (input,), {"dims": wrapped})  # type: ignore[no-any-return]


@pure
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions swapped."""
    order = list(range(input.ndim))
    a, b = wrap_dim(dim0, input.ndim), wrap_dim(dim1, input.ndim)
    if order:
        order[a], order[b] = b, a
    return apply(shapes.permute, (input,), {"dims": tuple(order)})  # type: ignore[no-any-return]


@pure
def t(input: Tensor) -> Tensor:
    """A matrix transposed; 1-D and 0-D as they are."""
    if input.ndim > 2:
        raise ShapeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return input if input.ndim < 2 else transpose(input, 0, 1)


@pure
def expand(input: Tensor, *size: Any) -> Tensor:
    """Dimensions of size 1 repeated without a copy; -1 keeps a size."""
    return apply(shapes.expand, (input,), {"shape": size_of(size)})  # type: ignore[no-any-return]


@pure
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without the dimensions of size 1, or without those among `dim` of size 1."""
    gone = range(input.ndim) if dim is None else [wrap_dim(d, input.ndim) for d in (dim if isinstance(dim, tuple) else (dim,))]
    return shapes.reshape(input, [n for d, n in enumerate(input.shape) if n != 1 or d not in gone])  # type: ignore[no-any-return]


@pure
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of size 1 at `dim`."""
    at = wrap_dim(dim, input.ndim + 1)
    return shapes.reshape(input, (*input.shape[:at], 1, *input.shape[at:]))  # type: ignore[no-any-return]


@pure
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions `start_dim` to `end_dim` as one."""
    if not input.ndim:
        return reshape(input, 1)
    a, b = wrap_dim(start_dim, input.ndim), wrap_dim(end_dim, input.ndim)
    if a > b:
        raise RuntimeError(f"flatten() has invalid args: start_dim cannot come after end_dim ({start_dim}, {end_dim})")
    if a == b:
        return input
    middle = 1
    for n in input.shape[a : b + 1]:
        middle = middle * n
    return shapes.reshape(input, (*input.shape[:a], middle, *input.shape[b + 1 :]))  # type: ignore[no-any-return]


# -- products


@pure
def matmul(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Matrix product, batched by broadcasting; a 1-D operand is a row on the left, a column on the right."""
    a, b = input, other
    if not hasattr(b, "meta"):
        return NotImplemented
    if not a.ndim or not b.ndim:
        raise ShapeError(f"matmul: both arguments need to be at least 1D, but they are {a.ndim}D and {b.ndim}D")
    left, right = a.ndim == 1, b.ndim == 1
    a = shapes.reshape(a, (1, *a.shape)) if left else a
    b = shapes.reshape(b, (*b.shape, 1)) if right else b
    result: Tensor = apply(linalg.matmul, (a, b), _NONE)
    if left or right:
        kept = result.shape[:-2] if left and right else result.shape[:-1] if right else (*result.shape[:-2], result.shape[-1])
        result = shapes.reshape(result, kept)
    return result if out is None else into(out, result)


@pure
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``; `weight` is (out features, in features)."""
    result = matmul(input, t(weight))
    return result if bias is None else apply(pointwise.add, (result, bias), _NONE)


def seq(x: Any) -> Sequence[Any]:
    """A tuple or list as it is."""
    return x  # type: ignore[no-any-return]
