"""The minimum cut: against the best of all plans on small problems, and the ways to it against each other."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys

import pytest

from fusewire.ir.passes import mincut
from fusewire.ir.passes.mincut import Problem, least


def problem(seed: int, size: int, wanted: float = 0.3) -> Problem[int]:
    """A random problem: each value is computed from some of the four before it, or can only be kept."""
    rng = random.Random(seed)
    keep = {i: rng.randrange(12) for i in range(size)}
    again = {
        i: (rng.randrange(6), [rng.randrange(max(0, i - 4), i) for _ in range(rng.randrange(3))])
        for i in range(1, size) if rng.random() < 0.8
    }  # fmt: skip
    return Problem(keep, again, frozenset(i for i in range(size) if rng.random() < wanted))


def cost(p: Problem[int], keep: set[int], again: set[int]) -> float:
    """What a plan costs; infinite where it does not have what is wanted, or computes from what is not there."""
    had = keep | again
    right = p.wanted <= had and all(v in p.again and set(p.again[v][1]) <= had for v in again) and not keep & again
    return sum(p.keep[v] for v in keep) + sum(p.again[v][0] for v in again) if right else float("inf")


def best(p: Problem[int]) -> float:
    """The least cost, by trying all plans."""
    plans = itertools.product((0, 1, 2), repeat=len(p.keep))
    return min(cost(p, {v for v in p.keep if x[v] == 1}, {v for v in p.keep if x[v] == 2}) for x in plans)


@pytest.mark.parametrize("few", [3, 0, -1])
def test_no_plan_is_cheaper(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mincut, "_FEW", few)
    for seed in range(150):
        p = problem(seed, 1 + seed % 7)
        assert cost(p, *least(p)) == best(p), seed


@pytest.mark.parametrize("wanted", [0.3, 0.02, 0.001])
def test_enumeration_and_flow_agree_on_large_problems(wanted: float, monkeypatch: pytest.MonkeyPatch) -> None:
    p = problem(1, 3000, wanted)
    found = cost(p, *least(p))
    monkeypatch.setattr(mincut, "_FEW", -1)
    assert found == cost(p, *least(p)) < float("inf")


def test_of_plans_that_cost_the_same_the_one_that_keeps_less() -> None:
    assert least(Problem({0: 0, 1: 5}, {1: (5, [0])}, frozenset([1]))) == ({0}, {1})


def test_a_chain_as_long_as_a_large_network() -> None:
    p = Problem(dict.fromkeys(range(20_000), 3), {i: (1, [i - 1]) for i in range(1, 20_000)}, frozenset(range(0, 20_000, 2)))
    keep, again = least(p)
    assert cost(p, keep, again) == 3 + 2 * 9_999


def test_networkx_is_loaded_only_where_enumeration_does_not_do() -> None:
    code = (
        "import sys, fusewire as fw\n"
        "w = fw.randn(8, 8, requires_grad=True)\n"
        "fw.compile(lambda x: fw.tanh(fw.relu(x @ w) @ w).sum())(fw.randn(4, 8)).backward()\n"
        "assert 'networkx' not in sys.modules and w.grad is not None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
