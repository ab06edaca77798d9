"""1,000 random Python programs, compiled, do what plain CPython does; the programs cover the pieces, constructs and opcodes.

How many: ``--fuzz N`` programs; without it 1,000 on CPython 3.12 and 250 on the others. One alone, cut down where it differs:
``python tests/fuzz/python_run.py SEED``.
"""

from __future__ import annotations

import dis
import sys
import types
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import python_level
import python_run

from fusewire.tracer import bytecode

PARTS = 20
COVERED: Counter[str] = Counter()
DONE: set[int] = set()


def count(config: pytest.Config) -> int:
    """How many programs to run."""
    return config.getoption("--fuzz") or (1000 if sys.version_info[:2] == (3, 12) else 250)


@pytest.mark.parametrize("part", range(PARTS))
def test_programs(part: int, request: pytest.FixtureRequest) -> None:
    for seed in range(part, count(request.config), PARTS):
        program = python_level.make_python(seed)
        COVERED.update(program.coverage)
        COVERED.update(opcodes(compile(program.source, "<generated>", "exec", dont_inherit=True)))
        if python_run.check_python(program) is not None:
            pytest.fail(python_run.report(seed), pytrace=False)
    DONE.add(part)


def opcodes(code: types.CodeType) -> Iterator[str]:
    """The instructions of the functions in `code`, each function's once."""
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from {instr.opname for instr in dis.get_instructions(inner)}
            yield from opcodes(inner)


def modelled() -> set[str]:
    """The real instructions of this Python that the tracer follows."""
    never = set(bytecode.NOT_MODELLED)
    return {op for op, number in dis.opmap.items() if number < 256 and op not in never and not op.startswith("INSTRUMENTED")}


def test_coverage(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs last: what the programs above were made of."""
    if len(DONE) != PARTS:
        pytest.skip("only a part of the programs ran")
    total = count(request.config)
    pieces = python_level.constructs()
    rare = sorted(pieces, key=lambda name: COVERED[name])[:3]
    followed = modelled()
    missing = sorted(op for op in followed if not COVERED[op])
    with capsys.disabled():
        print(f"\n{total} Python programs; {len(pieces)} pieces, rarest: {', '.join(f'{p[6:]!r} {COVERED[p]}' for p in rare)}")
        print(f"  {len(followed) - len(missing)} of {len(followed)} opcodes; not in them: {', '.join(missing) or 'none'}")
    least = total // 200
    assert not [p for p in pieces if COVERED[p] < least]
    assert len(followed) - len(missing) >= 0.85 * len(followed)
