"""Index expressions of tensors: broadcasting, moves, linear offsets, and their simplification. Knows no kernel and no group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import sizes
from .graph import Node, Value
from .lazyclass import dataclass
from .op import Move
from .sizes import Size, simplify
from .types import TensorType, contiguous_strides, numel

Index = tuple[Size, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """One source of a Move: `operand` (a Value or a number) at `index`, where `condition` (lo, size, hi) holds (None: always)."""

    condition: tuple[Size, Size, Size] | None
    operand: Any
    index: Index


def pieces(node: Node, index: Index) -> list[Piece]:
    """Where a Move node's element `index` comes from; conditions that bounds decide are gone."""
    shapes = tuple(a.shape if isinstance(a, Value) and isinstance(a.type, TensorType) else () for a in node.args)
    out: list[Piece] = []
    for condition, number, at in node.op.lowering.fn(index, shapes, **node.attrs):  # type: ignore[union-attr]
        held = None if condition is None else decide(condition)
        if held is False:
            continue
        out.append(Piece(None if held is None else condition, node.args[number], tuple(map(simplify, at))))
    return out


def decide(condition: tuple[Size, Size, Size]) -> bool | None:
    """None: lo <= size < hi always holds; False: it never does; True: it depends."""
    lo, size, hi = condition
    below, above = sizes.bounds(size - lo), sizes.bounds(hi - size)
    if (below[1] is not None and below[1] < 0) or (above[1] is not None and above[1] <= 0):
        return False
    sure = below[0] is not None and below[0] >= 0 and above[0] is not None and above[0] > 0
    return None if sure else True


def broadcast(index: Index, shape: Sequence[Size]) -> Index:
    """The index of an operand of `shape` that is broadcast to a result read at `index`."""
    tail = index[len(index) - len(shape) :]
    return tuple(0 if n == 1 else i for i, n in zip(tail, shape, strict=True))


def linear(index: Index, strides: Sequence[Size]) -> Size:
    """Offset in elements of `index` in a tensor with `strides`, simplified."""
    total: Size = 0
    for i, s in zip(index, strides, strict=True):
        total = total + i * s
    return simplify(total)


def axes_of(index: Iterable[Size]) -> set[str]:
    """Names of all symbols in an index."""
    return {name for size in index for name in sizes.symbols_of(size)}


def affine(size: Size, axes: Sequence[str]) -> tuple[Size, tuple[Size, ...]] | None:
    """(offset, coefficient of each axis) where `size` is an affine form of `axes`; None where it is not."""
    zero: dict[str, Size] = dict.fromkeys(axes, 0)
    offset = sizes.substitute(size, zero)
    total, coefficients = offset, []
    for axis in axes:
        k = sizes.substitute(size, {**zero, axis: 1}) - offset
        coefficients.append(k)
        total = total + k * sizes.symbol(axis)
    return (offset, tuple(coefficients)) if size - total == 0 else None


def covers(index: Index, shape: Sequence[Size], extents: Mapping[str, Size]) -> bool:
    """Whether `index`, over all values of its axes, meets every element of `shape` exactly once (False where not certain)."""
    axes = sorted(axes_of(index) & set(extents))
    if axes_of(index) - set(extents) - {s for n in shape for s in sizes.symbols_of(n)}:
        return False
    form = affine(linear(index, contiguous_strides(shape)), axes)
    if form is None or form[0] != 0:
        return False
    left = dict(zip(axes, form[1], strict=True))
    step: Size = 1
    while left:
        axis = next((a for a, k in left.items() if k == step), None)
        if axis is None:
            return False
        step = step * extents[axis]
        del left[axis]
    return step == numel(shape)


def view_of(value: Value, producers: Mapping[Value, Node], stop: set[Value]) -> tuple[Value, Size, tuple[Size, ...]] | None:
    """(base, offset, strides) that show `value` as a strided window of a stored value or input; None where it is no window.
    Walks through Moves with one source; does not look through values in `stop`."""
    axes = tuple(f"d{d}" for d in range(len(value.shape)))
    index: Index = tuple(0 if n == 1 else sizes.symbol(a, 0, n - 1) for a, n in zip(axes, value.shape, strict=True))
    base = value
    while base not in stop and base in producers and isinstance(producers[base].op.lowering, Move):
        found = pieces(producers[base], index)
        if len(found) != 1 or found[0].condition is not None or not isinstance(found[0].operand, Value):
            return None
        base, index = found[0].operand, found[0].index
    form = affine(linear(index, layout(base, base in producers).strides), axes)
    return None if form is None else (base, form[0], form[1])


def layout(value: Value, computed: bool) -> TensorType:
    """How a value lies in memory: inputs and dense values as their type says, other computed values row-major."""
    kind = value.tensor_type
    if not computed or is_dense(kind):
        return kind
    return TensorType(kind.shape, kind.dtype, contiguous_strides(kind.shape))


def is_dense(kind: TensorType) -> bool:
    """Whether the strides are a permutation of row-major ones (certainly)."""
    left = [(n, s) for n, s in zip(kind.shape, kind.strides, strict=True) if n != 1]
    step: Size = 1
    while left:
        at = next((i for i, (_, s) in enumerate(left) if s == step), None)
        if at is None:
            return kind.is_contiguous
        step = step * left.pop(at)[0]
    return True


def reach(shape: Sequence[Size], strides: Sequence[Size]) -> Size:
    """Number of elements from the first to the last that a tensor touches, inclusive; 0 where it is empty."""
    if any(n == 0 for n in shape):
        return 0
    total: Size = 1
    for n, s in zip(shape, strides, strict=True):
        if s != 0:
            total = total + (n - 1) * s
    return total
