"""All steps of a GRU (Cho et al. 2014) and of a plain recurrent layer (Elman 1990) as one call each, and their gradients.

As `recurrent` has it: what the inputs add to the gates is given, sequences never meet, nothing grows with the number of steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout
from ..op import Decompose, Op, Sample, register
from ..types import TensorType, tensor
from .compare import gt, where
from .creation import zeros_like
from .declare import floats
from .linalg import matmul, swapped
from .pointwise import add, mul, relu, sigmoid, sub, tanh
from .recurrent import before_each, bend, cases, constant, empty, like, logistic, part, step_of, together
from .reductions import converted, sum_to, wide
from .shape import cat, reshape
from .through import gradients
from .transcendental import LOOSE


def _check(op: str, count: int, gates: Any, h: Any, w: Any, *more: tuple[Any, Any]) -> None:
    """The gates of `count` parts, the state, the weight; and (operand, shape that it is to have)."""
    given = [gates, h, w, *(x for x, _ in more if x is not None)]
    if any(not isinstance(t, TensorType) or t.dtype is not gates.dtype or not t.dtype.is_floating_point for t in given):
        raise DTypeError(f"{op}: all operands must share one floating dtype, got {layout.describe(*given)}")
    fits = gates.ndim == 3 and h.ndim == w.ndim == 2
    if fits:
        (_, batch, rows), width = gates.shape, h.shape[1]
        pairs = ((h, (batch, width)), (w, (rows, width)), *more)
        fits = layout.same(rows, count * width) and all(x is None or layout.same_shape(x.shape, s) for x, s in pairs)
    if not fits:
        wanted = f"gates (steps, batch, {count} * width), state (batch, width), weight ({count} * width, width)"
        raise ShapeError(f"{op}: {wanted} expected, and what fits them, got {layout.describe(*given)}")


def _refuse(count: int, gates: Any, h: Any, w: Any, *more: tuple[Any, Any]) -> int:
    """The width; TypeError for what `_check` refuses."""
    n = int(h.shape[-1])
    pairs = (h, (gates.shape[1], n)), (w, (gates.shape[2], n)), *more
    same = all(x is None or (x.dtype == gates.dtype and x.shape == s) for x, s in pairs)
    if not same or gates.ndim != 3 or gates.dtype.kind != "f" or gates.shape[2] != count * n:
        raise TypeError("gates, state and weight that fit expected")
    return n


def _rows(x: Any) -> Any:
    return reshape(x, (x.shape[0] * x.shape[1], x.shape[2]))


# ---- GRU -----------------------------------------------------------------------------------------------------------------
def _gru_infer(gates: TensorType, h: TensorType, w: TensorType, b: Any) -> tuple[TensorType, ...]:
    _check("gru_steps", 3, gates, h, w, (b, (gates.shape[-1],)))
    return like(gates, h.shape[1]), tensor((*gates.shape[:2], 4 * h.shape[1]), gates.dtype)


def _gru_eager(gates: Any, h: Any, w: Any, b: Any) -> tuple[Any, Any]:
    n = _refuse(3, gates, h, w, (b, (gates.shape[-1],)))
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


def _gru_decompose(gates: Any, h: Any, w: Any, b: Any) -> tuple[Any, Any]:
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


def _gru_backward_infer(
    g: TensorType, gacts: Any, h: TensorType, w: TensorType, states: TensorType, acts: TensorType
) -> tuple[TensorType, ...]:
    rows = tensor((*acts.shape[:-1], 3 * h.shape[-1]), acts.dtype) if acts.ndim == 3 else acts
    every = (*rows.shape[:-1], h.shape[-1])
    _check("gru_steps_backward", 3, rows, h, w, (g, every), (states, every), (acts, (*every[:-1], 4 * every[-1])),
           (gacts, acts.shape))  # fmt: skip
    return like(g, rows.shape[2]), like(g, rows.shape[2]), tensor(h.shape, h.dtype)


def _gru_backward_eager(g: Any, gacts: Any, h: Any, w: Any, states: Any, acts: Any) -> tuple[Any, ...]:
    n = _refuse(4, acts, h, np.empty((acts.shape[-1], h.shape[-1]), acts.dtype), (states, g.shape))
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


def _gru_backward_decompose(g: Any, gacts: Any, h: Any, w: Any, states: Any, acts: Any) -> tuple[Any, ...]:
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


def _gru_grad(g: Any, need: Any, out: Any, gates: Any, h: Any, w: Any, b: Any) -> tuple[Any, ...]:
    states, acts = out
    reached = zeros_like(states) if g[0] is None else g[0]
    slopes, own, dh = gru_steps_backward(reached, g[1], h, w, states, acts)
    by_weight = matmul(swapped(_rows(own)), _rows(before_each(h, states))) if need[2] else None
    return slopes, dh, by_weight, sum_to(own, shape=tuple(b.shape)) if need[3] else None


# ---- plain ---------------------------------------------------------------------------------------------------------------
def _rnn_infer(gates: TensorType, h: TensorType, w: TensorType, *, clipped: bool) -> tuple[TensorType]:
    _check("rnn_steps", 1, gates, h, w)
    return (like(gates, h.shape[1]),)


def _rnn_eager(gates: Any, h: Any, w: Any, *, clipped: bool) -> Any:
    n = _refuse(1, gates, h, w)
    made, turned = empty(gates, n), w.T
    for t in range(len(gates)):
        a = gates[t] + np.matmul(h, turned)
        h = (np.maximum(a, 0, out=made[t]) if clipped else np.tanh(a, out=made[t]))
    return made


def _rnn_decompose(gates: Any, h: Any, w: Any, *, clipped: bool) -> Any:
    to, dtype = wide(gates.dtype), gates.dtype
    gates, h, w = (converted(x, to) for x in (gates, h, w))
    states = []
    for t in range(constant(gates.shape[0])):
        h = (relu if clipped else tanh)(add(step_of(gates, t), matmul(h, swapped(w))))
        states.append(h)
    return converted(together(states, gates), dtype)


def _rnn_backward_infer(
    g: TensorType, h: TensorType, w: TensorType, states: TensorType, *, clipped: bool
) -> tuple[TensorType, ...]:
    _check("rnn_steps_backward", 1, states, h, w, (g, states.shape))
    return like(g, h.shape[1]), tensor(h.shape, h.dtype)


def _rnn_backward_eager(g: Any, h: Any, w: Any, states: Any, *, clipped: bool) -> tuple[Any, Any]:
    n = _refuse(1, states, h, w, (g, states.shape))
    slopes, dh = empty(g, n), np.zeros_like(h, order="C")
    for t in range(len(states) - 1, -1, -1):
        y = states[t]
        np.multiply(dh + g[t], (y > 0) if clipped else 1 - y * y, out=slopes[t])
        dh = np.matmul(slopes[t], w)
    return slopes, dh


def _rnn_backward_decompose(g: Any, h: Any, w: Any, states: Any, *, clipped: bool) -> tuple[Any, ...]:
    to, dtype = wide(states.dtype), states.dtype
    g, h, w, states = (converted(x, to) for x in (g, h, w, states))
    slopes, dh = [], zeros_like(h)
    for t in range(constant(states.shape[0]) - 1, -1, -1):
        y, reached = step_of(states, t), add(dh, step_of(g, t))
        slopes.append(where(gt(y, 0), reached, 0.0) if clipped else mul(reached, sub(1, mul(y, y))))
        dh = matmul(slopes[-1], w)
    return tuple(converted(x, dtype) for x in (together(slopes[::-1], states), dh))


def _rnn_grad(g: Any, need: Any, out: Any, gates: Any, h: Any, w: Any, *, clipped: bool) -> tuple[Any, ...]:
    slopes, dh = rnn_steps_backward(g, h, w, out, clipped=clipped)
    return slopes, dh, matmul(swapped(_rows(slopes)), _rows(before_each(h, out))) if need[2] else None


# ---- samples -------------------------------------------------------------------------------------------------------------
def _errors(rng: np.random.Generator, count: int, attrs: dict[str, Any], *rest: Any) -> Iterator[Sample]:
    gates, h, w = next(cases(rng, count, 1))
    yield Sample((gates[:, :1], h, w, *rest), attrs, raises=ShapeError)
    yield Sample((gates, h, w[:, 1:], *rest), attrs, raises=ShapeError)
    yield Sample((gates, h.astype(np.int64), w, *rest), attrs, raises=DTypeError)


def _gru_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for i, (gates, h, w) in enumerate(cases(rng, 3, 1)):
        yield Sample((gates, h, w, floats(rng, w.shape[:1], dtypes.float64).astype(w.dtype) if i % 3 else None))
    yield from _errors(rng, 3, {}, None)


def _gru_backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for gates, h, w in cases(rng, 3, 1):
        if h.shape[1] < 16 and gates.dtype.kind == "f" and gates.dtype.itemsize >= 4:
            states, acts = _gru_eager(gates, h, w, None)
            yield Sample((floats(rng, states.shape, dtypes.float64).astype(h.dtype), None, h, w, states, acts))
    yield Sample((states * 2, acts * 3, h, w, states, acts))
    yield Sample((states[:, :1], None, h, w, states, acts), raises=ShapeError)
    yield Sample((states, None, h, w.astype(np.float32), states, acts), raises=DTypeError)


def _rnn_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for i, case in enumerate(cases(rng, 1, 1)):
        yield Sample(case, {"clipped": i % 2 == 1})
    yield from _errors(rng, 1, {"clipped": False})


def _rnn_backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for i, (gates, h, w) in enumerate(cases(rng, 1, 1)):
        if h.shape[1] < 16 and gates.dtype.kind == "f" and gates.dtype.itemsize >= 4:
            states = _rnn_eager(gates, h, w, clipped=i % 2 == 1)
            states[states == 0] = -0.5  # off the corner, where there is no slope
            yield Sample((floats(rng, states.shape, dtypes.float64).astype(h.dtype), h, w, states), {"clipped": i % 2 == 1})
    yield Sample((states[:, :1], h, w, states), {"clipped": True}, raises=ShapeError)
    yield Sample((states, h, w.astype(np.float32), states), {"clipped": True}, raises=DTypeError)


def _through(decompose: Any) -> Any:
    def grad(grads: Any, need: Any, out: Any, *ins: Any, **attrs: Any) -> tuple[Any, ...]:
        return gradients(lambda *xs: decompose(*xs, **attrs), ins, need, grads)

    return grad


#: What the state h (batch, width) becomes over the steps of `gates` (steps, batch, 3 * width: reset, update, new); each step's
#: own part is ``h @ w.T + b``: (all h, for each step the three gates behind their functions and its own part of the new one).
#: Under autocast its state stays float32, as PyTorch's does.
gru_steps: Op = register(Op(
    "gru_steps", (), _gru_infer, _gru_eager, _gru_grad, Decompose(_gru_decompose), _gru_samples, tolerance=LOOSE, autocast="f32",
    heavy=True,
))  # fmt: skip
#: From the gradients of all h and, where there are any, of the other result: those of the gates, of each step's own part, of h.
gru_steps_backward: Op = register(Op(
    "gru_steps_backward", (), _gru_backward_infer, _gru_backward_eager, _through(_gru_backward_decompose),
    Decompose(_gru_backward_decompose), _gru_backward_samples, tolerance=LOOSE, autocast="f32", heavy=True,
))  # fmt: skip
#: All h = tanh(gates + h @ w.T), or `clipped` at zero from below in place of tanh.
rnn_steps: Op = register(Op(
    "rnn_steps", (), _rnn_infer, _rnn_eager, _rnn_grad, Decompose(_rnn_decompose), _rnn_samples, tolerance=LOOSE, autocast="low",
    heavy=True,
))  # fmt: skip
#: From the gradients of all h: those of the gates and of the first h.
rnn_steps_backward: Op = register(Op(
    "rnn_steps_backward", (), _rnn_backward_infer, _rnn_backward_eager, _through(_rnn_backward_decompose),
    Decompose(_rnn_backward_decompose), _rnn_backward_samples, tolerance=LOOSE, autocast="low", heavy=True,
))  # fmt: skip
