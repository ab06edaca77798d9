"""Iterators that are half run at a graph break, and breaks in the middle of an instruction that has had effects."""

from __future__ import annotations

import collections
import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest

import fusewire as fw

hidden = fw.compiler.disable(lambda x: x)
CASES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []


def case(*args: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def enter(fn: Callable[..., Any]) -> Callable[..., Any]:
        CASES.append((fn, args))
        return fn

    return enter


@case({"a": 1})
def dict_grown_before_its_loop(table: dict[str, int]) -> Any:
    table.update({"z": 1, "y": 2})
    return [hidden(k) for k in table], table


@case([1, 2, 3])
def list_after_next(items: list[int]) -> Any:
    it = iter(items)
    first = next(it, 0)
    hidden(1)
    return first, list(it)


@case([1, 2, 3])
def two_breaks(items: list[int]) -> Any:
    items.append(3)
    it = iter(items)
    first = next(it, 0)
    hidden(1)
    items.append(4)
    second = next(it)
    hidden(1)
    return first, second, list(it), items


@case([5])
def past_the_end_at_entry(items: list[int]) -> Any:
    it = iter(items)
    items.append(9)
    taken = [next(it), next(it)]
    hidden(0)
    items.append(8)
    return taken, list(it)


@case()
def maps_over_iterators() -> Any:
    it = iter([1, 2, 3, 4])
    return next(it), list(map(hidden, it)), list(it), list(zip(iter([1, 2]), map(hidden, [3, 4]), strict=True))


@case([1, 2])
def enumerated(items: list[int]) -> Any:
    it = enumerate(items)
    first = next(it)
    hidden(1)
    items.append(4)
    return first, list(it), collections.deque(map(hidden, items))


@case({"a": 1, "b": 2})
def keys_half_run(table: dict[str, int]) -> Any:
    it = iter(table)
    first = next(it)
    table[first] = hidden(5)
    return first, list(it), table


@case()
def counted() -> Any:
    it = itertools.count(3)
    first = next(it)
    hidden(first)
    return first, next(it), next(it)


@case({5: 1})
def a_dict_that_grows_under_its_loop(table: dict[int, int]) -> Any:
    try:
        for k in table:
            table[k + 1] = 2
    except RuntimeError as error:
        return str(error), table
    return table


@case({5: 1, 6: 2})
def a_dict_that_shrinks(table: dict[int, int]) -> Any:
    seen = []
    try:
        for k, _ in table.items():
            seen.append(k)
            table.pop(k)
    except RuntimeError as error:
        return str(error), table, seen
    return table


@case(19, 3)
def sets_keep_their_order(a: int, b: int) -> Any:
    made = {1, a, b}
    hidden(1)
    return list(made), made, {b, a, 1}, frozenset([a, b, 11, 27])


@pytest.mark.parametrize(("fn", "args"), CASES, ids=lambda x: getattr(x, "__name__", ""))
def test_half_run(fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    compiled = fw.compile(fn, backend="interpret")
    for _ in range(3):
        assert repr(compiled(*copy.deepcopy(args))) == repr(fn(*copy.deepcopy(args)))
