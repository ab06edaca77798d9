"""Attention by templates: functions of scores in the inner loops, masks by blocks, machine code without spills."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fusewire import pipeline
from fusewire.backends.gpu import attention_ways, stages
from fusewire.backends.gpu.claims import CLAIMS
from fusewire.backends.gpu.kernel import GFX942, SM90
from fusewire.backends.gpu.templates import candidates, routine_ways
from fusewire.ir import dtypes
from fusewire.ir.graph import Builder
from fusewire.ir.op import lookup
from fusewire.ir.ops import flex
from fusewire.ir.plan import RoutineStep
from fusewire.ir.types import tensor

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from spills import spilled

_PROGRAM = Path(__file__).parent.parent / "support" / "interpreted_attention.py"
_FOUND = importlib.util.find_spec("triton") is not None
needs_triton = pytest.mark.skipif(not _FOUND, reason="the optional package triton is not installed")


def flex_step(width: int = 64, backward: bool = False, heads: int = 2, lists: bool = True) -> RoutineStep:
    """Causal attention with slopes that want a gradient, over a mask by blocks of 128."""
    b, f32 = Builder("flex"), dtypes.float32
    q = b.input(tensor((2, 8, 1024, width), dtypes.bfloat16))
    k, v = (b.input(tensor((2, heads, 1024, width), dtypes.bfloat16)) for _ in range(2))
    given = [b.input(tensor((1, 1, 8, 8)[: 3 + i % 2], dtypes.int32)) for i in range(8)] if lists else [None] * 8
    slopes = b.input(tensor((8,), f32))
    attrs: dict[str, Any] = {"scale": 0.125, "score": flex.ALIBI, "mask": flex.CAUSAL, "blocks": (128, 128)}
    if not backward:
        out = lookup("flex_attention")(q, k, v, *given, slopes, **attrs)
    else:
        g = b.input(tensor((2, 8, 1024, width), dtypes.bfloat16))
        delta, lse = (b.input(tensor((2, 8, 1024), f32)) for _ in range(2))
        out = lookup("flex_attention_backward")(g, delta, lse, q, k, v, *given, slopes, wanted=(0,), **attrs)
    (step,) = pipeline.stages(b.finish(list(out)), CLAIMS).plan.steps
    assert isinstance(step, RoutineStep)
    return step


def test_functions_stand_in_the_inner_loop() -> None:
    (job,) = routine_ways(flex_step())[0].jobs
    _, loop = job.build.text.split("for turn in range(0, edges + full_counted * 2):")
    assert "tl.load(c0_ptr" in loop and "opened" in loop[loop.index("if turn < edges:") :]  # blocks without a closed key: no mask
    assert "opened" not in loop[: loop.index("if turn < edges:")]
    assert "tl.load(tl.where(turn < edges, some_ptr + (first // 128) * 8 + (turn // 2), full_ptr" in loop
    for job in routine_ways(flex_step(backward=True))[0].jobs[1:]:
        loops = job.build.text.split("for turn in range")[1:]
        assert len(loops) == 2 and "opened" in loops[0] and "opened" not in loops[1]


def test_blocks_that_do_not_divide_are_all_walked_over() -> None:
    step = flex_step(lists=False)
    text = routine_ways(step)[0].jobs[0].build.text
    assert "some_ptr" not in text and "for start in range(0, 1024, BN)" in text


def test_blocks_divide_those_of_the_mask_and_have_alternatives() -> None:
    step = flex_step(backward=True)
    names = [job.build.name for job in routine_ways(step)[0].jobs]
    assert names == ["zero", "attention", "attention"]
    assert len(candidates(step)) > 3
    for part in attention_ways.parts_of(step):
        assert all(attention_ways._fits(step, part, b, SM90) for b in attention_ways.ranked(step, part)[1:])


def decoded(heads: int = 8) -> RoutineStep:
    """One query for each of four heads that share keys, which are many."""
    b = Builder("decoded")
    q = b.input(tensor((1, heads, 4, 1, 64), dtypes.bfloat16))
    keys = [b.input(tensor((1, heads, 1, 8192, 64), dtypes.bfloat16)) for _ in range(2)]
    k, v = (lookup("expand")(x, shape=(1, heads, 4, 8192, 64)) for x in keys)
    (step,) = pipeline.stages(b.finish(list(lookup("attention")(q, k, v, None, None, scale=0.125))), CLAIMS).plan.steps
    assert isinstance(step, RoutineStep)
    return step


def test_keys_of_few_queries_are_shared_out() -> None:
    way = routine_ways(decoded())[0]
    first, second = way.jobs
    assert first.build.constants["BM"] == 16 and (first.grid[0], second.grid[0]) == (8 * 64, 8)  # heads are rows of one block
    assert "tl.dot(" not in second.build.text and len(way.scratch) == 3
    assert len(routine_ways(decoded(512))[0].jobs) == 1  # there is work for all processors


@needs_triton
def test_templates_agree_with_the_graphs_own_interpreter(request: pytest.FixtureRequest) -> None:
    """One of several; with --whole all."""
    every = 1 if request.config.getoption("--whole") else 12
    done = subprocess.run([sys.executable, str(_PROGRAM), str(every)], capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["templates"] >= 48 // every and not found["different"] and not found["raced"], done.stdout


@needs_triton
@pytest.mark.parametrize(("width", "backward"), [(64, False), (128, True)])
def test_tensor_cores_without_spills(width: int, backward: bool, tmp_path: Path) -> None:
    for job in routine_ways(flex_step(width, backward))[0].jobs[1 if backward else 0 :]:
        made = stages.run(job.build, SM90)
        assert made.asm["ptx"].count("wgmma.mma_async") >= 4 and made.metadata["shared"] <= 232448
        assert spilled(made.asm["cubin"], tmp_path) == 0


@needs_triton
@pytest.mark.whole
def test_another_makers_gpu() -> None:
    (job,) = routine_ways(flex_step(), GFX942)[0].jobs
    assert stages.run(job.build, GFX942).metadata["shared"] <= 65536
