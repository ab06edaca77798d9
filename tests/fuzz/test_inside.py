"""Random programs that call backward() themselves agree with eager: results, effects, gradients."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import inside
import program

import fusewire as fw


@pytest.mark.parametrize("start", range(0, 24, 4))
def test_backward_inside_of_random_programs(start: int) -> None:
    for seed in range(start, start + 4):
        assert inside.report(seed) == ""


def test_a_wrong_gradient_is_found() -> None:
    def wrong(function: object) -> object:
        compiled = fw.compile(function)

        def call(*args: object, **keywords: object) -> object:
            out, gradients = compiled(*args, **keywords)  # type: ignore[operator, misc]
            return [out, [g if g is None else g * 2 for g in gradients]]

        return call

    assert any(inside.attempt(program.make(seed), wrong) for seed in range(8))  # type: ignore[arg-type]
