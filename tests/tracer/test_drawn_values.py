"""random, numpy.random and clocks inside of the region: the numbers of this call, drawn in the program's order, in one graph."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import compiler

X = fw.arange(4.0)
OWN = random.Random(5)
GENERATOR = np.random.default_rng(3)
STATE = np.random.RandomState(8)


def _seed() -> None:
    random.seed(1)
    np.random.seed(2)
    OWN.seed(7)
    STATE.seed(4)
    GENERATOR.bit_generator.state = np.random.default_rng(3).bit_generator.state


def run(fn: Callable[..., Any], capsys: Any) -> Any:
    """Three calls, what they print, and where the generators stand afterwards."""
    _seed()
    results = [repr(fn(x.clone())) for x in (X, X + 1, X - 2.5)]
    after = random.random(), np.random.rand(), OWN.random(), GENERATOR.random(), STATE.rand()
    return results, capsys.readouterr().out, after


def factors(x):
    a = random.random()
    print("a", a)
    b = random.uniform(0, 2) * 2 + a
    y = x * a + b
    return y, random.randint(1, 6), random.choice([1.5, 2.5]), y / (1 + b)


def chosen(x):
    n = random.randint(1, 6)
    items = [1, 2, 3, 4]
    random.shuffle(items)
    x = x + random.gauss(0, 1) * n
    return x * OWN.random(), items, random.sample(range(10), 3), n + 1, random.choices("abc", k=2)


def of_numpy(x):
    s = np.random.rand()
    t = GENERATOR.normal(0.0, 2.0)
    print("s", s)
    y = x * s + t
    return y, np.random.randint(5), STATE.uniform(1, 2), np.random.default_rng(9).random(), int(STATE.randint(3, 9)) * y


def seeded(x):
    random.seed(4)
    np.random.seed(5)
    return x * random.random() - np.random.randn()


def only_returned(x):
    return x * 2, [random.random() for _ in range(3)], GENERATOR.integers(5), OWN.getrandbits(8)


@pytest.mark.parametrize("backend", ["interpret", "cpu"])
@pytest.mark.parametrize("fn", [factors, chosen, of_numpy, seeded, only_returned], ids=lambda f: f.__name__)
def test_one_graph(fn: Any, backend: str, capsys: Any) -> None:
    expected = run(fn, capsys)
    compiled = compiler.compile(fn, fullgraph=True, backend=backend)
    assert run(compiled, capsys) == expected
    assert len(compiler.dispatcher_of(compiled).variants) == 1


def test_a_number_that_steers_breaks(capsys: Any) -> None:
    def fn(x):
        print("first", random.random())
        if random.random() < 0.5:
            return x
        return x * random.random()

    expected = run(fn, capsys)
    compiled = compiler.compile(fn, backend="interpret")
    assert run(compiled, capsys) == expected
    assert {v.capture.break_.code for v in compiler.dispatcher_of(compiled).variants} == {"late-value"}


def test_a_graph_that_may_raise_draws_once(capsys: Any) -> None:
    def fn(x):
        y = x * random.random()
        assert y.max() < 1000
        return y.gather(0, fw.tensor(2).to(fw.int64).reshape(1)), random.random()

    expected = run(fn, capsys)
    compiled = compiler.compile(fn, backend="interpret")
    assert run(compiled, capsys) == expected


def test_a_clock_measures_the_graph() -> None:
    def fn(x):
        print(end="")
        begun = time.perf_counter()
        for _ in range(20):
            x = (x @ x).tanh()
        done = time.perf_counter()
        return x, done - begun, begun

    compiled = compiler.compile(fn, fullgraph=True)
    x = fw.randn(200, 200)
    compiled(x)
    before = time.perf_counter()
    _, taken, begun = compiled(x)
    behind = time.perf_counter()
    assert before <= begun <= begun + taken <= behind
    assert taken > 0.3 * (behind - before)


def test_a_clock_behind_a_pause_is_read_behind_it() -> None:
    def fn(x):
        begun = time.time()
        time.sleep(0.02)
        done = time.time()
        return x * 2, done - begun

    compiled = compiler.compile(fn, fullgraph=True)
    assert compiled(X)[1] >= 0.019
    assert compiled(X)[1] >= 0.019


def test_a_time_is_an_operand() -> None:
    compiled = compiler.compile(lambda x: x * 0 + time.time(), fullgraph=True, dynamic=False)
    before = time.time()
    first, second = (compiled(X.to(fw.float64)).max().item() for _ in range(2))
    assert before <= first < second <= time.time()
