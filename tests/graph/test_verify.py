"""The verifier: one broken graph per invariant, and what the message tells."""

# ruff: noqa: E501  (graphs are written as they print)

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fusewire.errors import VerifyError
from fusewire.ir import sizes
from fusewire.ir.graph import Graph, Output, Value, View, WriteBack
from fusewire.ir.text import parse_graph
from fusewire.ir.types import ScalarType
from fusewire.ir.verify import verify

GOOD = """\
graph good(%x: f32[4,s0], %y: f32[4,s0], %lr: float, %n: int) where s0 >= 1, n >= 0:
  %0 : f32[4,s0] = mul(%x, %y)  # model.py:12
  %1 : f32[4,s0] = add(%0, %lr)  # model.py:13
  %2 : f32[4] = sum(%1) {dim=(1,), dtype=None, keepdim=False}  # model.py:14
  return %2, %1 as input(%x), view(%y, offset=0, shape=(4,s0), strides=(s0,1))
  write %x = %1 at 2"""

IN_TEXT = [
    ("%0 : f32[4,s0] = mul", "%0 : f32[4] = mul", "mul gives f32[4, s0] with strides (s0,1), the node says f32[4] with strides (1,)"),
    ("%0 : f32[4,s0] = mul", "%0 : f64[4,s0] = mul", "the node says f64"),
    ("%0 : f32[4,s0] = mul", "%0 : f32[4,s0]@(1,4) = mul", "with strides (1,4)"),
    ("mul(%x, %y)", "mul(%x)", "mul takes 2 operands, not 1"),
    ("sum(%1)", "sum(%1, %1)", "sum takes 1 operands, not 2"),
    ("dim=(1,)", "dim=(5,)", "sum refuses its operands"),
    ("%y: f32[4,s0]", "%y: f32[5,s0]", "mul refuses its operands (ShapeError"),
    ("%y: f32[4,s0]", "%y: f64[4,s0]", "operand 0 is f32 and is not cast to f64"),
    ("%2 : f32[4] = sum", "%2, %3 : f32[4], f32[4] = sum", "sum has 1 results, not 2"),
    ("s0 >= 1, n >= 0", "s0 >= 1, n >= 0, s1 >= 0", "no input defines the symbol s1"),
    (" where s0 >= 1, n >= 0", " where n >= 0", "the symbol s0, which the graph does not list"),
    ("return %2,", "return %2 as input(%x),", "output 0 is input %x: f32[4,s0], but has type f32[4]"),
    ("offset=0, shape=(4,s0), strides=(s0,1)", "offset=0, shape=(4,), strides=(1,)", "output 2 sees f32[4] but"),
    ("offset=0, shape=(4,s0), strides=(s0,1)", "offset=0, shape=(4,s0), strides=(s0,)", "not one stride per dimension"),
    ("offset=0, shape=(4,s0), strides=(s0,1)", "offset=0, shape=(4,s0), strides=(s0 + 1,1)", "output 2 leaves the storage of %y"),
    ("offset=0, shape=(4,s0), strides=(s0,1)", "offset=-1, shape=(4,s0), strides=(s0,1)", "output 2 leaves the storage of %y"),
    ("offset=0, shape=(4,s0), strides=(s0,1)", "offset=s7, shape=(4,s0), strides=(s0,1)", "the view of output 2 has the symbol s7"),
    ("write %x = %1 at 2", "write %x = %2 at 3", "write 0 puts f32[4] into %x: f32[4,s0]"),
    ("write %x = %1 at 2", "write %x = %1 at 1", "write 0 is %1, which is defined only below"),
    ("write %x = %1 at 2", "write %x = %1 at 4", "write 0 is at 4, not in program order"),
    ("write %x = %1 at 2", "write %x = %1 at 3\n  write %y = %0 at 2", "write 1 is at 2, not in program order"),
    ("write %x = %1 at 2", "write %lr = %1 at 2", "write 0 goes to the scalar %lr"),
    ("write %x = %1 at 2", "write %x = %lr at 2", "write 0 writes the scalar %lr"),
    ("write %x = %1 at 2", "write view(%x, offset=4*s0, shape=(4,s0), strides=(s0,1)) = %1 at 2", "write 0 leaves the storage of %x"),
    ("{dim=(1,), dtype=None, keepdim=False}", "{dim=(1,), dtype=None, keepdim=(s9,)}", "attr keepdim has the symbol s9"),
    ("%y: f32[4,s0]", "%y: f32[-4,s0]", "%y has a negative dimension"),
]  # fmt: skip


def test_the_good_graph_is_good() -> None:
    graph = parse_graph(GOOD)
    assert verify(graph) is graph


@pytest.mark.parametrize(("old", "new", "reason"), IN_TEXT, ids=[new for _, new, _ in IN_TEXT])
def test_broken_text(old: str, new: str, reason: str) -> None:
    assert old in GOOD
    _refuses(parse_graph(GOOD.replace(old, new, 1)), reason)


