"""Arithmetic and transcendental pointwise ops. Kernels are NumPy ufuncs, run under ``np.errstate(all="ignore")`` by the
executor of `eager` and by the graph interpreter: infinities and NaN are results, not warnings."""

from __future__ import annotations

from typing import Any

import numpy as np


from .. import dtypes, layout
from ..op import Effects, Infer
from ..types import TensorType

from .declare import CLOSE, binary_samples, check_kind, dtype_of, floats, pointwise, unary_samples
from .shape import reshape

_BOOL_HINT = "use logical_not or logical_xor"


# -- arithmetic

#: x + y; "or" of bools. Public (with alpha): eager/functional.py.
add = pointwise(
    "add", (), np.add, lambda s, x, y: s.or_(x, y) if s.dtype_of(x).kind == "b" else s.add(x, y),
    lambda g, need, out, x, y: (g if need[0] else None, g if need[1] else None), binary_samples("buif"), autocast="promote",
)  # fmt: skip


def _sub_grad(g: Any, need: Any, out: Any, x: Any, y: Any) -> tuple[Any, ...]:
    return g if need[0] else None, neg(g) if need[1] else None


#: x - y. Public (with alpha): eager/functional.py.
sub = pointwise(
    "sub", (), np.subtract, lambda s, x, y: s.sub(x, y), _sub_grad, binary_samples("uif"), kinds="uif", hint=_BOOL_HINT,
    autocast="promote",
)  # fmt: skip


def _mul_grad(g: Any, need: Any, out: Any, x: Any, y: Any) -> tuple[Any, ...]:
    return mul(g, y) if need[0] else None, mul(g, x) if need[1] else None


#: x * y; "and" of bools.
mul = pointwise(
    "mul", ("mul(Tensor input, Tensor|Scalar other)",), np.multiply,
    lambda s, x, y: s.and_(x, y) if s.dtype_of(x).kind == "b" else s.mul(x, y), _mul_grad, binary_samples("buif"),
    autocast="promote",
)  # fmt: skip


def _div_grad(g: Any, need: Any, out: Any, x: Any, y: Any) -> tuple[Any, ...]:
    gx = div(g, y) if need[0] else None
    return gx, neg(mul(g, div(div(x, y), y))) if need[1] else None


#: x / y, floating for every dtype. Public (with rounding_mode): eager/functional.py.
div = pointwise(
    "div", (), np.true_divide, lambda s, x, y: s.div(x, y), _div_grad, binary_samples("buif", right=(1, 3)), to="float",
    autocast="promote", tolerance=CLOSE,
)  # fmt: skip

#: -x; not for bool.
neg = pointwise(
    "neg", ("neg(Tensor input)",), np.negative, lambda s, x: s.neg(x), lambda g, need, out, x: (neg(g),),
    unary_samples("uif"), kinds="uif", hint="use logical_not",
)  # fmt: skip

#: e to the power of x.
exp = pointwise(
    "exp", ("exp(Tensor input)",), np.exp, lambda s, x: s.exp(x), lambda g, need, out, x: (mul(g, out),),
    unary_samples("buif"), to="float", tolerance=CLOSE, autocast="f32",
)  # fmt: skip


def _extremum_grad(g: Any, need: Any, x: Any, y: Any, beats: Any) -> tuple[Any, ...]:
    """The winner gets all of `g`; a tie is shared equally."""
    tie = eq(x, y)
    shared = where(tie, mul(g, 0.5), g)
    gx = where(logical_or(tie, beats(x, y)), shared, 0.0) if need[0] else None
    return gx, where(logical_or(tie, beats(y, x)), shared, 0.0) if need[1] else None


def _extremum_scalar(prim: str, logic: str) -> Any:
    return lambda s, x, y: getattr(s, logic if s.dtype_of(x).kind == "b" else prim)(x, y)


#: The larger of two; NaN if either is.
maximum = pointwise(
    "maximum", ("maximum(Tensor input, Tensor|Scalar other)",), np.maximum, _extremum_scalar("maximum", "or_"),
    lambda g, need, out, x, y: _extremum_grad(g, need, x, y, gt), binary_samples("buif"),
)  # fmt: skip

#: The smaller of two; NaN if either is.
minimum = pointwise(
    "minimum", ("minimum(Tensor input, Tensor|Scalar other)",), np.minimum, _extremum_scalar("minimum", "and_"),
    lambda g, need, out, x, y: _extremum_grad(g, need, x, y, lt), binary_samples("buif"),
)  # fmt: skip

from .compare import eq, gt, logical_or, lt, where  # noqa: E402  (compare's records use none of these)
