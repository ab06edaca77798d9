"""Reductions over dimensions. Attrs: `dim`, a sorted tuple of dimensions, and `keepdim`. Results are row-major."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout
from ..dtypes import DType
from ..op import Decompose, Extern, Infer, Op, Reduce, Sample, register
from ..sizes import Size
from ..types import TensorType, tensor
from .declare import CLOSE, check_kind, floats
from .shape import aligned, expand, front, reshape

Dims = tuple[int, ...]


def reduced_shape(shape: Any, dim: Dims, keepdim: bool) -> tuple[Size, ...]:
    """`shape` with the dimensions `dim` of size 1, or left out."""
    kept = [1 if d in dim else n for d, n in enumerate(shape)]
    return tuple(kept if keepdim else [n for d, n in enumerate(kept) if d not in dim])


def restored(x: Any, like: Any, dim: Dims, keepdim: bool) -> Any:
    """A reduced tensor with its dimensions back, of size 1."""
    return x if keepdim else reshape(x, reduced_shape(like.shape, dim, True))


def _check_dims(op: str, x: TensorType, dim: Dims) -> None:
    if builtins.any(not 0 <= d < x.ndim for d in dim) or len(set(dim)) != len(dim):
        raise ShapeError(f"{op}: dim {list(dim)} does not fit {layout.describe(x)}")


def row_major(x: Any) -> np.ndarray:
    """A NumPy reduction's result as a row-major array (NumPy keeps the operand's stride order, and returns 0-d as scalars)."""
    return np.asarray(x, order="C")


def reduction_samples(kinds: str, **attrs: Any) -> Any:
    """Each dimension, several, all, none; empty, 0-d, strided, transposed operands; every dtype of `kinds`."""

    def sample(rng: np.random.Generator) -> Iterator[Sample]:
        x = floats(rng, (2, 3, 4), dtypes.float64 if "f" in kinds else dtypes.int64)
        for dim in ((0,), (1,), (2,), (0, 2), (0, 1, 2), ()):
            yield Sample((x,), {"dim": dim, "keepdim": len(dim) == 2, **attrs})
        yield Sample((x.transpose(2, 0, 1),), {"dim": (0,), "keepdim": False, **attrs}, note="transposed")
        yield Sample((x[:, ::2],), {"dim": (1, 2), "keepdim": True, **attrs}, note="strided")
        yield Sample((x[0, 0, 0],), {"dim": (), "keepdim": False, **attrs}, note="0-d")
        yield Sample((x[:, :0],), {"dim": (0,), "keepdim": False, **attrs}, note="empty result")
        for dtype in dtypes.ALL:
            if dtype.kind in kinds:
                yield Sample((floats(rng, (3, 5), dtype),), {"dim": (1,), "keepdim": False, **attrs})
        yield Sample((x,), {"dim": (3,), "keepdim": False, **attrs}, raises=ShapeError)

    return sample


def sum_dtype(x: DType, dtype: DType | None) -> DType:
    """Dtype of sums and products: `dtype`, or int64 for bool and integral operands."""
    return dtype or (x if x.is_floating_point else dtypes.int64)


def _sum_infer(op: str) -> Infer:
    def infer(x: TensorType, *, dim: Dims, keepdim: bool = False, dtype: DType | None = None) -> tuple[TensorType]:
        _check_dims(op, x, dim)
        return (tensor(reduced_shape(x.shape, dim, keepdim), sum_dtype(x.dtype, dtype)),)

    return infer


def _sum_eager(x: Any, *, dim: Dims, keepdim: bool = False, dtype: DType | None = None) -> Any:
    to = dtype.compute if dtype is not None else np.int64 if x.dtype.kind in "bui" else None
    return row_major(np.add.reduce(x, dim, to, None, keepdim))


def _sum_grad(g: Any, need: Any, out: Any, x: Any, *, dim: Dims, keepdim: bool = False, dtype: Any = None) -> tuple[Any, ...]:
    return (expand(restored(g, x, dim, keepdim), shape=tuple(x.shape)),)


def _sum_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from reduction_samples("buif")(rng)
    x = floats(rng, (3, 4))
    yield Sample((x,), {"dim": (1,), "keepdim": False, "dtype": dtypes.float64})
    yield Sample((x.astype(dtypes.bfloat16.np),), {"dim": (1,), "keepdim": False, "dtype": dtypes.float32})
    yield Sample((x,), {"dim": (0,), "keepdim": True, "dtype": dtypes.int32})
    yield Sample((np.ones((300, 7), dtypes.bfloat16.np),), {"dim": (0, 1), "keepdim": False}, note="accumulated wide")
    yield Sample((floats(rng, (0, 3)),), {"dim": (0,), "keepdim": False}, note="sum of nothing")


#: Sum; of bool and integral operands in int64.
sum = register(Op(
    "sum", ("sum(Tensor input, dims dim=None, bool keepdim=False, *, dtype? dtype=None)",), _sum_infer("sum"), _sum_eager,
    _sum_grad, Reduce("add"), _sum_samples, autocast="f32", tolerance=CLOSE,
))  # fmt: skip


def _sum_to_dims(x: Any, shape: tuple[Size, ...]) -> tuple[Dims, bool]:
    """Dimensions to sum away, and whether leading ones go too."""
    lead = x.ndim - len(shape)
    inner = (d for d in range(lead, x.ndim) if layout.is_one(shape[d - lead]) and not layout.is_one(x.shape[d]))
    return (*range(lead), *inner), lead > 0


def _sum_to_infer(x: TensorType, *, shape: tuple[Size, ...]) -> tuple[TensorType]:
    lead = x.ndim - len(shape)
    pairs = zip(x.shape[lead:], shape, strict=True) if lead >= 0 else ()
    if lead < 0 or not builtins.all(layout.is_one(n) or layout.same(m, n) for m, n in pairs):
        raise ShapeError(f"sum_to: {layout.describe(x)} is no broadcast of the shape [{','.join(map(str, shape))}]")
    return (tensor(shape, x.dtype),)


def _sum_to_eager(x: Any, *, shape: tuple[int, ...]) -> Any:
    dim, _ = _sum_to_dims(x, shape)
    return row_major(np.add.reduce(x, dim, x.dtype, None, True)).reshape(shape)


def _sum_to_decompose(x: Any, *, shape: tuple[Size, ...]) -> Any:
    dim, _ = _sum_to_dims(x, shape)
    return reshape(sum(x, dim=dim, keepdim=True, dtype=x.dtype), shape)


def _sum_to_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (2, 3, 4), dtypes.float64)
    for shape in ((3, 4), (1, 4), (2, 1, 4), (), (1, 1, 1), (2, 3, 4), (4,)):
        yield Sample((x,), {"shape": shape})
    yield Sample((x.transpose(2, 1, 0),), {"shape": (3, 1)})
    yield Sample((floats(rng, (5, 3), dtypes.float16),), {"shape": (3,)})
    yield Sample((floats(rng, (0, 3)),), {"shape": (1, 3)})
    yield Sample((x,), {"shape": (3, 3)}, raises=ShapeError)
    yield Sample((x,), {"shape": (1, 2, 3, 4)}, raises=ShapeError)


def _sum_to_batch(dims: Any, x: Any, *, shape: tuple[Size, ...]) -> Any:
    x = front(x, dims[0])
    dim, _ = _sum_to_dims(TensorType(tuple(x.shape[1:]), x.dtype, (0,) * (x.ndim - 1)), shape)
    summed = sum(x, dim=tuple(d + 1 for d in dim), keepdim=True, dtype=x.dtype)
    return reshape(summed, (x.shape[0], *shape))


#: The sum over all dimensions in which `x` was broadcast from attr `shape`: undoes broadcasting in gradients.
sum_to = register(Op(
    "sum_to", (), _sum_to_infer, _sum_to_eager, lambda g, need, out, x, *, shape: (expand(g, shape=tuple(x.shape)),),
    Decompose(_sum_to_decompose), _sum_to_samples, tolerance=CLOSE, batch=_sum_to_batch,
))  # fmt: skip
