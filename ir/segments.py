"""Cuts a graph behind the nodes that settle sizes: each part is an ordinary graph, all of whose sizes are known when it starts.

A part takes what it needs of earlier ones as inputs, also the numbers of symbols that its tensors do not show. Views are made
again where they are read. Write-backs and the outputs that name inputs are in the last part. Runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Union

from . import sizes, solve
from .graph import Graph, Node, Output, Value, WriteBack, produced
from .types import ScalarType, sizes_of


@dataclass(frozen=True, slots=True)
class Part:
    """`inputs`: of the whole graph's values, or names of symbols; `outputs`: the values that `graph` gives, in the last part the
    numbers of the whole graph's outputs; `then`: the nodes that run behind it and settle sizes."""

    graph: Graph
    inputs: tuple[Union[Value, str], ...]
    outputs: tuple[Union[Value, int], ...]
    then: tuple[Node, ...]


def parts(graph: Graph) -> tuple[Part, ...]:
    """The parts of `graph` in order; one, with nothing behind it, where no node settles a size."""
    return tuple(_Parts(graph).all())


@dataclass(slots=True)
class _Open:
    """A part in the making."""

    nodes: set[Node] = field(default_factory=set)
    inputs: dict[Value, None] = field(default_factory=dict)


class _Parts:
    """`stage`: in which part a value is there first, by value and by symbol."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.stage: dict[Value | str, int] = {}
        self.made_by = {r: n for n in graph.nodes for r in n.results}
        for node in graph.nodes:
            name = produced(node)
            found = max((self.stage.get(x, 0) for x in _needs(node)), default=0) + (name is not None)
            self.stage.update((r, found) for r in node.results)
            if name is not None:
                self.stage[name] = found
        self.last = max((self.stage[n] for node in graph.nodes if (n := produced(node)) is not None), default=0)

    def all(self) -> Iterator[Part]:
        """The parts, planned from the last to the first: what a later one takes, an earlier one gives."""
        made: list[Part] = []
        wanted: dict[Value, None] = {}
        for number in range(self.last, -1, -1):
            part = self._last() if number == self.last else self._earlier(number, wanted)
            made.append(part)
            wanted.update((v, None) for v in part.inputs if isinstance(v, Value))
            wanted.update((a, None) for n in part.then for a in n.args if isinstance(a, Value))
        return reversed(made)

    def _last(self) -> Part:
        graph = self.graph
        own = [i for i, o in enumerate(graph.outputs) if o.source is not None or not self._given(o.value)]
        outputs = [graph.outputs[i] for i in own]
        roots = [v for o in outputs for v in (o.value, o.source) if v is not None]
        roots += [v for w in graph.writes for v in (w.target, w.value)]
        return self._part(self.last, roots, outputs, tuple(own), graph.writes)

    def _given(self, value: Value) -> bool:
        """Whether an earlier part makes `value` as a tensor of its own."""
        node = self.made_by.get(value)
        if node is None or node.op.effects.aliases is not None:
            return False
        return self.stage[value] < self.last or produced(node) is not None

    def _earlier(self, number: int, wanted: Iterable[Value]) -> Part:
        then = [n for n in self.graph.nodes if produced(n) is not None and self.stage[n.results[0]] == number + 1]
        reads = [a for n in then for a in n.args if isinstance(a, Value)]
        last = [o.value for o in self.graph.outputs if o.source is None and self._given(o.value)]
        given = [v for v in dict.fromkeys((*reads, *wanted, *last)) if self._is_made_in(v, number, v in reads)]
        return self._part(number, given, [Output(v) for v in given], tuple(given), (), tuple(then))

    def _is_made_in(self, value: Value, number: int, read: bool) -> bool:
        """Whether part `number` gives `value`: it computes it, or it is a view that a node right behind it reads."""
        node = self.made_by.get(value)
        if node is None or produced(node) is not None:
            return False
        return read if node.op.effects.aliases is not None else self.stage[value] == number

    def _part(
        self, number: int, roots: Iterable[Value], outputs: list[Output], names: tuple[Value | int, ...],
        writes: tuple[WriteBack, ...], then: tuple[Node, ...] = (),
    ) -> Part:  # fmt: skip
        part = _Open()
        must = [n for n in self.graph.nodes if n.op.effects.raises and produced(n) is None and self.stage[n.results[0]] == number]
        todo = [*roots, *(r for n in must for r in n.results)]
        while todo:
            value = todo.pop()
            node = self.made_by.get(value)
            if node is None or produced(node) is not None or (node.op.effects.aliases is None and self.stage[value] != number):
                part.inputs[value] = None
            elif node not in part.nodes:
                part.nodes.add(node)
                todo += [a for a in node.args if isinstance(a, Value)]
        return self._closed(part, number, outputs, names, writes, then)

    def _closed(
        self, part: _Open, number: int, outputs: list[Output], names: tuple[Value | int, ...], writes: tuple[WriteBack, ...],
        then: tuple[Node, ...],
    ) -> Part:  # fmt: skip
        graph = self.graph
        nodes = [n for n in graph.nodes if n in part.nodes]
        before = [0]
        for node in graph.nodes:
            before.append(before[-1] + (node in part.nodes))
        writes = tuple(WriteBack(w.target, w.value, before[w.position], w.view) for w in writes)
        views = [v for v in (*(o.view for o in outputs), *(w.view for w in writes)) if v is not None]
        order = {v: i for i, v in enumerate((*graph.inputs, *self.made_by))}
        inputs: list[Value] = sorted(part.inputs, key=order.__getitem__)
        symbols = dict.fromkeys(
            name for n in [*(s for v in inputs for s in sizes_of(v.type)), *(s for n in nodes for s in _sizes(n)),
                           *(s for v in views for s in (v.offset, *v.shape, *v.strides))]
            for name in sizes.symbols_of(n)
        )  # fmt: skip
        shown = solve.solvable([s for v in inputs for s in sizes_of(v.type)], [v.name for v in inputs if _is_int(v)])
        numbers = [name for name in symbols if name not in shown]
        given: list[Value | str] = [*inputs, *numbers]
        heads = (*inputs, *(Value(ScalarType("int"), name) for name in numbers))
        name = graph.name if number == self.last else f"{graph.name}_{number}"
        return Part(Graph(name, heads, tuple(nodes), tuple(outputs), writes, tuple(symbols)), tuple(given), names, then)


def _is_int(v: Value) -> bool:
    return isinstance(v.type, ScalarType) and v.type.kind == "int"


def _needs(node: Node) -> Iterator[Value | str]:
    """The values and symbols that must be there before `node` runs."""
    yield from (a for a in node.args if isinstance(a, Value))
    own = produced(node)
    for size in _sizes(node):
        yield from (name for name in sizes.symbols_of(size) if name != own)


def _sizes(node: Node) -> Iterator[sizes.Size]:
    for value in node.results:
        yield from sizes_of(value.type)
    for attr in node.attrs.values():
        yield from _in(attr)


def _in(attr: object) -> Iterator[sizes.Size]:
    if isinstance(attr, tuple):
        for x in attr:
            yield from _in(x)
    elif isinstance(attr, sizes.Expr):
        yield attr
