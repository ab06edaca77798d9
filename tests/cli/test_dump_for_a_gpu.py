"""``fusewire dump`` shows what a GPU would run, on machines without one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from fusewire import cli

PROGRAM = '''
from fusewire.nn import functional as F

def f(x: "f32[64,128]", w: "f32[128,128]"):
    return F.softmax(x @ w + 1.0, dim=-1)
'''


def dumped(capsys: pytest.CaptureFixture[str], folder: Path, *options: str) -> str:
    path = folder / "dumped_on_gpu.py"
    path.write_text(PROGRAM)
    assert cli.main(["dump", f"{path}:f", *options]) == 0
    return capsys.readouterr().out


def test_schedules_and_plans_have_its_templates(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for stage in ("schedule", "plan"):
        assert "routine product" in dumped(capsys, tmp_path, "--device", "cuda", "--stage", stage)
        assert "routine" not in dumped(capsys, tmp_path, "--stage", stage)


def test_triton_texts_are_of_all_launches(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = dumped(capsys, tmp_path, "--stage", "triton")
    assert "# ---- step 0: product" in text and "tl.dot(" in text and "# ---- step 1: " in text and "softmax" in text


def test_ptx(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    text = dumped(capsys, tmp_path, "--stage", "ptx")
    if importlib.util.find_spec("triton") is None:
        assert "Triton is not installed" in text
    else:
        assert text.count(".target sm_90a") == 2 and ".entry product" in text.replace(".visible ", "")
