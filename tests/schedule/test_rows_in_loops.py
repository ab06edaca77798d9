"""A scratch row inside of a loop that follows a reduction over the same axis: each round of the loop has a row of its own."""

from __future__ import annotations

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.ir import dtypes
from fusewire.ir.graph import Builder
from fusewire.ir.interpret import interpret
from fusewire.ir.op import lookup
from fusewire.ir.types import tensor


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_softmax_beside_a_sum_over_its_rows(backend: str) -> None:
    b = Builder()
    x, weight = b.input(tensor((4, 3), dtypes.float64)), b.input(tensor((4,), dtypes.float64))
    total = lookup("sum")(weight, dim=(0,))
    scaled = lookup("mul")(lookup("softmax")(x, dim=1), lookup("div")(1.0, total))
    graph = b.finish([lookup("mul")(scaled, lookup("view")(weight, shape=(4, 1)))])
    arrays = [np.random.default_rng(0).normal(size=s) for s in ((4, 3), (4,))]
    got = pipeline.compile_graph(graph, backend=backend).run(arrays)[0]
    np.testing.assert_allclose(got, interpret(graph, arrays)[0][0], rtol=1e-12)
