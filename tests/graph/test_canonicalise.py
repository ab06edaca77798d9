"""The rules: each fires in the corpus, each keeps every bit on random instances, and near misses are left alone."""

# ruff: noqa: E501  (graphs are written as they print)

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusewire.ir import dtypes
from fusewire.ir.graph import Graph
from fusewire.ir.interpret import interpret
from fusewire.ir.passes.canonicalise import FINAL_RULES, RULES, canonicalise, finalise, holds
from fusewire.ir.passes.dce import dce
from fusewire.ir.text import parse_graph
from fusewire.ir.types import TensorType
from fusewire.ir.verify import verify

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from random_graphs import random_graph, same_bits, unchanged

# name: (inputs, nodes, what is left of them)
CORPUS: dict[str, tuple[str, str, str]] = {
    "multiply_by_one": ("%x: T", "%0 : T = mul(%x, 1) | %1 : T = mul(1.0, %0)", "%x"),
    "multiply_by_one of ones": ("%x: f32[2,3]", "%0 : f32[3] = full(1) {dtype=f32, shape=(3,)} | %1 : f32[2,3]@(0,1) = expand(%0) {shape=(2,3)}"
                                " | %2 : f32[2,3] = mul(%1, %x)", "%x"),
    "divide_by_one": ("%x: f32[2,3]", "%0 : f32[2,3] = div(%x, 1)", "%x"),
    "first_power": ("%x: T", "%0 : T = pow(%x, 1)", "%x"),
    "plain_power": ("%x: T", "%0 : T = pow(%x, 2)", "mul(%x, %x)"),
    "subtract_zero": ("%x: T", "%0 : T = sub(%x, 0) | %1 : T = sub(%0, 0.0)", "%x"),
    "add_zero": ("%x: f64[2,3]", "%0 : f64[2,3] = add(%x, -0.0) | %1 : f64[2,3] = add(-0.0, %0)", "%x"),
    "add_zero to an integer": ("%x: i32[2,3]", "%0 : i32[2,3] = add(%x, 0)", "%x"),
    "add_negative": ("%x: T, %y: T", "%0 : T = neg(%y) | %1 : T = add(%x, %0)", "%x - %y"),
    "add_negative on the left": ("%x: T, %y: T", "%0 : T = neg(%x) | %1 : T = add(%0, %y)", "%y - %x"),
    "subtract_negative": ("%x: T, %y: T", "%0 : T = neg(%y) | %1 : T = sub(%x, %0)", "%x + %y"),
    "undo_twice": ("%x: T", "%0 : T = neg(%x) | %1 : T = neg(%0)", "%x"),
    "undo_twice of bools": ("%x: bool[3]", "%0 : bool[3] = logical_not(%x) | %1 : bool[3] = logical_not(%0)", "%x"),
    "undo_twice of bits": ("%x: u8[3]", "%0 : u8[3] = bitwise_not(%x) | %1 : u8[3] = bitwise_not(%0)", "%x"),
    "twice_is_once": ("%x: T", "%0 : T = abs(%x) | %1 : T = abs(%0)", "abs(%x)"),
    "twice_is_once of relu": ("%x: T", "%0 : T = relu(%x) | %1 : T = relu(%0)", "relu(%x)"),
    "absolute_of_negative": ("%x: T", "%0 : T = neg(%x) | %1 : T = abs(%0)", "abs(%x)"),
    "same_type": ("%x: f32[2,3]", "%0 : f32[2,3] = cast(%x) {dtype=f32} | %1 : f32[2,3] = contiguous(%0) | %2 : f32[2,3] = view(%1) {shape=(2,3)}"
                  " | %3 : f32[2,3] = expand(%2) {shape=(2,3)}", "%x"),
    "identity_permute": ("%x: f32[3,2]@(1,3)", "%0 : f32[3,2]@(1,3) = permute(%x) {dims=(0,1)}", "%x"),
    "permute_of_permute": ("%x: f32[2,3,4]", "%0 : f32[4,2,3]@(1,12,4) = permute(%x) {dims=(2,0,1)} | %1 : f32[2,4,3]@(12,1,4) = permute(%0) {dims=(1,0,2)}",
                           "permute(%x) {dims=(0,2,1)}"),
    "permute there and back": ("%x: f32[2,2]", "%0 : f32[2,2]@(1,2) = permute(%x) {dims=(1,0)} | %1 : f32[2,2] = permute(%0) {dims=(1,0)}", "%x"),
    "last_shape_counts": ("%x: f32[2,6]", "%0 : f32[12] = view(%x) {shape=(12,)} | %1 : f32[3,4] = view(%0) {shape=(3,4)}", "view(%x) {shape=(3,4)}"),
    "last_shape_counts of expand": ("%x: f32[3]", "%0 : f32[2,3]@(0,1) = expand(%x) {shape=(2,3)} | %1 : f32[5,2,3]@(0,0,1) = expand(%0) {shape=(5,2,3)}",
                                    "expand(%x) {shape=(5,2,3)}"),
    "cast_of_cast": ("%x: bf16[5]", "%0 : f32[5] = cast(%x) {dtype=f32} | %1 : f64[5] = cast(%0) {dtype=f64}", "cast(%x) {dtype=f64}"),
    "cast there and back": ("%x: i16[5]", "%0 : f32[5] = cast(%x) {dtype=f32} | %1 : i16[5] = cast(%0) {dtype=i16}", "%x"),
    "settled_choice": ("%c: bool[2,3], %x: f32[2,3]", "%0 : f32[2,3] = where(%c, %x, %x)", "%x"),
}  # fmt: skip
NEAR = {
    "x + 0 loses a sign of zero": ("%x: f32[3]", "%0 : f32[3] = add(%x, 0)"),
    "x + 0.0 loses a sign of zero": ("%x: f32[3]", "%0 : f32[3] = add(%x, 0.0)"),
    "x - -0.0 loses a sign of zero": ("%x: f32[3]", "%0 : f32[3] = sub(%x, -0.0)"),
    "x * 1 moves to dense strides": ("%x: f32[2,3]@(7,1)", "%0 : f32[2,3] = mul(%x, 1)"),
    "ones that broadcast": ("%x: f32[1,3]", "%0 : f32[2,3] = full(1.0) {dtype=f32, shape=(2,3)} | %1 : f32[2,3] = mul(%x, %0)"),
    "not(not x) of numbers is a bool": ("%x: f32[3]", "%0 : bool[3] = logical_not(%x) | %1 : bool[3] = logical_not(%0)"),
    "a float cast to int twice": ("%x: f32[3]", "%0 : f64[3] = cast(%x) {dtype=f64} | %1 : i32[3] = cast(%0) {dtype=i32}"),
    "a narrowing cast rounds": ("%x: f32[3]", "%0 : bf16[3] = cast(%x) {dtype=bf16} | %1 : f32[3] = cast(%0) {dtype=f32}"),
    "large ints round": ("%x: i64[3]", "%0 : f64[3] = cast(%x) {dtype=f64} | %1 : i64[3] = cast(%0) {dtype=i64}"),
    "reordering equal dimensions": ("%x: f32[2,2]@(1,1)", "%0 : f32[2,2]@(1,1) = permute(%x) {dims=(1,0)}"),
    "a copy in between two views": ("%x: f32[3,2]@(1,3)", "%0 : f32[3,2] = contiguous(%x) | %1 : f32[6] = view(%0) {shape=(6,)}"),
    "a sum over nothing": ("%x: f32[3]", "%0 : f32[3] = sum_to(%x) {shape=(3,)}"),
    "negation wraps in unsigned": ("%x: u8[3]", "%0 : u8[3] = neg(%x) | %1 : u8[3] = abs(%0)"),
    "detach cuts the tape": ("%x: f32[3]", "%0 : f32[3] = detach(%x)"),
}


