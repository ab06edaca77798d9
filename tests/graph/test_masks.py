"""Dropout in joint graphs: its mask is saved as bools, drawn once; and what matrix products read twice is saved."""

from __future__ import annotations

import numpy as np

from fusewire.ir.interpret import interpret
from fusewire.ir.passes.autodiff import joint
from fusewire.ir.passes.masks import masks
from fusewire.ir.passes.partition import partition
from fusewire.ir.text import parse_graph
from fusewire.ir.verify import verify

LAYER = """\
graph f(%x: f32[4,8], %w: f32[8,3], %state: i64[2]):
  %0 : f32[4,8] = relu(%x)
  %1 : f32[4,8] = dropout(%0, %state) {p=0.25}
  %2 : f32[4,3] = matmul(%1, %w)
  return %2"""


def test_the_mask_is_drawn_once_and_saved() -> None:
    joined = joint(verify(parse_graph(LAYER)), (0, 1), (0,))
    cut = partition(joined)
    verify(cut.forward)
    verify(cut.backward)
    assert not [n for n in cut.backward.nodes if n.op.name in ("rand", "dropout")]
    assert [n.op.name for n in cut.forward.nodes].count("rand") == 1
    rng = np.random.default_rng(3)
    x, w, g = (rng.standard_normal(s).astype(np.float32) for s in ((4, 8), (8, 3), (4, 3)))
    state = np.array([9, 2])
    want, _ = interpret(joined.graph, [x, w, state, g])
    found, _ = interpret(cut.forward, [x, w, state])
    got, _ = interpret(cut.backward, [*([x, w, state][i] for i in cut.saved_inputs), *found[1:], g])
    for a, b in zip([found[0], *got], want, strict=True):
        np.testing.assert_array_equal(a, b)
    saved = sorted(str(o.value.type) for o in cut.forward.outputs[1:])
    assert saved == ["bool[4,8]", "bool[4,8]", "f32[4,8]"]  # both masks, and the operand of both products


def test_one_dropout_stays_whole() -> None:
    graph = parse_graph(LAYER)
    assert masks(graph) is graph
    twice = parse_graph(LAYER.replace("matmul(%1, %w)", "matmul(%1, %w)\n  %3 : f32[4,8] = dropout(%x, %state) {p=0.5}"))
    assert masks(twice) is twice  # another probability is another mask


def test_an_operand_of_products_in_both_halves_is_saved() -> None:
    text = "graph f(%x: f32[4,8], %w: f32[8,3]):\n  %0 : f32[4,8] = neg(%x)\n  %1 : f32[4,3] = matmul(%0, %w)\n  return %1"
    cut = partition(joint(parse_graph(text), (1,), (0,)))
    assert [n.op.name for n in cut.backward.nodes] == ["permute", "matmul"] and cut.saved == 1
