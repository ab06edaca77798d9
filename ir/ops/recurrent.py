"""All steps of a recurrent layer as one call: the LSTM of Hochreiter and Schmidhuber (1997), and its gradient.

What each step's inputs add to the gates is given; a step adds the product of the state before it. Sequences of a batch never
meet, and no graph grows with the number of steps. Half dtypes are computed in float32 and rounded once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout
from ..op import Decompose, Op, Sample, register
from ..types import TensorType, tensor
from .creation import zeros_like
from .declare import floats
from .linalg import matmul, swapped
from .pointwise import add, mul, sigmoid, sub, tanh
from .reductions import converted, wide
from .shape import cat, reshape, slice_
from .through import gradients
from .transcendental import LOOSE


# ---- types ---------------------------------------------------------------------------------------------------------------
def _check(op: str, gates: Any, h: Any, c: Any, w: Any, *more: Any) -> None:
    given = (gates, h, c, w, *more)
    if any(not isinstance(t, TensorType) or t.dtype is not gates.dtype or not t.dtype.is_floating_point for t in given):
        raise DTypeError(f"{op}: all operands must share one floating dtype, got {layout.describe(*given)}")
    fits = gates.ndim == 3 and h.ndim == c.ndim == w.ndim == 2
    if fits:
        (_, batch, rows), width = gates.shape, h.shape[1]
        state = all(layout.same_shape(t.shape, (batch, width)) for t in (h, c))
        fits = state and layout.same_shape(w.shape, (rows, width)) and layout.same(rows, 4 * width)
    if not fits:
        wanted = "gates (steps, batch, 4 * width), states (batch, width), weight (4 * width, width)"
        raise ShapeError(f"{op}: {wanted} expected, got {layout.describe(gates, h, c, w)}")


def like(x: TensorType, width: Any) -> TensorType:
    """Rows of `width` for all steps, in memory in the order of `x`: what turned the batch to the front turns it back."""
    return layout.preserved(x.dtype, TensorType((*x.shape[:2], width), x.dtype, x.strides))


def _infer(gates: TensorType, h: TensorType, c: TensorType, w: TensorType) -> tuple[TensorType, ...]:
    _check("lstm_steps", gates, h, c, w)
    steps, batch, width = *gates.shape[:2], h.shape[1]
    every = tensor((steps, batch, width), gates.dtype)
    return like(gates, width), tensor((batch, width), gates.dtype), every, tensor(gates.shape, gates.dtype)


def _backward_infer(
    g: TensorType, gc: Any, gcells: Any, gacts: Any, c: TensorType, w: TensorType, cells: TensorType, acts: TensorType
) -> tuple[TensorType, ...]:
    given = [t for t in (gc, gcells, gacts) if t is not None]
    _check("lstm_steps_backward", acts, c, c, w, g, cells, *given)
    every = (*acts.shape[:2], c.shape[1])
    wanted = (g, every), (cells, every), (gc, c.shape), (gcells, every), (gacts, acts.shape)
    if not all(t is None or layout.same_shape(t.shape, s) for t, s in wanted):
        raise ShapeError(f"lstm_steps_backward: {layout.describe(g, *given, c, w, cells, acts)} do not fit each other")
    state = tensor(c.shape, c.dtype)
    return like(g, acts.shape[2]), state, state


# ---- in NumPy ------------------------------------------------------------------------------------------------------------
def _refuse(gates: Any, h: Any, c: Any, w: Any) -> int:
    """The width; TypeError for what `_check` refuses."""
    width = int(h.shape[-1])
    same = all(x.dtype == gates.dtype and x.dtype.kind == "f" for x in (h, c, w))
    shapes = gates.ndim == 3 and h.shape == c.shape == (gates.shape[1], width) and w.shape == (gates.shape[2], width)
    if not same or not shapes or gates.shape[2] != 4 * width:
        raise TypeError("gates, states and weight that fit expected")
    return width


def empty(x: Any, width: int) -> Any:
    """What `like` says, uninitialised."""
    strides = tuple(s * x.itemsize for s in like(layout.type_of_array(x), width).strides)
    return layout.conformed(np.empty((*x.shape[:2], width), x.dtype), strides)


def logistic(x: Any) -> None:
    """1 / (1 + exp(-x)) in place."""
    np.negative(x, out=x)
    np.exp(x, out=x)
    x += 1
    np.reciprocal(x, out=x)


def _eager(gates: Any, h: Any, c: Any, w: Any) -> tuple[Any, ...]:
    n = _refuse(gates, h, c, w)
    steps, batch = gates.shape[:2]
    made = empty(gates, n)
    cells, acts, turned = np.empty((steps, batch, n), gates.dtype), np.empty(gates.shape, gates.dtype), w.T
    for t in range(steps):
        a = acts[t]
        np.add(gates[t], np.matmul(h, turned), out=a)
        logistic(a[:, : 2 * n])
        np.tanh(a[:, 2 * n : 3 * n], out=a[:, 2 * n : 3 * n])
        logistic(a[:, 3 * n :])
        np.multiply(a[:, n : 2 * n], c, out=cells[t])
        cells[t] += a[:, :n] * a[:, 2 * n : 3 * n]
        c = cells[t]
        h = np.multiply(a[:, 3 * n :], np.tanh(c), out=made[t])
    return made, np.array(c, order="C"), cells, acts


def _backward_eager(g: Any, gc: Any, gcells: Any, gacts: Any, c: Any, w: Any, cells: Any, acts: Any) -> tuple[Any, ...]:
    n = _refuse(acts, c, c, w)
    if not g.shape == cells.shape == (*acts.shape[:2], n) or g.dtype != cells.dtype:
        raise TypeError("a gradient of the states' shape expected")
    out = empty(g, 4 * n)
    dh, dc = np.zeros_like(c, order="C"), np.zeros_like(c, order="C") if gc is None else np.array(gc, order="C")
    for t in range(len(acts) - 1, -1, -1):
        i, f, new, o = (acts[t][:, k * n : (k + 1) * n] for k in range(4))
        before, top = cells[t - 1] if t else c, np.tanh(cells[t])
        dh = dh + g[t]
        dc = dc + dh * o * (1 - top * top) + (0 if gcells is None else gcells[t])
        into = np.concatenate((dc * new, dc * before, dc * i, dh * top), 1, out=out[t])
        into += 0 if gacts is None else gacts[t]
        for part, slope in enumerate((i * (1 - i), f * (1 - f), 1 - new * new, o * (1 - o))):
            into[:, part * n : (part + 1) * n] *= slope
        dc = dc * f
        dh = np.matmul(into, w)
    return out, dh, dc


# ---- in ops --------------------------------------------------------------------------------------------------------------
def step_of(x: Any, t: int) -> Any:
    """Step number `t` of all."""
    return reshape(slice_(x, dim=0, start=t, stop=t + 1, step=1), tuple(x.shape[1:]))


def part(x: Any, k: int, width: Any) -> Any:
    """Part number `k` of the columns, which hold parts of that width."""
    return slice_(x, dim=x.ndim - 1, start=k * width, stop=(k + 1) * width, step=1)


def constant(steps: Any) -> int:
    """The number of steps, each of which becomes ops of its own."""
    if not isinstance(steps, int):
        raise ShapeError(f"lstm_steps: written as ops it needs a constant number of steps, not {steps}")
    return steps


def together(parts: Sequence[Any], otherwise: Any) -> Any:
    """All steps along a new first dimension; where there is none, no rows of `otherwise`."""
    if not parts:
        return slice_(otherwise, dim=0, start=0, stop=0, step=1)
    return cat(*[reshape(p, (1, *p.shape)) for p in parts], dim=0)


def _decompose(gates: Any, h: Any, c: Any, w: Any) -> tuple[Any, ...]:
    to, dtype, width = wide(gates.dtype), gates.dtype, h.shape[1]
    gates, h, c, w = (converted(x, to) for x in (gates, h, c, w))
    states, cells, acts = list[Any](), list[Any](), list[Any]()
    for t in range(constant(gates.shape[0])):
        a = add(step_of(gates, t), matmul(h, swapped(w)))
        i, f, o = (sigmoid(part(a, k, width)) for k in (0, 1, 3))
        new = tanh(part(a, 2, width))
        c = add(mul(f, c), mul(i, new))
        h = mul(o, tanh(c))
        for every, one in ((states, h), (cells, c), (acts, cat(i, f, new, o, dim=1))):
            every.append(one)
    narrow = part(gates, 0, width)
    made = together(states, narrow), c, together(cells, narrow), together(acts, gates)
    return tuple(converted(x, dtype) for x in made)


def _backward_decompose(
    g: Any, gc: Any, gcells: Any, gacts: Any, c: Any, w: Any, cells: Any, acts: Any
) -> tuple[Any, ...]:
    to, dtype, width = wide(acts.dtype), acts.dtype, c.shape[1]
    given = (g, gc, gcells, gacts, c, w, cells, acts)
    g, gc, gcells, gacts, c, w, cells, acts = (None if x is None else converted(x, to) for x in given)
    made, dh, dc = [], zeros_like(c), zeros_like(c) if gc is None else gc
    for t in range(constant(acts.shape[0]) - 1, -1, -1):
        i, f, new, o = (part(step_of(acts, t), k, width) for k in range(4))
        before, top = step_of(cells, t - 1) if t else c, tanh(step_of(cells, t))
        dh = add(dh, step_of(g, t))
        dc = add(dc, mul(mul(dh, o), sub(1, mul(top, top))))
        dc = dc if gcells is None else add(dc, step_of(gcells, t))
        into = cat(mul(dc, new), mul(dc, before), mul(dc, i), mul(dh, top), dim=1)
        into = into if gacts is None else add(into, step_of(gacts, t))
        into = mul(into, cat(bend(i), bend(f), sub(1, mul(new, new)), bend(o), dim=1))
        made.append(into)
        dc, dh = mul(dc, f), matmul(into, w)
    return tuple(converted(x, dtype) for x in (together(made[::-1], acts), dh, dc))


def bend(y: Any) -> Any:
    """The slope of a sigmoid whose value is `y`."""
    return mul(y, sub(1, y))


# ---- gradients -----------------------------------------------------------------------------------------------------------
def _grad(g: Any, need: Any, out: Any, gates: Any, h: Any, c: Any, w: Any) -> tuple[Any, ...]:
    states, _, cells, acts = out
    reached = zeros_like(states) if g[0] is None else g[0]
    slopes, dh, dc = lstm_steps_backward(reached, *g[1:], c, w, cells, acts)
    return slopes, dh, dc, _by_weight(slopes, h, states) if need[3] else None


def _by_weight(slopes: Any, h: Any, states: Any) -> Any:
    """The gradient of the weight: of each step, the gates' times the state before it."""
    rows = states.shape[0] * states.shape[1]
    earlier = before_each(h, states)
    return matmul(swapped(reshape(slopes, (rows, slopes.shape[2]))), reshape(earlier, (rows, states.shape[2])))


