"""Compiling many kernels at once: Triton holds Python's lock while it compiles, so processes do it, and leave the code on disk.

    prepare(variants)       returns when what can be compiled ahead is kept; `Variant.load` then finds it

A failure in a worker is no error here: the load compiles that kernel itself, and says what is wrong with it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence

from ... import knobs
from ...runtime import store
from . import compile as compiling
from . import stages
from .kernel import Target, Variant
from .launch import EACH

#: seconds after which a worker is given up
_PATIENCE = 600.0
Work = list[tuple[stages.Build, Target]]


def prepare(variants: Sequence[Variant], processes: int) -> int:
    """Compile what `variants` need and is not kept yet, in up to `processes` processes; how many kernels went to them."""
    work = missing(variants)
    count = min(processes, len(work) // EACH)
    if count < 2 or not store.enabled():
        return 0
    root = __name__.split(".", 1)[0]
    program = f"import sys; sys.path[:] = {sys.path!r}; from {root}.backends.gpu.workers import main; main()"
    running = []
    for n in range(count):
        worker = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert worker.stdin is not None
        with worker.stdin as pipe:
            pickle.dump((knobs.cache_folder(), work[n::count]), pipe)
        running.append(worker)
    for worker in running:
        try:
            worker.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            worker.kill()
    return len(work)


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def missing(variants: Sequence[Variant]) -> Work:
    """What the variants would compile, each once; not users' kernels, which only this process knows."""
    loads = [v.load for v in variants if isinstance(v.load, compiling.Once) and v.load.made is None]
    builds = [(build, load.target) for load in loads for build in load.builds() if not build.user]
    wanted = {compiling.entry(*work): work for work in builds}
    return [work for name, work in wanted.items() if store.get(compiling.KIND, name) is None]


def main() -> None:
    """What a worker does: compile what comes in at its standard input."""
    folder, work = pickle.load(sys.stdin.buffer)
    with knobs.override(cache_dir=folder, disk_cache=True):
        for build, target in work:
            try:
                compiling.machine_code(build, target)
            except Exception:  # the process that needs it compiles it again, and shows why
                continue
