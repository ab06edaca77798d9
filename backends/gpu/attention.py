"""Attention of a plan as a step that runs a template: which calls it takes, and which words it gets. Writes no text.

The words: three batch dimensions (missing ones are 1), rows, keys, width of queries, width of values; then for each pointer
argument five strides (elements): of the batch dimensions, of its rows and of its columns; 0 where it has none or is repeated.
"""

from __future__ import annotations

from typing import Any

from ...ir import dtypes
from ...ir.graph import Node, Value
from ...ir.ops.attention import attention_backward
from ...ir.plan import BufferView, RoutineStep
from ...ir.sizes import Size
from ...ir.types import TensorType, numel

#: batch dimensions of the template, its words before the strides, strides of each argument
BATCH, FRONT, EACH = 3, 7, 5
#: places of words
ROWS, KEYS, WIDTH, OUT = 3, 4, 5, 6
#: columns that a block can hold
_WIDEST = 256


def accepts(node: Node) -> bool:
    """16-bit and float32 operands with at most three batch dimensions and rows of known width."""
    backward = node.op is attention_backward
    tensors = [a.tensor_type for a in node.args[: 4 if backward else 3] if isinstance(a, Value)]
    widths = [t.shape[-1] for t in tensors]
    mask = node.args[4 if backward else 3]
    return (
        tensors[0].dtype in (dtypes.float32, dtypes.float16, dtypes.bfloat16)
        and tensors[0].ndim <= BATCH + 2
        and all(isinstance(n, int) and 0 < n <= _WIDEST for n in widths)
        and (not isinstance(mask, Value) or mask.dtype.kind in "bf")
        and (not isinstance(mask, Value) or mask.dtype is not dtypes.float64)
    )


def claim(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> RoutineStep:
    """The step of a forward or backward call."""
    backward = node.op is attention_backward
    q, k, v, mask = args[1:5] if backward else args[:4]
    batch, (rows, width) = q.type.shape[:-2], q.type.shape[-2:]
    keys, out = k.type.shape[-2], v.type.shape[-1]
    words: list[Size] = [*(1,) * (BATCH - len(batch)), *batch, rows, keys, width, out]
    packed = not backward and _shares_keys(words, k.type, v.type, len(batch)) and not node.attrs.get("is_causal")
    for place, view in enumerate((*args, *results)):
        if view is None or view.type.dtype is dtypes.int64:
            words += [0] * EACH
        else:
            scores = (*batch, rows, keys) if view is mask and place == (4 if backward else 3) else None
            own = _strides(view.type, scores, len(batch))
            columns = view in (k, v)
            words += [*own[:2], 0, own[3] if columns else own[2], own[4]] if packed else own
    if packed:
        words[BATCH - 1], words[ROWS] = 1, words[BATCH - 1]
    p = float(node.attrs.get("p", 0.0))
    parts = ["attention", "backward" if backward else "forward", q.type.dtype.short]
    parts += ["causal"] if node.attrs.get("is_causal") else []
    work = numel(batch) * rows * keys * (width + out) * (3 if backward else 1)
    return RoutineStep(" ".join(parts), tuple(args), results, tuple(words), (float(node.attrs["scale"]), p), work=work)


def _shares_keys(words: list[Size], k: TensorType, v: TensorType, rank: int) -> bool:
    """Whether all members of the last batch dimension have one query and the same keys: they then are the rows of one."""
    members, rows = words[BATCH - 1], words[ROWS]
    repeated = rank > 0 and all(isinstance(n := t.strides[rank - 1], int) and n == 0 for t in (k, v))
    return repeated and isinstance(rows, int) and rows == 1 and isinstance(members, int) and members > 1


def _strides(kind: TensorType, shape: tuple[Size, ...] | None, rank: int) -> list[Size]:
    shape = shape or kind.shape
    lead = len(shape) - kind.ndim
    own: list[Size] = [0] * lead
    own += [0 if isinstance(n, int) and n == 1 else s for n, s in zip(kind.shape, kind.strides, strict=True)]
    batch, rest = own[:rank], own[rank:]
    return [*(0,) * (BATCH - rank), *batch, *rest, *[0] * (2 - len(rest))]
