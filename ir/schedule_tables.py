"""Where the tables of Scatters lie: with the result, and in an input itself where the result is written back to it.

A write through a view of an input (a line of a cache, a slice) then costs what the slice costs: neither is the input copied
into a table of its own nor the table back. Decides where values lie; emits no kernel but to look at it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .graph import Node, Value, WriteBack
from .loops import Kernel, Load, LoadAt, Store, StoreAt, walk
from .op import Scatter, lookup
from .schedule_fuse import Fusion, Unit
from .schedule_group import Group

if TYPE_CHECKING:
    from .schedule_emit import Target


Link = tuple[Node, "Value | None"]


def chain(fusion: Fusion, write: WriteBack) -> list[Link]:
    """The Scatters that make what is written back out of the input, the first one first, each with the copy that was made to be
    its table; none where it is not made so."""
    links: list[Link] = []
    value = write.value
    while value is not write.target:
        node = fusion.producers.get(value)
        if node is None or not isinstance(node.op.lowering, Scatter) or value not in fusion.host:
            return []
        table = node.args[0]
        assert isinstance(table, Value)
        maker = fusion.producers.get(table)
        copied = maker is not None and maker.op is lookup("contiguous") and table in fusion.host
        links.append((node, table if copied else None))
        of = maker.args[0] if maker is not None and copied else table
        if not isinstance(of, Value) or of.type != value.type:
            return []
        value = of
    return links[::-1]


def units_in_place(fusion: Fusion, write: WriteBack) -> tuple[list[Group], list[Value]] | None:
    """The kernels whose Scatters could write into the input `write.target` itself, the first one first, and the copies that are
    then not needed; None where the value is not made so, or where another kernel reads what lies there in between."""
    links = chain(fusion, write)
    if not links or write.view is not None:
        return None
    units = [fusion.host[node.results[0]] for node, _ in links]
    groups = [u for u in units if isinstance(u, Group) and len(u.stores) == 1]
    if len(groups) < len(units) or any(r.unit in units[1:] for r in fusion.reads.get(write.target, ())):
        return None
    for number, ((_, table), unit) in enumerate(zip(links, units, strict=True)):
        copy = {fusion.host[table]} if table is not None else set()
        if table is not None and {r.unit for r in fusion.reads.get(table, ())} != {unit}:
            return None
        if number and not _only(fusion, links[number - 1][0].results[0], {unit} | copy):
            return None
    return groups, [table for _, table in links if table is not None]


def _only(fusion: Fusion, value: Value, units: set[Unit]) -> bool:
    """Whether nobody but these kernels, each of which stores one value, reads `value`."""
    given = {o.value for o in fusion.graph.outputs} | {w.value for w in fusion.graph.writes}
    return value not in given and {r.unit for r in fusion.reads.get(value, ())} <= units and all(map(_alone, units))


def touches_apart(kernel: Kernel, buffer: str) -> bool:
    """Whether the kernel, which scatters into `buffer`, reads there only what the same round overwrites."""
    body = list(walk(kernel.body))
    if any(isinstance(st, (LoadAt, StoreAt)) and st.buffer == buffer for st in body):
        return False
    stores = [i for i, st in enumerate(body) if isinstance(st, Store) and st.buffer == buffer]
    places = {st.index for st in body if isinstance(st, Store) and st.buffer == buffer}
    loads = [(i, st.index) for i, st in enumerate(body) if isinstance(st, Load) and st.buffer == buffer]
    return bool(stores) and all(i < stores[0] and {at} == places for i, at in loads)


def place(
    fusion: Fusion, write: WriteBack, target: Target, homes: dict[Value, Target], trial: Callable[[Group], Kernel],
    before: Callable[[Group, set[Unit]], bool],
) -> bool:  # fmt: skip
    """Let the Scatters that make what is written back to an input write into the input, where nothing else could see that too
    early; False (and nothing done) elsewhere. `trial(unit)`: its kernel as `homes` say; `before(unit, readers)`: whether all
    these can run before the unit, which they do from now on."""
    found = units_in_place(fusion, write)
    if found is None:
        return False
    units, tables = found
    former = dict(homes)
    homes.update(dict.fromkeys((*tables, *(v for unit in units for v in unit.stores)), target))
    kernels = [trial(unit) for unit in units]
    copies = [fusion.host[table] for table in tables]
    readers = {r.unit for r in fusion.reads.get(write.target, ())} - {*units, *filter(_alone, copies)}
    safe = not any(k.errors for k in kernels) and all(touches_apart(k, target.buffer) for k in kernels)
    if not safe or not before(units[0], readers):
        homes.clear()
        homes.update(former)
        return False
    for copy, table in zip(copies, tables, strict=True):
        assert isinstance(copy, Group)
        del copy.stores[table]
    return True


def take(
    fusion: Fusion, write: WriteBack, over: Callable[[Node], tuple[int, ...]], homes: dict[Value, Target],
    before: Callable[[Unit, set[Unit]], bool],
) -> bool:  # fmt: skip
    """Let claimed calls that overwrite operands (`over`, as `Claim.over`) write into the input that the first one's is a copy of;
    False (and nothing done) where something else could see that too early. `before`: as in `place`."""
    made: list[Value] = []
    value: Any = write.value
    while (node := fusion.producers.get(value)) is not None and over(node):
        made.append(value)
        value = node.args[over(node)[node.results.index(value)]]
    copy = fusion.host.get(value)
    copied = node is not None and node.op is lookup("contiguous") and node.args[0] is write.target
    units = [fusion.host[v] for v in made if v in fusion.host]
    if not copied or write.view is not None or len(units) < len(made) or not isinstance(copy, Group):
        return False
    readers = {r.unit for r in fusion.reads.get(write.target, ())} - ({copy} if _alone(copy) else set())
    if write.target.type != write.value.type or readers & set(units) or not before(units[-1], readers):
        return False
    homes.update(dict.fromkeys((*made, value), homes[write.target]))
    del copy.stores[value]
    return True


def _alone(unit: Unit) -> bool:
    return isinstance(unit, Group) and len(unit.stores) == 1
