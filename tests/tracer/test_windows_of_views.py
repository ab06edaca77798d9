"""`as_strided` in a region counts from the start of the storage, as in eager, also where an input or a value is a view."""

from __future__ import annotations

import pytest

import fusewire as fw

BASE = fw.arange(24.0).reshape(4, 6)
INPUTS = [BASE, BASE[1:], BASE[2:], BASE + 1, BASE[:2]]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.as_strided((2, 2), (1, 2)) * 2,
        lambda x: x.as_strided((2, 2), (1, 2), 1) * 2,
        lambda x: x[1].as_strided((2, 2), (1, 2)) * 2,
        lambda x: x[1].as_strided((2, 2), (1, 2), 0) * 2,
    ],
    ids=["of an input", "of an input from an offset on", "of a view", "of a view from its storage's start"],
)
def test_windows_begin_where_eager_s_do(function: object) -> None:
    compiled = fw.compile(function)
    for x in INPUTS * 2:
        assert compiled(x).tolist() == function(x).tolist()  # type: ignore[operator]
