"""Largest errors of the math library in ulp, against NumPy's long double and the C library, over wide ranges."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from fusewire.ir import dtypes

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from run_kernel import apply

SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-38, 1e38, 3e38, 0.5, -0.5, 2.0, -2.0, 3.0]
#: bound in ulp for f32 and f64; the reference of sin, cos and erf in f64 is itself only right to half an ulp
BOUND = {
    "exp": (1.1, 1.1), "expm1": (1.6, 2.0), "log": (1.0, 1.0), "log1p": (1.0, 1.0), "sin": (1.7, 2.1), "cos": (1.7, 2.1),
    "tanh": (2.0, 2.6), "erf": (2.0, 4.1), "pow": (0.7, 1.5),
}  # fmt: skip
EXTENDED = np.finfo(np.longdouble).nmant > 60


def inputs(rng: np.random.Generator, dtype: dtypes.DType, prim: str, n: int = 4000) -> np.ndarray:
    """Special values, the function's interesting range, small numbers, all bit patterns, large numbers, numbers near 1."""
    f = dtype.np.type
    top = {"exp": 104, "expm1": 104}.get(prim, 10) * (1 if dtype is dtypes.float32 or prim not in ("exp", "expm1") else 7)
    word = np.dtype(f"u{dtype.itemsize}")
    parts = [
        SPECIAL, rng.uniform(-top, top, n), rng.normal(size=n), rng.normal(size=n) * 1e-3,
        rng.integers(0, 2 ** (8 * dtype.itemsize), n, dtype=np.uint64).astype(word).view(dtype.np),
        rng.uniform(0, 1, n) * 10 ** rng.uniform(-5, 8, n), 1 + rng.normal(size=n) * 1e-3,
    ]  # fmt: skip
    with np.errstate(all="ignore"):
        return np.concatenate([np.asarray(p).astype(f) for p in parts])


def reference(prim: str, xs: list[np.ndarray]) -> np.ndarray:
    """The value in long double, or in double by the C library."""
    if prim == "erf":
        return np.array([math.erf(v) for v in xs[0].tolist()])
    if prim in ("sin", "cos"):
        return np.array([getattr(math, prim)(v) if math.isfinite(v) else math.nan for v in xs[0].tolist()])
    with np.errstate(all="ignore"):
        return getattr(np, "power" if prim == "pow" else prim)(*(x.astype(np.longdouble) for x in xs))


def worst(got: np.ndarray, want: np.ndarray) -> tuple[float, int]:
    """Largest distance in units of the last place of the rounded reference, and where."""
    with np.errstate(all="ignore"):
        near = want.astype(got.dtype)
        same = (np.isnan(got) & np.isnan(near)) | (got == near)
        distance = np.abs(got.astype(np.longdouble) - want) / np.spacing(np.abs(near)).astype(np.longdouble)
    distance = np.where(same, 0, np.where(np.isnan(distance), np.inf, distance)).astype(float)
    return float(distance.max()), int(distance.argmax())


@pytest.mark.skipif(not EXTENDED, reason="long double is no wider than double here")
@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.float64], ids=str)
@pytest.mark.parametrize("prim", sorted(BOUND))
def test_error(prim: str, dtype: dtypes.DType) -> None:
    rng = np.random.default_rng(1)
    xs = [inputs(rng, dtype, prim)]
    if prim == "pow":
        y = rng.permutation(inputs(rng, dtype, "log"))
        y[: y.size // 2] = rng.integers(-30, 30, y.size // 2)
        xs.append(y)
    got, want = apply(prim, xs, dtype), reference(prim, xs)
    error, at = worst(got, want)
    assert error <= BOUND[prim][dtype is dtypes.float64], f"{error} ulp at {[x[at] for x in xs]}: {got[at]!r}, not {want[at]!r}"


@pytest.mark.parametrize("prim", ["expm1", "log1p", "sin", "tanh", "erf"])
def test_odd_functions_keep_the_sign_of_zero(prim: str) -> None:
    for dtype in (dtypes.float32, dtypes.float64):
        got = apply(prim, [np.array([0.0, -0.0], dtype.np)], dtype)
        assert got.tolist() == [0.0, 0.0] and np.signbit(got).tolist() == [False, True]


def test_huge_arguments_of_sine_in_one_lane() -> None:
    x = np.linspace(-3, 3, 33)
    x[5], x[20], x[32] = 1e22, -6.02e23, 2.0**1023
    np.testing.assert_allclose(apply("sin", [x], dtypes.float64), [math.sin(v) for v in x], rtol=1e-15)
    np.testing.assert_allclose(apply("cos", [x], dtypes.float64), [math.cos(v) for v in x], rtol=1e-15)


def test_remainder_is_exact_for_any_quotient() -> None:
    rng = np.random.default_rng(2)
    for dtype in (dtypes.float32, dtypes.float64):
        word = np.dtype(f"u{dtype.itemsize}")
        a, b = (rng.integers(0, 2 ** (8 * dtype.itemsize), 3000, dtype=np.uint64).astype(word).view(dtype.np) for _ in range(2))
        with np.errstate(all="ignore"):
            want = np.remainder(a, b)
        got = apply("mod", [a, b], dtype)
        np.testing.assert_array_equal(got, want)
        keep = ~np.isnan(want)
        np.testing.assert_array_equal(np.signbit(got)[keep], np.signbit(want)[keep])
