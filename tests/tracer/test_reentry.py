"""Compiled functions called while this thread compiles another (by a signal handler, a finaliser, a callback) run plainly."""

import pytest

import fusewire
from fusewire import knobs
from fusewire.compiler import dispatcher_of
from fusewire.tracer import dispatch


@pytest.mark.parametrize("stage", ["capture", "Variant"])
def test_a_call_from_within_a_compilation_runs_the_function_itself(stage, monkeypatch):
    inner, seen, real = fusewire.compile(lambda x: x * 3), [], getattr(dispatch, stage)

    def interrupted(*args):
        seen.append(inner(fusewire.ones(2)).tolist())
        return real(*args)

    monkeypatch.setattr(dispatch, stage, interrupted)
    monkeypatch.setitem(knobs._values, "disk_cache", False)
    outer = fusewire.compile(lambda x: x + 1)
    assert outer(fusewire.ones(2)).tolist() == [2.0, 2.0]
    assert seen == [[3.0, 3.0]]
    assert not dispatcher_of(inner).variants
    monkeypatch.undo()
    assert inner(fusewire.ones(2)).tolist() == [3.0, 3.0]
    assert len(dispatcher_of(inner).variants) == 1
