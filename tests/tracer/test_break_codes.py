"""Every code of the registry of graph breaks: a program that triggers it, and its row in docs/breaks.md."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from agree import agree, t

from fusewire import compiler, knobs
from fusewire.tracer import frame
from fusewire.tracer.breaks import KINDS, catalogue

ROOT = Path(__file__).resolve().parents[2]


def calls_what_is_not_python(x: Any) -> Any:
    return x * json.loads("2")


@compiler.disable
def never_captured(x: Any) -> Any:
    return x + 1


def calls_a_disabled_function(x: Any) -> Any:
    return never_captured(x) * 2


def branches_on_a_value(x: Any) -> Any:
    return x + 1 if x.sum() > 2 else x - 1


def raises(x: Any) -> Any:
    raise ValueError("mine")


def makes_a_class(x: Any) -> Any:
    class Local:
        factor = 3

    return x * Local.factor


class Plain:
    def __init__(self) -> None:
        self.a, self.b = 1, 2


OBJECT = Plain()


def counts_attributes(x: Any) -> Any:
    return x * len(vars(OBJECT))


def takes_from_an_outer_iterator(x: Any, it: Any) -> Any:
    return x + next(it)


def loops_long(x: Any) -> Any:
    total = 0
    for i in range(1000):
        total += i
    return x * total


def recurses(x: Any, n: int = 12) -> Any:
    return x if n == 0 else recurses(x + 1, n - 1)


def registers_a_hook(x: Any) -> Any:
    y = x * 2
    y.requires_grad_()
    return y.sum()


def keeps_a_generator(x: Any) -> Any:
    made = (x * i for i in range(3))
    first = next(made)
    json.loads("1")
    return first, list(made)


def adds(x: Any) -> Any:
    return x + 1


def inputs() -> tuple[Any, ...]:
    return (t(1, 2),)


EXAMPLES: dict[str, tuple[Callable[..., Any], Callable[[], tuple[Any, ...]]]] = {
    "opaque-call": (calls_what_is_not_python, inputs),
    "disabled": (calls_a_disabled_function, inputs),
    "tensor-to-python": (branches_on_a_value, inputs),
    "raise": (raises, inputs),
    "instruction": (makes_a_class, inputs),
    "object": (counts_attributes, inputs),
    "outer-iterator": (takes_from_an_outer_iterator, lambda: (t(1, 2), iter([5.0, 6.0]))),
    "long": (loops_long, inputs),
    "depth": (recurses, inputs),
    "tensor-method": (registers_a_hook, inputs),
    "state": (keeps_a_generator, inputs),
    "unknown-op": (adds, inputs),
}


def test_every_code_has_an_example() -> None:
    assert EXAMPLES.keys() == KINDS.keys()


@pytest.mark.parametrize("code", KINDS)
def test_the_code_is_given_and_the_result_is_right(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, arguments = EXAMPLES[code]
    if code == "long":
        monkeypatch.setattr(frame, "_LONGEST", 500)
    if code == "unknown-op":
        monkeypatch.setitem(frame.HANDLERS, "BINARY_OP", defect)
    with knobs.override(inline_limit=8, verify=code != "unknown-op"):
        report = None if code == "raise" else compiler.explain(function, backend="interpret")(*arguments())
        agree(function, arguments(), arguments(), breaks="any" if report else [code])
    if report is not None:
        first = report.breaks[0]
        assert first.code == code and first.why == KINDS[code].why and first.where.line > 0


def defect(f: Any, step: Any) -> None:
    raise RuntimeError("planted")


def test_a_defect_of_the_tracer_is_raised_where_everything_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(frame.HANDLERS, "BINARY_OP", defect)
    with pytest.raises(RuntimeError, match="planted"):
        compiler.compile(adds)(t(1, 2))


def test_only_codes_of_the_registry_are_given() -> None:
    given = {
        code
        for path in (ROOT / "tracer").glob("*.py")
        for code in re.findall(r"""\b(?:Break|Restart|BreakRecord)\([^"'\n]*"([a-z-]+)\"""", path.read_text())
    }
    assert given == KINDS.keys()


def test_the_page_of_codes_is_the_registry() -> None:
    page = ROOT / "docs" / "breaks.md"
    assert page.read_text() == catalogue(), "run: fusewire breaks > docs/breaks.md"
