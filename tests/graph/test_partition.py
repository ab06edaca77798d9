"""The cut of a joint graph in two: what is saved, what is computed again, and that nothing changes."""

# ruff: noqa: E501  (graphs are written as they print)

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from fusewire.ir.interpret import interpret
from fusewire.ir.passes import run
from fusewire.ir.passes.autodiff import joint
from fusewire.ir.passes.partition import Partition, partition
from fusewire.ir.text import parse_graph
from fusewire.ir.types import TensorType
from fusewire.ir.verify import verify

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from derivatives import Derivative
from random_graphs import random_graph, same_bits


def halves(text: str, wrt: list[int], outputs: list[int]) -> Partition:
    """The cut of the graph's joint graph, both halves verified."""
    cut = partition(joint(verify(parse_graph(text)), wrt, outputs))
    verify(cut.forward)
    verify(cut.backward)
    return cut


LAYERS = """\
graph mlp(%x: f32[n,4], %w: f32[4,8], %b: f32[8], %v: f32[8,2]) where n >= 1:
  %0 : f32[n,8] = matmul(%x, %w)  # model.py:3
  %1 : f32[n,8] = add(%0, %b)  # model.py:4
  %2 : f32[n,8] = relu(%1)  # model.py:5
  %3 : f32[n,2] = matmul(%2, %v)  # model.py:6
  return %3"""


def test_text_of_both_halves() -> None:
    cut = halves(LAYERS, [1, 2, 3], [0])
    assert str(cut.forward) == """\
graph mlp(%x: f32[n,4], %w: f32[4,8], %b: f32[8], %v: f32[8,2]) where n >= 1:
  %0 : f32[n,8] = matmul(%x, %w)  # model.py:3
  %1 : f32[n,8] = add(%0, %b)  # model.py:4
  %2 : f32[n,8] = relu(%1)  # model.py:5
  %3 : f32[n,2] = matmul(%2, %v)  # model.py:6
  return %3, %2"""
    assert (cut.saved, cut.saved_inputs) == (1, (0, 3))
    assert [v.name for v in cut.backward.inputs] == ["x", "v", "in2", "g0"]
    assert [n.op.name for n in cut.backward.nodes].count("matmul") == 3
    assert cut.backward.symbols == ("n",)


def test_cheap_values_are_computed_again_from_inputs() -> None:
    cut = halves("graph g(%x: f32[4], %y: f32[4]):\n  %0 : f32[4] = mul(%x, %y)\n  %1 : f32[4] = sin(%0)\n  return %1", [0, 1], [0])
    assert cut.saved == 0 and cut.saved_inputs == (0, 1)


def test_a_sum_is_saved_rather_than_computed_again() -> None:
    cut = halves("graph g(%x: f32[4]):\n  %0 : f32[] = sum(%x) {dim=(0,), dtype=None, keepdim=False}\n  %1 : f32[] = mul(%0, %0)\n  return %1", [0], [0])
    assert cut.saved == 1 and cut.saved_inputs == ()


def test_functions_are_saved_rather_than_computed_again() -> None:
    chain = "\n".join(f"  %{i + 1} : f32[4] = sin(%{i})" for i in range(5))
    cut = halves(f"graph g(%x: f32[4]):\n  %0 : f32[4] = sin(%x)\n{chain}\n  return %5", [0], [0])
    assert cut.saved == 5 and [n.op.name for n in cut.forward.nodes].count("sin") == 6


def test_long_chains_are_saved_here_and_there() -> None:
    chain = "\n".join(f"  %{i + 1} : f32[4] = mul(%{i}, %{i})" for i in range(30))
    cut = halves(f"graph g(%x: f32[4]):\n  %0 : f32[4] = mul(%x, %x)\n{chain}\n  return %30", [0], [0])
    assert cut.saved == 3 and cut.saved_inputs == (0,)


def test_an_input_that_is_written_to_is_saved_as_a_copy() -> None:
    text = "graph g(%x: f64[4], %w: f64[4]):\n  %0 : f64[4] = mul(%x, %w)\n  return %0\n  write %x = %0 at 1"
    cut = halves(text, [0, 1], [0])
    assert cut.saved_inputs == (1,) and cut.saved == 1
    saved = cut.forward.outputs[-1]
    assert saved.value is cut.forward.inputs[0] and saved.source is None
    assert not cut.backward.writes and len(cut.forward.writes) == 1
    Derivative(parse_graph(text), [np.arange(4.0), np.arange(4.0)], [0, 1], [0]).check()


def test_a_draw_is_repeated_from_its_snapshot() -> None:
    text = """\
graph g(%x: f32[64], %state: i64[2]):
  %0 : i64[2] = clone(%state)
  %1 : f32[64] = rand(%0) {dtype=f32, shape=(64,)}
  %2 : bool[64] = lt(%1, 0.5)
  %3 : f32[64] = where(%2, %x, 0.0)
  %4 : i64[2] = add(%state, 1)
  return %3
  write %state = %4 at 5"""
    cut = halves(text, [0], [0])
    x, state = np.arange(1, 65, dtype=np.float32), np.array([7, 3])
    out, (after,) = interpret(cut.forward, [x, state])
    back, _ = interpret(cut.backward, [*([x, state][i] for i in cut.saved_inputs), *out[1:], np.ones(64, np.float32)])
    assert after.tolist() == [8, 4] and 1 not in cut.saved_inputs
    assert same_bits(back, [(out[0] != 0).astype(np.float32)]) and 10 < back[0].sum() < 54


