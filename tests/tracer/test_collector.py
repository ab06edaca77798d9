"""The garbage collector while something is compiled, and after it."""

from __future__ import annotations

import gc

import pytest

import fusewire as fw
from fusewire.runtime import collector


def test_the_collector_is_as_before_behind_the_last_of_nested_blocks() -> None:
    assert gc.isenabled()
    with pytest.raises(ValueError, match="inside"), collector.paused():
        with collector.paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
        raise ValueError("inside")
    assert gc.isenabled()


def test_a_collector_that_the_user_switched_off_stays_off() -> None:
    gc.disable()
    try:
        with collector.paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_runs_between_two_graphs_may_collect() -> None:
    seen = []

    @fw.compiler.disable
    def look() -> None:
        seen.append(gc.isenabled())

    def f(x):  # type: ignore[no-untyped-def]
        y = x * 2
        look()
        return y + 1

    assert fw.compile(f)(fw.ones(2)).tolist() == [3.0, 3.0]
    assert seen == [True] and gc.isenabled()
