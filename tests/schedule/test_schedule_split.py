"""Joined and repeated tensors: a kernel for each part, none of which chooses; small ones stay one kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.ir import dtypes
from fusewire.ir.graph import Builder
from fusewire.ir.interpret import interpret
from fusewire.ir.loops import Compute, walk
from fusewire.ir.op import lookup
from fusewire.ir.types import tensor


def op(name: str, *args: Any, **attrs: Any) -> Any:
    """A call of the record `name`."""
    return lookup(name)(*args, **attrs)


def turned(x: Any) -> Any:
    n = x.shape[0]
    parts = (op("slice", x, dim=0, start=i, stop=j, step=1) for i, j in ((3, n), (0, 3)))
    return op("cat", *parts, dim=0)


def thrice(x: Any) -> Any:
    n, m = x.shape
    spread = op("expand", op("view", x, shape=(1, n, 1, m)), shape=(3, n, 1, m))
    return op("neg", op("view", op("contiguous", spread), shape=(3 * n, m)))


CASES: dict[str, tuple[Callable[[Any], Any], int]] = {
    "rows": (lambda x: op("cat", x, op("abs", x), dim=0), 2),
    "columns": (lambda x: op("cat", x, op("mul", x, 2.0), x, dim=1), 3),
    "both": (lambda x: op("cat", *[op("cat", x, op("neg", x), dim=1)] * 2, dim=0), 4),
    "turned": (turned, 2),
    "thrice": (thrice, 3),
    "side by side": (lambda x: op("cat", *[op("mul", op("view", x, shape=(*x.shape, 1)), k) for k in (1.0, 2.0, 3.0)], dim=2), 1),
    "pairs": (lambda x: op("cat", *[op("view", op("lt", x, k), shape=(*x.shape, 1)) for k in (0.0, 1.0)], dim=2), 1),
    "too many": (lambda x: op("cat", *[x] * 9, dim=0), 1),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("small", [False, True])
def test_parts(case: str, small: bool) -> None:
    fn, count = CASES[case]
    b = Builder()
    shape = (5, 3) if small else (200, 111)
    graph = b.finish([fn(b.input(tensor(shape, dtypes.float32)))])
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    made = pipeline.compile_graph(graph)
    np.testing.assert_allclose(made.run([x])[0], interpret(graph, [x])[0][0], rtol=1e-6)
    assert made.kernel_count == (1 if small else count)
    kernels = pipeline.stages(graph).kernels
    chosen = [st for k in kernels for st in walk(k.body) if isinstance(st, Compute) and st.prim == "select"]
    assert not chosen or small or case == "too many"
