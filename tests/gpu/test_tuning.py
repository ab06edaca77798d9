"""mode="max-autotune": candidates are measured once, what was chosen is kept in a readable file, and serves without a measure."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fusewire as fw
from fusewire import knobs
from fusewire.backends.gpu import tuning

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A cache of the test's own, of which nothing has been read."""
    with knobs.override(cache_dir=str(tmp_path)):
        tuning._kept.clear()
        yield tmp_path / "gpu-choices.txt"
    tuning._kept.clear()


def work(x: Any, y: Any) -> Any:
    return (x * y).relu().sum(1)


@pytest.mark.parametrize("mode", ["max-autotune", "max-autotune-no-cudagraphs"])
def test_a_choice_is_measured_once_and_kept(folder: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spent = iter([3e-3, 1e-3])
    monkeypatch.setattr(tuning, "times", lambda launch, **how: [launch() or next(spent)])
    with fake_cuda.installed() as fake:
        x, y = fw.randn(40, 80, device="cuda"), fw.randn(40, 80, device="cuda")
        wanted = work(x.cpu(), y.cpu())
        for _ in range(3):  # the second and third are recordings
            fw.testing.assert_close(fw.compile(work, mode=mode, fullgraph=True)(x, y).cpu(), wanted)
        (line,) = folder.read_text().splitlines()
        assert line.split()[2:5] == ["[two]", "1.00", "us"]
        tuning._kept.clear()  # as in another process
        before = len(fake.launches)
        again = fw.compile(lambda x, y: work(x, y), mode=mode, fullgraph=True)
        fw.testing.assert_close(again(x, y).cpu(), work(x.cpu(), y.cpu()))
        assert len(folder.read_text().splitlines()) == 1 and len(fake.launches) == before + 1


def test_what_cannot_be_measured_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(launch: Any, **how: Any) -> list[float]:
        raise fw.errors.DeviceError("no")

    monkeypatch.setattr(tuning, "times", fail)
    with fake_cuda.installed():
        x = fw.randn(30, 7, device="cuda")
        compiled = fw.compile(lambda x: x.sin().sum(1), mode="max-autotune")
        fw.testing.assert_close(compiled(x).cpu(), x.cpu().sin().sum(1))
    assert not folder.exists()


def test_measures_leave_the_arguments_alone(folder: Path) -> None:
    @fw.compile(mode="max-autotune-no-cudagraphs")
    def f(x: Any, i: Any) -> Any:
        x += 1.0
        return x[i]

    with fake_cuda.installed():
        x = fw.zeros(5, 3, device="cuda")
        out = f(x, fw.tensor([4, 0], device="cuda"))
        assert x.cpu().tolist() == [[1.0] * 3] * 5 and out.cpu().tolist() == [[1.0] * 3] * 2
    assert folder.exists()


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="the compiler of GPU kernels, triton, is not installed")
def test_real_candidates_of_a_kernel(folder: Path) -> None:
    with fake_cuda.installed(triton=True) as fake:
        x = fw.ones(64, 128, device="cuda")
        fw.compile(lambda x: x.softmax(-1), mode="max-autotune-no-cudagraphs", fullgraph=True)(x)
    assert len(folder.read_text().splitlines()) == 1
    assert [name for name, _, _ in fake.launches].count("k_softmax") > 3 * tuning.RUNS
