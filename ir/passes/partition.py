"""Cuts a joint graph into a forward graph and a backward graph, and decides what is saved between the two.

What costs least: `costs.py` knows the prices of keeping a value and of computing it again, `mincut.py` finds the minimum. Runs
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from .. import sizes, solve
from ..graph import Graph, Node, Output, Value, produced, produced_symbols, rewrite
from ..lazyclass import dataclass
from ..text import values_of
from ..types import ScalarType, TensorType, sizes_of
from .autodiff import JointGraph
from .costs import Costs, is_cheap
from .cse import cse
from .dce import dce, keep
from .masks import masks
from .mincut import least


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
    """Forward and backward graphs that together compute what `joined` does. Inputs that the gradient rules themselves read are
    read again; eager, too, refuses where these are written to before. Of others, and of those that the forward graph writes to,
    nothing but a copy is saved."""
    graph = dce(cse(masks(joined.graph)))  # dead nodes read nothing
    inputs, tangents = graph.inputs[: joined.inputs], graph.inputs[joined.inputs :]
    outputs, gradients = graph.outputs[: joined.outputs], graph.outputs[joined.outputs :]
    cut = _Cut(graph, replace(graph, inputs=inputs, outputs=outputs), tangents)
    cut.choose([o.value for o in gradients])
    cut.define_symbols()
    numbers = tuple(i for i, v in enumerate(inputs) if v in cut.inputs)
    saved = [v for v in values_of(graph) if v in cut.saved]
    backward = Graph(
        f"{graph.name}_backward", (*(inputs[i] for i in numbers), *saved, *tangents),
        tuple(n for n in graph.nodes if n in cut.again), tuple(Output(o.value) for o in gradients), (), cut.symbols(),
    )  # fmt: skip
    early = keep(replace(graph, inputs=inputs), [n for n in graph.nodes if n not in cut.late])
    made = produced_symbols(graph)
    given = tuple(name for name in graph.symbols if name not in made)
    forward = dce(replace(early, outputs=(*outputs, *map(Output, saved)), symbols=given))
    return Partition(renamed(forward), renamed(backward), numbers, len(saved))


def renamed(graph: Graph) -> Graph:
    """A copy of `graph` with values of its own, numbered from 0."""
    return rewrite(graph, lambda node, builder, args: None)


class _Cut:
    """`late`: nodes that can only stand in the backward graph; `again`: those that do; `saved` and `inputs`: what it takes from
    the forward graph. A cheap node that only gradients need may stand in either."""

    def __init__(self, graph: Graph, forward: Graph, tangents: tuple[Value, ...]) -> None:
        self.graph, self.forward = graph, forward
        self.made_by = {r: n for n in graph.nodes for r in n.results}
        self.free = set(tangents)
        self.late = self._from(self.free, lambda node: False)
        self.early = set(dce(keep(forward, [n for n in graph.nodes if n not in self.late])).nodes)
        self.late = self._from(self.free, lambda node: node not in self.early and not is_cheap(node))
        self.written = {w.target for w in graph.writes}
        self.again: set[Node] = set()
        self.saved: set[Value] = set()
        self.inputs: set[Value] = set()

    def _from(self, roots: Iterable[Value], starts: Callable[[Node], bool]) -> set[Node]:
        """Nodes that depend on `roots`, those at which it `starts`, and all that depend on these."""
        values, nodes = set(roots), set()
        for node in self.graph.nodes:
            if starts(node) or any(a in values for a in node.args if isinstance(a, Value)):
                nodes.add(node)
                values.update(node.results)
        return nodes

    def choose(self, gradients: list[Value]) -> None:
        """Settle where each value that the backward graph reads comes from."""
        wanted = self.wanted(gradients)
        read = self.read_by_rules() - self.written
        inputs = {v: v in read for v in self.forward.inputs}
        kept, again = least(Costs(self.graph, inputs, self.early, self.again).problem(wanted))
        self.again |= {self.made_by[v] for v in again}
        self.inputs |= {v for v in kept if inputs.get(v)}
        self.saved = kept - self.inputs
        numbers = {a for n in self.again for a in n.args if isinstance(a, Value) and isinstance(a.type, ScalarType)}
        self.inputs |= numbers

    def read_by_rules(self) -> set[Value]:
        """Values that the gradient rules read, and what these are views of: eager keeps an eye on their memory too."""
        found: set[Value] = set()
        for value in [a for n in self.graph.nodes if n not in self.early for a in n.args if isinstance(a, Value)]:
            while value not in found:
                found.add(value)
                node = self.made_by.get(value)
                base = node.args[node.op.effects.aliases] if node and node.op.effects.aliases is not None else value
                value = base if isinstance(base, Value) else value
        return found

    def wanted(self, roots: Iterable[Value]) -> list[Value]:
        """Values that the backward graph's own nodes read and do not compute; those nodes go into `again`."""
        found: dict[Value, None] = {}
        todo = list(roots)
        while todo:
            value = todo.pop()
            node = self.made_by.get(value)
            if node in self.late and node not in self.again:
                self.again.add(node)
                todo += [a for a in node.args if isinstance(a, Value)]
            elif node not in self.late and value not in self.free and isinstance(value.type, TensorType):
                found[value] = None
        return list(found)

    def symbols(self) -> tuple[str, ...]:
        """Symbols that occur in the backward graph, in the joint graph's order."""
        nodes = [n for n in self.graph.nodes if n in self.again]
        values = [*self.inputs, *self.saved, *self.free, *(r for n in nodes for r in n.results)]
        found = {name for v in values for s in sizes_of(v.type) for name in sizes.symbols_of(s)}
        found |= {name for n in nodes for x in n.attrs.values() for name in _names(x)}
        return tuple(name for name in dict.fromkeys((*self.graph.symbols, *produced_symbols(self.graph))) if name in found)

    def define_symbols(self) -> None:
        """Read a further input for each symbol that nothing else read settles."""
        while True:
            taken = [*self.inputs, *self.saved, *self.free]
            scalars = [v.name for v in taken if isinstance(v.type, ScalarType)]
            known = solve.solvable([s for v in taken for s in sizes_of(v.type)], scalars)
            missing = [name for name in self.symbols() if name not in known]
            if not missing:
                return
            settling = [v for v in self.forward.inputs if v.name in missing or self._settles(v, known) & set(missing)]
            settling = settling or [n.results[0] for n in self.graph.nodes if produced(n) in missing]
            best = min(settling, key=lambda v: v in self.written)
            (self.saved if best in self.written or best in self.made_by else self.inputs).add(best)

    def _settles(self, v: Value, known: set[str]) -> set[str]:
        """Symbols that the sizes of `v` settle beside those `known`."""
        return solve.solvable(sizes_of(v.type), known) - known


def _names(attr: object) -> Iterable[str]:
    if isinstance(attr, tuple):
        for item in attr:
            yield from _names(item)
    elif isinstance(attr, sizes.Expr):
        yield from sizes.symbols_of(attr)
