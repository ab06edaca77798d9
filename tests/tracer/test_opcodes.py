"""Opcodes of the running Python against the tracer's handlers; what is specialised, instrumented or unknown."""

from __future__ import annotations

import dis
import importlib
import inspect
import opcode
import pkgutil
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import fusewire as torch
from fusewire import compiler, tracer
from fusewire.tracer import bytecode, frame
from fusewire.tracer.bytecode import NOT_MODELLED, OPCODES, decode, normalised

SPECIALISED = set(getattr(opcode, "_specialized_opmap", None) or opcode._specialized_instructions)
REAL = {op for op, number in dis.opmap.items() if number < 256 and op not in SPECIALISED}


def known(op: str) -> bool:
    """Whether the normaliser has a rule for a real instruction."""
    tables = (bytecode.FIXED, bytecode.PLAIN, bytecode.COUNTED, bytecode.NAMED, bytecode.PAIRS, bytecode.WITH_ARG)
    return any(op in table for table in tables) or op in ("CALL", "CALL_KW")


def test_every_step_has_a_handler_and_every_handler_a_step() -> None:
    for module in pkgutil.iter_modules(tracer.__path__, f"{tracer.__name__}."):
        importlib.import_module(module.name)
    assert frame.HANDLERS.keys() == set(OPCODES)


@pytest.mark.parametrize("op", sorted(REAL))
def test_every_opcode_is_known_or_listed(op: str) -> None:
    if op.startswith("INSTRUMENTED_"):
        plain = op.removeprefix("INSTRUMENTED_")
        assert plain in REAL or plain in ("LINE", "INSTRUCTION"), "no plain form of an instrumented opcode"
        return
    assert known(op) != (op in NOT_MODELLED), f"{op}: give it a rule in tracer/bytecode.py, or list it in NOT_MODELLED"


def test_specialised_opcodes_are_forms_of_real_ones() -> None:
    families = getattr(opcode, "_specializations", {})
    assert {special for forms in families.values() for special in forms} >= SPECIALISED - REAL - {"ENTER_EXECUTOR"}
    for family in families:
        assert known(family) or family in NOT_MODELLED, family


def work(items: list[int], obj: Any) -> int:
    total = 0
    for i, item in enumerate(items):
        total += item * 2 if i % 2 else len(items[:i]) + obj.real
        if isinstance(item, int) and total > 10:
            items = [*items]
    return total


def shape(fn: Any) -> list[tuple[str, Any]]:
    return [(i.op, i.arg) for i in decode(fn.__code__)]


def fresh(name: str) -> Any:
    scope: dict[str, Any] = {"Any": Any}
    exec(compile("from __future__ import annotations\n" + inspect.getsource(work), "fresh.py", "exec"), scope)
    return scope[name]


def test_warm_code_reads_as_fresh_code() -> None:
    """Specialised instructions never reach the tracer: `co_code` gives the real ones."""
    warm = fresh("work")
    before = shape(warm)
    for _ in range(200):
        warm([1, 2, 3, 4], 1.0)
    adaptive = {dis.opname[b] for b in warm.__code__._co_code_adaptive[::2] if b < len(dis.opname)}
    assert shape(warm) == before == shape(fresh("work"))
    assert adaptive, "no adaptive code"


@pytest.fixture
def traced() -> Iterator[list[str]]:
    events: list[str] = []

    def see(f: Any, event: str, arg: Any) -> Any:
        events.append(event)
        return see

    before = sys.gettrace()
    sys.settrace(see)
    try:
        yield events
    finally:
        sys.settrace(before)


def test_instrumented_code_reads_as_fresh_code(traced: list[str]) -> None:
    watched = fresh("work")
    before = shape(watched)
    watched([1, 2, 3], 1.0)
    assert "line" in traced and shape(watched) == before


def test_an_unknown_opcode_breaks_the_graph_and_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(bytecode.FIXED, "BINARY_SUBSCR", raising=False)
    for table in (bytecode.PLAIN, bytecode.COUNTED, bytecode.NAMED):
        if "BINARY_SUBSCR" in table:
            name = next(n for n, v in vars(bytecode).items() if v is table)
            monkeypatch.setattr(bytecode, name, set(table) - {"BINARY_SUBSCR"})

    def f(x: Any, items: list[float]) -> Any:
        y = x * 2
        k = items[1]
        return y + k

    assert ("UNKNOWN", "BINARY_SUBSCR") in [(s.op, s.arg) for s in normalised(f.__code__).steps]
    report = compiler.explain(f, backend="interpret")(torch.ones(2), [1.0, 3.0])
    assert report.result.tolist() == [5.0, 5.0] and len(report.parts) == 2
    (record,) = report.breaks
    assert (record.code, record.what, record.expression) == ("instruction", "the instruction BINARY_SUBSCR", "items[1]")
    assert "CPython runs it" in record.hint
