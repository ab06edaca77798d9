"""What machine code for sm_90 must be like for the memory, or the tensor cores, to be busy all the time. Needs triton, no GPU."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from fusewire import pipeline
from fusewire.backends.gpu.claims import CLAIMS
from fusewire.backends.gpu.templates import routine_ways
from fusewire.backends.gpu.ways import Job, kernel_ways
from fusewire.ir import dtypes
from fusewire.ir.graph import Builder
from fusewire.ir.op import lookup
from fusewire.ir.ops import flex
from fusewire.ir.plan import KernelStep, RoutineStep
from fusewire.ir.types import tensor

if importlib.util.find_spec("triton") is None:
    pytest.skip("the optional package triton is not installed", allow_module_level=True)
sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
from machine_code import look

BF16, F32 = dtypes.bfloat16, dtypes.float32
PROCESSORS = 132


def jobs(make: Any, *shapes: tuple[int, ...], dtype: Any = BF16) -> list[Job]:
    """The launches of a function of tensors of these shapes."""
    b = Builder("made")
    out = make(*(b.input(tensor(s, dtype)) for s in shapes))
    found: list[Job] = []
    for step in pipeline.stages(b.finish(list(out) if isinstance(out, tuple) else [out]), CLAIMS, pipeline.LAUNCHES).plan.steps:
        if isinstance(step, KernelStep):
            found += kernel_ways(step.kernel)[0].jobs
        elif isinstance(step, RoutineStep):
            found += routine_ways(step)[0].jobs
    return found


def attend(q: Any, k: Any, v: Any) -> Any:
    return lookup("attention")(q, k, v, None, None, scale=0.1, is_causal=True)


def attend_back(g: Any, q: Any, k: Any, v: Any, d: Any) -> Any:
    numbers = lookup("cast")(d, dtype=F32)
    return lookup("attention_backward")(g, q, k, v, None, None, numbers, numbers, scale=0.1, is_causal=True)


@pytest.fixture
def whole(request: pytest.FixtureRequest) -> None:
    """For kernels that take a second each."""
    if not request.config.getoption("--whole"):
        pytest.skip("a kernel that takes long to compile: with --whole")


@pytest.mark.parametrize("width", [64, 128])
def test_causal_attention_keeps_tensor_cores_busy(width: int, request: pytest.FixtureRequest) -> None:
    """Two loops one behind the other made the assembler wait for every single product."""
    if width != 64:
        request.getfixturevalue("whole")
    shape = (4, 16, 2048, width)
    (job,) = jobs(attend, shape, shape, shape)
    code = look(job)
    assert code.products >= 8 and not code.serialised and not code.local
    scores = job.build.constants["BM"] * job.build.constants["BN"] / (32 * code.warps)
    assert code.loop / scores < 14, "what is done for each score beside the products"
    assert code.programs >= (2 if width == 64 else 1)


def test_attention_over_lists_of_blocks_is_one_loop() -> None:
    """As many instructions for each score as causal attention has, beside what tells blocks with closed keys from others."""
    b = Builder("flex")
    q, k, v = (b.input(tensor((2, 8, 2048, 64), BF16)) for _ in range(3))
    lists = [b.input(tensor((1, 1, 16, 16)[: 3 + i % 2], dtypes.int32)) for i in range(8)]
    out = lookup("flex_attention")(q, k, v, *lists, scale=0.125, mask=flex.CAUSAL, blocks=(128, 128))
    (step,) = pipeline.stages(b.finish(list(out)), CLAIMS).plan.steps
    assert isinstance(step, RoutineStep)
    (job,) = routine_ways(step)[0].jobs
    code = look(job)
    scores = job.build.constants["BM"] * job.build.constants["BN"] / (32 * code.warps)
    assert code.products == 16 and not code.serialised and not code.local and code.programs == 2
    assert code.loop / scores < 13


@pytest.mark.usefixtures("whole")
def test_gradients_of_causal_attention_do_not_spill() -> None:
    shape = (4, 16, 2048, 128)
    for job in jobs(attend_back, shape, shape, shape, shape, shape[:-1]):
        if job.build.name == "attention":
            code = look(job)
            assert code.products >= 20 and not code.serialised and not code.local


@pytest.mark.usefixtures("whole")
def test_a_large_tile_with_gelu_and_a_residual_does_not_spill() -> None:
    def f(a: Any, b: Any, bias: Any, c: Any) -> Any:
        return lookup("add")(lookup("gelu")(lookup("add")(lookup("matmul")(a, b), bias)), c)

    (job,) = jobs(f, (4096, 4096), (4096, 4096), (4096,), (4096, 4096))
    code = look(job)
    assert job.build.constants["BN"] == 256 and not code.local and not code.serialised and code.copies >= 6
    assert code.shared <= 227 << 10 and code.ops["UTMALDG"] == 2 * job.build.options["num_stages"]


def test_few_rows_need_one_launch_that_all_processors_share() -> None:
    (job,) = jobs(lambda x, w: lookup("matmul")(x, lookup("permute")(w, dims=(1, 0))), (16, 4096), (4096, 4096))
    code = look(job)
    assert int(str(job.grid[0])) == 128 and not code.local
    under_way = (job.build.options["num_stages"] - 1) * job.build.constants["BK"] * job.build.constants["BN"] * 2
    assert under_way >= 40 << 10, "bytes of weights under way on each processor"


def test_memory_bound_kernels_have_enough_under_way(dtype: Any = BF16) -> None:
    """Loads of 16 bytes, and at least 30 KB of them under way on each processor: 4 TB/s, divided among 132, for a microsecond."""
    add, total = lookup("add"), lookup("sum")
    rows = (16384, 4096)
    for made in (jobs(add, rows, rows, dtype=dtype), jobs(lambda x: total(x, dim=(1,)), rows, dtype=dtype),
                 jobs(lambda x: total(x, dim=(0,)), rows, dtype=dtype)):  # fmt: skip
        job = made[0]
        code = look(job)
        assert set(code.loads) == {16} and not code.local, job.build.name
        resident = min(code.programs, int(str(job.grid[0])) / PROCESSORS)
        assert code.flight * 32 * code.warps * resident >= 30 << 10, job.build.name
