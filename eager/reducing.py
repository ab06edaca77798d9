"""Reductions, selections and fillings that are more than one record: var, std, max, min, norm, clamp, masks, fill."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DTypeError
from ..ir import dtypes
from ..ir.ops import casts, creation, pointwise, reductions
from ..ir.ops import shape as shapes
from ..ir.ops.compare import ge, lt, where
from . import direct, notices, overlaps
from . import generated as g
from . import return_types as results
from .arguments import one_of, wrap_dim, wrap_dims
from .executor import apply, is_at_hand, is_plain, write
from .factory import make
from .functional import squeeze, to, unsqueeze
from .inplace import inplace, store_checked
from .outputs import fills, finished, into, matched
from .pure import pure
from .served import served

if TYPE_CHECKING:
    from .tensor import Tensor

_NONE: dict[str, Any] = {}
#: elements of the largest triangles that are kept
_SMALL = 1 << 14


@served
@pure
def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, axis: Any = None, other: Any = None, out: Any = None) -> Any:
    """The largest element; with `dim` also where it is; with another tensor the larger of each pair."""
    made = _extreme(input, one_of("dim", dim, "axis", axis), keepdim, other, g.maximum, g.amax, g.argmax, results.max)
    return made if out is None else into(out, made, not isinstance(made, tuple))


@served
@pure
def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, axis: Any = None, other: Any = None, out: Any = None) -> Any:
    """The smallest element; with `dim` also where it is; with another tensor the smaller of each pair."""
    made = _extreme(input, one_of("dim", dim, "axis", axis), keepdim, other, g.minimum, g.amin, g.argmin, results.min)
    return made if out is None else into(out, made, not isinstance(made, tuple))


def _extreme(
    input: Tensor, dim: Any, keepdim: bool, other: Any, pair: Any, whole: Any, where_is: Any, made: Any
) -> Any:  # fmt: skip
    if hasattr(dim, "meta"):
        other = dim
    if other is not None:
        return pair(input, other)
    if dim is None:
        return whole(input)
    ranked = to(input, dtypes.uint8) if input.dtype.kind == "b" else input
    if not input.ndim:
        wrap_dim(dim, 0)
        return made(input.clone(), where_is(ranked))
    at = wrap_dim(dim, input.ndim)
    index = where_is(ranked, at, True)
    values = g.gather(input, at, index)
    return made(values, index) if keepdim else made(squeeze(values, at), squeeze(index, at))


def _correction(unbiased: Any, correction: Any) -> Any:
    if correction is not None:
        return correction
    return 1 if unbiased is None or unbiased else 0


def _var_arguments(dim: Any, unbiased: Any) -> tuple[Any, Any]:
    """``x.var(False)`` means `unbiased`, not a dimension."""
    return (None, dim) if isinstance(dim, bool) else (dim, unbiased)


@served
@pure
def var(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None,
    axis: Any = None, keepdims: Any = None, out: Any = None,
) -> Tensor:  # fmt: skip
    """Mean squared distance from the mean, over ``n - correction`` (1 unless `unbiased` is False)."""
    dim, unbiased = _var_arguments(one_of("dim", dim, "axis", axis), unbiased)
    keepdim = bool(one_of("keepdim", keepdim, "keepdims", keepdims))
    attrs = {"dim": wrap_dims(dim, input.ndim), "keepdim": keepdim, "correction": _correction(unbiased, correction)}
    notices.too_few("var", input.meta.shape, attrs["dim"], attrs["correction"])
    if input.dtype.is_complex:
        parts = [apply(reductions.var, (part,), attrs) for part in (input.real, input.imag)]
        return finished(parts[0] + parts[1], out)  # type: ignore[no-any-return]
    return finished(apply(reductions.var, (input,), attrs), out)  # type: ignore[no-any-return]


@served
@pure
def std(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None,
    axis: Any = None, keepdims: Any = None, out: Any = None,
) -> Tensor:  # fmt: skip
    """Square root of `var`."""
    root = _root(var(input, dim, unbiased, keepdim, correction=correction, axis=axis, keepdims=keepdims))
    return finished(root, out)  # type: ignore[no-any-return]


def _root(x: Tensor) -> Tensor:
    """Square root whose gradient at 0 is 0: the length of nothing does not grow infinitely fast."""
    if not x.meta.requires_grad:
        return g.sqrt(x)
    zero = g.eq(x, 0)
    return where(zero, 0.0, g.sqrt(where(zero, 1.0, x)))  # type: ignore[no-any-return]


@served
@pure
def var_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: Any = None
) -> tuple[Tensor, Tensor]:
    """`var` and the mean."""
    only, _ = _var_arguments(dim, unbiased)
    return var(input, dim, unbiased, keepdim, correction=correction), g.mean(input, only, keepdim)


@served
@fills
@pure
def norm(input: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Length: p is "fro", a number, 0 (how many are not 0) or an infinity (largest or smallest magnitude); floating only."""
    if p == "nuc":
        from .norms import matrix_norm

        return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim)  # type: ignore[no-any-return]
    input = g.abs(input) if input.dtype.is_complex else input
    dtype = input.dtype
    if not dtype.is_floating_point:
        raise RuntimeError(f"norm: expected a floating point tensor as input, got {dtype.name}{list(input.shape)}; cast it first")
    if dtype.is_half:  # powers leave the range of half types where the length does not
        return to(norm(to(input, dtypes.float32), p, dim, keepdim), dtype)
    if p in (2, "fro"):
        return _root(g.sum(input * input, dim, keepdim))
    if p == 0:
        return g.sum(counted(g.ne(input, 0), input), dim, keepdim)
    size = g.abs(input)
    if p == 1:
        return g.sum(size, dim, keepdim)
    if p in (float("inf"), float("-inf")):
        return g.amax(size, dim, keepdim) if p > 0 else g.amin(size, dim, keepdim)
    none = g.eq(size, 0)  # where the gradient is 0, also that of powers below 1
    total = g.sum(where(none, 0.0 if p > 0 else float("inf"), g.pow(where(none, 1.0, size), p)), dim, keepdim)
    flat = g.eq(total, 0)
    return where(flat, 0.0, g.pow(where(flat, 1.0, total), 1 / p))  # type: ignore[no-any-return]


