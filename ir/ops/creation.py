"""Tensors from nothing: full, arange, a size as a tensor. They have no tensor operand; inside gradient rules and
decompositions `made_by` routes the call through a tensor at hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import RangeError, ShapeError
from .. import dtypes, layout
from ..dtypes import DType
from ..op import Op, Sample, Scalar, register
from ..promote import check_fits
from ..sizes import Expr, Size
from ..types import TensorType, numel, tensor

_CONSTANT = "made from numbers"


def made_by(x: Any, op: Op, *operands: Any, **attrs: Any) -> Any:
    """Apply an op that has no tensor operand where `x` lives: in its graph, or eagerly."""
    return type(x).__apply_op__(x, op, operands, attrs)


def _full_infer(
    value: Any, *, shape: tuple[Size, ...], dtype: DType, strides: tuple[Size, ...] | None = None
) -> tuple[TensorType]:
    if any(isinstance(n, int) and n < 0 for n in shape):
        below = next(n for n in shape if isinstance(n, int) and n < 0)
        raise ShapeError(f"Trying to create tensor with negative dimension {below}: {list(shape)}")
    check_fits("full", value, dtype)
    return (tensor(shape, dtype) if strides is None else TensorType(tuple(shape), dtype, tuple(strides)),)


def _full_eager(
    value: Any, *, shape: tuple[int, ...], dtype: DType, strides: tuple[int, ...] | None = None
) -> Any:
    check_fits("full", value, dtype)
    out = np.empty(shape, dtype.np) if strides is None else layout.empty(shape, dtype.np, strides)
    out.fill(np.asarray(value).astype(dtype.np))
    return out


def _full_scalar(s: Any, value: Any, *, shape: Any, dtype: DType, strides: Any = None) -> Any:
    return s.cast(value, dtype)


def _full_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for dtype in dtypes.ALL:
        yield Sample((1,), {"shape": (2, 3), "dtype": dtype})
    yield Sample((2.5,), {"shape": (), "dtype": dtypes.float64})
    yield Sample((float("-inf"),), {"shape": (0, 4), "dtype": dtypes.bfloat16})
    yield Sample((True,), {"shape": (3,), "dtype": dtypes.int64})
    yield Sample((-1,), {"shape": (3,), "dtype": dtypes.uint8}, note="minus 1 is 255")
    yield Sample((1.5,), {"shape": (2, 3, 4), "dtype": dtypes.float32, "strides": (4, 8, 1)}, note="strides")
    yield Sample((256,), {"shape": (3,), "dtype": dtypes.uint8}, raises=RangeError)


#: Every element is the weak operand; dense in row-major order, or with `strides`. Public: eager/creation.py.
full = register(Op(
    "full", (), _full_infer, _full_eager, None, Scalar(_full_scalar), _full_samples,
    upcast=False, constant=_CONSTANT,
))  # fmt: skip


def filled(x: Any, shape: Any, value: bool | int | float, dtype: DType | None = None) -> Any:
    """A tensor of `value` beside `x`, of its dtype unless said."""
    return made_by(x, full, value, shape=tuple(shape), dtype=dtype or x.dtype)


def zeros_like(x: Any) -> Any:
    """Zeros of the shape and dtype of `x`."""
    return filled(x, x.shape, 0)


def _arange_infer(*, start: int | float, step: int | float, length: Size, dtype: DType) -> tuple[TensorType]:
    return (tensor((length,), dtype),)


def _arange_eager(*, start: int | float, step: int | float, length: int, dtype: DType) -> Any:
    wide: Any = np.float64 if dtype.is_floating_point else np.int64
    return (np.arange(length, dtype=wide) * wide(step) + wide(start)).astype(dtype.np)


def _arange_scalar(s: Any, *, start: int | float, step: int | float, length: Size, dtype: DType) -> Any:
    wide = dtypes.float64 if dtype.is_floating_point else dtypes.int64
    i = s.index(0) if wide is dtypes.int64 else s.cast(s.index(0), wide)
    i = i if step == 1 else s.mul(i, s.const_as(step, wide))
    return s.cast(i if start == 0 else s.add(i, s.const_as(start, wide)), dtype)


def _arange_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for dtype in dtypes.INTEGRAL + dtypes.FLOATING:
        yield Sample((), {"start": 1, "step": 2, "length": 5, "dtype": dtype})
    yield Sample((), {"start": 0.5, "step": 0.1, "length": 20, "dtype": dtypes.float32})
    yield Sample((), {"start": 7, "step": -2, "length": 4, "dtype": dtypes.int64})
    yield Sample((), {"start": 0, "step": 1, "length": 0, "dtype": dtypes.int64})


#: start + i * step for i < length, computed in float64 or int64. Public (start, end, step): eager/functional.py.
arange = register(Op(
    "arange", (), _arange_infer, _arange_eager, None, Scalar(_arange_scalar), _arange_samples, upcast=False, constant=_CONSTANT,
))  # fmt: skip


def _size_of_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((), {"size": 12})


#: Attr `size` as a 0-d int64 tensor: how a symbolic size enters arithmetic.
size_of = register(Op(
    "size_of", (), lambda *, size: (tensor((), dtypes.int64),), lambda *, size: np.asarray(size, np.int64), None,
    Scalar(lambda s, *, size: s.size(size)), _size_of_samples, upcast=False, constant=_CONSTANT,
))  # fmt: skip


def number(x: Any, size: Size) -> Any:
    """A size as an operand: the int, or a 0-d tensor beside `x` where it is symbolic, also while it is recorded (an int with
    `terms`)."""
    return made_by(x, size_of, size=size) if isinstance(size, Expr) or hasattr(size, "terms") else size


def count(x: Any, dim: tuple[int, ...]) -> Size:
    """Number of elements of `x` along the dimensions `dim`."""
    return numel([x.shape[d] for d in dim])
