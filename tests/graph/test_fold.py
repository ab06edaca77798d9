"""Constant folding."""

# ruff: noqa: E501  (graphs are written as they print)

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from fusewire.ir.interpret import interpret
from fusewire.ir.op import Scalar
from fusewire.ir.passes.dce import dce
from fusewire.ir.passes.fold import fold
from fusewire.ir.text import parse_graph
from fusewire.ir.verify import verify

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from random_graphs import every_op, random_graph, same_bits, samples, unchanged


def test_chains_of_constants_become_one() -> None:
    graph = parse_graph("""\
graph g(%x: f32[2,s0], %lr: float) where s0 >= 1:
  %0 : f32[s0] = full(3) {dtype=f32, shape=(s0,)}
  %1 : f32[s0] = mul(%0, 0.1)
  %2 : f32[2,s0]@(0,1) = expand(%1) {shape=(2,s0)}
  %3 : f32[2,s0] = add(%x, %2)
  %4 : f32[s0] = div(%0, 0.0)
  %5 : f32[s0] = neg(%4)
  %6 : bool[s0] = lt(%5, 0)
  %7 : f32[1,s0] = view(%5) {shape=(1,s0)}
  %8 : f32[s0] = mul(%0, %lr)
  return %3, %5, %6, %7, %8""")
    assert str(verify(dce(fold(graph)))) == """\
graph g(%x: f32[2,s0], %lr: float) where s0 >= 1:
  %0 : f32[s0] = full(3) {dtype=f32, shape=(s0,)}
  %1 : f32[s0] = full(0.30000001192092896) {dtype=f32, shape=(s0,)}
  %2 : f32[2,s0]@(0,1) = expand(%1) {shape=(2,s0)}
  %3 : f32[2,s0] = add(%x, %2)
  %5 : f32[s0] = full(-inf) {dtype=f32, shape=(s0,)}
  %6 : bool[s0] = full(True) {dtype=bool, shape=(s0,)}
  %7 : f32[1,s0] = full(-inf) {dtype=f32, shape=(1,s0)}
  %8 : f32[s0] = mul(%0, %lr)
  return %3, %5, %6, %7, %8"""


@pytest.mark.parametrize(("number", "dtype", "call"), [
    ("-0.0", "f32", "add(%0, 0.0)"), ("-0.0", "f32", "add(%0, -0.0)"), ("0.0", "f64", "neg(%0)"), ("nan", "f32", "mul(%0, 0.0)"),
    ("1e40", "f32", "neg(%0)"), ("-1", "u8", "add(%0, 1)"), ("3", "bf16", "div(%0, 7.0)"), ("1000.3", "f16", "mul(%0, 1000.0)"),
    ("True", "bool", "logical_not(%0)"), ("-7", "i32", "mul(%0, 3)"), ("2.5", "i64", "neg(%0)"),
])  # fmt: skip
def test_the_number_is_what_eager_computes(number: str, dtype: str, call: str) -> None:
    graph = parse_graph(f"graph g():\n  %0 : {dtype}[3] = full({number}) {{dtype={dtype}, shape=(3,)}}\n  %1 : {dtype}[3] = {call}\n  return %1")
    folded = dce(fold(graph))
    assert [n.op.name for n in folded.nodes] == ["full"]
    with np.errstate(all="ignore"):
        assert same_bits(interpret(folded, [])[0], interpret(graph, [])[0])


def test_what_depends_on_the_position_is_left() -> None:
    graph = parse_graph("graph g():\n  %0 : i64[2] = full(1) {dtype=i64, shape=(2,)}\n  %1 : f32[4] = rand(%0) {dtype=f32, shape=(4,)}\n  return %1")
    assert fold(graph) is graph


def test_most_pointwise_records_can_be_asked_for_positions() -> None:
    from fusewire.ir.passes.fold import _reads_position

    asked = [op for op in every_op() if isinstance(op.lowering, Scalar)]
    told = {op.name: _reads_position(_node(op), len(samples(op)[0].operands)) for op in asked}
    assert told["add"] is False and told["arange"] is True
    assert sum(not reads for reads in told.values()) > 0.6 * len(told), told


def _node(op):  # type: ignore[no-untyped-def]
    from fusewire.ir.graph import Node

    return Node(op, samples(op)[0].operands, samples(op)[0].attrs, ())


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_mean_the_same(seed: int) -> None:
    graph, inputs = random_graph(seed)
    verify(fold(graph))
    assert unchanged(fold, interpret, graph, inputs)


@pytest.mark.parametrize("op", [op for op in every_op() if isinstance(op.lowering, Scalar)], ids=lambda op: op.name)
def test_every_pointwise_record_folds_to_what_it_computes(op) -> None:  # type: ignore[no-untyped-def]
    from fusewire.ir.graph import Builder
    from fusewire.ir.layout import type_of_array
    from fusewire.ir.op import lookup

    for sample in samples(op)[:6]:
        b = Builder()
        filled = []
        for x in sample.operands:
            type = type_of_array(x) if isinstance(x, np.ndarray) else None
            constant = (0.7 if type.dtype.kind == "f" else 1) if type else x
            filled.append(b.emit(lookup("full"), (constant,), {"shape": type.shape, "dtype": type.dtype}) if type else x)
        if any(isinstance(x, np.ndarray) for x in sample.operands):
            made = b.emit(op, filled, sample.attrs)
            graph = b.finish(made if isinstance(made, tuple) else (made,))
            assert unchanged(fold, interpret, graph, [])
