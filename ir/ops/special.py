"""Special functions of one or two operands that run as NumPy steps: gamma and Bessel families, zeta, erfcx, gcd, nextafter.

Rarely used: loaded by `eager/special.py` or `ops.load_rare`. Everything is computed in float64 (numerics: `special_numeric`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError
from .. import dtypes, layout
from .. import special_numeric as numeric
from ..op import Extern, Op, Promote, Sample, lookup, register
from ..types import TensorType, tensor
from .compare import eq, where
from .creation import filled, zeros_like
from .declare import check_kind, dtype_of, floats
from .pointwise import add, div, exp, is_weak, log, mul, neg, sign, sub
from .shape import aligned, front

_SERIES = "a series, or an integral, of many terms: it would fill a kernel for a function that is rarely on a hot path"
#: Compiled is eager, step for step; half types are rounded once.
SAME = {"f16": (2e-3, 1e-3), "bf16": (1.6e-2, 1e-2), "f32": (1e-6, 1e-7), "f64": (1e-12, 1e-13)}


def _infer(op: str, kinds: str = "buif") -> Any:
    def infer(*types: Any, **_attrs: Any) -> tuple[TensorType]:
        check_kind(op, kinds, *types)
        return (layout.elementwise(op, dtype_of(*types), *types),)

    return infer


def _in_f64(fn: Callable[..., Any], kinds: str) -> Any:
    def eager(*xs: Any, **attrs: Any) -> Any:
        dtype = next(x.dtype for x in xs if isinstance(x, np.ndarray))
        if dtype.kind not in kinds:
            raise TypeError("another dtype expected")
        wide = np.broadcast_arrays(*[np.asarray(x, np.float64 if dtype.kind == "f" else dtype) for x in xs])
        return _laid_out(np.asarray(fn(*wide, **attrs)).astype(dtype), xs)

    return eager


def _laid_out(out: Any, xs: tuple[Any, ...]) -> Any:
    """`out` with the strides of an elementwise result of `xs`."""
    t = layout.elementwise("", dtypes.from_numpy(out.dtype), *[layout.type_of_array(x) for x in xs if isinstance(x, np.ndarray)])
    return layout.conformed(out, tuple([s * out.itemsize for s in t.strides]))  # type: ignore[operator, misc]


def _batch(name: str) -> Any:
    def batch(dims: Any, *xs: Any, **attrs: Any) -> Any:
        ranks = [getattr(x, "ndim", 0) - (d is not None) for x, d in zip(xs, dims, strict=True)]
        full = max(ranks) + 1
        moved = [aligned(front(x, d), full) if d is not None else x for x, d in zip(xs, dims, strict=True)]
        return lookup(name)(*moved, **attrs)

    return batch


def _unary_samples(spans: Any, special: bool, attrs: dict[str, Any]) -> Callable[..., Iterator[Sample]]:
    def sample(rng: np.random.Generator) -> Iterator[Sample]:
        for span in spans:
            yield Sample((floats(rng, (3, 5), dtypes.float64, span),), attrs)
        yield Sample((floats(rng, (4, 3), dtypes.float32, spans[0]).T,), attrs, note="transposed")
        yield Sample((floats(rng, (6,), dtypes.bfloat16, spans[0]),), attrs)
        yield Sample((floats(rng, (), dtypes.float64, spans[0]),), attrs, note="0-d")
        yield Sample((floats(rng, (0, 3), dtypes.float64, spans[0]),), attrs, note="empty")
        yield Sample((np.array([1, 2, 3], np.int32),), attrs)
        if special:
            yield Sample((np.array([0.0, np.inf, np.nan, 1.0, 30.0, 200.0]),), attrs, note="special")

    return sample


def _unary(
    name: str, fn: Callable[..., Any], grad: Any, spans: Any = ((0.1, 5.0),), *, special: bool = True,
    attrs: dict[str, Any] | None = None, constant: str = "",
) -> Op:  # fmt: skip
    return register(Op(
        name, (), _infer(name), _in_f64(fn, "f"), grad, Extern(_SERIES), _unary_samples(spans, special, attrs or {}),
        Promote("float"), _batch(name), tolerance=SAME, constant=constant,
    ))  # fmt: skip


# -- gamma

#: Logarithm of the magnitude of the gamma function.
lgamma: Op = _unary("lgamma", numeric.lgamma, lambda g, need, out, x: (mul(g, digamma(x)),), ((0.1, 5), (-4.9, -0.1), (5, 300)))
#: Derivative of `lgamma`.
digamma: Op = _unary("digamma", numeric.digamma, lambda g, need, out, x: (mul(g, polygamma(x, n=1)),), ((0.1, 5), (-4.9, -0.1)))


def _polygamma_grad(g: Any, need: Any, out: Any, x: Any, *, n: int) -> tuple[Any, ...]:
    return (mul(g, polygamma(x, n=n + 1)),)


#: The n-th derivative of `digamma`, n >= 1.
polygamma: Op = _unary("polygamma", numeric.polygamma, _polygamma_grad, attrs={"n": 2}, special=False)

# -- Bessel functions: of the first and second kind (j, y), modified (i, k), scaled by exp(-|x|) or exp(x) (e)

i0: Op = _unary("i0", numeric.i0, lambda g, need, out, x: (mul(g, i1(x)),), ((-5, 5), (5, 50)), special=False)
i0e: Op = _unary(
    "i0e", numeric.i0e, lambda g, need, out, x: (mul(g, sub(i1e(x), mul(sign(x), out))),), ((0.5, 5), (5, 300)),
)  # fmt: skip


def _i1_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    zero = eq(x, 0)
    return (mul(g, where(zero, 0.5, sub(i0(x), div(out, where(zero, 1.0, x))))),)


def _i1e_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    zero = eq(x, 0)
    return (mul(g, where(zero, 0.5, sub(i0e(x), mul(out, add(sign(x), div(1.0, where(zero, 1.0, x))))))),)


i1: Op = _unary("i1", numeric.i1, _i1_grad, ((-5, 5), (5, 50)), special=False)
i1e: Op = _unary("i1e", numeric.i1e, _i1e_grad, ((0.5, 5), (5, 300)))
bessel_j0: Op = _unary("bessel_j0", numeric.j0, lambda g, need, out, x: (neg(mul(g, bessel_j1(x))),), ((-9, 9), (20, 90)))


def _over(out: Any, x: Any, at_zero: float) -> Any:
    zero = eq(x, 0)
    return where(zero, at_zero, div(out, where(zero, 1.0, x)))


bessel_j1: Op = _unary(
    "bessel_j1", numeric.j1, lambda g, need, out, x: (mul(g, sub(bessel_j0(x), _over(out, x, 0.5))),), ((-9, 9), (20, 90)),
)  # fmt: skip
bessel_y0: Op = _unary("bessel_y0", numeric.y0, lambda g, need, out, x: (neg(mul(g, bessel_y1(x))),), ((0.5, 9), (20, 90)))
bessel_y1: Op = _unary(
    "bessel_y1", numeric.y1, lambda g, need, out, x: (mul(g, sub(bessel_y0(x), div(out, x))),), ((0.5, 9), (20, 90)),
)  # fmt: skip
bessel_k0: Op = _unary("bessel_k0", numeric.k0, lambda g, need, out, x: (neg(mul(g, bessel_k1(x))),), ((0.5, 9),))
bessel_k1: Op = _unary(
    "bessel_k1", numeric.k1, lambda g, need, out, x: (neg(mul(g, add(bessel_k0(x), div(out, x)))),), ((0.5, 9),),
)  # fmt: skip
bessel_k0e: Op = _unary("bessel_k0e", numeric.k0e, lambda g, need, out, x: (mul(g, sub(out, bessel_k1e(x))),), ((0.5, 9),))
bessel_k1e: Op = _unary(
    "bessel_k1e", numeric.k1e, lambda g, need, out, x: (mul(g, sub(mul(out, sub(1, div(1.0, x))), bessel_k0e(x))),), ((0.5, 9),),
)  # fmt: skip
#: exp(x * x) * erfc(x), without overflow for large x.
erfcx: Op = _unary(
    "erfcx", numeric.erfcx, lambda g, need, out, x: (mul(g, sub(mul(mul(x, out), 2), 2 / math.sqrt(math.pi))),),
    ((-2, 5), (20, 40)),
)  # fmt: skip

# -- of two operands


def _pair_samples(left: Any, right: Any, kinds: str, whole: bool = False) -> Callable[..., Iterator[Sample]]:
    """`whole`: the first operand, which has no gradient, is integral."""

    def sample(rng: np.random.Generator) -> Iterator[Sample]:
        for found in plain(rng):
            x, y = found.operands
            yield Sample((x.astype(np.int64), y) if whole and found.raises is None else (x, y), {}, found.raises, found.note)

    def plain(rng: np.random.Generator) -> Iterator[Sample]:
        main = dtypes.float64 if "f" in kinds else dtypes.int64
        yield Sample((floats(rng, (3, 4), main, left), floats(rng, (3, 4), main, right)))
        yield Sample((floats(rng, (4, 3), main, left).T, floats(rng, (4,), main, right)), note="transposed, broadcast")
        yield Sample((floats(rng, (0, 3), main, left), floats(rng, (3,), main, right)), note="empty")
        yield Sample((floats(rng, (), main, left), floats(rng, (), main, right)), note="0-d")
        other = dtypes.float32 if "f" in kinds else dtypes.int16
        yield Sample((floats(rng, (5,), other, left), floats(rng, (5,), other, right)))
        wrong = np.array([1, 2]) if "f" in kinds else np.array([1.0, 2.0])
        if kinds in ("f", "ui"):
            yield Sample((wrong, wrong), raises=DTypeError)

    return sample


def _pair(
    name: str, fn: Callable[..., Any], grad: Any, left: Any, right: Any, kinds: str = "f", reason: str = _SERIES,
    constant: str = "", whole: bool = False,
) -> Op:  # fmt: skip
    return register(Op(
        name, (), _infer(name, kinds), _in_f64(fn, kinds), grad, Extern(reason), _pair_samples(left, right, kinds, whole),
        Promote("float" if kinds == "buif" else "same"), _batch(name), tolerance=SAME, constant=constant,
    ))  # fmt: skip


def _gammainc_grad(sign_of: int) -> Any:
    def grad(g: Any, need: Any, out: Any, a: Any, x: Any) -> tuple[Any, ...]:
        if not need[1]:
            return None, None
        a, x = (filled(g, (), v) if is_weak(v) else v for v in (a, x))
        slope = exp(sub(mul(sub(a, 1), log(x)), add(x, lgamma(a))))
        return None, mul(g, mul(slope, sign_of))

    return grad


#: Regularised lower incomplete gamma function P(a, x); no gradient in a.
gammainc: Op = _pair("gammainc", numeric.gammainc, _gammainc_grad(1), (1, 6), (0.1, 9), whole=True)
#: Regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x); no gradient in a.
gammaincc: Op = _pair("gammaincc", numeric.gammaincc, _gammainc_grad(-1), (1, 6), (0.1, 9), whole=True)


def _zeta_grad(g: Any, need: Any, out: Any, x: Any, q: Any) -> tuple[Any, ...]:
    x = filled(g, (), x) if is_weak(x) else x
    return None, neg(mul(g, mul(x, zeta(add(x, 1), q)))) if need[1] else None


#: Hurwitz' zeta function, the sum of (q + k) ** -x over k >= 0; no gradient in x.
zeta: Op = _pair("zeta", numeric.zeta, _zeta_grad, (2, 6), (0.5, 5), "buif", whole=True)
#: Greatest common divisor.
gcd: Op = _pair(
    "gcd", np.gcd, None, (-9, 30), (-9, 30), "ui", "Euclid's loop, whose length hangs on the numbers", "whole numbers",
)  # fmt: skip


def _nextafter_eager(x: Any, y: Any) -> Any:
    if dtypes.from_numpy(x.dtype).kind != "f":
        raise TypeError("floating arrays expected")
    return _laid_out(np.asarray(np.nextafter(x, y)), (x, y))


#: The next number of the dtype after x towards y.
nextafter: Op = register(Op(
    "nextafter", (), _infer("nextafter", "f"), _nextafter_eager,
    lambda g, need, out, x, y: (g if need[0] else None, zeros_like(out) if need[1] else None),
    Extern("kernel IR does not see the bits of floating numbers"), _pair_samples((-3, 3), (-3, 3), "f"), Promote("same"),
    _batch("nextafter"), upcast=False,
))  # fmt: skip


def _frexp_infer(x: TensorType) -> tuple[TensorType, TensorType]:
    check_kind("frexp", "f", x)
    return tensor(x.shape, x.dtype), tensor(x.shape, dtypes.int32)


def _frexp_eager(x: Any) -> Any:
    if x.dtype.kind != "f":
        raise TypeError("floating array expected")
    part, power = np.frexp(x)
    return np.array(part, order="C"), np.array(power, dtype=np.int32, order="C")


def _frexp_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    zero = eq(out[0], 0)
    return (mul(g[0], where(zero, 0.0, div(out[0], where(zero, 1.0, x)))),)


def _frexp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((floats(rng, (3, 4), dtypes.float64),))
    yield Sample((floats(rng, (3, 4), dtypes.float32).T,), note="transposed")
    yield Sample((floats(rng, (0, 4)),), note="empty")
    yield Sample((np.array([1, 2]),), raises=DTypeError)


#: (mantissa from 0.5 to 1 in magnitude, exponent int32): x = mantissa * 2 ** exponent.
frexp: Op = register(Op(
    "frexp", (), _frexp_infer, _frexp_eager, _frexp_grad, Extern("kernel IR does not see the bits of floating numbers"),
    _frexp_samples, batch=lambda dims, x: frexp(front(x, dims[0])),
))  # fmt: skip
