"""Convolutions of channels of their own on GPUs: one kernel each, forward and both gradients, with the records' numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.backends.gpu.claims import CLAIMS
from fusewire.backends.gpu.triton import triton_source
from fusewire.backends.gpu.ways import kernel_ways
from fusewire.ir import dtypes, layout
from fusewire.ir.graph import Builder, Graph
from fusewire.ir.interpret import interpret
from fusewire.ir.op import lookup
from fusewire.ir.ops.convolution import result_sizes
from fusewire.ir.plan import KernelStep, RoutineStep

#: kernel, stride, padding, dilation
CASES = [((3, 3), 1, 1, 1), ((3, 3), 2, 1, 1), ((5, 3), 1, 2, 1), ((3, 3), 1, 0, 2), ((3,), 2, 1, 1), ((7, 7), 1, 3, 1)]
CHANNELS = 6


def graph_of(name: str, inputs: list[Any], attrs: dict[str, Any]) -> Graph:
    b = Builder(name)
    return b.finish([lookup(name)(*(b.input(layout.type_of_array(x)) for x in inputs), **attrs)])


def three(case: Any, dtype: Any) -> list[tuple[str, list[Any], dict[str, Any]]]:
    """The convolution and its gradients, with inputs."""
    kernel, *rest = case
    attrs: dict[str, Any] = dict(zip(("stride", "padding", "dilation"), ((n,) * len(kernel) for n in rest), strict=True))
    rng = np.random.default_rng(len(kernel))
    spatial = (9, 8)[: len(kernel)]
    out = result_sizes(spatial, kernel, *attrs.values())
    attrs["groups"] = CHANNELS
    x, w, y, bias = (rng.standard_normal(s).astype(dtype)
                     for s in ((2, CHANNELS, *spatial), (CHANNELS, 1, *kernel), (2, CHANNELS, *out), (CHANNELS,)))  # fmt: skip
    return [("convolution", [x, w, bias], attrs), ("conv_input", [y, w], {"shape": spatial, **attrs}),
            ("conv_weight", [x, y], {"kernel": kernel, **attrs})]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, dtypes.bfloat16.np])
@pytest.mark.parametrize("case", CASES)
def test_each_is_one_kernel(case: Any, dtype: Any) -> None:
    backend = pipeline.Backend(pipeline.BACKENDS["reference"].build, CLAIMS, launches=pipeline.LAUNCHES)
    tolerance = 1e-4 if dtype is np.float32 else 2e-2
    for name, inputs, attrs in three(case, dtype):
        graph = graph_of(name, inputs, attrs)
        steps = pipeline.stages(graph, CLAIMS, pipeline.LAUNCHES).plan.steps
        assert all(isinstance(s, KernelStep) for s in steps) and len(steps) <= 2 - (len(case[0]) < 2 or case[0][0] < 7)
        (wanted,), _ = interpret(graph, inputs)
        (found,) = pipeline.compile_graph(graph, backend=backend).run(inputs)
        np.testing.assert_allclose(found.astype(np.float64), wanted.astype(np.float64), rtol=tolerance, atol=tolerance)


def test_a_window_is_loads_of_neighbours_without_a_loop() -> None:
    forward, by_input, _ = (graph_of(*one) for one in three(CASES[0], np.float32))
    for graph in (forward, by_input):
        (step,) = pipeline.stages(graph, CLAIMS, pipeline.LAUNCHES).plan.steps
        text = triton_source(step.kernel).text
        assert "for " not in text and text.count("tl.load(in0_ptr") == 9


@pytest.mark.parametrize(("kernel", "stride", "padding", "most"), [(2, 2, 0, 1), (3, 2, 1, 2), (3, 1, 1, 2)])
def test_means_over_windows_have_gradients_without_products(kernel: int, stride: int, padding: int, most: int) -> None:
    """And without atomic additions: each element sums up what the windows around it got."""
    b = Builder("means")
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    low = ((padding, padding),) * 2
    attrs = {"kernel": (kernel,) * 2, "stride": (stride,) * 2, "padding": low, "dilation": (1, 1)}
    value, pool = b.input(layout.type_of_array(x)), lookup("sum_pool")
    out = pool(value, **attrs)
    assert pool.grad is not None
    graph = b.finish([pool.grad(out, (True,), out, value, **attrs)[0]])
    plan = pipeline.stages(graph, CLAIMS, pipeline.LAUNCHES).plan
    assert all(isinstance(s, KernelStep) for s in plan.steps) and len(plan.steps) <= 1 + most
    assert not any("atomic" in triton_source(s.kernel).text for s in plan.steps)
    backend = pipeline.Backend(pipeline.BACKENDS["reference"].build, CLAIMS, launches=pipeline.LAUNCHES)
    (wanted,), _ = interpret(graph, [x])
    np.testing.assert_allclose(pipeline.compile_graph(graph, backend=backend).run([x])[0], wanted, rtol=1e-4, atol=1e-5)


def test_other_groups_keep_the_template() -> None:
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(s).astype(np.float32) for s in ((2, 8, 9, 8), (8, 2, 3, 3)))
    graph = graph_of("convolution", [x, w], {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 4})
    (step,) = pipeline.stages(graph, CLAIMS, pipeline.LAUNCHES).plan.steps
    assert isinstance(step, RoutineStep)


def test_triton_accepts_the_sources() -> None:
    pytest.importorskip("triton")
    from fusewire.backends.gpu.kernel import SM90
    from fusewire.backends.gpu.stages import run

    for one in three(CASES[1], np.float32):
        for step in pipeline.stages(graph_of(*one), CLAIMS, pipeline.LAUNCHES).plan.steps:
            for way in kernel_ways(step.kernel):
                assert run(way.jobs[0].build, SM90, "ttir").asm["ttir"]
