"""What happens to a graph before fusion: composites share their parts, products are made in the layout they are read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusewire import pipeline
from fusewire.ir.graph import Value, WriteBack
from fusewire.ir.interpret import interpret
from fusewire.ir.passes.autodiff import joint
from fusewire.ir.passes.partition import partition
from fusewire.ir.plan import ExternStep, GemmStep
from fusewire.ir.schedule_prepare import Claim, prepared
from fusewire.ir.types import tensor

sys.path.insert(0, str(Path(__file__).parent))
from schedule_cases import I64, arrays, graph, op


def test_composites_share_equal_parts() -> None:
    made = graph(lambda a: op("mul")(op("softmax")(a, dim=1), op("log_softmax")(a, dim=1)), (8, 5))
    after, origins = prepared(made)
    assert [n.op.name for n in after.nodes].count("exp") == 1
    assert {origins[n] for n in after.nodes} == {"softmax", "log_softmax", "mul"}
    assert pipeline.compile_graph(made, backend="reference").kernel_count == 1


def test_calls_that_only_look_equal_are_kept_apart() -> None:
    made = graph(lambda a: [op("softmax")(a, dim=1), *(op("mul")(a, x) for x in (0.0, -0.0, 1, True))], (4, 3))
    assert sum(n.op.name == "mul" for n in prepared(made)[0].nodes) == 4


def test_what_a_back_end_claims_stays_whole() -> None:
    def make(a: Value) -> Any:
        return op("mul")(op("layer_norm")(op("softmax")(op("exp")(a), dim=1), None, None, normalized_shape=(5,), eps=1e-5), 2.0)

    made = graph(make, (8, 5))
    inputs = arrays(made)
    numpy = pipeline.BACKENDS["reference"].build
    executable = pipeline.compile_graph(made, backend=pipeline.Backend(numpy, {op("softmax"): Claim()}))
    kinds = [step.op.name if isinstance(step, ExternStep) else "kernel" for step in executable.plan.steps]
    assert kinds == ["kernel", "softmax", "kernel"]
    assert {r.reason for r in executable.refusals} == {"softmax runs as a step of its own"}
    np.testing.assert_allclose(executable.run(inputs)[0], interpret(made, inputs)[0][0], rtol=1e-4, atol=1e-5)
    assert pipeline.compile_graph(made, backend="reference").kernel_count == 1


def test_a_back_end_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="no back end 'tpu'; there are cpu, reference"):
        pipeline.compile_graph(graph(lambda a: op("exp")(a), (2,)), backend="tpu")


def test_detach_makes_no_kernel() -> None:
    made = graph(lambda a, b: op("matmul")(op("detach")(op("matmul")(a, b)), b), (4, 4), (4, 4))
    assert [type(step) for step in pipeline.stages(made).plan.steps] == [GemmStep, GemmStep]


def test_weight_gradient_is_made_in_the_order_of_the_weight() -> None:
    def make(w: Value, x: Value, g: Value) -> Any:
        gradient = op("permute")(op("matmul")(op("permute")(x, dims=(1, 0)), g), dims=(1, 0))
        assert w.builder is not None
        return w.builder.finish([], [WriteBack(w, op("sub")(w, op("mul")(gradient, 0.1)), 5)])

    made = graph(make, (16, 32), (64, 32), (64, 16))
    plan = pipeline.stages(made).plan
    (gemm,) = [s for s in plan.steps if isinstance(s, GemmStep)]
    assert gemm.out.type.shape == (16, 32) and gemm.out.type.is_contiguous
    inputs = arrays(made)
    (want,) = interpret(made, inputs)[1]
    pipeline.compile_graph(made, backend="reference").run(inputs)
    np.testing.assert_allclose(inputs[0], want, rtol=1e-4, atol=1e-5)


def test_dropout_mask_is_drawn_once_for_forward_and_gradient() -> None:
    def make(x: Value, g: Value, state: Value) -> Any:
        out = op("dropout")(x, state, p=0.5)
        return out, op("dropout").grad(g, (True, False), out, x, state, p=0.5)[0]  # type: ignore[misc]

    made = graph(make, (8, 6), (8, 6), tensor((2,), I64))
    stages = pipeline.stages(made)
    assert len(stages.kernels) == 1 and str(stages.schedule).count("philox") == 1
    inputs = arrays(made)
    for got, want in zip(pipeline.compile_graph(made, backend="reference").run(inputs), interpret(made, inputs)[0], strict=True):
        np.testing.assert_array_equal(got, want)


def test_weight_gradient_that_is_a_result_is_the_product_itself() -> None:
    """No kernel turns it round: autodiff asks for the weight's layout, and the product is made in it."""
    linear = graph(lambda x, w: [op("matmul")(x, op("permute")(w, dims=(1, 0)))], (64, 32), (16, 32))
    cut = partition(joint(linear, (1,), (0,)))
    plan = pipeline.stages(cut.backward).plan
    assert [type(s) for s in plan.steps] == [GemmStep] and plan.outputs[0].type.is_contiguous  # type: ignore[union-attr]
    inputs = arrays(cut.backward)
    (got,) = pipeline.compile_graph(cut.backward).run(inputs)
    np.testing.assert_allclose(got, interpret(cut.backward, inputs)[0][0], rtol=1e-4, atol=1e-5)


def test_view_of_a_product_that_is_made_in_another_order() -> None:
    """Turning the product may take away strides that a later view needs: it is then taken of a copy."""

    def make(a: Value, b: Value) -> Any:
        turned = op("permute")(op("matmul")(a, b), dims=(0, 2, 1))
        kept = op("slice")(turned, dim=2, start=0, stop=2, step=1)
        return op("view")(op("permute")(kept, dims=(0, 2, 1)), shape=(2, 8))

    made = graph(make, (2, 3, 5), (2, 5, 4))
    inputs = arrays(made)
    (got,) = pipeline.compile_graph(made, backend="reference").run(inputs)
    np.testing.assert_allclose(got, interpret(made, inputs)[0][0], rtol=1e-4, atol=1e-5)
