"""Convolutions of a plan as steps that run the product's template: a product W @ B whose B is read from the image, never stored.

The gradient in the weight is Y @ B' of the same kind. Padding, reversed kernels and the order of dimensions are left to ops
around (`ir.ops.conv_steps`). The step's words are those of a product; its name says how an index walks through the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...ir import dtypes
from ...ir.graph import Node, Value
from ...ir.ops.conv_steps import conv_taps
from ...ir.plan import BufferView, RoutineStep
from ...ir.types import TensorType, numel
from .gemm_text import Product

#: sizes and strides of the dimensions that one index walks through, outermost first
Digits = tuple[tuple[int, int], ...]


def accepts(node: Node) -> bool:
    """Known sizes, types that tensor cores or float32 units multiply, and a matrix whose rows lie one after the other."""
    types = [v.tensor_type for v in (*node.args, *node.results) if isinstance(v, Value)]
    known = all(isinstance(n, int) for t in types for n in (*t.shape, *t.strides))
    matrix = node.args[1]
    return (
        known and isinstance(matrix, Value) and matrix.tensor_type.is_contiguous
        and (types[0].dtype.is_half or types[0].dtype is dtypes.float32)
        and all(n > 0 for t in types for n in t.shape if isinstance(n, int))
    )  # fmt: skip


def claim(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> RoutineStep:
    """The step of a `conv_rows` or `conv_taps`."""
    image, matrix, out = args[0], args[1], results[0]
    attrs, x = node.attrs, image.type
    kernel, stride, dilation, groups = attrs["kernel"], attrs["stride"], attrs["dilation"], attrs["groups"]
    by_weight, turned = node.op is conv_taps, bool(attrs.get("turned"))
    pixels = attrs["shape"] if by_weight else out.type.shape[2:]
    inside, taps = x.shape[1] // groups, numel(kernel)
    window = _digits((inside, *kernel), (x.strides[1], *_scaled(x.strides[2:], dilation)))
    places = _digits((x.shape[0], *pixels), (x.strides[0], *_scaled(x.strides[2:], stride)))
    deep, across = (places, window) if by_weight else (window, places)
    k, n, m = numel([d[0] for d in deep]), numel([d[0] for d in across]), out.type.shape[0] // groups
    words = [m, n, k, taps if turned else k, 1, 0, 0, n, 1, groups]
    words += [groups, m * k, inside * x.strides[1], m * n] if groups > 1 else []
    name = f"conv {x.dtype.short} {int(groups > 1)} {_written(deep)} {_written(across)}"
    name += f" turned:{taps}:{m * taps}" if turned else ""
    own = BufferView(out.buffer, TensorType((m * groups, n), x.dtype, (n, 1)), out.offset)
    return RoutineStep(name, (matrix, image), (own,), tuple(words), work=m * n * k * groups)  # type: ignore[arg-type, operator]


def _scaled(strides: Sequence[Any], by: Sequence[int]) -> tuple[Any, ...]:
    return tuple(s * b for s, b in zip(strides, by, strict=True))


def _digits(counts: Sequence[Any], strides: Sequence[Any]) -> Digits:
    """Dimensions that go on where the next one ends are one; those of size 1 are none."""
    out: list[tuple[int, int]] = []
    for count, stride in zip(counts, strides, strict=True):
        if out and out[-1][1] == count * stride:
            out[-1] = out[-1][0] * count, stride
        elif count != 1:
            out.append((count, stride))
    return tuple(out) or ((1, 0),)


def _written(digits: Digits) -> str:
    return ",".join(f"{n}:{s}" for n, s in digits)


def _read(text: str) -> Digits:
    return tuple((int(n), int(s)) for n, s in (d.split(":") for d in text.split(",")))


def offset(index: str, digits: Digits) -> str:
    """How far into the image the index is."""
    terms, below = [], 1
    for place, (count, stride) in enumerate(reversed(digits)):
        part = index if below == 1 else f"{index} // {below}"
        part = part if place == len(digits) - 1 else f"{part} % {count}"
        terms.append(part if stride == 1 else f"{part} * {stride}")
        below *= count
    return " + ".join(reversed(terms))


_LOOP = """\
    deep = tl.arange(0, BK)
    across_at = {across}
    for k in range(0, K, BK):
        at = k + deep
        inside = at < K
        left = tl.load(a_ptr + row_in * a_row + {left}, mask=inside[None, :], other=0.0)
        right = tl.load(b_ptr + ({deep})[:, None] + across_at, mask=inside[:, None], other=0.0)
        acc = tl.dot(left, right, acc, input_precision="ieee")"""


@dataclass
class Convolution(Product):
    """Prints one convolution."""

    skipped: frozenset[str] = field(default_factory=lambda: frozenset(("b_deep", "b_column")))

    def loop(self) -> str:
        """The loop over the depth."""
        _, _, _, deep, across, *turned = self.step.routine.split()
        left = "at[None, :]"
        if turned:
            taps, far = (int(n) for n in turned[0].split(":")[1:])
            left = f"(at // {taps} * {far} + {taps - 1} - at % {taps})[None, :]"
        places = {"left": left, "deep": offset("at", _read(deep)), "across": offset("column_in", _read(across))}
        text = _LOOP.format(**places)
        masked = ", mask=inside[None, :], other=0.0", ", mask=inside[:, None], other=0.0", "        inside = at < K\n"
        for part in masked if self.even else ():
            text = text.replace(part, "")
        return text
