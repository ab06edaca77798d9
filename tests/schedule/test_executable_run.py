"""Executable in Python: outputs that alias inputs, write-backs, symbols, errors, empty tensors, scalars."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusewire import knobs, pipeline
from fusewire.errors import ShapeError
from fusewire.ir import sizes
from fusewire.ir.graph import Output, Value, View, WriteBack
from fusewire.ir.interpret import interpret
from fusewire.ir.text import parse_graph
from fusewire.ir.types import ScalarType, TensorType, tensor

sys.path.insert(0, str(Path(__file__).parent))
from schedule_cases import CASES, F32, I64, S0, arrays, graph, op

BACKENDS = pytest.mark.parametrize("backend", ["reference", "cpu"])


def finish(value: Value, outputs: Any, writes: Any = ()) -> Any:
    assert value.builder is not None
    return value.builder.finish(outputs, writes)


@BACKENDS
def test_update_happens_in_place(backend: str) -> None:
    graph_ = CASES["update"][0]()
    p, g, lr = arrays(graph_)
    before = p.copy()
    assert pipeline.compile_graph(graph_, backend=backend).run([p, g, lr]) == []
    np.testing.assert_allclose(p, before - g * np.float32(lr), rtol=1e-6)


@BACKENDS
def test_two_inputs_change_places(backend: str) -> None:
    swap = graph(lambda a, b: finish(a, [], [WriteBack(a, b, 0), WriteBack(b, a, 0)]), (4, 4), (4, 4))
    x, y = arrays(swap)
    old = x.copy(), y.copy()
    pipeline.compile_graph(swap, backend=backend).run([x, y])
    np.testing.assert_array_equal(x, old[1])
    np.testing.assert_array_equal(y, old[0])


@BACKENDS
def test_transposing_in_place_reads_the_old_contents(backend: str) -> None:
    made = graph(lambda a: finish(a, [], [WriteBack(a, op("permute")(a, dims=(1, 0)), 1)]), (5, 5))
    (x,) = arrays(made)
    old = x.copy()
    pipeline.compile_graph(made, backend=backend).run([x])
    np.testing.assert_array_equal(x, old.T)


@BACKENDS
def test_old_contents_are_read_before_they_are_overwritten(backend: str) -> None:
    def make(a: Value, b: Value) -> Any:
        new = op("add")(a, 1.0)
        late = op("matmul")(op("exp")(op("matmul")(b, b)), a)  # reads the old a in the last step
        return finish(a, [late], [WriteBack(a, new, 1)])

    made = graph(make, (4, 4), (4, 4))
    x, y = arrays(made)
    old = x.copy()
    (late,) = pipeline.compile_graph(made, backend=backend).run([x, y])
    np.testing.assert_allclose(late, np.exp(y @ y) @ old, rtol=1e-5)
    np.testing.assert_allclose(x, old + 1)


@BACKENDS
def test_write_through_a_view(backend: str) -> None:
    def make(a: Value, b: Value) -> Any:
        return finish(a, [], [WriteBack(a, op("mul")(b, 2.0), 1, View(6, (2, 2), (6, 1)))])

    made = graph(make, (4, 6), (2, 2))
    x, y = arrays(made)
    want = x.copy()
    want[1:3, :2] = y * 2
    pipeline.compile_graph(made, backend=backend).run([x, y])
    np.testing.assert_array_equal(x, want)


@BACKENDS
def test_nothing_is_written_where_the_graph_raises(backend: str) -> None:
    def make(p: Value, table: Value, at: Value) -> Any:
        picked = op("gather")(table, at, dim=1)
        return finish(p, [picked], [WriteBack(p, op("mul")(p, 2.0), 2)])

    made = graph(make, (4,), (3, 5), tensor((3, 2), I64))
    p, table, _ = arrays(made)
    old = p.copy()
    executable = pipeline.compile_graph(made, backend=backend)
    with pytest.raises(IndexError, match="out of bounds for dimension 1 with size 5"):
        executable.run([p, table, np.full((3, 2), 5)])
    np.testing.assert_array_equal(p, old)
    at = np.array([[0, 4], [1, 1], [2, 3]])
    np.testing.assert_array_equal(executable.run([p, table, at])[0], np.take_along_axis(table, at, 1))
    np.testing.assert_array_equal(p, old * 2)


@BACKENDS
def test_output_is_an_input_a_view_of_it_or_a_fresh_strided_tensor(backend: str) -> None:
    def make(a: Value) -> Any:
        transposed = op("permute")(op("exp")(a), dims=(1, 0))
        view = op("permute")(a, dims=(1, 0))
        return finish(a, [Output(a, a), Output(view, a, View(0, (6, 4), (1, 6))), Output(transposed), Output(a)])

    made = graph(make, (4, 6))
    (x,) = arrays(made)
    same, view, fresh, copy = pipeline.compile_graph(made, backend=backend).run([x])
    assert same is x and np.shares_memory(view, x) and not np.shares_memory(copy, x)
    np.testing.assert_array_equal(view, x.T)
    np.testing.assert_allclose(fresh, np.exp(x).T, rtol=1e-6)
    assert fresh.strides == (4, 24)
    np.testing.assert_array_equal(copy, x)


@BACKENDS
def test_one_executable_serves_every_size(backend: str) -> None:
    made = graph(lambda a, b: op("softmax")(op("matmul")(op("add")(a, 1.0), b), dim=1), (S0, 6), (6, 3))
    executable = pipeline.compile_graph(made, backend=backend)
    rng = np.random.default_rng(0)
    for n in (2, 7, 130):
        x, w = rng.standard_normal((n, 6)).astype(np.float32), rng.standard_normal((6, 3)).astype(np.float32)
        y = np.exp((x + 1) @ w)
        np.testing.assert_allclose(executable.run([x, w])[0], y / y.sum(1, keepdims=True), rtol=1e-4)


@BACKENDS
def test_int_input_is_a_size(backend: str) -> None:
    n = sizes.symbol("n")

    def make(count: Value, a: Value) -> Any:
        count.name = "n"
        wide = op("expand")(a, shape=(n, 3))
        assert a.builder is not None
        return a.builder.finish([op("mul")(wide, 2.0)], symbols=("n",))

    made = graph(make, ScalarType("int"), (3,))
    x = np.arange(3, dtype=np.float32)
    for count in (1, 4):
        (got,) = pipeline.compile_graph(made, backend=backend).run([count, x])
        np.testing.assert_array_equal(got, np.tile(x * 2, (count, 1)))


@BACKENDS
def test_empty_tensors(backend: str) -> None:
    made = graph(lambda a: (op("exp")(a), op("sum")(a, dim=(0,)), op("sum")(a, dim=(0, 1))), (0, 3))
    e, s, t = pipeline.compile_graph(made, backend=backend).run([np.zeros((0, 3), np.float32)])
    assert e.shape == (0, 3) and s.tolist() == [0, 0, 0] and t == 0


@BACKENDS
def test_zero_rows_of_a_symbolic_size(backend: str) -> None:
    s = sizes.symbol("s0")
    made = graph(lambda a: (op("softmax")(a, dim=1), op("amax")(a, dim=(1,)), op("sum")(a, dim=(0,))), (s, 3))
    executable = pipeline.compile_graph(made, backend=backend)
    assert [x.shape for x in executable.run([np.zeros((0, 3), np.float32)])] == [(0, 3), (0,), (3,)]


def test_wrong_inputs_are_refused() -> None:
    executable = pipeline.compile_graph(CASES["symbolic"][0](), backend="reference")
    x, b = np.zeros((5, 32), np.float32), np.zeros(32, np.float32)
    with pytest.raises(TypeError, match="takes 2 inputs, not 1"):
        executable.run([x])
    for bad in (x.astype(np.float64), x[:, :16], np.zeros((32, 5), np.float32).T):
        with pytest.raises(ShapeError, match="compiled for f32"):
            executable.run([bad, b])


def test_strided_input() -> None:
    made = graph(lambda a: op("add")(a, 1.0), TensorType((4, 3), F32, (10, 2)))
    x = np.zeros((4, 10), np.float32)[:, :6:2]
    x += np.arange(12, dtype=np.float32).reshape(4, 3)
    np.testing.assert_array_equal(pipeline.compile_graph(made, backend="reference").run([x])[0], x + 1)


@BACKENDS
def test_a_chain_of_a_thousand_ops_is_a_few_kernels(backend: str) -> None:
    def make(a: Value) -> Any:
        for _ in range(500):
            a = op("mul")(op("add")(a, 0.5), 0.5)
        return a

    made = graph(make, (8,))
    executable = pipeline.compile_graph(made, backend=backend)
    assert executable.kernel_count == 8
    np.testing.assert_allclose(executable.run([np.zeros(8, np.float32)])[0], 0.5, rtol=1e-5)


@BACKENDS
def test_rows_of_a_computed_table_are_picked(backend: str) -> None:
    def make(table: Value, at: Value) -> Any:
        rows = op("softmax")(table, dim=1)
        return op("add")(op("gather")(rows, at, dim=0), op("amax")(table, dim=(1,), keepdim=True))

    made = graph(make, (6, 6), tensor((6, 6), I64))
    inputs = arrays(made)
    (want,) = interpret(made, inputs)[0]
    np.testing.assert_allclose(pipeline.compile_graph(made, backend=backend).run(inputs)[0], want, rtol=1e-5)


def test_the_debug_ladder(capsys: pytest.CaptureFixture[str]) -> None:
    made = graph(lambda a: op("exp")(a), (4,))
    told = []
    for level in range(7):
        with knobs.override(debug=level):
            pipeline.compile_graph(made)
        told.append(capsys.readouterr().err)
    assert told[:3] == ["", "", ""] and "pass dce: 1 -> 1 nodes" in told[3] and "kernel k0_exp" not in told[3]
    assert "kernel k0_exp" in told[4] and "define i32 @k0_exp" not in told[4]
    assert "define i32 @k0_exp" in told[5] and ".text" not in told[5] and ".text" in told[6]


@BACKENDS
def test_a_product_that_is_returned_twice_and_read(backend: str) -> None:
    made = parse_graph("""\
graph f(%a: f32[48,40], %b: f32[40,56]):
  %0 : f32[48,56] = matmul(%a, %b)
  %1 : f32[48,56] = exp(%0)
  return %0, %0, %1""")
    given = arrays(made)
    found = pipeline.compile_graph(made, backend=backend).run(given)
    for x, y in zip(found, interpret(made, given)[0], strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4)
    assert not np.shares_memory(found[0], found[1])
