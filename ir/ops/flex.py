"""Attention with a function of each score: softmax(score(scale q k')) v where a mask function says that a key is open.

Both functions are bodies (`ir.body`) on a score and on the numbers of its batch, head, query and key; what they read of other
tensors are further operands. A back end that claims these records never holds the scores whole; as ops they are computed for
some rows at a time. Half dtypes are computed in float32 and rounded once. Rows without an open key give zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import body as bodies
from .. import dtypes, layout
from ..op import Decompose, Op, Sample, register
from ..types import TensorType, tensor
from .attention import INF, LOOSE, along, column, full_type, in_order, like_order
from .compare import eq, where
from .creation import arange, filled, made_by
from .declare import floats
from .linalg import matmul, swapped
from .pointwise import add, div, exp, log, mul, sub
from .reductions import amax, converted, sum, sum_to, wide
from .shape import cat, expand, reshape, slice_, view
from .through import gradients

#: Operands before those that the functions read: query, key, value, then the eight tensors of a block mask or None: for each
#: block of queries the number and the numbers of the blocks of keys with closed keys, of those without; the same turned round.
FRONT = 11
#: Scores that are held at once where the sizes are known.
_MOST = 1 << 22
_RANK = 4
_NONE = ((), None)


# ---- types ---------------------------------------------------------------------------------------------------------------
def _check(op: str, q: Any, k: Any, v: Any) -> None:
    if any(not isinstance(t, TensorType) or t.dtype is not q.dtype or not t.dtype.is_floating_point for t in (q, k, v)):
        raise DTypeError(f"{op}: query, key and value must share one floating dtype, got {layout.describe(q, k, v)}")
    fits = all(t.ndim == _RANK for t in (q, k, v)) and layout.same_shape(k.shape[:3], v.shape[:3])
    if fits:
        batch = layout.same(q.shape[0], k.shape[0]) or layout.is_constant_one(k.shape[0])
        heads = isinstance(q.shape[1], int) and isinstance(k.shape[1], int) and k.shape[1] and q.shape[1] % k.shape[1] == 0
        fits = batch and bool(heads or layout.same(q.shape[1], k.shape[1])) and layout.same(q.shape[3], k.shape[3])
    if not fits:
        got = layout.describe(q, k, v)
        raise ShapeError(f"{op}: query (B, Hq, L, E), key (B, Hkv, S, E) and value (B, Hkv, S, Ev) expected, got {got}")


def _infer(q: Any, k: Any, v: Any, *rest: Any, **attrs: Any) -> tuple[TensorType, ...]:
    _check("flex_attention", q, k, v)
    return like_order(q, (*q.shape[:-1], v.shape[-1])), tensor(q.shape[:-1], wide(q.dtype)), tensor(q.shape[:-1], wide(q.dtype))


def _backward_infer(g: Any, delta: Any, lse: Any, q: Any, k: Any, v: Any, *rest: Any, wanted: Any = (), **attrs: Any) -> Any:
    _check("flex_attention_backward", q, k, v)
    if not layout.same_shape(g.shape, (*q.shape[:-1], v.shape[-1])) or not layout.same_shape(lse.shape, q.shape[:-1]):
        raise ShapeError(f"flex_attention_backward: {layout.describe(g, delta, lse)} do not fit {layout.describe(q, k, v)}")
    own = [rest[FRONT - 3 + i] for i in wanted]
    return (*(like_order(x, x.shape) for x in (q, k, v)), *(tensor(x.shape, x.dtype) for x in own))


# ---- in ops --------------------------------------------------------------------------------------------------------------
def _rows(q: Any, k: Any) -> list[tuple[int, Any]]:
    """(first row, number of rows) of the pieces in which scores are computed."""
    sizes = (*q.shape[:3], k.shape[2])
    if not all(isinstance(n, int) for n in sizes):
        return [(0, sizes[2])]
    batch, heads, rows, keys = sizes
    step = max(16, min(rows, _MOST // max(1, batch * heads * keys)), -(-rows // 16))
    return [(i, min(step, rows - i)) for i in range(0, max(rows, 1), step)]


def _cut(x: Any, first: int, count: Any, dim: int = 2) -> Any:
    """Some rows of `x`."""
    if first == 0 and layout.same(x.shape[dim], count):
        return x
    return slice_(x, dim=dim, start=first, stop=first + count, step=1)


def _grouped(x: Any, heads: Any) -> Any:
    """The rows of the heads of queries that share a head of keys, one below the other."""
    if layout.same(x.shape[1], heads):
        return x
    return reshape(x, (x.shape[0], heads, x.shape[1] // heads * x.shape[2], x.shape[3]))


def _numbers(like: Any, count: Any, dim: int, first: int = 0) -> Any:
    """`first` and on along `dim`."""
    made = made_by(like, arange, start=first, step=1, length=count, dtype=dtypes.int64)
    return view(made, shape=(*(1,) * dim, count, *(1,) * (_RANK - 1 - dim)))


class _Block:
    """The scores of some rows, and what the functions make of them."""

    def __init__(self, q: Any, k: Any, captured: Any, first: int, attrs: dict[str, Any]) -> None:
        self.shape = (*q.shape[:3], k.shape[2])
        self.score, self.mask = bodies.of(attrs.get("score", _NONE)), bodies.of(attrs.get("mask", _NONE))
        heads = k.shape[1]
        raw = mul(matmul(_grouped(q, heads), swapped(k)), attrs["scale"])
        self.env: dict[str, Any] = {f"c{i}": x for i, x in enumerate(captured)}
        self.env["score"] = reshape(raw, self.shape)
        firsts = {"q": first}
        for dim, name in enumerate(("b", "h", "q", "kv")):
            self.env[name] = _numbers(q, self.shape[dim], dim, firsts.get(name, 0))
        self.made = bodies.run(self.score, self.env, q, _RANK) if self.score.result is not None else self.env
        self.open = None
        if self.mask.result is not None:
            self.open = _value(bodies.run(self.mask, self.env, q, _RANK), self.mask.result, q)

    def masked(self) -> Any:
        """The scores, minus infinity where a key is closed."""
        to = self.env["score"].dtype
        result = "score" if self.score.result is None else self.score.result
        scores = converted(_value(self.made, result, self.env["score"]), to)
        if tuple(scores.shape) != self.shape:
            scores = expand(scores, shape=self.shape)
        return scores if self.open is None else where(self.open, scores, -INF)

    def pulled(self, away: Any, wanted: Any) -> dict[str, Any]:
        """The gradients of scores and of what is wanted of the operands from outside, by name."""
        away = away if self.open is None else where(self.open, away, 0.0)
        if self.score.result is None:
            return {"score": away}
        names = {"score", *(f"c{i}" for i in wanted)}
        return bodies.pull(self.score, self.made, away, names.__contains__, _RANK)


def _value(made: dict[str, Any], name: Any, like: Any) -> Any:
    if isinstance(name, str):
        return made[name]
    kind = dtypes.bool_ if isinstance(name, bool) else dtypes.int64 if isinstance(name, int) else like.dtype
    return filled(like, (1,) * _RANK, name, kind)


def _joined(parts: list[Any], dim: int = 2) -> Any:
    return parts[0] if len(parts) == 1 else cat(*parts, dim=dim)


def _decompose(q: Any, k: Any, v: Any, *rest: Any, **attrs: Any) -> tuple[Any, ...]:
    dtype, to, like, captured = q.dtype, wide(q.dtype), full_type(q), rest[FRONT - 3 :]
    shape = (*q.shape[:-1], v.shape[-1])
    if layout.is_zero(k.shape[2]) or any(layout.is_zero(n) for n in q.shape[:3]):
        none = filled(q, tuple(q.shape[:-1]), -INF, to)
        return in_order(filled(q, shape, 0.0, dtype), like), none, none
    q, k, v = (converted(x, to) for x in (q, k, v))
    outs, sums, tops = [], [], []
    for first, count in _rows(q, k):
        rows = _cut(q, first, count)
        scores = _Block(rows, k, captured, first, attrs).masked()
        top = amax(scores, **along(scores))
        shift = where(eq(top, -INF), 0.0, top)
        weights = exp(sub(scores, shift))
        total = sum(weights, **along(weights))
        none = eq(total, 0.0)
        sums.append(reshape(where(none, -INF, add(shift, log(total))), tuple(rows.shape[:-1])))
        tops.append(reshape(top, tuple(rows.shape[:-1])))
        weights = div(weights, where(none, 1.0, total))
        outs.append(reshape(matmul(_grouped(weights, k.shape[1]), v), (*rows.shape[:-1], v.shape[-1])))
    return in_order(converted(_joined(outs), dtype), like), _joined(sums), _joined(tops)


def _backward_decompose(
    g: Any, delta: Any, lse: Any, q: Any, k: Any, v: Any, *rest: Any, wanted: Any = (), **attrs: Any
) -> tuple[Any, ...]:
    dtype, to, likes, captured = q.dtype, wide(q.dtype), [full_type(x) for x in (q, k, v)], rest[FRONT - 3 :]
    own = [captured[i] for i in wanted]
    if layout.is_zero(k.shape[2]) or any(layout.is_zero(n) for n in q.shape[:3]):
        zeros = [in_order(filled(x, tuple(x.shape), 0.0, dtype), like) for x, like in zip((q, k, v), likes, strict=True)]
        return (*zeros, *(filled(x, tuple(x.shape), 0.0, x.dtype) for x in own))
    g, q, k, v = (converted(x, to) for x in (g, q, k, v))
    heads = k.shape[1]
    dq: list[Any] = []
    total: dict[str, Any] = {}

    def more(name: str, x: Any) -> None:
        total[name] = add(total[name], x) if name in total else x

    for first, count in _rows(q, k):
        rows, gs = _cut(q, first, count), _cut(g, first, count)
        block = _Block(rows, k, captured, first, attrs)
        sums = column(_cut(lse, first, count))
        weights = exp(sub(block.masked(), where(eq(sums, -INF), INF, sums)))
        reached = reshape(matmul(_grouped(gs, heads), swapped(v)), tuple(weights.shape))
        away = mul(weights, sub(reached, column(_cut(delta, first, count))))
        pulled = block.pulled(away, wanted)
        if "score" in pulled:
            towards = _grouped(mul(pulled["score"], attrs["scale"]), heads)
            dq.append(reshape(matmul(towards, k), tuple(rows.shape)))
            more("k", matmul(swapped(towards), _grouped(rows, heads)))
        else:
            dq.append(filled(rows, tuple(rows.shape), 0.0))
        more("v", matmul(swapped(_grouped(weights, heads)), _grouped(gs, heads)))
        for i in wanted:
            if f"c{i}" in pulled:
                more(f"c{i}", pulled[f"c{i}"])
    made = _joined(dq), total.get("k", filled(k, tuple(k.shape), 0.0)), total["v"]
    summed = [x if tuple(x.shape) == like.shape else sum_to(x, shape=like.shape) for x, like in zip(made, likes, strict=True)]
    cut = [in_order(converted(x, dtype), like) for x, like in zip(summed, likes, strict=True)]
    return (*cut, *(total.get(f"c{i}", filled(captured[i], tuple(captured[i].shape), 0.0)) for i in wanted))


# ---- in NumPy ------------------------------------------------------------------------------------------------------------
def _eager(*operands: Any, **attrs: Any) -> tuple[Any, ...]:
    return tuple([x.value for x in _decompose(*map(bodies.array, operands), **attrs)])


def _backward_eager(*operands: Any, **attrs: Any) -> tuple[Any, ...]:
    return tuple([x.value for x in _backward_decompose(*map(bodies.array, operands), **attrs)])


# ---- gradients -----------------------------------------------------------------------------------------------------------
def _grad(g: Any, need: Any, out: Any, q: Any, k: Any, v: Any, *rest: Any, **attrs: Any) -> tuple[Any, ...]:
    """As that of `attention`; the gradient of the scores goes on through the function of each score."""
    (result, lse, _), to = out, wide(q.dtype)
    reached = filled(result, tuple(result.shape), 0.0, q.dtype) if g[0] is None else g[0]
    delta = sum(mul(converted(reached, to), converted(result, to)), dim=(_RANK - 1,), keepdim=False)
    delta = delta if g[1] is None else sub(delta, g[1])
    wanted = tuple(i for i in range(len(rest) - FRONT + 3) if need[FRONT + i])
    made = flex_attention_backward(reached, delta, lse, q, k, v, *rest, wanted=wanted, **attrs)
    grads: list[Any] = [x if needed else None for x, needed in zip(made[:3], need[:3], strict=True)] + [None] * (len(rest))
    for i, x in zip(wanted, made[3:], strict=True):
        grads[FRONT + i] = x
    if g[2] is not None:
        more = _of_largest(g[2], need, (q, k, v, *rest), attrs)
        grads = [a if b is None else b if a is None else add(a, b) for a, b in zip(grads, more, strict=True)]
    return tuple(grads)


def _of_largest(g: Any, need: Any, operands: Any, attrs: Any) -> tuple[Any, ...]:
    """The gradients that the largest scores of rows send."""
    return gradients(lambda *xs: _decompose(*xs, **attrs), operands, need, (None, None, g))


def _backward_grad(g: Any, need: Any, out: Any, *operands: Any, **attrs: Any) -> tuple[Any, ...]:
    """That of the ops that the record stands for: second derivatives hold all scores."""
    return gradients(lambda *xs: _backward_decompose(*xs, **attrs), operands, need, g)


# ---- samples -------------------------------------------------------------------------------------------------------------
#: score + slope[h] * (kv - q)
ALIBI = ((("sub", ("kv", "q"), ()), ("load", ("c0", "h"), ()), ("mul", ("1", "0"), ()), ("add", ("score", "2"), ())), "3")
#: q >= kv
CAUSAL = ((("ge", ("q", "kv"), ()),), "0")
#: document[q] == document[kv], document being operand 1
DOCUMENT = ((("load", ("c1", "q"), ()), ("load", ("c1", "kv"), ()), ("eq", ("0", "1"), ())), "2")
#: 5 tanh(score / 5)
CAPPED = ((("div", ("score", 5.0), ()), ("tanh", ("0",), ()), ("mul", ("1", 5.0), ())), "2")


def _cases(rng: np.random.Generator) -> Iterator[Sample]:
    def one(dtype: Any, captured: Any = (), heads: int = 2, width: int = 4, keys: int = 6, **attrs: Any) -> Sample:
        shapes = (2, 2, 5, width), (2, heads, keys, width), (2, heads, keys, 3)
        qkv = tuple(floats(rng, s, dtype) for s in shapes)
        return Sample((*qkv, *(None,) * (FRONT - 3), *captured), {"scale": 0.5, **attrs})

    def slopes(dtype: Any) -> Any:
        return floats(rng, (2,), dtype), np.array([0, 0, 1, 1, 2, 2])

    for dtype in dtypes.FLOATING:
        yield one(dtype, mask=CAUSAL)
    yield one(dtypes.float64, slopes(dtypes.float64), score=ALIBI, mask=DOCUMENT)
    yield one(dtypes.float32, slopes(dtypes.float32), heads=1, score=ALIBI)
    yield one(dtypes.float64, score=CAPPED)
    yield one(dtypes.float64, keys=0)
    heads = floats(rng, (2, 5, 2, 12), dtypes.float64)
    apart = tuple(x.transpose(0, 2, 1, 3) for x in np.split(heads, 3, -1))
    yield Sample((*apart, *(None,) * (FRONT - 3)), {"scale": 0.5, "mask": CAUSAL}, note="heads within rows")


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from _cases(rng)
    q, k = (floats(rng, s, dtypes.float64) for s in ((1, 2, 3, 4), (1, 2, 3, 5)))
    yield Sample((q, k, q, *(None,) * (FRONT - 3)), {"scale": 1.0}, raises=ShapeError)
    yield Sample((q, q, q.astype(np.float32), *(None,) * (FRONT - 3)), {"scale": 1.0}, raises=DTypeError)


def _backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for case in _cases(rng):
        q, _, v, *_ = case.operands
        to = np.float32 if q.dtype.itemsize == 2 else q.dtype
        with np.errstate(all="ignore"):
            wide_ones = [x if x is None or x.dtype != q.dtype else x.astype(to) for x in case.operands]
            lse = _eager(*wide_ones, **case.attrs)[1]
        g = floats(rng, (*q.shape[:-1], v.shape[-1]), dtypes.from_numpy(q.dtype))
        delta = floats(rng, q.shape[:-1], dtypes.from_numpy(np.dtype(to)), (-1, 1))
        wanted = (0,) if "score" in case.attrs and len(case.operands) > FRONT else ()
        yield Sample((g, delta, lse, *case.operands), {**case.attrs, "wanted": wanted})
    q, row = floats(rng, (1, 2, 3, 4), dtypes.float64), floats(rng, (1, 2, 3), dtypes.float64)
    yield Sample((q[..., :2], row, row, q, q, q, *(None,) * (FRONT - 3)), {"scale": 1.0}, raises=ShapeError)


#: softmax(score(scale q k')) v where the mask is true, per row the logarithm of the sum of exponentials (minus infinity where
#: no key is open) and the largest score. Public: nn/attention/flex_attention.py.
flex_attention: Op = register(Op(
    "flex_attention", (), _infer, _eager, _grad, Decompose(_decompose), _samples, tolerance=LOOSE, autocast="low", heavy=True,
))  # fmt: skip
#: The gradients of `flex_attention` by query, key, value and the operands `wanted` of those that its functions read.
flex_attention_backward: Op = register(Op(
    "flex_attention_backward", (), _backward_infer, _backward_eager, _backward_grad, Decompose(_backward_decompose),
    _backward_samples, tolerance=LOOSE, autocast="low", heavy=True,
))  # fmt: skip
