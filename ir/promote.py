"""Operand promotion, done once at every call so that kernels, gradients and lowerings see operands of one dtype."""

from __future__ import annotations

from typing import Any

from . import dtypes
from .dtypes import DType
from .op import Op
from .types import ScalarType, TensorType

_PYTHON = {"bool": bool, "int": int, "float": float}


def type_of(x: Any) -> Any:
    """The graph type of an operand: Values and Tensors carry one; numbers and None stand for themselves."""
    return getattr(x, "type", x) if not isinstance(x, (bool, int, float)) else x


def target_dtype(op: Op, types: tuple[Any, ...]) -> DType | None:
    """The dtype to which `op.promote` casts the chosen operands; None where there is nothing to promote."""
    rule = op.promote
    if rule is None:
        return None
    chosen = types if rule.operands is None else [types[i] for i in rule.operands if i < len(types)]
    tensors = tuple(t.dtype for t in chosen if isinstance(t, TensorType) and t.shape)
    zero_dim = tuple(t.dtype for t in chosen if isinstance(t, TensorType) and not t.shape)
    scalars = tuple(_PYTHON[t.kind] if isinstance(t, ScalarType) else type(t) for t in chosen
                    if isinstance(t, (ScalarType, bool, int, float)))
    if not tensors and not zero_dim:
        return None
    out = dtypes.result_type(tensors, zero_dim, scalars)
    return dtypes.float32 if rule.to == "float" and not out.is_floating_point else out


def promoted(op: Op, operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """`operands` with the chosen tensors cast by the `cast` op where their dtype is not the target."""
    types = tuple(type_of(x) for x in operands)
    target = target_dtype(op, types)
    if target is None:
        return operands
    chosen = range(len(operands)) if op.promote is None or op.promote.operands is None else op.promote.operands
    from .ops.casts import cast

    return tuple(
        cast(x, dtype=target) if i in chosen and isinstance(t, TensorType) and t.dtype is not target else x
        for i, (x, t) in enumerate(zip(operands, types, strict=True))
    )
