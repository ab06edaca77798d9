"""Hostile and damaged files: no code runs, nothing crashes or fills the memory, and each is a `FileError` or reads as plain data.

What runs is seen by Python's audit events: imports, compilation, commands, files, sockets.
"""

from __future__ import annotations

import enum
import importlib.util
import io
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.errors import FileError, FusewireError
from fusewire.utils import safetensors

_spec = importlib.util.spec_from_file_location("hostile_files", Path(__file__).with_name("hostile.py"))
assert _spec is not None and _spec.loader is not None
hostile_files = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hostile_files)

PLAIN = (dict, list, tuple, set, frozenset, str, bytes, bytearray, int, float, complex, bool, type(None), fw.Tensor, fw.dtype,
fw.device,
         np.ndarray, np.generic, np.dtype, slice, type, fw.Generator)  # fmt: skip
_events: list[str] = []
_watching = [False]
SEEN = ("import", "compile", "exec", "open", "os.", "subprocess", "socket", "shutil", "ctypes", "pickle.find_class", "marshal")


def _audit(event: str, args: Any) -> None:
    if _watching[0] and event.startswith(SEEN):
        _events.append(f"{event} {args!r:.200}")


sys.addaudithook(_audit)


def plain(value: Any, budget: list[int]) -> None:
    """Only data, as far as some thousand parts tell."""
    budget[0] -= 1
    if budget[0] < 0:
        return
    known = isinstance(value, PLAIN) or type(value).__module__.startswith(("fusewire.", "collections"))
    assert known and not isinstance(value, enum.Enum), type(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple, set)) else ()
    for part in list(inner)[:50] if budget[0] > 0 else ():
        plain(part, budget)


def outcome(data: bytes, options: dict[str, Any]) -> str:
    """ "refused" or "read"; anything else is a failure of the test."""
    _events.clear()
    started = time.process_time()
    _watching[0] = True
    try:
        found = fw.load(io.BytesIO(data), **options)
    except FusewireError as error:
        assert isinstance(error, FileError) and "the file" in str(error) and len(str(error)) < 2000, repr(error)
        return "refused"
    finally:
        _watching[0] = False
        assert not _events, _events
        assert time.process_time() - started < 20
    plain(found, [300])
    for t in found.values() if isinstance(found, dict) else [found]:
        if isinstance(t, fw.Tensor) and t.numel() < 1 << 16:
            t.sum()
    return "read"


def sweep(numbers: range) -> dict[str, dict[str, int]]:
    """Outcomes by kind."""
    for codec in ("raw_unicode_escape", "unicode_escape", "latin1", "ascii", "utf-8", "cp437"):
        b"x".decode(codec)  # Python imports them when they are first used
    for options in ({}, {"weights_only": False}):
        fw.load(io.BytesIO(hostile_files.saved()), **options)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts: dict[str, dict[str, int]] = {}
    for n in numbers:
        kind, data, options = hostile_files.hostile(n)
        try:
            done = outcome(data, options)
        except BaseException as error:
            raise AssertionError(f"file {n} ({kind}): {type(error).__name__}: {error}") from error
        row = counts.setdefault(kind, {"refused": 0, "read": 0})
        row[done] += 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kilobytes
    return counts


def test_a_sample_of_hostile_files() -> None:
    """The first 160 of those that ``python tests/files/test_hostile.py 500`` goes through."""
    limits = sys.getrecursionlimit()
    counts = sweep(range(160))
    assert len(counts) == len(set(hostile_files.KINDS)) and sum(sum(row.values()) for row in counts.values()) == 160
    assert counts["calls"]["read"] == counts["places"]["read"] == counts["copies"]["read"] == 0
    assert sys.getrecursionlimit() == limits and fw.serialization.get_safe_globals() == []


@pytest.mark.parametrize("cut", [False, True])
def test_damaged_safetensors_are_errors(cut: bool) -> None:
    pytest.importorskip("safetensors", reason="the library of that format (extra safetensors)")
    whole = safetensors.save({"a": fw.arange(6.0).view(2, 3), "b": fw.ones(2, dtype=fw.bfloat16)}, {"k": "v"})
    d = hostile_files.Draw(7)
    for _ in range(100):
        data = bytearray(whole)
        if cut:
            del data[d.randrange(len(data)) :]
        else:
            data[d.randrange(8)] ^= d.randrange(1, 256)
        with pytest.raises(FileError, match="the data"):
            safetensors.load(bytes(data))


if __name__ == "__main__":
    table = sweep(range(int(sys.argv[1])))
    for kind, row in sorted(table.items()):
        print(f"{kind:16} refused {row['refused']:5} read {row['read']:4}")
    print(sum(sum(r.values()) for r in table.values()), "files, none ran code, none crashed")
