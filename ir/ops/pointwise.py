"""Arithmetic and transcendental pointwise ops. Kernels are NumPy ufuncs, run under ``np.errstate(all="ignore")`` by the
executor of `eager` and by the graph interpreter: infinities and NaN are results, not warnings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...errors import DivisionError, DTypeError, RangeError
from .. import dtypes, layout, numpy_math
from ..dtypes import DType
from ..op import Effects, Op, Sample, is_scalar
from ..promote import check_fits, type_of, wrapped
from ..types import TensorType
from .casts import rounded_once
from .compare import eq, ge, gt, le, logical_and, logical_or, lt, where
from .creation import filled, zeros_like
from .declare import CLOSE, binary_samples, check_kind, conjugated, dtype_of, floats, holomorphic, pointwise, unary_samples

_BOOL_HINT = "use logical_not or logical_xor"


# -- arithmetic

#: x + y; "or" of bools. Public (with alpha): eager/functional.py.
add = pointwise(
    "add", (), np.add, lambda s, x, y: s.or_(x, y) if s.dtype_of(x).kind == "b" else s.add(x, y),
    lambda g, need, out, x, y: (g if need[0] else None, g if need[1] else None), binary_samples("buif"), autocast="promote",
    operator="add", complexes=True,
)  # fmt: skip


def _sub_grad(g: Any, need: Any, out: Any, x: Any, y: Any) -> tuple[Any, ...]:
    return g if need[0] else None, neg(g) if need[1] else None


#: x - y. Public (with alpha): eager/functional.py.
sub = pointwise(
    "sub", (), np.subtract, lambda s, x, y: s.sub(x, y), _sub_grad, binary_samples("uif"), kinds="uif", hint=_BOOL_HINT,
    autocast="promote", operator="sub", complexes=True, no_bool=f"a bool is not subtracted: {_BOOL_HINT}",
)  # fmt: skip


def _mul_grad(g: Any, need: Any, out: Any, x: Any, y: Any) -> tuple[Any, ...]:
    return mul(g, conjugated(y)) if need[0] else None, mul(g, conjugated(x)) if need[1] else None


#: x * y; "and" of bools.
mul = pointwise(
    "mul", ("mul(Tensor input, Tensor|Scalar other)",), np.multiply,
    lambda s, x, y: s.and_(x, y) if s.dtype_of(x).kind == "b" else s.mul(x, y), _mul_grad, binary_samples("buif"),
    autocast="promote", operator="mul", wide=True, complexes=True,
)  # fmt: skip


def _div_grad(g: Any, need: Any, out: Any, x: Any, y: Any) -> tuple[Any, ...]:
    gx = div(g, conjugated(y)) if need[0] else None
    return gx, neg(mul(g, conjugated(div(div(x, y), y)))) if need[1] else None


#: x / y, floating for every dtype. Public (with rounding_mode): eager/functional.py.
div = pointwise(
    "div", (), np.true_divide, lambda s, x, y: s.div(x, y), _div_grad, binary_samples("buif", right=(1, 3)), to="float",
    autocast="promote", tolerance=CLOSE, operator="truediv", wide=True, complexes=True,
)  # fmt: skip

#: -x; not for bool.
neg: Op = pointwise(
    "neg", ("neg(Tensor input)",), np.negative, lambda s, x: s.neg(x), lambda g, need, out, x: (neg(g),),
    unary_samples("uif"), kinds="uif", hint="use logical_not", operator="neg", complexes=True,
)  # fmt: skip

#: e to the power of x.
exp: Op = pointwise(
    "exp", ("exp(Tensor input)",), np.exp, lambda s, x: s.exp(x),
    lambda g, need, out, x: (mul(g, conjugated(out)),), unary_samples("buif"), to="float", tolerance=CLOSE, autocast="f32 gpu",
    complexes=True,
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


# -- integral division


def _refuse_zero(op: str, y: Any) -> None:
    if not np.all(y):
        raise DivisionError(f"ZeroDivisionError: {op}: integer division by zero")


def integral_div(op: str, ufunc: Any) -> Any:
    def eager(x: Any, y: Any) -> Any:
        whole = (x if isinstance(x, np.ndarray) else y).dtype.kind in "iu"
        if whole:
            _refuse_zero(op, y)
        return ufunc(x, y)

    return eager


def _fmod(s: Any, x: Any, y: Any) -> Any:
    """The remainder of truncating division, which has the sign of `x`."""
    m = s.mod(s.abs(x), s.abs(y))
    return s.select(s.lt(x, s.const(0)), s.neg(m), m)


def _floor_divide_scalar(s: Any, x: Any, y: Any) -> Any:
    """By the exact remainder, so that a quotient just below a whole number is not rounded up to it."""
    if s.dtype_of(x).kind != "f":
        return s.div(x, y)
    zero, one = s.const(0), s.const(1)
    rest = _fmod(s, x, y)
    q = s.div(s.sub(x, rest), y)
    opposite = s.xor(s.lt(rest, zero), s.lt(y, zero))
    q = s.select(s.and_(s.not_(s.eq(rest, zero)), opposite), s.sub(q, one), q)
    down = s.floor(q)
    near = s.select(s.lt(s.const(0.5), s.sub(q, down)), s.add(down, one), down)
    plain = s.div(x, y)
    near = s.select(s.eq(q, zero), s.mul(zero, plain), near)
    return s.select(s.eq(y, zero), plain, near)


def _division_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from binary_samples("uif", right=(1, 4))(rng)
    yield Sample((floats(rng, (3,), dtypes.int64), 0), raises=DivisionError)
    yield Sample((floats(rng, (3,), dtypes.uint8), 256), raises=DivisionError, note="wraps to 0")
    yield Sample((floats(rng, (3,), dtypes.int32), np.array([1, 0, 2], np.int32)), raises=DivisionError)


_DIVISION = Effects(raises=(DivisionError,))

#: The quotient rounded down; DivisionError for an integral divisor of zero. Public (with rounding_mode): eager/functional.py.
floor_divide: Op = pointwise(
    "floor_divide", ("floor_divide(Tensor input, Tensor|Scalar other)",), integral_div("floor_divide", np.floor_divide),
    _floor_divide_scalar, lambda g, need, out, x, y: (zeros_like(g) if need[0] else None, zeros_like(g) if need[1] else None),
    _division_samples, kinds="uif", effects=_DIVISION, operator="floordiv", wide=True,
)  # fmt: skip


def _remainder_grad(g: Any, need: Any, out: Any, x: Any, y: Any) -> tuple[Any, ...]:
    return g if need[0] else None, neg(mul(g, floor_divide(x, y))) if need[1] else None


#: x - floor(x / y) * y: has the sign of y; DivisionError for an integral divisor of zero.
remainder = pointwise(
    "remainder", ("remainder(Tensor|Scalar input, Tensor|Scalar other)",), integral_div("remainder", np.remainder),
    lambda s, x, y: s.mod(x, y), _remainder_grad, _division_samples, kinds="uif", effects=_DIVISION,
    tolerance=CLOSE, operator="mod",
)  # fmt: skip

# -- powers


_NEGATIVE_POWER = "Integers to negative integer powers are not allowed: pow of an integral tensor; make it floating first"


def _pow_infer(x: Any, y: Any) -> tuple[TensorType]:
    check_kind("pow", "uifc", x, y)
    dtype = dtype_of(x, y)
    if isinstance(y, int) and y < 0 and dtype.kind in "ui":
        raise RangeError(_NEGATIVE_POWER)
    return (layout.elementwise("pow", dtype, *(t for t in (x, y) if isinstance(t, TensorType))),)


def _pow_eager(x: Any, y: Any) -> Any:
    kind = (x if isinstance(x, np.ndarray) else y).dtype.kind
    if kind in "fc":
        simple = _SIMPLE_POWERS.get(y) if isinstance(y, (int, float)) else None
        return simple(x) if simple else np.power(x, y)
    if isinstance(y, int) and y < 0:
        raise RangeError(_NEGATIVE_POWER)
    if isinstance(y, int):
        return np.power(x, y)
    raised = np.asarray(np.power(x, np.maximum(y, 0)))
    negative = np.less(y, 0)
    if not negative.any():
        return raised
    odd = np.bitwise_and(y, 1).astype(np.bool_)
    unit = np.where(np.equal(x, 1) | (np.equal(x, -1) & ~odd), 1, np.where(np.equal(x, -1), -1, 0))
    np.copyto(raised, unit, casting="unsafe", where=negative)
    return raised


#: as PyTorch computes them
_SIMPLE_POWERS: dict[float, Callable[[Any], Any]] = {
    0.5: np.sqrt, 1: np.positive, 2: np.square, 3: lambda x: np.square(x) * x,
    -0.5: lambda x: np.reciprocal(np.sqrt(x)), -1: np.reciprocal, -2: lambda x: np.reciprocal(np.square(x)),
}  # fmt: skip


def _pow_scalar(s: Any, x: Any, y: Any) -> Any:
    """Integral powers by repeated squaring, in wrapping arithmetic as eager has them."""
    dtype = s.dtype_of(x)
    if dtype.kind == "f":
        return s.mul(s.mul(x, x), x) if s.literal(y) == 3 else s.pow(x, y)
    given = s.given(y)
    if given is not None:
        s.require(s.le(s.const_as(0, dtypes.int64), given), _NEGATIVE_POWER, RangeError)
    zero, one = s.const(0), s.const(1)
    out, square = one, x
    for bit in range(8 * dtype.itemsize - (dtype.kind == "i")):
        on = s.not_(s.eq(s.and_(y, s.const(1 << bit)), zero))
        out = s.select(on, s.mul(out, square), out)
        square = s.mul(square, square)
    if dtype.kind == "u":
        return out
    odd = s.eq(s.and_(y, one), one)
    minus = s.select(s.eq(x, s.const(-1)), s.select(odd, s.const(-1), one), zero)
    return s.select(s.lt(y, zero), s.select(s.eq(x, one), one, minus), out)


def is_weak(x: Any) -> bool:
    """Whether a gradient rule sees a Python number or a graph scalar."""
    return is_scalar(type_of(x))


def _pow_grad(g: Any, need: Any, out: Any, x: Any, y: Any) -> tuple[Any, ...]:
    gx = gy = None
    if need[0]:
        if isinstance(y, (int, float, complex)):
            gx = zeros_like(g) if y == 0 else mul(g, conjugated(mul(pow(x, y - 1), y)))
        else:
            y = filled(g, (), y) if is_weak(y) else y
            gx = where(eq(y, 0), 0.0, mul(g, conjugated(mul(y, pow(x, sub(y, 1))))))
    if need[1]:  # 0 to a power that is not negative is flat
        x, y = (filled(g, (), v) if is_weak(v) else v for v in (x, y))
        flat = eq(x, 0) if "c" in (x.dtype.kind, y.dtype.kind) else logical_and(eq(x, 0), ge(y, 0))
        gy = where(flat, 0.0, mul(g, conjugated(mul(out, log(x)))))
    return gx, gy


def _pow_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from (s for s in binary_samples("uif", (1, 3), (0, 3))(rng) if "wraps" not in s.note)
    yield Sample((258, floats(rng, (3,), dtypes.uint8, (0, 3))), note="weak int wraps")
    x = floats(rng, (3, 4), dtypes.float64)
    for exponent in (2, 3, 0.5, -1, 0, 1, -2.0):
        yield Sample((np.abs(x) + 0.1, exponent))
    yield Sample((x, 2.0), note="negative base")
    yield Sample((np.array([3, -2, 7, 1, -1, 0]), np.array([50, 70, 0, -5, -3, -1])), note="wraps; negative exponents")
    yield Sample((np.array([3, 2]), -1), raises=RangeError)
    yield Sample((np.array([3, 2], np.uint8), 300), raises=RangeError)


#: x to the power of y.
pow: Op = pointwise(
    "pow", ("pow(Tensor|Scalar input, Tensor|Scalar exponent)",), _pow_eager, _pow_scalar, _pow_grad, _pow_samples,
    infer=_pow_infer, tolerance=CLOSE, autocast="f32 gpu", effects=Effects(raises=(RangeError,)), exact=(1,), operator="pow",
    fixed=(1,),
)  # fmt: skip

# -- functions of one operand, floating for every dtype


def _math(name: str, eager: Any, scalar: Any, grad: Any, span: tuple[float, float] = (-3, 3), *, autocast: str = "") -> Op:
    return pointwise(name, (f"{name}(Tensor input)",), eager, scalar, holomorphic(grad), unary_samples("buif", span), to="float",
                     tolerance=CLOSE, autocast=autocast, complexes=name != "erf")  # fmt: skip


#: exp(x) - 1, accurate near 0.
expm1 = _math("expm1", np.expm1, lambda s, x: s.expm1(x), lambda g, need, out, x: (mul(g, add(out, 1)),), autocast="f32 gpu")
#: Natural logarithm.
log = _math("log", np.log, lambda s, x: s.log(x), lambda g, need, out, x: (div(g, x),), (0.1, 5), autocast="f32 gpu")
#: log(1 + x), accurate near 0.
log1p = _math(
    "log1p", np.log1p, lambda s, x: s.log1p(x), lambda g, need, out, x: (div(g, add(x, 1)),), (-0.9, 5), autocast="f32 gpu"
)
#: Square root; NaN below 0.
sqrt = _math("sqrt", np.sqrt, lambda s, x: s.sqrt(x), lambda g, need, out, x: (div(g, mul(out, 2)),), (0.1, 5))
#: 1 / sqrt(x).
rsqrt = _math(
    "rsqrt", lambda x: 1 / np.sqrt(x), lambda s, x: s.div(s.const(1), s.sqrt(x)),
    lambda g, need, out, x: (mul(mul(g, -0.5), mul(out, mul(out, out))),), (0.1, 5), autocast="f32 gpu",
)  # fmt: skip
#: Sine of radians.
sin: Op = _math("sin", np.sin, lambda s, x: s.sin(x), lambda g, need, out, x: (mul(g, cos(x)),))
#: Cosine of radians.
cos: Op = _math("cos", np.cos, lambda s, x: s.cos(x), lambda g, need, out, x: (neg(mul(g, sin(x))),))
#: Hyperbolic tangent.
tanh: Op = _math(
    "tanh", np.tanh, lambda s, x: s.tanh(x), rounded_once(lambda g, need, out, x: (mul(g, sub(1, mul(out, out))),), "out"),
)  # fmt: skip
#: Error function.
erf: Op = _math(
    "erf", numpy_math.erf, lambda s, x: s.erf(x),
    lambda g, need, out, x: (mul(g, mul(exp(neg(mul(x, x))), 2 / math.sqrt(math.pi))),),
)  # fmt: skip
#: 1 / (1 + exp(-x)); exp overflows to infinity only where the result is 0.
sigmoid: Op = _math(
    "sigmoid", lambda x: 1 / (1 + np.exp(np.negative(x))), lambda s, x: s.div(s.const(1), s.add(s.const(1), s.exp(s.neg(x)))),
    rounded_once(lambda g, need, out, x: (mul(g, mul(out, sub(1, out))),), "out"), (-6, 6),
)  # fmt: skip


def _silu_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    share = sigmoid(x)
    return (mul(g, mul(share, add(mul(x, sub(1, share)), 1))),)


#: x * sigmoid(x); floating only.
silu = pointwise(
    "silu", ("silu(Tensor input)",), lambda x: x / (1 + np.exp(np.negative(x))),
    lambda s, x: s.div(x, s.add(s.const(1), s.exp(s.neg(x)))),
    holomorphic(rounded_once(_silu_grad)), unary_samples("f", (-6, 6)), kinds="f", tolerance=CLOSE, complexes=True,
)  # fmt: skip
#: 1 / x.
reciprocal = _math(
    "reciprocal", lambda x: 1 / x, lambda s, x: s.div(s.const(1), x), lambda g, need, out, x: (neg(mul(g, mul(out, out))),),
    (0.5, 3), autocast="f32 gpu",
)  # fmt: skip

_GELU_CUBE = 0.044715
_GELU_SCALE = math.sqrt(2 / math.pi)


def _gelu_infer(x: TensorType, *, approximate: str = "none") -> tuple[TensorType]:
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    check_kind("gelu", "f", x)
    return (layout.elementwise("gelu", x.dtype, x),)


def _gelu_eager(x: Any, *, approximate: str = "none") -> Any:
    if x.dtype.kind != "f":
        raise TypeError("floating array expected")
    if approximate == "none":
        return 0.5 * x * (1 + numpy_math.erf(x * math.sqrt(0.5)))
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(_GELU_SCALE * (x + _GELU_CUBE * x * x * x)))
    raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")


def _gelu_scalar(s: Any, x: Any, *, approximate: str = "none") -> Any:
    if approximate == "none":
        bend = s.erf(s.mul(x, s.const(math.sqrt(0.5))))
    else:
        cube = s.mul(s.mul(s.mul(s.const(_GELU_CUBE), x), x), x)
        bend = s.tanh(s.mul(s.const(_GELU_SCALE), s.add(x, cube)))
    return s.mul(s.mul(s.const(0.5), x), s.add(s.const(1), bend))


def _gelu_grad(g: Any, need: Any, out: Any, x: Any, *, approximate: str = "none") -> tuple[Any, ...]:
    square = mul(x, x)
    if approximate == "none":
        share = mul(add(erf(mul(x, math.sqrt(0.5))), 1), 0.5)
        slope = mul(mul(x, exp(mul(square, -0.5))), 1 / math.sqrt(2 * math.pi))
    else:
        bend = tanh(mul(mul(x, add(mul(square, _GELU_CUBE), 1)), _GELU_SCALE))
        share = mul(add(bend, 1), 0.5)
        inner = mul(add(mul(square, 3 * _GELU_CUBE), 1), 0.5 * _GELU_SCALE)
        slope = mul(mul(x, sub(1, mul(bend, bend))), inner)
    return (mul(g, add(share, slope)),)


def _gelu_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from unary_samples("f")(rng)
    yield from unary_samples("f", (-6, 6), approximate="tanh")(rng)
    yield Sample((floats(rng, (3,)),), {"approximate": "erf"}, raises=ValueError)
    yield Sample((floats(rng, (3,), dtypes.int64),), raises=DTypeError)


#: x times the normal distribution function at x, or its tanh approximation.
gelu = pointwise(
    "gelu", ("gelu(Tensor input, *, str approximate=\"none\")",), _gelu_eager, _gelu_scalar,
    rounded_once(_gelu_grad), _gelu_samples, infer=_gelu_infer, tolerance=CLOSE, heavy=True,
)  # fmt: skip


def _softplus_eager(x: Any, *, beta: float = 1.0, threshold: float = 20.0) -> Any:
    if x.dtype.kind != "f":
        raise TypeError("floating array expected")
    scaled = x * beta
    out = np.asarray(np.log1p(np.exp(scaled)) / beta)
    np.copyto(out, x, where=scaled > threshold)
    return out


def _softplus_scalar(s: Any, x: Any, *, beta: float = 1.0, threshold: float = 20.0) -> Any:
    scaled = s.mul(x, s.const(beta))
    return s.select(s.lt(s.const(threshold), scaled), x, s.div(s.log1p(s.exp(scaled)), s.const(beta)))


def _softplus_grad(g: Any, need: Any, out: Any, x: Any, *, beta: float = 1.0, threshold: float = 20.0) -> tuple[Any, ...]:
    scaled = mul(x, beta)
    return (where(gt(scaled, threshold), g, mul(g, sigmoid(scaled))),)


def _softplus_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from unary_samples("f", (-6, 6))(rng)
    yield from unary_samples("f", (-3, 3), beta=2.0, threshold=3.0)(rng)
    yield Sample((np.array([-800.0, 0.0, 19.5, 20.0, 20.5, 800.0]),), note="far out, ties with the threshold")
    yield Sample((floats(rng, (3,), dtypes.int64),), raises=DTypeError)


#: log(1 + exp(beta * x)) / beta, a smooth relu; x itself where beta * x is above the threshold.
softplus = pointwise(
    "softplus", ("softplus(Tensor input, float beta=1.0, float threshold=20.0)",), _softplus_eager, _softplus_scalar,
    rounded_once(_softplus_grad), _softplus_samples, kinds="f", tolerance=CLOSE, autocast="f32 gpu",
)  # fmt: skip

# -- piecewise linear and constant functions


def _abs_scalar(s: Any, x: Any) -> Any:
    return x if s.dtype_of(x).kind == "u" else s.abs(x)


def _abs_infer(x: Any) -> tuple[TensorType]:
    check_kind("abs", "uifc", x)
    return (layout.elementwise("abs", x.dtype.to_real(), x),)


def _abs_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    if x.dtype.kind != "c":
        return (mul(g, sign(x)),)
    from .complexes import complex_sign

    return (mul(g, complex_sign(x)),)


#: Magnitude; not for bool.
abs: Op = pointwise(
    "abs", ("abs(Tensor input)",), np.absolute, _abs_scalar, _abs_grad, unary_samples("uif"), infer=_abs_infer, operator="abs",
)  # fmt: skip

#: max(x, 0); NaN stays NaN.
relu = pointwise(
    "relu", ("relu(Tensor input)",), lambda x: np.maximum(x, 0), lambda s, x: s.maximum(x, s.const(0)),
    lambda g, need, out, x: (where(le(out, 0), 0.0, g),), unary_samples("uif"), kinds="uif",
)  # fmt: skip


def _sign_eager(x: Any) -> Any:
    if x.dtype.kind in "bu":
        return (x > 0).astype(x.dtype)
    if x.dtype.kind == "f":  # fmax and fmin prefer the number to NaN
        return np.sign(np.fmax(x, 0)) + np.sign(np.fmin(x, 0))
    return np.sign(x)


def _sign_scalar(s: Any, x: Any) -> Any:
    kind = s.dtype_of(x).kind
    if kind == "b":
        return x
    zero, one = s.const(0), s.const(1)
    low = zero if kind == "u" else s.select(s.lt(x, zero), s.const(-1), zero)
    return s.select(s.lt(zero, x), one, low)


def _flat_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    return (zeros_like(g),)


#: -1, 0 or 1; 0 for NaN.
sign: Op = pointwise("sign", ("sign(Tensor input)",), _sign_eager, _sign_scalar, _flat_grad, unary_samples("buif"))


def _rounding(name: str, ufunc: Any) -> Op:
    return pointwise(
        name, (f"{name}(Tensor input)",), lambda x: ufunc(x) if x.dtype.kind == "f" else np.positive(x),
        lambda s, x: getattr(s, name)(x) if s.dtype_of(x).kind == "f" else x, _flat_grad, unary_samples("uif"), kinds="uif",
    )  # fmt: skip


#: The largest whole number not above x.
floor = _rounding("floor", np.floor)
#: The smallest whole number not below x.
ceil = _rounding("ceil", np.ceil)
#: The nearest whole number, ties to even.
round = _rounding("round", np.rint)
#: The whole part.
trunc = _rounding("trunc", np.trunc)


def _bound(value: Any, dtype: DType) -> Any:
    """A bound of `clamp` as an integral `dtype` holds it (minus a number wraps where there are no negative ones)."""
    return wrapped(value, dtype) if type(value) is int and dtype.kind == "u" else value


def _clamp_infer(x: TensorType, *, min: float | None = None, max: float | None = None) -> tuple[TensorType]:
    if min is None and max is None:
        raise ValueError("clamp: at least one of min and max must be given")
    check_kind("clamp", "uif", x)
    if x.dtype.kind in "ui" and any(isinstance(v, float) for v in (min, max)):
        raise DTypeError(f"clamp: float bounds for {layout.describe(x)}; cast it to a floating dtype first")
    for bound in (min, max):
        if bound is not None:
            check_fits("clamp", bound, x.dtype)
    return (layout.elementwise("clamp", x.dtype, x),)


def _clamp_eager(x: Any, *, min: float | None = None, max: float | None = None) -> Any:
    if min is None and max is None:
        raise ValueError("clamp: at least one of min and max must be given")
    if x.dtype.kind == "u":
        dtype = dtypes.from_numpy(x.dtype)
        check_fits("clamp", 0 if min is None else min, dtype)
        check_fits("clamp", 0 if max is None else max, dtype)
        min, max = _bound(min, dtype), _bound(max, dtype)
    low = x if min is None else np.maximum(x, min)
    return low if max is None else np.minimum(low, max)


def _clamp_scalar(s: Any, x: Any, *, min: float | None = None, max: float | None = None) -> Any:
    dtype = s.dtype_of(x)
    min, max = _bound(min, dtype), _bound(max, dtype)
    low = x if min is None else s.maximum(x, s.const(min))
    return low if max is None else s.minimum(low, s.const(max))


def _clamp_grad(g: Any, need: Any, out: Any, x: Any, *, min: Any = None, max: Any = None) -> tuple[Any, ...]:
    inside = le(x, max) if min is None else ge(x, min) if max is None else logical_and(ge(x, min), le(x, max))
    return (where(inside, g, 0.0),)


def _clamp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from unary_samples("uif", min=1, max=2)(rng)
    x = floats(rng, (3, 4), dtypes.float64)
    yield Sample((x,), {"min": -0.5})
    yield Sample((x,), {"max": 0.5})
    yield Sample((x,), {"min": 2.0, "max": -2.0})
    yield Sample((x,), raises=ValueError)
    u = np.array([3, 0, 250], np.uint8)
    yield Sample((u,), {"min": -5}, note="minus 5 is 251")
    yield Sample((u,), {"max": 256}, raises=RangeError)


#: Between attrs `min` and `max` (numbers or None). Public (tensor bounds, promotion by them): eager/functional.py.
clamp = pointwise(
    "clamp", (), _clamp_eager, _clamp_scalar, _clamp_grad, _clamp_samples, infer=_clamp_infer,
    effects=Effects(raises=(ValueError,)),
)  # fmt: skip
