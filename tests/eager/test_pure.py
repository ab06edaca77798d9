"""The promise of `@pure`: no attribute and no global is written, and no global is read that could change."""

from __future__ import annotations

import dis
import types
from typing import Any

import pytest

import fusewire as fw
from fusewire.eager import creation, functional, generated, neural, reducing
from fusewire.eager.executor import EAGER
from fusewire.eager.pure import is_pure
from fusewire.ir.op import Op

FUNCTIONS = {
    f"{m.__name__.rpartition('.')[2]}.{name}": fn
    for m in (functional, reducing, neural, generated)
    for name, fn in vars(m).items()
    if isinstance(fn, types.FunctionType) and fn.__module__ == m.__name__ and is_pure(fn)
} | {f"TensorOps.{name}": fn for name, fn in vars(generated.TensorOps).items() if is_pure(fn)}
CONSTANT = (types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type, Op, int, float, str, tuple, frozenset)


def test_every_generated_function_and_most_others_are_marked() -> None:
    names = set(generated.__all__)
    assert names == {n.split(".")[1] for n in FUNCTIONS if n.startswith("generated.")}
    assert len(FUNCTIONS) > 200 and not is_pure(neural.dropout)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_reads_constants_and_writes_nothing(name: str) -> None:
    fn = FUNCTIONS[name]
    for instruction in dis.get_instructions(fn):
        assert instruction.opname not in ("STORE_ATTR", "STORE_GLOBAL", "DELETE_ATTR", "DELETE_GLOBAL")
        if instruction.opname == "LOAD_GLOBAL" and instruction.argval in fn.__globals__:
            value = fn.__globals__[instruction.argval]
            assert value == {} or isinstance(value, CONSTANT), f"{name} reads {instruction.argval}"


def test_creation_goes_through_the_executor_it_is_given() -> None:
    calls: list[Any] = []

    class Recorder:
        def apply(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
            calls.append((op.name, operands, attrs))
            return EAGER.apply(op, operands, attrs)

    x = fw.ones(2)
    made = [
        creation.zeros(2, 3, _executor=Recorder()), creation.full((2,), 1.5, _executor=Recorder()),
        creation.arange(1, 7, 2, _executor=Recorder()), creation.ones_like(x, _executor=Recorder()),
        creation.empty(4, _executor=Recorder()), creation.ones(1, _executor=Recorder()),
        creation.full_like(x, 3, _executor=Recorder()), creation.zeros_like(x, _executor=Recorder()),
    ]  # fmt: skip
    assert [c[0] for c in calls] == ["full", "full", "arange", "full", "full", "full", "full", "full"]
    assert made[2].tolist() == [1, 3, 5] and made[1].tolist() == [1.5, 1.5] and made[6].tolist() == [3, 3]
