"""Joint graph -> joint graph: a dropout that is differentiated becomes its parts, so that its mask can be saved as bools.

Runs between autodiff and partition. Drawing the random numbers again in the backward half costs far more than a byte of
memory per element. Changes no value.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..graph import Builder, Graph, Node, Value, rewrite
from ..op import Decompose, lookup
from ..text import attr_text


def masks(graph: Graph) -> Graph:
    """`graph` with the parts of every dropout whose mask is wanted twice; `graph` itself where there is none."""
    dropout = lookup("dropout")
    wanted = Counter(_mask(n) for n in graph.nodes if n.op is dropout)

    def visit(node: Node, builder: Builder, args: tuple[Any, ...]) -> Any:
        if node.op is not dropout or wanted[_mask(node)] < 2 or not isinstance(node.op.lowering, Decompose):
            return None
        return node.op.lowering.fn(*args, **node.attrs)

    return rewrite(graph, visit) if any(count > 1 for count in wanted.values()) else graph


def _mask(node: Node) -> tuple[Any, ...]:
    """What decides the mask of a dropout: state, shape and probability."""
    x, state = node.args
    shape = x.shape if isinstance(x, Value) else ()
    return state, tuple(map(str, shape)), attr_text(node.attrs["p"])
