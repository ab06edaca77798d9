"""Attention over keys: the softmax of scaled, masked scores times values, and its gradients, as composites to be claimed whole.

Scores are a tensor of queries x keys; a back end that claims these records never holds them whole. Half dtypes are computed in
float32 and rounded once. Rows that no key is open to give zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout
from ..op import Decompose, Op, Sample, register
from ..promote import type_of
from ..sizes import Size
from ..types import TensorType, tensor
from .casts import contiguous
from .compare import eq, ge, where
from .creation import arange, filled, made_by
from .declare import CLOSE, floats
from .linalg import matmul, swapped
from .pointwise import add, div, exp, log, mul, neg, sub
from .random import rand
from .reductions import amax, converted, sum, sum_to, wide
from .shape import inverse, permute, reshape, view

INF = float("inf")


# ---- types ---------------------------------------------------------------------------------------------------------------
def like_order(x: TensorType, shape: tuple[Size, ...]) -> TensorType:
    """The type of a result of `shape` that lies in memory in the order of `x`, so that what merges heads again is a view."""
    return layout.preserved(x.dtype, TensorType(shape, x.dtype, x.strides))


def _check(op: str, q: Any, k: Any, v: Any, mask: Any, state: Any, p: float) -> None:
    if any(not isinstance(t, TensorType) or t.dtype is not q.dtype or not t.dtype.is_floating_point for t in (q, k, v)):
        raise DTypeError(f"{op}: query, key and value must share one floating dtype, got {layout.describe(q, k, v)}")
    if min(q.ndim, k.ndim, v.ndim) < 2 or not (q.ndim == k.ndim == v.ndim):
        raise ShapeError(f"{op}: query, key and value must have as many dimensions, 2 at least, got {layout.describe(q, k, v)}")
    batch = all(layout.same_shape(q.shape[:-2], t.shape[:-2]) for t in (k, v))
    if not batch or not layout.same(q.shape[-1], k.shape[-1]) or not layout.same(k.shape[-2], v.shape[-2]):
        got = layout.describe(q, k, v)
        raise ShapeError(f"{op}: query (..., L, E), key (..., S, E) and value (..., S, Ev) expected, got {got}")
    if mask is not None:
        scores = (*q.shape[:-1], k.shape[-2])
        if not isinstance(mask, TensorType) or not (mask.dtype.kind == "b" or mask.dtype.is_floating_point):
            raise DTypeError(f"{op}: the mask must be of bool or floating dtype, got {layout.describe(mask)}")
        if not layout.same_shape(layout.broadcast_shapes(op, [scores, mask.shape], (q, k, mask)), scores):
            got = layout.describe(mask)
            raise ShapeError(f"{op}: the mask {got} does not broadcast to the scores of {layout.describe(q, k)}")
    if not 0 <= p <= 1 or (p > 0 and state is None):
        raise ValueError(f"{op}: the probability of dropout must be between 0 and 1, with a random state, got {p}")


def _infer(
    q: TensorType, k: TensorType, v: TensorType, mask: Any, state: Any, *, scale: float, is_causal: bool = False, p: float = 0.0
) -> tuple[TensorType, ...]:
    _check("scaled_dot_product_attention", q, k, v, mask, state, p)
    return like_order(q, (*q.shape[:-1], v.shape[-1])), tensor(q.shape[:-1], wide(q.dtype))


def _backward_infer(
    g: TensorType, q: TensorType, k: TensorType, v: TensorType, mask: Any, state: Any, delta: TensorType, lse: TensorType, *,
    scale: float, is_causal: bool = False, p: float = 0.0,
) -> tuple[TensorType, ...]:  # fmt: skip
    _check("attention_backward", q, k, v, mask, state, p)
    same = all(layout.same_shape(t.shape, q.shape[:-1]) and t.dtype is wide(q.dtype) for t in (delta, lse))
    if not same or not layout.same_shape(g.shape, (*q.shape[:-1], v.shape[-1])) or g.dtype is not q.dtype:
        raise ShapeError(f"attention_backward: {layout.describe(g, delta, lse)} do not fit {layout.describe(q, k, v)}")
    return like_order(q, q.shape), like_order(k, k.shape), like_order(v, v.shape)


# ---- in NumPy ------------------------------------------------------------------------------------------------------------
def _placed(x: Any, like: Any) -> Any:
    """A fresh result in the memory order of `like`."""
    wanted = like_order(layout.type_of_array(like), x.shape)
    return layout.conformed(x, tuple(s * x.itemsize for s in wanted.strides))


def _scores_eager(q: Any, k: Any, mask: Any, scale: float, is_causal: bool) -> Any:
    scores = np.matmul(q, k.swapaxes(-1, -2))
    scores *= q.dtype.type(scale)
    if is_causal:
        scores[..., ~np.tri(*scores.shape[-2:], dtype=np.bool_)] = -np.inf
    if mask is not None and mask.dtype.kind == "b":
        scores = np.where(mask, scores, scores.dtype.type(-np.inf))
    elif mask is not None:
        scores = scores + mask.astype(scores.dtype)
    return scores


def _dropped_eager(shape: tuple[int, ...], dtype: Any, state: Any, p: float) -> Any:
    """What each weight is multiplied by: 0 or 1 / (1 - p)."""
    keep = rand.eager(state, shape=shape, dtype=dtypes.float32) >= np.float32(p)
    return np.where(keep, dtype.type(_factor(p)), dtype.type(0))


def _factor(p: float) -> float:
    return 0.0 if p == 1 else 1 / (1 - p)


def _refuse_eager(q: Any, k: Any, v: Any) -> None:
    batch = q.shape[:-2] == k.shape[:-2] == v.shape[:-2]
    if any(x.dtype != q.dtype or x.dtype.kind != "f" or x.ndim < 2 for x in (q, k, v)) or not batch:
        raise TypeError("floating arrays with the same batch expected")


def _eager(
    q: Any, k: Any, v: Any, mask: Any, state: Any, *, scale: float, is_causal: bool = False, p: float = 0.0
) -> tuple[Any, Any]:
    _refuse_eager(q, k, v)
    if not 0 <= p <= 1 or (p > 0 and state is None):
        raise ValueError("the probability of dropout must be between 0 and 1")
    weights = _scores_eager(q, k, mask, scale, is_causal)
    shift = weights.max(-1, keepdims=True, initial=-np.inf)
    shift = np.where(shift == -np.inf, 0, shift)
    weights -= shift
    np.exp(weights, out=weights)
    total = weights.sum(-1, keepdims=True)
    lse = np.where(total == 0, np.inf, shift + np.log(total))[..., 0]
    weights /= np.where(total == 0, 1, total)
    if p > 0:
        weights = weights * _dropped_eager(weights.shape, weights.dtype, state, p)
    return _placed(np.matmul(weights, v), q), np.ascontiguousarray(lse.astype(q.dtype))


def _backward_eager(
    g: Any, q: Any, k: Any, v: Any, mask: Any, state: Any, delta: Any, lse: Any, *, scale: float, is_causal: bool = False,
    p: float = 0.0,
) -> tuple[Any, ...]:  # fmt: skip
    _refuse_eager(q, k, v)
    if g.shape != (*q.shape[:-1], v.shape[-1]) or delta.shape != q.shape[:-1]:
        raise TypeError("a gradient of the result's shape expected")
    weights = np.exp(_scores_eager(q, k, mask, scale, is_causal) - lse[..., None].astype(q.dtype))
    away = np.matmul(g, v.swapaxes(-1, -2))
    kept = weights
    if p > 0:
        dropped = _dropped_eager(weights.shape, weights.dtype, state, p)
        away *= dropped
        kept = weights * dropped
    dv = np.matmul(kept.swapaxes(-1, -2), g)
    away -= delta[..., None].astype(q.dtype)
    away *= weights
    away *= q.dtype.type(scale)
    made = np.matmul(away, k), np.matmul(away.swapaxes(-1, -2), q), dv
    return tuple(_placed(x, like) for x, like in zip(made, (q, k, v), strict=True))


# ---- in ops --------------------------------------------------------------------------------------------------------------
def full_type(x: Any) -> TensorType:
    found = type_of(x).strides
    return TensorType(tuple(x.shape), x.dtype, tuple(found() if callable(found) else found))


def in_order(x: Any, like: TensorType) -> Any:
    """`x` in the memory order of `like`."""
    steps, rest = like_order(like, tuple(x.shape)).strides, list(range(x.ndim))
    order: list[int] = []
    step: Size = 1
    while rest:  # from the dimension that walks memory in unit steps on; of equal ones the last
        d = next((d for d in reversed(rest) if layout.same(steps[d], step)), rest[-1])
        rest.remove(d)
        order.insert(0, d)
        step = step * x.shape[d]
    if order == list(range(x.ndim)) or any(layout.is_zero(n) for n in x.shape):
        return contiguous(x)
    return permute(contiguous(permute(x, dims=tuple(order))), dims=inverse(order))


def column(x: Any) -> Any:
    """One number a row, to be broadcast along the rows."""
    return reshape(x, (*x.shape, 1))


def along(x: Any) -> dict[str, Any]:
    return {"dim": (x.ndim - 1,), "keepdim": True}


def _scores(q: Any, k: Any, mask: Any, scale: float, is_causal: bool) -> Any:
    scores = mul(matmul(q, swapped(k)), scale)
    if is_causal:
        rows, keys = (made_by(q, arange, start=0, step=1, length=n, dtype=dtypes.int64) for n in scores.shape[-2:])
        scores = where(ge(view(rows, shape=(scores.shape[-2], 1)), keys), scores, -INF)
    if mask is not None:
        closed = mask.dtype.kind == "b"
        scores = where(mask, scores, -INF) if closed else add(scores, converted(mask, scores.dtype))
    return scores


def _dropped(weights: Any, state: Any, p: float) -> Any:
    """The weights times 0 or 1 / (1 - p)."""
    if not p > 0:
        return weights
    return where(ge(rand(state, shape=tuple(weights.shape), dtype=dtypes.float32), p), mul(weights, _factor(p)), 0.0)


def _decompose(
    q: Any, k: Any, v: Any, mask: Any, state: Any, *, scale: float, is_causal: bool = False, p: float = 0.0
) -> tuple[Any, Any]:
    dtype, to, like = q.dtype, wide(q.dtype), full_type(q)
    q, k, v = (converted(x, to) for x in (q, k, v))
    if layout.is_zero(k.shape[-2]):
        return in_order(filled(q, (*q.shape[:-1], v.shape[-1]), 0.0, dtype), like), filled(q, tuple(q.shape[:-1]), INF, to)
    scores = _scores(q, k, mask, scale, is_causal)
    top = amax(scores, **along(scores))
    shift = where(eq(top, -INF), 0.0, top)
    weights = exp(sub(scores, shift))
    total = sum(weights, **along(weights))
    none = eq(total, 0.0)
    lse = reshape(where(none, INF, add(shift, log(total))), tuple(q.shape[:-1]))
    weights = _dropped(div(weights, where(none, 1.0, total)), state, p)
    return in_order(converted(matmul(weights, v), dtype), like), lse


def _weights(q: Any, k: Any, mask: Any, lse: Any, scale: float, is_causal: bool) -> Any:
    """The softmax of the scores, from the logarithms of the sums of their exponentials."""
    return exp(sub(_scores(q, k, mask, scale, is_causal), column(lse)))


def _towards_scores(g: Any, v: Any, state: Any, delta: Any, weights: Any, p: float) -> Any:
    """The gradient of the scores."""
    return mul(weights, sub(_dropped(matmul(g, swapped(v)), state, p), column(delta)))


def _backward_decompose(
    g: Any, q: Any, k: Any, v: Any, mask: Any, state: Any, delta: Any, lse: Any, *, scale: float, is_causal: bool = False,
    p: float = 0.0,
) -> tuple[Any, ...]:  # fmt: skip
    dtype, to, likes = q.dtype, wide(q.dtype), [full_type(x) for x in (q, k, v)]
    g, q, k, v = (converted(x, to) for x in (g, q, k, v))
    weights = _weights(q, k, mask, lse, scale, is_causal)
    away = mul(_towards_scores(g, v, state, delta, weights, p), scale)
    dv = matmul(swapped(_dropped(weights, state, p)), g)
    made = matmul(away, k), matmul(swapped(away), q), dv
    return tuple(in_order(converted(x, dtype), like) for x, like in zip(made, likes, strict=True))


# ---- gradients -----------------------------------------------------------------------------------------------------------
def _grad(
    g: Any, need: Any, out: Any, q: Any, k: Any, v: Any, mask: Any, state: Any, *, scale: float, is_causal: bool = False,
    p: float = 0.0,
) -> tuple[Any, ...]:  # fmt: skip
    """With weights W = softmax(S), the gradient of S is W (g v' - delta), where delta is the row's sum of g v' W, which is that
    of g out; the gradient of the second result goes to S as W does."""
    (result, lse), to = out, wide(q.dtype)
    reached = filled(result, tuple(result.shape), 0.0, q.dtype) if g[0] is None else g[0]
    wg = converted(reached, to)
    delta = sum(mul(wg, converted(result, to)), dim=(q.ndim - 1,), keepdim=False)
    delta = delta if g[1] is None else sub(delta, g[1])
    grads: tuple[Any, ...] = (None, None, None)
    if any(need[:3]):
        grads = attention_backward(reached, q, k, v, mask, state, delta, lse, scale=scale, is_causal=is_causal, p=p)
    away = None
    if need[3]:
        weights = _weights(converted(q, to), converted(k, to), mask, lse, scale, is_causal)
        away = _towards_scores(wg, converted(v, to), state, delta, weights, p)
        away = converted(sum_to(away, shape=tuple(mask.shape)), mask.dtype)
    return (*(x if needed else None for x, needed in zip(grads, need[:3], strict=True)), away, None)


def _backward_grad(
    grads: Any, need: Any, outs: Any, g: Any, q: Any, k: Any, v: Any, mask: Any, state: Any, delta: Any, lse: Any, *,
    scale: float, is_causal: bool = False, p: float = 0.0,
) -> tuple[Any, ...]:  # fmt: skip
    """With W = exp(S - lse), S = scale q k' + mask, C = dropped(g v') and A = W (C - delta):
    dq = scale A k, dk = scale A' q, dv = dropped(W)' g. Let tq, tk, tv be the gradients of these three."""
    dtype, to = q.dtype, wide(q.dtype)
    pairs = zip(grads, (q, k, v), strict=True)
    tq, tk, tv = (filled(x, tuple(x.shape), 0.0, to) if t is None else converted(t, to) for t, x in pairs)
    g, q, k, v = (converted(x, to) for x in (g, q, k, v))
    weights = _weights(q, k, mask, lse, scale, is_causal)
    centred = sub(_dropped(matmul(g, swapped(v)), state, p), column(delta))
    towards = mul(add(matmul(tq, swapped(k)), matmul(q, swapped(tk))), scale)  # gradient of A
    reached = mul(weights, towards)
    inner = _dropped(reached, state, p)  # of g v'
    score = mul(weights, add(mul(towards, centred), _dropped(matmul(g, swapped(tv)), state, p)))  # of S
    away = mul(mul(weights, centred), scale)
    by_mask = converted(sum_to(score, shape=tuple(mask.shape)), mask.dtype) if need[4] else None
    rows = {"dim": (q.ndim - 1,), "keepdim": False}
    made = (
        add(matmul(_dropped(weights, state, p), tv), matmul(inner, v)),
        add(matmul(away, tk), mul(matmul(score, k), scale)),
        add(matmul(swapped(away), tq), mul(matmul(swapped(score), q), scale)),
        matmul(swapped(inner), g),
    )
    cut = tuple(converted(x, dtype) if needed else None for x, needed in zip(made, need[:4], strict=True))
    return (*cut, by_mask, None, neg(sum(reached, **rows)), neg(sum(score, **rows)))


# ---- samples -------------------------------------------------------------------------------------------------------------
def _cases(rng: np.random.Generator) -> Iterator[Sample]:
    def qkv(*batch: int, rows: int = 5, keys: int = 6, width: int = 4, out: int = 3, dtype: Any = dtypes.float64) -> Any:
        shapes = (*batch, rows, width), (*batch, keys, width), (*batch, keys, out)
        return tuple(floats(rng, s, dtype) for s in shapes)

    def one(operands: Any, mask: Any = None, **attrs: Any) -> Sample:
        return Sample((*operands, mask, None), {"scale": 0.5, **attrs})

    for dtype in dtypes.FLOATING:
        yield one(qkv(2, 3, dtype=dtype), is_causal=True)
    yield one(qkv(2, 2))
    yield one(qkv())
    yield one(qkv(3), floats(rng, (5, 6), dtypes.float64))
    yield one(qkv(2, 2), rng.random((2, 1, 5, 6)) < 0.6)
    yield one(qkv(2), np.arange(5)[:, None] > np.arange(6))
    yield one(qkv(2, 1, rows=1, keys=7))
    yield one(qkv(1, 2, rows=19, keys=21, width=16, out=18, dtype=dtypes.float32), is_causal=True)
    wide_rows = floats(rng, (2, 5, 2, 12), dtypes.float64)
    yield one(tuple(x.transpose(0, 2, 1, 3) for x in np.split(wide_rows, 3, -1)), is_causal=True)
    yield one(qkv(2, keys=0))
    yield one(qkv(0, 2))
    yield Sample((*qkv(2, 2), None, np.array([77, 3], np.int64)), {"scale": 0.5, "p": 0.4, "is_causal": True})


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from _cases(rng)
    q, k, v = (floats(rng, (2, 4, 3), dtypes.float64) for _ in range(3))
    yield Sample((q, k[:, :, :2], v, None, None), {"scale": 1.0}, raises=ShapeError)
    yield Sample((q, k[:, :2], v, None, None), {"scale": 1.0}, raises=ShapeError)
    yield Sample((q, k, v.astype(np.float32), None, None), {"scale": 1.0}, raises=DTypeError)
    yield Sample((q, k, v, np.zeros((3, 4), np.bool_), None), {"scale": 1.0}, raises=ShapeError)


def _backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for case in _cases(rng):
        q, k, v, mask, state = case.operands
        g = floats(rng, (*q.shape[:-1], v.shape[-1]), dtypes.from_numpy(q.dtype))
        sums = np.float32 if q.dtype.itemsize == 2 else q.dtype
        delta = floats(rng, q.shape[:-1], dtypes.from_numpy(np.dtype(sums)), (-1, 1))
        with np.errstate(all="ignore"):
            wq, wk, wv = (x.astype(sums) for x in (q, k, v))
            lse = _eager(wq, wk, wv, mask, state, **case.attrs)[1]
        yield Sample((g, q, k, v, mask, state, delta, lse), case.attrs)
    q = floats(rng, (2, 4, 3), dtypes.float64)
    yield Sample((q[:1], q, q, q, None, None, q[..., 0], q[..., 0]), {"scale": 1.0}, raises=ShapeError)


LOOSE = {**CLOSE, "f32": (2e-5, 2e-5), "f64": (1e-12, 1e-12)}

#: softmax(scale q k' + mask) v over the last two dimensions, weights dropped with probability p, and per row the logarithm of
#: the sum of exponentials (infinite where no key is open). `mask`: True where open, or what is added. Public: eager/neural.py.
attention: Op = register(Op(
    "attention", (), _infer, _eager, _grad, Decompose(_decompose), _samples, tolerance=LOOSE, autocast="low",
    heavy=True,
))  # fmt: skip
#: The gradients of `attention` by query, key and value, from its second result and `delta` (see `_grad`).
attention_backward: Op = register(Op(
    "attention_backward", (), _backward_infer, _backward_eager, _backward_grad, Decompose(_backward_decompose),
    _backward_samples, tolerance=LOOSE, autocast="low", heavy=True,
))  # fmt: skip
