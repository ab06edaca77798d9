"""Globals that a region stores, reads, deletes and stores again."""

from __future__ import annotations

from typing import Any

import fusewire as fw

BEFORE = 1


def _once(x: Any, k: int) -> Any:
    global EXTRA, BEFORE, len
    seen = []
    EXTRA = k
    seen.append(EXTRA)
    try:
        del EXTRA
        seen.append("deleted")
        del EXTRA
    except NameError as error:
        seen.append(str(error))
    try:
        seen.append(BEFORE)
        del BEFORE
        seen.append("EXTRA" in globals())
        seen.append(BEFORE)
    except NameError as error:
        seen.append(str(error))
    BEFORE = k + 1
    try:
        del len
    except NameError as error:
        seen.append(str(error))
    return x + k, seen, BEFORE


def test_stored_and_deleted() -> None:
    global BEFORE
    compiled = fw.compile(_once, backend="interpret")
    for k in (1, 2, 3):
        BEFORE = 10 * k
        want = _once(fw.ones(2), k)
        left = BEFORE, "EXTRA" in globals()
        BEFORE = 10 * k
        got = compiled(fw.ones(2), k)
        assert got[1:] == want[1:]
        assert got[0].tolist() == want[0].tolist()
        assert (BEFORE, "EXTRA" in globals()) == left
