"""Operand promotion, done once at every call so that kernels, gradients and lowerings see operands of one dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DTypeError, RangeError
from . import dtypes, layout
from .dtypes import DType
from .op import Op
from .types import ScalarType, TensorType

_PYTHON = {"bool": bool, "int": int, "float": float}
_NUMBERS = (bool, int, float, complex)


def type_of(x: Any) -> Any:
    """The graph type of an operand: Values and Tensors carry one; numbers and None stand for themselves."""
    meta = getattr(x, "meta", None)
    if meta is not None:
        return meta.type
    return getattr(x, "type", x) if not isinstance(x, _NUMBERS) else x


def target_dtype(op: Op, types: tuple[Any, ...]) -> DType | None:
    """The dtype to which `op.promote` casts the chosen operands; None where there is nothing to promote."""
    rule = op.promote
    if rule is None:
        return None
    chosen = types if rule.operands is None else [types[i] for i in rule.operands if i < len(types)]
    tensors = tuple(t.dtype for t in chosen if isinstance(t, TensorType) and t.shape)
    zero_dim = tuple(t.dtype for t in chosen if isinstance(t, TensorType) and not t.shape)
    scalars = tuple(_PYTHON[t.kind] if isinstance(t, ScalarType) else type(t) for t in chosen
                    if isinstance(t, (ScalarType, *_NUMBERS)))
    if not tensors and not zero_dim:
        return None
    if rule.no_bool and (dtypes.bool_ in tensors or dtypes.bool_ in zero_dim or bool in scalars):
        raise DTypeError(f"{op.name}: {rule.no_bool} (got {layout.describe(*types)})")
    out = dtypes.result_type(tensors, zero_dim, scalars)
    return dtypes.default() if rule.to == "float" and not out.is_inexact else out


_C_NAMES = {
    "u8": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "u64": "uint64_t", "i8": "int8_t", "i16": "int16_t", "i32": "int",
    "i64": "int64_t",
}  # fmt: skip


def wrapped(value: int, dtype: DType) -> int:
    """`value` as the integral `dtype` holds it, modulo 2 to the power of its bits; OverflowError beyond 64 bits."""
    if not -(1 << 63) <= value < 1 << 64:
        raise OverflowError(f"int too big to convert: {value} does not fit 64 bits")
    bits = 8 * dtype.itemsize
    low = value & (1 << bits) - 1
    return low - (1 << bits) if dtype.kind == "i" and low >> bits - 1 else low


def representable(dtype: DType) -> tuple[int, int]:
    """The least and the greatest Python int that the integral `dtype` takes where it must not wrap around."""
    top = (1 << 8 * dtype.itemsize - (dtype.kind == "i")) - 1
    return -top - (dtype.kind == "i"), top


def check_fits(op: str, value: int | float, dtype: DType) -> None:
    """RangeError where the integral `dtype` does not hold a whole `value` (an unsigned one also holds minus its numbers)."""
    if dtype.kind in "ui" and isinstance(value, int):
        low, high = representable(dtype)
        if not low <= value <= high:
            name = _C_NAMES[dtype.short]
            raise RangeError(f"value cannot be converted to type {name} without overflow: {op} of {value} and {dtype.name}")


def fitted(op: Op, operands: tuple[Any, ...], target: DType) -> tuple[Any, ...]:
    """`operands` with every Python int that the integral `target` does not hold wrapped, or refused where it must be exact, and
    floats rounded to a half `target`."""
    rule = op.promote
    if rule is None or (target.kind not in "ui" and (rule.wide or not target.is_half)):
        return operands
    chosen = range(len(operands)) if rule.operands is None else rule.operands
    out = list(operands)
    for i in chosen:
        if target.is_half:
            out[i] = rounded(out[i], target) if type(out[i]) in (int, float) else out[i]
        elif type(out[i]) is int and i in rule.exact:
            check_fits(op.name, out[i], target)
        elif type(out[i]) is int:
            out[i] = wrapped(out[i], target)
    return tuple(out)


def rounded(value: int | float, target: DType) -> int | float:
    """A number as the half dtype `target` holds it, through float32 as PyTorch converts it; ints that it holds stay ints."""
    with np.errstate(over="ignore"):
        found = float(np.float32(value).astype(target.np))
    return value if found == value else found


def promoted(op: Op, operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """`operands` with the chosen tensors cast by the `cast` op where their dtype is not the target, and Python ints that
    fit it."""
    types = tuple(type_of(x) for x in operands)
    target = target_dtype(op, types)
    if target is None:
        return operands
    operands = fitted(op, operands, target)
    chosen = range(len(operands)) if op.promote is None or op.promote.operands is None else op.promote.operands
    from .ops.casts import cast

    return tuple(
        cast(x, dtype=target) if i in chosen and isinstance(t, TensorType) and t.dtype is not target else x
        for i, (x, t) in enumerate(zip(operands, types, strict=True))
    )
