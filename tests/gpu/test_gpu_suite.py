"""The suite of benchmarks for a GPU runs through on a driver that runs nothing; what it says of times is not looked at."""

from __future__ import annotations

import importlib.util
import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import fusewire as fw
from fusewire.bench import gpu, gpu_check, gpu_child, gpu_models, gpu_sections, gpu_verdict, zoo
from fusewire.bench.gpu_lab import Lab
from fusewire.bench.row import Row

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda

TRITON = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="the optional package triton is not installed")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with warnings.catch_warnings(), fake_cuda.installed(run=False, memory=8 << 30):
        warnings.simplefilter("ignore")
        yield Lab("cuda", tiny=True)


@pytest.mark.parametrize("section", ["launches", "flat", "products", "attention"])
def test_every_item_gives_a_row(lab: Lab, section: str, request: pytest.FixtureRequest) -> None:
    """Every second one; with --whole all."""
    every = 1 if request.config.getoption("--whole") else 2
    for name, item in [*gpu_sections.SECTIONS[section](lab).items()][::every]:
        (row,) = item()
        assert row.values and all(who.startswith("fusewire") for who in row.values), (name, row)
        assert "failed" not in row.facts, row


def test_a_model_is_measured_in_each_mode(lab: Lab) -> None:
    items = gpu_sections.models(lab)
    (row,) = items["MLP training step"]()
    assert set(row.values) == {"fusewire", "fusewire reduce-overhead"} and row.facts["first_call_s"]
    assert len(items) == 9 and "MLP tuned" in items
    (ahead,) = gpu_sections.models(replace(lab, ahead=True))["MLP inference"]()
    assert not ahead.values and set(ahead.facts["first_call_s"]) == set(row.values)


def test_every_model_is_built_for_a_gpu() -> None:
    for case in gpu_models.cases(tiny=True):
        x, y = gpu_models.batch(fw, case, "cpu")
        net = gpu_models.network(fw, case, "cpu").eval()
        assert gpu_models.loss_of(fw, case)(net, x, y).shape == ()
    assert zoo.gpt(fw, 8, 4, 2, 1, 4)(fw.zeros(1, 4, dtype=fw.int64)).shape == (1, 4, 8)


def test_sections_run_in_processes_that_may_die(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = (
        "import json, os, sys, time; skip = int(sys.argv[sys.argv.index('--skip') + 1])\n"
        "say = lambda **what: print(json.dumps(what), flush=True)\n"
        "for n, what in enumerate(['row', 'dies', 'row', 'hangs', 'row']):\n"
        "    if n < skip: continue\n"
        "    say(begin=f'item {n}', number=n)\n"
        "    if what == 'dies': os._exit(3)\n"
        "    if what == 'hangs': time.sleep(60)\n"
        "    say(suite='gpu', name=f'row {n}', threads=1, unit='us', values={}, facts={})\n"
    )
    run = gpu.Run(gpu._options([str(tmp_path)]), tmp_path / "lines", [])
    monkeypatch.setattr(gpu, "command", lambda run, name, seconds, more: [sys.executable, "-c", program, *more])
    rows = list(gpu.child(run, "flat", 30.0, 1.0, []))
    assert [row.name for row in rows] == ["row 0", "flat: item 1", "row 2", "flat: item 3", "row 4"]
    assert "status 3" in rows[1].facts["error"] and "no answer" in rows[3].facts["error"]


@TRITON
def test_the_program_measures_and_writes(tmp_path: Path) -> None:
    options = ["--fake", "--tiny", "--only", "launches", "--no-ahead", "--no-peers"]
    gpu.main([str(tmp_path), *options])
    table, lines = (next(tmp_path.glob(f"gpu-rehearsal-*.{kind}")).read_text() for kind in ("md", "jsonl"))
    names = [json.loads(line)["name"] for line in lines.splitlines()]
    assert "Fake GPU" in table and "| launching a graph of 10 kernels |" in table
    assert "machine" in names and "host: 10 products" in names


@pytest.mark.parametrize("name", sorted(gpu_check.CHECKS.keys() - set(gpu_check.ON_A_GPU)))
def test_checks_hold_on_the_reference(name: str) -> None:
    with fake_cuda.installed():
        assert gpu_check.checked(gpu_check.CHECKS[name], gpu_check.SMALL) is None


def test_checks_see_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_cuda.installed() as fake:
        assert not gpu_check.of_record_all("add", 2, gpu_check.Count())
        monkeypatch.setattr(fake, "execute", lambda *args: None)
        assert "no IndexError" in (gpu_check.checked(gpu_check.errors_are_told, gpu_check.SMALL) or "")
        assert "apart" in gpu_check.of_record_all("add", 1, gpu_check.Count())[0]


def test_the_verdict_names_the_worst() -> None:
    assert all(m.held is None for m in gpu_verdict.measures([]))
    rows = [
        Row("gpu", "flat: sum of rows", 1, "us", {"fusewire": 100.0, "torch.compile": 99.0}, {"of_copy": 0.95}),
        Row("gpu", "flat: softmax of rows", 1, "us", {"fusewire": 120.0, "torch.compile": 100.0}, {"of_copy": 0.97}),
        Row("gpu", "product: relu(a @ b + bias), bfloat16, 4096", 1, "us", {"fusewire": 9.0}, {"of_cublas": 0.8}),
        Row("gpu", "product: relu(a @ b + bias), bfloat16, 4096, max-autotune", 1, "us", {"fusewire": 8.0}, {"of_cublas": 0.92}),
        Row("gpu", "model: GPT, 4 layers, inference", 1, "us", {}, {"failed": {"fusewire": "no"}}),
    ]
    found = {(m.name, m.asked): m for m in gpu_verdict.measures(rows)}
    assert found["pointwise and reductions", "90% of copy bandwidth"].held
    slower = found["pointwise and reductions", "no slower than torch.compile"]
    assert slower.held is False and "0.83 (softmax of rows; best 0.99)" in slower.measured
    assert found["bf16 product and epilogue, 4096", "90% of cuBLAS"].measured.startswith("0.92")
    assert found["GPT inference", "no slower than torch.compile"].held is False


def test_an_item_without_a_gpu_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    from fusewire.runtime.gpu import device

    device.forget()
    if device.is_available():
        pytest.skip("there is a GPU")
    assert gpu_child.main(["machine"]) == 0
    assert "there is no CUDA device" in capsys.readouterr().out
