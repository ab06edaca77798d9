"""What native code says of values that the run alone knows is never caught by the user's handlers."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

import fusewire as fw


def _joined(items: list[int], x: Any) -> Any:
    try:
        random.shuffle(items)
        text = ",".join(str(t) for t in items) + "-".join(f"{v:.1f}" for v in x.tolist())
    except Exception as error:
        return repr(error)
    return text, items


def _listed(items: list[int], x: Any) -> Any:
    try:
        value = x.sum().item()
        made = bytes([1]) + str(value).encode(), [value] * 2, max(value, 1.0)
        return made, sorted([value, 2.0]), {"v": value}, divmod(value, 2.0)
    except Exception as error:
        return repr(error)


def _misused(items: list[int], x: Any) -> Any:
    seen = []
    for use in (lambda v: [1, 2][v], lambda v: "a" + v, lambda v: int("7", v), lambda v: len(v), lambda v: range(v)):
        try:
            seen.append(use(x.sum().item()))
        except (TypeError, ValueError, IndexError) as error:
            seen.append(repr(error))
    return seen


@pytest.mark.parametrize("fn", [_joined, _listed, _misused])
def test_in_a_try(fn: Callable[..., Any]) -> None:
    compiled = fw.compile(fn, backend="interpret")
    for k in range(3):
        random.seed(k)
        want = fn([1, 2, 3, k], fw.tensor([1.0, 2.5, k]))
        random.seed(k)
        assert compiled([1, 2, 3, k], fw.tensor([1.0, 2.5, k])) == want


def test_callable_asks_the_type() -> None:
    def ask(x: Any) -> Any:
        return [callable(v) for v in (random.choice("abc"), x.sum().item(), random.choice, x.sum().item)]

    assert fw.compile(ask, backend="interpret")(fw.ones(2)) == [False, False, True, True]
