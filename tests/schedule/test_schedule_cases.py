"""Typical graphs: golden text of their kernels, kernel counts, and results on the reference and the CPU back end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.ir.interpret import interpret

sys.path.insert(0, str(Path(__file__).parent))
from schedule_cases import CASES, arrays


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"schedule_{name}.txt", str(pipeline.stages(CASES[name][0]()).schedule))


@pytest.mark.parametrize("name", CASES)
def test_kernel_count(name: str) -> None:
    case, kernels, steps = CASES[name]
    executable = pipeline.compile_graph(case(), backend="reference")
    assert (executable.kernel_count, len(executable.plan.steps)) == (kernels, steps)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("name", CASES)
def test_result(name: str, backend: str) -> None:
    graph = CASES[name][0]()
    inputs = arrays(graph)
    wanted, written = interpret(graph, inputs)
    wanted, written = [np.array(x) for x in wanted], [np.array(x) for x in written]
    got = pipeline.compile_graph(graph, backend=backend).run(inputs)
    tolerance = 2e-2 if name == "half" else 1e-5
    for x, want in zip(got, wanted, strict=True):
        assert x.dtype == want.dtype and x.shape == want.shape
        np.testing.assert_allclose(x.astype(np.float64), want.astype(np.float64), rtol=tolerance, atol=tolerance)
    for write, want in zip(graph.writes, written, strict=True):
        np.testing.assert_allclose(inputs[graph.inputs.index(write.target)], want, rtol=1e-5)


def test_two_runs_of_the_schedule_print_the_same() -> None:
    for case, _, _ in CASES.values():
        assert str(pipeline.stages(case()).schedule) == str(pipeline.stages(case()).schedule)


def test_refusals_name_ops_reason_and_line() -> None:
    (refusal,) = pipeline.compile_graph(CASES["column_norm"][0](), backend="reference").refusals
    assert "mean" in refusal.producer and "innermost loop" in refusal.reason and refusal.where == "model.py:12"
    reasons = [r.reason for r in pipeline.compile_graph(CASES["mlp"][0](), backend="reference").refusals]
    assert any("step of its own" in r for r in reasons)
