"""Scalar primitives on ndarrays: evaluates a scalar lowering at every index at once. The reference for every back end.

Knows no op. Values are ndarrays; arithmetic on half dtypes does not occur (they are only operands or results of `cast`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import DivisionError
from . import dtypes, numpy_math, sizes
from .dtypes import DType
from .op import Op, Scalar
from .promote import target_dtype
from .types import TensorType


def _floor_div(x: Any, y: Any) -> Any:
    if x.dtype.kind == "f":
        return np.true_divide(x, y)
    _refuse_zero(y)
    return np.floor_divide(x, y)


def _mod(x: Any, y: Any) -> Any:
    if x.dtype.kind != "f":
        _refuse_zero(y)
    return np.remainder(x, y)


def _refuse_zero(y: Any) -> None:
    if not np.all(y):
        raise DivisionError("ZeroDivisionError: integer division or modulo by zero")


def _abs(x: Any) -> Any:
    return x if x.dtype.kind == "b" else np.abs(x)


#: name of a builder method (a primitive of `loops.PRIMITIVES`; Python's keywords with a trailing underscore) -> its meaning.
MEANING: Mapping[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": _floor_div, "mod": _mod, "fma": lambda a, b, c: a * b + c,
    "neg": np.negative, "abs": _abs, "minimum": np.minimum, "maximum": np.maximum, "sqrt": np.sqrt, "exp": np.exp,
    "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sin": np.sin, "cos": np.cos, "tanh": np.tanh, "erf": numpy_math.erf,
    "pow": np.power, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round": np.rint, "eq": np.equal, "lt": np.less,
    "le": np.less_equal, "and_": np.bitwise_and, "or_": np.bitwise_or, "xor": np.bitwise_xor, "not_": np.bitwise_not,
    "shl": np.left_shift, "shr": np.right_shift, "select": np.where, "philox": numpy_math.philox,
}  # fmt: skip


class NumpyScalars:
    """The builder `s` of scalar lowerings over whole arrays. `shape`: the output's; `dtype`: the op's compute dtype;
    `symbols`: values of the symbols that sizes may hold."""

    def __init__(self, shape: Sequence[int], dtype: np.dtype, symbols: Mapping[str, int] | None = None) -> None:
        self.shape, self.dtype, self.symbols = tuple(shape), np.dtype(dtype), symbols or {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in MEANING:
            raise AttributeError(f"no scalar primitive is called {name!r}")
        meaning = MEANING[name]

        def primitive(*xs: Any) -> Any:
            dtype = {x.dtype for x in xs[name == "select" :]}
            if len(dtype) != 1:
                raise TypeError(f"{name}: operands of one dtype expected, got {sorted(map(str, dtype))}")
            with np.errstate(all="ignore"):
                return np.asarray(meaning(*xs))

        return primitive

    def const(self, value: bool | int | float) -> Any:
        """`value` in the op's compute dtype; an integral one wraps around."""
        return np.asarray(value).astype(self.dtype)

    def const_as(self, value: bool | int | float, dtype: DType) -> Any:
        """`value` in the compute form of `dtype`."""
        return np.asarray(value).astype(dtype.compute)

    def cast(self, x: Any, dtype: DType) -> Any:
        """Conversion to `dtype`, truncating toward zero from floating to integral."""
        with np.errstate(all="ignore"):
            return dtypes.converted(np.asarray(x), dtype)

    def literal(self, x: Any) -> Any:
        """`x` where it is a number."""
        return x if isinstance(x, (bool, int, float)) else None

    def given(self, x: Any) -> Any:
        """None: every number is known here, and `infer` has judged it."""

    def require(self, ok: Any, message: str, kind: type[Exception]) -> None:
        """Raise `kind` where `ok` is not true of every element."""
        if not np.all(ok):
            raise kind(message)

    def index(self, d: int) -> Any:
        """The output's index along dimension `d`, as int64."""
        ones = [1] * len(self.shape)
        ones[d] = self.shape[d]
        return np.arange(self.shape[d], dtype=np.int64).reshape(ones)

    def number(self, shape: Sequence[sizes.Size]) -> Any:
        """The row-major number of the output's element, as int64."""
        return np.arange(math.prod(self.shape), dtype=np.int64).reshape(self.shape)

    def size(self, value: sizes.Size) -> Any:
        """A size as int64."""
        return np.asarray(sizes.evaluate(value, self.symbols), np.int64)

    def dtype_of(self, x: Any) -> DType:
        """The dtype of a value."""
        return dtypes.from_numpy(x.dtype)


def compute_dtype(op: Op, types: Sequence[Any], results: Sequence[TensorType]) -> DType:
    """The dtype in which a pointwise op's constants and weak operands live: that of its promoted operands, else of its
    first tensor operand, else of its result."""
    target = target_dtype(op, tuple(types))
    if target is not None or op.promote is not None:
        return target or results[0].dtype
    return next((t.dtype for t in types if isinstance(t, TensorType)), results[0].dtype)


def evaluate(op: Op, operands: Sequence[Any], results: Sequence[TensorType], **attrs: Any) -> tuple[np.ndarray, ...]:
    """The results of a pointwise op by its scalar lowering. `operands`: promoted arrays and Python numbers."""
    from .layout import type_of_array

    if not isinstance(op.lowering, Scalar):
        raise TypeError(f"{op.name} has no scalar lowering")
    types = [type_of_array(x) if isinstance(x, np.ndarray) else x for x in operands]
    dtype = compute_dtype(op, types, results)
    s = NumpyScalars(results[0].shape, dtype.compute)  # type: ignore[arg-type]
    made = op.lowering.fn(s, *(_widened(x, s) for x in operands), **attrs)
    made = made if isinstance(made, tuple) else (made,)
    with np.errstate(all="ignore"):
        shapes: Any = [t.shape for t in results]
        return tuple(np.broadcast_to(m.astype(t.dtype.np), n) for m, t, n in zip(made, results, shapes, strict=True))


def _widened(x: Any, s: NumpyScalars) -> Any:
    if not isinstance(x, np.ndarray):
        return s.const(x)
    return x.astype(dtypes.from_numpy(x.dtype).compute)
