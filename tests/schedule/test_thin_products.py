"""Products with a vector are sums in kernels of ours; those of matrices stay steps of their own."""

from __future__ import annotations

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.ir import dtypes
from fusewire.ir.graph import Builder
from fusewire.ir.interpret import interpret
from fusewire.ir.op import lookup
from fusewire.ir.types import tensor

SHAPES = [((7, 40), (40, 1)), ((1, 40), (40, 9)), ((6, 1), (1, 5)), ((1, 33), (33, 1)), ((3, 4, 5), (5, 1))]
SHAPES += [((2, 1, 1, 4), (3, 4, 6))]


@pytest.mark.parametrize(("left", "right"), SHAPES)
@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.bfloat16, dtypes.int64], ids=str)
def test_one_kernel(left: tuple[int, ...], right: tuple[int, ...], dtype: dtypes.DType) -> None:
    b = Builder()
    x, y = b.input(tensor(left, dtype)), b.input(tensor(right, dtype))
    graph = b.finish([lookup("neg")(lookup("matmul")(x, y))])
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-3, 4, shape).astype(dtype.np) for shape in (left, right)]
    made = pipeline.compile_graph(graph)
    assert [type(s).__name__ for s in made.plan.steps] == ["KernelStep"]
    got, want = made.run(arrays)[0], interpret(graph, arrays)[0][0]
    np.testing.assert_array_equal(got.astype(np.float64), want.astype(np.float64))


def test_matrices_stay() -> None:
    b = Builder()
    graph = b.finish([lookup("matmul")(b.input(tensor((2, 3), dtypes.float32)), b.input(tensor((3, 2), dtypes.float32)))])
    assert pipeline.compile_graph(graph).kernel_count == 0
