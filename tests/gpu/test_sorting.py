"""Rows in order and places in them on a GPU: which calls are templates, what they launch, that they give what the records do."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import fusewire as fw
from fusewire import pipeline
from fusewire.backends.gpu import sorting, stages
from fusewire.backends.gpu.claims import CLAIMS
from fusewire.backends.gpu.kernel import GFX942, SM90
from fusewire.backends.gpu.plain import plain
from fusewire.backends.gpu.templates import routine_ways
from fusewire.ir import dtypes, sizes
from fusewire.ir.graph import Builder
from fusewire.ir.op import lookup
from fusewire.ir.plan import ExternStep, Plan, RoutineStep
from fusewire.ir.schedule_prepare import NO_CLAIMS
from fusewire.ir.types import tensor

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda

_PROGRAM = Path(__file__).parent.parent / "support" / "interpreted_sorting.py"
_FOUND = importlib.util.find_spec("triton") is not None
needs_triton = pytest.mark.skipif(not _FOUND, reason="the optional package triton is not installed")


def plan_of(op: str, shape: Any, dtype: dtypes.DType = dtypes.float32, claims: Any = CLAIMS, **attrs: Any) -> Plan:
    """The plan of one call."""
    b = Builder("sorted")
    return pipeline.stages(b.finish([lookup(op)(b.input(tensor(shape, dtype)), **attrs)]), claims).plan


def way_of(*args: Any, **attrs: Any) -> Any:
    """The launches of one call."""
    (step,) = plan_of(*args, **attrs).steps
    assert isinstance(step, RoutineStep)
    (way,) = sorting.ways(step)
    return way


def test_short_rows_are_one_launch_and_several_share_a_program() -> None:
    (job,) = way_of("topk_index", (4096, 128), dtypes.bfloat16, dim=1, k=8).jobs
    assert job.build.name == "ranked" and job.grid[0] == 2048
    (job,) = way_of("argsort", (4096, 8), dim=1).jobs
    assert job.grid[0] == 128 and job.build.constants["B"] == 8


def test_of_a_vocabulary_each_launch_leaves_fewer() -> None:
    way = way_of("topk_index", (8, 150000), dim=1, k=50)
    assert [job.build.name for job in way.jobs] == ["ranked", "merged", "merged", "merged"]
    runs = [n // (8 * 4 * 50) for n in way.scratch[::2]]
    assert runs == [586, 37, 3]  # of 50 each


def test_rows_of_any_length_are_merged_twice() -> None:
    n = sizes.symbol("n", 2)
    assert len(way_of("argsort", (3, n), dim=1).jobs) == 3
    assert sorting.merges(n, 256, 50, 50) == [(256, 50, 16, 50), (4096, 50, 0, 50)]


def test_what_no_template_has_stays_with_the_host() -> None:
    for plan in (
        plan_of("argsort", (3, 5), dtypes.float8_e5m2, dim=1), plan_of("argsort", (2, 2, 2, 2, 2, 2), dim=1),
        plan_of("topk_index", (3, 5), k=0, dim=1), plan_of("argsort", (3, 5), claims=NO_CLAIMS, dim=1),
    ):  # fmt: skip
        assert [type(s) for s in plan.steps] == [ExternStep]


@needs_triton
def test_templates_agree_with_the_records(request: pytest.FixtureRequest) -> None:
    """One of several; with --whole all."""
    every = 1 if request.config.getoption("--whole") else 23
    done = subprocess.run([sys.executable, str(_PROGRAM), str(every)], capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["templates"] >= 59 // every and not found["different"] and not found["raced"], done.stdout


@needs_triton
def test_triton_takes_the_texts_of_all_types() -> None:
    n = sizes.symbol("n", 2)
    for name in ("bool", "uint8", "int64", "bfloat16", "float64"):
        b = Builder("searched")
        table, x = b.input(tensor((n,), dtypes.lookup(name))), b.input(tensor((3, n), dtypes.lookup(name)))
        (step,) = pipeline.stages(b.finish([lookup("searchsorted")(table, x, right=True)]), CLAIMS).plan.steps
        assert isinstance(step, RoutineStep)
        jobs = [*way_of("topk_index", (n, 5), dtypes.lookup(name), dim=0, k=3).jobs, *routine_ways(step)[0].jobs]
        for job in jobs:
            assert "tt.store" in stages.run(plain(job.build), SM90, "ttir").asm["ttir"]


@needs_triton
def test_machine_code_keeps_what_it_counts_in_registers(request: pytest.FixtureRequest) -> None:
    from machine_code import look

    way = way_of("argsort", (131072,), dtypes.float64, dim=0)
    for job in way.jobs[: 2 if request.config.getoption("--whole") else 1]:
        code = look(job)
        assert code.local == 0 and code.programs >= 2
    b = Builder("searched")
    table, x = b.input(tensor((1000,), dtypes.float32)), b.input(tensor((33, 200), dtypes.float32))
    (step,) = pipeline.stages(b.finish([lookup("searchsorted")(table, x)]), CLAIMS).plan.steps
    assert isinstance(step, RoutineStep) and look(routine_ways(step)[0].jobs[0]).local == 0
    assert stages.run(way.jobs[0].build, GFX942, "ttgir").asm["ttgir"]


def chosen(logits: Any, k: int) -> Any:
    values, places = logits.topk(k, -1)
    return places, (values / 0.8).softmax(-1).cumsum(-1)


def test_a_graph_that_samples_is_launched_by_machine_code() -> None:
    with fake_cuda.installed(lazy=True) as fake:
        f = fw.compile(chosen, fullgraph=True)
        x = fw.randn(3, 700, device="cuda")
        wanted = chosen(x.cpu(), 5)
        for _ in range(4):
            got = f(x, 5)
            for g, w in zip(got, wanted, strict=True):
                fw.testing.assert_close(g.cpu(), w)
        assert sum(v.hits for v in f.__fusewire_dispatcher__.native.entry.variants if v.launcher is not None) == 3
        assert [name for name, *_ in fake.launches].count("ranked") == 4


def ordered(x: Any) -> list[Any]:
    found = [*x.sort(1, descending=True), x.argsort(0), *x.topk(3, 1)]
    rows = found[0].flip(1).transpose(1, 2).contiguous()
    places = fw.searchsorted(rows, x.transpose(1, 2)[..., :4].contiguous()), fw.bucketize(x, rows[0, 0])
    return [*found, *places, *x[:, 1].topk(2, largest=False), *x.kthvalue(2, 1)]


@pytest.mark.filterwarnings("error")  # nothing says that it runs on the host
def test_eager_calls_stay_on_the_device() -> None:
    with fake_cuda.installed() as fake:
        for dtype in (fw.float32, fw.bfloat16, fw.int64):
            for n in (7, 700, 30):
                x = (fw.randn(4, n, 3) * 3).to(dtype)
                on_device = x.cuda()
                before = {name: count for name, count in fake.calls.items() if "DtoH" in name}
                found = ordered(on_device)
                assert {name: count for name, count in fake.calls.items() if "DtoH" in name} == before
                for g, w in zip(found, ordered(x), strict=True):
                    assert g.device.type == "cuda" and g.stride() == w.stride()
                    fw.testing.assert_close(g.cpu(), w)
