"""Attributes that a user gives a tensor are read by compiled code as by eager code, whether they come, change or go."""

from __future__ import annotations

from typing import Any

import pytest

import fusewire as fw
from fusewire import nn


def test_attributes_come_change_and_go() -> None:
    def f(x: Any) -> Any:
        return x * getattr(x, "scale", 1.0) + (1 if hasattr(x, "tag") else 0)

    g, x = fw.compile(f, fullgraph=True), fw.ones(2)
    steps = [lambda: None, lambda: setattr(x, "scale", 3.0), lambda: setattr(x, "scale", 4.0), lambda: setattr(x, "tag", "a"),
             lambda: delattr(x, "scale"), lambda: delattr(x, "tag")]  # fmt: skip
    seen = []
    for step in steps:
        step()
        seen.append(g(x).tolist())
        assert seen[-1] == f(x).tolist() == g(x).tolist()
    assert seen == [[1.0, 1.0], [3.0, 3.0], [4.0, 4.0], [5.0, 5.0], [2.0, 2.0], [1.0, 1.0]]


def test_what_a_parameter_holds_is_followed() -> None:
    layer = nn.Linear(2, 2)
    layer.weight.factors = [1, 2]

    @fw.compile(fullgraph=True)
    def h(x: Any) -> Any:
        return x @ layer.weight * layer.weight.factors[0]

    x = fw.ones(1, 2)
    for factor in (1, 5):
        layer.weight.factors[0] = factor
        assert fw.equal(h(x), x @ layer.weight * factor)


def test_one_that_is_not_there_is_pythons_error() -> None:
    @fw.compile(fullgraph=True)
    def f(x: Any) -> Any:
        try:
            return x.nothing
        except AttributeError as error:
            return str(error)

    assert f(fw.ones(2)) == "'Tensor' object has no attribute 'nothing'"
    with pytest.raises(AttributeError, match="nothing"):
        fw.compile(lambda x: x.nothing)(fw.ones(2))