def before_each(h: Any, states: Any) -> Any:
    """The state before each step: the first one, then all of `states` but the last."""
    if layout.is_zero(states.shape[0]):
        return states
    return cat(reshape(h, (1, *h.shape)), slice_(states, dim=0, start=0, stop=states.shape[0] - 1, step=1), dim=0)


def _backward_grad(grads: Any, need: Any, out: Any, *ins: Any) -> tuple[Any, ...]:
    return gradients(_backward_decompose, ins, need, grads)


# ---- samples -------------------------------------------------------------------------------------------------------------
def cases(rng: np.random.Generator, count: int = 4, states: int = 2) -> Iterator[tuple[Any, ...]]:
    """Gates, `states` states and weights of cells with `count` gates."""

    def one(steps: int, batch: int, width: int, dtype: Any = dtypes.float64) -> Any:
        shapes = (steps, batch, count * width), *[(batch, width)] * states, (count * width, width)
        return tuple((floats(rng, s, dtypes.float64) / 2).astype(dtype.np) for s in shapes)

    for dtype in dtypes.FLOATING:
        yield one(3, 2, 5, dtype)
    for steps, batch, width in ((1, 1, 1), (2, 3, 16), (2, 0, 3)):
        yield one(steps, batch, width)
    yield one(2, 9, 19, dtypes.float32)
    gates, *rest = one(3, 2, 4)
    yield (np.ascontiguousarray(gates.swapaxes(0, 1)).swapaxes(0, 1), *rest)


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    for case in cases(rng):
        yield Sample(case)
    gates, h, c, w = next(cases(rng))
    yield Sample((gates[:, :, 1:], h, c, w), raises=ShapeError)
    yield Sample((gates, h[:1], c, w), raises=ShapeError)
    yield Sample((gates, h, c, w.T), raises=ShapeError)
    yield Sample((gates, h.astype(np.int64), c, w), raises=DTypeError)


