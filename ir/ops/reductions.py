"""Reductions over dimensions. Attrs: `dim`, a sorted tuple of dimensions, and `keepdim`. Results are row-major."""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout
from ..dtypes import DType
from ..op import Decompose, Infer, Op, Reduce, Sample, lookup, register
from ..sizes import Size
from ..types import TensorType, numel, tensor
from .casts import cast
from .compare import eq, logical_or, ne, where
from .creation import arange, count, filled, made_by, number
from .declare import CLOSE, check_kind, floats, holomorphic
from .pointwise import div, maximum, mul, sub
from .shape import cat, expand, front, inverse, permute, reshape, slice_

Dims = tuple[int, ...]
#: Rows that are added one to another before their sum is added to the total.
STRETCH = 1024


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


def folded(ufunc: Any, x: Any, dim: Dims, dtype: Any, keepdim: bool) -> np.ndarray:
    """`x` folded along `dim` by `ufunc` in `dtype` (None: its own), row-major. Long float sums go in stretches: NumPy adds
    row to row, and a small row to a large total loses its digits."""
    if len(dim) == x.ndim and not keepdim:
        return np.asarray(ufunc.reduce(x, None, dtype))
    long = [d for d in dim if x.shape[d] > 4 * STRETCH] if ufunc is np.add and len(dim) < x.ndim else ()
    if long and np.dtype(dtype or x.dtype).kind == "f" and builtins.any(x.strides[long[0]] > s for s in x.strides):
        return _in_stretches(x, dim, long[0], dtype, keepdim)
    return row_major(ufunc.reduce(x, dim, dtype, None, keepdim))


