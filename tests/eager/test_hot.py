"""Heavy eager ops as compiled graphs: what counts as one kind of call, and what happens where nothing can be built."""

from __future__ import annotations

import math
from typing import Any

import pytest

import fusewire as fw
from fusewire import knobs, pipeline
from fusewire.eager import hot


def test_numbers_that_compare_equal_are_kinds_of_their_own() -> None:
    x = fw.ones(200, 200)
    for number in (0.0, -0.0):
        for _ in range(4):
            found = fw.where(x > 0, number, x)[0, 0].item()
        assert math.copysign(1, found) == math.copysign(1, number)


def test_a_number_equal_to_nothing_is_one_kind() -> None:
    x = fw.ones(200, 200)
    with knobs.override(hot_ops=True):
        hot._found.clear()
        for _ in range(5):
            fw.where(x > 0, float("nan"), x)
    assert len(hot._found) == 1


def test_what_cannot_be_built_runs_in_numpy_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(graph: Any) -> Any:
        raise KeyError("a defect")

    monkeypatch.setattr(pipeline, "compile_graph", refuse)
    x = fw.ones(210, 210)
    fw.softmax(x, -1)
    fw.softmax(x, -1)
    with pytest.warns(RuntimeWarning, match="NumPy runs it: KeyError: 'a defect'"):
        fw.softmax(x, -1)
    assert float(fw.softmax(x, -1)[0, 0]) == pytest.approx(1 / 210)
