"""Common subexpressions: of several nodes with one op, equal operands and equal attributes the first serves all.

Every node is pure (random draws take their state as an operand), so no node is exempt. Two outputs that share a value
stay two outputs: each is a fresh tensor to the caller.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..graph import Graph, Node, Value
from ..text import attr_text
from .dce import keep


def cse(graph: Graph) -> Graph:
    """`graph` with each value computed once; `graph` itself where that is so already."""
    first: dict[Any, Node] = {}
    same: dict[Value, Value] = {}
    kept: list[Node] = []
    for original in graph.nodes:
        node = original
        if any(a in same for a in node.args if isinstance(a, Value)):
            node = replace(node, args=tuple(same.get(a, a) if isinstance(a, Value) else a for a in node.args))
        key = node.op, tuple(map(_key, node.args)), tuple((k, attr_text(v)) for k, v in sorted(node.attrs.items()))
        if key in first and [r.type for r in first[key].results] == [r.type for r in node.results]:
            same.update(zip(node.results, first[key].results, strict=True))
        else:
            first[key] = node
            kept.append(node)
    return _merged(graph, kept, same) if same else graph


def _key(arg: Any) -> Any:
    # The text of a number tells 0.0 from -0.0 and 1 from True and 1.0, and makes NaN equal to itself.
    return arg if isinstance(arg, Value) else repr(arg)


def _merged(graph: Graph, kept: list[Node], same: dict[Value, Value]) -> Graph:
    results = {r: node for node in kept for r in node.results}
    nodes = tuple(results.get(n.results[0], n) for n in graph.nodes)
    outputs = tuple(replace(o, value=same.get(o.value, o.value)) for o in graph.outputs)
    writes = tuple(replace(w, value=same.get(w.value, w.value)) for w in graph.writes)
    return keep(replace(graph, nodes=nodes, outputs=outputs, writes=writes), kept)
