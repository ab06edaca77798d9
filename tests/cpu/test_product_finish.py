"""Kernels that become the last part of a matrix product: which do, why others do not, and what they compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fusewire.backends.cpu.gemm_tile import tile
from fusewire.backends.cpu.module import host_target
from fusewire.ir import dtypes, sizes
from fusewire.ir.graph import Builder, Graph, Value, WriteBack
from fusewire.ir.interpret import interpret
from fusewire.ir.op import lookup
from fusewire.ir.plan import KernelStep, RoutineStep
from fusewire.ir.types import ScalarType, tensor
from fusewire.pipeline import compile_graph, stages
from fusewire.runtime import pool

pytestmark = pytest.mark.skipif(tile(dtypes.float32, host_target()) is None, reason="this processor has no tiles")

add, mul, sub, cast = (lookup(name) for name in ("add", "mul", "sub", "cast"))
matmul, relu, gelu, total, permute = (lookup(name) for name in ("matmul", "relu", "gelu", "sum", "permute"))
Body = Callable[..., Any]


def graph(body: Body, *shapes: Any, dtype: Any = dtypes.float32) -> Graph:
    builder = Builder("g")
    made = body(*(builder.input(s if isinstance(s, ScalarType) else tensor(s, dtype)) for s in shapes))
    return builder.finish(list(made) if isinstance(made, tuple) else [made])


def arrays(g: Graph, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(v.shape).astype(v.dtype.np) if not isinstance(v.type, ScalarType) else 1.5 for v in g.inputs]


def run(g: Graph, threads: int = 1) -> list[Any]:
    """The outputs, compared with the interpreter's."""
    before = pool.threads()
    inputs = arrays(g)
    want = interpret(g, [x.copy() if isinstance(x, np.ndarray) else x for x in inputs])[0]
    try:
        pool.set_threads(threads)
        got = compile_graph(g).run(inputs)
    finally:
        pool.set_threads(before)
    for x, y in zip(got, want, strict=True):
        np.testing.assert_allclose(x, y, rtol=2e-4, atol=2e-4)
    return got


def steps(g: Graph) -> tuple[int, int, int]:
    """(products with an epilogue, products without, kernels)"""
    from fusewire.backends.cpu.claims import CLAIMS

    found = stages(g, CLAIMS).plan.steps
    products = [s for s in found if isinstance(s, RoutineStep)]
    ended = sum(s.finish is not None for s in products)
    return ended, len(products) - ended, sum(isinstance(s, KernelStep) for s in found)


def linear(x: Any, w: Any, b: Any) -> Any:
    return gelu(add(matmul(x, permute(w, dims=(1, 0))), b))


JOINED: dict[str, tuple[Body, tuple[Any, ...]]] = {
    "bias": (lambda x, w, b: add(matmul(x, w), b), ((20, 30), (30, 50), (50,))),
    "linear": (linear, ((4, 9, 30), (70, 30), (70,))),
    "residual": (lambda x, w, r: add(r, matmul(x, w)), ((20, 30), (30, 50), (20, 50))),
    "rows": (lambda x, w, r: mul(matmul(x, w), r), ((20, 30), (30, 50), (20, 1))),
    "scalar": (lambda x, w, s: mul(matmul(x, w), s), ((20, 30), (30, 50), ScalarType("float"))),
    "several": (lambda x, w, r: (relu(matmul(x, w)), add(matmul(x, w), r), matmul(x, w)), ((20, 30), (30, 50), (20, 50))),
    "cast": (lambda x, w: cast(relu(matmul(x, w)), dtype=dtypes.float64), ((20, 30), (30, 50))),
    "operand": (lambda x, w: sub(matmul(x, w), x), ((20, 30), (30, 30))),
}


@pytest.mark.parametrize("name", JOINED)
@pytest.mark.parametrize("short", ["f32", "f64"])
def test_one_step(name: str, short: str) -> None:
    body, shapes = JOINED[name]
    if name == "cast" and short == "f64":
        pytest.skip("a cast to the dtype itself")
    g = graph(body, *shapes, dtype=dtypes.BY_NAME[short])
    assert steps(g) == (1, 0, 0)
    run(g)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads(threads: int) -> None:
    g = graph(linear, (300, 400), (500, 400), (500,))
    assert all(np.array_equal(x, y) for x, y in zip(run(g, threads), run(g), strict=True))