def _in_stretches(x: Any, dim: Dims, at: int, dtype: Any, keepdim: bool) -> np.ndarray:
    """The sum along `dim`: stretches of dimension `at`, and then these."""
    add: Any = np.add
    whole = x.shape[at] // STRETCH * STRETCH
    before = (slice(None),) * at
    parts = x[(*before, slice(0, whole))].reshape(*x.shape[:at], whole // STRETCH, STRETCH, *x.shape[at + 1 :])
    sums = add.reduce(parts, at + 1, dtype, None, False)
    if whole < x.shape[at]:
        rest = add.reduce(x[(*before, slice(whole, None))], at, dtype, None, True)
        sums = np.concatenate((sums, rest), at)
    return folded(np.add, sums, dim, dtype, keepdim)


def row_major(x: Any) -> np.ndarray:
    """A NumPy reduction's result as a row-major array (NumPy keeps the operand's stride order, and returns 0-d as scalars)."""
    x = np.asarray(x, order="C")
    if x.ndim > 1 and 1 in x.shape:  # NumPy calls it row-major whatever the stride of a dimension of size 1 is
        x = x.reshape(-1).reshape(x.shape)
    out: np.ndarray = x
    return out


def reduction_samples(kinds: str, **attrs: Any) -> Any:
    """Each dimension, several, all, none; empty, 0-d, strided, transposed operands; every dtype of `kinds`."""

    def sample(rng: np.random.Generator) -> Iterator[Sample]:
        x = floats(rng, (2, 3, 4), dtypes.float64 if "f" in kinds else dtypes.int64)
        for dim in ((0,), (1,), (2,), (0, 2), (0, 1, 2), ()):
            yield Sample((x,), {"dim": dim, "keepdim": len(dim) == 2, **attrs})
        yield Sample((x.transpose(2, 0, 1),), {"dim": (0,), "keepdim": False, **attrs}, note="transposed")
        yield Sample((x[:, ::2],), {"dim": (1, 2), "keepdim": True, **attrs}, note="strided")
        yield Sample((x[0, 0, 0, ...],), {"dim": (), "keepdim": False, **attrs}, note="0-d")
        yield Sample((x[:, :0],), {"dim": (0,), "keepdim": False, **attrs}, note="empty result")
        for dtype in dtypes.ALL:
            if dtype.kind in kinds:
                yield Sample((floats(rng, (3, 5), dtype),), {"dim": (1,), "keepdim": False, **attrs})
        yield Sample((x,), {"dim": (3,), "keepdim": False, **attrs}, raises=ShapeError)

    return sample


def sum_dtype(x: DType, dtype: DType | None) -> DType:
    """Dtype of sums and products: `dtype`, or int64 for bool and integral operands."""
    return dtype or (x if x.is_inexact else dtypes.int64)


def _sum_infer(op: str) -> Infer:
    def infer(x: TensorType, *, dim: Dims, keepdim: bool = False, dtype: DType | None = None) -> tuple[TensorType]:
        _check_dims(op, x, dim)
        return (tensor(reduced_shape(x.shape, dim, keepdim), sum_dtype(x.dtype, dtype)),)

    return infer


def _sum_eager(x: Any, *, dim: Dims, keepdim: bool = False, dtype: DType | None = None) -> Any:
    to = dtype.compute if dtype is not None else np.int64 if x.dtype.kind in "bui" else None
    return folded(np.add, x, dim, to, keepdim)


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
sum: Op = register(Op(
    "sum", ("sum(Tensor input, dims dim=None, bool keepdim=False, *, dtype? dtype=None)",), _sum_infer("sum"), _sum_eager,
    _sum_grad, Reduce("add"), _sum_samples, autocast="f32 gpu", tolerance=CLOSE, heavy=1 << 20,
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
    return folded(np.add, x, dim, x.dtype, True).reshape(shape)


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
sum_to: Op = register(Op(
    "sum_to", (), _sum_to_infer, _sum_to_eager, lambda g, need, out, x, *, shape: (expand(g, shape=tuple(x.shape)),),
    Decompose(_sum_to_decompose), _sum_to_samples, tolerance=CLOSE, batch=_sum_to_batch,
))  # fmt: skip


def _needs_elements(op: str, x: TensorType, dim: Dims) -> None:
    if builtins.any(layout.is_zero(x.shape[d]) for d in dim):
        raise ShapeError(f"{op}: {layout.describe(x)} has no elements along dim {list(dim)}, and {op} of nothing is not defined")


def _extremum_infer(op: str) -> Infer:
    def infer(x: TensorType, *, dim: Dims, keepdim: bool = False) -> tuple[TensorType]:
        _check_dims(op, x, dim)
        check_kind(op, "buif", x)
        _needs_elements(op, x, dim)
        return (tensor(reduced_shape(x.shape, dim, keepdim), x.dtype),)

    return infer


def _extremum_grad(g: Any, need: Any, out: Any, x: Any, *, dim: Dims, keepdim: bool = False) -> tuple[Any, ...]:
    """Shared equally among the elements that are the extremum."""
    hit = eq(x, restored(out, x, dim, keepdim))
    share = div(restored(g, x, dim, keepdim), sum(cast(hit, dtype=g.dtype), dim=dim, keepdim=True))
    return (where(hit, share, 0.0),)


def _extremum_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from reduction_samples("buif")(rng)
    yield Sample((np.array([[1.0, np.nan, 3.0], [1.0, 1.0, 0.0]]),), {"dim": (1,), "keepdim": False}, note="NaN, ties")
    yield Sample((floats(rng, (0, 3)),), {"dim": (0,), "keepdim": False}, raises=ShapeError)


def _extremum(name: str, combine: str, ufunc: Any) -> Op:
    return register(Op(
        name, (f"{name}(Tensor input, dims dim=None, bool keepdim=False)",), _extremum_infer(name),
        lambda x, *, dim, keepdim=False: folded(ufunc, x, dim, None, keepdim), _extremum_grad, Reduce(combine),
        _extremum_samples,
    ))  # fmt: skip


#: The largest element; NaN if there is one; ShapeError where there are none. Public: amax, max.
amax = _extremum("amax", "maximum", np.maximum)
#: The smallest element; NaN if there is one; ShapeError where there are none. Public: amin, min.
amin = _extremum("amin", "minimum", np.minimum)


def _prod_eager(x: Any, *, dim: Dims, keepdim: bool = False, dtype: DType | None = None) -> Any:
    to = dtype.compute if dtype is not None else np.int64 if x.dtype.kind in "bui" else None
    return folded(np.multiply, x, dim, to, keepdim)


def _prod_grad(g: Any, need: Any, out: Any, x: Any, *, dim: Dims, keepdim: bool = False, dtype: Any = None) -> tuple[Any, ...]:
    """g times the product of the other elements, by multiplication alone: right to every order, at zeros too."""
    g = restored(g, x, dim, keepdim)
    sizes_of = [x.shape[d] for d in dim]
    if builtins.any(map(layout.is_zero, sizes_of)) or builtins.all(map(layout.is_one, sizes_of)):  # no others: x is not read
        return (expand(g, shape=tuple(x.shape)),)
    order = (*(d for d in range(x.ndim) if d not in dim), *dim)
    rows = permute(x, dims=order)
    lead = rows.shape[: x.ndim - len(dim)]
    others = _others(converted(reshape(rows, (*lead, count(x, dim))), wide(g.dtype)))
    return (mul(g, permute(reshape(others, tuple(rows.shape)), dims=inverse(order))),)


def _others(x: Any) -> Any:
    """For each element the product of the other elements along the last dimension."""
    last, n = x.ndim - 1, x.shape[-1]
    if not isinstance(n, int):
        return _others_of_many(x)
    if n <= 1:
        return filled(x, tuple(x.shape), 1)
    half = n // 2  # pairs have one product of others each, which lacks the partner
    a, b, single = (slice_(x, dim=last, start=i, stop=j, step=1) for i, j in ((0, half), (half, 2 * half), (2 * half, n)))
    outer = _others(cat(mul(a, b), single, dim=last) if n % 2 else mul(a, b))
    pairs = slice_(outer, dim=last, start=0, stop=half, step=1)
    rest = (slice_(outer, dim=last, start=half, stop=half + 1, step=1),) if n % 2 else ()
    return cat(mul(pairs, b), mul(pairs, a), *rest, dim=last)


def _others_of_many(x: Any) -> Any:
    """`_others` where the size is symbolic, so that it cannot be halved: n products of n elements, of which one is left out."""
    n = x.shape[-1]
    at = made_by(x, arange, start=0, step=1, length=n, dtype=dtypes.int64)
    same = eq(reshape(at, (n, 1)), at)
    spread = expand(reshape(x, (*x.shape[:-1], 1, n)), shape=(*x.shape[:-1], n, n))
    return prod(where(same, 1.0, spread), dim=(x.ndim,), keepdim=False)


def _prod_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from reduction_samples("buif")(rng)
    yield Sample((np.array([[1.0, 0.0, 3.0], [0.0, 2.0, 0.0], [1.5, 2.0, -1.0]]),), {"dim": (1,), "keepdim": False}, note="zeros")
    yield Sample((np.array([[1.0, 0.0, 3.0, 0.0, 2.0]]),), {"dim": (0, 1), "keepdim": True}, note="two zeros")
    yield Sample((floats(rng, (3,)),), {"dim": (0,), "keepdim": False, "dtype": dtypes.float64})


#: Product; of bool and integral operands in int64.
prod: Op = register(Op(
    "prod", ("prod(Tensor input, dims dim=None, bool keepdim=False, *, dtype? dtype=None)",), _sum_infer("prod"), _prod_eager,
    holomorphic(_prod_grad), Reduce("mul"), _prod_samples, autocast="f32", tolerance=CLOSE,
))  # fmt: skip


def _truth_infer(op: str) -> Infer:
    def infer(x: TensorType, *, dim: Dims, keepdim: bool = False) -> tuple[TensorType]:
        _check_dims(op, x, dim)
        return (tensor(reduced_shape(x.shape, dim, keepdim), x.dtype if x.dtype is dtypes.uint8 else dtypes.bool_),)

    return infer


def _truth_eager(ufunc: Any, x: Any, dim: Dims, keepdim: bool) -> Any:
    out = folded(ufunc, x, dim, np.bool_, keepdim)
    return out.view(np.uint8) if x.dtype == np.uint8 else out


def _truth(name: str, combine: str, ufunc: Any) -> Op:
    return register(Op(
        name, (f"{name}(Tensor input, given_dims dim=None, bool keepdim=False)",), _truth_infer(name),
        lambda x, *, dim, keepdim=False: _truth_eager(ufunc, x, dim, keepdim), None, Reduce(combine),
        reduction_samples("buif"), constant="piecewise constant",
    ))  # fmt: skip


#: Whether one element is not zero, as bool; of uint8 as uint8.
any = _truth("any", "or", np.logical_or)
#: Whether every element is not zero, as bool; of uint8 as uint8.
all = _truth("all", "and", np.logical_and)


def _mean_infer(op: str) -> Infer:
    def infer(x: TensorType, *, dim: Dims, keepdim: bool = False, dtype: DType | None = None, **_: Any) -> tuple[TensorType]:
        _check_dims(op, x, dim)
        to = dtype or x.dtype
        if not to.is_inexact:
            raise DTypeError(f"{op}: needs a floating dtype, got {layout.describe(x)}; cast it or pass dtype=")
        return (tensor(reduced_shape(x.shape, dim, keepdim), to),)

    return infer


def _mean_eager(x: Any, *, dim: Dims, keepdim: bool = False, dtype: DType | None = None) -> Any:
    to = dtype.compute if dtype is not None else x.dtype
    if to.kind not in "fc":
        raise TypeError("mean of an integral array")
    n = math.prod(x.shape[d] for d in dim)
    total = folded(np.add, x, dim, to, keepdim)
    return np.asarray(total / to.type(n))


def wide(dtype: DType) -> DType:
    """The dtype in which a composite computes: float32 for half types."""
    return dtypes.float32 if dtype.is_half else dtype


def _mean_decompose(x: Any, *, dim: Dims, keepdim: bool = False, dtype: DType | None = None) -> Any:
    to = dtype or x.dtype
    total = sum(x, dim=dim, keepdim=keepdim, dtype=wide(to))
    return converted(div(total, elements(x, dim, total)), to)


def converted(x: Any, dtype: DType) -> Any:
    """`x` cast to `dtype` unless it has it."""
    return x if x.dtype is dtype else cast(x, dtype=dtype)


def elements(x: Any, dim: Dims, like: Any) -> Any:
    """How many elements `x` has along `dim`, as an operand beside `like`: an int, or where symbolic a 0-d tensor of its dtype."""
    n = number(like, count(x, dim))
    return n if isinstance(n, int) else cast(n, dtype=like.dtype)


def _mean_grad(g: Any, need: Any, out: Any, x: Any, *, dim: Dims, keepdim: bool = False, dtype: Any = None) -> tuple[Any, ...]:
    return (expand(restored(div(g, elements(x, dim, g)), x, dim, keepdim), shape=tuple(x.shape)),)


def _mean_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from reduction_samples("f")(rng)
    yield Sample((floats(rng, (3, 4), dtypes.int64),), {"dim": (1,), "keepdim": False, "dtype": dtypes.float32})
    yield Sample((floats(rng, (3, 0)),), {"dim": (1,), "keepdim": False}, note="mean of nothing")
    yield Sample((floats(rng, (3, 4), dtypes.int64),), {"dim": (1,), "keepdim": False}, raises=DTypeError)


#: Arithmetic mean; DTypeError for integral operands.
mean: Op = register(Op(
    "mean", ("mean(Tensor input, dims dim=None, bool keepdim=False, *, dtype? dtype=None)",), _mean_infer("mean"), _mean_eager,
    _mean_grad, Decompose(_mean_decompose), _mean_samples, autocast="f32 gpu", tolerance=CLOSE,
    batch=lambda dims, x, *, dim, **attrs: mean(front(x, dims[0]), dim=shifted(dim), **attrs),
))  # fmt: skip


def shifted(dim: Dims) -> Dims:
    """`dim` behind a new first dimension."""
    return tuple(d + 1 for d in dim)


def _var_eager(x: Any, *, dim: Dims, keepdim: bool = False, correction: int | float = 1) -> Any:
    if x.dtype.kind != "f":
        raise TypeError("var of an integral array")
    n = math.prod(x.shape[d] for d in dim)
    middle = folded(np.add, x, dim, None, True) / x.dtype.type(n)
    away = x - middle
    total = folded(np.add, away * away, dim, None, keepdim)
    return np.asarray(total / x.dtype.type(max(n - correction, 0)))


def _var_decompose(x: Any, *, dim: Dims, keepdim: bool = False, correction: int | float = 1) -> Any:
    to = x.dtype
    x = converted(x, wide(to))
    away = sub(x, mean(x, dim=dim, keepdim=True))
    total = sum(mul(away, away), dim=dim, keepdim=keepdim)
    return converted(div(total, _degrees(x, dim, correction, total)), to)


def _degrees(x: Any, dim: Dims, correction: int | float, like: Any) -> Any:
    """The divisor max(n - correction, 0) of a variance."""
    n = elements(x, dim, like)
    return max(n - correction, 0) if isinstance(n, int) else maximum(sub(n, correction), 0)


def _var_grad(g: Any, need: Any, out: Any, x: Any, *, dim: Dims, keepdim: bool = False, correction: Any = 1) -> tuple[Any, ...]:
    g = restored(g, x, dim, keepdim)
    away = sub(x, mean(x, dim=dim, keepdim=True))
    return (mul(div(mul(g, 2), _degrees(x, dim, correction, g)), away),)


def _var_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from reduction_samples("f", correction=1)(rng)
    x = floats(rng, (3, 4), dtypes.float64)
    for correction in (0, 2, 4, 0.5):
        yield Sample((x,), {"dim": (1,), "keepdim": True, "correction": correction})
    yield Sample((x.astype(np.int64),), {"dim": (1,), "keepdim": False, "correction": 1}, raises=DTypeError)


#: Mean squared distance from the mean, over n - correction. Public (with unbiased; std): eager/functional.py.
var: Op = register(Op(
    "var", (), _mean_infer("var"), _var_eager, _var_grad, Decompose(_var_decompose), _var_samples, autocast="f32 gpu",
    tolerance=CLOSE, batch=lambda dims, x, *, dim, **attrs: var(front(x, dims[0]), dim=shifted(dim), **attrs),
))  # fmt: skip


def _arg_infer(op: str) -> Infer:
    def infer(x: TensorType, *, dim: int | None = None, keepdim: bool = False) -> tuple[TensorType]:
        dims = tuple(range(x.ndim)) if dim is None or x.ndim == 0 else (dim,)
        _check_dims(op, x, dims)
        _needs_elements(op, x, dims)
        check_kind(op, "uif", x)
        return (tensor(reduced_shape(x.shape, dims, keepdim), dtypes.int64),)

    return infer


def _arg_eager(fn: Any) -> Any:
    def eager(x: Any, *, dim: int | None = None, keepdim: bool = False) -> Any:
        out = fn(x, None if x.ndim == 0 else dim, keepdims=keepdim)
        return row_major(out).astype(np.int64, copy=False)

    return eager


def _arg_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (2, 3, 4), dtypes.float64)
    for dim in (None, 0, 1, 2):
        yield Sample((x,), {"dim": dim, "keepdim": dim == 1})
    yield Sample((x.transpose(2, 0, 1),), {"dim": 1, "keepdim": False})
    yield Sample((floats(rng, ()),), {"dim": None, "keepdim": False})
    yield Sample((floats(rng, (5,), dtypes.bfloat16),), {"dim": 0, "keepdim": False})
    yield Sample((np.array([3, 1, 3, 2], np.uint8),), {"dim": 0, "keepdim": False}, note="the first of equals")
    yield Sample((np.array([1.0, np.nan, 5.0]),), {"dim": 0, "keepdim": False}, note="NaN wins")
    yield Sample((floats(rng, (0, 3)),), {"dim": 0, "keepdim": False}, raises=ShapeError)


def _arg_batch(op: Any, dims: Any, x: Any, dim: int | None, keepdim: bool) -> Any:
    x = front(x, dims[0])
    if dim is not None:
        return op(x, dim=dim + 1, keepdim=keepdim)
    out = op(reshape(x, (x.shape[0], numel(x.shape[1:]))), dim=1, keepdim=False)
    return reshape(out, (x.shape[0], *(1,) * (x.ndim - 1))) if keepdim else out


def _arg_decompose(extreme: Op) -> Any:
    """The least position of the extreme element; where that is NaN, of the first NaN."""

    def decompose(x: Any, *, dim: int | None = None, keepdim: bool = False) -> Any:
        if not x.ndim:
            return filled(x, (), 0, dtypes.int64)
        row, at = (reshape(x, (numel(x.shape),)), 0) if dim is None else (x, dim)
        n = row.shape[at]
        narrow = isinstance(n, int) and n <= _MOST_I32
        index = made_by(x, arange, start=0, step=1, length=n, dtype=dtypes.int32 if narrow else dtypes.int64)
        index = reshape(index, (n, *(1,) * (row.ndim - at - 1)))
        top = extreme(row, dim=(at,), keepdim=True)
        hit = eq(row, top) if x.dtype.kind != "f" else logical_or(eq(row, top), ne(row, row))
        found = amin(where(hit, index, _MOST_I32 if narrow else (1 << 63) - 1), dim=(at,), keepdim=keepdim and dim is not None)
        found = cast(found, dtype=dtypes.int64) if narrow else found
        return reshape(found, (1,) * x.ndim) if keepdim and dim is None else found

    return decompose


_MOST_I32 = (1 << 31) - 1


def _arg(name: str, fn: Any, extreme: Op) -> Op:
    return register(Op(
        name, (f"{name}(Tensor input, dim? dim=None, bool keepdim=False)",), _arg_infer(name), _arg_eager(fn), None,
        Decompose(_arg_decompose(extreme)), _arg_samples, constant="positions", heavy=1 << 16,
        batch=lambda dims, x, *, dim=None, keepdim=False: _arg_batch(lookup(name), dims, x, dim, keepdim),
    ))  # fmt: skip


#: Position of the first largest element along `dim` (None: in the row-major whole).
argmax = _arg("argmax", np.argmax, amax)
#: Position of the first smallest element along `dim` (None: in the row-major whole).
argmin = _arg("argmin", np.argmin, amin)
