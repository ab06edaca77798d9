"""Dead code: drops nodes that neither an output nor a write-back reads. A node that may raise stays: eager would raise."""

from __future__ import annotations

from dataclasses import replace

from ..graph import Graph, Node, Value


def dce(graph: Graph) -> Graph:
    """`graph` without dead nodes; `graph` itself where there are none. Positions of write-backs move along."""
    live: set[Value] = {o.value for o in graph.outputs} | {w.value for w in graph.writes}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if node.op.effects.raises or any(r in live for r in node.results):
            live.update(a for a in node.args if isinstance(a, Value))
            kept.append(node)
    return graph if len(kept) == len(graph.nodes) else keep(graph, kept[::-1])


def keep(graph: Graph, nodes: list[Node]) -> Graph:
    """`graph` with only `nodes`, a part of its own in their order."""
    staying = set(nodes)
    before = [0]
    for node in graph.nodes:
        before.append(before[-1] + (node in staying))
    writes = tuple(replace(w, position=before[w.position]) for w in graph.writes)
    return replace(graph, nodes=tuple(nodes), writes=writes)
