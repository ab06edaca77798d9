"""Questions about elements, and further spellings of pointwise ops: finite or not, close, signs. All over records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..ir import dtypes
from ..ir.ops.compare import where
from ..ir.ops.creation import filled
from . import functional as f
from . import generated as g
from .outputs import into
from .pure import pure
from .reducing import clamp
from .served import served

if TYPE_CHECKING:
    from .tensor import Tensor

_INF = float("inf")


def _same(x: Any, value: bool) -> Any:
    return filled(x, x.shape, value, dtypes.bool_)


@served
@pure
def isinf(input: Tensor) -> Tensor:
    """Whether each element is an infinity."""
    return g.eq(g.abs(input), _INF) if input.dtype.kind in "fc" else _same(input, False)


@pure
def isposinf(input: Tensor, *, out: Any = None) -> Tensor:
    """Whether each element is the positive infinity."""
    result = g.eq(input, _INF) if input.dtype.is_floating_point else _same(input, False)
    return result if out is None else into(out, result, False)  # type: ignore[no-any-return]


@pure
def isneginf(input: Tensor, *, out: Any = None) -> Tensor:
    """Whether each element is the negative infinity."""
    result = g.eq(input, -_INF) if input.dtype.is_floating_point else _same(input, False)
    return result if out is None else into(out, result, False)  # type: ignore[no-any-return]


@served
@pure
def isfinite(input: Tensor) -> Tensor:
    """Whether each element is neither an infinity nor NaN."""
    return g.lt(g.abs(input), _INF) if input.dtype.kind in "fc" else _same(input, True)


@pure
def isreal(input: Tensor) -> Tensor:
    """Whether each element has no imaginary part."""
    from .complexes import imag

    return g.eq(imag(input), 0) if input.dtype.kind == "c" else _same(input, True)


@served
@pure
def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Whether ``|input - other| <= atol + rtol * |other|``, element by element; equal infinities are close."""
    if rtol < 0 or atol < 0:
        raise RuntimeError(f"rtol and atol must be greater than or equal to zero, but got {rtol} and {atol}")
    if input.dtype is not other.dtype:
        raise RuntimeError(f"{input.dtype.name} did not match {other.dtype.name}: isclose takes tensors of one dtype")
    if input.dtype.kind == "b":
        return g.eq(input, other)
    close = g.eq(input, other)
    if equal_nan:
        close = g.logical_or(close, g.logical_and(g.isnan(input), g.isnan(other)))
    if not input.dtype.is_floating_point and input.dtype.kind != "c":
        input, other = f.to(input, dtypes.float64), f.to(other, dtypes.float64)
    gap = g.abs(f.sub(input, other))
    near = g.logical_and(g.lt(gap, _INF), g.le(gap, f.add(g.mul(g.abs(other), rtol), atol)))
    return g.logical_or(close, near)


@pure
def signbit(input: Tensor, *, out: Any = None) -> Tensor:
    """Whether each element is negative, minus zero included."""
    if input.dtype.kind in "bu":
        result = _same(input, False)
    elif input.dtype.is_floating_point:
        result = where(g.eq(input, 0), g.lt(g.reciprocal(input), 0), g.lt(input, 0))
    else:
        result = g.lt(input, 0)
    return result if out is None else into(out, result, False)  # type: ignore[no-any-return]


@pure
def logical_xor(input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """Whether just one of two elements is not zero."""
    result = g.ne(g.logical_not(input), g.logical_not(other))
    return result if out is None else into(out, result)


@pure
def positive(input: Tensor) -> Tensor:
    """The tensor itself; not for bool."""
    if input.dtype.kind == "b":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


@pure
def float_power(input: Any, exponent: Any, *, out: Any = None) -> Tensor:
    """`pow` in float64."""
    wide = [f.to(x, dtypes.complex128 if x.dtype.kind == "c" else dtypes.float64) if hasattr(x, "meta") else x
            for x in (input, exponent)]  # fmt: skip
    result = g.pow(*wide)
    return result if out is None else into(out, result)


@pure
def clamp_min(input: Tensor, min: Any, *, out: Any = None) -> Tensor:
    """`clamp` with a lower bound only."""
    result = clamp(input, min=min)
    return result if out is None else into(out, result)


@pure
def clamp_max(input: Tensor, max: Any, *, out: Any = None) -> Tensor:
    """`clamp` with an upper bound only."""
    result = clamp(input, max=max)
    return result if out is None else into(out, result)


@served
@pure
def nan_to_num(input: Tensor, nan: float | None = 0.0, posinf: Any = None, neginf: Any = None, *, out: Any = None) -> Tensor:
    """NaN and the infinities replaced by numbers; without bounds by the largest and least of the dtype."""
    result = input
    if input.dtype.is_floating_point:
        from .limits import finfo

        top = finfo(input.dtype).max
        result = where(g.isnan(input), float(nan or 0.0), input)
        result = where(g.eq(result, _INF), float(top if posinf is None else posinf), result)
        result = where(g.eq(result, -_INF), float(-top if neginf is None else neginf), result)
    else:
        result = g.clone(input)
    return result if out is None else into(out, result, False)  # type: ignore[no-any-return]


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element of `input` is not zero."""
    if input.numel() != 1:
        what = "with no values" if input.numel() == 0 else "with more than one value"
        raise RuntimeError(f"Boolean value of Tensor {what} is ambiguous")
    return bool(input.item())


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape."""
    return bool(input.shape == other.shape)


@pure
def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like `input`, `value` everywhere."""
    return f.expand(value.to(input.dtype), input.shape).clone() if hasattr(value, "meta") else input.clone().fill_(value)
