"""Reverse-mode derivatives of graphs by the records' own gradient rules.

A joint graph is an ordinary graph, so it can be differentiated again; `partition.py` cuts it in two. Runs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..graph import Builder, Graph, Node, Output, Value, free_symbols
from ..lazyclass import dataclass
from ..op import lookup
from ..types import TensorType, tensor


@dataclass(frozen=True, slots=True)
class JointGraph:
    """`graph`: inputs are those of the original, then one tangent (the gradient that arrives, row-major) per chosen output;
    outputs are those of the original, then one gradient per input in `wrt`, row-major where it is a constant zero, which it is
    where `reached` says that no gradient gets there (eager leaves None)."""

    graph: Graph
    inputs: int
    outputs: int
    wrt: tuple[int, ...]
    tangents: tuple[int, ...]
    reached: tuple[bool, ...] = ()

    def __str__(self) -> str:
        return str(self.graph)


def joint(graph: Graph, wrt: Sequence[int], outputs: Sequence[int]) -> JointGraph:
    """Forward and gradients of the sum of ``output * tangent`` over the chosen `outputs`, with respect to inputs `wrt`.

    Inputs that nothing differentiable reaches get zeros. TypeError where a chosen input or output is not floating.
    """
    for value in [graph.inputs[i] for i in wrt] + [graph.outputs[i].value for i in outputs]:
        if not _floating(value):
            raise TypeError(f"%{value.name} is {value.type}: only floating tensors have gradients")
    builder = Builder(graph.name)
    new: dict[Value, Value] = {v: builder.input(v.type, v.name) for v in graph.inputs}
    for node in graph.nodes:
        args = [new[a] if isinstance(a, Value) else a for a in node.args]
        new.update(zip(node.results, builder.copy(node, args), strict=True))
    results = [replace(o, value=new[o.value], source=o.source and new[o.source]) for o in graph.outputs]
    writes = [replace(w, target=new[w.target], value=new[w.value]) for w in graph.writes]
    forward = tuple(builder.nodes)
    tangents = [builder.input(tensor(results[i].value.shape, results[i].value.dtype), f"g{i}") for i in outputs]
    chosen = [builder.inputs[i] for i in wrt]
    reverse = _Reverse(builder, _active(forward, set(chosen)))
    for i, tangent in zip(outputs, tangents, strict=True):
        reverse.add(results[i].value, tangent)
    for node in reversed(forward):
        reverse.node(node)
    reached = tuple(v in reverse.gradients for v in chosen)
    gradients = [Output(reverse.laid_out(v)) for v in chosen]
    names = dict.fromkeys((*graph.symbols, *free_symbols(builder.inputs)))  # produced sizes are in the tangents' types, too
    made = builder.finish([*results, *gradients], writes, tuple(names))
    return JointGraph(made, len(graph.inputs), len(results), tuple(wrt), tuple(outputs), reached)


def _floating(x: Any) -> bool:
    return isinstance(x, Value) and isinstance(x.type, TensorType) and x.type.dtype.is_inexact


def _active(nodes: Sequence[Node], active: set[Value]) -> set[Value]:
    """`active` and every value that depends on it differentiably."""
    for node in nodes:
        if node.op.grad is not None and any(a in active for a in node.args if isinstance(a, Value)):
            active.update(r for r in node.results if _floating(r))
    return active


class _Reverse:
    """Gradients by value, accumulated in the order in which eager's tape would: from the last use to the first."""

    def __init__(self, builder: Builder, active: set[Value]) -> None:
        self.builder, self.active = builder, active
        self.gradients: dict[Value, Value] = {}

    def add(self, value: Value, gradient: Value) -> None:
        before = self.gradients.get(value)
        self.gradients[value] = gradient if before is None else self.emit("add", before, gradient)

    def emit(self, name: str, *operands: Any, **attrs: Any) -> Any:
        return self.builder.emit(lookup(name), operands, attrs)

    def zeros(self, type: TensorType) -> Value:
        made: Value = self.emit("full", 0.0, shape=type.shape, dtype=type.dtype)
        return made

    def of(self, value: Value) -> Value:
        found = self.gradients.get(value)
        return self.zeros(value.tensor_type) if found is None else found

    def dense(self, gradient: Value) -> Value:
        """`gradient` with memory for each element: the caller may write to it."""
        if not any(isinstance(step, int) and step == 0 for step in gradient.tensor_type.strides):
            return gradient
        made: Value = self.emit("clone", gradient)
        return made

    def laid_out(self, value: Value) -> Value:
        """The gradient of an input; row-major where the input is, so that what adds the two walks memory in order."""
        found = self.dense(self.of(value))
        if value.tensor_type.is_contiguous and not found.tensor_type.is_contiguous:
            found = self.emit("contiguous", found)
        return found

    def node(self, node: Node) -> None:
        if node.op.grad is None or not any(r in self.gradients for r in node.results):
            return
        need = tuple(_floating(a) and a in self.active for a in node.args)
        if not any(need):
            return
        self.builder.where = node.where
        single = len(node.results) == 1
        arrived = tuple(self.gradients.get(r) if _floating(r) else None for r in node.results)
        out = node.results[0] if single else node.results
        made = node.op.grad(arrived[0] if single else arrived, need, out, *node.args, **node.attrs)
        for operand, needed, gradient in zip(node.args, need, made, strict=True):
            if needed and gradient is not None:
                self.add(operand, self.fitted(gradient, operand.tensor_type))  # type: ignore[union-attr, arg-type]

    def fitted(self, gradient: Value, wanted: TensorType) -> Value:
        """Undo broadcasting and promotion."""
        if gradient.shape != wanted.shape:
            gradient = self.emit("sum_to", gradient, shape=wanted.shape)
        return gradient if gradient.dtype is wanted.dtype else self.emit("cast", gradient, dtype=wanted.dtype)
