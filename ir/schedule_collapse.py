"""Kernel -> Kernel: neighbouring loops that every index expression walks as one become one loop; loops get short names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise

from . import sizes
from .loops import Axis, Index, Kernel, Load, LoadAt, Loop, Reduce, Stmt, Store, StoreAt
from .sizes import Size

Change = Callable[[Size], Size]


def collapse(kernel: Kernel, stem: str) -> Kernel:
    """The same kernel with as few loops as its index expressions allow, named `stem` and a number from the grid inwards."""
    again = True
    while again:
        again = False
        for outer, inner in _neighbours(kernel):
            merged = _merge(kernel, outer, inner)
            if merged is not None:
                kernel, again = merged, True
                break
    return _renamed(kernel, stem)


def _neighbours(kernel: Kernel) -> list[tuple[Axis, Axis]]:
    """Pairs of loops that stand directly inside one another wherever one of them occurs, innermost first."""
    runs = [kernel.grid, *_runs(kernel.body)]
    pairs = dict.fromkeys((a, b) for run in runs for a, b in pairwise(run))
    fits = [p for p in pairs if all(_together(run, *p) for run in runs)]
    return fits[::-1]


def _together(run: tuple[Axis, ...], a: Axis, b: Axis) -> bool:
    return (a not in run and b not in run) or any(pair == (a, b) for pair in pairwise(run))


def _runs(body: tuple[Stmt, ...]) -> list[tuple[Axis, ...]]:
    """Axes of each perfect nest of loops and of each reduction."""
    out: list[tuple[Axis, ...]] = []
    for st in body:
        if isinstance(st, Reduce):
            out += [st.axes, *_runs(st.body)]
        elif isinstance(st, Loop):
            run, serial = [st.axis], st.serial
            while len(st.body) == 1 and isinstance(st.body[0], Loop) and st.body[0].serial is serial:
                st = st.body[0]
                run.append(st.axis)
            out += [tuple(run), *_runs(st.body)]
    return out


def _merge(kernel: Kernel, outer: Axis, inner: Axis) -> Kernel | None:
    """`kernel` with the two axes as one called as the inner one, or None where an index expression needs them apart."""
    extent = outer.extent * inner.extent
    flat = sizes.symbol(inner.name, 0, extent - 1)
    split = sizes.symbol(outer.name, 0, outer.extent - 1) * inner.extent + sizes.symbol(inner.name, 0, inner.extent - 1)
    ok = True

    def change(size: Size) -> Size:
        nonlocal ok
        if isinstance(size, int) or not {outer.name, inner.name} & set(sizes.symbols_of(size)):
            return size
        new = sizes.substitute(size, {outer.name: 0, inner.name: flat})
        ok = ok and sizes.substitute(new, {inner.name: split}) == size
        return new

    body = _change_body(kernel.body, change, {outer.name: None, inner.name: Axis(inner.name, extent)})
    if not ok:
        return None
    grid = tuple(Axis(inner.name, extent) if a == inner else a for a in kernel.grid if a != outer)
    return replace(kernel, grid=grid, body=body)


def _change_body(body: tuple[Stmt, ...], change: Change, axes: Mapping[str, Axis | None]) -> tuple[Stmt, ...]:
    """Every index expression changed; axes replaced, or their loops removed where None."""
    out: list[Stmt] = []
    for st in body:
        if isinstance(st, (Load, Store)):
            out.append(replace(st, index=change(st.index)))
        elif isinstance(st, (LoadAt, StoreAt)):
            out.append(replace(st, index=change(st.index), stride=change(st.stride)))
        elif isinstance(st, Index):
            out.append(replace(st, value=change(st.value)))
        elif isinstance(st, Loop):
            axis = axes.get(st.axis.name, st.axis)
            inside = _change_body(st.body, change, axes)
            out += inside if axis is None else (Loop(axis, inside, st.serial),)
        elif isinstance(st, Reduce):
            kept = tuple(x for a in st.axes if (x := axes.get(a.name, a)) is not None)
            out.append(replace(st, axes=kept, body=_change_body(st.body, change, axes)))
        else:
            out.append(st)
    return tuple(out)


def _renamed(kernel: Kernel, stem: str) -> Kernel:
    order = dict.fromkeys(a for run in (kernel.grid, *_runs(kernel.body)) for a in run)
    new = {a.name: Axis(f"{stem}{i}", a.extent) for i, a in enumerate(order)}
    symbols: dict[str, Size] = {old: sizes.symbol(a.name, 0, a.extent - 1) for old, a in new.items()}
    body = _change_body(kernel.body, lambda size: sizes.substitute(size, symbols), new)
    return replace(kernel, grid=tuple(new[a.name] for a in kernel.grid), body=body)
