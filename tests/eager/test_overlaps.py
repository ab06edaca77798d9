"""Writing where an operand is read: refused where windows overlap in part, as by PyTorch; a tensor beside itself is taken."""

from __future__ import annotations

from typing import Any

import pytest

import fusewire as fw

REFUSED: list[Any] = [
    lambda x: fw.add(x[:-1], 1, out=x[1:]),
    lambda x: fw.mul(x[1:], 2.0, out=x[:-1]),
    lambda x: fw.exp(x[:-1], out=x[1:]),
    lambda x: fw.clamp(x[:-1], 1, 2, out=x[1:]),
    lambda x: fw.cat([x[:3], x[3:6]], out=x[1:7]),
    lambda x: fw.stack([x[:3], x[3:6]], out=x[:6].view(2, 3)),
    lambda x: fw.where(x[:-1] > 1, x[:-1], 0.0, out=x[1:]),
    lambda x: fw.mul(x.view(2, 4)[:, :2].reshape(2, 2), x[:4].view(2, 2), out=x[:4].view(2, 2).t()),
    lambda x: x[1:].add_(x[:-1]),
    lambda x: x[1:].mul_(x[:-1]),
    lambda x: x[1:].copy_(x[:-1]),
    lambda x: x.__setitem__(slice(1, None), x[:-1]),
    lambda x: x[:4].view(2, 2).add_(x[:4].view(2, 2).t()),
]
TAKEN: list[Any] = [
    lambda x: fw.add(x, 1, out=x),
    lambda x: fw.add(x[1:], 1, out=x[1:]),
    lambda x: fw.add(x[:4], 1, out=x[4:]),
    lambda x: fw.add(x[::2], 1, out=x[1::2]),
    lambda x: x.add_(x),
    lambda x: x[:4].add_(x[4:]),
    lambda x: x.copy_(x.flip(0)),
    lambda x: x.__setitem__([0, 1, 2], x[1:4]),
    lambda x: x[:0].add_(x[0:1]),
    lambda x: x.__setitem__(slice(None), x[2]),
    lambda x: x.view(2, 4).__setitem__(slice(None), x[4:]),
    lambda x: x.view(2, 4).__setitem__(slice(0, 1), x[:4]),
    lambda x: x[:6].__setitem__(slice(1, None), x[3:4]),
    lambda x: x.fill_(x[5]),
]


@pytest.mark.parametrize("fn", REFUSED, ids=range(len(REFUSED)))
def test_refused(fn: Any) -> None:
    for run in (fn, fw.compile(fn)):
        x = fw.arange(8.0)
        with pytest.raises(RuntimeError, match="input tensor and the written-to tensor refer to a single memory location"):
            run(x)
        assert x.tolist() == [*range(8)]


@pytest.mark.parametrize("fn", TAKEN, ids=range(len(TAKEN)))
def test_taken(fn: Any) -> None:
    for run in (fn, fw.compile(fn)):
        for _ in range(2):
            x, copy = fw.arange(8.0), fw.arange(8.0)
            run(x)
            fn(copy)
            assert x.tolist() == copy.tolist()
