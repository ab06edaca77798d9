"""Pointwise functions beside those of `pointwise`: trigonometry, hyperbolas, logarithms of other bases, the normal distribution.

Eager kernels are NumPy's where it has them, else the scalar lowering itself evaluated in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import dtypes, scalar_numpy
from ..numpy_math import LARGE, TAIL
from ..op import Op, Sample
from .compare import eq, le, logical_and, where
from .creation import filled
from .declare import CLOSE, binary_samples, floats, holomorphic, pointwise
from .pointwise import add, div, exp, integral_div, is_weak, log, mul, neg, sigmoid, sqrt, sub, trunc

#: Compiled against eager where errors of the argument grow.
LOOSE = {"f16": (2e-3, 1e-3), "bf16": (1.6e-2, 1e-2), "f32": (2e-5, 2e-6), "f64": (1e-12, 1e-12)}


def few_samples(kinds: str, span: tuple[float, float] = (-3, 3), **attrs: Any) -> Callable[..., Iterator[Sample]]:
    """Every kind of dtype of `kinds` once, 0-d, empty, strided and special operands."""
    chosen = (dtypes.bool_, dtypes.uint8, dtypes.int32, dtypes.bfloat16, dtypes.float32)

    def sample(rng: np.random.Generator) -> Iterator[Sample]:
        for dtype in chosen:
            if dtype.kind in kinds:
                yield Sample((floats(rng, (3, 5), dtype, span),), attrs)
        yield Sample((floats(rng, (2, 3, 4), dtypes.float64, span).transpose(2, 0, 1),), attrs, note="transposed")
        yield Sample((floats(rng, (), dtypes.float64, span),), attrs, note="0-d")
        yield Sample((floats(rng, (0, 3), dtypes.float64, span),), attrs, note="empty")
        for special in (dtypes.float32, dtypes.float64):
            yield Sample((np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0], special.np),), attrs, note="special")

    return sample


def few_pairs(
    kinds: str, left: tuple[float, float] = (-3, 3), right: tuple[float, float] | None = None
) -> Callable[..., Iterator[Sample]]:
    """Some of `binary_samples`: fewer dtypes."""
    every = binary_samples(kinds, left, right)
    rare = [np.dtype(d) for d in (np.int8, np.int16, np.int64, np.float16)]

    def sample(rng: np.random.Generator) -> Iterator[Sample]:
        for found in every(rng):
            dtypes_of = {getattr(x, "dtype", None) for x in found.operands}
            kind = {d.kind for d in dtypes_of if d is not None}
            if (found.note or not dtypes_of <= set(rare)) and ("i" in kinds or not kind & set("bui")):
                yield found

    return sample


def _function(
    name: str, eager: Any, scalar: Any, grad: Any, span: tuple[float, float] = (-3, 3), tolerance: Any = CLOSE,
    autocast: str = "", complexes: bool = True,
) -> Op:  # fmt: skip
    rule = holomorphic(grad) if complexes else grad
    return pointwise(name, (f"{name}(Tensor input)",), eager, scalar, rule, few_samples("buif", span), to="float",
                     tolerance=tolerance, autocast=autocast, complexes=complexes)  # fmt: skip


def _in_f64(scalar: Any) -> Any:
    """An eager kernel: the scalar lowering on whole arrays, in float64."""

    def eager(x: Any) -> Any:
        s = scalar_numpy.NumpyScalars(x.shape, np.dtype(np.float64))
        return np.asarray(scalar(s, x.astype(np.float64))).astype(x.dtype)

    return eager


def polynomial(s: Any, coefficients: tuple[float, ...], x: Any) -> Any:
    """The polynomial of `coefficients`, lowest power first."""
    out = s.const(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        out = s.add(s.mul(out, x), s.const(c))
    return out


def _ratio(s: Any, pair: tuple[tuple[float, ...], tuple[float, ...]], x: Any) -> Any:
    return s.div(polynomial(s, pair[0], x), polynomial(s, pair[1], x))


def _signed(s: Any, x: Any, size: Any) -> Any:
    """`size` with the sign of `x`."""
    return s.select(s.lt(x, s.const(0)), s.neg(size), size)


# -- logarithms and exponentials of other bases

#: Logarithm of base 2.
log2 = _function(
    "log2", np.log2, lambda s, x: s.mul(s.log(x), s.const(1 / math.log(2))),
    lambda g, need, out, x: (div(g, mul(x, math.log(2))),), (0.1, 5), autocast="f32 gpu",
)  # fmt: skip
#: Logarithm of base 10.
log10 = _function(
    "log10", np.log10, lambda s, x: s.mul(s.log(x), s.const(1 / math.log(10))),
    lambda g, need, out, x: (div(g, mul(x, math.log(10))),), (0.1, 5), autocast="f32 gpu",
)  # fmt: skip
#: 2 to the power of x.
exp2 = _function(
    "exp2", np.exp2, lambda s, x: s.pow(s.const(2), x), lambda g, need, out, x: (mul(mul(g, out), math.log(2)),),
)  # fmt: skip

# -- trigonometry

#: Tangent of radians.
tan: Op = _function(
    "tan", np.tan, lambda s, x: s.div(s.sin(x), s.cos(x)), lambda g, need, out, x: (mul(g, add(mul(out, out), 1)),),
    tolerance=LOOSE, autocast="f32 gpu",
)  # fmt: skip

# The rational approximation of atan on [0, 0.66] in Moshier's Cephes (atan.c), lowest power first.
_ATAN = (
    (-6.485021904942025371773e1, -1.228866684490136173410e2, -7.500855792314704667340e1, -1.615753718733365076637e1,
     -8.750608600031904122785e-1),
    (1.945506571482613964425e2, 4.853903996359136964868e2, 4.328810604912902668951e2, 1.650270098316988542046e2,
     2.485846490142306297962e1, 1.0),
)  # fmt: skip
_FAR = 2.41421356237309504880  # tan(3 pi / 8)


def _atan_scalar(s: Any, x: Any) -> Any:
    size, one = s.abs(x), s.const(1)
    far, near = s.lt(s.const(_FAR), size), s.le(size, s.const(0.66))
    inner = s.select(far, s.neg(s.div(one, size)), s.select(near, size, s.div(s.sub(size, one), s.add(size, one))))
    start = s.select(far, s.const(math.pi / 2), s.select(near, s.const(0), s.const(math.pi / 4)))
    square = s.mul(inner, inner)
    bend = s.mul(inner, s.mul(square, _ratio(s, _ATAN, square)))
    return _signed(s, x, s.add(start, s.add(inner, bend)))


#: Inverse tangent, in radians.
atan: Op = _function(
    "atan", np.arctan, _atan_scalar, lambda g, need, out, x: (div(g, add(mul(x, x), 1)),), autocast="f32 gpu",
)  # fmt: skip


def _asin_scalar(s: Any, x: Any) -> Any:
    one = s.const(1)
    return _atan_scalar(s, s.div(x, s.sqrt(s.mul(s.sub(one, x), s.add(one, x)))))


def _acos_scalar(s: Any, x: Any) -> Any:
    one = s.const(1)
    return s.mul(s.const(2), _atan_scalar(s, s.sqrt(s.div(s.sub(one, x), s.add(one, x)))))


#: Inverse sine, in radians; NaN outside of [-1, 1].
asin: Op = _function(
    "asin", np.arcsin, _asin_scalar, lambda g, need, out, x: (div(g, sqrt(sub(1, mul(x, x)))),), (-0.9, 0.9), autocast="f32 gpu",
)  # fmt: skip
#: Inverse cosine, in radians; NaN outside of [-1, 1].
acos: Op = _function(
    "acos", np.arccos, _acos_scalar, lambda g, need, out, x: (neg(div(g, sqrt(sub(1, mul(x, x))))),), (-0.9, 0.9),
    autocast="f32 gpu",
)  # fmt: skip


def _atan2_scalar(s: Any, y: Any, x: Any) -> Any:
    zero, pi = s.const(0), s.const(math.pi)
    low, high = s.minimum(s.abs(x), s.abs(y)), s.maximum(s.abs(x), s.abs(y))
    both = s.and_(s.eq(low, high), s.not_(s.eq(low, zero)))  # the same size, infinite ones too
    share = s.select(both, s.const(1), s.select(s.eq(high, zero), zero, s.div(low, high)))
    angle = _atan_scalar(s, share)
    angle = s.select(s.lt(s.abs(x), s.abs(y)), s.sub(s.const(math.pi / 2), angle), angle)
    left = s.or_(s.lt(x, zero), s.and_(s.eq(x, zero), s.lt(s.div(s.const(1), x), zero)))
    angle = s.select(left, s.sub(pi, angle), angle)
    down = s.or_(s.lt(y, zero), s.and_(s.eq(y, zero), s.lt(s.div(s.const(1), y), zero)))
    angle = s.select(down, s.neg(angle), angle)
    return s.select(s.not_(s.and_(s.eq(x, x), s.eq(y, y))), s.add(x, y), angle)


def _filled(g: Any, *operands: Any) -> Any:
    """Operands with numbers as 0-d tensors beside `g`."""
    return (filled(g, (), v) if is_weak(v) else v for v in operands)


def _atan2_grad(g: Any, need: Any, out: Any, y: Any, x: Any) -> tuple[Any, ...]:
    x, y = _filled(g, x, y)
    square = add(mul(x, x), mul(y, y))
    slope = where(eq(square, 0), 0.0, div(g, square))
    return mul(slope, x) if need[0] else None, neg(mul(slope, y)) if need[1] else None


def _atan2_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from few_pairs("buif", (1, 3), (-3, 1))(rng)
    corner = np.array([0.0, -0.0, np.inf, -np.inf, 1.0, -1.0, np.nan])
    yield Sample((corner[:, None], corner[None]), note="special")


#: The angle of the point (other, input), in radians from -pi to pi.
atan2: Op = pointwise(
    "atan2", ("atan2(Tensor input, Tensor|Scalar other)",), np.arctan2, _atan2_scalar, _atan2_grad, _atan2_samples, to="float",
    tolerance=CLOSE, autocast="f32 gpu",
)  # fmt: skip

# -- hyperbolas


def _half_exp(s: Any, size: Any) -> Any:
    """exp(size) / 2, infinite only where that is."""
    root = s.exp(s.mul(size, s.const(0.5)))
    return s.mul(s.mul(root, s.const(0.5)), root)


def _sinh_scalar(s: Any, x: Any) -> Any:
    size = s.abs(x)
    less = s.expm1(size)
    small = s.mul(s.const(0.5), s.add(less, s.div(less, s.add(less, s.const(1)))))
    return _signed(s, x, s.select(s.lt(s.const(20), size), _half_exp(s, size), small))


def _cosh_scalar(s: Any, x: Any) -> Any:
    half = _half_exp(s, s.abs(x))
    return s.add(half, s.div(s.const(0.25), half))


def _asinh_scalar(s: Any, x: Any) -> Any:
    size, one = s.abs(x), s.const(1)
    square = s.mul(size, size)
    small = s.log1p(s.add(size, s.div(square, s.add(one, s.sqrt(s.add(one, square))))))
    large = s.add(s.log(size), s.const(math.log(2)))
    return _signed(s, x, s.select(s.lt(s.const(1e8), size), large, small))


def _acosh_scalar(s: Any, x: Any) -> Any:
    t = s.sub(x, s.const(1))
    small = s.log1p(s.add(t, s.sqrt(s.mul(t, s.add(t, s.const(2))))))
    return s.select(s.lt(s.const(1e8), x), s.add(s.log(x), s.const(math.log(2))), small)


def _atanh_scalar(s: Any, x: Any) -> Any:
    size = s.abs(x)
    inner = s.div(s.mul(s.const(2), size), s.sub(s.const(1), size))
    return _signed(s, x, s.mul(s.const(0.5), s.log1p(inner)))


#: Hyperbolic sine.
sinh: Op = _function(
    "sinh", np.sinh, _sinh_scalar, lambda g, need, out, x: (mul(g, cosh(x)),), tolerance=LOOSE, autocast="f32 gpu",
)  # fmt: skip
#: Hyperbolic cosine.
cosh: Op = _function(
    "cosh", np.cosh, _cosh_scalar, lambda g, need, out, x: (mul(g, sinh(x)),), tolerance=LOOSE, autocast="f32 gpu",
)  # fmt: skip
#: Inverse hyperbolic sine.
asinh: Op = _function(
    "asinh", np.arcsinh, _asinh_scalar, lambda g, need, out, x: (div(g, sqrt(add(mul(x, x), 1))),), autocast="f32 gpu",
)  # fmt: skip
#: Inverse hyperbolic cosine; NaN below 1.
acosh: Op = _function(
    "acosh", np.arccosh, _acosh_scalar, lambda g, need, out, x: (div(g, mul(sqrt(sub(x, 1)), sqrt(add(x, 1)))),), (1.1, 4),
    autocast="f32 gpu",
)  # fmt: skip
#: Inverse hyperbolic tangent; NaN outside of [-1, 1].
atanh: Op = _function(
    "atanh", np.arctanh, _atanh_scalar, lambda g, need, out, x: (div(g, sub(1, mul(x, x))),), (-0.9, 0.9), autocast="f32 gpu",
)  # fmt: skip

# -- the normal distribution


def _erfc_scalar(s: Any, x: Any) -> Any:
    """Below 1.25 from erf; above by fdlibm's rational functions of 1 / x^2, the rounding of x * x made good."""
    size = s.maximum(x, s.const(1.25))
    square = s.mul(size, size)
    lost = s.fma(size, size, s.neg(square))
    inverse = s.div(s.const(1), square)
    bend = s.select(s.lt(size, s.const(1 / 0.35)), _ratio(s, LARGE, inverse), _ratio(s, TAIL, inverse))
    tail = s.div(s.mul(s.exp(s.neg(square)), s.exp(s.sub(bend, s.add(s.const(0.5625), lost)))), size)
    tail = s.select(s.lt(s.const(40), size), s.const(0), tail)
    return s.select(s.lt(x, s.const(1.25)), s.sub(s.const(1), s.erf(x)), s.select(s.eq(x, x), tail, x))


