"""Later views of a kind, which ask nothing, are what the first one was: shape, memory, history, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.eager import recall

CALLS = 4
VIEWS: dict[str, Callable[[Any], Any]] = {
    "view": lambda x: x.view(3, 4), "view of a tuple": lambda x: x.view((2, -1)), "reshape": lambda x: x.reshape(12),
    "permute": lambda x: x.permute(1, 0, 2), "transpose": lambda x: x.transpose(0, -1), "expand": lambda x: x.expand(5, 2, 3, 2),
    "squeeze": lambda x: x.squeeze(), "unsqueeze": lambda x: x.unsqueeze(-1), "flatten": lambda x: x.flatten(1),
    "narrow": lambda x: x.narrow(1, 1, 2), "select": lambda x: x.select(2, 1), "mT": lambda x: x.mT,
    "T of a part": lambda x: x[0].T,
    "movedim": lambda x: x.movedim(0, 1), "unfold": lambda x: x.unfold(1, 2, 1), "third of unbind": lambda x: x.unbind(1)[2],
    "new dimensions": lambda x: x[None, ..., 1, None], "an element": lambda x: x[1, 2, 0],
    "second of split": lambda x: x.split(2, 1)[1], "last of chunk": lambda x: x.chunk(2)[-1],
    "contiguous": lambda x: x.contiguous(), "a row": lambda x: x[1], "the last row": lambda x: x[-1],
}  # fmt: skip


@pytest.fixture(autouse=True, params=[300, 1], ids=["", "native"])
def soon(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 1 the third call is machine code, if tensors of its Meta were not met before."""
    monkeypatch.setattr(recall, "WAIT", request.param)
    for known in recall.TABLES:
        known.clear()


@pytest.mark.parametrize("grad", [False, True], ids=["plain", "graded"])
@pytest.mark.parametrize("name", VIEWS)
def test_later_views_are_as_the_first(name: str, grad: bool) -> None:
    made = []
    for _ in range(CALLS):
        x = fw.arange(12.0).reshape(2, 3, 2).clone().requires_grad_(grad)
        y = VIEWS[name](x)
        (y * y).sum().backward() if grad else None
        made.append((y, x))
    first = made[0][0]
    values = first.tolist()
    for y, x in made:
        assert (y.shape, y.stride(), y.storage_offset(), y.requires_grad) == (
            first.shape, first.stride(), first.storage_offset(), grad)  # fmt: skip
        assert (y.grad_fn is None) is (not grad or y is x) and y.tolist() == values
        if grad:
            np.testing.assert_array_equal(x.grad.numpy(), made[0][1].grad.numpy())
        with fw.no_grad():
            y[(0,) * y.ndim] = 77.0
            assert (x == 77).any() and x._version == y._version == 1


def test_views_of_views_know_their_place() -> None:
    base = fw.arange(24.0)
    for _ in range(CALLS):
        for start in (0, 12):
            part = base[start : start + 12]
            assert part.view(3, 4).T.storage_offset() == start
            assert part.view(3, 4)[1].tolist() == base[start + 4 : start + 8].tolist()


def test_no_grad_records_nothing_and_a_stale_view_is_refreshed() -> None:
    for _ in range(CALLS):
        x = fw.ones(2, 3, requires_grad=True)
        with fw.no_grad():
            assert not x.view(6).requires_grad
        y = x * 1
        v = y.view(6)
        y.mul_(2)
        v.view(3, 2).sum().backward()
        assert x.grad.tolist() == [[2.0] * 3] * 2


def test_what_is_wrong_is_wrong_after_right_calls_too() -> None:
    x = fw.zeros(2, 6)
    for _ in range(CALLS):
        assert x.view(3, 4).shape == (3, 4) and x.view((3, 4)).shape == (3, 4)
        with pytest.raises(TypeError):
            x.view(3.0, 4)
        with pytest.raises(TypeError):
            x.view((3, 4.0))
        with pytest.raises(RuntimeError):
            x.view(5)
        with pytest.raises(IndexError):
            x[2]


def test_a_read_only_view_stays_one() -> None:
    for _ in range(CALLS):
        with pytest.raises(RuntimeError, match="more than one"):
            fw.zeros(1, 3).expand(4, 3).add_(1)


def test_compiled_code_follows_them() -> None:
    f = fw.compile(lambda x: x.view(6).unsqueeze(0).T.flatten() + 1, fullgraph=True)
    x = fw.arange(6.0).view(2, 3)
    for _ in range(CALLS):
        assert f(x).tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