def _refuses(graph: Graph, reason: str) -> None:
    with pytest.raises(VerifyError) as e:
        verify(graph)
    assert reason in str(e.value)


def _with_node(graph: Graph, i: int, **changes: object) -> Graph:
    nodes = list(graph.nodes)
    nodes[i] = replace(nodes[i], **changes)
    return replace(graph, nodes=tuple(nodes))


def test_use_before_definition() -> None:
    g = parse_graph(GOOD)
    _refuses(replace(g, nodes=(g.nodes[1], g.nodes[0], g.nodes[2])), "operand 0 is %0, which is not defined in this graph above its use")


def test_value_of_another_graph() -> None:
    g, other = parse_graph(GOOD), parse_graph(GOOD)
    _refuses(_with_node(g, 1, args=(other.inputs[0], 1.0)), "which is not defined in this graph")
    _refuses(replace(g, outputs=(Output(other.inputs[0]),)), "output 0 is %x, which is not defined in this graph")
    _refuses(replace(g, outputs=(Output(g.inputs[0], g.nodes[0].results[0]),)), "output 0 is said to be an input, but %0 is none")
    _refuses(replace(g, writes=(WriteBack(g.nodes[0].results[0], g.inputs[0], 3),)), "write 0 goes to %0, which is no input")


def test_defined_twice() -> None:
    g = parse_graph(GOOD)
    _refuses(_with_node(g, 1, results=g.nodes[0].results), "%0 is defined twice")


def test_two_values_of_one_name_and_no_name() -> None:
    g = parse_graph(GOOD)
    g.nodes[1].results[0].name = "0"
    _refuses(g, "two values are called %0")
    g.nodes[1].results[0].name = "a b"
    _refuses(g, "'a b' is no name for a value")


def test_operands_and_attributes_of_other_kinds() -> None:
    g = parse_graph(GOOD)
    _refuses(_with_node(g, 1, args=(g.nodes[0].results[0], np.float32(1))), "neither Value, number nor None")
    _refuses(_with_node(g, 2, attrs={"dim": [1]}), "attr dim is [1]: not a number")
    _refuses(_with_node(g, 2, attrs={"dim": (np.int64(1),)}), "not a number")


def test_view_of_no_input_and_of_a_scalar() -> None:
    g = parse_graph(GOOD)
    view = View(0, (), ())
    _refuses(replace(g, outputs=(Output(g.inputs[0], None, view),)), "output 0 has a view of no input")
    _refuses(replace(g, outputs=(Output(g.inputs[2], g.inputs[2], view),)), "output 0 is a view of the scalar %lr")


def test_types_that_are_none() -> None:
    g = parse_graph(GOOD)
    _refuses(replace(g, inputs=(*g.inputs, Value("f32", "z"))), "%z has no type but 'f32'")  # type: ignore[arg-type]
    odd = replace(g.inputs[0].tensor_type, strides=(1,))
    _refuses(replace(g, inputs=(*g.inputs, Value(odd, "z"))), "%z has not one stride per dimension")
    _refuses(replace(g, symbols=("s0", "n", "n")), "a symbol is listed twice")


def test_an_int_input_defines_the_symbol_of_its_name() -> None:
    g = parse_graph(GOOD)
    verify(g)
    _refuses(replace(g, inputs=(*g.inputs[:3], Value(ScalarType("float"), "n"))), "no input defines the symbol n")


def test_negative_strides_reach_backwards() -> None:
    text = "graph g(%x: f32[4]):\n  %0 : f32[4]@(-1) = as_strided(%x) {offset=3, shape=(4,), strides=(-1,)}\n  return %0 as view(%x, offset=3, shape=(4,), strides=(-1,))"
    graph = parse_graph(text)
    view = graph.outputs[0].view
    assert view is not None and view.strides == (-1,)
    _refuses(parse_graph(text.replace("view(%x, offset=3", "view(%x, offset=2")), "leaves the storage of %x")


def test_message_shows_node_neighbours_and_line() -> None:
    with pytest.raises(VerifyError) as e:
        verify(parse_graph(GOOD.replace("%1 : f32[4,s0] = add", "%1 : f32[s0] = add")))
    assert str(e.value).splitlines() == [
        "graph good: add gives f32[4, s0] with strides (s0,1), the node says f32[s0] with strides (1,)",
        "   %0 : f32[4,s0] = mul(%x, %y)  # model.py:12",
        "-> %1 : f32[s0] = add(%0, %lr)  # model.py:13",
        "   %2 : f32[4] = sum(%1) {dim=(1,), dtype=None, keepdim=False}  # model.py:14",
        "from the user's line model.py:13",
    ]


def test_symbol_bounds_decide_about_views() -> None:
    undecided = GOOD.replace("offset=0, shape=(4,s0)", "offset=n, shape=(4,s0)")
    assert sizes.bounds(parse_graph(undecided).outputs[2].view.offset) == (0, None)  # type: ignore[union-attr]
    verify(parse_graph(undecided))
