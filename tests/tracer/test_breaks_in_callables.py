"""A graph break inside of an object's ``__call__``, a submodule's ``forward`` above all: what lies around it is compiled, too."""

from __future__ import annotations

from typing import Any

import pytest

import fusewire as torch
from fusewire import nn


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        y = self.layer(x).sin() * 2
        if x.sum() > 100:
            return y.cos()
        return (y * x).tanh() + 1


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.rest = nn.Sequential(Block(), nn.ReLU(), Block())

    def forward(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x) * 0.5
        return self.rest(x) + 1


class Scale:
    def __call__(self, x: Any) -> Any:
        y = x * 2
        if y.sum() > 1000:
            return y + 1
        return y - 1


SCALE = Scale()


def scaled(x: Any) -> Any:
    return SCALE(x) * 3


@pytest.mark.parametrize("make", [Net, Block, lambda: scaled, lambda: SCALE], ids=["Net", "Block", "function", "object"])
def test_every_operation_is_in_a_graph(make: Any) -> None:
    torch.manual_seed(3)
    plain = make()
    compiled = torch.compile(plain)
    for factor in (1.0, 1000.0, 2.0, 1000.0):
        x = torch.ones(3, 4) * factor
        assert torch.allclose(compiled(x), plain(x))
    page = torch.explain(plain)(torch.ones(3, 4))
    assert {record.code for record in page.breaks} <= {"tensor-branch", "outer-iterator"}  # a loop goes on item by item
    asked = [record for record in page.breaks if record.code == "tensor-branch"]
    assert asked and all(record.where.function in ("forward", "__call__") for record in asked)
    names = {node.op.name for graph in page.graphs for node in graph.nodes}
    assert {"gt"} < names and names & {"sin", "mul"}
