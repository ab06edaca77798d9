"""Eight processes share a cache folder that is damaged at random: none crashes, none is wrong."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import damage as d

PROCESSES = 8


def shared(folder: Path, rounds: int, seed: int) -> int:
    """Let the processes run beside the damage; how often damage was done."""
    rng, done = random.Random(seed), 0
    env = {**os.environ, "FUSEWIRE_CACHE_DIR": str(folder), "FUSEWIRE_DISK_CACHE": "1", "FUSEWIRE_THREADS": "1"}
    command = [sys.executable, d.__file__, str(rounds)]
    processes = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(PROCESSES)]
    while any(p.poll() is None for p in processes):
        d.damage(folder / "store", rng)
        done += 1
        time.sleep(0.002)
    for p in processes:
        out, error = p.communicate()
        assert p.returncode == 0 and out == b"done\n", (p.returncode, out, error[-2000:])
    return done


def test_shared_folder_is_damaged(tmp_path: Path) -> None:
    assert shared(tmp_path / "cache", 6, 7) > 100


def test_read_only_folder_serves_and_keeps_nothing(tmp_path: Path) -> None:
    env = {**os.environ, "FUSEWIRE_CACHE_DIR": str(tmp_path / "cache"), "FUSEWIRE_DISK_CACHE": "1"}

    def run() -> None:
        done = subprocess.run([sys.executable, d.__file__, "1"], env=env, capture_output=True, timeout=100)
        assert done.returncode == 0, done.stderr

    run()
    files = {p: p.read_bytes() for p in (tmp_path / "cache").rglob("*") if p.is_file()}
    folders = [p for p in (tmp_path / "cache").rglob("*") if p.is_dir()]
    for p in folders:
        p.chmod(0o500)
    env["FUSEWIRE_PASS_LIMIT"] = "3"  # other captures, which cannot be written (but by root, who may write anywhere)
    run()
    for p in folders:
        p.chmod(0o700)
    assert files.keys() <= {p for p in (tmp_path / "cache").rglob("*") if p.is_file()}
