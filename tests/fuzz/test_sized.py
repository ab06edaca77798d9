"""Random programs at five shapes each agree with eager, and most of them compile twice."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import program
import sized

COUNTS: Counter[int] = Counter()
PROGRAMS = 60 if sys.version_info[:2] == (3, 12) else 20


@pytest.mark.parametrize("seed", range(2000, 2000 + PROGRAMS))
def test_program_at_several_sizes(seed: int) -> None:
    made = program.make(seed)
    wrong, variants = sized.check(made)
    COUNTS[variants] += 1
    if wrong is not None:
        pytest.fail(f"{wrong}\nrerun it alone: python tests/fuzz/sized.py {seed}\n\n{made}", pytrace=False)


def test_most_compile_twice() -> None:
    """Runs last. (Some programs need more: loops over sizes, memory that depends on them, branches.)"""
    if COUNTS.total() < PROGRAMS:
        pytest.skip("only a part of the programs ran")
    assert COUNTS[1] + COUNTS[2] >= 0.6 * PROGRAMS, COUNTS
