"""``fusewire dump`` shows what a GPU would run, on machines without one."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

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


KERNEL = '''
import triton
import triton.language as tl

import fusewire as fw


@triton.jit
def add(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + i, tl.load(x_ptr + i, mask=i < n) + tl.load(y_ptr + i, mask=i < n), mask=i < n)


def f(x: "f32[6,8]", y: "f32[6,8]"):
    out = fw.empty_like(x)
    add[lambda meta: (triton.cdiv(x.numel(), meta["BLOCK"]),)](x * 2, y, out, x.numel(), BLOCK=32, num_warps=2)
    return out.relu()
'''


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="the optional package triton is not installed")
def test_kernels_of_users(capsys: pytest.CaptureFixture[str], tmp_path: Path, golden: Any) -> None:
    """A launch is a node of the graph, a step of the plan, and the user's text among Triton's."""
    path = tmp_path / "dumped_kernel.py"
    path.write_text(KERNEL)
    found = []
    for stage in ("graph", "plan", "triton"):
        assert cli.main(["dump", f"{path}:f", "--device", "cuda", "--stage", stage]) == 0
        found.append(re.sub(r"\b[0-9a-f]{64}\b", "HASH", capsys.readouterr().out))
    golden("dumped_kernel.txt", "\n".join(found))
