"""A linear layer as one record, which eager programs call; graphs hold the product and the sum that it is made of."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout
from ..op import Decompose, Op, Sample, register, same_attrs
from ..types import TensorType, numel
from .declare import CLOSE, conjugated, floats
from .linalg import matmul, swapped
from .pointwise import add
from .reductions import sum_to
from .shape import reshape


def _infer(x: TensorType, w: TensorType, b: Any) -> tuple[TensorType]:
    got = layout.describe(x, w, *(() if b is None else (b,)))
    if w.dtype is not x.dtype or (b is not None and b.dtype is not x.dtype) or x.dtype.kind == "b":
        raise DTypeError(f"linear: operands must share one dtype other than bool, got {got}")
    fits = x.ndim > 1 and w.ndim == 2 and layout.same(x.shape[-1], w.shape[1])
    if not fits or (b is not None and not layout.same_shape(b.shape, w.shape[:1])):
        raise ShapeError(f"linear: rows as long as those of the weight (out, in), and a bias (out) expected, got {got}")
    turned = TensorType((w.shape[1], w.shape[0]), w.dtype, (w.strides[1], w.strides[0]))
    return matmul.infer(x, turned)  # type: ignore[return-value]


def _eager(x: Any, w: Any, b: Any) -> Any:
    if x.dtype != w.dtype or x.ndim < 2 or w.ndim != 2 or (b is not None and (b.dtype != x.dtype or b.shape != w.shape[:1])):
        raise TypeError("operands of one dtype that fit expected")
    rows = x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    out = np.matmul(rows, w.T)
    if b is not None:
        np.add(out, b, out=out)
    return out if x.ndim == 2 else out.reshape(*x.shape[:-1], len(w))


def _decompose(x: Any, w: Any, b: Any) -> Any:
    made = matmul(x, swapped(w))
    return made if b is None else add(made, b)


def _grad(g: Any, need: Any, out: Any, x: Any, w: Any, b: Any) -> tuple[Any, ...]:
    for_x = matmul(g, conjugated(w)) if need[0] else None
    for_w = None
    if need[1]:
        rows, reached = ((x, g) if x.ndim == 2 else (reshape(y, (numel(y.shape[:-1]), y.shape[-1])) for y in (x, g)))
        for_w = matmul(swapped(reached), conjugated(rows))
    return for_x, for_w, sum_to(g, shape=tuple(b.shape)) if need[2] else None


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    for dtype in dtypes.ALL:
        if dtype.kind != "b":
            yield Sample((floats(rng, (3, 4), dtype), floats(rng, (5, 4), dtype), floats(rng, (5,), dtype)))
    f64 = dtypes.float64
    x, w, b = floats(rng, (2, 3, 4), f64), floats(rng, (5, 4), f64), floats(rng, (5,), f64)
    yield Sample((x, w, b))
    yield Sample((x, w, None))
    wide = floats(rng, (10, 8), f64)
    yield Sample((x.transpose(1, 0, 2), wide[::2, ::2], wide[::2, 1]), note="strided")
    yield Sample((x[:, :0], w, b))
    yield Sample((x[:, :, :0], w[:, :0], b))
    yield Sample((x, w.T, b), raises=ShapeError)
    yield Sample((x, w, b[1:]), raises=ShapeError)
    yield Sample((x, w.astype(np.float32), b), raises=DTypeError)


#: ``x @ w.T + b`` over the last dimension of `x`; `b` may be None.
linear: Op = register(Op(
    "linear", (), _infer, _eager, _grad, Decompose(_decompose), _samples, autocast="low", heavy=True, members=same_attrs,
    tolerance={**CLOSE, "f32": (1e-5, 1e-5), "f64": (1e-12, 1e-12)},
))  # fmt: skip
