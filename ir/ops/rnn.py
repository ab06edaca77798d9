"""All steps of a plain recurrent layer (Elman 1990) as one call, and its gradient: see `recurrent`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes
from ..op import Decompose, Op, Sample, register
from ..types import TensorType, tensor
from .compare import gt, where
from .creation import zeros_like
from .declare import floats
from .linalg import matmul, swapped
from .pointwise import add, mul, relu, sub, tanh
from .recurrent import by_weight, cases, check, constant, empty, errors, like, refuse, step_of, through_ops, together
from .reductions import converted, wide
from .transcendental import LOOSE


def _infer(gates: TensorType, h: TensorType, w: TensorType, *, clipped: bool) -> tuple[TensorType]:
    check("rnn_steps", 1, gates, h, w)
    return (like(gates, h.shape[1]),)


def _eager(gates: Any, h: Any, w: Any, *, clipped: bool) -> Any:
    n = refuse(1, gates, h, w)
    made, turned = empty(gates, n), w.T
    for t in range(len(gates)):
        a = gates[t] + np.matmul(h, turned)
        h = (np.maximum(a, 0, out=made[t]) if clipped else np.tanh(a, out=made[t]))
    return made


def _decompose(gates: Any, h: Any, w: Any, *, clipped: bool) -> Any:
    to, dtype = wide(gates.dtype), gates.dtype
    gates, h, w = (converted(x, to) for x in (gates, h, w))
    states = []
    for t in range(constant(gates.shape[0])):
        h = (relu if clipped else tanh)(add(step_of(gates, t), matmul(h, swapped(w))))
        states.append(h)
    return converted(together(states, gates), dtype)


def _backward_infer(
    g: TensorType, h: TensorType, w: TensorType, states: TensorType, *, clipped: bool
) -> tuple[TensorType, ...]:
    check("rnn_steps_backward", 1, states, h, w, (g, states.shape))
    return like(g, h.shape[1]), tensor(h.shape, h.dtype)


def _backward_eager(g: Any, h: Any, w: Any, states: Any, *, clipped: bool) -> tuple[Any, Any]:
    n = refuse(1, states, h, w, (g, states.shape))
    slopes, dh = empty(g, n), np.zeros_like(h, order="C")
    for t in range(len(states) - 1, -1, -1):
        y = states[t]
        np.multiply(dh + g[t], (y > 0) if clipped else 1 - y * y, out=slopes[t])
        dh = np.matmul(slopes[t], w)
    return slopes, dh


def _backward_decompose(g: Any, h: Any, w: Any, states: Any, *, clipped: bool) -> tuple[Any, ...]:
    to, dtype = wide(states.dtype), states.dtype
    g, h, w, states = (converted(x, to) for x in (g, h, w, states))
    slopes, dh = [], zeros_like(h)
    for t in range(constant(states.shape[0]) - 1, -1, -1):
        y, reached = step_of(states, t), add(dh, step_of(g, t))
        slopes.append(where(gt(y, 0), reached, 0.0) if clipped else mul(reached, sub(1, mul(y, y))))
        dh = matmul(slopes[-1], w)
    return tuple(converted(x, dtype) for x in (together(slopes[::-1], states), dh))


def _grad(g: Any, need: Any, out: Any, gates: Any, h: Any, w: Any, *, clipped: bool) -> tuple[Any, ...]:
    slopes, dh = rnn_steps_backward(g, h, w, out, clipped=clipped)
    return slopes, dh, by_weight(slopes, h, out) if need[2] else None


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    for i, case in enumerate(cases(rng, 1, 1)):
        yield Sample(case, {"clipped": i % 2 == 1})
    yield from errors(rng, 1, {"clipped": False})


def _backward_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for i, (gates, h, w) in enumerate(cases(rng, 1, 1)):
        if h.shape[1] < 16 and gates.dtype.kind == "f" and gates.dtype.itemsize >= 4:
            states = _eager(gates, h, w, clipped=i % 2 == 1)
            states[states == 0] = -0.5  # off the corner, where there is no slope
            yield Sample((floats(rng, states.shape, dtypes.float64).astype(h.dtype), h, w, states), {"clipped": i % 2 == 1})
    yield Sample((states[:, :1], h, w, states), {"clipped": True}, raises=ShapeError)
    yield Sample((states, h, w.astype(np.float32), states), {"clipped": True}, raises=DTypeError)


#: All h = tanh(gates + h @ w.T), or `clipped` at zero from below in place of tanh.
rnn_steps: Op = register(Op(
    "rnn_steps", (), _infer, _eager, _grad, Decompose(_decompose), _samples, tolerance=LOOSE, autocast="low",
    heavy=True,
))  # fmt: skip
#: From the gradients of all h: those of the gates and of the first h.
rnn_steps_backward: Op = register(Op(
    "rnn_steps_backward", (), _backward_infer, _backward_eager, through_ops(_backward_decompose),
    Decompose(_backward_decompose), _backward_samples, tolerance=LOOSE, autocast="low", heavy=True,
))  # fmt: skip
