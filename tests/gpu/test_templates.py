"""Products, attention and convolutions by templates: numerics by Triton's interpreter, machine code without spills."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fusewire import pipeline
from fusewire.backends.gpu import stages
from fusewire.backends.gpu.claims import CLAIMS
from fusewire.backends.gpu.compile import fitted
from fusewire.backends.gpu.kernel import GFX942, SM90
from fusewire.backends.gpu.templates import candidates, routine_ways
from fusewire.backends.gpu.ways import Job, kernel_ways
from fusewire.ir import dtypes
from fusewire.ir.graph import Builder
from fusewire.ir.op import lookup
from fusewire.ir.plan import KernelStep, Plan, RoutineStep
from fusewire.ir.types import tensor

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from spills import spilled

_PROGRAM = Path(__file__).parent.parent / "support" / "interpreted_templates.py"
_FOUND = importlib.util.find_spec("triton") is not None
needs_triton = pytest.mark.skipif(not _FOUND, reason="the optional package triton is not installed")


def linear(dtype: Any = dtypes.bfloat16, rows: int = 4096) -> Plan:
    """relu(x w' + bias) + other."""
    b = Builder("linear")
    x, w, bias, other = (b.input(tensor(s, dtype)) for s in ((rows, 4096), (4096, 4096), (4096,), (rows, 4096)))
    y = lookup("matmul")(x, lookup("permute")(w, dims=(1, 0)))
    return pipeline.stages(b.finish([lookup("add")(lookup("relu")(lookup("add")(y, bias)), other)]), CLAIMS).plan


def attended() -> Plan:
    """Causal attention of 64 columns."""
    b = Builder("attended")
    q, k, v = (b.input(tensor((2, 8, 512, 64), dtypes.bfloat16)) for _ in range(3))
    return pipeline.stages(b.finish(list(lookup("attention")(q, k, v, None, None, scale=0.125, is_causal=True))), CLAIMS).plan


def normed() -> Plan:
    """softmax(gelu(x)) over rows of 1024."""
    b = Builder("normed")
    x = b.input(tensor((512, 1024), dtypes.bfloat16))
    return pipeline.stages(b.finish([lookup("softmax")(lookup("gelu")(x), dim=1)]), CLAIMS).plan


def only(plan: Plan) -> Job:
    """The first way of the only launch of a plan of one step."""
    (step,) = plan.steps
    assert isinstance(step, (RoutineStep, KernelStep))
    (job,) = (routine_ways(step) if isinstance(step, RoutineStep) else kernel_ways(step.kernel))[0].jobs
    return job


def test_a_chain_behind_a_product_is_part_of_it() -> None:
    (step,) = linear().steps
    assert isinstance(step, RoutineStep) and step.finish is not None
    text = routine_ways(step)[0].jobs[0].build.text
    assert text.count("tl.store(") == 1 and "tl.dot(" in text and "_maximum(v6, 0.0)" in text


def test_tiles_follow_the_sizes_and_have_alternatives() -> None:
    (large,), (small,) = linear().steps, linear(rows=40).steps
    assert isinstance(large, RoutineStep) and isinstance(small, RoutineStep)
    blocks = [routine_ways(s)[0].jobs[0].build.constants for s in (large, small)]
    assert blocks[0]["BM"] == 128 and blocks[1]["BM"] <= 64
    assert len(candidates(large)) > 3


def test_much_depth_and_few_tiles_are_shared_out() -> None:
    b = Builder("deep")
    x, y = b.input(tensor((64, 65536), dtypes.bfloat16)), b.input(tensor((65536, 64), dtypes.bfloat16))
    (step,) = pipeline.stages(b.finish([lookup("matmul")(x, y)]), CLAIMS).plan.steps
    assert isinstance(step, RoutineStep)
    first, second = routine_ways(step)[0].jobs
    assert first.build.constants["PARTS"] == 32 and int(str(first.grid[0])) >= 32
    assert "tl.dot(" in first.build.text and "tl.dot(" not in second.build.text


@needs_triton
def test_templates_agree_with_the_reference(request: pytest.FixtureRequest) -> None:
    """One of many; with --whole all."""
    every = 1 if request.config.getoption("--whole") else 13
    command = [sys.executable, str(_PROGRAM), str(every)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["templates"] > 60 / every and not found["different"] and not found["raced"], done.stdout


@needs_triton
@pytest.mark.parametrize("make", [linear, pytest.param(attended, marks=pytest.mark.whole)])
def test_half_products_use_tensor_cores_without_spills(make: Any, tmp_path: Path) -> None:
    made = stages.run(only(make()).build, SM90)
    assert made.asm["ptx"].count("wgmma.mma_async") >= 4 and made.metadata["shared"] <= 232448
    assert spilled(made.asm["cubin"], tmp_path) == 0


@needs_triton
def test_rows_stay_in_registers_and_are_read_sixteen_bytes_at_a_time(tmp_path: Path) -> None:
    made = stages.run(only(normed()).build, SM90)
    loads = re.findall(r"ld\.global\S*", made.asm["ptx"])
    assert loads and all("v4" in load for load in loads)
    assert spilled(made.asm["cubin"], tmp_path) == 0


@needs_triton
@pytest.mark.parametrize("make", [pytest.param(linear, marks=pytest.mark.whole), attended, normed])
def test_another_makers_gpu(make: Any) -> None:
    made = stages.run(fitted(only(make()).build, GFX942), GFX942)
    assert made.asm["hsaco"][:4] == b"\x7fELF" and made.metadata["shared"] <= 65536
