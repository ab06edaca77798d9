"""What it costs to keep a value between the two halves of a joint graph, and to compute it again in the second.

The unit is a quarter of the time in which memory moves a byte, so that arithmetic has whole numbers too. Nobody knows yet which
ops will share a kernel: those with equally many steps of their own (products and the like) before them are taken to do so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .. import sizes
from ..graph import Graph, Node, Value, produced_symbols
from ..op import Decompose, Extern, Gemm, Op, Scalar
from ..schedule_scalars import MIDDLING, SLOW, primitives_of
from ..text import values_of
from ..types import TensorType, numel
from .mincut import Problem

#: What a size that is not known is taken for.
_TYPICAL = 64
#: Units: to move a byte; a primitive on four bytes, by its kind. Functions cost a loop of arithmetic more than what it costs to
#: store their result beside it, as measured.
_BYTE, _PLAIN, _DIVISION, _FUNCTION, _DRAW = 4, 1, 24, 96, 256
#: Ops, one behind the other, that are computed again before a value must be kept: so many that they still share a kernel with
#: their readers. In a longer chain the second half would store each value as well, and nothing is won.
_LONGEST = 8


def is_step(node: Node) -> bool:
    """Whether the call is a step of its own, which reads its operands in memory: products, and composites of products (attention,
    convolution), which back ends run whole."""
    lowering = node.op.lowering
    return isinstance(lowering, (Gemm, Extern)) or (isinstance(lowering, Decompose) and node.op.autocast == "low")


def is_cheap(node: Node) -> bool:
    """Whether `node` may be computed twice at all: views and pointwise calls that cannot raise."""
    if node.op.effects.raises or len(node.results) != 1:
        return False
    return node.op.effects.aliases is not None or isinstance(node.op.lowering, Scalar)


class Costs:
    """Prices in a joint graph, of which the nodes `early` run anyway in its first half, and `late` in its second; `inputs`: those
    of the first half, and whether they may be read again."""

    def __init__(self, graph: Graph, inputs: Mapping[Value, bool], early: set[Node], late: set[Node]) -> None:
        self.graph, self.inputs, self.early, self.late = graph, inputs, early, late
        self.made_by = {r: n for n in graph.nodes for r in n.results}
        self.symbols = dict.fromkeys((*graph.symbols, *produced_symbols(graph)), _TYPICAL)
        steps = [n for n in early if is_step(n)]
        self.lying = self._read_whole(steps) | {r for n in steps for r in n.results}
        self.needed = self._read_whole(n for n in late if is_step(n))

    def problem(self, wanted: Iterable[Value]) -> Problem[Value]:
        """What to choose from where the second half reads `wanted`."""
        wanted = frozenset(wanted)
        again = self._repeatable()
        kernels = self._kernels(wanted, again)
        keep = {v: self._keep(v, kernels[v]) for v in values_of(self.graph) if v in kernels}
        priced = {v: (self._again(v, operands, kernels, wanted), operands) for v, operands in again.items() if v in kernels}
        return Problem(keep, priced, wanted)

    def _repeatable(self) -> dict[Value, list[Value]]:
        """What each value that may be computed again is computed from, numbers aside."""
        depth: dict[Value, int] = {}
        out: dict[Value, list[Value]] = {}
        for node in self.graph.nodes:
            if node in self.late or not is_cheap(node):
                continue
            value, view = node.results[0], node.op.effects.aliases is not None
            operands = [a for a in node.args if isinstance(a, Value) and isinstance(a.type, TensorType)]
            length = max((depth.get(a, 0) for a in operands), default=0) + (not view)
            if node not in self.early or (length <= _LONGEST and self._work(node, operands) < self._keep(value, 1)):
                depth[value], out[value] = length, operands
        return out

    def _kernels(self, wanted: frozenset[Value], again: dict[Value, list[Value]]) -> dict[Value, int]:
        """For each value that the second half may hold, in which of its kernels: bit n stands for those that come after n steps
        of their own."""
        passed: dict[Value, int] = {}
        kernels: dict[Value, int] = {}
        for node in self.graph.nodes:
            if node not in self.late:
                continue
            operands = [a for a in node.args if isinstance(a, Value)]
            before = max((passed.get(a, 0) for a in operands), default=0)
            for a in operands:
                if a in wanted:
                    kernels[a] = kernels.get(a, 0) | 1 << before
            passed.update(dict.fromkeys(node.results, before + is_step(node)))
        for v in wanted:
            kernels.setdefault(v, 1)
        for v in reversed(again):
            for a in again[v] if v in kernels else ():
                if a not in wanted:
                    kernels[a] = kernels.get(a, 0) | kernels[v]
        return kernels

    def _keep(self, value: Value, kernels: int) -> int:
        """To have `value` as the first half left it: a read by each kernel. If it is no input, also the memory that is held
        meanwhile, which counts as two more, and a write where it does not lie there for a step of the first half."""
        held = 0 if self.inputs.get(value) else 2 if value in self.lying else 3
        return self._bytes(value) * (kernels.bit_count() + held)

    def _again(self, value: Value, operands: list[Value], kernels: Mapping[Value, int], wanted: frozenset[Value]) -> int:
        """To compute `value` in each kernel that reads it, from what those do not read in any case. What the first half does not
        need is computed once, here or there; what a step reads must be written for it."""
        node, here = self.made_by[value], kernels[value]
        total = 2 * self._bytes(value) if value in self.needed else 0
        total += sum(self._bytes(a) * (here & ~kernels[a]).bit_count() for a in set(operands) if a in wanted)
        return total + self._work(node, operands) * (here.bit_count() - (node not in self.early))

    def _work(self, node: Node, operands: list[Value]) -> int:
        """The arithmetic of a cheap call, once."""
        value = node.results[0]
        width = max(x.dtype.itemsize for x in (value, *operands))
        return 0 if node.op.effects.aliases is not None else self._elements(value) * width * work(node) // 4

    def _elements(self, value: Value) -> int:
        return sizes.evaluate(numel(value.shape), self.symbols)

    def _bytes(self, value: Value) -> int:
        """The price of moving `value` once."""
        size: int = value.dtype.itemsize
        return self._elements(value) * size * _BYTE

    def _read_whole(self, nodes: Iterable[Node]) -> set[Value]:
        """What steps of their own read in memory, itself or a view of it."""
        found = set()
        for a in [a for node in nodes for a in node.args if isinstance(a, Value)]:
            while (node := self.made_by.get(a)) is not None and node.op.effects.aliases is not None:
                a = node.args[node.op.effects.aliases]  # type: ignore[assignment]
            found.add(a)
        return found


_WORK: dict[Op, int] = {}


def work(node: Node) -> int:
    """The price of four bytes of a pointwise call."""
    if node.op not in _WORK:
        _WORK[node.op] = sum(map(_price, primitives_of(node)))
    return _WORK[node.op]


def _price(prim: str) -> int:
    return _DRAW if prim == "philox" else _FUNCTION if prim in SLOW else _DIVISION if prim in MIDDLING else _PLAIN