def counted(mask: Any, x: Any) -> Any:
    """The mask as numbers of the dtype of `x`, on whose values they do not depend but which gets a gradient of zeros."""
    ones = to(mask, x.dtype)
    return where(creation.filled(mask, (), True), ones, x) if x.meta.requires_grad else ones


@served
@pure
def square(input: Tensor, *, out: Any = None) -> Tensor:
    """``x * x``."""
    input = to(input, dtypes.int64) if input.dtype.kind == "b" else input
    return g.mul(input, input, out=out)


@pure
def round(input: Tensor, *, decimals: int = 0, out: Any = None) -> Tensor:
    """The nearest whole number, halves to even; with `decimals` the nearest multiple of ``10 ** -decimals``."""
    if decimals == 0:
        result: Tensor = g.round(input)
    elif not input.dtype.is_floating_point:
        raise RuntimeError(f"round: decimals={decimals} needs a floating tensor, not {input.dtype.name}{list(input.shape)}")
    else:
        scale = 10.0 ** abs(decimals)
        result = g.round(input * scale) / scale if decimals > 0 else g.round(input / scale) * scale
    return result if out is None else into(out, result, False)


def _clamped(x: Any, min: Any, max: Any) -> Any:
    if x.dtype.kind != "f":
        raise DTypeError(f"{x.dtype.name} is left to the op")
    return pointwise.clamp(x, min=min, max=max)


@served
@pure
def clamp(input: Tensor, min: Any = None, max: Any = None, *, out: Any = None) -> Tensor:
    """Each element brought between `min` and `max`: numbers, Tensors, or None for no bound."""
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if hasattr(min, "meta") or hasattr(max, "meta"):
        result = input if min is None else _bounded(input, min, g.maximum, g.ge)
        result = result if max is None else _bounded(result, max, g.minimum, g.le)
    elif out is not None and direct.into(_clamped, (input,), {"min": min, "max": max}, out):
        return out  # type: ignore[no-any-return]
    else:
        result = apply(pointwise.clamp, _with_bound_dtype(input, min, max), {"min": min, "max": max})
    return result if out is None else into(out, result, True, (input, min, max))  # type: ignore[no-any-return]


def _bounded(x: Tensor, bound: Any, pair: Any, inside: Any) -> Any:
    """The larger or smaller of each pair; where both are equal the gradient is that of x alone."""
    if not (x.meta.requires_grad or getattr(getattr(bound, "meta", None), "requires_grad", False)):
        return pair(x, bound)
    return where(inside(x, bound), x, pair(x, bound))


def _with_bound_dtype(input: Tensor, *bounds: Any) -> tuple[Tensor]:
    """An integral operand gets the default dtype where a bound is a float, as promotion of operands would have it."""
    if not input.dtype.is_floating_point and any(isinstance(b, float) for b in bounds):
        return (to(input, dtypes.default()),)
    counts = input.dtype.kind == "b" and any(type(b) is int for b in bounds)
    return (to(input, dtypes.int64) if counts else input,)


