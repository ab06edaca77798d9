"""The axes of a kernel that walks over the elements of a product's matrices, by the indices that a template has: "product" of a
batch, "row" and "column". Prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ...ir import sizes
from ...ir.loops import Axis, Index, Kernel, Load, Stmt, Store
from ...ir.sizes import Size

PRODUCT, ROW, COLUMN = "product", "row", "column"


@dataclass(frozen=True, slots=True)
class Digit:
    """An index `value` of 0..`count` - 1, at which an element lies ``stride * value`` behind the first one."""

    stride: Size
    count: Size
    value: Size


def digits_of(name: str, parts: Sequence[tuple[Size, Size]]) -> list[Digit]:
    """The index `name` taken apart into (count, stride) of dimensions, outermost first; those that walk on evenly as one."""
    even: list[tuple[Size, Size]] = []
    for count, stride in parts:
        if count == 1:
            continue
        if even and even[-1][1] == stride * count:
            even[-1] = even[-1][0] * count, stride
        else:
            even.append((count, stride))
    total: Size = 1
    for count, _ in even:
        total = total * count
    index, below, out = sizes.symbol(name, 0, total - 1), 1, []
    rest: Size = below
    for place, (count, stride) in reversed(list(enumerate(even))):
        part = sizes.floordiv(index, rest)
        out.append(Digit(stride, count, sizes.mod(part, count) if place else part))
        rest = rest * count
    return out


def walked(steps: Mapping[Axis, Size], digits: Iterable[Digit]) -> dict[str, Size] | None:
    """Each axis by the digits, where the axes, `steps` elements apart, walk over all of the digits' elements, each once."""
    rest = [d for d in digits if d.count != 1]
    values: dict[str, Size] = {a.name: 0 for a in steps if a.extent == 1}
    waiting = {a: by for a, by in steps.items() if a.extent != 1}
    while waiting:
        axis = next((a for a, by in waiting.items() if any(d.stride == by for d in rest)), None)
        value = None if axis is None else _taken(axis.extent, waiting.pop(axis), rest)
        if axis is None or value is None:
            return None
        values[axis.name] = value
    return None if rest else values


def _taken(extent: Size, stride: Size, rest: list[Digit]) -> Size | None:
    """The index of an axis by the digits that it walks through, innermost first, which are taken out of `rest`."""
    value: Size = 0
    below: Size = 1
    while below != extent:
        digit = next((d for d in rest if d.stride == stride * below), None)
        left = divided(extent, below)
        if digit is None or left is None:
            return None
        rest.remove(digit)
        more = divided(digit.count, left)
        if more == 1:
            return value + digit.value * below
        if more is not None:
            rest.append(Digit(digit.stride * left, more, sizes.floordiv(digit.value, left)))
            return value + sizes.mod(digit.value, left) * below
        if divided(extent, below * digit.count) is None:
            return None
        value, below = value + digit.value * below, below * digit.count
    return value


def divided(size: Size, by: Size) -> Size | None:
    """``size / by`` where that is whole whatever the symbols are."""
    if isinstance(by, int) and by == 0:
        return None
    out = sizes.floordiv(size, by)
    return out if out * by == size else None


def moved(kernel: Kernel, values: Mapping[str, Size], grid: tuple[Axis, ...]) -> Kernel:
    """The kernel over `grid`, with each of its own axes as `values` say; symbols that these need are sizes of it."""
    own = {a.name for a in grid}
    named = dict.fromkeys(n for v in values.values() for n in sorted(sizes.symbols_of(v)) if n not in own)
    more = tuple(n for n in named if n not in kernel.sizes)
    body = tuple(_by(s, values) for s in kernel.body)
    return replace(kernel, grid=grid, body=body, sizes=(*kernel.sizes, *more))


def _by(s: Stmt, values: Mapping[str, Size]) -> Stmt:
    if isinstance(s, (Load, Store)):
        return replace(s, index=sizes.substitute(s.index, values))
    return replace(s, value=sizes.substitute(s.value, values)) if isinstance(s, Index) else s
