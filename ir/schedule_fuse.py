"""Which nodes share a kernel: one greedy walk from the last node to the first, each joining the kernel of its readers.

A value is wanted at an index in terms of a reader's loop axes; a node may join where its loops fit those of the reader
(`Group.fit`), where no work is repeated, and where no cycle arises. What does not fit is stored, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Union

from .graph import Graph, Node, Value
from .layout import regroup
from .lazyclass import dataclass
from .op import WHOLE, Gemm, Move, Scalar, Scan, Scatter, lookup
from .op import Reduce as ReduceLowering
from .plan import Refusal
from .schedule_group import Fit, Group, Levels, is_slow, primitives_in
from .schedule_index import Index, covers, layout, view_of
from .schedule_limit import crowded, is_full, lengths
from .schedule_scalars import MIDDLING, SLOW
from .sizes import Size
from .types import TensorType, numel

#: Times a cheap value may be computed at different indices of one kernel before it is stored instead.
MAX_COPIES = 4


@dataclass(slots=True, eq=False)
class Barrier:
    """A node that runs as a step of its own: a matrix product, an extern op or a claimed composite."""

    number: int
    node: Node


Unit = Union[Group, Barrier]


@dataclass(frozen=True, slots=True)
class Read:
    """`unit` wants a value at `index` (None: all of it, in memory), for `consumer`; `masked`: only for some indices."""

    unit: Unit
    index: Index | None
    masked: bool
    consumer: Node | None


@dataclass(slots=True)
class Fusion:
    """The result of the walk: units in no particular order, which unit stores which value, who must run after whom."""

    graph: Graph
    producers: dict[Value, Node]
    wanted: set[Value]
    origins: Mapping[Node, str] = field(default_factory=dict)
    lengths: Mapping[Value, int] = field(default_factory=dict)
    apart: frozenset[Value] = frozenset()
    units: list[Unit] = field(default_factory=list)
    host: dict[Value, Unit] = field(default_factory=dict)
    after: dict[Unit, set[Unit]] = field(default_factory=dict)
    before: dict[Unit, set[Unit]] = field(default_factory=dict)  # the same, seen from the other side
    refusals: list[Refusal] = field(default_factory=list)
    reads: dict[Value, list[Read]] = field(default_factory=dict)
    tables: frozenset[Value] = frozenset()  # what claimed calls overwrite: stored, each in its result's place

    def name(self, node: Node) -> str:
        """The op the user called."""
        return self.origins.get(node, node.op.name)

    def label(self, node: Node) -> str:
        """A node as a refusal names it."""
        inside = "" if self.name(node) == node.op.name else f" (in {self.name(node)})"
        return f"%{node.results[0].name} {node.op.name}{inside}"


def fuse(graph: Graph, origins: Mapping[Node, str] | None = None, tables: frozenset[Value] = frozenset()) -> Fusion:
    """Group the nodes of `graph`, which `prepared` made. `origins`: the op each node was decomposed from, by name; `tables`: as
    `Fusion.tables`."""
    producers = {r: n for n in graph.nodes for r in n.results}
    stored = [o.value for o in graph.outputs if o.source is None] + [w.value for w in graph.writes] + _checked(graph)
    apart = crowded(graph)
    wanted = dict.fromkeys(v for v in stored + apart if isinstance(v.type, TensorType))
    fusion = Fusion(graph, producers, set(wanted), origins or {}, lengths(graph), frozenset(apart), tables=tables)
    for value in wanted:
        if value not in producers:
            _root(fusion, value)
    for node in reversed(graph.nodes):
        if not any(fusion.reads.get(r) or r in fusion.wanted for r in node.results):
            continue
        if isinstance(node.op.lowering, WHOLE):
            _barrier(fusion, node)
        elif isinstance(node.op.lowering, Move):
            _move(fusion, node)
        elif isinstance(node.op.lowering, (Scatter, Scan)):
            _in_order(fusion, node)
        else:
            _place(fusion, node)
    fusion.refusals.reverse()
    return fusion


def _checked(graph: Graph) -> list[Value]:
    """Values that must be computed whole because computing them may raise, and of which the readers may read less."""
    readers: dict[Value, list[Node]] = {}
    for node in graph.nodes:
        for a in node.args:
            if isinstance(a, Value):
                readers.setdefault(a, []).append(node)
    stored = {o.value for o in graph.outputs} | {w.value for w in graph.writes}
    raising = [n.results[0] for n in graph.nodes if n.op.effects.raises]
    return [v for v in raising if not _read_whole(v, readers, stored)]


def _read_whole(value: Value, readers: Mapping[Value, list[Node]], stored: set[Value]) -> bool:
    """Whether every element is stored or read by some op; one that moves elements counts if it keeps them all for such an op."""
    for node in readers.get(value, ()):
        if not isinstance(node.op.lowering, Move):
            return True
        kept, had = numel(node.results[0].shape), numel(value.shape)
        grows = isinstance(kept, int) and isinstance(had, int) and kept > had
        if (kept == had or grows) and _read_whole(node.results[0], readers, stored):
            return True
    return value in stored


def _barrier(fusion: Fusion, node: Node) -> None:
    unit = Barrier(len(fusion.units), node)
    fusion.units.append(unit)
    for result in node.results:
        _stored_by(fusion, result, unit)
        _refuse_all(fusion, result, f"{node.op.name} runs as a step of its own", fusion.reads.get(result, []))
    for value in dict.fromkeys(a for a in node.args if isinstance(a, Value) and isinstance(a.type, TensorType)):
        base = value if value in fusion.tables else operand_view(fusion, node, value)[0]
        fusion.reads.setdefault(base, []).append(Read(unit, None, False, node))
        if base in fusion.producers:
            fusion.wanted.add(base)


def operand_view(fusion: Fusion, node: Node, value: Value) -> tuple[Value, Size, tuple[Size, ...]]:
    """(stored value, offset, strides) that a barrier reads for operand `value`."""
    found = view_of(value, fusion.producers, fusion.wanted if value in fusion.wanted else set())
    if found is not None and (not isinstance(node.op.lowering, Gemm) or _gemm_takes(value, found[2])):
        return found
    return value, 0, layout(value, value in fusion.producers).strides


def _gemm_takes(value: Value, strides: tuple[Size, ...]) -> bool:
    """Whether a matrix product can read this layout: unit stride in one of the last two dimensions."""
    last = list(zip(value.shape, strides, strict=True))[-2:]
    return any(s == 1 for _, s in last) or all(n == 1 for n, _ in last)


def _move(fusion: Fusion, node: Node) -> None:
    (result,) = node.results
    if result in fusion.wanted:
        unit = _root(fusion, result)
        _stored_by(fusion, result, unit)
        if result in fusion.apart:
            unit.members.add(result)
            return
    for read in fusion.reads.get(result, []):
        if read.index is not None and isinstance(read.unit, Group):
            _read_operands(fusion, node, read.unit, read.index, read.masked)


def _in_order(fusion: Fusion, node: Node) -> None:
    """A kernel of its own that walks the source of a Scatter or Scan, some of the loops in order. The table of a Scatter, copied
    by `prepared`, is stored before in the result's place."""
    result, table, source = node.results[0], node.args[0], node.args[-1]
    lowering = node.op.lowering
    assert isinstance(table, Value) and isinstance(source, Value) and isinstance(lowering, (Scatter, Scan))
    group = Group(len(fusion.units), fusion.graph.symbols, fusion.producers, apart=fusion.apart)
    fusion.units.append(group)
    axes = [group.new_axis(n) for n in source.shape]
    index = tuple(0 if n == 1 else group.axis(a) for a, n in zip(axes, source.shape, strict=True))
    shapes = tuple(a.shape if isinstance(a, Value) else () for a in node.args)
    dims = lowering.serial(shapes, **node.attrs) if isinstance(lowering, Scatter) else (node.attrs["dim"],)
    serial = [axes[d] for d in dims if source.shape[d] != 1]
    free = [a for a, n in zip(axes, source.shape, strict=True) if n != 1 and a not in serial]
    group.levels = [free, *([serial] if serial else [])]
    group.serial = frozenset(serial)
    group.one_by_one = bool(serial) and not [a for a in free if axes.index(a) > axes.index(serial[-1])]
    group.stores[result] = index
    group.commit(node, index, Fit(group.levels))
    _stored_by(fusion, result, group)
    _refuse_all(fusion, result, f"{node.op.name} runs in a kernel of its own", fusion.reads.get(result, []))
    if isinstance(lowering, Scatter):
        _read(fusion, table, Read(group, None, False, node))
        fusion.wanted.add(table)
    _read_operands(fusion, node, group, index, False)


