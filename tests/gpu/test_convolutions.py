"""Convolutions on GPUs: those by one point are products, any number of images is served, there is something to choose from."""

from __future__ import annotations

from typing import Any

from fusewire import pipeline
from fusewire.backends.gpu.claims import CLAIMS
from fusewire.backends.gpu.templates import candidates, routine_ways
from fusewire.ir import dtypes, sizes
from fusewire.ir.graph import Builder
from fusewire.ir.op import lookup
from fusewire.ir.plan import Plan, RoutineStep
from fusewire.ir.types import TensorType, tensor

HALF = dtypes.bfloat16


def convolved(image: Any, weight: Any, bias: bool = False, **attrs: Any) -> Plan:
    """relu(convolution)."""
    b = Builder("convolved")
    given = [b.input(image), b.input(tensor(weight, HALF)), b.input(tensor(weight[:1], HALF)) if bias else None]
    attrs = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1, **attrs}
    return pipeline.stages(b.finish([lookup("relu")(lookup("convolution")(*given, **attrs))]), CLAIMS).plan


def routine(plan: Plan) -> RoutineStep:
    (step,) = plan.steps
    assert isinstance(step, RoutineStep) and step.finish is not None
    return step


def test_by_one_point_is_a_product() -> None:
    alone, many = tensor((1, 64, 14, 14), HALF), tensor((8, 64, 14, 14), HALF)
    assert routine(convolved(alone, (128, 64, 1, 1))).routine.startswith("product")
    assert routine(convolved(many, (128, 64, 1, 1))).routine.startswith("conv")  # images between whose channels others lie
    assert routine(convolved(alone, (128, 64, 1, 1), bias=True)).routine.startswith("conv")
    assert routine(convolved(alone, (128, 64, 1, 1), stride=(2, 2))).routine.startswith("conv")


def test_any_number_of_images() -> None:
    n = sizes.symbol("n", 1)
    step = routine(convolved(TensorType((n, 64, 14, 14), HALF, (64 * 196, 196, 14, 1)), (128, 64, 3, 3), padding=(1, 1)))
    assert step.routine.startswith("conv") and step.sizes[1] == n * 196
    assert all(way.jobs for way in routine_ways(step))


def test_there_are_candidates() -> None:
    step = routine(convolved(tensor((8, 64, 14, 14), HALF), (128, 64, 3, 3), padding=(1, 1)))
    found = candidates(step)
    texts = {str(make()[0].jobs[0].build.constants) for make in found.values()}
    assert len(found) == len(texts) == 5
