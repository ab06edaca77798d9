"""Suite `memory`: what a training step of the GPT holds at its peak, and what compiling and dropping functions leaves behind."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import peers, zoo
from .row import Row, package

CONTENDERS = ("fusewire", "fusewire eager", peers.TORCH_EAGER, peers.TORCH_COMPILE)


def rows(threads: int, quick: bool) -> Iterator[Row]:
    """Megabytes above those of model, optimiser and compiler at the peak of a step; bytes a dropped function leaves."""
    values, facts = {}, {}
    for name in CONTENDERS:
        if name.startswith("torch") and not peers.installed("torch"):
            continue
        command = [sys.executable, "-m", f"{__package__}.memory", name, str(threads)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"# left out, {name}: {done.stderr.strip().splitlines()[-1:]}", flush=True)
            continue
        values[name], facts[name] = map(float, done.stdout.split())
    yield Row("memory", "GPT training step, peak above the resting state", threads, "MB", values, {"resting_MB": facts})
    yield growth(threads, 1_000 if quick else 10_000)


def growth(threads: int, cycles: int) -> Row:
    """Growth of the process over compile-and-drop cycles, counted after a tenth of them have warmed it up."""
    warm = cycles // 10
    drop(warm)
    before = resident()
    drop(cycles - warm, start=warm)
    grown = resident() - before
    facts = {"cycles": cycles, "grown_kB": grown / 1024, "resident_MB": before / 2**20}
    return Row("memory", "a function compiled and dropped", threads, "bytes", {"fusewire": grown / (cycles - warm)}, facts)


def drop(cycles: int, start: int = 0) -> None:
    """Make, compile, call and drop that many different functions, every tenth with a gradient."""
    fw = package()
    x = fw.ones(64)
    for n in range(start, start + cycles):
        scope: dict[str, Any] = {}
        exec(f"def f(x):\n    return x * {n}.5 + x.exp()", scope)
        y = x.clone().requires_grad_(n % 10 == 0)
        result = fw.compile(scope.pop("f"))(y)
        if n % 10 == 0:
            result.sum().backward()


def resident() -> int:
    """Bytes of this process that lie in memory."""
    return _status("VmRSS")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(field)))


def peak(contender: str, threads: int) -> tuple[int, int]:
    """(bytes at the peak of three training steps above the resting state, bytes of the resting state). At rest no gradients
    exist, recycled memory is given back, and the allocator has returned what is free."""
    from .models import training

    peers.pin(threads)
    ours = contender.startswith("fusewire")
    library = package() if ours else peers.torch_at(threads)
    step, optimiser = training(zoo.cases()[0], library, contender in ("fusewire", peers.TORCH_COMPILE))
    for _ in range(3):
        step()
    optimiser.zero_grad()
    gc.collect()
    if ours:
        library.memory.release()
    ctypes.CDLL(None).malloc_trim(0)
    before = resident()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    for _ in range(3):
        step()
    return _status("VmHWM") - before, before


if __name__ == "__main__":
    print(*(n / 2**20 for n in peak(sys.argv[1], int(sys.argv[2]))))