#: 1 - erf(x), accurate where it is small.
erfc: Op = _function(
    "erfc", _in_f64(_erfc_scalar), _erfc_scalar,
    lambda g, need, out, x: (mul(g, mul(exp(neg(mul(x, x))), -2 / math.sqrt(math.pi))),), tolerance=LOOSE, autocast="f32 gpu",
    complexes=False,
)  # fmt: skip

# Wichura's rational approximations of the normal quantile (algorithm AS 241, 1988), lowest power first: near the middle, in the
# tails, far out.
_MIDDLE = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3, 2.1213794301586595867e4,
     3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_OUTER = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1, 1.48103976427480074590e-1,
     1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip
_OUTMOST = (
    (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2, 7.86869131145613259100e-4,
     1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
)  # fmt: skip


def _quantile(s: Any, away: Any, tail: Any) -> Any:
    """The normal quantile at 0.5 + `away`, `tail` being the smaller of the two probabilities."""
    inner = s.sub(s.const(0.180625), s.mul(away, away))
    middle = s.mul(away, _ratio(s, _MIDDLE, inner))
    r = s.sqrt(s.neg(s.log(tail)))
    far = s.minimum(r, s.const(40))
    outer = s.select(s.le(r, s.const(5)), _ratio(s, _OUTER, s.sub(far, s.const(1.6))),
                     _ratio(s, _OUTMOST, s.sub(far, s.const(5))))  # fmt: skip
    outer = _signed(s, away, s.select(s.eq(tail, s.const(0)), s.const(math.inf), outer))
    found = s.select(s.le(s.abs(away), s.const(0.425)), middle, outer)
    return s.select(s.lt(tail, s.const(0)), s.const(math.nan), found)


def _erfinv_scalar(s: Any, x: Any) -> Any:
    half = s.const(0.5)
    return s.mul(_quantile(s, s.mul(x, half), s.mul(s.sub(s.const(1), s.abs(x)), half)), s.const(math.sqrt(0.5)))


def _ndtri_scalar(s: Any, p: Any) -> Any:
    return _quantile(s, s.sub(p, s.const(0.5)), s.minimum(p, s.sub(s.const(1), p)))


#: Inverse of erf; infinite at -1 and 1, NaN outside.
erfinv: Op = _function(
    "erfinv", _in_f64(_erfinv_scalar), _erfinv_scalar,
    lambda g, need, out, x: (mul(g, mul(exp(mul(out, out)), math.sqrt(math.pi) / 2)),), (-0.9, 0.9), LOOSE, "f32", False,
)  # fmt: skip
#: The normal distribution's quantile; infinite at 0 and 1, NaN outside. Public: special.ndtri.
ndtri: Op = pointwise(
    "ndtri", (), _in_f64(_ndtri_scalar), _ndtri_scalar,
    lambda g, need, out, x: (mul(g, mul(exp(mul(mul(out, out), 0.5)), math.sqrt(2 * math.pi))),),
    few_samples("f", (0.05, 0.95)), to="float", kinds="f", tolerance=LOOSE,
)  # fmt: skip

# -- of two operands


def _hypot_scalar(s: Any, x: Any, y: Any) -> Any:
    a, b = s.abs(x), s.abs(y)
    high, low = s.maximum(a, b), s.minimum(a, b)
    share = s.select(s.eq(high, s.const(0)), s.const(0), s.div(low, high))
    length = s.mul(high, s.sqrt(s.add(s.mul(share, share), s.const(1))))
    infinite = s.const(math.inf)
    return s.select(s.or_(s.eq(a, infinite), s.eq(b, infinite)), infinite, length)


def _hypot_grad(g: Any, need: Any, out: Any, x: Any, y: Any) -> tuple[Any, ...]:
    slope = where(eq(out, 0), 0.0, div(g, out))
    return mul(slope, x) if need[0] else None, mul(slope, y) if need[1] else None


#: Length of the hypotenuse, sqrt(x * x + y * y) without overflow.
hypot = pointwise(
    "hypot", ("hypot(Tensor input, Tensor|Scalar other)",), np.hypot, _hypot_scalar, _hypot_grad, few_pairs("f", (1, 3)),
    kinds="f", tolerance=CLOSE,
)  # fmt: skip


def _fmod_scalar(s: Any, x: Any, y: Any) -> Any:
    kind = s.dtype_of(x).kind
    if kind == "u":
        return s.mod(x, y)
    size = s.mod(s.abs(x), s.abs(y))
    return s.select(s.lt(x, s.const(0)), s.neg(size), size)


def _fmod_grad(g: Any, need: Any, out: Any, x: Any, y: Any) -> tuple[Any, ...]:
    return g if need[0] else None, neg(mul(g, trunc(div(x, y)))) if need[1] else None


def _fmod_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from few_pairs("uif", (-3, 3), (1, 4))(rng)
    yield Sample((floats(rng, (3,), dtypes.int64), np.array([1, 0, 2])), raises=ZeroDivisionError)


#: The remainder of division rounded to zero: has the sign of x; DivisionError for an integral divisor of zero.
fmod: Op = pointwise(
    "fmod", ("fmod(Tensor input, Tensor|Scalar other)",), integral_div("fmod", np.fmod), _fmod_scalar, _fmod_grad, _fmod_samples,
    kinds="uif", tolerance=CLOSE,
)  # fmt: skip


def _log_sum(s: Any, x: Any, y: Any, unit: float) -> Any:
    """The logarithm of base exp(unit) of the sum of two such powers."""
    high, low = s.maximum(x, y), s.minimum(x, y)
    away = s.select(s.eq(low, high), s.const(0), s.mul(s.sub(low, high), s.const(unit)))
    return s.add(high, s.mul(s.log1p(s.exp(away)), s.const(1 / unit)))


def _log_sum_op(name: str, ufunc: Any, unit: float) -> Op:
    def eager(x: Any, y: Any) -> Any:
        if not np.iscomplexobj(x) and not np.iscomplexobj(y):
            return ufunc(x, y)
        high = np.where(np.real(x) >= np.real(y), x, y)
        return high + np.log(np.exp((x - high) * unit) + np.exp((y - high) * unit)) / unit

    def grad(g: Any, need: Any, out: Any, x: Any, y: Any) -> tuple[Any, ...]:
        x, y = _filled(g, x, y)
        away = where(eq(x, y), 0.0, mul(sub(x, y), unit))
        return mul(g, sigmoid(away)) if need[0] else None, mul(g, sigmoid(neg(away))) if need[1] else None

    return pointwise(
        name, (f"{name}(Tensor input, Tensor|Scalar other)",), eager, lambda s, x, y: _log_sum(s, x, y, unit), holomorphic(grad),
        few_pairs("f"), kinds="f", tolerance=CLOSE, autocast="f32 gpu", complexes=True,
    )  # fmt: skip


#: log(exp(x) + exp(y)) without overflow.
logaddexp = _log_sum_op("logaddexp", np.logaddexp, 1.0)
#: log2(2 ** x + 2 ** y) without overflow.
logaddexp2 = _log_sum_op("logaddexp2", np.logaddexp2, math.log(2))


def _times_log(name: str, signature: str, plain: Any, prim: str, offset: int) -> Op:
    """x * log(y + offset), 0 where x is 0 and the logarithm is infinite."""

    def eager(x: Any, y: Any) -> Any:
        dtype = (x if isinstance(x, np.ndarray) else y).dtype
        out = np.asarray(x * plain(np.asarray(y, dtype)))
        return np.where(np.equal(x, 0) & ~np.isnan(y), np.zeros((), out.dtype), out)

    def scalar(s: Any, x: Any, y: Any) -> Any:
        zero = s.and_(s.eq(x, s.const(0)), s.eq(y, y))
        return s.select(zero, s.const(0), s.mul(x, getattr(s, prim)(y)))

    def grad(g: Any, need: Any, out: Any, x: Any, y: Any) -> tuple[Any, ...]:
        x, y = _filled(g, x, y)
        nothing = logical_and(eq(x, 0), le(add(y, offset), 0))
        inner = where(nothing, 1.0, add(y, offset))
        return mul(g, log(inner)) if need[0] else None, mul(g, div(x, add(y, offset))) if need[1] else None

    return pointwise(
        name, (signature,) if signature else (), eager, scalar, grad, few_pairs("buif", (1, 3), (1, 3)), to="float",
        tolerance=CLOSE, wide=True,
    )  # fmt: skip


#: x * log(y); 0 where x is 0.
xlogy: Op = _times_log("xlogy", "xlogy(Tensor|Scalar input, Tensor|Scalar other)", np.log, "log", 0)
#: x * log(1 + y); 0 where x is 0. Public: special.xlog1py.
xlog1py: Op = _times_log("xlog1py", "", np.log1p, "log1p", 1)


def _frac_eager(x: Any) -> Any:
    return x - np.trunc(x)


#: What is behind the point, with the sign of x.
frac = pointwise(
    "frac", ("frac(Tensor input)",), _frac_eager, lambda s, x: s.sub(x, s.trunc(x)), lambda g, need, out, x: (g,),
    few_samples("f"), kinds="f",
)  # fmt: skip