def _read(fusion: Fusion, value: Value, read: Read) -> None:
    if not isinstance(value.type, TensorType):
        return
    reads = fusion.reads.setdefault(value, [])
    if not any(r.unit is read.unit and r.index == read.index and r.masked == read.masked for r in reads):
        reads.append(read)
    if isinstance(read.unit, Group):
        read.unit.touched.add(value)


def _read_operands(fusion: Fusion, node: Node, group: Group, index: Index, masked: bool) -> None:
    for value, at, part in group.reads(node, index):
        _read(fusion, value, Read(group, at, masked or part, node))


def _place(fusion: Fusion, node: Node) -> None:
    """Put a Scalar, Reduce or Gather node into its readers' kernels, or into one that stores it."""
    reads = [r for v in node.results for r in fusion.reads.get(v, [])]
    stored = any(v in fusion.wanted for v in node.results)
    units = list(dict.fromkeys(r.unit for r in reads))
    if not stored and (len(units) == 1 or is_free(fusion, node)) and _join_all(fusion, node, reads):
        return
    needed = [v for v in node.results if v in fusion.wanted or fusion.reads.get(v)]
    group = _host(fusion, node, needed[0], reads, units) or _root(fusion, needed[0])
    for value in needed:
        group.stores.setdefault(value, group.stores[needed[0]])
        _stored_by(fusion, value, group)


