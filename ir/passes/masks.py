"""Joint graph -> joint graph: a dropout that is differentiated becomes its parts, so that its mask can be saved as bools.

A dropout is any record that draws and has a gradient. Runs between autodiff and partition. Drawing the random numbers again in
the backward half costs far more than a byte of memory per element. Changes no value.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..graph import Builder, Graph, Node, Value, rewrite
from ..op import Decompose
from ..text import attr_text


def masks(graph: Graph) -> Graph:
    """`graph` with the parts of every dropout whose mask is wanted twice; `graph` itself where there is none."""
    wanted = Counter(_mask(n) for n in graph.nodes if _is_masked(n))

    def visit(node: Node, builder: Builder, args: tuple[Any, ...]) -> Any:
        lowering = node.op.lowering
        if not _is_masked(node) or wanted[_mask(node)] < 2 or not isinstance(lowering, Decompose):
            return None
        return lowering.fn(*args, **node.attrs)

    return rewrite(graph, visit) if any(count > 1 for count in wanted.values()) else graph


def _is_masked(node: Node) -> bool:
    """Whether the call draws random numbers and hands gradients through what it drew."""
    op = node.op
    return op.effects.draws is not None and op.grad is not None and isinstance(op.lowering, Decompose)


def _mask(node: Node) -> tuple[Any, ...]:
    """What decides the mask of a dropout: state, shape and probability."""
    states = tuple(a for a in node.args if isinstance(a, Value) and not a.dtype.is_floating_point)
    shape = tuple(map(str, node.results[0].tensor_type.shape))
    return node.op, states, shape, tuple((name, attr_text(x)) for name, x in sorted(node.attrs.items()))
