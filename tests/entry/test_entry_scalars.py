"""Rows of arithmetic on the caller's numbers against `runtime.arithmetic`, which CPython does."""

from __future__ import annotations

import itertools
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from fusewire.runtime import guard as g
from fusewire.runtime import peek
from fusewire.runtime import source as s

sys.path.insert(0, str(Path(__file__).parent))
from entry_kit import guarded, small_classes  # noqa: F401

INTS = [0, 1, -1, 2, 3, 7, -5, 2**31, 2**53, 2**53 + 1, 2**62, -(2**63), 2**63 - 1, 2**70]
FLOATS = [0.0, -0.0, 1.0, 0.5, -2.5, 1e-320, 2.0**53, 1e308, float("inf"), float("-inf"), float("nan")]
OPS = ["+", "-", "*", "/", "//", "%", "<", "<=", ">", ">=", "==", "!="]


def two(a: Any, b: Any) -> Any:
    return "missed"


A, B = s.Arg(0, "a"), s.Arg(1, "b")


def agrees(guards: list[g.Guard], values: list[tuple[Any, Any]]) -> int:
    """How often the native form hits; it may miss what the Python form accepts only for numbers of more than 53 bits."""
    call, _ = guarded(two, *guards)
    hits = 0
    for pair in values:
        native = call(*pair) == ()
        oracle = g.first_failure(guards, pair) is None
        assert oracle or not native, (guards, pair)
        large = any(isinstance(x, int) and abs(x) > 2**53 for x in pair)
        overflows = type(pair[0]) is int and type(pair[1]) is int and abs(pair[0] * pair[1]) >= 2**53
        negative = type(pair[1]) is int and pair[1] < 0
        assert native or not oracle or large or overflows or negative, (guards, pair)
        hits += native
    return hits


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("kinds", [(int, int), (int, float), (float, int), (float, float)])
def test_one_operation(op: str, kinds: tuple[type, type]) -> None:
    pools = [INTS if kind is int else FLOATS for kind in kinds]
    values = list(itertools.product(*pools))
    types: list[g.Guard] = [g.TypeIs(x, kind) for x, kind in zip((A, B), kinds, strict=True)]
    made = s.Computed(op, (A, B))
    if op in OPS[6:]:
        assert all(agrees([*types, g.Holds(made, truth)], values) for truth in (True, False))
        return
    whole = kinds == (int, int) and op != "/"
    assert agrees([*types, g.TypeIs(made, int if whole else float)], values)
    for a, b in values:
        try:
            expected = made.load((a, b))
        except ValueError:
            continue
        if expected == expected:
            holds = [*types, g.TypeIs(made, type(expected)), g.Holds(s.Computed("==", (made, expected)), True)]
            agrees(holds, [(a, b), (b, a)] if kinds[0] is kinds[1] else [(a, b)])


def test_random_expressions() -> None:
    rng = random.Random(5)

    def grown(depth: int) -> Any:
        if depth == 0:
            return rng.choice([A, B, 2, 3, 0.5, -1])
        op = rng.choice(
            ["+", "-", "*", "/", "%", "//", "**", "float", "math.sqrt", "math.exp", "math.log", "math.cos", "math.tanh"]
        )
        return s.Computed(op, tuple(grown(depth - 1) for _ in range(2 if len(op) < 3 else 1)))

    hits = 0
    for _ in range(300):
        made = s.Computed(rng.choice(OPS[6:]), (grown(rng.randrange(3)), grown(2)))
        values = [(rng.choice(INTS[:8]), rng.choice(FLOATS[:8])) for _ in range(8)]
        guards: list[g.Guard] = [g.TypeIs(A, int), g.TypeIs(B, float), g.Holds(made, True)]
        call, _ = guarded(two, *guards)
        for pair in values:
            native, oracle = call(*pair) == (), g.first_failure(guards, pair) is None
            assert oracle or not native, (made.expr(), pair)
            hits += native
    assert hits > 100


def test_what_a_range_gives_next() -> None:
    guards: list[g.Guard] = [
        g.TypeIs(A, peek.RANGE), g.HasNext(A, True), g.TypeIs(B, int), g.Holds(s.Computed("<", (s.Next(A), B)), True),
    ]  # fmt: skip
    call, _ = guarded(two, *guards)
    for start, stop, step in [(0, 5, 1), (5, -4, -3), (3, 3, 1), (-7, 90, 11)]:
        it = iter(range(start, stop, step))
        for _ in range(12):
            for bound in (-2, 0, 4, 50):
                assert (call(it, bound) == ()) == (g.first_failure(guards, (it, bound)) is None)
            next(it, None)
    assert call(iter([1]), 5) == "missed"


@pytest.mark.parametrize("name", ["math.exp", "math.log", "math.sin", "math.cos", "math.tanh", "math.sqrt", "**"])
def test_functions_give_the_very_bits_of_python(name: str) -> None:
    rng = random.Random(1)
    made = s.Computed(name, (A, B) if name == "**" else (A,))
    for a, b in [(rng.uniform(0, 50), rng.uniform(-9, 9)) for _ in range(40)] + [(0.9, 1000.0), (0.999, 7.0), (1e-9, 0.5)]:
        expected = made.load((a, b))
        call, _ = guarded(two, g.TypeIs(A, float), g.TypeIs(B, float), g.Holds(s.Computed("==", (made, expected)), True))
        assert call(a, b) == (), (name, a, b)
    for a, b in [(-1.0, 0.5), (0.0, -1.0), (float("inf"), 2.0), (float("nan"), 2.0), (710.0, 400.0), (-0.0, 3.0)]:
        call, _ = guarded(two, g.TypeIs(A, float), g.TypeIs(B, float), g.TypeIs(made, float))
        assert call(a, b) == "missed" or g.first_failure([g.TypeIs(made, float)], (a, b)) is None
