"""Graphs over symbolic sizes: one schedule, right for every size, with the kernel counts of constant sizes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.errors import CompileError, ShapeError
from fusewire.ir import dtypes, sizes
from fusewire.ir.interpret import interpret
from fusewire.ir.types import TensorType, tensor

sys.path.insert(0, str(Path(__file__).parent))
import schedule_cases
from schedule_cases import I64, S0, arrays, graph, layer_norm, op

S1 = sizes.symbol("s1", 2)


def rows(a: Any) -> Any:
    return op("softmax")(op("view")(a, shape=(S0 * S1, 8)), dim=1)


def heads(a: Any) -> Any:
    return op("softmax")(op("permute")(op("view")(a, shape=(S0, S1, 2, 4)), dims=(0, 2, 1, 3)), dim=3)


def attention(a: Any) -> Any:
    return op("matmul")(op("softmax")(op("matmul")(a, op("permute")(a, dims=(0, 2, 1))), dim=2), a)


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...], int]] = {
    "layer_norm": (layer_norm, ((S0, S1), (S1,), (S1,)), 1),
    "cross_entropy": (lambda a, b: op("cross_entropy")(a, b), ((S0, S1), tensor((S0,), I64)), 1),
    "cat": (lambda a, b: op("softmax")(op("cat")(a, b, dim=1), dim=1), ((4, S0), (4, S1)), 1),
    "mean": (lambda a: op("mean")(a, dim=(0, 1), keepdim=False), ((S0, S1),), 1),
    "var": (lambda a: op("var")(a, dim=(0,), keepdim=False, correction=1), ((S0, S1),), 1),
    "rows": (rows, ((S0, S1, 8),), 1),
    "heads": (heads, ((S0, S1, 8),), 1),
    "attention": (attention, ((S0, S1, 8),), 1),
    "bias gradient": (lambda a: op("sum_to")(op("mul")(a, a), shape=(S1,)), ((S0, S1),), 1),
    "gather": (lambda a, b: op("exp")(op("gather")(a, b, dim=1)), ((S0, S1), tensor((S0, 3), I64)), 1),
}


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("name", CASES)
def test_symbolic(name: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, shapes, kernels = CASES[name]
    made = graph(make, *shapes)
    executable = pipeline.compile_graph(made, backend=backend)
    assert executable.kernel_count == kernels
    for s0, s1 in ((2, 2), (5, 7), (33, 17)):
        monkeypatch.setattr(schedule_cases, "SYMBOLS", {"s0": s0, "s1": s1})
        inputs = arrays(made)
        if name in ("cross_entropy", "gather"):
            inputs[1] = np.minimum(inputs[1], s1 - 1)
        for got, want in zip(executable.run(inputs), interpret(made, inputs)[0], strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_symbol_that_only_a_multiple_shows(backend: str) -> None:
    made = graph(lambda a: op("mul")(op("view")(a, shape=(S0 + 3, 8)), 2.0), (8 * S0 + 24,))
    executable = pipeline.compile_graph(made, backend=backend)
    for count in (24, 40, 400):
        x = np.arange(count, dtype="f4")
        np.testing.assert_array_equal(executable.run([x])[0], 2 * x.reshape(-1, 8))
    with pytest.raises(ShapeError, match="compiled for"):
        executable.run([np.zeros(41, "f4")])


def test_a_symbol_that_nothing_shows_alone_is_refused() -> None:
    made = graph(lambda a, b: op("exp")(b), (S1,), (S0 * S1,))
    with pytest.raises(CompileError, match="settles the symbol s0 alone"):
        pipeline.compile_graph(made)


def test_negative_strides_are_refused() -> None:
    made = graph(lambda a: op("exp")(a), TensorType((4,), dtypes.float32, (-1,)))
    with pytest.raises(CompileError, match=r"input %\w+ is f32\[4\]@\(-1\): a negative stride"):
        pipeline.compile_graph(made)
