"""Gradients of graphs against central differences in float64, along one random direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from random_graphs import every_op, same_bits, samples

from fusewire.ir.graph import Graph, Value
from fusewire.ir.interpret import interpret
from fusewire.ir.op import Op, Sample
from fusewire.ir.passes.autodiff import JointGraph, joint
from fusewire.ir.passes.partition import Partition, partition
from fusewire.ir.types import TensorType
from fusewire.ir.verify import verify


def is_f64(value: Value) -> bool:
    """Whether a value is a float64 tensor."""
    return isinstance(value.type, TensorType) and value.type.dtype.name == "float64"


def in_f64(sample: Sample) -> bool:
    """Whether a sample is non-empty and floating only in float64."""
    arrays = [np.asarray(x) for x in sample.operands if isinstance(x, np.ndarray | np.generic)]
    kinds = {a.dtype.name for a in arrays if a.dtype.kind not in "biu"}
    attrs = [getattr(v, "name", "") for v in sample.attrs.values()]
    return kinds == {"float64"} and all(a.size for a in arrays) and not {"float32", "float16", "bfloat16"} & set(attrs)


def differentiable() -> list[Op]:
    """Records with a gradient rule and a float64 sample."""
    return [op for op in every_op() if op.grad is not None and any(map(in_f64, samples(op)))]


class Derivative:
    """The derivative of ``sum(output * tangent)`` along a random direction: by the joint graph and by differences."""

    def __init__(self, graph: Graph, inputs: Sequence[Any], wrt: Sequence[int], outputs: Sequence[int], seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.graph, self.inputs, self.wrt, self.outputs = graph, list(inputs), wrt, outputs
        self.joint: JointGraph = joint(graph, wrt, outputs)
        verify(self.joint.graph)
        plain = interpret(graph, inputs)[0]
        self.tangents = [rng.normal(size=plain[i].shape) for i in outputs]
        self.direction = [rng.normal(size=np.shape(inputs[i])) for i in wrt]
        self.results = interpret(self.joint.graph, [*inputs, *self.tangents])
        self.gradients = self.results[0][self.joint.outputs :]

    def by_gradient(self) -> float:
        """Along the direction, from the gradients."""
        return float(sum((g * d).sum() for g, d in zip(self.gradients, self.direction, strict=True)))

    def by_differences(self, step: float = 1e-6) -> float:
        """Along the direction, from two evaluations."""
        return (self._loss(step) - self._loss(-step)) / (2 * step)

    def _loss(self, step: float) -> float:
        moved = list(self.inputs)
        for i, d in zip(self.wrt, self.direction, strict=True):
            moved[i] = np.asarray(moved[i] + step * d)
        out, _ = interpret(self.graph, moved)
        return float(sum((out[i] * t).sum() for i, t in zip(self.outputs, self.tangents, strict=True)))

    def check(self, rtol: float = 1e-5, atol: float = 1e-5) -> None:
        """Both agree where all is finite, and the two halves compute the joint graph's bits."""
        self.check_halves()
        if all(np.isfinite(x).all() for x in self.results[0]):
            np.testing.assert_allclose(self.by_gradient(), self.by_differences(), rtol, atol)

    def check_halves(self) -> Partition:
        """The forward graph, then the backward graph, give every bit of the joint graph's outputs, writes and gradients."""
        halves = partition(self.joint)
        verify(halves.forward)
        verify(halves.backward)
        out, writes = interpret(halves.forward, self.inputs)
        split = self.joint.outputs
        assert len(out) == split + halves.saved
        assert same_bits(out[:split], self.results[0][:split]) and same_bits(writes, self.results[1])
        back, _ = interpret(halves.backward, [*(self.inputs[i] for i in halves.saved_inputs), *out[split:], *self.tangents])
        assert same_bits(back, self.gradients)
        return halves

    def next(self, seed: int = 1) -> Derivative:
        """The same for the joint graph itself: the gradients are differentiated."""
        graph = self.joint.graph
        return Derivative(graph, [*self.inputs, *self.tangents], self.wrt, range(self.joint.outputs, len(graph.outputs)), seed)
