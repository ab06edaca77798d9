"""Programs that once differed when compiled: compiled and eager observe the same on every call."""

import sys
from pathlib import Path

import pytest

import fusewire

sys.path.insert(0, str(Path(__file__).parent))
from state_programs import PROGRAMS
from test_adversarial import frozen, same


@pytest.mark.parametrize("program", PROGRAMS, ids=[p.__name__ for p in PROGRAMS])
def test_compiled_observes_what_eager_observes(program):
    want = frozen(program(lambda fn: fn))
    got = frozen(program(fusewire.compile))
    assert same(got, want), f"eager observed\n  {want}\ncompiled observed\n  {got}"
