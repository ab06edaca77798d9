"""Hand-over classes as bytes and back."""

from __future__ import annotations

import builtins
import dataclasses
import marshal
import math
import threading
import time
from typing import Any

import numpy as np
import pytest

from fusewire import errors, pipeline
from fusewire.ir import dtypes, graph, sizes, text
from fusewire.ir.plan import Plan
from fusewire.runtime import codec
from fusewire.runtime.guard import Equals, LengthIs, SameObject
from fusewire.runtime.meta import Meta
from fusewire.runtime.source import Arg, Attr, Cell, InstanceDict, Item
from fusewire.tracer import stored

GRAPH = """graph f(%x: f32[s0,8], %w: f32[8,4], %n: float) where s0 >= 1:
  %0 : f32[s0,4] = matmul(%x, %w)  # model.py:12
  %1 : f32[s0,4] = exp(%0)
  %2 : f32[s0,4] = mul(%1, %n)
  %3 : f32[s0] = sum(%2) {dim=(1,), keepdim=False}
  return %3, %1"""


def refuse(x: Any) -> int:
    raise codec.Unwritable(f"{x!r}")


def there_and_back(*roots: Any) -> Any:
    return codec.read(codec.Writer(refuse).bytes(*roots), lambda n: None)


VALUES: list[Any] = [
    None, True, 1, 2**70, -5, 0.0, -0.0, math.inf, "text", "\ud800", b"bytes", ..., 1j, (), (1, (2.0, "x")), [1, [2]],
    {"a": (1, 2)},
    frozenset({1, 2}), range(3, 9, 2), slice(1, None), dtypes.bfloat16, np.dtype(np.int16), errors.ShapeError, ZeroDivisionError,
    sizes.symbol("s0", 1, 64) * 3 + 1, sizes.floordiv(sizes.symbol("s0"), 2), sizes.maximum(sizes.symbol("s0"), 4),
    Meta.of((2, 3), (3, 1), dtypes.float32, True), Equals(Attr(Item(Arg(0, "x"), "k"), "y"), 1.5),
    SameObject(((Cell(InstanceDict(Arg(1, "f", ("a", "b")))),),)), LengthIs(Arg(0, "x"), 3),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_value(value: Any) -> None:
    (found,) = there_and_back(value)
    assert type(found) is type(value) and repr(found) == repr(value)
    if not isinstance(value, (float, slice)):
        assert found == value


def test_nan_and_zeros_stay_apart() -> None:
    found = there_and_back(0.0, -0.0, 0, False, math.nan)
    assert [type(x) for x in found] == [float, float, int, bool, float]
    assert math.copysign(1, found[1]) == -1 and math.isnan(found[4])


def test_metas_and_ops_are_the_same_objects() -> None:
    meta, op = Meta.of((4,), (1,), dtypes.int64), text.parse_graph(GRAPH).nodes[0].op
    found = there_and_back(meta, op, dtypes.float16)
    assert found[0] is meta and found[1] is op and found[2] is dtypes.float16


def test_identity_is_kept() -> None:
    shared: list[int] = [1]
    (found,) = there_and_back((shared, shared, [1]))
    assert found[0] is found[1] and found[0] is not found[2]


def test_graph_and_plan() -> None:
    made = text.parse_graph(GRAPH)
    plan = pipeline.stages(made).plan
    found, again = there_and_back(made, plan)
    assert str(found) == str(made)
    assert isinstance(again, Plan) and str(again) == str(plan)
    assert dataclasses.astuple(again.buffers[0]) == dataclasses.astuple(plan.buffers[0])


def test_equal_parts_are_written_once() -> None:
    one, many = [codec.Writer(refuse).bytes([Arg(0, "x")] * n) for n in (1, 50)]
    assert len(many) < len(one) + 50 * 6


ODD = [object(), np.zeros(2), lambda: 0, type("X", (), {}), dataclasses.make_dataclass("D", ["x"])(1)]


@pytest.mark.parametrize("value", ODD)
def test_what_has_no_form_is_refused(value: Any) -> None:
    with pytest.raises(codec.Unwritable):
        there_and_back([value])


def test_class_with_other_fields_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.Writer(refuse).bytes(LengthIs(Arg(0, "x"), 3))
    monkeypatch.setattr(codec, "fields", lambda cls: ("source", "length", "more"))
    with pytest.raises(codec.Unreadable, match="other fields"):
        codec.read(data, lambda n: None)


def test_unknown_records_are_unreadable() -> None:
    for name, parts in (("os.system", ("true",)), ("Error", ("print",))):
        data = marshal.dumps((codec.VERSION, (name,), (), parts, ((0, 0),), (1,)))
        with pytest.raises((codec.Unreadable, KeyError)):
            codec.read(data, lambda n: None)
    assert builtins.print is not None and graph.Graph is not None


def test_threads_that_look_into_a_graph_at_once_see_one() -> None:
    """Its values count by identity: read twice it would be two graphs."""
    made = text.parse_graph(GRAPH)
    reads: list[None] = []
    seen: list[Any] = []
    entered = threading.Event()

    def read() -> graph.Graph:
        reads.append(entered.set())
        time.sleep(0.05)
        return made

    late = stored._lazy(read)
    threads = [threading.Thread(target=lambda: seen.append(late.inputs)) for _ in range(4)]
    threads[0].start()
    assert entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1 and all(inputs is made.inputs for inputs in seen) and len(seen) == 4
