"""A list, set, dict or tuple display that a graph break cuts in two is the same container behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import fusewire as fw

hidden = fw.compiler.disable(lambda x: x)


def _starred(*x: int) -> Any:
    *a, b = *x, 7, hidden(4)
    return a, b, (*x, hidden(1)), sum((*x, hidden(2)))


def _sets(*x: int) -> Any:
    return {*x, hidden(4), *x}, {hidden(k) for k in x}


def _dicts(*x: int) -> Any:
    large = {str(k): k for k in range(40)}
    made = {**large, "z": hidden(1), **large, "q": 2}
    return made, {hidden(k): k for k in range(40)}, {**made, "0": hidden(x)}


def _calls(*x: int) -> Any:
    large = {str(k): k for k in range(40)}
    hidden(1)
    try:
        return len(dict(**large, w=hidden(1))), dict(**large, **{"3": 1})
    except TypeError as error:
        return str(error)


@pytest.mark.parametrize("fn", [_starred, _sets, _dicts, _calls])
def test_displays_across_a_break(fn: Callable[..., Any]) -> None:
    compiled = fw.compile(fn, backend="interpret")
    for x in ((1, 2), (2, 3), (), (5, 5, 6)):
        want, got = fn(*x), compiled(*x)
        assert got == want
        assert repr(got) == repr(want)