def _join_all(fusion: Fusion, node: Node, reads: list[Read]) -> bool:
    """Compute `node` inside every reader, at every index it is read at; False (and nothing done) where one does not fit."""
    for read in reads:
        why = _why_not(fusion, node, read, reads)
        if why is not None:
            _refuse(fusion, node, read.consumer, why)
            return False
    for read in reads:
        assert isinstance(read.unit, Group) and read.index is not None
        fitted = read.unit.fit(node, read.index)
        if isinstance(fitted, str):
            _refuse(fusion, node, read.consumer, fitted)
            return False
        read.unit.commit(node, read.index, fitted)
        _read_operands(fusion, node, read.unit, read.index, read.masked)
    return True


def _why_not(fusion: Fusion, node: Node, read: Read, reads: list[Read]) -> str | None:
    """The reason why `node` cannot be computed for this read inside its reader; None where it can."""
    if read.index is None or not isinstance(read.unit, Group):
        return f"{read.consumer.op.name if read.consumer else 'the reader'} runs as a step of its own"
    if is_full(len(read.unit.nodes), node, fusion.lengths):
        return f"the kernel has {len(read.unit.nodes)} ops already; a longer one would take long to compile"
    here = [r for r in reads if r.unit is read.unit]
    heavy = is_slow(node) or isinstance(node.op.lowering, ReduceLowering)
    if read.masked and heavy:
        return "only a part of the reader's elements needs it"
    if len({r.index for r in here}) > (1 if heavy else MAX_COPIES) and not _is_constant(node):
        return "it is read at several places"
    fitted = read.unit.fit(node, read.index)
    return fitted if isinstance(fitted, str) else None


