"""Every native guard row against its Python oracle, on values that match and values that do not."""

from __future__ import annotations

import gc
import itertools
import math
import sys
import threading
from pathlib import Path
from types import CellType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fusewire.runtime import gradmode
from fusewire.runtime import guard as g
from fusewire.runtime import source as s
from fusewire.runtime.meta import Meta

sys.path.insert(0, str(Path(__file__).parent))
from entry_kit import Parameter, Tensor, check_all, floats, guarded, small_classes  # noqa: F401

X = s.Arg(0, "x")


def one(x: Any) -> Any:
    return "missed"


class Plain:
    kind = "class"

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a: Any, b: Any = None) -> None:
        self.a, self.b = a, b


class Odd:
    @property
    def a(self) -> int:
        return 7


class SubDict(dict):
    pass


class SubList(list):
    pass


class SubInt(int):
    pass


class Text(str):
    pass


SCALARS = [
    0, 1, -1, 5, 2**31, 2**62, -(2**63), 2**63 - 1, 2**63, -(2**63) - 1, 2**80, True, False, None,
    0.0, -0.0, 1.0, 1.5, math.inf, -math.inf, math.nan, -math.nan,
    "a", "b", "", "é", "a" * 50, b"a", b"", SubInt(1), Text("a"), np.float64(1.5), np.int64(1), (1,), [1], {},
]  # fmt: skip


def fresh(x: Any) -> Any:
    """An equal value that is another object, where that can be."""
    return {
        str: lambda: "".join(list(x)),
        int: lambda: int(str(x)),
        float: lambda: float(repr(x)),
        bytes: lambda: bytes(bytearray(x)),
    }.get(type(x), lambda: x)()


@pytest.mark.parametrize("value", [x for x in SCALARS if type(x) in (int, float, str, bytes, bool, type(None))], ids=repr)
def test_equals(value: Any) -> None:
    guard = g.Equals(X, value)
    call, _ = guarded(one, guard)
    check_all(call, [guard], [(x,) for x in SCALARS] + [(fresh(x),) for x in SCALARS])
    assert call(fresh(value)) == ()


def test_equals_of_a_container_asks_python() -> None:
    guard = g.Equals(X, (1, "a"))
    call, _ = guarded(one, guard)
    check_all(call, [guard], [((1, "a"),), ((1, "b"),), ([1, "a"],), ((1.0, "a"),)])


def test_fits_int64() -> None:
    guard = g.FitsInt64(X)
    check_all(guarded(one, guard)[0], [guard], [(x,) for x in SCALARS])


@pytest.mark.parametrize("cls", [int, bool, float, str, list, Plain, type(None), Tensor])
def test_type_is(cls: type) -> None:
    guard = g.TypeIs(X, cls)
    check_all(
        guarded(one, guard)[0], [guard], [(x,) for x in [*SCALARS, Plain(), Slotted(1), floats(3), Parameter([1.0]), Plain]]
    )


def test_is() -> None:
    wanted = Plain()
    guard = g.Is(X, wanted)
    check_all(guarded(one, guard)[0], [guard], [(wanted,), (Plain(),), (None,)])


def test_tensor_is() -> None:
    tensors = [
        floats(4),
        floats(5),
        Tensor(np.zeros(4)),
        Tensor(np.zeros((2, 2), np.float32)),
        Tensor(np.zeros((2, 2), np.float32).T),
    ]
    tensors += [Tensor(np.zeros(4, np.float32), True), Parameter(np.zeros(4, np.float32)), Tensor(np.zeros(8, np.float32)[::2])]
    for wanted in tensors:
        guard = g.TensorIs(X, type(wanted), wanted.meta)
        call, _ = guarded(one, guard)
        check_all(call, [guard], [(x,) for x in [*tensors, 1, None, "x"]])
        assert call(wanted) == ()


def test_length() -> None:
    values = [
        [],
        [1],
        [1, 2],
        (),
        (1,),
        (1, 2),
        {},
        {1: 1},
        {1: 1, 2: 2},
        set(),
        {1},
        {1, 2},
        frozenset({1, 2}),
        SubList([1, 2]),
        SubDict(a=1, b=2),
    ]
    for length in range(3):
        guard = g.LengthIs(X, length)
        check_all(guarded(one, guard)[0], [guard], [(x,) for x in [*values, 1, "ab", None, Plain()]])


