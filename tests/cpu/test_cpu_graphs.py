"""Graphs through the schedule and the CPU back end against the interpreter: every record's samples, and random graphs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.ir.graph import Builder, Graph
from fusewire.ir.interpret import interpret
from fusewire.ir.layout import type_of_array
from fusewire.ir.op import OPS, Op, Sample, lookup

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from random_graphs import random_graph

lookup("add")  # registers the records
#: (rtol, atol) where the record states none
DEFAULT = {"f16": (2e-3, 1e-3), "bf16": (1.6e-2, 1e-2), "f32": (1e-5, 1e-6), "f64": (1e-12, 1e-12)}
SHORT = {"float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64"}
LOOSE = {"f16": (5e-2, 5e-2), "bf16": (3e-1, 3e-1), "f32": (1e-3, 1e-3), "f64": (1e-8, 1e-8)}


def one_op(op: Op, sample: Sample) -> tuple[Graph, list[Any]]:
    """The graph of one call, and its inputs; Python numbers stay literals."""
    builder, inputs, operands = Builder(op.name), [], []
    for x in sample.operands:
        if isinstance(x, (np.ndarray, np.generic)):
            inputs.append(np.asarray(x))
            operands.append(builder.input(type_of_array(inputs[-1])))
        else:
            operands.append(x)
    made = builder.emit(op, operands, sample.attrs)
    return builder.finish(made if isinstance(made, tuple) else [made]), inputs


def no_negative_strides(sample: Sample) -> bool:
    """A Tensor never has them; a record's sample may."""
    return not any(step < 0 for x in sample.operands if isinstance(x, np.ndarray) for step in x.strides)


def close(got: Any, want: Any, tolerance: dict[str, tuple[float, float]]) -> None:
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape and got.dtype == want.dtype
    if want.dtype.kind == "c":
        got, want = (np.stack([x.real, x.imag]) for x in (got, want))
    short = SHORT.get(str(want.dtype))
    if short is None:
        np.testing.assert_array_equal(got, want)
        return
    rtol, atol = tolerance[short]
    np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=rtol, atol=atol)


@pytest.mark.parametrize("name", sorted(OPS))
def test_record(name: str) -> None:
    op = lookup(name)
    tolerance = {d: max(op.tolerance.get(d, (0.0, 0.0)), DEFAULT[d]) for d in DEFAULT}
    for number, sample in enumerate(op.sample(np.random.default_rng(7))):
        if sample.raises is not None or not no_negative_strides(sample) or number % 2:
            continue
        graph, inputs = one_op(op, sample)
        got, want = pipeline.compile_graph(graph).run(inputs), interpret(graph, inputs)[0]
        for a, b in zip(got, want, strict=True):
            close(a, b, tolerance)


@pytest.mark.parametrize("seed", range(1000, 1040))
def test_random_graph(seed: int) -> None:
    graph, inputs = random_graph(seed, calls=12, writes=0, choose=no_negative_strides)
    want = interpret(graph, inputs)[0]
    for a, b in zip(pipeline.compile_graph(graph).run(inputs), want, strict=True):
        close(a, b, LOOSE)
