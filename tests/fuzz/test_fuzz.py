"""1,000 random programs: every way of running agrees, and the generators cover each record, dtype, rule and effect.

How many: ``--fuzz N`` graphs and Python programs in all; without it 1,000 on CPython 3.12 and 250 on the others, where only the
tracer's opcode tables differ. ``pytest tests/fuzz -k "program and seed17-"`` runs one.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import graph_level
import program
import run

#: a thousand programs hold each record this often at least
LEAST = 5
COVERED: Counter[str] = Counter()
DONE: Counter[str] = Counter()
DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")


def wanted(config: pytest.Config) -> tuple[int, int]:
    """(graphs, Python programs) to run."""
    total = config.getoption("--fuzz") or (1000 if sys.version_info[:2] == (3, 12) else 250)
    return total * 3 // 10, total - total * 3 // 10


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        count = wanted(metafunc.config)["program" in metafunc.function.__name__]
        metafunc.parametrize("seed", range(count), ids=[f"seed{k}-" for k in range(count)])


def test_graph(seed: int) -> None:
    case = graph_level.grow(seed)
    COVERED.update(case.coverage)
    DONE["graphs"] += 1
    if graph_level.attempt(case) is not None:
        pytest.fail(run.report_graph(seed), pytrace=False)


def test_program(seed: int) -> None:
    made = program.make(seed)
    COVERED.update(made.coverage)
    DONE["programs"] += 1
    if run.attempt(made) is not None:
        pytest.fail(run.report(seed), pytrace=False)


def test_coverage(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs last: what the programs above were made of."""
    graphs, programs = wanted(request.config)
    if (DONE["graphs"], DONE["programs"]) != (graphs, programs):
        pytest.skip("only a part of the programs ran")
    least = LEAST if graphs + programs >= 1000 else 1
    groups = {
        "records": [f"op {op.name}" for op in graph_level.every_op()],
        "dtypes": [f"dtype {name}" for name in DTYPES],
        "rules": [*(f"rule {name}" for name in graph_level.RULES), "rule fold"],
        "effects": ["effect write-back", *program.kinds()],
    }
    with capsys.disabled():
        print(f"\n{graphs} graphs and {programs} Python programs; each thing below at least {least} times")
        for group, names in groups.items():
            rare = sorted(names, key=lambda name: COVERED[name])[:4]
            print(f"  {len(names):3} {group:8} rarest: " + ", ".join(f"{n.partition(' ')[2]} {COVERED[n]}" for n in rare))
    missing = {n: COVERED[n] for names in groups.values() for n in names if COVERED[n] < least}
    chance = 0 if least > 1 else sum(map(len, groups.values())) // 20  # fewer programs may leave some things out
    assert len(missing) <= chance, missing
    assert set(graph_level.BAIT) == set(graph_level.RULES), "every rule of canonicalise.py has a bait in graph_level.py"
