"""The suite of benchmarks for a GPU runs through, on a driver that runs nothing; what it says of times is not looked at."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

import fusewire as fw
from fusewire.bench import gpu, gpu_models
from fusewire.bench.row import Row

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda


def test_every_row_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = {"flat": 1 << 14, "gemm": (64,), "attention": (1, 2, 32, 16)}
    monkeypatch.setitem(gpu.SIZES, True, tiny)
    monkeypatch.setitem(gpu.MODELS, True, {"mlp": (4, 8, 8)})
    monkeypatch.setattr(gpu, "_torch", lambda: None)
    with warnings.catch_warnings(), fake_cuda.installed(run=False, memory=4 << 30):
        warnings.simplefilter("ignore")
        found = list(gpu.rows(1, quick=True))
    names = [row.name for row in found]
    assert [row.facts["error"] for row in found if "error" in row.facts] == []
    assert len(found) == 15 and all("fusewire" in row.values for row in found)
    assert any("40 kernels, reduce-overhead" in n for n in names) and names[-1].endswith("training step")
    assert "fusewire max-autotune" in found[-2].values


def test_the_networks_compute() -> None:
    for name, size, wanted in (("gpt", (2, 1, 64, 8), (2, 8, 64)), ("resnet", (2, 4, 4), (2, 10)), ("mlp", (4, 8, 8), (4, 8))):
        net, x = getattr(gpu_models, f"_{name}")(fw, *size)
        assert net(x).shape == wanted


def test_lines_and_a_table_are_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = [Row("gpu", "one", 1, "us", {"fusewire": 2.0}), Row("gpu", "two", 1, "us", {}, {"error": "no"})]
    monkeypatch.setattr(gpu, "rows", lambda threads, quick: iter(rows))
    monkeypatch.setattr(gpu, "_tests", lambda: False)
    with fake_cuda.installed():
        assert gpu.main(tmp_path) == 1
    table, lines = (next(tmp_path.glob(f"gpu-*.{kind}")).read_text() for kind in ("md", "jsonl"))
    assert "Fake GPU" in table and "error no" in table and [Row.of_json(line) for line in lines.splitlines()] == rows


def test_without_a_gpu_it_says_so() -> None:
    from fusewire.runtime.gpu import device

    device.forget()
    if device.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(RuntimeError, match="suite gpu needs a GPU"):
        next(gpu.rows(1, quick=True))
