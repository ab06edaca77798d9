"""Dead code elimination."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from fusewire.ir.interpret import interpret
from fusewire.ir.passes.dce import dce
from fusewire.ir.text import parse_graph
from fusewire.ir.verify import verify

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from random_graphs import random_graph, unchanged


def test_dead_nodes_go_and_positions_move() -> None:
    graph = parse_graph("""\
graph g(%x: f32[4], %y: f32[4]):
  %0 : f32[4] = exp(%x)
  %1 : f32[4] = neg(%y)
  %2 : f32[4] = mul(%0, %0)
  %3 : f32[4] = add(%1, %1)
  %4 : f32[4] = sub(%3, %x)
  return %4
  write %x = %1 at 3
  write %y = %3 at 4""")
    assert str(verify(dce(graph))) == """\
graph g(%x: f32[4], %y: f32[4]):
  %1 : f32[4] = neg(%y)
  %3 : f32[4] = add(%1, %1)
  %4 : f32[4] = sub(%3, %x)
  return %4
  write %x = %1 at 1
  write %y = %3 at 2"""


def test_a_dead_node_that_may_raise_stays_with_what_it_reads() -> None:
    graph = parse_graph("""\
graph g(%x: f32[4,3], %i: i64[4,1]):
  %0 : i64[4,1] = add(%i, 1)
  %1 : f32[4,1] = gather(%x, %0) {dim=1}
  %2 : f32[4,3] = neg(%x)
  %3 : f32[4,3] = exp(%x)
  return %2""")
    kept = verify(dce(graph))
    assert [n.op.name for n in kept.nodes] == ["add", "gather", "neg"]
    with pytest.raises(IndexError):
        interpret(kept, [np.zeros((4, 3), np.float32), np.full((4, 1), 2)])


def test_nothing_dead_is_the_same_graph() -> None:
    graph = parse_graph("graph g(%x: f32[4]):\n  %0 : f32[4] = exp(%x)\n  return %0")
    assert dce(graph) is graph


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_mean_the_same(seed: int) -> None:
    graph, inputs = random_graph(seed, outputs=1)
    verify(dce(graph))
    assert unchanged(dce, interpret, graph, inputs)
    assert len(dce(graph).nodes) <= len(graph.nodes)
