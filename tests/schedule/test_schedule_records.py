"""Every record's samples through schedule, kernels and the NumPy reference, compared with the graph interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.ir import op as ops
from fusewire.ir.graph import Builder
from fusewire.ir.interpret import interpret
from fusewire.ir.layout import type_of_array
from fusewire.ir.loops_text import parse_kernel
from fusewire.ir.loops_verify import verify_kernel
from fusewire.ir.op import Op, Sample

ops.lookup("add")  # registers the records


def graph_of(op: Op, sample: Sample) -> tuple[Any, list[Any]]:
    """A one-op graph for a sample, and its inputs; weak scalars stay literals."""
    builder = Builder(op.name)
    inputs: list[Any] = []
    args: list[Any] = []
    for x in sample.operands:
        if isinstance(x, (np.ndarray, np.generic)):
            x = np.asarray(x)
            args.append(builder.input(type_of_array(x)))
            inputs.append(x)
        else:
            args.append(x)
    out = builder.emit(op, args, sample.attrs)
    return builder.finish(out if isinstance(out, tuple) else [out]), inputs


def close(op: Op, got: Any, want: Any) -> None:
    if want.dtype.kind == "c":
        assert got.shape == want.shape and got.dtype == want.dtype
        got, want = (np.stack([x.real, x.imag]) for x in (got, want))
    short = {"float16": "f16", "bfloat16": "bf16", "float32": "f32", "float64": "f64"}.get(str(want.dtype))
    default = {"f16": (2e-3, 1e-3), "bf16": (1.6e-2, 1e-2), "f32": (1e-5, 1e-6), "f64": (1e-12, 1e-12)}
    assert got.shape == want.shape and got.dtype == want.dtype
    if short is None:
        np.testing.assert_array_equal(got, want)
    else:
        rtol, atol = max(op.tolerance.get(short, (0, 0)), default[short])
        np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=rtol, atol=atol)


@pytest.mark.parametrize("name", sorted(ops.OPS))
def test_samples(name: str) -> None:
    op = ops.lookup(name)
    for sample in op.sample(np.random.default_rng(7)):
        negative = any(s < 0 for x in sample.operands if isinstance(x, np.ndarray) for s in x.strides)
        if sample.raises is not None or negative:  # a Tensor never has negative strides
            continue
        graph, inputs = graph_of(op, sample)
        executable = pipeline.compile_graph(graph, backend="reference")
        for step in pipeline.stages(graph).kernels:
            assert str(parse_kernel(str(step))) == str(step)
            verify_kernel(step)
        wanted = interpret(graph, inputs)[0]
        for got, want in zip(executable.run(inputs), wanted, strict=True):
            close(op, got, want)


