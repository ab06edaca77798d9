"""Groups that differ only in names have one kernel; what differs in anything else has its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.ir import schedule_twins
from fusewire.ir.graph import Builder, Output, Value, WriteBack
from fusewire.ir.schedule import Schedule, schedule
from fusewire.ir.types import ScalarType, tensor

sys.path.insert(0, str(Path(__file__).parent))
from schedule_cases import CASES, F32, graph, op


def without_twins(monkeypatch: pytest.MonkeyPatch, made: Any) -> Schedule:
    with monkeypatch.context() as patch:
        patch.setattr(schedule_twins.Twins, "kernel", lambda self, purpose, name, outline, make: make())
        return schedule(made)


def emissions(monkeypatch: pytest.MonkeyPatch, made: Any) -> int:
    """How many kernels of `made` are emitted."""
    count = [0]
    known = schedule_twins.Twins.kernel

    def counted(self: Any, purpose: str, name: str, outline: Any, make: Any) -> Any:
        def run() -> Any:
            count[0] += 1
            return make()

        return known(self, purpose, name, outline, run)

    with monkeypatch.context() as patch:
        patch.setattr(schedule_twins.Twins, "kernel", counted)
        schedule(made)
    return count[0]


def softmaxes(*xs: Value) -> Any:
    return tuple(op("softmax")(x, dim=1) for x in xs)


def updates() -> Any:
    """Three parameters that are updated alike, each by a number of its own."""
    builder = Builder("updates")
    pairs = [[builder.input(tensor((4, 5), F32)) for _ in range(2)] for _ in range(3)]
    rates = [builder.input(ScalarType("float"), f"rate{i}") for i in range(3)]
    new = [op("sub")(p, op("mul")(g, r)) for (p, g), r in zip(pairs, rates, strict=True)]
    writes = [WriteBack(p, n, len(builder.nodes)) for (p, _), n in zip(pairs, new, strict=True)]
    return builder.finish([Output(op("exp")(new[0]))], writes)


@pytest.mark.parametrize("make", [lambda: graph(softmaxes, *[(4, 8)] * 5), updates, *[CASES[n][0] for n in sorted(CASES)]])
def test_a_twin_is_what_would_be_emitted(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make()
    assert str(schedule(made)) == str(without_twins(monkeypatch, made))


def test_equal_work_is_emitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert emissions(monkeypatch, graph(softmaxes, *[(4, 8)] * 5)) == 1


def test_other_shapes_numbers_and_ops_are_no_twins(monkeypatch: pytest.MonkeyPatch) -> None:
    def apart(a: Value, b: Value, c: Value, d: Value, e: Value) -> Any:
        return op("mul")(a, 2.0), op("mul")(b, 3.0), op("mul")(c, 2.0), op("exp")(d), op("mul")(e, e)

    assert emissions(monkeypatch, graph(apart, (4,), (4,), (5,), (4,), (4,))) == 5


def test_operands_that_are_one_tensor_are_no_twins_of_two() -> None:
    def both(a: Value, b: Value, c: Value) -> Any:
        return op("sub")(a, b), op("sub")(c, c)

    a, b, c = (np.full(4, x, np.float32) for x in (5, 3, 7))
    found = pipeline.compile_graph(graph(both, (4,), (4,), (4,)), backend="cpu").run([a, b, c])
    assert [x.tolist() for x in found] == [[2] * 4, [0] * 4]


def test_ops_that_raise_for_other_dtypes_do_not_delay_writes() -> None:
    """pow of floats cannot fail, so that every parameter is written where it is computed."""
    builder = Builder("powers")
    inputs = [builder.input(tensor((4,), F32)) for _ in range(4)]
    made = builder.finish([], [WriteBack(x, op("pow")(x, 2.5), i + 1) for i, x in enumerate(inputs)])
    assert pipeline.compile_graph(made, backend="reference").kernel_count == 4
