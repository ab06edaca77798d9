"""A whole training step is kept on disk: a second process neither traces nor builds it, and takes the same steps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """
import json, sys
import numpy as np
import fusewire as fw
from fusewire import nn, optim

fw.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
optimiser = optim.{optimiser}(model.parameters(), lr=0.01)

@fw.compile(fullgraph=True)
def step(x, y):
    loss = fw.nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimiser.step()
    optimiser.zero_grad()
    return loss

rng = np.random.default_rng(0)
losses = []
for i in range(4):
    loss = step(fw.tensor(rng.normal(size=(5, 4)).astype("f4")), fw.tensor(rng.integers(0, 3, 5)))
    losses.append(loss.item())
try:
    loss.backward()
    again = "went through"
except RuntimeError as error:
    again = "second time" in str(error)
traced = any(name.endswith("tracer.frame") for name in sys.modules)
print(json.dumps({"losses": losses, "again": again, "traced": traced, "llvmlite": "llvmlite" in sys.modules}))
"""


def run(folder: Path, optimiser: str) -> dict[str, Any]:
    (folder / "program.py").write_text(PROGRAM.replace("{optimiser}", optimiser))
    environment = {**os.environ, "FUSEWIRE_CACHE_DIR": str(folder / "cache"), "FUSEWIRE_DISK_CACHE": "1"}
    command = [sys.executable, str(folder / "program.py")]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("optimiser", ["AdamW", "RMSprop"])  # RMSprop's step reads a cell of a frozen class's __init__
def test_a_second_process_trains_at_once(tmp_path: Path, optimiser: str) -> None:
    cold, warm = run(tmp_path, optimiser), run(tmp_path, optimiser)
    assert cold["traced"] and cold["llvmlite"]
    assert not warm["traced"] and not warm["llvmlite"]
    assert warm["losses"] == cold["losses"]
    assert cold["again"] is True and warm["again"] is True
