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
def test_kernels_agree_with_the_reference(way: str, request: pytest.FixtureRequest) -> None:
    """One of many; with --whole all."""
    every = 1 if request.config.getoption("--whole") else 31
    command = [sys.executable, str(_PROGRAM), way, str(every)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["kernels"] > 2000 / every and not found["different"] and not found["raced"], done.stdout
