"""The suite of benchmarks for a GPU runs through, on a driver that runs nothing; what it says of times is not looked at."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

from fusewire.bench import gpu

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import fake_cuda


def test_every_row_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = {"flat": 1 << 14, "gemm": (64,), "attention": (1, 2, 32, 16), "gpt": (1, 1, 64, 8)}
    monkeypatch.setitem(gpu.SIZES, True, tiny)
    monkeypatch.setattr(gpu, "_torch", lambda: None)
    with warnings.catch_warnings(), fake_cuda.installed(run=False, memory=4 << 30):
        warnings.simplefilter("ignore")
        found = list(gpu.rows(1, quick=True))
    names = [row.name for row in found]
    assert len(found) == 14 and all("fusewire" in row.values for row in found)
    assert any("40 kernels, reduce-overhead" in n for n in names) and names[-1].endswith("training step")


def test_without_a_gpu_it_says_so() -> None:
    from fusewire.runtime.gpu import device

    device.forget()
    if device.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(RuntimeError, match="suite gpu needs a GPU"):
        next(gpu.rows(1, quick=True))
