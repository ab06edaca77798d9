"""The printed kernels of every record's samples and of random graphs, run by Triton's interpreter beside the reference."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = Path(__file__).parent.parent / "support" / "interpreted_graphs.py"


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="the optional package triton is not installed")
@pytest.mark.parametrize("way", ["chosen", "rounds"])
def test_kernels_agree_with_the_reference(way: str) -> None:
    done = subprocess.run([sys.executable, str(_PROGRAM), way, "9"], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["kernels"] > 200 and not found["different"] and not found["raced"], done.stdout
