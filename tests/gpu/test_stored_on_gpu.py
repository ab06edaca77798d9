"""Captures of GPU tensors on disk: a second process runs them without tracing, and imports neither triton nor llvmlite."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

TRITON = importlib.util.find_spec("triton") is not None
PROGRAM = """
import json, sys
sys.path[:], folder, real = PATH, sys.argv[1], sys.argv[2] == "real"
import fake_cuda
import fusewire as fw
from fusewire import knobs
from fusewire.tracer import stored

def f(x, w):
    return (x @ w).relu().softmax(-1).sum(0)

with knobs.override(cache_dir=folder, disk_cache=True), fake_cuda.installed(triton=real):
    x = (fw.arange(12.0).view(3, 4) / 8).cuda()
    w = (fw.arange(8.0).view(4, 2) / 8).cuda().requires_grad_()
    found = []
    for mode in ("default", "reduce-overhead"):
        out = fw.compile(f, mode=mode, fullgraph=True)(x, w)
        out[0].backward()
        found += [out.tolist(), w.grad.tolist()]
    print(json.dumps([[e.what for e in stored.events], found, [m for m in ("triton", "llvmlite") if m in sys.modules]]))
"""


@pytest.mark.parametrize("kind", ["reference", pytest.param("real", marks=pytest.mark.skipif(not TRITON, reason="no triton"))])
def test_a_second_process_traces_and_compiles_nothing(tmp_path: Path, kind: str) -> None:
    program = tmp_path / "program.py"
    path = [str(Path(__file__).parent.parent / "support"), *sys.path]
    program.write_text(PROGRAM.replace("PATH", repr(path)))

    def run() -> list[object]:
        command = [sys.executable, str(program), str(tmp_path / "cache"), kind]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    first, second = run(), run()
    assert first[0] == ["unknown", "stored"] * 2 and second[0] == ["served"] * 2
    assert kind == "real" or first[1] == second[1]  # the fake driver does not run real code
    assert second[2] == []
