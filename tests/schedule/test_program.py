"""Plans of constant sizes run by addresses: the same results as the reference, arenas kept, inputs checked."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.errors import ShapeError
from fusewire.ir.graph import Graph
from fusewire.ir.interpret import interpret
from fusewire.ir.text import parse_graph

TWO_LAYERS = """\
graph f(%x: f32[6,4], %w: f32[5,4], %v: f32[3,5], %k: float):
  %0 : f32[4,5]@(1,4) = permute(%w) {dims=(1,0)}
  %1 : f32[6,5] = matmul(%x, %0)
  %2 : f32[6,5] = mul(%1, %k)
  %3 : f32[6,5] = tanh(%2)
  %4 : f32[5,3]@(1,5) = permute(%v) {dims=(1,0)}
  %5 : f32[6,3] = matmul(%3, %4)
  return %5, %3"""


def compiled(text: str) -> tuple[Graph, Any]:
    graph = parse_graph(text)
    return graph, pipeline.compile_graph(graph)


def inputs(seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [*(rng.standard_normal(s).astype(np.float32) for s in ((6, 4), (5, 4), (3, 5))), 0.5]


def test_calls_share_an_arena_one_after_the_other_and_results_stay() -> None:
    graph, executable = compiled(TWO_LAYERS)
    given = [inputs(seed) for seed in range(4)]
    made = [executable.run(g) for g in given]
    assert len(executable._program(()).arenas) == 1
    for g, found in zip(given, made, strict=True):
        for a, b in zip(found, interpret(graph, g)[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
            assert a.ctypes.data % 64 == 0 and a.flags.writeable


def test_threads_have_arenas_of_their_own() -> None:
    graph, executable = compiled(TWO_LAYERS)
    given = [inputs(seed) for seed in range(3)]
    want = [interpret(graph, g)[0][0] for g in given]
    wrong: list[int] = []

    def work(k: int) -> None:
        for _ in range(200):
            if not np.allclose(executable.run(given[k])[0], want[k], rtol=1e-5, atol=1e-6):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_inputs_are_checked_where_they_matter() -> None:
    _, executable = compiled("graph f(%x: f32[1,3]):\n  %0 : f32[1,3] = neg(%x)\n  return %0")
    for odd in (np.ones((3, 3), np.float32)[::2][:1], np.ones((3, 1), np.float32).T):  # the stride of a size 1 means nothing
        np.testing.assert_array_equal(executable.run([odd])[0], -odd)
    with pytest.raises(ShapeError, match="compiled for f32"):
        executable.run([np.ones((1, 4), np.float32)])
    with pytest.raises(ShapeError, match="compiled for f32"):
        executable.run([np.ones((1, 3))])
    with pytest.raises(TypeError, match="takes 1 inputs"):
        executable.run([])
    _, scalar = compiled("graph f(%x: f32[]):\n  %0 : f32[] = neg(%x)\n  return %0")
    assert scalar.run([np.float32(2)])[0] == -2


def test_numbers_are_passed_as_eight_bytes() -> None:
    _, executable = compiled("graph f(%x: i64[2], %k: int, %c: float):\n  %0 : i64[2] = mul(%x, %k)\n  return %0")
    np.testing.assert_array_equal(executable.run([np.array([1, 2]), 2**40, 1.5])[0], [2**40, 2**41])
    with pytest.raises(OverflowError, match="does not fit 64 bits"):
        executable.run([np.array([1, 2]), 2**70, 1.5])


@pytest.mark.parametrize("batch, dtype", [((3,), "f32"), ((2, 2), "f64"), ((70,), "f32"), ((2,), "f16")])
def test_batched_products(batch: tuple[int, ...], dtype: str) -> None:
    """By BLAS, by NumPy where there are many matrices or half types."""
    dims = ",".join(map(str, batch))
    graph, executable = compiled(
        f"graph f(%x: {dtype}[{dims},4,5], %w: {dtype}[5,6]):\n  %0 : {dtype}[{dims},4,6] = matmul(%x, %w)\n  return %0"
    )
    rng = np.random.default_rng(1)
    kind = {"f16": np.float16, "f32": np.float32, "f64": np.float64}[dtype]
    given = [rng.standard_normal((*batch, 4, 5)).astype(kind), rng.standard_normal((5, 6)).astype(kind)]
    (want,), _ = interpret(graph, given)
    np.testing.assert_allclose(executable.run(given)[0], want, rtol=1e-2 if dtype == "f16" else 1e-5, atol=1e-6)
