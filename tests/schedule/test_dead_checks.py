"""What may raise is computed whole, also where nothing reads it or only a part of it is read."""

from __future__ import annotations

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.ir import dtypes
from fusewire.ir.graph import Builder
from fusewire.ir.op import lookup
from fusewire.ir.types import tensor


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("reader", ["none", "slice", "sliced sum"])
def test_an_index_that_nothing_reads(backend: str, reader: str) -> None:
    b = Builder()
    x, at = b.input(tensor((3,), dtypes.float32)), b.input(tensor((4,), dtypes.int64))
    read = lookup("gather")(x, at, dim=0)
    out = lookup("mul")(x, 2.0)
    if reader != "none":
        part = lookup("slice")(read, dim=0, start=0, stop=1, step=1)
        out = lookup("add")(out, lookup("sum")(part, dim=(0,)) if "sum" in reader else part)
    executable = pipeline.compile_graph(b.finish([out]), backend=backend)
    values = np.arange(3, dtype=np.float32)
    assert executable.run([values, np.array([0, 1, 2, 0])])[0].tolist() == [0, 2, 4]
    with pytest.raises(IndexError):
        executable.run([values, np.array([0, 1, 3, 0])])
