"""Random valid graphs made from the records' own samples, with inputs to run them on. Seeded: the same graph each time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from fusewire.errors import FusewireError
from fusewire.ir import layout
from fusewire.ir.graph import Builder, Graph, Value, Where, WriteBack, scalar_type
from fusewire.ir.op import OPS, Op, Sample, lookup
from fusewire.ir.types import TensorType

lookup("add")  # registers the records


@cache
def samples(op: Op) -> tuple[Sample, ...]:
    """The op's own samples that do not raise."""
    return tuple(s for s in op.sample(np.random.default_rng(0)) if s.raises is None)


def every_op() -> list[Op]:
    """All records that have a sample, by name."""
    return sorted((op for op in OPS.values() if not op.eager_only and samples(op)), key=lambda op: op.name)


class RandomGraph:
    """Grows a graph call by call: an operand of a sample is replaced by a value at hand of the same type where there is one."""

    def __init__(self, rng: np.random.Generator, choose: Callable[[Sample], bool], reuse: float = 0.8) -> None:
        self.rng, self.choose, self.reuse = rng, choose, reuse
        self.builder = Builder("random")
        self.inputs: list[Any] = []
        self.at_hand: dict[Any, list[Value]] = {}

    def operand(self, x: Any, exact: bool) -> Any:
        """A value for the sample's operand `x`; `exact`: its very numbers matter."""
        x = np.asarray(x) if isinstance(x, np.generic) else x
        if not isinstance(x, np.ndarray):
            return self.given(x, scalar_type(x)) if x is not None and not exact and self.rng.random() < 0.2 else x
        type = layout.type_of_array(x)
        known = self.at_hand.get(type, ())
        if known and not exact and self.rng.random() < self.reuse:
            return known[int(self.rng.integers(len(known)))]
        return self.given(x, type)

    def given(self, x: Any, type: Any) -> Value:
        """A new input that holds `x`."""
        value = self.builder.input(type)
        self.inputs.append(x)
        self.learn(value)
        return value

    def learn(self, value: Value) -> None:
        """Offer a value to later calls."""
        if isinstance(value.type, TensorType):
            self.at_hand.setdefault(value.type, []).append(value)

    def matches(self, sample: Sample) -> int:
        """How many operands of the sample have a value at hand of their type."""
        return sum(layout.type_of_array(x) in self.at_hand for x in sample.operands if isinstance(x, np.ndarray))

    def call(self, op: Op) -> None:
        """Append a call of `op` on the sample, of a few at random, that fits the values at hand best."""
        pool = [s for s in samples(op) if self.choose(s)]
        if not pool:
            return
        fitting = [pool[int(i)] for i in self.rng.integers(len(pool), size=4)]
        sample = max(fitting, key=self.matches)
        exact = bool(op.effects.raises) or any(isinstance(x, np.ndarray) and x.dtype.kind in "iu" for x in sample.operands)
        self.builder.where = Where("/home/user/model.py", len(self.builder.nodes) + 1)
        operands = [self.operand(x, exact) for x in sample.operands]
        try:
            made = self.builder.emit(op, operands, sample.attrs)
        except FusewireError:  # an op that takes no graph scalar where its sample has a number
            operands = [self.operand(x, True) for x in sample.operands]
            made = self.builder.emit(op, operands, sample.attrs)
        for value in made if isinstance(made, tuple) else (made,):
            self.learn(value)

    def finish(self, outputs: int, writes: int) -> Graph:
        """The graph with some values as outputs, the last among them, and some written back to inputs of their type."""
        results = [r for node in self.builder.nodes for r in node.results]
        chosen = [results[-1], *(results[int(i)] for i in self.rng.integers(len(results), size=outputs - 1))]
        back = []
        for target in self.builder.inputs:
            fits = [r for r in results if r.type == target.type]
            if fits and len(back) < writes:
                back.append(WriteBack(target, fits[int(self.rng.integers(len(fits)))], len(self.builder.nodes)))
        return self.builder.finish(chosen, back)


def random_graph(
    seed: int, calls: int = 8, ops: Sequence[Op] | None = None, outputs: int = 3, writes: int = 1,
    choose: Callable[[Sample], bool] = lambda sample: True,
) -> tuple[Graph, list[Any]]:  # fmt: skip
    """A graph of about `calls` calls (casts that promotion asks for come on top) of samples that `choose` likes, and the
    inputs to run it on."""
    rng = np.random.default_rng(seed)
    grown = RandomGraph(rng, choose)
    pool = list(ops) if ops is not None else every_op()
    for i in rng.integers(len(pool), size=calls):
        grown.call(pool[int(i)])
    return grown.finish(outputs, writes), grown.inputs


def same_bits(a: Iterable[Any], b: Iterable[Any]) -> bool:
    """Whether arrays agree in shape, dtype and every bit; any NaN equals any other."""
    return all(_same(np.asarray(x), np.asarray(y)) for x, y in zip(a, b, strict=True))


def _same(x: np.ndarray, y: np.ndarray) -> bool:
    if x.shape != y.shape or x.dtype != y.dtype:
        return False
    if x.dtype.kind in "biu":
        return bool((x == y).all())
    wide_x, wide_y = x.astype(np.float64), y.astype(np.float64)
    nan = np.isnan(wide_x) & np.isnan(wide_y)
    return bool((nan | ((wide_x == wide_y) & (np.signbit(wide_x) == np.signbit(wide_y)))).all())


def unchanged(step: Callable[[Graph], Graph], run: Callable[..., Any], graph: Graph, inputs: Sequence[Any]) -> bool:
    """Whether `graph` means the same after `step`."""
    before, after = run(graph, inputs), run(step(graph), inputs)
    return same_bits(before[0], after[0]) and same_bits(before[1], after[1])
