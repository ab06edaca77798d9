"""The text form: it reads back, it is one form, and content decides equality and hash."""

# ruff: noqa: E501  (graphs are written as they print)

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fusewire.errors import ParseError
from fusewire.ir import dtypes, sizes, text, types
from fusewire.ir.graph import Builder, Graph, Node, Output, Value, View, Where, WriteBack
from fusewire.ir.op import lookup
from fusewire.ir.text import graph_hash, parse_graph, print_graph, same_graph
from fusewire.ir.verify import verify

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from random_graphs import random_graph

ALL_FORMS = """\
graph mlp.forward(%x: f32[4,s0], %w: f32[s0,4]@(1,s0), %lr: float, %n: int, %flag: bool) where s0 >= 1, n >= 0, 2 <= s1 <= 2*s0 + 1:
  %0 : f32[4,4] = matmul(%x, %w)  # model.py:12
  %1 : f32[4,4] = mul(%0, %lr)  # model.py:13
  %2 : f32[4,s0] = add(%x, -0.0)
  %3 : f32[4] = sum(%x) {dim=(1,), dtype=None, keepdim=False}
  %4 : bf16[4,s0] = cast(%x) {dtype=bf16}
  %5 : f32[s1,s0] = full(inf) {dtype=f32, shape=(s1,s0)}
  return %1, view(%x, offset=0, shape=(4,s0), strides=(s0,1)), input(%x), %2 as input(%x), %0 as view(%w, offset=1, shape=(4,4), strides=(0,1))
  write %x = %2 at 3
  write view(%x, offset=s0 - 1, shape=(4,), strides=(s0,)) = %3 at 4"""


def test_every_form_reads_back_and_prints_as_it_was() -> None:
    graph = parse_graph(ALL_FORMS)
    assert print_graph(graph) == ALL_FORMS
    assert str(graph) == ALL_FORMS
    assert [v.name for v in graph.inputs] == ["x", "w", "lr", "n", "flag"]
    assert graph.symbols == ("s0", "n", "s1")
    assert graph.nodes[0].where == Where("model.py", 12)
    assert graph.outputs[1] == Output(graph.inputs[0], graph.inputs[0], View(0, graph.inputs[0].shape, (sizes.symbol("s0"), 1)))
    assert graph.outputs[3].source is graph.inputs[0] and graph.outputs[3].view is None
    assert graph.writes[1].view is not None and graph.writes[1].position == 4
    assert sizes.bounds(graph.inputs[0].shape[1]) == (1, None)


def test_without_places() -> None:
    assert "#" not in print_graph(parse_graph(ALL_FORMS), where=False)


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs_read_back(seed: int) -> None:
    graph, _ = random_graph(seed)
    again = verify(parse_graph(print_graph(graph)))
    assert print_graph(again) == print_graph(graph)
    assert same_graph(again, graph) and graph_hash(again) == graph_hash(graph)


ATTRS = [
    None, True, 3, -3, 2.5, -0.0, float("inf"), float("-inf"), float("nan"), 1e-300, 1e20, "", "a,b = (\"' # 'c\\", (), (1,), (1, (2, "x")),
    dtypes.int64, dtypes.bool_, sizes.symbol("s0"), sizes.symbol("s0") * 4 - 1, (sizes.floordiv(sizes.symbol("s0"), 2) * 3, 1),
    sizes.minimum(sizes.symbol("s0"), 4), (sizes.mod(sizes.symbol("s0") + 1, 7),),
]  # fmt: skip


@pytest.mark.parametrize("attr", ATTRS, ids=repr)
def test_every_kind_of_attribute_reads_back(attr: object) -> None:
    x = Value(types.tensor((sizes.symbol("s0"),), dtypes.float32), "x")
    y = Value(x.type, "0")
    graph = Graph("g", (x,), (Node(lookup("neg"), (x,), {"a": attr, "b": attr}, (y,)),), (Output(y),), (), ("s0",))
    again = parse_graph(print_graph(graph))
    assert repr(again.nodes[0].attrs) == repr({"a": attr, "b": attr})
    assert type(again.nodes[0].attrs["a"]) is type(attr)


