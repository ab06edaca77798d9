"""Sums of very many elements keep their digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.ir import sizes
from fusewire.ir.dtypes import float32
from fusewire.ir.graph import Builder
from fusewire.ir.op import lookup
from fusewire.ir.types import tensor


def sums(rows: Any, columns: Any, dim: tuple[int, ...]) -> Any:
    builder = Builder()
    x = builder.input(tensor((rows, columns), float32))
    return pipeline.compile_graph(builder.finish([lookup("sum")(x, dim=dim, keepdim=False), lookup("amax")(x, dim=dim)]))


@pytest.mark.parametrize(("rows", "columns", "dim"), [(1, 5_000_003, (0, 1)), (3, 1_000_001, (1,)), (2048, 2048, (0, 1))])
@pytest.mark.parametrize("symbolic", [False, True])
def test_sum_of_many_tenths(rows: int, columns: int, dim: tuple[int, ...], symbolic: bool) -> None:
    x = np.full((rows, columns), 0.1, np.float32)
    exact = x.astype(np.float64).sum(dim)
    width = sizes.symbol("s0", 1) if symbolic else columns
    total, largest = sums(rows, width, dim).run([x])
    np.testing.assert_allclose(total, exact, rtol=2e-5)
    assert (largest == np.float32(0.1)).all()


@pytest.mark.parametrize("count", [0, 1, 16383, 16384, 16385, 32768, 49157])
def test_every_element_is_summed_once(count: int) -> None:
    x = np.random.default_rng(0).integers(-3, 4, (2, count)).astype(np.float32)
    for width in (count, sizes.symbol("s0", 1)):
        if count or isinstance(width, int):
            builder = Builder()
            graph = builder.finish([lookup("sum")(builder.input(tensor((2, width), float32)), dim=(1,), keepdim=False)])
            assert pipeline.compile_graph(graph).run([x])[0].tolist() == x.astype(np.float64).sum(1).tolist()


@pytest.mark.parametrize("symbolic", [False, True])
def test_columns_of_many_rows(symbolic: bool) -> None:
    """Eager and compiled: rows are not added to one ever larger total."""
    x = np.full((2_000_003, 3), 0.1, np.float32)
    exact = x.astype(np.float64).sum(0)
    rows = sizes.symbol("s0", 1) if symbolic else len(x)
    np.testing.assert_allclose(sums(rows, 3, (0,)).run([x])[0], exact, rtol=2e-5)
    np.testing.assert_allclose(lookup("sum").eager(x, dim=(0,)), exact, rtol=2e-5)
    rows_last = np.ascontiguousarray(x.T)[None]
    np.testing.assert_allclose(lookup("sum").eager(rows_last, dim=(2,), keepdim=True)[0, :, 0], exact, rtol=2e-5)
