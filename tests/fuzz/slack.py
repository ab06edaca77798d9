"""How far two ways of computing one thing may differ: found by computing it again with inexact results moved a little.

What moves with the noise is not held to more than that; everything else is compared to the bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusewire.ir.op import Decompose, Extern, Gemm, Op, Reduce, Scalar

FLOOR = {"float64": 1e-11, "float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}
SHORT = {"float64": "f64", "float32": "f32", "float16": "f16", "bfloat16": "bf16"}


class _Primitives:
    """Counts the scalar primitives that a record's lowering is built of."""

    def __init__(self) -> None:
        self.used: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*_args: Any, **_attrs: Any) -> _Primitives:
            self.used[name] += 1
            return self

        return call


def exact(op: Op, count: int, attrs: Mapping[str, Any]) -> bool:
    """Whether every way computes the same bits: data movement, or one correctly rounded operation among choices."""
    lowering = op.lowering
    if isinstance(lowering, (Reduce, Gemm, Decompose)):
        return isinstance(lowering, Reduce) and lowering.combine not in ("add", "mul")
    if not isinstance(lowering, Scalar):
        return not isinstance(lowering, Extern) or op.grad is None
    used = _Primitives()
    try:
        lowering.fn(used, *[used] * count, **attrs)
    except Exception:
        return False
    rounded = sum(used.used[p] for p in ("add", "sub", "mul", "div", "sqrt", "fma"))
    loose = sum(used.used[p] for p in ("exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "erf", "pow", "mod"))
    return rounded <= 1 and not loose


def noisy(x: Any, op: Op, count: int, attrs: Mapping[str, Any], rng: np.random.Generator, way: int) -> Any:
    """A floating result of `op` as another way of computing it might give it."""
    if not exact(op, count, attrs):
        return moved(x, op, rng, way)
    if not (isinstance(op.lowering, Reduce) and op.lowering.combine in ("maximum", "minimum")):
        return x
    sign = way if way else rng.choice([-1.0, 1.0], x.shape)  # the greater of 0.0 and -0.0 is either
    return np.where(x.astype(np.float64) == 0, np.copysign(0.0, sign), x.astype(np.float64)).astype(x.dtype)


def moved(x: Any, op: Op, rng: np.random.Generator, way: int) -> Any:
    """`x` off by its dtype's tolerance: up (`way` 1), down (-1), or each element at random (0), where no two moves undo one
    another, as those of opposite factors do, and no two elements stay equal."""
    name = str(x.dtype)
    rtol, atol = op.tolerance.get(SHORT[name], (0.0, 0.0))
    unit = {"float64": 1e-14, "float32": 2e-6, "float16": 2e-3, "bfloat16": 1.6e-2}[name]
    wide = x.astype(np.float64)
    near = np.abs(wide[np.isfinite(wide)])
    sign = way if way else rng.choice([-1.0, 1.0], x.shape) * rng.uniform(0.5, 1.0, x.shape)
    least = max(min(atol, unit), 0.1 * unit * min(1.0, float(near.max(initial=0.0)) or 1.0))
    return np.asarray(wide + sign * (max(rtol, unit) * np.abs(wide) + least)).astype(x.dtype)


@dataclass
class Wanted:
    """What a run must give: value and the distance allowed, each element on its own; `free`: anything goes there."""

    value: Any
    slack: Any
    free: Any


def wanted_of(plain: Any, runs: Sequence[Any]) -> Wanted:
    """What is wanted where a quiet run gave `plain` and noisy ones `runs`."""
    name = str(plain.dtype)
    if name not in FLOOR:
        differs = np.any([r != plain for r in runs], axis=0)
        return Wanted(plain, np.zeros(plain.shape), differs)
    x = plain.astype(np.float64)
    others = [r.astype(np.float64) for r in runs]
    odd = np.any([(np.isfinite(o) != np.isfinite(x)) | ((x == 0) & (np.signbit(o) != np.signbit(x))) for o in others], axis=0)
    largest = max(1.0, float(np.abs(x[np.isfinite(x)]).max(initial=0.0)))
    spread = np.max([np.abs(np.nan_to_num(o) - np.nan_to_num(x)) for o in others], axis=0)
    loose = 8 * spread + FLOOR[name] * (np.abs(np.nan_to_num(x)) + min(largest, 1e3) * 1e-2)
    return Wanted(plain, np.where(spread > 0, loose, 0.0), odd)


def differs(want: Wanted, got: Any) -> str | None:
    """What is wrong with `got`, in words; None where nothing is."""
    got = np.asarray(got)
    if got.shape != want.value.shape or got.dtype != want.value.dtype:
        return f"{got.dtype}{list(got.shape)}, not {want.value.dtype}{list(want.value.shape)}"
    with np.errstate(all="ignore"):
        return _elements(want, got)


def _elements(want: Wanted, got: Any) -> str | None:
    if str(got.dtype) not in FLOOR:
        wrong = (got != want.value) & ~want.free
    else:
        x, y = want.value.astype(np.float64), got.astype(np.float64)
        same = (x == y) | (np.isnan(x) & np.isnan(y)) | (np.isfinite(x) & np.isfinite(y) & (np.abs(x - y) <= want.slack))
        zero = (x == 0) & (y == 0) & (want.slack == 0) & (np.signbit(x) != np.signbit(y))
        wrong = (~same | zero) & ~want.free
    if not np.any(wrong):
        return None
    at = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(wrong)))
    pick = at if got.ndim else ()
    return f"{got[pick]!r} at {list(pick)}, not {want.value[pick]!r} ({int(np.sum(wrong))} of {got.size} elements differ)"
