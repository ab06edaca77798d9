"""Gradients of graphs: text, central differences, second and third order, and where nothing flows."""

# ruff: noqa: E501  (graphs are written as they print)

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from fusewire.ir.graph import Builder, Value
from fusewire.ir.interpret import interpret
from fusewire.ir.layout import type_of_array
from fusewire.ir.op import Op, Sample, lookup
from fusewire.ir.ops.linalg import swapped
from fusewire.ir.ops.pointwise import add, mul
from fusewire.ir.passes import run
from fusewire.ir.passes.autodiff import joint
from fusewire.ir.text import parse_graph
from fusewire.ir.types import TensorType
from fusewire.ir.verify import verify

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from derivatives import Derivative, differentiable, in_f64, is_f64
from random_graphs import random_graph, samples

SMOOTH = ("add", "sub", "mul", "neg", "exp", "sin", "cos", "tanh", "sigmoid", "sum", "mean", "matmul", "permute", "expand", "view",
          "relu", "where", "clone", "sum_to", "cat", "slice", "gelu", "erf", "softmax", "layer_norm", "var", "contiguous")  # fmt: skip


def test_text_of_a_joint_graph() -> None:
    graph = parse_graph("""\
graph layer(%x: f32[n,4], %w: f32[4,4], %b: f32[4]) where n >= 1:
  %0 : f32[n,4] = matmul(%x, %w)  # model.py:3
  %1 : f32[n,4] = add(%0, %b)  # model.py:4
  %2 : f32[n,4] = tanh(%1)  # model.py:5
  return %2""")
    assert str(run(verify(joint(graph, [1, 2], [0]).graph))) == """\
graph layer(%x: f32[n,4], %w: f32[4,4], %b: f32[4], %g0: f32[n,4]) where n >= 1:
  %0 : f32[n,4] = matmul(%x, %w)  # model.py:3
  %1 : f32[n,4] = add(%0, %b)  # model.py:4
  %2 : f32[n,4] = tanh(%1)  # model.py:5
  %3 : f32[n,4] = mul(%2, %2)  # model.py:5
  %4 : f32[n,4] = sub(1, %3)  # model.py:5
  %5 : f32[n,4] = mul(%g0, %4)  # model.py:5
  %6 : f32[4] = sum_to(%5) {shape=(4,)}  # model.py:4
  %7 : f32[4,n]@(1,4) = permute(%x) {dims=(1,0)}  # model.py:3
  %8 : f32[4,4] = matmul(%7, %5)  # model.py:3
  return %2, %8, %6"""


#: Ops that read one triangle of a matrix, the other being the same.
SYMMETRIC = ("cholesky", "eigh", "eigvalsh")


def _symmetric(x: Value) -> Value:
    made: Value = mul(add(x, swapped(x)), 0.5)
    return made


@pytest.mark.parametrize("op", differentiable(), ids=lambda op: op.name)
def test_every_record_against_differences(op: Op) -> None:
    for sample in filter(_off_the_kinks, filter(in_f64, samples(op))):
        b = Builder()
        arrays = [np.asarray(x) if isinstance(x, np.generic) else x for x in sample.operands]
        ins = [b.input(type_of_array(x)) if isinstance(x, np.ndarray) else x for x in arrays]
        made = b.emit(op, [_symmetric(x) for x in ins] if op.name in SYMMETRIC else ins, sample.attrs)
        graph = b.finish(made if isinstance(made, tuple) else (made,))
        wrt = [i for i, v in enumerate(graph.inputs) if is_f64(v)]
        outputs = [i for i, o in enumerate(graph.outputs) if is_f64(o.value)]
        if wrt and outputs:
            first = Derivative(graph, [x for x in arrays if isinstance(x, np.ndarray)], wrt, outputs)
            first.check(1e-4, 1e-5)
            first.next().check(1e-3, 1e-4)


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_to_second_order(seed: int) -> None:
    ops = [op for op in differentiable() if op.name in SMOOTH]
    graph, inputs = random_graph(seed, calls=7, ops=ops, choose=in_f64)
    wrt = [i for i, v in enumerate(graph.inputs) if is_f64(v)]
    outputs = [i for i, o in enumerate(graph.outputs) if is_f64(o.value)]
    first = Derivative(graph, inputs, wrt, outputs, seed)
    first.check()
    first.next().check(1e-4, 1e-4)


def _off_the_kinks(sample: Sample) -> bool:
    """Whether no floating operand holds a whole number: there abs, sign, round, prod and others have no second derivative."""
    floats = [np.asarray(x) for x in sample.operands if isinstance(x, np.ndarray | np.generic) and x.dtype.kind == "f"]
    return not any((x == np.round(x)).any() for x in floats)


