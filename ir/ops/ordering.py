"""Order along one dimension: argsort, the positions of the largest elements, choices by weight. All run as NumPy steps.

NaN counts as the largest number, and equal elements keep their order, so that results never hang on the algorithm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout
from ..op import Effects, Extern, Op, Sample, register
from ..types import TensorType, tensor
from .declare import floats
from .reductions import row_major
from .shape import front

_SORTS = "kernel IR has no loop whose length hangs on comparisons, as sorting needs"


def _check_dim(op: str, x: TensorType, dim: int) -> None:
    if not 0 <= dim < x.ndim:
        raise ShapeError(f"{op}: dim {dim} does not fit {layout.describe(x)}")


def _argsort_infer(x: TensorType, *, dim: int, descending: bool = False) -> tuple[TensorType]:
    _check_dim("argsort", x, dim)
    return (tensor(x.shape, dtypes.int64),)


#: elements below which NumPy's own stable sort is quicker
_FEW = 512
#: elements of rows whose keys are made and sorted together
_BLOCK = 1 << 15
#: elements of which the extreme one is found first, where few of many are wanted
_LINE = 8
_LOW = np.uint64(0xFFFFFFFF)


def _keys(x: Any, descending: bool) -> Any:
    """A uint64 for each element: its rank in the upper half, its position along the last dimension in the lower. Equal elements
    differ in their positions alone, so that any sort of them, NumPy's vectorised ones too, is a stable sort of `x`. None where
    the dtype is too wide for that."""
    kind, size = x.dtype.kind, x.dtype.itemsize
    if size > 4 and kind in "iu" and x.size:
        low = x.min()
        if int(x.max()) - int(low) >> 32:
            return None
        rank = (x - low).astype(np.uint32)
    elif size > 4 or kind not in "iufb":
        return None
    elif kind == "f":
        bits = (x.astype(np.float32) + np.float32(0)).view(np.int32)  # -0 is 0
        rank = np.where(bits < 0, ~bits, bits | np.int32(-(1 << 31))).view(np.uint32)
        rank[x != x] = 0xFFFFFFFF
    else:
        rank = x.astype(np.uint32) if kind != "i" else (x.astype(np.int32) ^ np.int32(-(1 << 31))).view(np.uint32)
    keys = (~rank if descending else rank).astype(np.uint64, order="C")
    keys <<= np.uint64(32)
    keys |= np.arange(x.shape[-1], dtype=np.uint64)
    return keys


def _stable(x: Any, descending: bool) -> Any:
    """Positions along the last dimension in order, by a sort that keeps equal elements in theirs."""
    if not descending:
        return np.argsort(x, -1, kind="stable")
    return x.shape[-1] - 1 - np.argsort(x[..., ::-1], -1, kind="stable")[..., ::-1]


def _by_blocks(order: Any, x: Any, count: int, down: bool) -> Any:
    """``order(rows, count, down)`` of a few rows of `x` at a time, whose keys stay in a cache."""
    n = x.shape[-1]
    out = np.empty((*x.shape[:-1], count), np.int64)
    rows, flat = x.reshape(-1, n), out.reshape(-1, count)
    step = max(1, _BLOCK // n)
    for first in range(0, len(rows), step):
        flat[first : first + step] = order(rows[first : first + step], count, down)
    return out


def _order(x: Any, count: int, descending: bool) -> Any:
    """The first `count` positions of `_stable`, in a fraction of its time where there are many elements."""
    if x.size < _FEW or x.shape[-1] >> 32:
        return _stable(x, descending)[..., :count]
    if x.size >= 2 * _BLOCK and x.ndim > 1 and x.shape[-1] < _BLOCK and count:
        return _by_blocks(_order, x, count, descending)
    keys = _keys(x, descending)
    if keys is not None:
        keys = np.partition(keys, count - 1, -1)[..., :count] if 0 < 4 * count < x.shape[-1] else keys
        keys.sort(axis=-1)
        return (keys[..., :count] & _LOW).astype(np.int64)
    found = np.argsort(x, -1)
    ordered = np.take_along_axis(x, found, -1)
    if (ordered[..., 1:] == ordered[..., :-1]).any() or (ordered[..., -1:] != ordered[..., -1:]).any():
        return _stable(x, descending)[..., :count]  # equal elements, or NaN: their order counts
    return (found[..., ::-1] if descending else found)[..., :count]


def _argsort_eager(x: Any, *, dim: int, descending: bool = False) -> Any:
    if not 0 <= dim < x.ndim:
        raise ValueError("no such dimension")
    last = x if dim == x.ndim - 1 else np.moveaxis(x, dim, -1)
    found = _order(last, x.shape[dim], descending)
    return row_major(found if last is x else np.moveaxis(found, -1, dim)).astype(np.int64, copy=False)


def _argsort_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (3, 5, 4), dtypes.float64)
    for dim in (0, 1, 2):
        yield Sample((x,), {"dim": dim, "descending": dim == 1})
    yield Sample((x.transpose(2, 0, 1),), {"dim": 1}, note="transposed")
    yield Sample((np.array([3, 1, 3, 2, 1], np.int16),), {"dim": 0}, note="equal elements")
    yield Sample((np.array([3, 1, 3, 2, 1], np.uint8),), {"dim": 0, "descending": True}, note="equal elements, downwards")
    yield Sample((np.array([1.0, np.nan, -np.inf, 5.0]),), {"dim": 0, "descending": True}, note="NaN is the largest")
    yield Sample((np.array([True, False, True]),), {"dim": 0})
    yield Sample((floats(rng, (2, 6), dtypes.bfloat16),), {"dim": 1})
    yield Sample((floats(rng, (0, 3)),), {"dim": 0})
    yield Sample((x,), {"dim": 3}, raises=ShapeError)


#: Positions along `dim` that put the elements in order. Public: argsort, sort.
argsort: Op = register(Op(
    "argsort", (), _argsort_infer, _argsort_eager, None, Extern(_SORTS), _argsort_samples, constant="positions",
    batch=lambda dims, x, *, dim, **attrs: argsort(front(x, dims[0]), dim=dim + 1, **attrs),
))  # fmt: skip


def _top_infer(x: TensorType, *, k: int, dim: int, largest: bool = True) -> tuple[TensorType]:
    _check_dim("topk", x, dim)
    n = x.shape[dim]
    if k < 0 or (isinstance(n, int) and k > n):
        raise ShapeError(f"selected index k out of range: k = {k} along dimension {dim} of {layout.describe(x)}")
    return (tensor((*x.shape[:dim], k, *x.shape[dim + 1 :]), dtypes.int64),)


def _top_eager(x: Any, *, k: int, dim: int, largest: bool = True) -> Any:
    if not (0 <= dim < x.ndim and 0 <= k <= x.shape[dim]):
        raise ValueError("k out of range")
    last = x if dim == x.ndim - 1 else np.moveaxis(x, dim, -1)
    few = 0 < 4 * k <= last.shape[-1] // _LINE and last.shape[-1] >= _FEW and x.dtype.kind in "uif"
    found = (_few if few else _order)(last, k, largest)
    return row_major(found if last is x else np.moveaxis(found, -1, dim)).astype(np.int64, copy=False)


def _few(x: Any, k: int, largest: bool) -> Any:
    """The first k positions of a stable sort along the last dimension, few of many: no less than k elements reach the k-th of
    the extremes of all groups, and hardly more do."""
    n = x.shape[-1]
    out = np.empty((*x.shape[:-1], k), np.int64)
    flat, rows = out.reshape(-1, k), x.reshape(-1, n)
    count = n // _LINE
    lines = rows[:, : count * _LINE].reshape(len(rows), _LINE, count)
    best = lines.max(1) if largest else lines.min(1)
    edges = np.partition(best, count - k if largest else k - 1, 1)[:, count - k if largest else k - 1]
    nan = (best != best).any(1) | (rows[:, count * _LINE :] != rows[:, count * _LINE :]).any(1)
    for r, row in enumerate(rows):
        near = (row >= edges[r] if largest else row <= edges[r]).nonzero()[0]
        odd = nan[r] or len(near) < k
        flat[r] = _order(row, k, largest) if odd else near[_stable(row[near], largest)[:k]]
    return out


def _top_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (3, 5, 4), dtypes.float64)
    for k, dim, largest in ((2, 0, True), (3, 1, False), (4, 2, True), (1, 1, True), (0, 1, True)):
        yield Sample((x,), {"k": k, "dim": dim, "largest": largest})
    wide = floats(rng, (3, 600), dtypes.float32)
    yield Sample((wide,), {"k": 5, "dim": 1, "largest": True}, note="few of many")
    yield Sample((wide.T,), {"k": 3, "dim": 0, "largest": False}, note="few of many, transposed")
    yield Sample((np.arange(600) % 4,), {"k": 7, "dim": 0, "largest": True}, note="ties")
    yield Sample((np.where(np.arange(600) % 3, np.nan, wide[0]),), {"k": 5, "dim": 0, "largest": True}, note="NaN is the largest")
    yield Sample((floats(rng, (2, 6), dtypes.float16),), {"k": 2, "dim": 1})
    yield Sample((x,), {"k": 6, "dim": 1}, raises=ShapeError)
    yield Sample((x,), {"k": 1, "dim": 3}, raises=ShapeError)


#: Positions of the k largest (or smallest) elements along `dim`, the most extreme first. Public: topk, kthvalue.
topk_index: Op = register(Op(
    "topk_index", (), _top_infer, _top_eager, None, Extern(_SORTS), _top_samples, constant="positions",
    batch=lambda dims, x, *, k, dim, **attrs: topk_index(front(x, dims[0]), k=k, dim=dim + 1, **attrs),
))  # fmt: skip


def _choose_infer(p: TensorType, u: TensorType, *, count: int, replacement: bool = False) -> tuple[TensorType]:
    if p.ndim not in (1, 2):
        raise ShapeError(f"prob_dist must be 1 or 2 dim, got {layout.describe(p, u)}")
    if not p.dtype.is_floating_point:
        raise DTypeError(f"multinomial only supports floating-point dtypes for input, got {layout.describe(p, u)}")
    n = p.shape[-1]
    wide: Any = count if by_sum(count, replacement) else n
    if u.dtype is not dtypes.float64 or not layout.same_shape(u.shape, (*p.shape[:-1], wide)):
        raise ShapeError(f"multinomial: float64 numbers of shape {[*p.shape[:-1], wide]} are needed, got {layout.describe(p, u)}")
    if count <= 0:
        raise ShapeError(f"cannot sample n_sample <= 0 samples: {count} from {layout.describe(p, u)}")
    if not replacement and isinstance(n, int) and count > n:
        raise ShapeError(f"cannot sample n_sample > prob_dist.size(-1) samples without replacement: {count} from "
                         f"{layout.describe(p, u)}")  # fmt: skip
    return (tensor((*p.shape[:-1], count), dtypes.int64),)


def by_sum(count: int, replacement: bool) -> bool:
    """Whether each choice takes one uniform number, which falls into a stretch of the running sum; else each weight takes one."""
    return replacement or count == 1


def _choose_eager(p: Any, u: Any, *, count: int, replacement: bool = False) -> Any:
    if p.ndim not in (1, 2) or p.dtype.kind != "f" or count <= 0 or (count > p.shape[-1] and not replacement):
        raise ValueError("weights in one row, or rows of them, expected")
    rows = p.reshape(math.prod(p.shape[:-1]), p.shape[-1]).astype(np.float64)
    draws = u.reshape(rows.shape[0], u.shape[-1])
    if not np.isfinite(rows).all() or (rows < 0).any():
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    sums = np.cumsum(rows, 1)
    if rows.size and not (sums[:, -1] > 0).all():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    if by_sum(count, replacement):
        last = rows.shape[1] - 1 - np.argmax(rows[:, ::-1] > 0, 1)
        found = [np.searchsorted(s, d * s[-1], "right") for s, d in zip(sums, draws, strict=True)]
        chosen = np.minimum(np.array(found, np.int64).reshape(draws.shape), last[:, None])
        return chosen.reshape(u.shape)
    if rows.size and ((rows > 0).sum(1) < count).any():
        raise RuntimeError(
            "invalid multinomial distribution (with replacement=False, not enough non-negative category to sample)"
        )
    race = rows / -np.log1p(-draws)  # exponential arrival times: who comes first is chosen first
    race[rows == 0] = -1
    return _top_eager(race, k=count, dim=1).reshape(*p.shape[:-1], count)


def _choose_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, count, replacement in (((6,), 1, False), ((3, 6), 2, False), ((3, 6), 9, True), ((1, 5), 5, False)):
        p = floats(rng, shape, dtypes.float32, (0.1, 2))
        u = rng.random((*shape[:-1], count if by_sum(count, replacement) else shape[-1]))
        yield Sample((p, u), {"count": count, "replacement": replacement})
    yield Sample((np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.5, 1 - 2**-53])), {"count": 3, "replacement": True}, note="zeros")
    yield Sample((floats(rng, (4,), dtypes.bfloat16, (1, 2)), rng.random((4,))), {"count": 3})
    p, u = floats(rng, (6, 3), dtypes.float32, (0.1, 2)), rng.random((3, 1))
    yield Sample((p.T, u), {"count": 1}, note="transposed")
    yield Sample((p[:0], rng.random((0, 2))), {"count": 2, "replacement": True}, note="empty")
    yield Sample((np.array([1.0, -1.0]), np.array([0.5])), {"count": 1}, raises=RuntimeError)
    yield Sample((np.array([0.0, 0.0]), np.array([0.5])), {"count": 1}, raises=RuntimeError)
    yield Sample((np.array([0.0, 1.0, 0.0]), rng.random((3,))), {"count": 2}, raises=RuntimeError)
    yield Sample((np.array([1, 2]), np.array([0.5])), {"count": 1}, raises=DTypeError)
    yield Sample((np.ones((2,)), rng.random((2,))), {"count": 3}, raises=ShapeError)
    yield Sample((np.ones((1, 1, 2)), rng.random((1, 1, 1))), {"count": 1}, raises=ShapeError)


#: `count` positions in each row of weights p, chosen by the uniform float64 numbers u. Public: multinomial.
choose: Op = register(Op(
    "choose", (), _choose_infer, _choose_eager, None,
    Extern("it ranks, and refuses weights by their values"), _choose_samples, constant="positions",
    effects=Effects(raises=(RuntimeError,)), looped="it refuses weights by their values, and says which row they are of",
))  # fmt: skip
