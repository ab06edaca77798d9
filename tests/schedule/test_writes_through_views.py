"""Writes through views of inputs: the kernel writes into the input itself where nothing sees that too early, and only there."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import pytest

import fusewire as fw
from fusewire import pipeline


def schedules(monkeypatch: pytest.MonkeyPatch, program: Callable[..., Any]) -> str:
    """The kernels of the graphs that a call compiles."""
    seen: list[str] = []

    def noted(*args: Any, **options: Any) -> Any:
        seen.append(str(found := known(*args, **options)))
        return found

    known = pipeline.scheduling.schedule
    monkeypatch.setattr(pipeline.scheduling, "schedule", noted)
    fw.compile(program)(*given())
    return "\n".join(seen)


def line_of_cache(m: Any, x: Any) -> Any:
    m[:, 2:3] = x[:4, :1]
    return m[:, :3].sum()


def added_to_itself(m: Any, x: Any) -> Any:
    m[1:].add_(x.sum())
    return m * 2


def shifted(m: Any, x: Any) -> Any:
    m[:, 1:] = m[:, :-1]
    return m * 1


def shifted_sum(m: Any, x: Any) -> Any:
    m[1:] += m[:-1] * 2
    return m.sum()


def turned(m: Any, x: Any) -> Any:
    m.t()[1:3] = x[:2, :4]
    return m.sum()


def twice(m: Any, x: Any) -> Any:
    m[0] = x[0, :5]
    m[2, 1:3] += 4
    return m.sum(0)


def thrice(m: Any, x: Any) -> Any:
    m[0] += 1
    m[1:3] += x[0, :5]
    m[:2] *= 2
    return m.sum(1)


def read_before(m: Any, x: Any) -> Any:
    before = m.sum(1)
    m[1] = 7
    return before, m.sum(1)


def kept_before(m: Any, x: Any) -> Any:
    old = m.clone()
    m[::2] = x[:2, :5]
    return old


def exchanged(m: Any, x: Any) -> Any:
    old = m[0].clone()
    m[0] = m[1]
    m[1] = old
    return m * 1


def moved_between(m: Any, x: Any) -> Any:
    x[0, :5] = m[2]
    m[2] = x[1, :5]
    return x.sum() + m.sum()


def given_back(m: Any, x: Any) -> Any:
    m[1:3, 1] = 3
    return m


def of_a_view(m: Any, x: Any) -> Any:
    part = m[1:]
    part[0] = x[2, :5]
    return part * 2, m


def of_something_made(m: Any, x: Any) -> Any:
    y = m * 2
    y[1:] += x[:3, :5]
    m[0] = y[1]
    return y


def overlapping(m: Any, x: Any) -> Any:
    m.as_strided((3, 4), (2, 1)).fill_(9)
    return m.sum()


def checked_afterwards(m: Any, x: Any) -> Any:
    m[1] = 5
    return x[0].gather(0, m[0, 1:2].long())


def checked_before(m: Any, x: Any) -> Any:
    y = x[0].gather(0, m[0, 1:2].long())
    m[1] = y
    return y


PROGRAMS = (
    line_of_cache, added_to_itself, shifted, shifted_sum, turned, twice, thrice, read_before, kept_before, exchanged,
    moved_between, given_back, of_a_view, of_something_made, overlapping, checked_afterwards, checked_before,
)  # fmt: skip


def given() -> tuple[Any, Any]:
    return fw.arange(20.0).reshape(4, 5), fw.arange(100.0, 142.0).reshape(6, 7)


def outcome(fn: Callable[..., Any], m: Any, x: Any) -> list[Any]:
    """Results (or the error), and the inputs afterwards."""
    try:
        made = fn(m, x)
        found = [y.tolist() for y in (made if isinstance(made, tuple) else (made,))]
    except IndexError as error:
        found = [type(error)]
    return [*found, m.tolist(), x.tolist()]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_as_eager(program: Callable[..., Any]) -> None:
    compiled = fw.compile(program)
    for start in (0.0, 1.0, -40.0):  # the last: an index out of bounds
        one, other = given(), given()
        for m, _ in (one, other):
            m[0, 1] += start
        assert outcome(compiled, *one) == outcome(program, *other)


@pytest.mark.parametrize("program", [line_of_cache, added_to_itself, twice, given_back, thrice])
def test_nothing_is_copied(monkeypatch: pytest.MonkeyPatch, program: Callable[..., Any]) -> None:
    text = schedules(monkeypatch, program)
    assert "_scatter" in text and "_copy(m:" not in text and re.search(r"m: r?w f32\[20\]", text)


@pytest.mark.parametrize("program", [shifted, shifted_sum, checked_afterwards])
def test_a_copy_where_the_input_is_still_needed(monkeypatch: pytest.MonkeyPatch, program: Callable[..., Any]) -> None:
    assert "copy" in schedules(monkeypatch, program)


def window(rng: random.Random, rows: int, columns: int) -> str:
    """Text of an index of a matrix of so many rows and columns, which gives two rows of three."""
    r, c = rng.randrange(rows - 1), rng.randrange(columns - 2)
    return rng.choice([f"{r}:{r + 2}, {c}:{c + 3}", f"{r % 2}:{r % 2 + 3}:2, {c}:{c + 3}", f"{r}:{r + 2}, ::2"])


def test_random_programs() -> None:
    for seed in range(60):
        rng = random.Random(seed)
        lines = ["def program(m, x):", "    a, b = m, x", "    out = []"]
        for _ in range(rng.randrange(2, 6)):
            to, source = rng.choice("ab"), rng.choice("ab")
            sizes = {"a": (4, 5), "b": (6, 5)}
            value = f"{source}[{window(rng, *sizes[source])}]"
            kind = rng.randrange(4)
            if kind == 0:
                lines.append(f"    out.append({value} * 2)")
            else:
                sign, end = "=" if kind == 1 else "+=", rng.choice(["", " * 3", ".clone()"])
                lines.append(f"    {to}[{window(rng, *sizes[to])}] {sign} {value}{end}")
        names: dict[str, Any] = {}
        exec("\n".join([*lines, "    return (*out, m.sum(), x.sum())"]), names)
        found = []
        for fn in (fw.compile(names["program"]), names["program"]):
            m, x = fw.arange(20.0).reshape(4, 5), fw.arange(50.0, 80.0).reshape(6, 5)
            found.append([outcome(fn, m, x) for _ in range(2)])
        assert found[0] == found[1], "\n".join(lines)
