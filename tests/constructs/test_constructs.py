"""Every row of the construct table: three calls compiled show what three calls of plain Python show, and break where the golden
table says."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import observe
import rows

import fusewire
from fusewire.errors import GraphBreakError

ROWS = rows.load()


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
def test_compiled_is_plain(row: rows.Construct) -> None:
    case, again = row.case(fusewire), row.case(fusewire)
    expected = observe.run(case, case.function, fusewire)
    shown = observe.run(again, fusewire.compile(again.function, backend="interpret"), fusewire)
    found = observe.differences(shown, expected)
    assert not found, "\n".join(found)


def _verdict(row: rows.Construct) -> str:
    case = row.case(fusewire)
    compiled = fusewire.compile(case.function, backend="interpret", fullgraph=True)
    error: Any = observe.break_of(case, compiled, GraphBreakError)
    return "one graph" if error is None else error.record.code


def test_where_rows_break(golden: Callable[[str, str], None]) -> None:
    """A row that gets better or worse shows here: ``pytest --update-golden``, then read the diff."""
    golden("constructs.txt", "\n".join(f"{_verdict(row):28}{row.name}" for row in ROWS))
