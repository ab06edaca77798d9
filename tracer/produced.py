"""Sizes that data decide: where a traced mask is true becomes positions of a fresh size, and the graph goes on behind them.

One mask, or two computed alike, gives one size, so that what was taken by it fits together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..ir.graph import Node, Value
from ..ir.ops import indexing
from ..ir.ops.casts import contiguous
from ..ir.types import numel

if TYPE_CHECKING:
    from .recorder import Recorder

_DEEPEST = 6


def true_places(recorder: Recorder, mask: Any) -> tuple[Any, ...]:
    """Traced positions, one vector for each dimension, of the true elements of a traced mask."""
    made_by = {r: node for node in recorder.builder.nodes for r in node.results}
    key = _key(recorder.value_of(mask), made_by, _DEEPEST)
    found = recorder.places.get(key)
    if found is None:
        dense = mask if mask.meta.type.is_contiguous else recorder.apply(contiguous, (mask,), {})
        size = recorder.symbols.made(numel(mask.meta.shape))
        made = recorder.apply(indexing.true_places, (dense,), {"size": size})
        found = recorder.places[key] = made if isinstance(made, tuple) else (made,)
    return found


def _key(x: Any, made_by: dict[Value, Node], depth: int) -> Any:
    """Equal for values that are computed alike."""
    node = made_by.get(x) if isinstance(x, Value) else None
    if node is None or not depth:
        return x if isinstance(x, Value) else (type(x), repr(x))
    attrs = tuple(sorted((name, repr(_form(attr))) for name, attr in node.attrs.items()))
    return node.op.name, node.results.index(x), attrs, tuple([_key(a, made_by, depth - 1) for a in node.args])


def _form(attr: Any) -> Any:
    """An attribute with sizes as their forms, of which nothing is asked."""
    return tuple(map(_form, attr)) if type(attr) is tuple else str(getattr(attr, "size", attr))
