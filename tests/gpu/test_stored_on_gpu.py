"""Captures of GPU tensors on disk: a second process runs them without tracing, and imports neither triton nor llvmlite."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TRITON = importlib.util.find_spec("triton") is not None
PROGRAM = """
import json, sys, zlib
sys.path[:], folder, real = PATH, sys.argv[1], sys.argv[2] == "real"
import fake_cuda
import fusewire as fw
import fusewire.nn.functional as F
from fusewire import knobs, nn
from fusewire.tracer import stored

def f(x, w):
    return (x @ w).relu().softmax(-1).sum(0)

def parts(x, w):
    y = (x @ w).relu()
    return (y * (zlib.crc32(b"text") % 3 + 1)).softmax(-1).sum(0)

def whole(x, t):
    loss = F.mse_loss(model(x), t)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss

def broken(x, t):
    loss = F.mse_loss(model(x), t)
    zlib.crc32(b"text")
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss

with knobs.override(cache_dir=folder, disk_cache=True), fake_cuda.installed(triton=real):
    x = (fw.arange(12.0).view(3, 4) / 8).cuda()
    w = (fw.arange(8.0).view(4, 2) / 8).cuda().requires_grad_()
    found = []
    for mode in ("default", "reduce-overhead"):
        out = fw.compile(f, mode=mode, fullgraph=True)(x, w)
        out[0].backward()
        found += [out.tolist(), w.grad.tolist()]
    events = len(stored.events)
    if sys.argv[3] == "all":
        t = fw.zeros(3, 2).cuda()
        fw.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2)).to("cuda")
        optimizer = fw.optim.AdamW(model.parameters(), lr=1e-2)
        for function in (parts, whole, broken):
            compiled = fw.compile(function)
            found += [compiled(x, w if function is parts else t).tolist() for _ in range(3)]
    said = [e.what for e in stored.events]
    print(json.dumps([said[:events], said[events:], found, [m for m in ("triton", "llvmlite") if m in sys.modules]]))
"""


def _run(folder: Path, kind: str, which: str) -> list[Any]:
    """What a process that runs the program says."""
    program = folder / "program.py"
    path = [str(Path(__file__).parent.parent / "support"), *sys.path]
    program.write_text(PROGRAM.replace("PATH", repr(path)))
    command = [sys.executable, str(program), str(folder / "cache"), kind, which]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", ["reference", pytest.param("real", marks=pytest.mark.skipif(not TRITON, reason="no triton"))])
def test_a_second_process_traces_and_compiles_nothing(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    """Whole functions; parts of them and training steps, by real kernels with --whole."""
    every = kind == "reference" or request.config.getoption("--whole")
    first, second = (_run(tmp_path, kind, "all" if every else "functions") for _ in range(2))
    assert first[0] == ["unknown", "stored"] * 2 and second[0] == ["served"] * 2
    assert kind == "real" or first[2] == second[2]  # the fake driver does not run real code
    assert second[3] == []
    if every:
        assert first[1].count("stored") == 7  # two parts; a first and a later step; three parts
        assert second[1].count("served") == 7 and "stored" not in second[1]