def graph_of(inputs: str, nodes: str, type: str = "f32[2,3]") -> Graph:
    """A graph of the nodes, separated by bars, that returns the last; `T` stands for `type`."""
    lines = nodes.replace("T ", f"{type} ").split(" | ")
    names = [line.split(" ")[0] for line in lines]
    head = inputs.replace(": T", f": {type}")
    return verify(parse_graph(f"graph g({head}):\n" + "".join(f"  {line}\n" for line in lines) + f"  return {names[-1]}"))


def inputs_of(graph: Graph, rng: np.random.Generator) -> list[Any]:
    """Arrays with the types of the inputs, special values among them."""
    return [_array(v.tensor_type, rng) for v in graph.inputs]


def _array(t: TensorType, rng: np.random.Generator) -> np.ndarray:
    size = 1 + sum((n - 1) * s for n, s in zip(t.shape, t.strides, strict=True))
    if t.dtype.is_floating_point:
        special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3e38, 1.0])
        flat = np.where(rng.random(size) < 0.4, rng.choice(special, size), rng.normal(size=size) * 100)
    else:
        flat = rng.integers(0, 2 if t.dtype.kind == "b" else 256, size) - (128 if t.dtype.kind == "i" else 0)
    with np.errstate(all="ignore"):
        held = np.asarray(flat).astype(t.dtype.np)
    return np.lib.stride_tricks.as_strided(held, t.shape, [s * held.itemsize for s in t.strides])


