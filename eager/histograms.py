"""Histograms over several dimensions under PyTorch's name, over searches and sums by position."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..ir.ops import searching as records
from ..ir.ops.compare import where
from ..ir.ops.creation import filled
from . import generated as g
from .executor import apply
from .functional import reshape
from .pure import pure
from .return_types import shown
from .scattering import scatter_add
from .searching import diff, edges_of

if TYPE_CHECKING:
    from .tensor import Tensor


class HistogramDD(NamedTuple):
    """How many, or what weight of, points lie in each cell, and the edges along each dimension."""

    hist: Any
    bin_edges: Any

    def __repr__(self) -> str:
        return shown("histogramdd")(self)


@pure
def histogramdd(
    input: Tensor, bins: Any, *, range: Sequence[float] | None = None, weight: Any = None, density: bool = False
) -> HistogramDD:
    """Points (the last dimension of `input`), or their weights, in each cell of a grid: `bins` stretches along each dimension, or
    those between the edges `bins`."""
    points = reshape(input, (-1, input.shape[-1]))
    n = int(points.shape[1])
    each = list(bins) if isinstance(bins, (tuple, list)) else [bins] * n
    spans = [None] * n if range is None else [tuple(range[2 * d : 2 * d + 2]) for d in builtin_range(n)]
    edges = [b if hasattr(b, "meta") else edges_of(points[:, d], int(b), spans[d]) for d, b in enumerate(each)]
    counts = [int(e.shape[0]) - 1 for e in edges]
    inside, flat = filled(points, (points.shape[0],), True, g.eq(points, points).dtype), None
    for d, (line, count) in enumerate(zip(edges, counts, strict=True)):
        x = points[:, d].contiguous()
        place = apply(records.searchsorted, (line, x), {"right": True}) - 1
        place = where(g.eq(x, line[-1]), count - 1, place)
        inside = g.logical_and(inside, g.logical_and(g.ge(place, 0), g.lt(place, count)))
        flat = place if flat is None else flat * count + place
    total = math.prod(counts)
    share = where(inside, 1.0 if weight is None else reshape(weight, (-1,)), 0.0).to(points.dtype)
    hist = reshape(scatter_add(filled(points, (total + 1,), 0), 0, where(inside, flat, total), share)[:total], counts)
    if density:
        hist = hist / hist.sum()
        for d, line in enumerate(edges):
            hist = hist / reshape(diff(line), [-1 if k == d else 1 for k in builtin_range(n)])
    return HistogramDD(hist, tuple(edges))


builtin_range = type(range(0))
