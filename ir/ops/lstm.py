"""All steps of an LSTM (Hochreiter and Schmidhuber 1997) as one call, and its gradient: see `recurrent`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from ..op import Decompose, Op, Sample, register
from ..types import TensorType, tensor
from .creation import zeros_like
from .linalg import matmul, swapped
from .pointwise import add, mul, sigmoid, sub, tanh
from .recurrent import (
    bend,
    by_weight,
    cases,
    check,
    constant,
    empty,
    like,
    logistic,
    part,
    refuse,
    step_of,
    through_ops,
    together,
)
from .reductions import converted, wide
from .shape import cat
from .transcendental import LOOSE


def _infer(gates: TensorType, h: TensorType, c: TensorType, w: TensorType) -> tuple[TensorType, ...]:
    check("lstm_steps", 4, gates, h, w, (c, h.shape))
    steps, batch, width = *gates.shape[:2], h.shape[1]
    every = tensor((steps, batch, width), gates.dtype)
    return like(gates, width), tensor((batch, width), gates.dtype), every, tensor(gates.shape, gates.dtype)


def _backward_infer(
    g: TensorType, gc: Any, gcells: Any, gacts: Any, c: TensorType, w: TensorType, cells: TensorType, acts: TensorType
) -> tuple[TensorType, ...]:
    every = (*acts.shape[:-1], c.shape[-1])
    check("lstm_steps_backward", 4, acts, c, w, (g, every), (cells, every), (gc, c.shape), (gcells, every), (gacts, acts.shape))
    state = tensor(c.shape, c.dtype)
    return like(g, acts.shape[2]), state, state


def _eager(gates: Any, h: Any, c: Any, w: Any) -> tuple[Any, ...]:
    n = refuse(4, gates, h, w, (c, h.shape))
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
    every = (*acts.shape[:2], c.shape[-1])
    n = refuse(4, acts, c, w, (g, every), (cells, every), (gc, c.shape), (gcells, every), (gacts, acts.shape))
    out = empty(g, 4 * n)
    dh, dc = np.zeros_like(c, order="C"), np.zeros_like(c, order="C") if gc is None else np.array(gc, order="C")
    for t in range(len(acts) - 1, -1, -1):
        i, f, new, o = (acts[t][:, k * n : (k + 1) * n] for k in range(4))
        before, top = cells[t - 1] if t else c, np.tanh(cells[t])
        dh = dh + g[t]
        dc = dc + dh * o * (1 - top * top) + (0 if gcells is None else gcells[t])
        into = np.concatenate((dc * new, dc * before, dc * i, dh * top), 1, out=out[t])
        into += 0 if gacts is None else gacts[t]
        into *= np.concatenate((i * (1 - i), f * (1 - f), 1 - new * new, o * (1 - o)), 1)
        dc = dc * f
        dh = np.matmul(into, w)
    return out, dh, dc


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


def _grad(g: Any, need: Any, out: Any, gates: Any, h: Any, c: Any, w: Any) -> tuple[Any, ...]:
    states, _, cells, acts = out
    reached = zeros_like(states) if g[0] is None else g[0]
    slopes, dh, dc = lstm_steps_backward(reached, *g[1:], c, w, cells, acts)
    return slopes, dh, dc, by_weight(slopes, h, states) if need[3] else None


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
    "lstm_steps_backward", (), _backward_infer, _backward_eager, through_ops(_backward_decompose), Decompose(_backward_decompose),
    _backward_samples, tolerance=LOOSE, autocast="low", heavy=True,
))  # fmt: skip