def test_symbols_that_no_saved_shape_settles_bring_an_input() -> None:
    text = """\
graph g(%x: f64[a,b], %y: f64[b]) where a >= 1, b >= 1:
  %0 : f64[] = sum(%x) {dim=(0,1), dtype=None, keepdim=False}
  return %0"""
    cut = halves(text, [0], [0])
    assert cut.saved_inputs == (0,) and cut.backward.symbols == ("a", "b")
    Derivative(parse_graph(text), [np.ones((2, 3)), np.ones(3)], [0], [0]).check()


def test_scalars_are_read_again() -> None:
    text = "graph g(%x: f64[3], %lr: float):\n  %0 : f64[3] = mul(%x, %lr)\n  return %0"
    cut = halves(text, [0], [0])
    assert cut.saved_inputs == (1,) and str(cut.backward.inputs[0].type) == "float"
    Derivative(parse_graph(text), [np.ones(3), 0.5], [0], [0]).check()


def test_a_node_that_may_raise_runs_in_the_forward_half_only() -> None:
    text = """\
graph g(%x: f64[4,3], %i: i64[4,1]):
  %0 : f64[4,1] = gather(%x, %i) {dim=1}
  %1 : f64[4,1] = mul(%0, %0)
  return %1"""
    cut = halves(text, [0], [0])
    assert "gather" in [n.op.name for n in cut.forward.nodes] and "gather" not in [n.op.name for n in cut.backward.nodes]
    Derivative(parse_graph(text), [np.random.default_rng(0).normal(size=(4, 3)), np.array([[0], [1], [2], [0]])], [0], [0]).check()


def test_the_passes_may_run_between() -> None:
    graph = parse_graph(LAYERS.replace("f32", "f64"))
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=s) for s in ((3, 4), (4, 8), (8,), (8, 2))]
    derivative = Derivative(graph, inputs, [0, 1, 2, 3], [0])
    from dataclasses import replace

    derivative.joint = replace(derivative.joint, graph=run(derivative.joint.graph))
    cut = derivative.check_halves()
    assert len(run(cut.backward).nodes) <= len(cut.backward.nodes)


def test_what_only_dead_nodes_read_is_not_read_again() -> None:
    text = """\
graph f(%x: f32[8], %w: f32[8]):
  %0 : f32[8] = add(%x, 1.0)
  %1 : f32[8] = sub(%x, 1.0)
  %2 : f32[8] = mul(%0, %w)
  return %2"""
    cut = halves(text, [1], [0])
    assert cut.saved_inputs == () and cut.saved == 1  # the sum, as in eager: %x may be written to afterwards


def test_a_backward_graph_is_differentiated_and_cut_like_any_other() -> None:
    text = LAYERS.replace("f32", "f64").replace("relu", "tanh")
    rng = np.random.default_rng(1)
    inputs = [rng.normal(size=s) for s in ((3, 4), (4, 8), (8,), (8, 2))]
    first = partition(joint(parse_graph(text), [0, 1, 2, 3], [0]))
    out, _ = interpret(first.forward, inputs)
    backward = [*(inputs[i] for i in first.saved_inputs), *out[1:], np.ones((3, 2))]
    every = range(len(first.backward.inputs))
    second = Derivative(first.backward, backward, every, range(4))
    second.check()
    halves_of_second = second.check_halves()
    assert halves_of_second.backward.symbols == ("n",)
    third = Derivative(halves_of_second.backward, _inputs_of_backward(second), [0], [0])
    third.check(1e-4, 1e-4)


def _inputs_of_backward(derivative: Derivative) -> list[np.ndarray]:
    cut = partition(derivative.joint)
    out, _ = interpret(cut.forward, derivative.inputs)
    return [*(derivative.inputs[i] for i in cut.saved_inputs), *out[derivative.joint.outputs :], *derivative.tangents]


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs_of_all_records(seed: int) -> None:
    graph, inputs = random_graph(seed, calls=10, writes=2)
    wrt = [i for i, v in enumerate(graph.inputs) if isinstance(v.type, TensorType) and v.type.dtype.is_floating_point]
    outputs = [i for i, o in enumerate(graph.outputs) if o.value.tensor_type.dtype.is_floating_point]
    joined = joint(graph, wrt, outputs)
    verify(joined.graph)
    cut = partition(joined)
    verify(cut.forward)
    verify(cut.backward)
    rng = np.random.default_rng(seed)
    tangents = [rng.normal(size=v.shape).astype(v.dtype.np) for v in joined.graph.inputs[len(inputs) :]]
    want, writes = interpret(joined.graph, [*inputs, *tangents])
    out, written = interpret(cut.forward, inputs)
    back, _ = interpret(cut.backward, [*(inputs[i] for i in cut.saved_inputs), *out[joined.outputs :], *tangents])
    assert same_bits(out[: joined.outputs] + back, want) and same_bits(written, writes)
    assert [o.value.tensor_type.dtype for o in cut.backward.outputs] == [graph.inputs[i].tensor_type.dtype for i in wrt]