def _backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for gates, h, c, w in cases(rng):
        if h.shape[1] < 16 and gates.dtype.kind == "f" and gates.dtype.itemsize >= 4:
            _, last, cells, acts = _eager(gates, h, c, w)
            g = rng.standard_normal(cells.shape).astype(gates.dtype)
            yield Sample((g, None, None, None, c, w, cells, acts))
            last = rng.standard_normal(last.shape).astype(gates.dtype)
            yield Sample((np.asfortranarray(g), last, None, None, c, w, cells, acts), note="strided")
    gates, h, c, w = (x.astype(np.float64) for x in next(cases(rng)))
    _, _, cells, acts = _eager(gates, h, c, w)
    yield Sample((cells, c, cells * 2, acts * 3, c, w, cells, acts))
    yield Sample((cells[:, :1], None, None, None, c, w, cells, acts), raises=ShapeError)
    yield Sample((cells, None, None, acts[:1], c, w, cells, acts), raises=ShapeError)
    yield Sample((cells, None, None, None, c, w.astype(np.float32), cells, acts), raises=DTypeError)


#: What the states h (batch, width) and cells c become over the steps of `gates` (steps, batch, 4 * width: input, forget, new,
#: output), each of which gets h @ w.T more: (all h, last c, all c, all gates behind their functions).
lstm_steps: Op = register(Op(
    "lstm_steps", (), _infer, _eager, _grad, Decompose(_decompose), _samples, tolerance=LOOSE, autocast="low", heavy=True,
))  # fmt: skip
#: From the gradients of all h and, where there are any, of the other results: those of the gates, the first h and the first c.
lstm_steps_backward: Op = register(Op(
    "lstm_steps_backward", (), _backward_infer, _backward_eager, _backward_grad, Decompose(_backward_decompose),
    _backward_samples, tolerance=LOOSE, autocast="low", heavy=True,
))  # fmt: skip
