"""Ints known only at the call: what eager refuses, the kernel refuses too, and what it takes gives the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.errors import RangeError
from fusewire.ir import dtypes
from fusewire.ir.dtypes import DType
from fusewire.ir.graph import Builder, Graph
from fusewire.ir.interpret import interpret
from fusewire.ir.op import lookup
from fusewire.ir.types import ScalarType, tensor


def power(dtype: DType) -> Graph:
    builder = Builder()
    x, n = builder.input(tensor((4,), dtype), "x"), builder.input(ScalarType("int"), "n")
    return builder.finish([lookup("pow")(x, n)])


def choice(dtype: DType) -> Graph:
    builder = Builder()
    x, n = builder.input(tensor((4,), dtype), "x"), builder.input(ScalarType("int"), "n")
    return builder.finish([lookup("where")(lookup("lt")(x, 2), x, n)])


def outcome(run: Any) -> Any:
    try:
        return run()[0].tolist()
    except RangeError as error:
        return str(error)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("dtype", [dtypes.int64, dtypes.int32, dtypes.int8, dtypes.uint8], ids=lambda d: d.short)
@pytest.mark.parametrize("make", [power, choice])
def test_the_same_numbers_are_refused(make: Any, dtype: DType, backend: str) -> None:
    graph = make(dtype)
    executable = pipeline.compile_graph(graph, backend=backend)
    x, outcomes = np.array([0, 1, 2, 3], dtype.np), []
    for n in (0, 3, -1, -128, -129, -255, -256, 127, 128, 255, 256, 2**31):
        wanted = outcome(lambda n=n: interpret(graph, [x, n])[0])
        assert outcome(lambda n=n: executable.run([x, n])) == wanted, n
        outcomes.append(wanted)
    assert any(isinstance(w, list) for w in outcomes)
    assert any(isinstance(w, str) for w in outcomes) == (make is power or dtype is not dtypes.int64)