def test_keys() -> None:
    keys = [("a",), ("a", "b"), ("b", "a"), (1, "a"), (), (None, True), ("é" * 3, b"x", 1.5)]
    dicts = (
        [dict.fromkeys(k) for k in keys]
        + [dict.fromkeys(fresh(x) for x in k) for k in keys]
        + [{1.0: 0, "a": 1}, {True: 1, "a": 2}]
    )
    for wanted in keys:
        guard = g.KeysAre(X, wanted)
        check_all(guarded(one, guard)[0], [guard], [(d,) for d in dicts] + [(SubDict(d),) for d in dicts])
        assert guarded(one, guard)[0](3) == "missed"


def test_keys_of_user_types_ask_python() -> None:
    a, b = Plain(), Plain()
    guard = g.KeysAre(X, (a, "k"))
    check_all(guarded(one, guard)[0], [guard], [({a: 1, "k": 2},), ({b: 1, "k": 2},), ({"k": 1, a: 1},)])


def test_lacks() -> None:
    guard = g.Lacks(X, "a")
    check_all(guarded(one, guard)[0], [guard], [({},), ({"a": 1},), ({"b": 1},), ({fresh("a"): 1},), (SubDict(a=2),)])
    assert guarded(one, guard)[0]([]) == "missed"


def test_items() -> None:
    containers = [
        [1, 2],
        (1, 2),
        [2, 1],
        (2, 1),
        [1],
        (),
        {0: 1, 1: 2},
        {-1: 2},
        SubList([1, 2]),
        SubDict({0: 1}),
        {0: 2},
        "12",
        None,
    ]
    for key in (0, 1, -1, -2, 5, -5):
        guard = g.Equals(s.Item(X, key), 1)
        check_all(guarded(one, guard)[0], [guard], [(c,) for c in containers])
    for name in ("a", None, True, 1.5, (1, 2), 2**70, Plain):
        guard = g.Equals(s.Item(X, name), 1)
        check_all(guarded(one, guard)[0], [guard], [({fresh(name): 1},), ({name: 2},), ({},), (SubDict({name: 1}),)])


def test_instance_dicts_and_attributes() -> None:
    objects = [Plain(a=1), Plain(a=2), Plain(), Plain(b=1, a=1), Slotted(1), Slotted(2), Odd(), SimpleNamespace(a=1), 3, None]
    for guards in (
        [g.Equals(s.Item(s.InstanceDict(X), "a"), 1)],
        [g.TypeIs(X, Plain), g.Equals(s.Attr(X, "a"), 1)],
        [g.TypeIs(X, Slotted), g.Equals(s.Attr(X, "a"), 1)],
        [g.Equals(s.Attr(X, "a"), 1)],
        [g.TypeIs(X, Odd), g.Equals(s.Attr(X, "a"), 7)],
        [g.Lacks(s.InstanceDict(X), "a")],
    ):
        check_all(guarded(one, *guards)[0], guards, [(x,) for x in objects])


def test_an_attribute_stored_hot_is_seen() -> None:
    thing = Plain(a=1)
    call, _ = guarded(one, g.TypeIs(X, Plain), g.Equals(s.Attr(X, "a"), 1))
    for turn in range(2000):
        thing.a = turn % 2
        assert (call(thing) == ()) is (turn % 2 == 1)


def test_an_unset_slot_is_a_miss() -> None:
    empty = Slotted(1)
    del empty.a
    guards = [g.TypeIs(X, Slotted), g.Equals(s.Attr(X, "a"), 1)]
    check_all(guarded(one, *guards)[0], guards, [(empty,), (Slotted(1),)])


def test_cells_and_globals() -> None:
    cell, names = CellType(5), {"size": 3}
    call, _ = guarded(one, g.Equals(s.Cell(s.Const(cell, "cell")), 5), g.Equals(s.Item(s.Const(names, "globals"), "size"), 3))
    assert call(0) == ()
    cell.cell_contents = 6
    assert call(0) == "missed"
    cell.cell_contents = 5
    assert call(0) == ()
    del cell.cell_contents
    assert call(0) == "missed"
    cell.cell_contents = 5
    names["size"] = 4
    assert call(0) == "missed"
    del names["size"]
    assert call(0) == "missed"


def test_class_attributes() -> None:
    class Base:
        mark = 1

    class Child(Base):
        pass

    class Other(Base):
        pass

    def method() -> None: ...

    guards = [
        g.ClassAttrIs(Child, "mark", Base.mark),
        g.ClassAttrIs(Child, "extra", missing=True),
        g.ClassAttrIs(Other, "mark", Base.mark),
    ]
    call, _ = guarded(one, *guards)
    changes = [
        lambda: None, lambda: setattr(Child, "mark", 2), lambda: delattr(Child, "mark"), lambda: setattr(Base, "mark", 3),
        lambda: setattr(Base, "mark", 1), lambda: setattr(Base, "extra", 1), lambda: delattr(Base, "extra"),
        lambda: setattr(Child, "unrelated", method),
        lambda: setattr(Child, "__bases__", (Other,)), lambda: setattr(Other, "extra", 0), lambda: delattr(Other, "extra"),
    ]  # fmt: skip
    for change in changes:
        change()
        for _ in range(3):
            check_all(call, guards, [(0,)])


