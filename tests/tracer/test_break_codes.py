"""Every code of the registry of graph breaks: its example breaks, what to write instead does not; docs/graph-breaks.md."""

from __future__ import annotations

import ast
import json
import linecache
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from agree import plain

import fusewire
from fusewire import compiler, knobs
from fusewire.tracer import capture, frame
from fusewire.tracer.breaks import describe, opaque
from fusewire.tracer.kinds import KINDS, catalogue, marked
from fusewire.tracer.misses import show

ROOT = Path(__file__).resolve().parents[2]


def program(kind: Any, text: str, tmp_path: Path, name: str) -> dict[str, Any]:
    """The namespace of a program in a file of its own."""
    path = tmp_path / f"{name}.py"
    path.write_text(text)
    linecache.checkcache(str(path))
    scope: dict[str, Any] = {"torch": fusewire, "__name__": name, "__file__": __file__}
    exec(compile(text, str(path), "exec"), scope)
    return scope


def called(scope: dict[str, Any], function: Any, arguments: str) -> Callable[[], Any]:
    return lambda: eval(f"_f({arguments})", {**scope, "_f": function})


def defect(f: Any, step: Any) -> None:
    raise RuntimeError("planted")


def prepared(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if code == "long-loop":
        monkeypatch.setattr(frame, "_LONGEST", 500)
    if code == "many-breaks":
        monkeypatch.setattr(capture, "_ATTEMPTS", 1)
    if code == "tracer-error":
        monkeypatch.setitem(frame.HANDLERS, "BINARY_OP", defect)
    if code == "import":  # whatever else has imported it
        monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    if code == "instruction":
        monkeypatch.setitem(frame.HANDLERS, "BINARY_OP", frame.HANDLERS["UNKNOWN"])


@pytest.mark.parametrize("code", KINDS)
def test_the_example_breaks_where_it_says_and_is_right(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = KINDS[code]
    text, line, expressions = marked(kind)
    scope = program(kind, text, tmp_path, "example")
    prepared(code, monkeypatch)
    with knobs.override(inline_limit=8, constant_limit=0 if code == "changing-number" else 8, verify=code != "tracer-error"):
        found = records(scope, kind)
        again = program(kind, text, tmp_path, "eager")
        expected = result(called(again, again["f"], kind.call))
        fresh = program(kind, text, tmp_path, "example")
        assert result(called(fresh, compiler.compile(fresh["f"], backend="interpret"), kind.call)) == expected
    first = found[0]
    assert first.code == code, str(first)
    assert (first.where.line, Path(first.where.file).name) == (line, "example.py"), str(first)
    assert first.expression in expressions, str(first)
    carets = [row for row in str(first).splitlines() if set(row.strip()) == {"^"}]
    assert [row.strip().count("^") for row in carets] == ([len(first.expression)] if first.expression else [])
    assert not re.search(r"fusewire\.(?!compiler)|\b_[a-z]+\.", first.what), first.what


def records(scope: dict[str, Any], kind: Any) -> list[Any]:
    try:
        return list(called(scope, compiler.explain(scope["f"], backend="interpret"), kind.call)().breaks)
    except Exception:
        if kind.code != "raise":
            raise
    seen: list[Any] = []
    with pytest.raises(ValueError, match="mine"):
        called(scope, compiler._compiled(scope["f"], compiler._options(backend="interpret", seen=seen)), kind.call)()
    return [d.variants[0].capture.break_ for d in seen if d.variants] or [d.refused for d in seen]


def result(call: Callable[[], Any]) -> Any:
    try:
        return plain(call())
    except Exception as error:
        return plain(error)


@pytest.mark.parametrize("code", [code for code, kind in KINDS.items() if kind.instead])
def test_what_to_write_instead_is_one_graph(code: str, tmp_path: Path) -> None:
    kind = KINDS[code]
    scope = program(kind, marked(kind)[0], tmp_path, "example")
    other = dict(scope)
    exec(compile(kind.instead, "instead.py", "exec"), other)
    report = called(other, compiler.explain(other["f"], backend="interpret"), kind.instead_call or kind.call)()
    assert not report.breaks, str(report.breaks[0])
    if code not in DIFFERENT:
        assert plain(report.result) == result(called(scope, scope["f"], kind.call))


#: what to write instead gives another thing on purpose
DIFFERENT = {"tensor-value", "data-size", "frame", "input-output"}


class Spy:
    """Notes whoever asks it for a name or a text."""

    asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        Spy.asked.append(name)
        raise AttributeError(name)

    def __repr__(self) -> str:
        Spy.asked.append("__repr__")
        return "spy"


def test_texts_run_no_code_of_the_users() -> None:
    spy = Spy()
    for made in (describe(spy), show(spy), show([spy, {"a": spy}]), show((1, 2, 3, 4, 5, 6)), opaque(spy).what):
        assert "spy" not in made
    assert Spy.asked == []
    assert show([1, 2.5, "a", None]) == "[1, 2.5, 'a', None]" and show(list(range(99))) == "[0, 1, 2, 3, 4, ...]"
    assert show("x" * 99).endswith("'...") and show(1 << 999) == "an int"
    names = [warnings.warn, json.loads, open, fusewire.Tensor.item, fusewire.nn.functional.relu, fusewire.nn.Linear, Spy]
    assert [describe(x).removeprefix(f"{__name__}.") for x in names] == [
        "warnings.warn", "json.loads", "open", "Tensor.item", "relu", "Linear", "Spy",
    ]  # fmt: skip


def test_texts_say_what_to_do() -> None:
    for kind in KINDS.values():
        assert "report" not in kind.hint and "issue" not in kind.hint
        assert not kind.hint.endswith(".") and not kind.why.endswith(".")


def adds(x: Any) -> Any:
    return x + 1


def test_a_defect_of_the_tracer_is_raised_where_everything_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(frame.HANDLERS, "BINARY_OP", defect)
    with pytest.raises(RuntimeError, match="planted"):
        compiler.compile(adds)(fusewire.ones(2))


def given() -> set[str]:
    """Codes that the tracer's texts name."""
    found = set()
    for path in (ROOT / "tracer").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Break", "Restart", "BreakRecord", "ValueNeeded"):
                texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
                found |= {t for t in texts if re.fullmatch(r"[a-z]+(-[a-z]+)*", t)}
    return found


def test_only_codes_of_the_registry_are_given() -> None:
    text = (ROOT / "tracer" / "breaks.py").read_text()
    elsewhere = {code for code in KINDS if f'"{code}"' in text}
    assert given() | elsewhere == KINDS.keys()


def test_the_page_of_codes_is_the_registry() -> None:
    page = ROOT / "docs" / "graph-breaks.md"
    assert page.read_text() == catalogue(), "run: fusewire breaks > docs/graph-breaks.md"
