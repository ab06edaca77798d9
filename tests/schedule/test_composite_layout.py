"""A composite's result lies as its own rule says, whatever the ops it is made of would give: views further on rely on that."""

from __future__ import annotations

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.ir import dtypes
from fusewire.ir.graph import Builder
from fusewire.ir.interpret import interpret
from fusewire.ir.op import lookup
from fusewire.ir.types import TensorType


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_view_of_a_composite_of_a_composite(backend: str) -> None:
    b = Builder()
    x = b.input(TensorType((2, 33), dtypes.float64, (1, 2)))
    softmax = lookup("softmax")
    graph = b.finish([lookup("view")(softmax(softmax(x, dim=1), dim=1), shape=(66,))])
    value = np.random.default_rng(0).normal(size=(33, 2)).T
    got = pipeline.compile_graph(graph, backend=backend).run([value])[0]
    np.testing.assert_allclose(got, interpret(graph, [value])[0][0], rtol=1e-12)
