"""Backward graph -> backward graph: without what comes of tangents that are not there.

An output that nobody used has no gradient, which is not a gradient of zeros: zeros times an infinite slope are NaN.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ..graph import Builder, Graph, Node, Value, rewrite
from ..op import lookup
from .dce import dce


def without(graph: Graph, tangents: Iterable[int], absent: Iterable[int]) -> tuple[Graph, tuple[int, ...]]:
    """`graph`, linear in its inputs number `tangents`, without what depends on those of them in `absent` alone, and the numbers
    of the outputs that remain. The inputs all stay; those absent are read by nothing that matters."""
    gone = {graph.inputs[i] for i in absent}
    if not gone:
        return dce(graph), tuple(range(len(graph.outputs)))
    alive = {graph.inputs[i] for i in tangents} - gone
    for node in graph.nodes:
        read = [a for a in node.args if isinstance(a, Value)]
        lost = [a for a in read if a in gone]
        constant = node.op.name == "add" and 0 < len(lost) < len(read)  # what is left is a gradient too: the zeros of a step, say
        if constant or any(a in alive for a in read):
            alive.update(node.results)
        elif lost:
            gone.update(node.results)
    remaining = tuple(i for i, o in enumerate(graph.outputs) if o.value not in gone)

    def visit(node: Node, builder: Builder, args: tuple[Any, ...]) -> Any:
        missing = [i for i, a in enumerate(node.args) if isinstance(a, Value) and a in gone]
        if not missing or node.results[0] in gone:
            return None
        if node.op.name == "add":
            return _alone(builder, args[1 - missing[0]], node.results[0])
        filled = [_zeros(builder, a) if i in missing else a for i, a in enumerate(args)]
        return builder.emit(node.op, filled, node.attrs, node.where)

    kept = replace(graph, outputs=tuple(graph.outputs[i] for i in remaining))
    return dce(rewrite(kept, visit)), remaining


def _alone(builder: Builder, operand: Value, total: Value) -> Any:
    """The one operand that a sum is left with, in the layout that the sum had."""
    if operand.type == total.type:
        return operand
    return builder.emit(lookup("contiguous" if total.tensor_type.is_contiguous else "clone"), (operand,), {})


def _zeros(builder: Builder, x: Value) -> Any:
    return builder.emit(lookup("full"), (0.0,), {"shape": x.tensor_type.shape, "dtype": x.dtype})
