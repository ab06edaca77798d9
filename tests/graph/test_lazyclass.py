"""`lazyclass.dataclass` beside the standard library's: what objects do, before and after their methods are written."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from fusewire.ir import lazyclass


def classes(dataclass: Any) -> tuple[Any, ...]:
    @dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: Any = 2
        names: dict[str, int] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    @dataclass
    class Open:
        a: int
        made: list[int] = dataclasses.field(init=False)

        def __post_init__(self) -> None:
            self.made = [self.a]

    @dataclass(frozen=True, slots=True, eq=False)
    class Alone:
        """By identity."""

    @dataclass(frozen=True, slots=True)
    class Own:
        a: float

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own)

        def __hash__(self) -> int:
            return 5

    return Point, Open, Alone, Own


def facts(dataclass: Any) -> list[Any]:
    point, opened, alone, own = classes(dataclass)
    a, b = point(1), point(1, 3)
    first = alone()
    return [
        repr(a).replace("classes.<locals>.", ""), a == point(1), a == b, a != b, hash(a) == hash(point(1)), len({a, b, point(1)}),
        dataclasses.replace(a, y=9).y, dataclasses.astuple(a), [f.name for f in dataclasses.fields(a)], point.__match_args__,
        a == (1, 2), hasattr(a, "__dict__"), copy.deepcopy(a) == a, point(1).names is point(1).names,
        opened(4).made, opened(1) == opened(1), opened.__hash__, dataclasses.is_dataclass(opened),
        first == first, first == alone(), own(1.0) == own(2.0), hash(own(1.0)), point.__doc__ is None, alone.__doc__,
    ]  # fmt: skip


def test_objects_do_what_the_library_s_do(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = facts(dataclasses.dataclass)
    for times in (1, 3, 1000):  # written at once, between two uses, not at all
        monkeypatch.setattr(lazyclass, "_TIMES", times)
        found = facts(lazyclass.dataclass)
        assert found[:-2] == wanted[:-2] and found[-1] == wanted[-1]


def test_frozen_objects_refuse() -> None:
    point = classes(lazyclass.dataclass)[0]
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
        point(1).x = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point(1).x


def test_wrong_arguments_are_type_errors() -> None:
    point = classes(lazyclass.dataclass)[0]
    for _ in range(2):
        with pytest.raises(TypeError, match=r"__init__\(\) missing 1 required positional argument: 'x'"):
            point()
        with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
            point(1, z=2)


def test_methods_are_written_once_for_each_class_that_is_used_often() -> None:
    point = classes(lazyclass.dataclass)[0]
    before = point.__init__
    for i in range(lazyclass._TIMES - 1):
        assert point(i).x == i and point.__init__ is before
    point(1)
    written = point.__init__
    point(2)
    assert written is not before and point.__init__ is written


@lazyclass.dataclass(frozen=True, slots=True)
class _Pickled:
    a: int
    b: tuple[int, ...] = ()


def test_pickles() -> None:
    assert pickle.loads(pickle.dumps(_Pickled(1, (2,)))) == _Pickled(1, (2,))


def test_what_it_has_not_is_refused() -> None:
    with pytest.raises(TypeError, match="ClassVar"):
        lazyclass.dataclass(type("C", (), {"__annotations__": {"a": "ClassVar[int]"}}))
