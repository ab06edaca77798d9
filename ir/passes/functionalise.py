"""Write-backs in their shortest form: only writes that the caller can tell from their absence stay.

A write before a node that may raise is seen when that node raises, so nothing is merged across one. Inputs are taken not to
overlap in memory (the tracer guards that).
"""

from __future__ import annotations

from dataclasses import replace

from ..graph import Graph, View, WriteBack
from ..sizes import Size
from ..types import TensorType


def functionalise(graph: Graph) -> Graph:
    """`graph` without writes that a later one covers and without whole writes of an input's own value to itself."""
    raising = [i for i, node in enumerate(graph.nodes) if node.op.effects.raises]
    kept: list[WriteBack] = []
    for w in graph.writes:
        w = replace(w, view=None) if w.view is not None and _whole(w.view, w.target.tensor_type) else w
        kept = [k for k in kept if not (_covers(w, k) and not any(k.position <= i < w.position for i in raising))]
        unchanged = w.value is w.target and w.view is None
        if not (unchanged and all(k.target is not w.target for k in kept)):
            kept.append(w)
    return graph if tuple(kept) == graph.writes else replace(graph, writes=tuple(kept))


def _whole(view: View, type: TensorType) -> bool:
    """Whether the window is the input itself."""
    zero: Size = 0
    return view.offset == zero and view.shape == type.shape and view.strides == type.strides


def _covers(later: WriteBack, earlier: WriteBack) -> bool:
    """Whether `later` overwrites everything that `earlier` wrote."""
    return later.target is earlier.target and (later.view is None or later.view == earlier.view)