def _is_constant(node: Node) -> bool:
    """Whether all elements are one number, which stands where it is read."""
    return isinstance(node.op.lowering, Scalar) and not any(isinstance(a, Value) for a in node.args) and not is_slow(node)


def _host(fusion: Fusion, node: Node, value: Value, reads: list[Read], units: list[Unit]) -> Group | None:
    """The first reader that can compute and store `node` on its way; other readers then load it."""
    for unit in units:
        if not isinstance(unit, Group):
            continue
        here = [r for r in reads if r.unit is unit]
        at = next((r for r in here if not r.masked and r.index and covers(r.index, value.shape, unit.extents)), None)
        if value.shape == () and not here[0].masked:
            at = here[0]
        others = [u for u in units if u is not unit]
        if at is None or at.index is None or len(here) > 1 or _why_not(fusion, node, at, here) is not None:
            continue
        if _follows(fusion, others, unit):
            continue
        fitted = unit.fit(node, at.index, once=True)
        if isinstance(fitted, str):
            continue
        unit.commit(node, at.index, fitted)
        unit.stores[value] = at.index
        _read_operands(fusion, node, unit, at.index, False)
        rest = [r for r in reads if r.unit is not unit]
        _refuse_all(fusion, value, "it is stored once for several readers", rest)
        return unit
    return None


def _follows(fusion: Fusion, starts: list[Unit], goal: Unit) -> bool:
    """Whether `goal` runs after (or is) one of `starts`. Looks back from it: of what runs before it little is placed yet."""
    if not starts:
        return False
    seen, stack, wanted = set[Unit](), [goal], set(starts)
    while stack:
        unit = stack.pop()
        if unit in wanted:
            return True
        if unit not in seen:
            seen.add(unit)
            stack += fusion.before.get(unit, ())
    return False


def _root(fusion: Fusion, value: Value) -> Group:
    """A kernel that stores `value`: one with the same loops and a common operand, else a new one."""
    node = fusion.producers.get(value)
    kind = _joined(fusion, value).tensor_type
    whole = any(isinstance(r.unit, Barrier) for r in fusion.reads.get(value, []))  # it reads the row-major copy
    whole = whole or (0 in kind.strides and any(w.value is value for w in fusion.graph.writes))  # the target repeats nothing
    shape = tuple(1 if s == 0 and not whole else n for n, s in zip(kind.shape, kind.strides, strict=True))
    order = _storage_order(kind)
    domain = tuple(shape[d] for d in order if shape[d] != 1)
    group = _beside(fusion, node, value, domain) if node else None
    if group is None:
        group = Group(len(fusion.units), fusion.graph.symbols, fusion.producers, domain=domain, apart=fusion.apart)
        fusion.units.append(group)
        group.levels = [[group.new_axis(n) for n in domain]]
    index: list[Size] = [0] * len(shape)
    for axis, d in zip(group.extents, [d for d in order if shape[d] != 1], strict=False):
        index[d] = group.axis(axis)
    at = tuple(index) if kind.shape == value.shape else regroup(index, kind.shape, value.shape)
    group.stores[value] = at
    if node is None:
        group.touched.add(value)
        fusion.reads.setdefault(value, []).append(Read(group, at, False, None))
    else:
        if not isinstance(node.op.lowering, Move):
            fitted = group.fit(node, at)
            assert not isinstance(fitted, str), fitted
            group.commit(node, at, fitted)
        _read_operands(fusion, node, group, at, False)
    return group


def _joined(fusion: Fusion, value: Value) -> Value:
    """The value whose dimensions the loops take that store `value`: of one joined from parts and then seen in another shape, the
    one before, in which a dimension tells the parts apart."""
    node, found = fusion.producers.get(value), value
    while node is not None and node.op is lookup("view") and isinstance(node.args[0], Value):
        if not (node.args[0].tensor_type.is_contiguous and found.tensor_type.is_contiguous):
            break
        found = node.args[0]
        node = fusion.producers.get(found)
    return found if node is not None and isinstance(node.op.lowering, Move) and len(node.args) > 1 else value