def test_blocks_of_rows_columns_and_k() -> None:
    run(graph(lambda x, w, b, r: add(relu(add(matmul(x, w), b)), r), (31, 900), (900, 1001), (1001,), (31, 1001)))


REFUSED: dict[str, tuple[Body, tuple[Any, ...], str]] = {
    "sum": (lambda x, w: total(matmul(x, w), dim=(1,)), ((20, 30), (30, 50)), "more than compute each element"),
    "batch": (lambda x, w: relu(matmul(x, w)), ((3, 20, 30), (3, 30, 50)), "batch"),
    "turned": (lambda x, w, r: add(matmul(x, w), permute(r, dims=(1, 0))), ((20, 30), (30, 50), (50, 20)), "columns"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_why(name: str) -> None:
    body, shapes, why = REFUSED[name]
    g = graph(body, *shapes)
    ended, _, kernels = steps(g)
    assert (ended, kernels) == (0, 1)
    run(g)
    reasons = [r.reason for r in compile_graph(g).refusals]
    assert any(why in r for r in reasons), reasons


def test_joined_ones_are_no_refusals() -> None:
    assert not compile_graph(graph(*JOINED["bias"][:1], *JOINED["bias"][1])).refusals


def test_a_product_takes_the_place_of_what_the_kernel_makes_of_it() -> None:
    g = graph(*JOINED["linear"][:1], *JOINED["linear"][1])
    assert compile_graph(g).plan.arena == 0


def test_operands_that_the_kernel_overwrites() -> None:
    builder = Builder("g")
    x, w = builder.input(tensor((20, 30), dtypes.float32)), builder.input(tensor((30, 30), dtypes.float32))
    y: Value = relu(matmul(x, w))
    g = builder.finish([y], [WriteBack(x, y, 2)])
    inputs, again = arrays(g), arrays(g)
    (got,) = compile_graph(g).run(inputs)
    ((want,), (written,)) = interpret(g, again)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(inputs[0], written, rtol=1e-4, atol=1e-4)


def test_sizes_known_at_the_call_only() -> None:
    n = sizes.symbol("n", 1)
    builder = Builder("g")
    x, w = builder.input(tensor((n, 30), dtypes.float32)), builder.input(tensor((30, 50), dtypes.float32))
    b, r = builder.input(tensor((50,), dtypes.float32)), builder.input(tensor((n, 50), dtypes.float32))
    g = builder.finish([mul(gelu(add(matmul(x, w), b)), r)])
    assert steps(g) == (1, 0, 0)
    executable, rng = compile_graph(g), np.random.default_rng(1)
    for rows in (1, 2, 14, 40):
        inputs = [rng.standard_normal(s).astype(np.float32) for s in ((rows, 30), (30, 50), (50,), (rows, 50))]
        np.testing.assert_allclose(executable.run(inputs)[0], interpret(g, inputs)[0][0], rtol=1e-4, atol=1e-4)


def test_random_chains() -> None:
    rng = np.random.default_rng(6)
    for seed in range(40):
        m, n, k = (int(x) for x in rng.integers(1, 40, 3))

        def body(x: Any, w: Any, b: Any, r: Any, c: Any, seed: int = seed) -> Any:
            pick, out = np.random.default_rng(seed), matmul(x, w)
            first = out
            for _ in range(int(pick.integers(1, 5))):
                other = (b, r, c, first, 0.5)[pick.integers(5)]
                out = (add, mul, sub)[pick.integers(3)](out, other)
                out = relu(out) if pick.integers(2) else out
            return (out, first) if pick.integers(2) else out

        run(graph(body, (m, k), (k, n), (n,), (m, n), (m, 1), dtype=dtypes.float64 if seed % 3 == 0 else dtypes.float32))


@pytest.mark.parametrize("short", ["f16", "bf16"])
def test_half_types_are_multiplied_in_f32(short: str) -> None:
    g = graph(lambda x, w, b: relu(add(matmul(x, w), b)), (20, 30), (30, 50), (50,), dtype=dtypes.BY_NAME[short])
    assert steps(g) == (1, 0, 2)
    inputs = arrays(g)
    (got,), (want,) = compile_graph(g).run(inputs), interpret(g, inputs)[0]
    np.testing.assert_allclose(got.astype(np.float32), want.astype(np.float32), rtol=2e-2, atol=2e-2)
