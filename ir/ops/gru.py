"""All steps of a GRU (Cho et al. 2014) as one call, and its gradient: see `recurrent`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes
from ..op import Decompose, Op, Sample, register
from ..types import TensorType, tensor
from .creation import zeros_like
from .declare import floats
from .linalg import matmul, swapped
from .pointwise import add, mul, sigmoid, sub, tanh
from .recurrent import (
    bend,
    by_weight,
    cases,
    check,
    constant,
    empty,
    errors,
    like,
    logistic,
    part,
    refuse,
    step_of,
    through_ops,
    together,
)
from .reductions import converted, sum_to, wide
from .shape import cat
from .transcendental import LOOSE


def _infer(gates: TensorType, h: TensorType, w: TensorType, b: Any) -> tuple[TensorType, ...]:
    check("gru_steps", 3, gates, h, w, (b, (gates.shape[-1],)))
    return like(gates, h.shape[1]), tensor((*gates.shape[:2], 4 * h.shape[1]), gates.dtype)


def _eager(gates: Any, h: Any, w: Any, b: Any) -> tuple[Any, Any]:
    n = refuse(3, gates, h, w, (b, (gates.shape[-1],)))
    made, acts, turned = empty(gates, n), np.empty((*gates.shape[:2], 4 * n), gates.dtype), w.T
    for t in range(len(gates)):
        own, g, a = np.matmul(h, turned), gates[t], acts[t]
        own = own if b is None else own + b
        np.add(g[:, : 2 * n], own[:, : 2 * n], out=a[:, : 2 * n])
        logistic(a[:, : 2 * n])
        a[:, 3 * n :] = own[:, 2 * n :]
        np.tanh(g[:, 2 * n :] + a[:, :n] * own[:, 2 * n :], out=a[:, 2 * n : 3 * n])
        new = a[:, 2 * n : 3 * n]
        h = np.add(new, a[:, n : 2 * n] * (h - new), out=made[t])
    return made, acts


def _decompose(gates: Any, h: Any, w: Any, b: Any) -> tuple[Any, Any]:
    to, dtype, width = wide(gates.dtype), gates.dtype, h.shape[1]
    gates, h, w, b = (None if x is None else converted(x, to) for x in (gates, h, w, b))
    states, acts = [], []
    for t in range(constant(gates.shape[0])):
        own, g = matmul(h, swapped(w)), step_of(gates, t)
        own = own if b is None else add(own, b)
        reset, update = (sigmoid(add(part(g, k, width), part(own, k, width))) for k in (0, 1))
        new = tanh(add(part(g, 2, width), mul(reset, part(own, 2, width))))
        h = add(new, mul(update, sub(h, new)))
        states.append(h)
        acts.append(cat(reset, update, new, part(own, 2, width), dim=1))
    made = together(states, part(gates, 0, width)), together(acts, _four(gates, width))
    return tuple(converted(x, dtype) for x in made)  # type: ignore[return-value]


def _four(gates: Any, width: Any) -> Any:
    return cat(gates, part(gates, 0, width), dim=2)


def _backward_infer(
    g: TensorType, gacts: Any, h: TensorType, w: TensorType, states: TensorType, acts: TensorType
) -> tuple[TensorType, ...]:
    rows = tensor((*acts.shape[:-1], 3 * h.shape[-1]), acts.dtype) if acts.ndim == 3 else acts
    every = (*rows.shape[:-1], h.shape[-1])
    check("gru_steps_backward", 3, rows, h, w, (g, every), (states, every), (acts, (*every[:-1], 4 * every[-1])),
           (gacts, acts.shape))  # fmt: skip
    return like(g, rows.shape[2]), like(g, rows.shape[2]), tensor(h.shape, h.dtype)


def _backward_eager(g: Any, gacts: Any, h: Any, w: Any, states: Any, acts: Any) -> tuple[Any, ...]:
    n = refuse(4, acts, h, np.empty((acts.shape[-1], h.shape[-1]), acts.dtype), (states, g.shape))
    if g.shape != (*acts.shape[:2], n) or g.dtype != acts.dtype or w.shape != (3 * n, n) or w.dtype != acts.dtype:
        raise TypeError("a gradient of the states' shape expected")
    slopes, own = empty(g, 3 * n), empty(g, 3 * n)
    dh = np.zeros_like(h, order="C")
    for t in range(len(acts) - 1, -1, -1):
        r, z, new, hidden = (acts[t][:, k * n : (k + 1) * n] for k in range(4))
        more = [0] * 4 if gacts is None else [gacts[t][:, k * n : (k + 1) * n] for k in range(4)]
        dh = dh + g[t]
        inner = (dh * (1 - z) + more[2]) * (1 - new * new)
        reset = (inner * hidden + more[0]) * r * (1 - r)
        update = (dh * ((states[t - 1] if t else h) - new) + more[1]) * z * (1 - z)
        np.concatenate((reset, update, inner), 1, out=slopes[t])
        np.concatenate((reset, update, inner * r + more[3]), 1, out=own[t])
        dh = dh * z + np.matmul(own[t], w)
    return slopes, own, dh


def _backward_decompose(g: Any, gacts: Any, h: Any, w: Any, states: Any, acts: Any) -> tuple[Any, ...]:
    to, dtype, n = wide(acts.dtype), acts.dtype, h.shape[1]
    g, gacts, h, w, states, acts = (None if x is None else converted(x, to) for x in (g, gacts, h, w, states, acts))
    slopes, own, dh = [], [], zeros_like(h)
    for t in range(constant(acts.shape[0]) - 1, -1, -1):
        r, z, new, hidden = (part(step_of(acts, t), k, n) for k in range(4))
        before = step_of(states, t - 1) if t else h
        dh = add(dh, step_of(g, t))
        towards = [mul(dh, sub(before, new)), mul(dh, sub(1, z))]
        if gacts is not None:
            towards = [add(x, part(step_of(gacts, t), k, n)) for k, x in enumerate(towards, 1)]
        inner = mul(towards[1], sub(1, mul(new, new)))
        reset, through = mul(inner, hidden), mul(inner, r)
        if gacts is not None:
            reset, through = (add(x, part(step_of(gacts, t), k, n)) for x, k in ((reset, 0), (through, 3)))
        reset, update = mul(reset, bend(r)), mul(towards[0], bend(z))
        slopes.append(cat(reset, update, inner, dim=1))
        own.append(cat(reset, update, through, dim=1))
        dh = add(mul(dh, z), matmul(own[-1], w))
    made = (together(x[::-1], part(acts, 0, 3 * n)) for x in (slopes, own))
    return tuple(converted(x, dtype) for x in (*made, dh))


def _grad(g: Any, need: Any, out: Any, gates: Any, h: Any, w: Any, b: Any) -> tuple[Any, ...]:
    states, acts = out
    reached = zeros_like(states) if g[0] is None else g[0]
    slopes, own, dh = gru_steps_backward(reached, g[1], h, w, states, acts)
    return slopes, dh, by_weight(own, h, states) if need[2] else None, sum_to(own, shape=tuple(b.shape)) if need[3] else None


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    for i, (gates, h, w) in enumerate(cases(rng, 3, 1)):
        yield Sample((gates, h, w, floats(rng, w.shape[:1], dtypes.float64).astype(w.dtype) if i % 3 else None))
    yield from errors(rng, 3, {}, None)


def _backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for gates, h, w in cases(rng, 3, 1):
        if h.shape[1] < 16 and gates.dtype.kind == "f" and gates.dtype.itemsize >= 4:
            states, acts = _eager(gates, h, w, None)
            yield Sample((floats(rng, states.shape, dtypes.float64).astype(h.dtype), None, h, w, states, acts))
    yield Sample((states * 2, acts * 3, h, w, states, acts))
    yield Sample((states[:, :1], None, h, w, states, acts), raises=ShapeError)
    yield Sample((states, None, h, w.astype(np.float32), states, acts), raises=DTypeError)


#: What the state h (batch, width) becomes over the steps of `gates` (steps, batch, 3 * width: reset, update, new); each step's
#: own part is ``h @ w.T + b``: (all h, for each step the three gates behind their functions and its own part of the new one).
#: Under autocast its state stays float32, as PyTorch's does.
gru_steps: Op = register(Op(
    "gru_steps", (), _infer, _eager, _grad, Decompose(_decompose), _samples, tolerance=LOOSE, autocast="f32",
    heavy=True,
))  # fmt: skip
#: From the gradients of all h and, where there are any, of the other result: those of the gates, of each step's own part, of h.
gru_steps_backward: Op = register(Op(
    "gru_steps_backward", (), _backward_infer, _backward_eager, through_ops(_backward_decompose),
    Decompose(_backward_decompose), _backward_samples, tolerance=LOOSE, autocast="f32", heavy=True,
))  # fmt: skip