@pure
def clamp_(self: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """`clamp`, stored in self."""
    if hasattr(min, "meta") or hasattr(max, "meta"):
        return store_checked(self, clamp(self, min, max))  # type: ignore[no-any-return]
    return inplace(pointwise.clamp, (self,), {"min": min, "max": max})  # type: ignore[no-any-return]


@served
@pure
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` where the mask is true."""
    if hasattr(value, "meta"):
        value = to(value, input.dtype)
    elif input.dtype.kind == "b":
        value = bool(value)
    elif not input.dtype.is_inexact:
        value = int(value)
    return where(mask, value, input)  # type: ignore[no-any-return]


def _filled_in(mask: Any, value: Any, x: Any) -> Any:
    if x.dtype.kind != "f":
        raise DTypeError(f"{x.dtype.name} is left to the op")
    return where(mask, value, x)


@pure
def masked_fill_(self: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`masked_fill`, stored in self."""
    if not hasattr(value, "meta") and direct.into(_filled_in, (mask, value, self), _NONE, self):
        return self
    return store_checked(self, masked_fill(self, mask, value))  # type: ignore[no-any-return]


@pure
def fill_(self: Tensor, value: Any) -> Tensor:
    """Every element `value`."""
    if hasattr(value, "meta"):
        return _copied(self, value)
    if type(value) is float and is_at_hand(self) and self.meta.dtype.kind == "f" and not self.meta.requires_grad:
        write(self, value)
        return self
    made = creation.filled(self, self.shape, value)
    return store_checked(self, made)  # type: ignore[no-any-return]


@pure
def zero_(self: Tensor) -> Tensor:
    """Every element 0."""
    if is_at_hand(self) and not self.meta.requires_grad:
        write(self, 0)
        return self
    return store_checked(self, creation.filled(self, self.shape, 0))  # type: ignore[no-any-return]


@pure
def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """The values of `src`, which broadcasts to self and is cast to its dtype."""
    if not hasattr(src, "meta"):
        return fill_(self, src)
    overlaps.refuse(self, (src,))
    return _copied(self, src)


def _copied(self: Tensor, src: Tensor) -> Tensor:
    if src.dtype is not self.dtype:
        src = apply(casts.cast, (src,), {"dtype": self.dtype})
    if src.shape != self.shape:
        src = apply(shapes.expand, (src,), {"shape": self.shape})
    if src.requires_grad:
        src = apply(casts.clone, (src,), _NONE)  # a place on the tape of its own, for hooks and later writes
    return store_checked(self, src)  # type: ignore[no-any-return]


@served
@pure
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1, out: Any = None) -> Tensor:
    """``input + value * tensor1 * tensor2``."""
    return finished(input + tensor1 * tensor2 * value, out)  # type: ignore[no-any-return]


@served
@pure
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1, out: Any = None) -> Tensor:
    """``input + value * tensor1 / tensor2``; one of the two must be floating."""
    if not (tensor1.dtype.is_inexact or tensor2.dtype.is_inexact):
        pair = f"{tensor1.dtype.name}{list(tensor1.shape)} and {tensor2.dtype.name}{list(tensor2.shape)}"
        raise DTypeError(f"addcdiv: integer division is not supported, got {pair}; cast one to a floating dtype")
    return finished(input + tensor1 / tensor2 * value, out)  # type: ignore[no-any-return]


def _added_product(x: Any, tensor1: Any, tensor2: Any, value: Any) -> Any:
    return pointwise.add(x, pointwise.mul(pointwise.mul(tensor1, tensor2), value))


def _added_quotient(x: Any, tensor1: Any, tensor2: Any, value: Any) -> Any:
    if not (tensor1.dtype.is_inexact and tensor2.dtype.is_inexact):
        raise DTypeError("integers are left to the op")
    return pointwise.add(x, pointwise.mul(pointwise.div(tensor1, tensor2), value))


@pure
def addcmul_(self: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """`addcmul`, stored in self."""
    if direct.into(_added_product, (self, tensor1, tensor2, value), _NONE, self):
        return self
    return store_checked(self, addcmul(self, tensor1, tensor2, value=value))  # type: ignore[no-any-return]


@pure
def addcdiv_(self: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """`addcdiv`, stored in self."""
    if direct.into(_added_quotient, (self, tensor1, tensor2, value), _NONE, self):
        return self
    return store_checked(self, addcdiv(self, tensor1, tensor2, value=value))  # type: ignore[no-any-return]


@served
@pure
def lerp(input: Tensor, end: Tensor, weight: Any, *, out: Any = None) -> Tensor:
    """``input + weight * (end - input)``; both of one floating dtype."""
    if end.dtype is not input.dtype or not input.dtype.is_inexact:
        pair = f"{input.dtype.name}{list(input.shape)} and {end.dtype.name}{list(end.shape)}"
        raise DTypeError(f"lerp: input and end must share one floating dtype, got {pair}")
    way = end - input
    if not hasattr(weight, "meta"):
        made = input + way * weight if abs(weight) < 0.5 else end - way * (1 - weight)  # a weight of 1 gives `end` itself
    else:
        made = where(g.lt(g.abs(weight), 0.5), input + way * weight, end - way * (1 - weight))
    return finished(made, out)  # type: ignore[no-any-return]


def _near(x: Any, end: Any, weight: Any) -> Any:
    """`lerp` by a weight below a half."""
    if end.dtype is not x.dtype or x.dtype.kind != "f":
        raise DTypeError("other dtypes are left to the op")
    return pointwise.add(x, pointwise.mul(pointwise.sub(end, x), weight))


def _far(x: Any, end: Any, rest: Any) -> Any:
    """`lerp` by a weight from a half on, which is 1 without `rest`."""
    if end.dtype is not x.dtype or x.dtype.kind != "f":
        raise DTypeError("other dtypes are left to the op")
    return pointwise.sub(end, pointwise.mul(pointwise.sub(end, x), rest))


def _between(x: Any, end: Any, weight: Any) -> Any:
    """`lerp` by weights of any size."""
    small = lt(pointwise.abs(weight), 0.5)
    return where(small, _near(x, end, weight), _far(x, end, pointwise.sub(1, weight)))


@pure
def lerp_(self: Tensor, end: Tensor, weight: Any) -> Tensor:
    """`lerp`, stored in self."""
    if hasattr(weight, "meta"):
        stored = direct.into(_between, (self, end, weight), _NONE, self)
    elif abs(weight) < 0.5:
        stored = direct.into(_near, (self, end, weight), _NONE, self)
    else:
        stored = direct.into(_far, (self, end, 1 - weight), _NONE, self)
    return self if stored else store_checked(self, lerp(self, end, weight))  # type: ignore[no-any-return]


def index_along(x: Tensor, dim: int) -> Tensor:
    """0, 1, 2, ... as long as dimension `dim` of `x`, int64, beside `x`."""
    attrs = {"start": 0, "step": 1, "length": x.shape[dim], "dtype": dtypes.int64}
    return creation.made_by(x, creation.arange, **attrs)  # type: ignore[no-any-return]


def _is_matrix(name: str, x: Tensor) -> None:
    if x.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions, but it has shape {list(x.shape)}")


def _triangle(x: Tensor, diagonal: int, upper: bool) -> Any:
    """Which elements of the matrices in `x` lie on or below (`upper`: above) the diagonal."""
    if is_plain(x) and type(diagonal) is int and x.meta.shape[-2] * x.meta.shape[-1] <= _SMALL:
        return _known_triangle(*x.meta.shape[-2:], diagonal, upper)
    down, across = unsqueeze(index_along(x, -2), 1) + diagonal, index_along(x, -1)
    return ge(across, down) if upper else ge(down, across)


@lru_cache(maxsize=64)
def _known_triangle(rows: int, columns: int, diagonal: int, upper: bool) -> Any:
    below = np.tri(rows, columns, diagonal - upper, np.bool_)
    return make(~below if upper else below)


@served
@pure
def tril(input: Tensor, diagonal: int = 0, *, out: Any = None) -> Tensor:
    """Matrices with zeros above the given diagonal."""
    _is_matrix("tril", input)
    keep = _triangle(input, diagonal, False)
    kind = input.dtype.kind
    return matched(where(keep, input, False if kind == "b" else 0.0 if kind == "f" else 0), out)  # type: ignore[no-any-return]


@served
@pure
def triu(input: Tensor, diagonal: int = 0, *, out: Any = None) -> Tensor:
    """Matrices with zeros below the given diagonal."""
    _is_matrix("triu", input)
    keep = _triangle(input, diagonal, True)
    kind = input.dtype.kind
    return matched(where(keep, input, False if kind == "b" else 0.0 if kind == "f" else 0), out)  # type: ignore[no-any-return]


@pure
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether shapes and all elements agree."""
    a: Any = input
    b: Any = other
    plain = hasattr(a, "meta") and hasattr(b, "meta") and is_plain(a) and is_plain(b)
    if plain and a.meta.dtype is b.meta.dtype and a.shape == b.shape and a._array.size < _SMALL:
        return bool((a._array == b._array).all())
    return input.shape == other.shape and bool(g.all(g.eq(input, other)))


@pure
def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether ``|input - other| <= atol + rtol * |other|`` everywhere."""
    wide = dtypes.complex128 if input.dtype.kind == "c" else dtypes.float64
    a, b = (to(x.detach(), wide) for x in (input, other))
    if a.storage.on_device or b.storage.on_device:
        from .elements import isclose

        return bool(g.all(isclose(a, b, rtol, atol, equal_nan)))
    return bool(np.allclose(a.numpy(), b.numpy(), rtol, atol, equal_nan))