def test_a_class_that_changes_a_thousand_times() -> None:
    class Busy:
        mark = 1

    guard = g.ClassAttrIs(Busy, "mark", 1)
    call, _ = guarded(one, guard)
    for i in range(3000):
        Busy.mark = i % 2
        check_all(call, [guard], [(0,)])


def test_gradient_mode_of_this_thread() -> None:
    for enabled in (True, False):
        guard = g.GradMode(enabled, gradmode.get)
        call, _ = guarded(one, guard)
        try:
            for mode in (True, False):
                gradmode.set(mode)
                check_all(call, [guard], [(0,)])
                seen: list[Any] = []
                thread = threading.Thread(target=lambda: seen.append(call(0)))  # noqa: B023
                thread.start()
                thread.join()
                assert (seen == [()]) is enabled
        finally:
            gradmode.set(True)
    other = g.GradMode(True, lambda: False)
    assert guarded(one, other)[0](0) == "missed"


def three(x: Any, y: Any, z: Any) -> Any:
    return "missed"


def test_storages() -> None:
    x, y, z = (s.Arg(i, n) for i, n in enumerate("xyz"))
    a, b, c = floats(4, 1), floats(4, 2), floats(4, 3)
    a2 = Tensor(a._array)
    a2._storage = a.storage
    tensors = [a, a2, b, c]
    types = [g.TensorIs(v, Tensor, a.meta) for v in (x, y, z)]
    for classes in (((x,), (y,), (z,)), ((x, y), (z,)), ((x,), (y, z)), ((x, y, z),), ((x,), (y,)), ((x, y),)):
        guards = [*types, g.SameStorage(classes)]
        call, _ = guarded(three, *guards)
        cases = list(itertools.product(tensors, repeat=3))
        check_all(call, guards, cases + cases)


def test_objects() -> None:
    x, y, z = (s.Arg(i, n) for i, n in enumerate("xyz"))
    objects = [Plain(), Plain(), 3, None]
    for classes in (((x,), (y,), (z,)), ((x, y), (z,)), ((x, y, z),), ((x,), (y,)), ((x, y),), ((x,),)):
        guard = g.SameObject(classes)
        check_all(guarded(three, guard)[0], [guard], list(itertools.product(objects, repeat=3)))


@pytest.mark.parametrize("kind", [g.SameObject, g.SameStorage])
def test_many_objects_or_storages(kind: Any) -> None:
    tensors = [floats(4, i) for i in range(20)]
    items = [s.Item(X, i) for i in range(20)]
    guards: list[g.Guard] = [g.TensorIs(i, Tensor, tensors[0].meta) for i in items]
    guards.append(kind(((items[0], items[1]), *((i,) for i in items[2:]))))
    call, _ = guarded(one, *guards)
    shared = [tensors[0], tensors[0], *tensors[2:]]
    cases = [(shared,), (tensors,), ([*shared[:19], tensors[5]],), ([*shared[:19], floats(4, 99)],), (shared[:19],)]
    check_all(call, guards, cases * 3)
    assert call(shared) == () and call(tensors) == "missed"


def test_missing_sources_miss_without_an_exception() -> None:
    deep = s.Item(s.Item(s.InstanceDict(s.Item(X, "m")), "p"), 2)
    guards = [g.Equals(deep, 5)]
    cases = [({"m": Plain(p=[1, 2, 5])},), ({"m": Plain(p=[1, 2])},), ({"m": Plain()},), ({"m": 1},), ({},), ([],), (None,)]
    check_all(guarded(one, *guards)[0], guards, cases)


def test_a_guard_that_raises_raises_from_the_call() -> None:
    def broken() -> bool:
        raise ZeroDivisionError("in the getter")

    call, _ = guarded(one, g.GradMode(True, broken))
    with pytest.raises(ZeroDivisionError):
        call(1)


