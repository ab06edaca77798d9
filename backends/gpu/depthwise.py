"""Convolutions of each channel by a kernel of its own, and their gradients, as ops: sums over few places of one channel.

As a product such a convolution has one row and its template would throw fifteen of sixteen away. One after the other the places
of a window are loads of neighbours that lie in the cache. Claims use these in place of the records' own decompositions.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from ...ir.graph import Node, Value
from ...ir.ops.convolution import Ints, conv_weight, padded, result_sizes, spread_out, windows
from ...ir.ops.pointwise import add, mul
from ...ir.ops.reductions import converted, sum, wide
from ...ir.ops.shape import reshape, slice_
from ...ir.types import numel

#: places of a window at most that are written out
MOST = 49


def is_depthwise(node: Node) -> bool:
    """Whether a convolution or gradient of one has a channel of its own for each of its groups, of which there may be one (as in
    gradients of means over windows), and a small window."""
    groups, (a, b) = node.attrs.get("groups", 1), node.args[:2]
    assert isinstance(a, Value) and isinstance(b, Value)
    of_weight = node.op is conv_weight
    outside, inside = (b.shape[1], a.shape[1]) if of_weight else (b.shape[0], groups * b.shape[1])
    places = numel(node.attrs["kernel"] if of_weight else b.shape[2:])
    return outside == inside == groups and isinstance(places, int) and places <= MOST


def _taps(x: Any, w: Any, out: tuple[Any, ...], stride: Ints, dilation: Ints, turned: bool) -> Iterator[Any]:
    """For each place of the window what it adds to the result of sizes `out`; `turned`: the weight is read backwards."""
    kernel = tuple(w.shape[2:])
    channels = (w.shape[0], *(1,) * len(kernel))
    for place in product(*map(range, kernel)):
        piece, weight = x, w
        for d, (k, size, m, s, far) in enumerate(zip(place, kernel, out, stride, dilation, strict=True), 2):
            piece = slice_(piece, dim=d, start=k * far, stop=k * far + (m - 1) * s + 1, step=s)
            at = size - 1 - k if turned else k
            weight = slice_(weight, dim=d, start=at, stop=at + 1, step=1)
        yield mul(converted(piece, wide(x.dtype)), converted(reshape(weight, channels), wide(w.dtype)))


def _total(terms: Iterator[Any]) -> Any:
    total = next(terms)
    for term in terms:
        total = add(total, term)
    return total


def forward(x: Any, w: Any, bias: Any = None, *, stride: Any, padding: Any, dilation: Any, groups: int = 1) -> Any:
    """`convolution` of channels of their own."""
    x_padded = padded(x, [(p, p) for p in padding])
    out = result_sizes(x.shape[2:], w.shape[2:], stride, padding, dilation)
    made = _total(_taps(x_padded, w, out, stride, dilation, False))
    if bias is not None:
        made = add(made, reshape(converted(bias, made.dtype), (w.shape[0], *(1,) * len(stride))))
    return converted(made, x.dtype)


def by_input(y: Any, w: Any, *, shape: Any, stride: Any, padding: Any, dilation: Any, groups: int = 1) -> Any:
    """`conv_input` of channels of their own."""
    edges = []
    for n, k, m, s, p, d in zip(shape, w.shape[2:], y.shape[2:], stride, padding, dilation, strict=True):
        low = d * (k - 1) - p
        edges.append((low, n + d * (k - 1) - low - ((m - 1) * s + 1)))
    one = (1,) * len(stride)
    return converted(_total(_taps(padded(spread_out(y, stride), edges), w, tuple(shape), one, dilation, True)), y.dtype)


def by_weight(x: Any, y: Any, *, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int = 1) -> Any:
    """`conv_weight` of channels of their own."""
    rank, out = len(kernel), tuple(y.shape[2:])
    seen = windows(padded(x, [(p, p) for p in padding]), kernel, stride, dilation, out)
    each = reshape(y, (*y.shape[:2], *(1,) * rank, *out))
    terms = mul(converted(seen, wide(x.dtype)), converted(each, wide(y.dtype)))
    made = sum(terms, dim=(0, *range(2 + rank, 2 + 2 * rank)), keepdim=False, dtype=terms.dtype)
    return converted(reshape(made, (y.shape[1], 1, *kernel)), x.dtype)
