"""One kernel in the making: its loops, the nodes it holds, and how another node would fit in.

A value is wanted at an index in terms of the kernel's loop axes; a node may join where its loops fit those (`Group.fit`) and
where no work is repeated. Which nodes are tried, and in which order, is for `schedule_fuse` to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from . import sizes
from .graph import Node, Value
from .lazyclass import dataclass
from .op import Gather, Move, Op, Places, Scalar, Scatter
from .op import Reduce as ReduceLowering
from .schedule_index import Index, axes_of, broadcast, pieces
from .schedule_scalars import SLOW, primitives_of
from .sizes import Size
from .types import TensorType, numel

Levels = list[list[str]]

#: A reduction of a whole tensor joins a pointwise reader below this many elements; above, both keep their parallel loops.
MAX_SERIAL = 1 << 16


@dataclass(frozen=True, slots=True)
class Position:
    """A data-dependent index: the axes on which it depends."""

    axes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Fit:
    """How a node joins a kernel: the loop levels then, the axes of its reduction, and those of them that are new."""

    levels: Levels
    axes: tuple[str, ...] | None = None
    fresh: Mapping[str, Size] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Group:
    """The nodes of one kernel. `extents`: all loop axes; `levels`: level 0 is the grid, deeper levels are nested loops;
    `stores`: the values it writes, each with its index (of a Scatter: of its source); `members`: the values it computes;
    `apart`: Moves it may not look through unless it computes them; `serial`: axes whose iterations run in order;
    `one_by_one`: the innermost is one of these, so that nothing is computed in vectors."""

    number: int
    symbols: tuple[str, ...]
    producers: Mapping[Value, Node]
    extents: dict[str, Size] = field(default_factory=dict)
    levels: Levels = field(default_factory=lambda: [[]])
    stores: dict[Value, Index] = field(default_factory=dict)
    members: set[Value] = field(default_factory=set)
    touched: set[Value] = field(default_factory=set)
    nodes: list[Node] = field(default_factory=list)
    domain: tuple[Size, ...] = ()
    apart: frozenset[Value] = frozenset()
    serial: frozenset[str] = frozenset()
    one_by_one: bool = False
    positions: dict[str, Position] = field(default_factory=dict)
    _positions: dict[tuple[Value, Index], tuple[Size, ...]] = field(default_factory=dict)
    _reduced: dict[tuple[Value, Index], tuple[str, ...]] = field(default_factory=dict)

    def new_axis(self, extent: Size) -> str:
        """The name of a fresh loop axis."""
        name = self._axis_name(len(self.extents))
        self.extents[name] = extent
        return name

    def _axis_name(self, number: int) -> str:
        return f"{axis_stem(self.symbols)}{number}"

    def axis(self, name: str) -> Size:
        """The axis as an index expression, bounded by its extent."""
        return sizes.symbol(name, 0, self.extents[name] - 1)

    def computes(self, value: Value) -> bool:
        """Whether this kernel computes `value` itself (Moves are looked through, but for those set apart)."""
        return value in self.members or (isinstance(self.producers[value].op.lowering, Move) and value not in self.apart)

    def scatters(self, value: Value) -> bool:
        """Whether `value` is what this kernel's Scatter makes."""
        return value in self.members and isinstance(self.producers[value].op.lowering, Scatter)

    def axes(self, index: Index) -> set[str]:
        """Loop axes an index depends on, also through data-dependent positions."""
        out: set[str] = set()
        for name in axes_of(index):
            out |= self.positions[name].axes if name in self.positions else {name} & set(self.extents)
        return out

    def position(self, node: Node, index: Index) -> tuple[Places, tuple[Size, ...]]:
        """Where Gather or Scatter `node` reaches its table at `index`, and the symbols that stand for the positions."""
        key, table = (node.results[0], index), node.args[0]
        assert isinstance(table, Value) and isinstance(node.op.lowering, (Gather, Scatter))
        shapes = tuple(a.shape if isinstance(a, Value) else () for a in node.args)
        places = node.op.lowering.fn(index, shapes, **node.attrs)
        if key not in self._positions:
            found = []
            for dim, (_, at) in zip(places.dims, places.positions, strict=True):
                name = f"at{len(self.positions)}"
                found.append(sizes.symbol(name, 0, table.shape[dim] - 1))
                self.positions[name] = Position(frozenset(self.axes(at)))
            self._positions[key] = tuple(found)
        return places, self._positions[key]

    def reduce_axes(self, node: Node, index: Index, opened: frozenset[str]) -> tuple[str, ...]:
        """The loop axes over which Reduce `node` runs when read at `index`; fresh ones where those are open already."""
        key = (node.results[0], index)
        if key not in self._reduced or set(self._reduced[key]) & opened:
            operand = node.args[0]
            assert isinstance(operand, Value)
            self._reduced[key] = tuple(self.new_axis(operand.shape[d]) for d in node.attrs["dim"])
        return self._reduced[key]

    def reduced_index(self, node: Node, index: Index, axes: tuple[str, ...] | list[str]) -> Index:
        """The operand's index inside the loops of Reduce `node`."""
        operand, dims = node.args[0], node.attrs["dim"]
        assert isinstance(operand, Value)
        kept = iter([i for d, i in enumerate(index) if d not in dims] if node.attrs.get("keepdim") else index)
        loop = dict(zip(dims, axes, strict=True))
        out = (self.axis(loop[d]) if d in loop else next(kept) for d in range(len(operand.shape)))
        return tuple(0 if n == 1 else i for i, n in zip(out, operand.shape, strict=True))

    def reads(self, node: Node, index: Index) -> list[tuple[Value, Index, bool]]:
        """The tensors that `node` reads when computed at `index`: (value, index, whether only under a condition)."""
        lowering = node.op.lowering
        args = [a if isinstance(a, Value) and isinstance(a.type, TensorType) else None for a in node.args]
        if isinstance(lowering, Move):
            found = [(p.operand, p.index, p.condition is not None) for p in pieces(node, index)]
            return [r for r in found if r[0] in args]
        if isinstance(lowering, ReduceLowering) and args[0] is not None:
            return [(args[0], self.reduced_index(node, index, self.reduce_axes(node, index, frozenset())), False)]
        if isinstance(lowering, (Gather, Scatter)) and args[0] is not None and args[-1] is not None:
            places, symbols = self.position(node, index)
            found = [(args[number], at, False) for number, at in places.positions]
            data = (args[0], places.filled(symbols), False) if isinstance(lowering, Gather) else (args[-1], index, False)
            return [r for r in (*found, data) if r[0] is not None]  # type: ignore[misc]
        return [(a, broadcast(index, a.shape), False) for a in args if a is not None]

    def fit(self, node: Node, index: Index, once: bool = False) -> Fit | str:
        """How `node` can be computed at `index` in this kernel, or the reason why it cannot. Changes nothing.
        `once`: each element must be computed exactly once, because it is stored."""
        own = self.axes(index)
        if isinstance(node.op.lowering, ReduceLowering):
            if axes_of(index) & set(self.positions):
                return "it is read at positions that are data"
            return self._fit_reduce(node, own)
        if not is_slow(node) and not once:
            return Fit(self.levels)
        if self.one_by_one and own & self.serial:
            return "its elements would be computed one by one, as the reader takes them"
        work = numel([self.extents[a] for a in own])
        if not _at_most(work, numel(node.results[0].shape)):
            return "its elements would be computed several times"
        return self._fit_slow(own)

    def _level_of(self, own: set[str]) -> tuple[int, set[str]]:
        """(k, axes of the levels before k): k is the outermost level inside which all of `own` is known."""
        level, before = 0, set[str]()
        while not own <= before | set(self.levels[level]):
            before |= set(self.levels[level])
            level += 1
        return level, before

    def _parts_a_reduction(self, outer: list[str], inner: list[str]) -> bool:
        """Whether a reduction of this kernel, which is one nest of loops, runs over axes of both lists."""
        spans = [set(axes) for (value, _), axes in self._reduced.items() if value in self.members]
        return any(span & set(outer) and span & set(inner) for span in spans)

    def _fit_slow(self, own: set[str]) -> Fit | str:
        k, before = self._level_of(own)
        level = self.levels[k]
        head, rest = [a for a in level if a in own], [a for a in level if a not in own]
        serial = k == 0 and rest and not head and not _at_most(numel([self.extents[a] for a in level]), MAX_SERIAL)
        if serial or not before <= own or level[: len(head)] != head:
            return "its elements would be computed again for every row of the reader"
        if self._parts_a_reduction(head, rest):
            return "its elements would be computed again for every element of a reduction"
        return Fit([*self.levels[:k], head, rest, *self.levels[k + 1 :]] if rest else self.levels)

    def _fit_reduce(self, node: Node, own: set[str]) -> Fit | str:
        operand = node.args[0]
        assert isinstance(operand, Value)
        if not _at_most(numel([self.extents[a] for a in own]), numel(node.results[0].shape)):
            return "it would be reduced several times"
        k, before = self._level_of(own)
        if not before <= own:
            return "it keeps dimensions that are inner loops of the reader"
        level = self.levels[k]
        kept, rest = [a for a in level if a in own], [a for a in level if a not in own]
        if rest and kept and level[-1] in own:
            return "its rows lie across the innermost loop of the reader"
        if self._parts_a_reduction(kept, rest):
            return "it would be reduced again for every element of a reduction of the reader"
        total = numel([self.extents[a] for a in level])
        if rest and not kept and k == 0 and isinstance(total, int) and total > MAX_SERIAL:
            return "a reduction of the whole tensor must end before a large parallel loop begins"
        levels = [*self.levels[:k], kept, *([rest] if rest else []), *self.levels[k + 1 :]]
        return self._with_loops(levels, k + 1, [operand.shape[d] for d in node.attrs["dim"]])

    def _with_loops(self, levels: Levels, k: int, wanted: list[Size]) -> Fit:
        """Name the loops of a reduction: axes of level `k` with equal extents, else fresh ones in it."""
        levels = [list(level) for level in levels] + ([[]] if k == len(levels) else [])
        free, axes, fresh = list(levels[k]), [], dict[str, Size]()
        for extent in wanted:
            same = next((a for a in free if self.extents[a] == extent), None)
            if same is None:
                same = self._axis_name(len(self.extents) + len(fresh))
                fresh[same] = extent
                levels[k].append(same)
            else:
                free.remove(same)
            axes.append(same)
        return Fit(levels, tuple(axes), fresh)

    def commit(self, node: Node, index: Index, fit: Fit) -> None:
        """Take `node` in at `index`."""
        self.levels = fit.levels
        self.extents.update(fit.fresh)
        if fit.axes is not None:
            self._reduced[(node.results[0], index)] = fit.axes
        if not self.nodes or self.nodes[-1] is not node:
            self.nodes.append(node)
        self.members.update(node.results)


def is_slow(node: Node) -> bool:
    """Whether the node's expression holds a primitive far dearer than a load."""
    return bool(SLOW & primitives_in(node))


def primitives_in(node: Node) -> frozenset[str]:
    """Names of the primitives of a Scalar node; none of others."""
    if not isinstance(node.op.lowering, Scalar):
        return frozenset()
    if node.op not in _FOUND:
        _FOUND[node.op] = frozenset(primitives_of(node))
    return _FOUND[node.op]


_FOUND: dict[Op, frozenset[str]] = {}


def _at_most(a: Size, b: Size) -> bool:
    low = sizes.bounds(b - a)[0]
    return low is not None and low >= 0


def axis_stem(symbols: tuple[str, ...]) -> str:
    """What the names of loop axes begin with, so that none is the name of a size."""
    return "i" if not any(s.startswith("i") and s[1:].isdigit() for s in symbols) else "axis"

