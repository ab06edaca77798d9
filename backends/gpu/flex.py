"""Attention with functions of scores of a plan as a step that runs a template: which calls it takes, and which words it gets.
Writes no text.

The words are those of attention (`attention.py`), the batch dimensions being batch, heads of keys and heads of queries that share
one; then queries and keys of a block of the mask, batches of keys, and for each tensor that the functions read five sizes and
their product. The strides of such a tensor are its own. The two functions are part of the routine's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ... import knobs
from ...ir import body as bodies
from ...ir import dtypes
from ...ir.graph import Node, Value
from ...ir.ops.flex import FRONT as OPERANDS
from ...ir.ops.flex import flex_attention_backward
from ...ir.plan import BufferView, RoutineStep, ScalarInput
from ...ir.sizes import Size
from ...ir.text import attr_text, parse_attr
from ...ir.types import TensorType, numel
from .attention import EACH, FRONT
from .scalar import TYPES

#: words behind the strides, words of each tensor from outside
TAIL, TABLE = 3, 6
_WIDEST = 256
_NONE = ((), None)
#: operands of the backward call before query, key and value
BEFORE = 3


def accepts(node: Node) -> bool:
    """16-bit and float32 operands with rows of known width; gradients of float32 tensors from outside, where they may be added
    in any order."""
    backward = node.op is flex_attention_backward
    operands = node.args[BEFORE:] if backward else node.args
    q, k, v = (a.tensor_type for a in operands[:3] if isinstance(a, Value))
    captured = [a for a in operands[OPERANDS:] if isinstance(a, Value) and isinstance(a.type, TensorType)]
    wanted = [operands[OPERANDS + i] for i in node.attrs.get("wanted", ())]
    return (
        q.dtype in (dtypes.float32, dtypes.float16, dtypes.bfloat16)
        and all(isinstance(t.shape[-1], int) and 0 < t.shape[-1] <= _WIDEST for t in (q, v))
        and all(isinstance(t.shape[1], int) and t.shape[1] for t in (q, k))
        and all(a.tensor_type.ndim <= EACH and a.dtype in TYPES and not _tiny(a.dtype) for a in captured)
        and all(isinstance(a, Value) and a.dtype is dtypes.float32 for a in wanted)
        and not (wanted and knobs.deterministic)
    )


def _tiny(dtype: dtypes.DType) -> bool:
    return dtype.kind == "f" and dtype.itemsize == 1


def claim(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> RoutineStep:
    """The step of a forward or backward call."""
    backward = node.op is flex_attention_backward
    first = BEFORE if backward else 0
    q, k, v = args[first : first + 3]
    captured = args[first + OPERANDS :]
    (batch, heads, rows, width), (shared, few, keys, _) = q.type.shape, k.type.shape
    group = heads // few
    words: list[Size] = [batch, few, group, rows, keys, width, v.type.shape[-1]]
    views = [x if isinstance(x, BufferView) else None for x in (*args, *results)]
    outside = range(first + OPERANDS, len(args))
    ends = range(len(args) + 3, len(views)) if backward else range(0)
    for place, view in enumerate(views):
        if view is None:
            words += [0] * EACH
        elif place in outside or place in ends:
            words += [*view.type.strides, *(0,) * (EACH - view.type.ndim)]
        else:
            theirs = place in (first + 1, first + 2) or (backward and place in (len(args) + 1, len(args) + 2))
            words += _strides(view.type, 1 if theirs else group)
    words += [*node.attrs.get("blocks", (0, 0)), shared]
    for x in captured:
        shape = x.type.shape if isinstance(x, BufferView) else ()
        words += [*shape, *(1,) * (EACH - len(shape)), numel(shape)]
    score, mask = (attr_text(tuple(node.attrs.get(name, _NONE))) for name in ("score", "mask"))
    wanted = attr_text(tuple(node.attrs.get("wanted", ())))
    inputs = node.args[first + OPERANDS :]
    kinds = attr_text(tuple(_kind(x, a) for x, a in zip(captured, inputs, strict=True)))
    numbers = tuple(x if isinstance(x, ScalarInput) else 0 for x in captured)
    name = " ".join(["flex", "backward" if backward else "forward", q.type.dtype.short, f"({score},{mask},{wanted},{kinds})"])
    work = batch * heads * rows * keys * (width + v.type.shape[-1]) * (3 if backward else 1)
    return RoutineStep(name, tuple(views[: len(args)]), results, tuple(words), (float(node.attrs["scale"]), *numbers), work=work)


def _strides(kind: TensorType, group: int) -> list[Size]:
    """Of batches, heads of keys, heads that share one, rows and columns; 0 where a dimension is not there or has one element."""
    own: list[Size] = [0 if isinstance(n, int) and n == 1 else s for n, s in zip(kind.shape, kind.strides, strict=True)]
    batch, head, *rest = own
    return [batch, head * group, 0 if group == 1 else head, *rest, *[0] * (2 - len(rest))]


def _kind(x: Any, operand: Any) -> Any:
    """Of an operand from outside: the dtype of a tensor, "int", "float" or "bool" for a number of the call, else the number."""
    if isinstance(x, BufferView):
        return x.type.dtype
    return operand.type.kind if isinstance(x, ScalarInput) else x


@dataclass(frozen=True, slots=True)
class Functions:
    """What a step computes: functions of scores and of positions, tensors from outside whose gradients are wanted, and the kind
    of each operand from outside (`_kind`)."""

    score: bodies.Body
    mask: bodies.Body
    wanted: tuple[int, ...]
    kinds: tuple[Any, ...]


@lru_cache(256)
def functions(routine: str) -> Functions:
    """The functions that a routine's name holds."""
    score, mask, wanted, kinds = parse_attr(routine.split(" ", 3)[3])
    return Functions(bodies.of(score), bodies.of(mask), wanted, kinds)


def tail(step: RoutineStep) -> int:
    """The place of the words behind the strides."""
    return FRONT + EACH * len(step.views)
