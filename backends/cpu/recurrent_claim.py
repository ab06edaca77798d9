"""All steps of an LSTM of a plan as one call of our routine: which calls it takes, and which words it gets. Writes no text."""

from __future__ import annotations

from typing import Any

from ...ir import dtypes
from ...ir import sizes as z
from ...ir.graph import Node, Value
from ...ir.ops.recurrent import lstm_steps, lstm_steps_backward
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
    backward = node.op is lstm_steps_backward
    views = [v for v in (*args, *results) if v is not None]
    steps, batch, rows = (args[7] if backward else args[0]).type.shape
    width = (args[4] if backward else args[1]).type.shape[1]
    rare = backward and (args[2] is not None or args[3] is not None)
    if rare or any(v.type.dtype is not dtypes.float32 or not _unit(v.type) for v in views):
        return ExternStep(node.op, args, node.attrs, results)
    words: list[Size] = [steps, batch, width]
    for view in (*args, *results):
        words += [0] * STRIDES if view is None else [0, *view.type.strides][-3:-1]
    panels = z.floordiv((width if backward else rows) + PANEL - 1, PANEL)
    scratch = 4 * PANEL * panels * (rows if backward else width)
    work = steps * batch * rows * (width + 48)
    name = f"recurrent lstm {'backward' if backward else 'forward'}"
    return RoutineStep(
        name, args, results, tuple(words), scratch=scratch, parts=z.floordiv(batch + ROWS - 1, ROWS), work=work,
    )  # fmt: skip


def _unit(t: Any) -> bool:
    """Whether the elements of a row lie side by side."""
    last, count = t.strides[-1], t.shape[-1]
    return isinstance(last, int) and (last == 1 or (isinstance(count, int) and count == 1))


def _takes(node: Node) -> bool:
    return all(isinstance(a, Value) or a is None for a in node.args)


CLAIMS: Claims = {lstm_steps: Claim(_takes, step), lstm_steps_backward: Claim(_takes, step)}
