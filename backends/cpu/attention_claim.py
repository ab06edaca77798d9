"""Attention of a plan as a step that calls our routine: which calls it takes, and which words it gets. Writes no text."""

from __future__ import annotations

from typing import Any

from ...ir import dtypes
from ...ir import sizes as z
from ...ir.graph import Node, Value
from ...ir.ops.attention import attention, attention_backward
from ...ir.plan import BufferView, RoutineStep
from ...ir.schedule_prepare import Claim, Claims
from ...ir.sizes import Size
from ...ir.types import TensorType, numel

#: Batch dimensions of the routine.
BATCH = 3
#: Keys of one block: scores of a block of queries lie in the first cache.
KEYS = 128


def accepts(node: Node) -> bool:
    """float32 with at most three batch dimensions; gradients of keys and values whose rows lie together."""
    q = next(a for a in node.args if isinstance(a, Value)).tensor_type
    if q.dtype is not dtypes.float32 or q.ndim > BATCH + 2:
        return False
    mask = node.args[4 if node.op is attention_backward else 3]
    if isinstance(mask, Value) and mask.dtype not in (dtypes.bool_, dtypes.float32):
        return False
    return node.op is attention or all(r.tensor_type.strides[-1] == 1 for r in node.results[1:])


def step(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> RoutineStep:
    """The step of a forward or backward call."""
    backward = node.op is attention_backward
    q, k, v, mask = args[1:5] if backward else args[:4]
    batch, (rows, width) = q.type.shape[:-2], q.type.shape[-2:]
    keys, out, causal = k.type.shape[-2], v.type.shape[-1], bool(node.attrs.get("is_causal"))
    queries = _queries(rows)
    words: list[Size] = [*_front(batch, 1), rows, keys, width, out, int(causal), queries, KEYS]
    scores = (*batch, rows, keys)
    for view, shape in _arguments(args, results, backward, scores):
        words += _strides(view, shape, len(batch))
    p = float(node.attrs.get("p", 0.0))
    kind = "none" if mask is None else "bool" if mask.type.dtype is dtypes.bool_ else "float"
    name = " ".join(["attention", "backward" if backward else "forward", kind, *(["dropout"] if p > 0 else [])])
    count = numel(batch)
    work = count * rows * keys * ((3 * width + 2 * out if backward else width + out) + 16)
    work = z.floordiv(work, 2) if causal else work
    return RoutineStep(
        name, args, results, tuple(words), (float(node.attrs["scale"]), p), scratch=_scratch(queries, width, out),
        parts=count if backward else count * z.floordiv(rows + queries - 1, queries), work=work,
    )  # fmt: skip


def _queries(rows: Size) -> int:
    """Queries of a block: more where there are many, so that keys and values are read less often."""
    if not isinstance(rows, int):
        return 32
    return 16 if rows <= 16 else 32 if rows <= 256 else 64


def _scratch(queries: int, width: Size, out: Size) -> Size:
    """Bytes: see the areas of `attention._Forward` and `attention._Backward`."""
    return 4 * queries * (3 * width + 2 * out + 3 * KEYS + 8)


def _front(batch: tuple[Size, ...], fill: int) -> tuple[Size, ...]:
    return (*(fill,) * (BATCH - len(batch)), *batch)


def _arguments(args: Any, results: Any, backward: bool, scores: tuple[Size, ...]) -> list[tuple[Any, tuple[Size, ...] | None]]:
    """Every pointer argument with the shape to which it is broadcast; None: it has no strides that count."""
    shapes: list[Any] = [scores if i == (4 if backward else 3) else () for i in range(len(args))]
    return [*((a, s or (None if a is None else a.type.shape)) for a, s in zip(args, shapes, strict=True)),
            *((r, r.type.shape) for r in results)]  # fmt: skip


def _strides(view: Any, shape: Any, rank: int) -> list[Size]:
    """Five strides: of the batch dimensions, of rows and of columns; 0 where a dimension is not there or is repeated."""
    if view is None or view.type.dtype is dtypes.int64:
        return [0] * (BATCH + 2)
    kind: TensorType = view.type
    lead = len(shape) - kind.ndim
    own = [0] * lead + [0 if _is_one(n) else s for n, s in zip(kind.shape, kind.strides, strict=True)]
    batch, rest = own[:rank], own[rank:]
    return [*_front(tuple(batch), 0), *rest, *[0] * (2 - len(rest))]


def _is_one(n: Size) -> bool:
    return isinstance(n, int) and n == 1


CLAIMS: Claims = {attention: Claim(accepts, step), attention_backward: Claim(accepts, step)}
