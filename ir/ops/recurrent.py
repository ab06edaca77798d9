"""What the records of recurrent layers have in common: all steps of a layer are one call.

What each step's inputs add to the gates is given; a step adds the product of the state before it. Sequences of a batch never
meet, and no graph grows with the number of steps. Half dtypes are computed in float32 and rounded once. Declares no op.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout
from ..op import Sample
from ..types import TensorType
from .declare import floats
from .linalg import matmul, swapped
from .pointwise import mul, sub
from .shape import cat, reshape, slice_
from .through import gradients


def check(op: str, count: int, gates: Any, h: Any, w: Any, *more: tuple[Any, Any]) -> None:
    """DTypeError or ShapeError unless the gates of `count` parts, the state, the weight and each (operand, shape that it is to
    have) fit each other."""
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


def like(x: TensorType, width: Any) -> TensorType:
    """Rows of `width` for all steps, in memory in the order of `x`: what turned the batch to the front turns it back."""
    return layout.preserved(x.dtype, TensorType((*x.shape[:2], width), x.dtype, x.strides))


def refuse(count: int, gates: Any, h: Any, w: Any, *more: tuple[Any, Any]) -> int:
    """The width; TypeError for what `check` refuses."""
    n = int(h.shape[-1])
    pairs = (h, (gates.shape[1], n)), (w, (gates.shape[2], n)), *more
    same = all(x is None or (x.dtype == gates.dtype and x.shape == s) for x, s in pairs)
    if not same or gates.ndim != 3 or gates.dtype.kind != "f" or gates.shape[2] != count * n:
        raise TypeError("gates, state and weight that fit expected")
    return n


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


def step_of(x: Any, t: int) -> Any:
    """Step number `t` of all."""
    return reshape(slice_(x, dim=0, start=t, stop=t + 1, step=1), tuple(x.shape[1:]))


def part(x: Any, k: int, width: Any) -> Any:
    """Part number `k` of the columns, which hold parts of that width."""
    return slice_(x, dim=x.ndim - 1, start=k * width, stop=(k + 1) * width, step=1)


def constant(steps: Any) -> int:
    """The number of steps, each of which becomes ops of its own."""
    if not isinstance(steps, int):
        raise ShapeError(f"a recurrent layer written as ops needs a constant number of steps, not {steps}")
    return steps


def together(parts: Sequence[Any], otherwise: Any) -> Any:
    """All steps along a new first dimension; where there is none, no rows of `otherwise`."""
    if not parts:
        return slice_(otherwise, dim=0, start=0, stop=0, step=1)
    return cat(*[reshape(p, (1, *p.shape)) for p in parts], dim=0)


def bend(y: Any) -> Any:
    """The slope of a sigmoid whose value is `y`."""
    return mul(y, sub(1, y))


def rows_of(x: Any) -> Any:
    """All steps' rows, one below the other."""
    return reshape(x, (x.shape[0] * x.shape[1], x.shape[2]))


def before_each(h: Any, states: Any) -> Any:
    """The state before each step: the first one, then all of `states` but the last."""
    if layout.is_zero(states.shape[0]):
        return states
    return cat(reshape(h, (1, *h.shape)), slice_(states, dim=0, start=0, stop=states.shape[0] - 1, step=1), dim=0)


def by_weight(slopes: Any, h: Any, states: Any) -> Any:
    """The gradient of the weight: of each step, that of the gates (`slopes`) times the state before it."""
    return matmul(swapped(rows_of(slopes)), rows_of(before_each(h, states)))


def through_ops(decompose: Any) -> Any:
    """The gradient rule of an op that `decompose` writes in other ops."""
    def grad(grads: Any, need: Any, out: Any, *ins: Any, **attrs: Any) -> tuple[Any, ...]:
        return gradients(lambda *xs: decompose(*xs, **attrs), ins, need, grads)

    return grad


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


def errors(rng: np.random.Generator, count: int, attrs: dict[str, Any], *rest: Any) -> Iterator[Sample]:
    """Calls of a cell with one state that do not fit, `rest` being its further operands."""
    gates, h, w = next(cases(rng, count, 1))
    yield Sample((gates[:, :1], h, w, *rest), attrs, raises=ShapeError)
    yield Sample((gates, h, w[:, 1:], *rest), attrs, raises=ShapeError)
    yield Sample((gates, h.astype(np.int64), w, *rest), attrs, raises=DTypeError)