@pytest.mark.parametrize("case", CORPUS, ids=str)
def test_a_rule_fires_and_leaves_this(case: str) -> None:
    inputs, nodes, left = CORPUS[case]
    fired: Counter[str] = Counter()
    after = verify(dce(canonicalise(graph_of(inputs, nodes), fired)))
    if " " not in case:
        assert case in fired
    if left.startswith("%") and len(left) == 2:
        assert not after.nodes and after.outputs[0].value.name == left[1:]
    else:
        call = f"sub({left.replace(' -', ',')})" if " - " in left else f"add({left.replace(' +', ',')})" if " + " in left else left
        assert [str(after).splitlines()[1].split(" = ")[1]] == [call] and len(after.nodes) == 1


def test_every_rule_fires_in_the_corpus() -> None:
    fired: Counter[str] = Counter()
    for inputs, nodes, _ in CORPUS.values():
        canonicalise(graph_of(inputs, nodes), fired)
    finalise(graph_of(*NEAR["detach cuts the tape"]), fired)
    assert set(fired) == {r.name for r in [*RULES, *FINAL_RULES]}


@pytest.mark.parametrize("type", ["f32[2,3]", "f64[4]", "bf16[3,2]@(1,3)", "f16[5]", "i32[2,2]", "i8[7]", "u8[]", "i64[0,3]"])
@pytest.mark.parametrize("case", CORPUS, ids=str)
def test_every_bit_stays(case: str, type: str) -> None:
    inputs, nodes, _ = CORPUS[case]
    if type[0] in "iu" and ("1.0" in nodes or "0.0" in nodes):
        return
    graph = graph_of(inputs, nodes, type)
    for seed in range(4):
        assert unchanged(canonicalise, interpret, graph, inputs_of(graph, np.random.default_rng(seed)))


@pytest.mark.parametrize("case", NEAR, ids=str)
def test_near_misses_are_left_alone(case: str) -> None:
    graph = graph_of(*NEAR[case])
    assert canonicalise(graph) is graph


def test_adding_zero_does_lose_a_sign() -> None:
    x = np.array([-0.0], np.float32)
    graph = graph_of("%x: f32[1]", "%0 : f32[1] = add(%x, 0.0)")
    assert not same_bits(interpret(graph, [x])[0], [x])


def test_rules_see_what_rules_have_made() -> None:
    graph = graph_of("%x: f32[4]", "%0 : f32[4] = neg(%x) | %1 : f32[4] = mul(%0, 1) | %2 : f32[4] = neg(%1) | %3 : f32[4] = sub(%2, 0)")
    assert canonicalise(graph).outputs[0].value.name == "x"


@pytest.mark.parametrize("a", dtypes.ALL, ids=str)
@pytest.mark.parametrize("b", dtypes.ALL, ids=str)
def test_holds_is_what_casting_there_and_back_shows(a: dtypes.DType, b: dtypes.DType) -> None:
    if a.kind == "f":
        info = __import__("ml_dtypes").finfo(a.np)
        values = np.array([info.max, info.smallest_subnormal, 1 + info.eps, -1.5], a.np)
    elif a.kind == "b":
        values = np.array([True, False])
    else:
        info = np.iinfo(a.np)
        values = np.array([info.max, info.min, info.max - 1, info.max // 2 + 1, 1], a.np)
    with np.errstate(all="ignore"):
        if a.kind == "f" and b.kind in "iub":
            assert not holds(a, b)
        else:
            assert holds(a, b) == bool((values.astype(b.np).astype(a.np) == values).all() and np.isfinite(values.astype(b.np)).all()
                                       and _not_folded(values, b))


def _not_folded(values: np.ndarray, b: dtypes.DType) -> bool:
    """Between integers of one width a cast there and back restores what it never held."""
    return bool((values.astype(object) == values.astype(b.np).astype(object)).all())


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs_mean_the_same(seed: int) -> None:
    graph, inputs = random_graph(seed, calls=12)
    verify(canonicalise(graph))
    assert unchanged(canonicalise, interpret, graph, inputs)
    assert unchanged(finalise, interpret, graph, inputs)
