"""Each planted defect is found within a bounded number of programs, and the program that finds it agrees without the defect."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import graph_level
import program
import run
import sized
from faults import FAULTS, Fault

import fusewire as fw
from fusewire import knobs

MOST = 400


def attempt(fault: Fault, seed: int) -> str | None:
    """What the program of a seed shows, compiled as the fault asks."""
    if fault.level == "graph":
        return graph_level.attempt(graph_level.grow(seed), (fault.backend,))
    if fault.level == "sized":
        return sized.check(program.make(seed))[0]
    return run.attempt(program.make(seed), lambda f: fw.compile(f, backend=fault.backend))


def found_at(fault: Fault) -> int | None:
    """The first seed whose program shows the fault."""
    for seed in range(MOST):
        with fault.plant():
            wrong = attempt(fault, seed)
        if wrong is not None:
            return seed
    return None


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_a_planted_fault_is_found(fault: Fault) -> None:
    with knobs.override(verify=False):  # the programs are to find it, not the verifier
        seed = found_at(fault)
        assert seed is not None, f"{fault.name} goes unnoticed in {MOST} programs"
        print(f"{fault.name}: program {seed}")
        assert attempt(fault, seed) is None


def test_there_are_enough() -> None:
    assert len(FAULTS) >= 20 and len({f.name for f in FAULTS}) == len(FAULTS)
