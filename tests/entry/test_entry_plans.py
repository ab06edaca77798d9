"""Random graphs: the native entry gives the bits that the Python executable gives for the same plan, and the same writes."""

from __future__ import annotations

import gc
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.backends.entry import table
from fusewire.errors import CompileError
from fusewire.ir import dtypes
from fusewire.ir import plan as p
from fusewire.ir.sizes import symbol
from fusewire.ir.types import ScalarType, TensorType, tensor
from fusewire.runtime import guard as g
from fusewire.runtime import source as s
from fusewire.runtime.executable import Executable
from fusewire.runtime.meta import Meta

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]
from entry_kit import NOTHING, Tensor, floats, small_classes  # noqa: E402, F401
from random_graphs import random_graph  # noqa: E402


def packed(args: Any) -> Any:
    return "missed"


def native(executable: Executable, inputs: list[Any], **more: Any) -> tuple[Any, table.Variant]:
    """The plan behind a function of one list of inputs."""
    sources = [s.Item(s.Arg(0, "args"), i) for i in range(len(inputs))]
    guards: list[g.Guard] = [
        g.TensorIs(src, Tensor, x.meta) for src, x in zip(sources, inputs, strict=True) if isinstance(x, Tensor)
    ]
    metas = [
        None if isinstance(o.type, ScalarType) or (o.source is not None and o.offset is None) else meta_of(o.type)
        for o in executable.plan.outputs
    ]
    entry = table.Entry(packed, packed)
    variant = table.Variant(executable.plan, executable.code, guards, sources, packed, output_metas=metas, single=False, **more)
    entry.add(variant)
    return entry.function, variant


def meta_of(kind: TensorType) -> Meta | None:
    fixed = all(isinstance(n, int) for n in (*kind.shape, *kind.strides))
    return Meta.of(kind.shape, kind.strides, kind.dtype) if fixed else None  # type: ignore[arg-type]


def copies(inputs: list[Any]) -> list[Any]:
    return [copy_of(x) if isinstance(x, np.ndarray) else x for x in inputs]


def copy_of(x: np.ndarray) -> np.ndarray:
    """The same values with the same strides in other memory."""
    reach = [(n - 1) * st for n, st in zip(x.shape, x.strides, strict=True) if n > 1]
    low, high = sum(min(r, 0) for r in reach), sum(max(r, 0) for r in reach)
    memory = np.zeros(high - low + x.itemsize, np.uint8)
    made = np.ndarray(x.shape, x.dtype, memory, -low, x.strides)
    made[...] = x
    return made


def bits(x: Any) -> Any:
    x = np.asarray(x)
    return (x.shape, x.dtype, np.where(x != x, 0, x).tobytes(), (x != x).tobytes())


@pytest.mark.parametrize("seed", range(40))
def test_random_graph(seed: int) -> None:
    graph, inputs = random_graph(seed, calls=10, writes=2)
    writes = tuple(w for w in graph.writes if inputs[graph.inputs.index(w.target)].flags.writeable)
    graph = replace(graph, writes=writes)
    executable = pipeline.compile_graph(graph)
    expected_inputs, given = copies(inputs), [Tensor(x) if isinstance(x, np.ndarray) else x for x in copies(inputs)]
    expected = executable.run(expected_inputs)
    call, variant = native(executable, given)
    got = call(given)
    assert got != "missed" and variant.hits == 1
    for a, b in zip(got, expected, strict=True):
        assert bits(a._array if isinstance(a, Tensor) else a) == bits(b)
        assert not isinstance(a, Tensor) or not a._array.size or a.meta is Meta.of_array(a._array)
    for a, b in zip(given, expected_inputs, strict=True):
        if isinstance(a, Tensor):
            assert bits(a._array) == bits(b)


def gemm_plan(a: TensorType, b: TensorType, out: TensorType, sizes: tuple[int, int]) -> p.Plan:
    buffers = (
        p.PlanBuffer("a", a.dtype, sizes[0], p.FromInput(0)), p.PlanBuffer("b", b.dtype, sizes[1], p.FromInput(1)),
        p.PlanBuffer("o", out.dtype, int(np.prod(out.shape)), p.FromOutput(0)),
    )  # fmt: skip
    step = p.GemmStep(p.BufferView(0, a), p.BufferView(1, b), p.BufferView(2, out))
    return p.Plan("gemm", (a, b), (), buffers, (step,), (p.PlanOutput(out),))


def typed(x: Any) -> TensorType:
    return Tensor(x).meta.type


CASES = [
    (3, 4, 5), (1, 1, 1), (1, 7, 1), (7, 1, 7), (64, 64, 64), (2, 0, 3), (0, 2, 3), (2, 3, 0), (0, 0, 0), (33, 17, 5),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32])