def _beside(fusion: Fusion, node: Node, value: Value, domain: tuple[Size, ...]) -> Group | None:
    """A kernel over the same loops that reads an operand of `node` too and does not run after a reader of it."""
    readers = [r.unit for v in node.results for r in fusion.reads.get(v, [])]
    operands = _ancestors(fusion, node)
    for unit in reversed(fusion.units[-16:]):
        if not isinstance(unit, Group) or unit.domain != domain or not operands & unit.touched or not domain:
            continue
        if is_full(len(unit.nodes), node, fusion.lengths):
            continue
        axes = list(unit.extents)[: len(domain)]
        index = tuple(unit.axis(a) for a in axes)
        fits = _is_prefix(unit.levels, set(axes)) and not isinstance(unit.fit(node, index), str)
        if fits and not _follows(fusion, readers, unit):
            return unit
    return None


def _ancestors(fusion: Fusion, node: Node, most: int = 24) -> set[Value]:
    """Values that `node` is computed from inside kernels, the nearest ones."""
    found: dict[Value, None] = {}
    waiting = [node]
    while waiting and len(found) < most:
        current = waiting.pop(0)
        fresh = [a for a in current.args if isinstance(a, Value) and isinstance(a.type, TensorType) and a not in found]
        found.update(dict.fromkeys(fresh))
        makers = [fusion.producers[a] for a in dict.fromkeys(fresh) if a in fusion.producers]
        waiting += [n for n in makers if not isinstance(n.op.lowering, WHOLE)]
    return set(found)


def _is_prefix(levels: Levels, axes: set[str]) -> bool:
    """Whether `axes` are all the loops down to some depth."""
    outer: set[str] = set()
    for level in levels:
        outer |= set(level)
        if outer == axes:
            return True
    return False


def _storage_order(kind: TensorType) -> list[int]:
    """Dimensions from the largest stride to the smallest, where that is certain; else as they are."""
    steps = [s for s in kind.strides if isinstance(s, int)]
    dims = list(range(kind.ndim))
    return sorted(dims, key=lambda d: -steps[d]) if len(steps) == len(dims) else dims


def _stored_by(fusion: Fusion, value: Value, unit: Unit) -> None:
    fusion.host[value] = unit
    later = {r.unit for r in fusion.reads.get(value, []) if r.unit is not unit}
    fusion.after.setdefault(unit, set()).update(later)
    for follower in later:
        fusion.before.setdefault(follower, set()).add(unit)


def _refuse_all(fusion: Fusion, value: Value, reason: str, reads: list[Read]) -> None:
    for read in reads:
        _refuse(fusion, fusion.producers[value], read.consumer, reason)


def _refuse(fusion: Fusion, producer: Node, consumer: Node | None, reason: str) -> None:
    where = str(producer.where) if producer.where else ""
    refusal = Refusal(fusion.label(producer), fusion.label(consumer) if consumer else "output", reason, where)
    if refusal not in fusion.refusals[-8:]:
        fusion.refusals.append(refusal)


def is_free(fusion: Fusion, node: Node) -> bool:
    """Whether computing the node again costs no more memory traffic than loading its result."""
    if not isinstance(node.op.lowering, Scalar) or (SLOW | MIDDLING) & primitives_in(node):
        return False
    big = [a for a in node.args if isinstance(a, Value) and isinstance(a.type, TensorType) and a.shape == node.results[0].shape]
    size = node.results[0].dtype.itemsize
    if len(big) > 1 or len(node.args) > 2:
        return len(big) == 0
    return not big or big[0].dtype.itemsize <= size or big[0] in fusion.graph.inputs
