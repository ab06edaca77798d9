"""Groups that differ only in the memory and the numbers they are given have one kernel but for names: it is emitted once.

Models repeat themselves: every layer, every parameter's update. Decides nothing; a group without a twin is emitted as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Any

from .graph import Node, Value
from .lazyclass import dataclass
from .loops import Buffer, Kernel, Load, LoadAt, Loop, Param, Reduce, ScalarParam, Stmt, Store, StoreAt
from .schedule_emit import Target
from .schedule_group import Group
from .types import ScalarType

Homes = Callable[[Value], Target]
Targets = Mapping[Value, list[Target]]


@dataclass(slots=True)
class Outline:
    """All that a group's kernel follows from, numbers in place of names: `lines`. `buffers` and `scalars`: name -> number."""

    group: Group
    home: Homes
    targets: Targets
    buffers: dict[str, int] = field(default_factory=dict)
    scalars: dict[str, int] = field(default_factory=dict)
    numbers: dict[Value, int] = field(default_factory=dict)
    nodes: dict[Node, int] = field(default_factory=dict)
    lines: list[Any] = field(default_factory=list)

    def key(self, purpose: str) -> Any:
        """Equal for groups whose kernels for `purpose` are equal but for names; None where that cannot be said."""
        group, waiting, order = self.group, list(reversed(self.group.stores)), list[Value]()
        while waiting:
            v = waiting.pop()
            if v not in self.numbers:
                self.numbers[v] = len(self.numbers)
                order.append(v)
                node = self._node(v)
                waiting += [a for a in reversed(node.args) if isinstance(a, Value)] if node else []
        self.lines += map(self._line, order)
        reduced = [(self.numbers.get(v), at, axes) for (v, at), axes in group._reduced.items()]
        loaded = [(self.numbers.get(v), at, symbol) for (v, at), symbol in group._positions.items()]
        if any(r[0] is None for r in (*reduced, *loaded)):
            return None
        stored = [(self.numbers[v], at, tuple(map(self._place, self.targets[v]))) for v, at in group.stores.items()]
        places = tuple((k, p.axes) for k, p in group.positions.items())
        loops = tuple(group.extents.items()), tuple(map(tuple, group.levels)), places, group.serial
        return purpose, tuple(self.lines), tuple(stored), tuple(reduced), tuple(loaded), loops

    def _node(self, v: Value) -> Node | None:
        """The node that computes `v` inside the kernel; None where it is loaded or given."""
        node = self.group.producers.get(v)
        return node if node is not None and self.group.computes(v) else None

    def _place(self, target: Target) -> Any:
        return self.buffers.setdefault(target.buffer, len(self.buffers)), target.type, target.offset, target.size

    def _line(self, v: Value) -> Any:
        if isinstance(v.type, ScalarType):
            return self.scalars.setdefault(v.name, len(self.scalars)), v.type
        node = self._node(v)
        if node is None:
            return self._place(self.home(v)), v.type
        args = tuple(self.numbers[a] if isinstance(a, Value) else repr(a) for a in node.args)
        types = tuple(r.type for r in node.results)
        number = self.nodes.setdefault(node, len(self.nodes))
        return number, node.op, args, repr(node.attrs), types, node.results.index(v), node.where


@dataclass(slots=True)
class Twins:
    """The kernels made so far, by outline."""

    made: dict[Any, tuple[Kernel, tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict)

    def kernel(self, purpose: str, name: str, outline: Outline, make: Callable[[], Kernel]) -> Kernel:
        """What `make` makes, or its twin's kernel with this group's names; `purpose` tells different `make`s apart."""
        key = outline.key(purpose)
        found = None if key is None else self.made.get(key)
        if found is None:
            made = make()
            if key is not None:
                self.made[key] = made, tuple(outline.buffers), tuple(outline.scalars)
            return made
        twin, buffers, scalars = found
        places = dict(zip(buffers, outline.buffers, strict=True))
        given = dict(zip(scalars, outline.scalars, strict=True))
        return replace(
            twin, name=name, body=renamed(twin.body, places, given),
            buffers=tuple(Buffer(places[b.name], b.dtype, b.size, b.access) for b in twin.buffers),
            scalars=tuple(ScalarParam(given[p.name], p.kind) for p in twin.scalars),
        )  # fmt: skip


def renamed(body: tuple[Stmt, ...], places: Mapping[str, str], given: Mapping[str, str]) -> tuple[Stmt, ...]:
    """Statements with other names for memory (`places`) and scalar parameters (`given`)."""
    out: list[Stmt] = []
    for st in body:
        if isinstance(st, Load):
            st = Load(st.dest, places.get(st.buffer, st.buffer), st.index, st.mask)
        elif isinstance(st, (LoadAt, StoreAt)):
            st = replace(st, buffer=places.get(st.buffer, st.buffer))
        elif isinstance(st, Store):
            st = Store(places.get(st.buffer, st.buffer), st.index, st.value)
        elif isinstance(st, Param):
            st = Param(st.dest, given.get(st.param, st.param), st.dtype)
        elif isinstance(st, (Loop, Reduce)):
            st = replace(st, body=renamed(st.body, places, given))
        out.append(st)
    return tuple(out)
