"""Calls that fusewire and PyTorch must answer alike, as text in `t` (either library) and the operands below.

A row is a call, or (call, flags): "g" no gradient is compared, "c" it is not compiled, "l" looser tolerance, "i" not in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

rng = np.random.default_rng(11)


def _normal(*shape: int) -> Any:
    return rng.normal(size=shape)


def _positive(n: int) -> Any:
    a = _normal(n, n)
    return a @ a.T + n * np.eye(n)


#: Operands by name: floating ones get gradients.
OPERANDS: dict[str, Any] = {
    "x": _normal(3, 4), "y": _normal(3, 4), "v": _normal(5), "w": _normal(5), "u": _normal(4), "m": _normal(4, 4), "n": _normal(4, 3),
    "p": np.abs(_normal(3, 4)) + 0.3, "q": np.abs(_normal(3, 4)) + 0.3, "z": rng.uniform(0.05, 0.95, (3, 4)), "s": np.asarray(1.7),
    "b": _normal(2, 3, 4), "c": _normal(2, 4, 5), "d": _normal(2, 3, 5), "e": _normal(0, 4), "img": _normal(2, 3, 6, 6),
    "spd": _positive(4), "spds": np.stack([_positive(3), _positive(3)]), "sq": _normal(3, 3), "sqs": _normal(2, 3, 3),
    "tall": _normal(5, 3), "wide": _normal(3, 5), "rhs": _normal(4, 2), "long": _normal(2, 40), "seq": _normal(2, 3, 8),
    "nan": np.array([[1.0, np.nan, 3.0, 2.0], [np.nan, np.nan, np.nan, np.nan], [0.5, 2.5, -1.0, 7.0]]),
    "unit": rng.uniform(-0.9, 0.9, (3, 4)), "vol": _normal(1, 2, 3, 4, 4),
    "i": rng.integers(-3, 4, (3, 4)), "j": rng.integers(1, 5, (3, 4)), "k": rng.integers(0, 4, (12,)), "big": rng.integers(0, 50, (4, 6)),
    "cls": rng.integers(0, 4, (3,)), "mask": rng.integers(0, 2, (3, 4)).astype(bool), "i32": rng.integers(-5, 9, (7,)).astype(np.int32),
    "u8": rng.integers(0, 9, (6,)).astype(np.uint8), "sign": np.where(rng.integers(0, 2, (3, 4)), 1.0, -1.0),
    "sign3": np.array([1.0, -1.0, 1.0]), "row": np.array([0.5, 1.5, 2.5, 3.5]),
}  # fmt: skip

SEARCHING = [
    "t.cummax(x, 1)", "t.cummin(x, 0)", "x.cummax(-1)", "t.cummax(i, 1)", "t.logcumsumexp(x, 1)", "t.diff(x)", "t.diff(x, 2, 0)",
    "t.diff(i)", "t.diff(mask)", "t.diff(v, prepend=w, append=w)", "t.median(x)", "t.median(x, 1)", "t.median(x, 0, True)",
    "t.nanmedian(nan)", "t.nanmedian(nan, 1)[0]", "t.mode(i, 1)[0]", "t.mode(k)[0]", "x.kthvalue(2)", "t.kthvalue(x, 2, 0, True)",
    "t.quantile(x, 0.4)", "t.quantile(x, 0.4, 1)", "t.quantile(x, t.tensor([0.1, 0.5, 1.0], dtype=x.dtype), 0)",
    "t.quantile(x, t.tensor([0.1, 0.5], dtype=x.dtype), 1, True)", "t.quantile(nan, 0.5, 1)", "t.nanquantile(nan, 0.3, 1)",
    "t.nanquantile(nan, 0.5)", "t.quantile(x, 0.5, interpolation='lower')", "t.quantile(x, 0.35, 1, interpolation='nearest')",
    "t.quantile(x, 0.35, 1, interpolation='midpoint')", "t.quantile(x, 0.35, 1, interpolation='higher')",
    "t.unique(k)", "t.unique(i, return_inverse=True, return_counts=True)", "t.unique(i, dim=0)", "t.unique(big, dim=1, return_inverse=True)",
    "t.unique(t.tensor([[1, 2], [1, 2], [0, 5]]), dim=0, return_inverse=True, return_counts=True)", "i.unique()",
    "t.unique_consecutive(k, return_inverse=True, return_counts=True)", "t.unique_consecutive(t.tensor([1, 1, 2, 1, 1]))",
    ("t.unique(x)", "g"), "t.unique(mask)", "t.searchsorted(row, p)", "t.searchsorted(row, p, right=True)", "t.searchsorted(row, 2.5)",
    "t.searchsorted(row, p, out_int32=True)", "t.bucketize(p, row)", "t.bucketize(p, row, right=True)",
    "t.bincount(k)", "t.bincount(k, minlength=9)", "t.histc(x, 5)", "t.histc(x, bins=4, min=-1, max=1)", ("t.histogram(x, 5)[0]", "g"),
    ("t.histogram(v, row)[0]", "g"), ("t.histogram(x, 4, range=(-1., 1.), density=True)", "g"), "t.msort(x)", "t.isin(i, t.tensor([1, 2]))",
    "t.isin(i, k, invert=True)", "t.isin(2, k)", "t.isin(i, 3)", "t.std_mean(x)", "t.std_mean(x, 1, keepdim=True)", "t.var_mean(x, 0)",
    "t.aminmax(x)", "t.aminmax(x, dim=1)", "t.nansum(nan)", "t.nansum(nan, 1)", "t.nanmean(nan, 0)", "t.count_nonzero(i)",
    "t.count_nonzero(i, 1)", "t.trapezoid(x)", "t.trapezoid(x, dx=0.5, dim=0)", "t.trapezoid(x, p)", "t.trapezoid(x, u)",
    "t.cumulative_trapezoid(x)", "t.trapz(v)", "t.cov(x)", "t.cov(v)", "t.cov(x, correction=0)", "t.corrcoef(x)",
    "t.renorm(x, 2, 0, 0.5)", "t.logsumexp(x, 1)", "t.logsumexp(e, 0)", "t.logsumexp(e, 1)", "t.sort(x, 1, True)", "t.argsort(x, 0)",
    "t.topk(x, 2)", "t.cov(x, fweights=t.tensor([1, 2, 1, 3]))", "t.cov(x, aweights=u.abs())", "t.mode(x, 0)",
    "t.median(i)", "t.median(s)", "t.cummax(s, 0)", "t.bincount(k, weights=t.arange(12.))",
]  # fmt: skip
ERRORS = [
    "t.diff(s)", "t.quantile(i, 0.5)", "t.quantile(x, 0.5, interpolation='x')", "t.cummax(x, 5)", "t.bucketize(x, x)", "t.nanmean(i)",
    "t.histc(x, 0)", "t.kthvalue(x, 9)", "t.mode(e, 0)", "t.searchsorted(row, p, side='middle')",
]  # fmt: skip
TABLES = (SEARCHING,)
#: One call of so many is compiled too.
COMPILED = 1
