"""All steps of a recurrent layer of a plan as one call of our routine: which calls it takes, and its words. Writes no text."""

from __future__ import annotations

from typing import Any

from ...ir import dtypes
from ...ir import sizes as z
from ...ir.graph import Node, Value
from ...ir.ops.gru import gru_steps, gru_steps_backward
from ...ir.ops.lstm import lstm_steps, lstm_steps_backward
from ...ir.ops.rnn import rnn_steps, rnn_steps_backward
from ...ir.plan import BufferView, ExternStep, RoutineStep, Step
from ...ir.schedule_prepare import Claim, Claims
from ...ir.sizes import Size

#: Columns of a panel of the weight: as many as the widest strip of `attention_tile` has.
PANEL = 64
#: Sequences of one part at least: each packs the weight anew.
ROWS = 16
#: Words of sizes before the strides.
NUMBERS = ("steps", "batch", "width")
#: Strides of each pointer argument, in elements: of steps, of sequences.
STRIDES = 2


def step(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> Step:
    """The step of a forward or backward call."""
    cell, _, half = node.op.name.partition("_steps")
    weight, rare = _CELLS[node.op]
    views = [v for v in (*args, *results) if v is not None]
    if any(args[i] is not None for i in rare) or any(v.type.dtype is not dtypes.float32 or not _unit(v.type) for v in views):
        return ExternStep(node.op, args, node.attrs, results)
    steps, batch = results[0].type.shape[:2]
    rows, width = args[weight].type.shape
    words: list[Size] = [steps, batch, width]
    for view in (*args, *results):
        words += [0] * STRIDES if view is None else [0, 0, *view.type.strides][-3:-1]
    panels = z.floordiv((width if half else rows) + PANEL - 1, PANEL)
    scratch = 4 * (PANEL * panels * (rows if half else width) + (batch * rows if cell == "gru" and not half else 0))
    name = f"recurrent {cell} {'backward' if half else 'forward'}{' clipped' if node.attrs.get('clipped') else ''}"
    return RoutineStep(
        name, args, results, tuple(words), scratch=scratch, parts=z.floordiv(batch + ROWS - 1, ROWS),
        work=steps * batch * rows * (width + 48),
    )  # fmt: skip


def _unit(t: Any) -> bool:
    """Whether the elements of a row lie side by side."""
    last, count = t.strides[-1], t.shape[-1]
    return isinstance(last, int) and (last == 1 or (isinstance(count, int) and count == 1))


def _takes(node: Node) -> bool:
    return all(isinstance(a, Value) or a is None for a in node.args)


#: Op -> (number of the operand that is the weight, those with which NumPy runs it: gradients of gradients).
_CELLS = {
    lstm_steps: (3, ()), lstm_steps_backward: (5, (2, 3)), gru_steps: (2, ()), gru_steps_backward: (3, (1,)), rnn_steps: (2, ()),
    rnn_steps_backward: (2, ()),
}  # fmt: skip
CLAIMS: Claims = {op: Claim(_takes, step) for op in _CELLS}
