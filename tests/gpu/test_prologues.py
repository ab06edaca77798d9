"""Kernels that make an operand of a product: which become part of it, with the reason where they do not; machine code."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from fusewire import pipeline
from fusewire.backends.gpu import stages
from fusewire.backends.gpu.claims import CLAIMS
from fusewire.backends.gpu.kernel import SM90
from fusewire.backends.gpu.templates import routine_ways
from fusewire.ir import dtypes
from fusewire.ir.graph import Builder
from fusewire.ir.op import lookup
from fusewire.ir.plan import KernelStep, Plan, RoutineStep
from fusewire.ir.types import tensor

sys.path.insert(0, str(Path(__file__).parent))
from test_templates import spilled

_FOUND = importlib.util.find_spec("triton") is not None
needs_triton = pytest.mark.skipif(not _FOUND, reason="the optional package triton is not installed")
mm, mul, cast, permute, exp = (lookup(name) for name in ("matmul", "mul", "cast", "permute", "exp"))


def quantised(rows: Any = 64, half: Any = dtypes.bfloat16, twice: bool = False) -> Plan:
    """x (w * scale)' of weights of 8 bits with a scale for each row."""
    b = Builder("quantised")
    x, w, s = b.input(tensor((rows, 512), half)), b.input(tensor((1024, 512), dtypes.int8)), b.input(tensor((1024, 1), half))
    made = mul(cast(w, dtype=half), s)
    out = [mm(x, permute(made, dims=(1, 0)))]
    return pipeline.stages(b.finish([*out, exp(made)] if twice else out), CLAIMS).plan


def test_weights_of_eight_bits_are_read_as_such() -> None:
    (step,) = quantised().steps
    assert isinstance(step, RoutineStep) and [b.operand for b in step.begins] == [1] and step.args[1] is None
    job = routine_ways(step)[0].jobs[0]
    text = job.build.text
    assert "*i8" in job.build.signature.values() and text.count("tl.load(") == 3 and "right = " in text
    assert ", operand 1 by kernel" in str(quantised())


def test_what_many_tiles_would_compute_again_is_computed_once() -> None:
    plan = quantised(rows=4096)
    assert [type(s) for s in plan.steps] == [KernelStep, RoutineStep]
    assert any("computed again for every tile of the result's 4096 rows" in r.reason for r in plan.refusals)


def test_what_others_read_is_stored() -> None:
    assert all(not s.begins for s in quantised(twice=True).steps if isinstance(s, RoutineStep))


def test_operands_that_are_computed_are_not_copied_by_boxes() -> None:
    (step,) = quantised(rows=256).steps
    assert isinstance(step, RoutineStep)
    assert all(not job.maps for way in routine_ways(step) for job in way.jobs)


@needs_triton
@pytest.mark.parametrize(("rows", "half"), [(64, dtypes.bfloat16), (16, dtypes.float16), (64, dtypes.float32)])
def test_machine_code_without_spills(rows: int, half: Any, tmp_path: Path) -> None:
    (step,) = quantised(rows, half).steps
    assert isinstance(step, RoutineStep)
    made = stages.run(routine_ways(step)[0].jobs[0].build, SM90)
    assert spilled(made.asm["cubin"], tmp_path) == 0 and made.metadata["shared"] <= 232448
    if half.is_half:
        assert re.search(r"wgmma\.mma_async|mma\.sync", made.asm["ptx"])
