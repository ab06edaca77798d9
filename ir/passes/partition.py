"""Cuts a joint graph into a forward graph and a backward graph, and decides what is saved between the two.

Greedy: inputs are read again, cheap values are computed again, the rest is saved. Runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from .. import sizes, solve
from ..graph import Graph, Node, Output, Value, rewrite
from ..op import Extern, Gemm, Scalar
from ..text import values_of
from ..types import ScalarType, sizes_of
from .autodiff import JointGraph
from .cse import cse
from .dce import dce, keep
from .masks import masks

#: Pointwise calls that may stand between a value computed again and what is at hand. Longer chains cost more to compute
#: again than a read of memory does.
_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Partition:
    """`forward`: the original graph with `saved` further outputs, each a fresh tensor. `backward`: its inputs are the
    forward's inputs number `saved_inputs`, then the saved tensors, then the tangents; its outputs the gradients."""

    forward: Graph
    backward: Graph
    saved_inputs: tuple[int, ...]
    saved: int

    def __str__(self) -> str:
        return f"{self.forward}\n\n{self.backward}"


def partition(joined: JointGraph) -> Partition:
    """Forward and backward graphs that together compute what `joined` does. An input that the forward graph writes to is
    saved as a copy, never read again."""
    graph = cse(masks(joined.graph))
    inputs, tangents = graph.inputs[: joined.inputs], graph.inputs[joined.inputs :]
    outputs, gradients = graph.outputs[: joined.outputs], graph.outputs[joined.outputs :]
    late = _depending(graph, tangents)
    forward = keep(replace(graph, inputs=inputs, outputs=outputs), [n for n in graph.nodes if n not in late])
    forward = dce(forward)
    cut = _Cut(graph, forward, tangents)
    cut.choose(o.value for o in gradients)
    cut.define_symbols()
    numbers = tuple(i for i, v in enumerate(inputs) if v in cut.inputs)
    saved = [v for v in values_of(forward) if v in cut.saved]
    backward = Graph(
        f"{graph.name}_backward", (*(inputs[i] for i in numbers), *saved, *tangents),
        tuple(n for n in graph.nodes if n in cut.again), tuple(Output(o.value) for o in gradients), (), cut.symbols(),
    )  # fmt: skip
    forward = replace(forward, outputs=(*outputs, *map(Output, saved)))
    return Partition(renamed(forward), renamed(backward), numbers, len(saved))


def renamed(graph: Graph) -> Graph:
    """A copy of `graph` with values of its own, numbered from 0."""
    return rewrite(graph, lambda node, builder, args: None)


def _depending(graph: Graph, roots: Iterable[Value]) -> set[Node]:
    values, nodes = set(roots), set()
    for node in graph.nodes:
        if any(a in values for a in node.args if isinstance(a, Value)):
            nodes.add(node)
            values.update(node.results)
    return nodes


class _Cut:
    """`again`: the backward graph's nodes; `saved` and `inputs`: what it takes from the forward graph."""

    def __init__(self, graph: Graph, forward: Graph, tangents: tuple[Value, ...]) -> None:
        self.graph, self.forward = graph, forward
        self.made_by = {r: n for n in graph.nodes for r in n.results}
        self.early = set(forward.nodes)
        self.written = {w.target for w in graph.writes}
        self.free = set(tangents)
        self.again: set[Node] = set()
        self.saved: set[Value] = set()
        self.inputs: set[Value] = set()

    def choose(self, gradients: Iterable[Value]) -> None:
        """Settle where each value that the backward graph reads comes from, in the order of computation."""
        wanted = self.wanted(gradients)
        stored = self.stored(self.early) & self.stored(self.again)
        for value in values_of(self.forward):
            if value not in wanted and value not in stored:
                continue
            if self.at_hand(value, _DEPTH) and value not in stored:
                self.take(value)
            else:
                self.saved.add(value)

    def wanted(self, roots: Iterable[Value]) -> set[Value]:
        """Values of the forward graph that the backward graph's own nodes read; those nodes go into `again`."""
        found, todo = set(), list(roots)
        while todo:
            value = todo.pop()
            node = self.made_by.get(value)
            if value in self.free:
                continue
            if node is None or node in self.early:
                found.add(value)
            elif node not in self.again:
                self.again.add(node)
                todo += [a for a in node.args if isinstance(a, Value)]
        return found

    def viewed(self, a: Any) -> Any:
        """What `a` is a view of, through however many views."""
        while isinstance(a, Value) and a in self.made_by:
            node = self.made_by[a]
            if node.op.effects.aliases is None:
                break
            a = node.args[node.op.effects.aliases]
        return a

    def stored(self, nodes: Iterable[Node]) -> set[Value]:
        """Values computed in the forward graph that one of `nodes` reads in memory, itself or a view of it: where both halves
        do, a second computation would need a second store."""
        found = set()
        for node in nodes:
            for a in node.args if isinstance(node.op.lowering, (Gemm, Extern)) else ():
                a = self.viewed(a)
                if isinstance(a, Value) and self.made_by.get(a) in self.early:
                    found.add(a)
        return found

    def at_hand(self, value: Value, depth: int) -> bool:
        """Whether `value` is saved, an input that keeps its value, or cheap to compute from such."""
        if value in self.saved:
            return True
        node = self.made_by.get(value)
        if node is None:
            return value not in self.written
        view = node.op.effects.aliases is not None
        pointwise = isinstance(node.op.lowering, Scalar) and len(node.results) == 1
        if node.op.effects.raises or not (view or (pointwise and depth > 0)):
            return False
        return all(self.at_hand(a, depth if view else depth - 1) for a in node.args if isinstance(a, Value))

    def take(self, value: Value) -> None:
        """Compute `value` in the backward graph, from what is at hand."""
        node = self.made_by.get(value)
        if value in self.saved:
            return
        if node is None:
            self.inputs.add(value)
        elif node not in self.again:
            self.again.add(node)
            for a in node.args:
                if isinstance(a, Value):
                    self.take(a)

    def symbols(self) -> tuple[str, ...]:
        """Symbols that occur in the backward graph, in the joint graph's order."""
        nodes = [n for n in self.graph.nodes if n in self.again]
        values = [*self.inputs, *self.saved, *self.free, *(r for n in nodes for r in n.results)]
        found = {name for v in values for s in sizes_of(v.type) for name in sizes.symbols_of(s)}
        found |= {name for n in nodes for x in n.attrs.values() for name in _names(x)}
        return tuple(name for name in self.graph.symbols if name in found)

    def define_symbols(self) -> None:
        """Read a further input for each symbol that nothing else read settles."""
        while True:
            taken = [*self.inputs, *self.saved, *self.free]
            scalars = [v.name for v in taken if isinstance(v.type, ScalarType)]
            known = solve.solvable([s for v in taken for s in sizes_of(v.type)], scalars)
            missing = [name for name in self.symbols() if name not in known]
            if not missing:
                return
            settling = [v for v in self.forward.inputs if missing[0] in (v.name, *map(str, sizes_of(v.type)))]
            best = min(settling, key=lambda v: v in self.written)
            (self.saved if best in self.written else self.inputs).add(best)


def _names(attr: object) -> Iterable[str]:
    if isinstance(attr, tuple):
        for item in attr:
            yield from _names(item)
    elif isinstance(attr, sizes.Expr):
        yield from sizes.symbols_of(attr)
