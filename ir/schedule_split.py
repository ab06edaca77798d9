"""One group -> several, each over a part of one loop axis: where tensors are joined or repeated, every part is a plain copy.

A choice between sources at every element costs more than the copy itself; within a part the bounds of the axis decide it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

from . import sizes
from .loops import Kernel, Store
from .op import Gather, Move, Scan, Scatter
from .op import Reduce as ReduceLowering
from .schedule_group import Group
from .schedule_index import pieces
from .schedule_merge import merge, renumbered
from .sizes import Call, Size
from .types import numel

#: Below this many elements one kernel that chooses is as fast, and sooner compiled.
MIN_ELEMENTS = 1 << 14
#: Parts that one group may become: each is a kernel of its own.
MAX_PARTS = 8


def split(group: Group) -> list[Group]:
    """`group` as groups over consecutive parts of its grid, so that no Move has to choose among sources; itself alone where it
    holds a reduction or a gather, is small, or would fall into too many parts."""
    grid = group.levels[0]
    work = numel([group.extents[a] for a in grid])
    apart = any(isinstance(group.producers[v].op.lowering, (Gather, Scatter, Scan, ReduceLowering)) for v in group.members)
    if apart or len(group.levels) > 1 or not isinstance(work, int) or work < MIN_ELEMENTS:
        return [group]
    if any(group.axes(index) != set(grid) for index in group.stores.values()):
        return [group]
    cuts: dict[str, set[int]] = {}
    for axis, at in _cuts(group):
        cuts.setdefault(axis, set()).add(at)
    parts = [group]
    for axis, places in cuts.items():
        if len(parts) * (len(places) + 1) > MAX_PARTS:
            return [group]
        extent = group.extents[axis]
        assert isinstance(extent, int)
        parts = [_part(g, axis, lo, hi) for g in parts for lo, hi in pairwise([0, *sorted(places), extent])]
    return parts


def _cuts(group: Group) -> Iterator[tuple[str, int]]:
    """(axis, position) where a condition of a Move changes, or where an index starts over."""
    seen = set()
    stack = list(group.stores.items())
    while stack:
        v, index = stack.pop()
        node = group.producers.get(v)
        if (v, index) in seen or node is None or not group.computes(v):
            continue
        seen.add((v, index))
        if isinstance(node.op.lowering, Move):
            for condition in [p.condition for p in pieces(node, index) if p.condition is not None]:
                yield from _ends(group, *condition)
        for size in index:
            yield from _wraps(group, size)
        reads = group.reads(node, index)
        for _, at, _ in reads:
            for size in at:
                yield from _wraps(group, size)
        stack += [(u, at) for u, at, _ in reads]


def _ends(group: Group, lo: Size, size: Size, hi: Size) -> Iterator[tuple[str, int]]:
    for end, above in ((lo, 0), (hi, 0)):
        yield from _zero(group, size - end, above)


def _zero(group: Group, size: Size, above: int) -> Iterator[tuple[str, int]]:
    """The axis and its value from which on `size` has another sign, where it depends on one axis by a factor of one."""
    names = list(dict.fromkeys(sizes.symbols_of(size)))
    if len(names) != 1 or names[0] not in group.levels[0] or not isinstance(group.extents[names[0]], int):
        return
    offset = sizes.substitute(size, {names[0]: 0})
    slope = size - offset - sizes.symbol(names[0])
    place = -offset if slope == 0 else offset + 1 if size - offset + sizes.symbol(names[0]) == 0 else None
    if isinstance(place, int) and 0 < place < group.extents[names[0]]:  # type: ignore[operator]
        yield names[0], place


def _wraps(group: Group, size: Size) -> Iterator[tuple[str, int]]:
    """Where the remainders in an index start over, if that is seldom."""
    for call in _remainders(size):
        if not isinstance(call.b, int) or call.b <= 0:
            continue
        high = sizes.bounds(call.a)[1]
        for turn in range(1, MAX_PARTS + 1):
            if high is None or turn * call.b > high:
                break
            yield from _zero(group, call.a - turn * call.b, 0)


def _remainders(size: Size) -> Iterator[Call]:
    if isinstance(size, int):
        return
    for call in (atom for mono, _ in size.terms for atom, _ in mono if isinstance(atom, Call)):
        if call.fn == "mod":
            yield call
        yield from _remainders(call.a)
        yield from _remainders(call.b)


def _part(group: Group, axis: str, lo: int, hi: int) -> Group:
    """The group's work where `axis` runs from `lo` to `hi` - 1."""
    new = sizes.symbol(axis, 0, hi - lo - 1) + lo if hi - lo > 1 else lo
    stores = {v: tuple(sizes.simplify(sizes.substitute(i, {axis: new})) for i in index) for v, index in group.stores.items()}
    kept = [a for a in group.levels[0] if a != axis or hi - lo > 1]
    return replace(group, extents={**group.extents, axis: hi - lo}, levels=[kept], stores=stores,
                   positions={}, _positions={}, _reduced={})  # fmt: skip


def woven(kernels: list[Kernel]) -> list[Kernel]:
    """`kernels` with those as one that run over the same loops and store side by side: what one leaves out of a vector of
    results, the other fills in."""
    out: list[Kernel] = []
    for kernel in kernels:
        if out and _beside(out[-1], kernel):
            out[-1] = _both(out[-1], kernel)
        else:
            out.append(kernel)
    return out


def _beside(a: Kernel, b: Kernel) -> bool:
    plain = not (a.errors or b.errors or a.scratch or b.scratch) and all(m.access != "rw" for m in (*a.buffers, *b.buffers))
    last, new = ([st for st in k.body if isinstance(st, Store)] for k in (a, b))
    if not plain or a.grid != b.grid or not a.grid or not new:
        return False
    before = {st.buffer: st.index for st in last}  # of several into one buffer the last
    apart = len({st.buffer for st in new}) == len(new) and before.keys() == {st.buffer for st in new}
    return apart and all(st.index - before[st.buffer] == 1 for st in new)


def _both(a: Kernel, b: Kernel) -> Kernel:
    def union(x: tuple[Any, ...], y: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple({m.name if hasattr(m, "name") else m: m for m in (*x, *y)}.values())

    return merge(replace(a, body=a.body + renumbered(b.body, len(a.body)), buffers=union(a.buffers, b.buffers),
                         sizes=union(a.sizes, b.sizes), scalars=union(a.scalars, b.scalars)))  # fmt: skip
