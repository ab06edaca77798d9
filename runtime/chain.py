"""Runs a graph whose sizes data decide: its parts one after the other, and between them the nodes that settle sizes.

Nothing is written to an input before the last part, so that a size for which the graph was not compiled (SizeError) leaves all as
it was. Compiles nothing; knows no Tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ir.graph import Graph, Node, Value
from ..ir.interpret import bind_symbols
from ..ir.plan import Refusal
from ..ir.produced import attributes, bind_produced
from ..ir.run_op import run_op
from ..ir.segments import Part, parts


@dataclass(frozen=True, slots=True)
class Way:
    """What carries values between the parts: how a part's executable runs, how a node does, a copy of a value, and what has its
    shape and strides as an array has them."""

    part: Callable[[Any, list[Any]], list[Any]]
    node: Callable[[Node, list[Any], dict[str, Any]], tuple[Any, ...]]
    copied: Callable[[Any], Any]
    seen: Callable[[Any], Any]


def _by_its_kernel(node: Node, args: list[Any], attrs: dict[str, Any]) -> tuple[Any, ...]:
    with np.errstate(all="ignore"):
        return run_op(node.op, args, attrs, [r.dtype for r in node.results])


#: Arrays.
ON_CPU = Way(
    part=lambda executable, given: executable.run(given),  # type: ignore[no-any-return]
    node=_by_its_kernel, copied=lambda x: x.copy(), seen=lambda x: x,
)  # fmt: skip


class Chain:
    """The parts of `graph`, each made runnable by `build`."""

    def __init__(self, graph: Graph, build: Callable[[Graph], Any]) -> None:
        self.graph = graph
        self.steps: list[tuple[Part, Any]] = [(p, build(p.graph) if p.graph.nodes or _gives(p) else None) for p in parts(graph)]
        self.asks = any(isinstance(x, str) for p, _ in self.steps for x in p.inputs)

    @property
    def kernel_count(self) -> int:
        """Number of kernels a call runs."""
        return sum(e.kernel_count for _, e in self.steps if e is not None)

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Why neighbouring kernels were not fused."""
        return tuple(r for _, e in self.steps if e is not None for r in e.refusals)

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """As `Executable.run`; SizeError where a size that data decide is one that the graph was not compiled for."""
        return self.run_by(inputs, ON_CPU)

    def run_by(self, inputs: Sequence[Any], way: Way) -> list[Any]:
        """As `run`, of what `way` carries."""
        env: dict[Value, Any] = dict(zip(self.graph.inputs, inputs, strict=True))
        bound: dict[str, int] = bind_symbols(self.graph, list(map(way.seen, inputs))) if self.asks else {}
        for part, executable in self.steps:
            given = [bound[x] if isinstance(x, str) else env[x] for x in part.inputs]
            found = way.part(executable, given) if executable else []
            if part is self.steps[-1][0]:
                return self._outputs(dict(zip(part.outputs, found, strict=True)), env, way)
            env.update(zip(part.outputs, found, strict=True))  # type: ignore[arg-type]
            for node in part.then:
                args = [env[a] if isinstance(a, Value) else a for a in node.args]
                made = way.node(node, args, attributes(node, bound))
                bind_produced(node, made, bound)
                env.update(zip(node.results, made, strict=True))
        raise AssertionError("a graph has one part at least")

    def _outputs(self, last: dict[Any, Any], env: dict[Value, Any], way: Way) -> list[Any]:
        """All outputs, those of the last part by their numbers; a value that two of them have is there twice."""
        out: list[Any] = []
        used: set[Value] = set()
        for i, o in enumerate(self.graph.outputs):
            again = o.value in used
            out.append(last[i] if i in last else way.copied(env[o.value]) if again else env[o.value])
            used |= set() if i in last else {o.value}
        return out


def _gives(part: Part) -> bool:
    """Whether a part without nodes has something to do."""
    return bool(part.outputs or part.graph.writes)
