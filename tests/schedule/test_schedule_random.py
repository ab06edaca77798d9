"""Random graphs through schedule, kernels and the NumPy reference, compared with the graph interpreter."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.ir.interpret import interpret
from fusewire.ir.loops_text import parse_kernel
from fusewire.ir.loops_verify import verify_kernel

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from random_graphs import random_graph

LOOSE = {"float16": 5e-2, "bfloat16": 3e-1, "float32": 1e-3, "float64": 1e-8}


def agree(got: Any, want: Any) -> None:
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape and got.dtype == want.dtype
    if str(got.dtype) not in LOOSE:
        np.testing.assert_array_equal(got, want)
        return
    tolerance = LOOSE[str(got.dtype)]
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=tolerance, atol=tolerance)




def fresh(x: Any) -> Any:
    """A copy with the same strides in memory of its own (samples are shared between graphs)."""
    reach = 1 + sum((n - 1) * s for n, s in zip(x.shape, x.strides, strict=True)) // x.itemsize if x.size else 0
    out = np.lib.stride_tricks.as_strided(np.zeros(reach, x.dtype), x.shape, x.strides) if x.size else x.copy()
    out[...] = x
    return out


def no_negative_strides(sample: Any) -> bool:
    """A Tensor never has them; a record's sample may."""
    return not any(step < 0 for x in sample.operands if isinstance(x, np.ndarray) for step in x.strides)


@pytest.mark.parametrize("seed", range(120))
def test_random_graph(seed: int) -> None:
    graph, inputs = random_graph(seed, calls=12, writes=2, choose=no_negative_strides)
    inputs = [fresh(x) if isinstance(x, np.ndarray) and x.flags.writeable else x for x in inputs]
    writes = tuple(w for w in graph.writes if inputs[graph.inputs.index(w.target)].flags.writeable)
    graph = replace(graph, writes=writes)
    wanted, written = interpret(graph, inputs)
    wanted, written = [np.array(w, copy=True) for w in wanted], [np.array(w, copy=True) for w in written]
    backend = replace(pipeline.BACKENDS["reference"], launches=pipeline.LAUNCHES if seed % 2 else None)  # as GPUs have plans
    executable = pipeline.compile_graph(graph, backend=backend)
    for step in pipeline.stages(graph, launches=backend.launches).kernels:
        assert str(parse_kernel(str(step))) == str(step)
        verify_kernel(step)
    for got, want in zip(executable.run(inputs), wanted, strict=True):
        agree(got, want)
    for write, want in zip(graph.writes, written, strict=True):
        if write.view is None and sum(w.target is write.target for w in graph.writes) == 1:
            agree(inputs[graph.inputs.index(write.target)], want)
