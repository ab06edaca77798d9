"""Numbers from outside of different kinds meet: sizes, ints, floats and floats of sizes; none is read without a guard."""

from __future__ import annotations

import collections
import operator
from typing import Any

import pytest

import fusewire as fw
from fusewire.tracer.symbols import Symbols

#: each number differs between calls, so that by and by all are symbolic; 2 and more may be sizes, 0 and 1 never are
PAIRS = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1), (3, 5), (5, 2), (4, 0), (2, -1)]
OPS = ["add", "sub", "mul", "floordiv", "mod", "truediv", "pow", "and_", "or_", "xor", "lshift", "eq", "lt", "ge"]


@pytest.mark.parametrize("name", OPS)
def test_sizes_and_ints(name: str) -> None:
    op = getattr(operator, name)

    def both(a: int, b: int) -> Any:
        try:
            return op(a, b), op(b, a), sum((a, b)), divmod(a, b)
        except (ZeroDivisionError, ValueError) as error:
            return str(error)

    compiled = fw.compile(both, backend="interpret")
    for a, b in PAIRS:
        assert compiled(a, b) == both(a, b), (a, b)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv"])
def test_floats_of_sizes_and_numbers(name: str) -> None:
    op = getattr(operator, name)

    def scaled(x: Any, rate: float, k: int) -> Any:
        share = 1 / x.shape[0]
        return op(share, rate), op(rate + 1.0, share), op(share, k + 1), x * op(share, rate + 1.0)

    compiled = fw.compile(scaled, backend="interpret")
    for n, rate, k in [(2, 0.5, 1), (3, 1.5, 2), (4, 1.5, 3), (5, 2.5, 3), (5, 3.5, 4), (6, 0.25, 1)]:
        x = fw.ones(n)
        want, got = scaled(x, rate, k), compiled(x, rate, k)
        assert got[:3] == want[:3]
        assert got[3].tolist() == want[3].tolist()


def test_texts_of_exceptions() -> None:
    def texts(n: int, rate: float) -> Any:
        try:
            raise ValueError(n, [rate, n + 1])
        except ValueError as error:
            return repr(error), str(error), f"{error}", error.args

    compiled = fw.compile(texts, backend="interpret")
    for n, rate in [(2, 0.5), (2, 0.5), (3, 0.5), (4, 1.5), (5, 2.5)]:
        assert compiled(n, rate) == texts(n, rate)


def test_remainders_of_remainders_become_numbers() -> None:
    known = Symbols(lambda: "here")
    a, b = known.given_int(5), known.given_int(7)
    for _ in range(40):  # the form of the sum would double with each turn
        a = (a * 2 + b) % 97
    assert type(a) is int


def test_long_loops_over_numbers() -> None:
    def mixed(seed: int, items: list[int]) -> int:
        for x in items:
            seed = (seed * 2 + x) % 97 // 2
        return seed

    compiled = fw.compile(mixed, backend="interpret")
    for k in (3, 4, 5, 6, 8):
        items = [k + j for j in range(20)]
        assert compiled(k, items) == mixed(k, items)


def test_texts_of_named_tuples() -> None:
    pair = collections.namedtuple("pair", "left right")

    def texts(n: int) -> Any:
        made = pair(n, [n + 1])
        return str(made), f"{made}", repr((made, n)), made

    compiled = fw.compile(texts, backend="interpret")
    for n in (2, 2, 3, 4, 5):
        assert compiled(n) == texts(n)
