"""Convolutions of a plan as steps that run the product's template, the image read through windows: nothing is unfolded or padded.

All three are products W @ B: forward W is the weight and B the windows of the image; for the gradient in the image B are the
windows of the result's gradient; for the gradient in the weight W is the result's gradient and B the windows turned.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any

from ...ir import dtypes
from ...ir.graph import Node, Value
from ...ir.ops.convolution import conv_input, conv_weight
from ...ir.plan import BufferView, RoutineStep
from ...ir.sizes import Size
from ...ir.types import TensorType, numel
from . import gemm
from .gemm_text import Product, precision

_PLAIN = 3  # pointer arguments of a convolution with a bias
_NARROW = 2**31 - 2**16


@dataclass(frozen=True, slots=True)
class Walk:
    """How an index walks through the image along one dimension: at ``column * by_column + depth * by_depth + shift``, which must
    be a multiple of `divisor` and lie (divided by it) in 0..`size`; `stride`: elements from one place to the next."""

    by_column: int
    by_depth: int
    shift: int
    divisor: int
    size: int
    stride: int


@dataclass(frozen=True, slots=True)
class Geometry:
    """`depth`, `columns`: counts of the digits that the product's indices are taken apart into, outermost first; `lead`: elements
    from one to the next of the outermost digit, of a column and of the depth; `left`: strides of W by the digits of the depth;
    `out`: strides of the result by the digits of a column."""

    depth: tuple[int, ...]
    columns: tuple[int, ...]
    lead: tuple[int, int]
    walks: tuple[Walk, ...]
    left: tuple[int, ...]
    out: tuple[int, ...]

    def text(self) -> str:
        """A word that `parse` reads back."""
        return json.dumps(asdict(self), separators=(",", ":"))


def parse(text: str) -> Geometry:
    """What `Geometry.text` has written."""
    given = json.loads(text)
    walks = tuple(Walk(**w) for w in given.pop("walks"))
    return Geometry(**{k: tuple(v) for k, v in given.items()}, walks=walks)


def accepts(node: Node) -> bool:
    """Known sizes that are not zero but for the number of images, in 16 bits or float32."""
    values = [v for v in (*node.args, *node.results) if isinstance(v, Value)]
    types = [v.tensor_type for v in values]
    images = node.args[:2] if node.op is conv_weight else (node.args[0], node.results[0])
    known = [n for v, t in zip(values, types, strict=True) for n in t.shape[int(any(v is x for x in images)) :]]
    known += [s for t in types for s in t.strides]
    if not all(isinstance(n, int) for n in known) or any(0 in t.shape for t in types):
        return False
    weight = None if node.op is conv_weight else types[1]
    return (types[0].dtype.is_half or types[0].dtype is dtypes.float32) and (weight is None or weight.is_contiguous)


def claim(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> RoutineStep:
    """The step of a convolution or one of its gradients."""
    attrs, out = node.attrs, results[0]
    product = point_product(node, args, out)
    if product is not None:
        return product
    groups = attrs.get("groups", 1)
    make = _by_weight if node.op is conv_weight else _by_input if node.op is conv_input else _forward
    shape, strides, geometry, words = make(args, out, attrs, groups)
    m, a_group, b_group, c_group = words
    n, k = numel(geometry.columns), numel(geometry.depth)
    geometry = replace(geometry, columns=_known(geometry.columns), depth=_known(geometry.depth))
    sizes: list[Size] = [m, n, k, *shape, 0, 0, strides, 1, groups]
    sizes += [groups, a_group, b_group, c_group] if groups > 1 else []
    bias = tuple(a for a in args[2:3] if a is not None)
    name = f"conv {out.type.dtype.short} {int(groups > 1)} {geometry.text()}"
    return RoutineStep(name, (args[1], args[0], *bias), (out,), tuple(sizes), work=m * n * k * groups)


def point_product(node: Node, args: tuple[Any, ...], out: BufferView) -> RoutineStep | None:
    """A convolution by one point as a product of matrices of channels and pixels, where the pixels of all images lie evenly; None
    where it is none. (With a bias the template adds that to its sums.)"""
    attrs = node.attrs
    moved = any(s != 1 for s in attrs["stride"]) or any(attrs["padding"])
    if len(args) > 2 and args[2] is not None:
        return None
    weight = out if node.op is conv_weight else args[1]
    if moved or attrs.get("groups", 1) != 1 or any(n != 1 for n in weight.type.shape[2:]):
        return None
    kind = TensorType(weight.type.shape[:2], weight.type.dtype, weight.type.strides[:2])
    flat = BufferView(weight.buffer, kind, weight.offset)
    image, other = pixels(args[0]), pixels(args[1] if node.op is conv_weight else out)
    if image is None or other is None:
        return None
    if node.op is conv_weight:  # (out channels, pixels) @ (pixels, channels)
        return gemm.step(turned(other), image, flat)
    across = node.op is not conv_input
    if image.type.strides[1] != 1:  # rows of channels
        return gemm.step(flat if across else turned(flat), turned(image), turned(other))
    return gemm.step(image, turned(flat) if across else flat, other)


def pixels(view: BufferView) -> BufferView | None:
    """Images as a matrix of pixels by channels; None where no one distance leads from each pixel to the next."""
    count, channels, *space = view.type.shape
    first, between, *steps = view.type.strides
    places = [(n, s) for n, s in zip((count, *space), (first, *steps), strict=True) if n != 1]
    for (_, far), (n, near) in pairwise(places):
        if far != n * near:
            return None
    step = places[-1][1] if places else channels
    kind = TensorType((numel((count, *space)), channels), view.type.dtype, (step, between))
    return BufferView(view.buffer, kind, view.offset)


def turned(view: BufferView) -> BufferView:
    """The transpose."""
    kind = view.type
    return BufferView(view.buffer, TensorType(kind.shape[::-1], kind.dtype, kind.strides[::-1]), view.offset)


def _known(counts: Sequence[Any]) -> tuple[int, ...]:
    """The counts, the outermost as 0 where only a call tells: nothing that is printed depends on it."""
    return tuple(n if isinstance(n, int) else 0 for n in counts)


_Made = tuple[tuple[int, int], int, Geometry, tuple[int, int, int, int]]


def _forward(args: Any, out: BufferView, attrs: Any, groups: int) -> _Made:
    x, w, o = args[0].type, args[1].type, out.type
    inside, pixels = w.shape[1], o.shape[2:]
    depth: Any = w.shape[1:]
    walks = tuple(Walk(s, d, -p, 1, n, step) for s, d, p, n, step in zip(
        attrs["stride"], attrs["dilation"], attrs["padding"], x.shape[2:], x.strides[2:], strict=True))  # fmt: skip
    columns: Any = (x.shape[0], *pixels)
    geometry = Geometry(depth, columns, (x.strides[0], x.strides[1]), walks, _dense(depth), _without(o.strides))
    m, k = w.shape[0] // groups, numel(depth)
    return (k, 1), o.strides[1], geometry, (m, m * k, inside * x.strides[1], m * o.strides[1])  # type: ignore[return-value]


def _by_input(args: Any, out: BufferView, attrs: Any, groups: int) -> _Made:
    y, w, o = args[0].type, args[1].type, out.type
    m, kernel, taps = w.shape[1], w.shape[2:], numel(w.shape[2:])
    depth: Any = (w.shape[0] // groups, *kernel)
    walks = tuple(Walk(1, -d, p, s, n, step) for s, d, p, n, step in zip(
        attrs["stride"], attrs["dilation"], attrs["padding"], y.shape[2:], y.strides[2:], strict=True))  # fmt: skip
    left: Any = (m * taps, *_dense(kernel))
    columns: Any = (y.shape[0], *o.shape[2:])
    geometry = Geometry(depth, columns, (y.strides[0], y.strides[1]), walks, left, _without(o.strides))
    words = m, depth[0] * m * taps, depth[0] * y.strides[1], m * o.strides[1]
    return (taps, 1), o.strides[1], geometry, words  # type: ignore[return-value]


def _by_weight(args: Any, out: BufferView, attrs: Any, groups: int) -> _Made:
    x, y, o = args[0].type, args[1].type, out.type
    columns: Any = (x.shape[1] // groups, *o.shape[2:])
    walks = tuple(Walk(d, s, -p, 1, n, step) for s, d, p, n, step in zip(
        attrs["stride"], attrs["dilation"], attrs["padding"], x.shape[2:], x.strides[2:], strict=True))  # fmt: skip
    depth: Any = (y.shape[0], *y.shape[2:])
    geometry = Geometry(depth, columns, (x.strides[1], x.strides[0]), walks, _without(y.strides), _dense(columns))
    m = y.shape[1] // groups
    words = m, m * y.strides[1], columns[0] * x.strides[1], m * numel(columns)
    return (y.strides[1], 1), o.strides[0], geometry, words  # type: ignore[return-value]


def _dense(counts: Sequence[int]) -> tuple[int, ...]:
    """The strides of dimensions that lie one in the other."""
    return tuple(numel(counts[d + 1 :]) for d in range(len(counts)))  # type: ignore[misc]


def _without(strides: Sequence[Any]) -> tuple[int, ...]:
    """The strides but that of the channels."""
    return (strides[0], *strides[2:])


def digits(index: str, counts: Sequence[int]) -> list[str]:
    """The digits of an index; "0" where there is one value only."""
    below, out = 1, []
    for place, count in enumerate(reversed(counts)):
        part = index if below == 1 else f"{index} // {below}"
        whole = numel(counts[: len(counts) - place - 1]) == 1
        out.append("0" if count == 1 else part if whole else f"{part} % {count}")
        below *= count
    return out[::-1]


def merged(counts: Sequence[int], strides: Sequence[int]) -> tuple[list[int], list[int]]:
    """The digits with those as one that lie one in the other."""
    out: list[tuple[int, int]] = []
    for count, stride in zip(counts, strides, strict=True):
        if out and out[-1][1] == count * stride:
            out[-1] = out[-1][0] * count, stride
        else:
            out.append((count, stride))
    return [n for n, _ in out], [s for _, s in out]


def joined(terms: Sequence[tuple[str, int]], nothing: str = "0") -> str:
    """The sum of texts times numbers, `nothing` where all of it is zero."""
    parts = [text if by == 1 else f"{text} * {by}" for text, by in terms if text != "0" and by]
    return " + ".join(parts) or nothing


@dataclass
class Convolution(Product):
    """Prints one convolution or gradient."""

    skipped: frozenset[str] = field(default_factory=lambda: frozenset(("a_deep", "b_deep", "b_column", "c_column")))

    @property
    def geometry(self) -> Geometry:
        """How it walks through its operands."""
        return parse(self.step.routine.split(" ", 3)[3])

    @property
    def biased(self) -> bool:
        """Whether a number is added to each channel."""
        return len(self.step.args) - self.epilogue_inputs == _PLAIN

    def loop(self) -> str:
        """The loop over the depth, and the bias."""
        g = self.geometry
        column = digits("column_in", g.columns)
        lines = [f"    beside = tl.zeros([1, BN], tl.int64) + {joined([(column[0], g.lead[0])])}"]
        for d, (walk, text) in enumerate(zip(g.walks, column[1:], strict=True)):
            lines.append(f"    place{d} = tl.zeros([1, BN], tl.int64) + {joined([(text, walk.by_column)])} + {walk.shift}")
        lines += ["    for k in range(begin, end, BK):", "        at = (k + tl.arange(0, BK)).to(tl.int64)"]
        counts, strides = merged(g.depth, g.left)
        left = joined(list(zip(digits("at[None, :]", counts), strides, strict=True)), "0 * at[None, :]")
        masked = "" if self.even else ", mask=at[None, :] < K, other=0.0"
        lines.append(f"        left = tl.load(a_ptr + row_in * a_row + {left}{masked})")
        depth = digits("at[:, None]", g.depth)
        where = [f"beside + {joined([(depth[0], g.lead[1])], '0 * at[:, None]')}"]
        conditions = [] if self.even else ["(at[:, None] < K)"]
        for d, (walk, text) in enumerate(zip(g.walks, depth[1:], strict=True)):
            moved = f"place{d} + {joined([(text, walk.by_depth)])}"
            if walk.divisor > 1:
                conditions.append(f"(there{d} % {walk.divisor} == 0)")
            lines.append(f"        there{d} = {moved}")
            conditions += _bounds(walk, f"there{d}", g.columns[d + 1], g.depth[d + 1])
            where.append(joined([(f"there{d}" if walk.divisor == 1 else f"(there{d} // {walk.divisor})", walk.stride)]))
        mask = f", mask={' & '.join(conditions)}, other=0.0" if conditions else ""
        lines.append(f"        right = tl.load(b_ptr + {' + '.join(where)}{mask})")
        lines.append(f"        acc = tl.dot(left, right, acc, input_precision={precision(self.dtype)})")
        return "\n".join(lines)

    def after(self) -> list[str]:
        """The bias."""
        if not self.biased:
            return []
        self._pointer("bias_ptr", 2)
        place = "item * M + row_in" if int(self.step.routine.split()[2]) else "row_in"
        return [f"    acc += tl.load(bias_ptr + {place}).to(tl.float32)"]

    def source(self) -> str:
        """The text; `signature` and `params` are there behind it."""
        return self._narrowed(super().source())

    def _at(self) -> str:
        counts, strides = merged(self.geometry.columns, self.geometry.out)
        return f"c_ptr + row * c_row + {joined(list(zip(digits('column', counts), strides, strict=True)), '0 * column')}"

    def _narrowed(self, text: str) -> str:
        """The text with indices of 32 bits where no operand needs more."""
        kinds = [v.type for v in self.step.views if v is not None]
        reach = [numel(t.shape) + sum(n * s for n, s in zip(t.shape, t.strides, strict=True)) for t in kinds]
        if not all(isinstance(n, int) and n < _NARROW for n in reach):
            return text
        return text.replace(".to(tl.int64)", "").replace("tl.int64", "tl.int32")


def _bounds(walk: Walk, text: str, columns: int, depth: int) -> list[str]:
    """What keeps a walk inside of the image, where that is not certain."""
    ends = [c * walk.by_column + d * walk.by_depth + walk.shift for c in (0, columns - 1) for d in (0, depth - 1)]
    out = [f"({text} >= 0)"] if min(ends) < 0 else []
    return out + ([f"({text} < {walk.size * walk.divisor})"] if max(ends) >= walk.size * walk.divisor else [])
