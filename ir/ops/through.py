"""Gradients of a function written in op calls, by the rules of the ops it calls: for records whose gradient is that of their
decomposition. Works on whatever op calls take: Tensors, graph Values. Knows no op by name but sums and casts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..op import Op
from ..promote import type_of
from .casts import cast
from .creation import zeros_like
from .pointwise import add
from .reductions import sum_to


class _Followed:
    """A value whose op calls are noted in `tape`. `wanted`: it follows from an operand whose gradient is asked for."""

    __slots__ = ("dtype", "shape", "tape", "type", "value", "wanted")

    def __init__(self, value: Any, tape: list[Any], wanted: bool) -> None:
        self.value, self.tape, self.wanted = value, tape, wanted
        self.dtype, self.shape, self.type = value.dtype, tuple(value.shape), type_of(value)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __apply_op__(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        ins = tuple([_plain(x) for x in operands])
        made = type(self.value).__apply_op__(self.value, op, ins, attrs)
        wanted = any(isinstance(x, _Followed) and x.wanted for x in operands)
        outs = [_Followed(r, self.tape, wanted) for r in (made if isinstance(made, tuple) else (made,))]
        if wanted and op.grad is not None:
            self.tape.append((op, operands, attrs, made, outs))
        return tuple(outs) if isinstance(made, tuple) else outs[0]


def _plain(x: Any) -> Any:
    return x.value if isinstance(x, _Followed) else x


def gradients(
    fn: Callable[..., tuple[Any, ...]], ins: Sequence[Any], need: Sequence[bool], grads: Sequence[Any]
) -> tuple[Any, ...]:
    """For each of `ins` (tensors, numbers, None) the sum over the results of `fn(*ins)` of what their gradients `grads` (None:
    zero) send to it; None where `need` is false."""
    tape: list[Any] = []
    followed = [_Followed(x, tape, bool(n)) if hasattr(x, "shape") else x for x, n in zip(ins, need, strict=True)]
    arrived: dict[int, Any] = {}

    def send(x: Any, g: Any) -> None:
        if g is None or not isinstance(x, _Followed) or not x.wanted:
            return
        g = g if tuple(g.shape) == x.shape else sum_to(g, shape=x.shape)
        g = g if g.dtype is x.dtype else cast(g, dtype=x.dtype)
        arrived[id(x)] = g if id(x) not in arrived else add(arrived[id(x)], g)

    for x, g in zip(fn(*followed), grads, strict=True):
        send(x, g)
    for op, operands, attrs, made, outs in reversed(tape):
        found = tuple([arrived.pop(id(r), None) for r in outs])
        if all(g is None for g in found):
            continue
        mask = tuple([isinstance(x, _Followed) and x.wanted for x in operands])
        given = (found, made) if isinstance(made, tuple) else (found[0], made)
        for x, g in zip(operands, op.grad(given[0], mask, given[1], *map(_plain, operands), **attrs), strict=True):
            send(x, g)
    wanted = [x if n and isinstance(x, _Followed) else None for x, n in zip(followed, need, strict=True)]
    return tuple([None if x is None else arrived[id(x)] if id(x) in arrived else zeros_like(x.value) for x in wanted])