def test_random_conjunctions() -> None:
    rng = np.random.default_rng(0)
    values = [x for x in SCALARS if type(x) in (int, float, str, bool, type(None))]

    def pick() -> Any:
        return values[int(rng.integers(len(values)))]

    for _ in range(60):
        sources = [s.Item(X, int(rng.integers(3))), s.Item(s.Item(X, 2), "k"), s.Item(X, -3)]
        target = [pick(), pick(), {"k": pick()}]
        guards: list[g.Guard] = [g.LengthIs(X, 3), g.KeysAre(s.Item(X, 2), ("k",))]
        for source in sources:
            value = source.load((target,))
            guards.append(g.TypeIs(source, type(value)) if isinstance(value, dict) else g.Equals(source, value))
        call, _ = guarded(one, *guards)
        cases = [([pick(), pick(), {"k": pick()}],) for _ in range(20)] + [
            (target,),
            (list(target),),
            (tuple(target),),
            (target[:2],),
        ]
        check_all(call, guards, cases)
        assert call(target) == ()


def test_guards_leave_reference_counts_alone() -> None:
    thing = Plain(items=[1, "text" * 3, 2.5, {"k": floats(3)}])
    meta = thing.items[3]["k"].meta
    base = s.Item(s.InstanceDict(X), "items")
    guards = [
        g.TypeIs(X, Plain), g.LengthIs(base, 4), g.Equals(s.Item(base, 1), "text" * 3), g.Equals(s.Item(base, 2), 2.5),
        g.KeysAre(s.Item(base, 3), ("k",)),
        g.TensorIs(s.Item(s.Item(base, 3), "k"), Tensor, meta), g.ClassAttrIs(Plain, "kind", Plain.kind),
        g.Lacks(s.InstanceDict(X), "no"),
        g.FitsInt64(s.Item(base, 0)), g.Equals(s.Attr(X, "items"), thing.items),
    ]  # fmt: skip
    call, variant = guarded(one, *guards)
    watched = [
        thing,
        thing.__dict__,
        thing.items,
        thing.items[1],
        thing.items[3],
        thing.items[3]["k"],
        meta,
        variant,
        Plain,
        Tensor,
    ]
    assert call(thing) == () and call(1) == "missed"
    gc.collect()
    before = [sys.getrefcount(o) for o in watched]
    for _ in range(20_000):
        call(thing)
        call(3)
    gc.collect()
    assert [sys.getrefcount(o) for o in watched] == before
    assert variant.hits == 20_001


def test_meta_is_interned() -> None:
    assert floats(4).meta is Meta.of((4,), (1,), floats(4).meta.dtype)


def test_items_of_a_dict_that_changes() -> None:
    names = [f"p{i}" for i in range(6)]
    items = [s.Item(X, n) for n in names]
    values = [floats(3 + i) for i in range(6)]
    guards = [g.TensorIs(item, Tensor, t.meta) for item, t in zip(items, values, strict=True)]
    call, _ = guarded(one, *guards)
    rng = np.random.default_rng(0)
    table: dict[str, Any] = dict(zip(names, values, strict=True))
    others = [floats(3 + i, 9) for i in range(6)] + [floats(40), None]
    for _ in range(400):
        check_all(call, guards, [(table,), (table,)])
        name = names[int(rng.integers(6))]
        change = int(rng.integers(6))
        if change == 0:
            table.pop(name, None)
        elif change == 1:
            table[name] = others[int(rng.integers(len(others)))]
        elif change == 2:
            table = dict(zip(names, values, strict=True))
        elif change == 3:
            table["more"] = 1
        elif change == 4:
            table = SubDict(table)
        else:
            table.update(zip(names, values, strict=True))
        gc.collect(0)
    assert call([1, 2]) == "missed"


def test_parameters_of_modules() -> None:
    class Layer:
        def __init__(self) -> None:
            self._parameters = {f"p{i}": floats(4, i) for i in range(4)}

    model = {f"m{i}": Layer() for i in range(5)}
    guards: list[g.Guard] = [g.KeysAre(X, tuple(model))]
    for name, layer in model.items():
        where = s.Item(X, name)
        guards.append(g.TypeIs(where, Layer))
        guards += [g.TensorIs(s.Item(s.Attr(where, "_parameters"), k), Tensor, t.meta) for k, t in layer._parameters.items()]
    call, _ = guarded(one, *guards)
    check_all(call, guards, [(model,)] * 3)
    assert call(model) == ()
    kept = model["m2"]._parameters
    model["m2"]._parameters = {**kept, "p3": floats(5)}
    check_all(call, guards, [(model,)] * 3)
    model["m2"]._parameters = kept
    assert call(model) == ()
    kept["p1"] = Parameter(np.zeros(4, np.float32))
    assert call(model) == "missed"
    kept["p1"] = floats(4, 77)
    assert call(model) == ()
    model["m3"] = Plain(_parameters=kept)
    assert call(model) == "missed"
