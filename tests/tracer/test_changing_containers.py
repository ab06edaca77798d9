"""Every in-place operator and changing method of every built-in container that comes from outside: the object itself changes,
on each call, as in plain Python."""

from __future__ import annotations

import collections
import copy
import operator
from collections.abc import Callable
from typing import Any

import pytest

import fusewire as fw

SYMBOLS = {"|=": "ior", "&=": "iand", "-=": "isub", "^=": "ixor", "+=": "iadd", "*=": "imul"}
OPERATORS = {
    "ior": operator.ior, "iand": operator.iand, "isub": operator.isub, "ixor": operator.ixor, "iadd": operator.iadd,
    "imul": operator.imul,
}  # fmt: skip
OTHERS: list[Any] = [{"b": 7, "z": 8}, {1, 9}, [("z", 5)], [4], (4,), 2, collections.Counter(a=2), collections.OrderedDict(z=3)]
FILLED: list[Any] = [
    [3, 1, 2], {"a": 1, "b": 2}, {1, 2}, collections.OrderedDict(a=1, b=2), collections.defaultdict(int, a=1),
    collections.Counter(a=3, b=1), collections.deque([3, 1, 2]), collections.deque([3, 1, 2], 3),
]  # fmt: skip
METHODS: dict[str, Callable[[Any], Any]] = {
    "move_to_end": lambda d: d.move_to_end("a"), "popitem": lambda d: d.popitem(), "pop": lambda d: d.pop("a"),
    "setdefault": lambda d: d.setdefault("k", 4), "clear": lambda d: d.clear(), "reverse": lambda d: d.reverse(),
    "rotate": lambda d: d.rotate(1), "appendleft": lambda d: d.appendleft(5), "extendleft": lambda d: d.extendleft([5, 6]),
    "popleft": lambda d: d.popleft(), "insert": lambda d: d.insert(1, 8), "sort": lambda d: d.sort(),
    "update": lambda d: d.update({9: 1}), "difference_update": lambda d: d.difference_update({1}),
    "symmetric_difference_update": lambda d: d.symmetric_difference_update({1, 5}), "subtract": lambda d: d.subtract({"a": 1}),
}  # fmt: skip


def outcomes(fn: Callable[..., Any], filled: Any, *others: Any) -> list[str]:
    """Two calls, each on a copy of a container: what is given or raised, what the container is then, whether it is the same."""
    out = []
    for _ in range(2):
        given = copy.copy(filled)
        try:
            result: Any = fn(fw.ones(2), given, *others)
            result = "itself" if result is given else repr(result)
        except (TypeError, KeyError, IndexError, ValueError, AttributeError) as error:
            result = type(error).__name__
        out.append(f"{result} {given!r}")
    return out


@pytest.mark.parametrize("name", OPERATORS)
def test_in_place_operators(name: str) -> None:
    changed = 0
    for other in OTHERS:
        for filled in FILLED:
            def fn(x: Any, given: Any, do: Any = OPERATORS[name], other: Any = other) -> Any:
                return do(given, other)

            plain = outcomes(fn, filled)
            assert outcomes(fw.compile(fn), filled) == plain, (name, filled, other)
            changed += f"itself {filled!r}" not in plain and "itself" in plain[0]
    assert changed


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_augmented_assignments_and_named_methods(symbol: str) -> None:
    names: dict[str, Any] = {}
    exec(f"def augmented(x, given, other):\n    given {symbol} other\n    return given\n", names)
    exec(f"def named(x, given, other):\n    return given.__{SYMBOLS[symbol]}__(other)\n", names)
    for fn in (names["augmented"], names["named"]):
        compiled = fw.compile(fn)
        for other in OTHERS:
            for filled in FILLED:
                assert outcomes(compiled, filled, other) == outcomes(fn, filled, other), (symbol, filled, other)


@pytest.mark.parametrize("name", METHODS)
def test_methods(name: str) -> None:
    served = [f for f in FILLED if hasattr(f, name)]
    assert served
    for filled in served:
        def fn(x: Any, given: Any, do: Any = METHODS[name]) -> Any:
            return do(given)

        plain = outcomes(fn, filled)
        assert outcomes(fw.compile(fn), filled) == plain, (name, filled)
