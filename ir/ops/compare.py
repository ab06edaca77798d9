"""Comparison, logic, bits and selection. Results of comparisons are bool; none but `where` has a gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, RangeError
from .. import dtypes, layout
from ..op import Op, Sample
from ..types import TensorType
from .declare import LARGE, binary_samples, dtype_of, floats, pointwise, unary_samples

_FLAT = "piecewise constant"


def _compare(name: str, eager: Any, scalar: Any) -> Op:
    return pointwise(name, (f"{name}(Tensor input, Tensor|Scalar other)",), eager, scalar, None, binary_samples("buif"),
                     result=dtypes.bool_, constant=_FLAT, operator=name, complexes=name in ("eq", "ne"))  # fmt: skip


eq = _compare("eq", np.equal, lambda s, x, y: s.eq(x, y))
ne = _compare("ne", np.not_equal, lambda s, x, y: s.not_(s.eq(x, y)))
lt = _compare("lt", np.less, lambda s, x, y: s.lt(x, y))
le = _compare("le", np.less_equal, lambda s, x, y: s.le(x, y))
gt = _compare("gt", np.greater, lambda s, x, y: s.lt(y, x))
ge = _compare("ge", np.greater_equal, lambda s, x, y: s.le(y, x))


def _truth(s: Any, x: Any) -> Any:
    """Whether `x` is not zero, as bool."""
    return x if s.dtype_of(x).kind == "b" else s.not_(s.eq(x, s.const_as(0, s.dtype_of(x))))


logical_not = pointwise(
    "logical_not", ("logical_not(Tensor input)",), np.logical_not, lambda s, x: s.not_(_truth(s, x)), None,
    unary_samples("buif", (-1, 1)), result=dtypes.bool_, constant=_FLAT, complexes=True,
)  # fmt: skip
logical_and = pointwise(
    "logical_and", ("logical_and(Tensor input, Tensor|Scalar other)",), np.logical_and,
    lambda s, x, y: s.and_(_truth(s, x), _truth(s, y)), None, binary_samples("buif", (-1, 1)), result=dtypes.bool_,
    constant=_FLAT, complexes=True,
)  # fmt: skip
logical_or = pointwise(
    "logical_or", ("logical_or(Tensor input, Tensor|Scalar other)",), np.logical_or,
    lambda s, x, y: s.or_(_truth(s, x), _truth(s, y)), None, binary_samples("buif", (-1, 1)), result=dtypes.bool_,
    constant=_FLAT, complexes=True,
)  # fmt: skip
isnan = pointwise(
    "isnan", ("isnan(Tensor input)",), lambda x: np.not_equal(x, x), lambda s, x: s.not_(s.eq(x, x)), None,
    unary_samples("buif"), result=dtypes.bool_, constant=_FLAT, complexes=True,
)  # fmt: skip


def _bits(name: str, eager: Any, scalar: Any) -> Op:
    return pointwise(name, (f"{name}(Tensor input, Tensor|Scalar other)",), eager, scalar, None, binary_samples("bui", (0, 3)),
                     kinds="bui", constant="bits", operator=name.removeprefix("bitwise_"))  # fmt: skip


bitwise_and = _bits("bitwise_and", np.bitwise_and, lambda s, x, y: s.and_(x, y))
bitwise_or = _bits("bitwise_or", np.bitwise_or, lambda s, x, y: s.or_(x, y))
bitwise_xor = _bits("bitwise_xor", np.bitwise_xor, lambda s, x, y: s.xor(x, y))
bitwise_not = pointwise(
    "bitwise_not", ("bitwise_not(Tensor input)",), np.bitwise_not, lambda s, x: s.not_(x), None, unary_samples("bui"),
    kinds="bui", constant="bits", operator="invert",
)  # fmt: skip


def _shift_bits(dtype: Any) -> int:
    return int(8 * dtype.itemsize)


def _shift_eager(ufunc: Any) -> Any:
    """A shift by a negative count, or by all bits and more, leaves what endless shifting leaves."""

    def eager(x: Any, y: Any) -> Any:
        if isinstance(y, int):
            y = (x if isinstance(x, np.ndarray) else np.asarray(x)).dtype.type(y)
        dtype = (x if isinstance(x, np.ndarray) else np.asarray(y)).dtype
        bits = _shift_bits(dtype)
        inside = np.less(y, bits) & np.greater_equal(y, 0)
        far = np.where(np.less(x, 0), -1, 0).astype(dtype) if ufunc is np.right_shift and dtype.kind == "i" else dtype.type(0)
        return np.where(inside, ufunc(x, np.where(inside, y, 0).astype(dtype)), far)

    return eager


def _shift_scalar(prim: str) -> Any:
    def scalar(s: Any, x: Any, y: Any) -> Any:
        dtype = s.dtype_of(x)
        zero = s.const(0)
        inside = s.lt(y, s.const(_shift_bits(dtype)))
        if dtype.kind == "i":
            inside = s.and_(inside, s.le(zero, y))
        far = s.select(s.lt(x, zero), s.const(-1), zero) if prim == "shr" and dtype.kind == "i" else zero
        return s.select(inside, getattr(s, prim)(x, s.select(inside, y, zero)), far)

    return scalar


def _shift(name: str, ufunc: Any, prim: str) -> Op:
    return pointwise(name, (f"{name}(Tensor|Scalar input, Tensor|Scalar other)",), _shift_eager(ufunc), _shift_scalar(prim),
                     None, binary_samples("ui", (-3, 40), (0, 70)), kinds="ui", constant="bits")  # fmt: skip


#: x times 2 to the power of y, in wrapping arithmetic.
bitwise_left_shift = _shift("bitwise_left_shift", np.left_shift, "shl")
#: x divided by 2 to the power of y, rounded down.
bitwise_right_shift = _shift("bitwise_right_shift", np.right_shift, "shr")


def _where_infer(c: Any, x: Any, y: Any) -> tuple[TensorType]:
    if isinstance(c, TensorType) and c.dtype.kind != "b":
        raise DTypeError(f"where: the condition must be bool, got {layout.describe(c, x, y)}")
    tensors = [t for t in (x, y) if isinstance(t, TensorType)]
    dtype = dtype_of(x, y) if tensors else dtypes.result_type((), (), (_python(x), _python(y)))
    return (layout.elementwise("where", dtype, c, x, y),)


def _python(x: Any) -> type:
    kind = getattr(x, "kind", type(x).__name__)
    return {"bool": bool, "int": int, "float": float, "complex": complex}[kind]


def _where_eager(c: Any, x: Any, y: Any) -> Any:
    if c.dtype.kind != "b":
        raise TypeError("bool condition expected")
    if not isinstance(x, np.ndarray) and not isinstance(y, np.ndarray):
        x = dtypes.result_type((), (), (type(x), type(y))).np.type(x)
    kind = next(v.dtype for v in (x, y) if not isinstance(v, (bool, int, float, complex)))
    x, y = (np.asarray(v).astype(kind) if type(v) is int and kind.kind == "u" else v for v in (x, y))
    return np.where(c, x, y)


def _where_scalar(s: Any, c: Any, x: Any, y: Any) -> Any:
    return s.select(c, x, y)


def _where_grad(g: Any, need: Any, out: Any, c: Any, x: Any, y: Any) -> tuple[Any, ...]:
    return None, where(c, g, 0.0) if need[1] else None, where(c, 0.0, g) if need[2] else None


def _where_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in binary_samples("buif")(rng):
        x, y = sample.operands
        if sample.raises is None and "wraps" not in sample.note:
            shape = np.broadcast_shapes(np.shape(x), np.shape(y))
            yield Sample((floats(rng, shape, dtypes.bool_), x, y), note=sample.note)
    yield Sample((floats(rng, (3, 1), dtypes.bool_), 1.5, 2), note="both weak")
    yield Sample((floats(rng, (3, 1), dtypes.bool_), floats(rng, ()), floats(rng, (4,))), note="broadcast")
    yield Sample((floats(rng, (3,)), floats(rng, (3,)), 0.0), raises=DTypeError)
    c, u = floats(rng, (3, 1), dtypes.bool_), floats(rng, (4,), dtypes.uint8)
    yield Sample((c, u, -1), note="minus 1 is 255")
    yield Sample((c, u, 256), raises=RangeError)


#: x where the condition holds, y elsewhere.
where = pointwise(
    "where", ("where(Tensor condition, Tensor|Scalar input, Tensor|Scalar other)",), _where_eager, _where_scalar, _where_grad,
    _where_samples, operands=(1, 2), infer=_where_infer, autocast="promote", exact=(1, 2), heavy=LARGE,
)  # fmt: skip