def _graph(number: object, name: str = "x") -> Graph:
    b = Builder(name)
    x = b.input(types.tensor((2,), dtypes.float64), name)
    b.where = Where("/here/a.py", len(name))
    return b.finish([b.emit(lookup("add"), (x, number), {})])


def test_content_decides_equality_and_hash() -> None:
    assert same_graph(_graph(2.0), _graph(2.0, "other"))
    assert graph_hash(_graph(2.0)) == graph_hash(_graph(2.0, "other"))
    assert same_graph(_graph(float("nan")), _graph(float("nan")))
    different = [_graph(x) for x in (0.0, -0.0, 0, 1, 1.0, True, float("nan"))]
    assert len({graph_hash(g) for g in different}) == len(different)


def test_writes_views_and_symbols_count_as_content() -> None:
    lines = ALL_FORMS.splitlines()
    base = parse_graph(ALL_FORMS)
    for old, new in (("at 4", "at 5"), ("offset=1", "offset=0"), ("s0 >= 1", "s0 >= 2"), ("%2 as input(%x)", "%2"), ("@(1,s0)", "")):
        changed = parse_graph("\n".join(lines).replace(old, new, 1))
        assert not same_graph(base, changed), old


def test_hash_is_the_same_in_every_process() -> None:
    code = f"from fusewire.ir.text import *; print(graph_hash(parse_graph({ALL_FORMS!r})))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}, cwd="/")
    assert told.stdout.strip() == graph_hash(parse_graph(ALL_FORMS))


@pytest.mark.parametrize(("old", "new", "reason"), [
    ("matmul(%x, %w)", "matmul(%x, %v)", "%v is not defined above"),
    ("matmul", "no_such_op", "no_such_op"),
    ("%1 :", "%0 :", "not a new value's name"),
    ("f32[4,4] =", "f99[4,4] =", "f99"),
    ("{dim=(1,), dtype", "{dim=(1,, dtype", "bracket"),
    ("graph mlp", "grph mlp", "a graph starts with"),
    ("  write %x", "  wrote %x", "neither a node nor a return nor a write"),
    ("%x: f32[4,s0]", "%x: f32", "not a type"),
    ("%5 : f32[s1,s0] = full", "%5 f32[s1,s0] = full", "a node is"),
])  # fmt: skip
def test_an_error_names_the_line_and_the_reason(old: str, new: str, reason: str) -> None:
    broken = ALL_FORMS.replace(old, new, 1)
    assert broken != ALL_FORMS
    with pytest.raises(ParseError, match="in the line") as e:
        parse_graph(broken)
    assert reason in str(e.value)


def test_text_that_ends_early() -> None:
    with pytest.raises(ParseError, match="starts with a line"):
        parse_graph("graph g(%x: f32[2]):\n  %0 : f32[2] = neg(%x)")


def test_input_names_become_words_of_their_own() -> None:
    b = Builder()
    given = ["x", "x", "self.w", "a b", "0", ""]
    assert [b.input(types.ScalarType("int"), n).name for n in given] == ["x", "x_1", "self.w", "a_b", "in0", "in5"]


def test_split_leaves_brackets_and_strings_whole() -> None:
    assert text.split_top("a, (b, c), 'd, e', f[g, h]") == ["a", "(b, c)", "'d, e'", "f[g, h]"]
    assert text.split_top("") == []


def test_write_back_is_printed_by_target() -> None:
    b = Builder("g")
    x = b.input(types.tensor((2,), dtypes.float32), "x")
    y = b.emit(lookup("neg"), (x,), {})
    assert str(b.finish([], [WriteBack(x, y, 1)])) == "graph g(%x: f32[2]):\n  %0 : f32[2] = neg(%x)\n  return\n  write %x = %0 at 1"