def test_third_order_of_a_power() -> None:
    graph = parse_graph("graph cube(%x: f64[]):\n  %0 : f64[] = mul(%x, %x)\n  %1 : f64[] = mul(%0, %x)\n  return %1")
    x, one = np.array(2.0), np.array(1.0)
    values = []
    for order in range(1, 4):
        joined = joint(graph, [0], [len(graph.outputs) - 1])
        graph = verify(joined.graph)
        values.append(float(interpret(graph, [x] + [one] * order)[0][-1]))
    assert values == [12.0, 12.0, 6.0]


def test_nothing_flows_through_detach_comparisons_and_integers() -> None:
    graph = parse_graph("""\
graph g(%x: f32[3], %y: f32[3], %z: f32[3]):
  %0 : f32[3] = detach(%x)
  %1 : f32[3] = mul(%0, %y)
  %2 : bool[3] = lt(%x, %z)
  %3 : f32[3] = where(%2, %1, %y)
  return %3""")
    joined = joint(graph, [0, 1, 2], [0])
    x, y, z, g = (np.array(v, np.float32) for v in ([1, 2, 3], [4, 5, 6], [2, 2, 2], [1, 1, 1]))
    _, dx, dy, dz = interpret(verify(joined.graph), [x, y, z, g])[0]
    assert dx.tolist() == dz.tolist() == [0, 0, 0] and dy.tolist() == [1, 1, 1]
    assert [n.op.name for n in joined.graph.nodes].count("full") >= 2


def test_broadcasting_and_promotion_are_undone() -> None:
    graph = parse_graph("""\
graph g(%x: bf16[3,1], %y: f32[4], %lr: float):
  %0 : f32[3,1] = cast(%x) {dtype=f32}
  %1 : f32[3,4] = mul(%0, %y)
  %2 : f32[3,4] = mul(%1, %lr)
  return %2""")
    joined = verify(joint(graph, [0, 1], [0]).graph)
    assert [str(o.value.type) for o in joined.outputs] == ["f32[3,4]", "bf16[3,1]", "f32[4]"]
    x, y = np.array([[1], [2], [3]]).astype(graph.inputs[0].dtype.np), np.arange(4, dtype=np.float32)
    _, dx, dy = interpret(joined, [x, y, 2.0, np.ones((3, 4), np.float32)])[0]
    assert dx.astype(np.float32).tolist() == [[12], [12], [12]] and dy.tolist() == [12, 12, 12, 12]


def test_one_value_returned_twice_gets_both_tangents() -> None:
    graph = parse_graph("graph g(%x: f64[2]):\n  %0 : f64[2] = mul(%x, 3.0)\n  return %0, %0, %x")
    joined = verify(joint(graph, [0], [0, 1, 2]).graph)
    out = interpret(joined, [np.ones(2), np.full(2, 1.0), np.full(2, 10.0), np.full(2, 100.0)])[0]
    assert out[-1].tolist() == [133.0, 133.0]


def test_writes_and_views_of_inputs_stay() -> None:
    graph = parse_graph("""\
graph g(%x: f32[4], %w: f32[4]):
  %0 : f32[4] = mul(%x, %w)
  return %0 as input(%x), view(%w, offset=0, shape=(4,), strides=(1,))
  write %x = %0 at 1""")
    joined = verify(joint(graph, [0, 1], [0]).graph)
    assert joined.outputs[0].source is joined.inputs[0] and joined.outputs[1].view is not None
    assert [(w.target.name, w.position) for w in joined.writes] == [("x", 1)]


def test_integers_have_no_gradient() -> None:
    graph = parse_graph("graph g(%x: i64[3], %y: f32[3]):\n  %0 : i64[3] = neg(%x)\n  return %0, %y")
    for wrt, outputs, name in (([0], [1], "x"), ([1], [0], "0")):
        with pytest.raises(TypeError, match=rf"%{name} is i64\[3\]: only floating tensors have gradients"):
            joint(graph, wrt, outputs)


def test_types_are_symbolic_throughout() -> None:
    graph = parse_graph("""\
graph g(%x: f64[a,b], %y: f64[b]) where a >= 1, b >= 1:
  %0 : f64[a,b] = mul(%x, %y)
  %1 : f64[a] = mean(%0) {dim=(1,), keepdim=False}
  %2 : f64[a*b] = view(%0) {shape=(a*b,)}
  %3 : f64[a*b] = sin(%2)
  return %1, %3""")
    for a, b in ((2, 3), (1, 4)):
        rng = np.random.default_rng(a)
        first = Derivative(graph, [rng.normal(size=(a, b)), rng.normal(size=b)], [0, 1], [0, 1])
        first.check()
        first.next().check(1e-4, 1e-4)
    assert isinstance(first.joint.graph.outputs[-1].value.type, TensorType)
    assert lookup("mean").grad is not None
