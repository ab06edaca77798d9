"""Values with strides of 0 as operands of steps that need memory of their own, as outputs, and as both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.ir.dtypes import float32
from fusewire.ir.graph import Builder
from fusewire.ir.interpret import interpret
from fusewire.ir.op import lookup
from fusewire.ir.types import TensorType, tensor

op = lookup


def _dot(x: Any) -> Any:
    return op("view")(x, shape=(1, 4)), op("view")(x, shape=(4, 1))


def one_element(x: Any, w: Any) -> list[Any]:
    row = op("expand")(op("sum")(op("mul")(x, 2.0), dim=(0,), keepdim=False), shape=(4,))
    return [op("matmul")(*_dot(row)), op("argmax")(row, dim=0, keepdim=False)]


def given_out_too(x: Any, w: Any) -> list[Any]:
    square = op("expand")(op("sum")(x, dim=(0,), keepdim=False), shape=(4, 4))
    return [square, op("matmul")(square, w), op("argmax")(square, dim=1, keepdim=False), square]


def rows(x: Any, w: Any) -> list[Any]:
    square = op("expand")(op("exp")(x), shape=(4, 4))
    return [square, op("matmul")(op("permute")(square, dims=(1, 0)), square), op("matmul")(square, w)]


def columns_of_an_input(x: Any, w: Any) -> list[Any]:
    square = op("expand")(op("view")(x, shape=(4, 1)), shape=(4, 4))
    return [op("matmul")(square, w), op("matmul")(op("permute")(square, dims=(1, 0)), w), square]


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("program", [one_element, given_out_too, rows, columns_of_an_input])
def test_repeated_operands(program: Callable[..., Any], backend: str) -> None:
    builder = Builder()
    x, w = builder.input(tensor((4,), float32)), builder.input(tensor((4, 2), float32))
    graph = builder.finish(program(x, w))
    values = [np.arange(1, 5, dtype=np.float32), np.arange(8, dtype=np.float32).reshape(4, 2)]
    for got, want in zip(pipeline.compile_graph(graph, backend=backend).run(values), interpret(graph, values)[0], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_operand_of_one_repeated_element_from_outside(backend: str) -> None:
    builder = Builder()
    graph = builder.finish([op("matmul")(*_dot(builder.input(TensorType((4,), float32, (0,)))))])
    value = np.broadcast_to(np.array([3], np.float32), (4,))
    assert pipeline.compile_graph(graph, backend=backend).run([value])[0].tolist() == [[36.0]]
