"""Matrix multiplication, batched by broadcasting. Operands are at least 2-D; `eager/functional.py` has the public one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout
from ..op import Gemm, Op, Sample, register, same_attrs
from ..promote import type_of
from ..types import TensorType, numel, tensor
from .declare import CLOSE, conjugated, floats
from .shape import aligned, front, permute, reshape


def _matmul_infer(x: TensorType, y: TensorType) -> tuple[TensorType]:
    if x.dtype is not y.dtype or x.dtype.kind == "b":
        raise DTypeError(f"matmul: operands must share one dtype other than bool, got {layout.describe(x, y)}")
    if x.ndim < 2 or y.ndim < 2:
        raise ShapeError(f"matmul: operands must be at least 2-D, got {layout.describe(x, y)}")
    if not layout.same(x.shape[-1], y.shape[-2]):
        why = f"{x.shape[-1]} columns against {y.shape[-2]} rows"
        raise ShapeError(f"matmul: cannot multiply {layout.describe(x, y)}: {why}")
    batch = layout.broadcast_shapes("matmul", [x.shape[:-2], y.shape[:-2]], (x, y))
    return (tensor((*batch, x.shape[-2], y.shape[-1]), x.dtype),)


def _matmul_eager(x: Any, y: Any) -> Any:
    return np.matmul(x, y) if x.ndim == y.ndim == 2 else np.matmul(x, y, order="C")


def swapped(x: Any) -> Any:
    """`x` with its last two dimensions swapped."""
    n = x.ndim
    return permute(x, dims=(*range(n - 2), n - 1, n - 2))


def _matmul_grad(g: Any, need: Any, out: Any, x: Any, y: Any) -> tuple[Any, ...]:
    for_x = for_y = None
    if need[0]:
        for_x = swapped(matmul(conjugated(y), swapped(g))) if _is_turned(x) else matmul(g, swapped(conjugated(y)))
    turned = _is_turned(y)
    if need[1] and y.ndim == 2 < x.ndim:  # one product over all rows in place of one a matrix, and their sum
        x, g = _rows(x), _rows(g)
    if need[1]:
        for_y = swapped(matmul(swapped(g), conjugated(x))) if turned else matmul(swapped(conjugated(x)), g)
    return for_x, for_y


def _is_turned(x: Any) -> bool:
    """Whether a matrix lies column by column, and so shall its gradient."""
    t = type_of(x)
    return t.ndim == 2 and layout.is_one(t.strides[0]) and not layout.is_one(t.strides[1])


def _rows(x: Any) -> Any:
    """`x` as one matrix that holds all its rows."""
    return reshape(x, (numel(x.shape[:-1]), x.shape[-1]))


def _matmul_batch(dims: Any, x: Any, y: Any) -> Any:
    ranks = [v.ndim - (d is not None) for v, d in zip((x, y), dims, strict=True)]
    full = max(ranks) + 1
    x, y = (aligned(front(v, d), full) if d is not None else v for v, d in zip((x, y), dims, strict=True))
    return matmul(x, y)


def _matmul_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for dtype in dtypes.ALL:
        if dtype.kind != "b":
            yield Sample((floats(rng, (3, 4), dtype), floats(rng, (4, 5), dtype)))
    f64 = dtypes.float64
    for a, b in (((2, 3, 4), (4, 5)), ((2, 1, 3, 4), (5, 4, 2)), ((3, 4), (2, 4, 1)), ((3, 0), (0, 2)), ((0, 3), (3, 2))):
        yield Sample((floats(rng, a, f64), floats(rng, b, f64)))
    x = floats(rng, (4, 3), f64)
    yield Sample((x.T, x), note="transposed")
    yield Sample((floats(rng, (4, 2, 3), f64).transpose(1, 2, 0), x), note="batch not outermost")
    yield Sample((floats(rng, (6, 8), f64)[::2, ::2], x[::1]), note="strided")
    yield Sample((x, x), raises=ShapeError)
    yield Sample((x.T, x.astype(np.float32)), raises=DTypeError)
    yield Sample((floats(rng, (2, 3, 4)), floats(rng, (3, 4, 5))), raises=ShapeError)


#: Batched matrix product.
matmul: Op = register(Op(
    "matmul", (), _matmul_infer, _matmul_eager, _matmul_grad, Gemm(), _matmul_samples, batch=_matmul_batch, autocast="low",
    heavy=1 << 16, members=same_attrs, tolerance={**CLOSE, "f32": (1e-5, 1e-5), "f64": (1e-12, 1e-12)},
))  # fmt: skip
