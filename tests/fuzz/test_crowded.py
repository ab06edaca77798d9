"""Random programs in chunks on two threads, in recycled memory, agree with eager. In a process of their own: the limits
from which both begin are set before any machine code holds them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fusewire.runtime import loader

COUNT = 60 if sys.version_info[:2] == (3, 12) else 20


@pytest.mark.skipif(not loader.SUPPORTED, reason="the pool is written for x86-64 Linux")
def test_two_threads_and_recycled_memory() -> None:
    seeds = [str(3000 + k) for k in range(COUNT)]
    script = Path(__file__).parent / "crowded.py"
    done = subprocess.run([sys.executable, str(script), *seeds], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    differ, cut, reused = map(int, done.stdout.split()[-3:])
    assert differ == 0 and cut > COUNT and reused > COUNT
