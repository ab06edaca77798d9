"""Each defect planted into the tracer is found within a bounded number of generated Python programs.

Each Python of the continuous integration plants a third of them; ``--fuzz N`` plants all.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import python_level
import python_run
from tracer_faults import FAULTS, NEEDS

from fusewire import knobs

MOST, SEEDS = 100, 4000
SHARE = {(3, 11): 0, (3, 12): 1}.get(sys.version_info[:2], 2)


def found_at(name: str) -> int | None:
    """The first seed whose program shows the fault, among the first so many that have to do with it."""
    tried = 0
    for seed in range(SEEDS):
        program = python_level.make_python(seed)
        if not re.search(NEEDS.get(name, ""), str(program)):
            continue
        tried += 1
        if tried > MOST:
            break
        with FAULTS[name](), knobs.override(verify=False):
            wrong = python_run.check_python(program)
        if wrong is not None:
            return seed
    return None


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str, request: pytest.FixtureRequest) -> None:
    if list(FAULTS).index(name) % 3 != SHARE and not request.config.getoption("--fuzz"):
        pytest.skip("another Python plants this one")
    seed = found_at(name)
    assert seed is not None, f"{name} goes unnoticed in {MOST} programs"
    print(f"{name}: program {seed}")
    assert python_run.check_python(python_level.make_python(seed)) is None


def test_there_are_enough() -> None:
    assert len(FAULTS) >= 20
