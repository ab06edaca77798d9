"""Rectifiers with a bend or two, each one record: the exponential linear units, whose gradient is exact far below 0 (that of
expm1 is lost in ``out + 1``), and those made of straight lines. At NaN the slope is that of the line to the right, but for
hardsigmoid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError
from .. import dtypes
from ..op import Sample
from .casts import rounded_once
from .compare import ge, gt, le, logical_and, logical_or, lt, where
from .declare import CLOSE, floats, pointwise, unary_samples
from .pointwise import add, clamp, div, exp, mul


def _times(x: Any, factor: float) -> Any:
    return x if factor == 1.0 else mul(x, factor)


def _elu_eager(x: Any, *, alpha: float = 1.0, scale: float = 1.0, inner: float = 1.0) -> Any:
    if x.dtype.kind != "f":
        raise TypeError("floating array expected")
    low = np.minimum(x, 0)
    out = np.asarray(np.expm1(low if inner == 1.0 else low * inner))
    if alpha * scale != 1.0:
        out *= alpha * scale
    np.copyto(out, x if scale == 1.0 else x * scale, where=x > 0)
    return out


def _elu_scalar(s: Any, x: Any, *, alpha: float = 1.0, scale: float = 1.0, inner: float = 1.0) -> Any:
    def times(value: Any, factor: float) -> Any:
        return value if factor == 1.0 else s.mul(value, s.const(factor))

    low = times(s.expm1(times(s.minimum(x, s.const(0)), inner)), alpha * scale)
    return s.select(s.lt(s.const(0), x), times(x, scale), low)


def _elu_grad(
    g: Any, need: Any, out: Any, x: Any, *, alpha: float = 1.0, scale: float = 1.0, inner: float = 1.0
) -> tuple[Any, ...]:
    below = clamp(x, max=0.0)  # no infinity times 0 in the gradient of this rule
    low = _times(exp(_times(below, inner)), alpha * scale * inner)
    return (where(le(x, 0), mul(g, low), _times(g, scale)),)


def _elu_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from unary_samples("f", (-6, 6))(rng)
    yield from unary_samples("f", (-3, 3), alpha=2.0, scale=1.5, inner=0.5)(rng)
    yield Sample((np.array([-800.0, -40.0, -20.0, 1.0, 800.0]),), note="far out")
    yield Sample((floats(rng, (3,), dtypes.int64),), raises=DTypeError)


#: ``scale * x`` above 0, else ``scale * alpha * (exp(inner * x) - 1)``. Public (elu, celu, selu): eager/activations.py.
elu = pointwise("elu", (), _elu_eager, _elu_scalar, rounded_once(_elu_grad), _elu_samples, kinds="f", tolerance=CLOSE, heavy=True)


# -- made of straight lines


def _hardtanh_grad(g: Any, need: Any, out: Any, x: Any, *, low: float = -1.0, high: float = 1.0) -> tuple[Any, ...]:
    return (where(logical_or(le(x, low), ge(x, high)), 0.0, g),)


def _hardtanh_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from unary_samples("uif", (0, 4), low=1, high=3)(rng)
    yield from unary_samples("f", (-3, 3), low=-0.5, high=2.0)(rng)


#: x brought between two bounds; flat at the bounds themselves. Public: eager/activations.py.
hardtanh = pointwise(
    "hardtanh", (), lambda x, *, low=-1.0, high=1.0: np.clip(x, low, high),
    lambda s, x, *, low=-1.0, high=1.0: s.minimum(s.maximum(x, s.const(low)), s.const(high)), _hardtanh_grad, _hardtanh_samples,
    kinds="uif",
)  # fmt: skip


def _ramp(s: Any, x: Any) -> Any:
    """x + 3 brought between 0 and 6."""
    return s.minimum(s.maximum(s.add(x, s.const(3)), s.const(0)), s.const(6))


def _line_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from unary_samples("f", (-5, 5))(rng)
    yield Sample((np.array([-800.0, -3.0, -2.999, 2.999, 3.0, 800.0]),), note="far out, ties with the bends")


#: ``relu6(x + 3) / 6``. Public: eager/activations.py.
hardsigmoid = pointwise(
    "hardsigmoid", (), lambda x: np.clip(x + 3, 0, 6) / 6, lambda s, x: s.div(_ramp(s, x), s.const(6)),
    lambda g, need, out, x: (where(logical_and(gt(x, -3), lt(x, 3)), div(g, 6), 0.0),), _line_samples, kinds="f", tolerance=CLOSE,
)  # fmt: skip


def _hardswish_grad(g: Any, need: Any, out: Any, x: Any) -> tuple[Any, ...]:
    middle = mul(g, add(div(x, 3), 0.5))
    return (where(le(x, -3), 0.0, where(lt(x, 3), middle, g)),)


#: ``x * relu6(x + 3) / 6``. Public: eager/activations.py.
hardswish = pointwise(
    "hardswish", (), lambda x: x * np.clip(x + 3, 0, 6) / 6, lambda s, x: s.div(s.mul(x, _ramp(s, x)), s.const(6)),
    rounded_once(_hardswish_grad), _line_samples, kinds="f", tolerance=CLOSE,
)  # fmt: skip


def _softshrink_grad(g: Any, need: Any, out: Any, x: Any, *, lambd: float = 0.5) -> tuple[Any, ...]:
    return (where(logical_and(ge(x, -lambd), le(x, lambd)), 0.0, g),)


#: x moved towards 0 by `lambd`, 0 where it would pass it. Public: eager/activations.py.
softshrink = pointwise(
    "softshrink", (), lambda x, *, lambd=0.5: x - np.clip(x, -lambd, lambd),
    lambda s, x, *, lambd=0.5: s.sub(x, s.minimum(s.maximum(x, s.const(-lambd)), s.const(lambd))), _softshrink_grad,
    unary_samples("f"), kinds="f",
)  # fmt: skip
