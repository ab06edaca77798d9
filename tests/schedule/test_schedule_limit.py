"""Kernels end where code generation would take too long: long computations, and joins of many."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from fusewire import pipeline
from fusewire.ir.graph import Value
from fusewire.ir.loops import Load, walk
from fusewire.ir.plan import KernelStep
from fusewire.ir.schedule_limit import MAX_SOURCES

sys.path.insert(0, str(Path(__file__).parent))
from schedule_cases import graph, op


def kernels(executable: Any) -> list[Any]:
    return [s.kernel for s in executable.plan.steps if isinstance(s, KernelStep)]


def agrees(make: Any, *shapes: tuple[int, ...]) -> list[Any]:
    """The kernels of a graph whose compiled result is that of its interpreter on the same random inputs."""
    rng = np.random.default_rng(0)
    xs = [rng.standard_normal(s).astype(np.float32) for s in shapes]
    found, expected = (
        pipeline.compile_graph(graph(make, *shapes), backend=b).run([x.copy() for x in xs]) for b in ("cpu", "reference")
    )
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    return kernels(pipeline.compile_graph(graph(make, *shapes), backend="reference"))


def test_a_sum_of_many_inputs_is_a_few_kernels() -> None:
    def total(*xs: Value) -> Any:
        out = xs[0]
        for x in xs[1:]:
            out = op("add")(out, x)
        return out

    assert len(agrees(total, *[(6,)] * 300)) == 3


def test_short_computations_stay_with_a_full_kernel() -> None:
    def dot(*xs: Value) -> Any:
        products = [op("mul")(a, b) for a, b in zip(xs[::2], xs[1::2], strict=True)]
        out = products[0]
        for p in products[1:]:
            out = op("add")(out, p)
        return out

    assert len(agrees(dot, *[(6,)] * 400)) == 2


def test_a_kernel_chooses_among_few_sources() -> None:
    made = agrees(lambda *xs: op("cat")(*xs, dim=0), *[(2 + n % 3, 3) for n in range(60)])
    assert max(sum(isinstance(s, Load) for s in walk(k.body)) for k in made) <= MAX_SOURCES
    assert len(made) == 1 + 8


def test_ignored_empty_vectors_do_not_split_a_join() -> None:
    made = agrees(lambda *xs: op("cat")(*xs, dim=1), *[(2, 3)] * 30, (0,))
    assert len(made) == 1


def test_a_part_of_a_large_join_that_is_read_twice() -> None:
    def both(*xs: Value) -> Any:
        part = op("cat")(*xs[:20], dim=0)
        return op("exp")(op("cat")(part, *xs[20:], dim=0)), op("tanh")(part)

    agrees(both, *[(3,)] * 40)