@pytest.mark.parametrize("layout", ["nn", "tn", "nt", "tt", "sliced", "reversed"])
def test_matrix_products(layout: str, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    for m, k, n in CASES:
        a, b = (rng.integers(-4, 5, shape).astype(dtype) for shape in ((m, k), (k, n)))
        a = np.asfortranarray(a) if layout[0] == "t" else a
        b = np.asfortranarray(b) if layout[1:] == "t" else b
        if layout == "sliced":
            a, b = np.repeat(a, 2, 0)[::2], np.concatenate([b, b], 1)[:, :n]
        if layout == "reversed":
            a = np.ascontiguousarray(a[:, ::-1])[:, ::-1]
        run_product(a, b, np.matmul(a.astype(np.float64), b.astype(np.float64)).astype(dtype))


def test_batched_products() -> None:
    rng = np.random.default_rng(1)
    shapes = [
        ((2, 3, 4, 5), (2, 3, 5, 6)),
        ((3, 4, 5), (1, 5, 6)),
        ((1, 4, 5), (3, 5, 6)),
        ((2, 1, 4, 5), (1, 3, 5, 6)),
        ((0, 4, 5), (0, 5, 6)),
        ((4, 5), (3, 5, 2)),
    ]
    for left, right in shapes:
        a, b = (rng.integers(-4, 5, shape).astype(np.float32) for shape in (left, right))
        run_product(a, b, np.matmul(a, b))
        c = np.ascontiguousarray(np.swapaxes(a, -1, -2))
        run_product(np.swapaxes(c, -1, -2), b, np.matmul(a, b))
    row = np.broadcast_to(np.arange(5, dtype=np.float32), (4, 5))
    run_product(row, rng.integers(-4, 5, (5, 3)).astype(np.float32), None)


def run_product(a: Any, b: Any, expected: Any) -> None:
    expected = np.matmul(a, b) if expected is None else expected
    x, y = Tensor(a), Tensor(b)
    plan = gemm_plan(typed(a), typed(b), tensor(expected.shape, Tensor(expected).meta.dtype), (a.size, b.size))
    call, _ = native(Executable(plan, {}, None), [x, y])  # type: ignore[arg-type]
    for _ in range(2):
        (got,) = call([x, y])
        np.testing.assert_array_equal(got._array, expected)


def test_sizes_from_an_int_argument() -> None:
    n = symbol("n")
    double = tensor((n, n * n // 3 + 1, (n + 7) % 4 + 1), dtypes.float32)
    plan = p.Plan("sized", (ScalarType("int"),), (p.SymbolSource("n", 0, "value"),), (), (), (p.PlanOutput(double),))
    call, _ = native(Executable(plan, {}, None), [3])  # type: ignore[arg-type]
    for value in (0, 1, 3, 10):
        (got,) = call([value])
        assert got.meta is Meta.of_array(got._array)
        assert got._array.shape == (value, value * value // 3 + 1, (value + 7) % 4 + 1)
    assert call([2**70]) == "missed" and call([1.0]) == "missed" and call([True]) == "missed"


def test_arena_is_recycled_and_given_back() -> None:
    graph, inputs = random_graph(3, calls=14, writes=0)
    executable = pipeline.compile_graph(graph)
    given = [Tensor(x) if isinstance(x, np.ndarray) else x for x in inputs]
    call, _ = native(executable, given)
    first = call(given)
    gc.collect()
    before = sys.gettotalrefcount() if hasattr(sys, "gettotalrefcount") else None
    for _ in range(50):
        again = call(given)
    assert before is None or sys.gettotalrefcount() - before < 50
    for a, b in zip(first, again, strict=True):
        assert not isinstance(a, Tensor) or bits(a._array) == bits(b._array)


def test_a_plan_that_cannot_be_native_says_so() -> None:
    n = symbol("n")
    plan = replace(NOTHING, outputs=(p.PlanOutput(tensor((n,), dtypes.float32)),))
    with pytest.raises(CompileError, match="does not say where the size n comes from"):
        native(Executable(plan, {}, None), [])  # type: ignore[arg-type]
    loose = p.Plan("loose", (tensor((3,), dtypes.float32),), (), (), (), ())
    with pytest.raises(CompileError, match="no guard says"):
        table.Variant(loose, {}, [], [s.Arg(0, "args")], packed, output_metas=[])


def test_views_and_inputs_are_returned() -> None:
    x = floats(6)
    view = tensor((2, 3), dtypes.float32)
    outputs = (p.PlanOutput(x.meta.type, 0), p.PlanOutput(view, 0, 0), p.PlanOutput(ScalarType("int"), 1))
    plan = p.Plan("views", (x.meta.type, ScalarType("int")), (), (), (), outputs, (p.PlanWrite(0),))
    call, _ = native(Executable(plan, {}, None), [x, 7])  # type: ignore[arg-type]
    same, seen, number = call([x, 7])
    assert same is x and number == 7
    assert seen._storage is x.storage and np.shares_memory(seen._array, x._array) and seen._array.shape == (2, 3)
    before = x.storage.version
    for _ in range(300):
        call([x, 7])
    assert x.storage.version == before + 300
