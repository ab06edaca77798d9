"""Common subexpression elimination."""

# ruff: noqa: E501  (graphs are written as they print)

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fusewire.ir.interpret import interpret
from fusewire.ir.passes.cse import cse
from fusewire.ir.text import parse_graph
from fusewire.ir.verify import verify

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from random_graphs import random_graph, unchanged


def test_equal_calls_are_made_once() -> None:
    graph = parse_graph("""\
graph g(%x: f32[4,3]):
  %0 : f32[4,3] = exp(%x)
  %1 : f32[4,3] = exp(%x)
  %2 : f32[4,3] = add(%0, nan)
  %3 : f32[4,3] = add(%1, nan)
  %4 : f32[4] = sum(%2) {dim=(1,), dtype=None, keepdim=False}
  %5 : f32[4] = sum(%3) {dim=(1,), dtype=None, keepdim=False}
  %6 : f32[3] = sum(%3) {dim=(0,), dtype=None, keepdim=False}
  return %4, %5, %6
  write %x = %3 at 5""")
    assert str(verify(cse(graph))) == """\
graph g(%x: f32[4,3]):
  %0 : f32[4,3] = exp(%x)
  %2 : f32[4,3] = add(%0, nan)
  %4 : f32[4] = sum(%2) {dim=(1,), dtype=None, keepdim=False}
  %6 : f32[3] = sum(%2) {dim=(0,), dtype=None, keepdim=False}
  return %4, %4, %6
  write %x = %2 at 3"""


@pytest.mark.parametrize(("a", "b"), [("0.0", "-0.0"), ("1", "1.0"), ("0", "False"), ("2.0", "3.0")])
def test_numbers_that_print_apart_stay_apart(a: str, b: str) -> None:
    graph = parse_graph(f"graph g(%x: f32[4]):\n  %0 : f32[4] = mul(%x, {a})\n  %1 : f32[4] = mul(%x, {b})\n  return %0, %1")
    assert cse(graph) is graph


def test_one_snapshot_gives_one_draw_and_two_give_two() -> None:
    text = "graph g(%a: i64[2], %b: i64[2]):\n  %0 : f32[4] = rand(%a) {dtype=f32, shape=(4,)}\n  %1 : f32[4] = rand(%SECOND) {dtype=f32, shape=(4,)}\n  return %0, %1"
    assert len(cse(parse_graph(text.replace("SECOND", "a"))).nodes) == 1
    assert len(cse(parse_graph(text.replace("SECOND", "b"))).nodes) == 2


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_mean_the_same(seed: int) -> None:
    graph, inputs = random_graph(seed, calls=14)
    verify(cse(graph))
    assert unchanged(cse, interpret, graph, inputs)
