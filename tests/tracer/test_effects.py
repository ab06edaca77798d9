"""What the region does to outer objects happens on every call, in order; and nothing of it happens during capture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from agree import agree, t

from fusewire import compiler
from fusewire.eager import modes
from fusewire.runtime import gradmode

COUNT = 0


class Box:
    def __init__(self, **fields):
        self.__dict__.update(fields)


class Watched:
    """Counts every store through a property and __setattr__."""

    def __init__(self):
        object.__setattr__(self, "log", [])
        self.v = 1

    def __setattr__(self, name, value):
        self.log.append(name)
        object.__setattr__(self, name, value)

    @property
    def twice(self):
        return self.v * 2

    @twice.setter
    def twice(self, value):
        self.v = value // 2

    def __delattr__(self, name):
        self.log.append("del " + name)
        object.__delattr__(self, name)


class Slots:
    __slots__ = ("a", "b")

    def __init__(self):
        self.a = 1


def test_attributes() -> None:
    def f(x, box):
        box.n += 1
        box.last = x * box.n
        box.n = box.n * 2 + 1
        if hasattr(box, "gone"):
            del box.gone
        return box.last + 1, box.n

    box = Box(n=0, gone=1)
    agree(f, *[(t(1, 2), box)] * 5, variants=2)  # `gone` is there at the first call only


def test_stores_run_user_code() -> None:
    def f(x, w):
        w.v = 4
        w.twice = w.twice + 2
        w.extra = x
        del w.extra
        return w.v, x * w.v

    w = Watched()
    agree(f, (t(1, 2), w), (t(1, 2), Watched()))


def test_slots() -> None:
    def f(x, s):
        s.b = x * s.a
        s.a += 1
        return s.b

    s = Slots()
    agree(f, *[(t(1, 2), s)] * 3)


def test_lists() -> None:
    def f(x, items):
        items.append(x + len(items))
        items.extend([1, 2])
        items.insert(0, "first")
        items[1] = 5
        items += [x]
        got = items.pop()
        items.pop(-2)
        del items[0]
        items.reverse()
        return got is x, len(items)

    agree(f, (t(1, 2), [1]), (t(1, 2), [1, 3]), (t(1, 2), []))


def test_list_sort_and_slices() -> None:
    def f(x, items):
        items.sort(key=lambda v: -v)
        items[1:2] = [7, 8]
        return items[::-1], sum(items)

    agree(f, (t(1, 2), [3, 1, 2]), (t(1, 2), [3, 1, 2]))


def test_dicts_and_sets() -> None:
    def f(x, d):
        d["n"] = d.get("n", 0) + 1
        d.setdefault("seen", []).append(d["n"])
        d.update(y=x * 2, z=1)
        d.pop("z")
        d |= {"w": 2}
        if "old" in d:
            del d["old"]
        return list(d), d.pop("none", None)

    d: dict[str, Any] = {"old": 1}
    agree(f, *[(t(1, 2), d)] * 3)


def test_nested_outer_objects() -> None:
    def f(x, box):
        box.inner["list"][0].n += 1
        box.inner["list"].append(x)
        box.inner["again"] = box.inner["list"]
        return x * box.inner["list"][0].n

    agree(f, *[(t(1, 2), box) for box in [Box(inner={"list": [Box(n=1)]})] * 3])


def test_swap_reads_before_it_writes() -> None:
    def f(x, b):
        b.p, b.q = b.q, b.p
        return b.p

    b = Box(p=t(1), q=t(2))
    agree(f, *[(t(0), b)] * 3, variants=1)


def test_globals_and_nonlocals() -> None:
    n = 0

    def f(x):
        global COUNT
        nonlocal n
        COUNT += 1
        n += 2
        return x * COUNT + n

    def restart():
        global COUNT
        nonlocal n
        COUNT, n = 0, 0

    agree(f, (t(1, 2),), (t(1, 2),), (t(1, 2),), restart)
    assert (COUNT, n) == (0, 0)


def test_in_place_on_arguments() -> None:
    def f(x, y):
        x.add_(y)
        x *= 2
        z = x + 1
        x[0] = 7.0
        return z, x

    agree(f, (t(1, 2), t(3, 4)), (t(1, 2), t(3, 4)), breaks="any")


def test_version_counter_moves() -> None:
    compiled = compiler.compile(lambda x: x.add_(1), backend="interpret")
    x = t(1, 2)
    before = x._version
    assert compiled(x) is x
    assert x._version > before and x.tolist() == [2.0, 3.0]


def test_write_to_a_shared_argument() -> None:
    def f(x, y):
        x.add_(1)
        return x + y

    x = t(1, 2)
    agree(f, (t(1, 2), t(3, 4)), (x, x), (t(1, 2), t(3, 4)), (x, x.reshape(2)), breaks="any")


def test_exception_keeps_earlier_effects_only() -> None:
    def f(x, box):
        box.append("before")
        y = x + 1
        if box.count("before") > 1:
            y = box.missing
        box.append("after")
        return y

    agree(f, *[(t(1, 2), box) for box in [[]] * 3], breaks="any")


def test_grad_mode_leaves_with_the_function() -> None:
    def f(x):
        modes.set_grad_enabled(False)
        return x * 2

    x = t(1, 2, grad=True)
    compiled = compiler.compile(f, backend="interpret")
    for _ in range(2):
        assert not compiled(x).requires_grad
        assert not gradmode.get()
        gradmode.set(True)


def test_no_grad_inside() -> None:
    def f(x):
        with modes.no_grad():
            y = x * 2
            with modes.enable_grad():
                z = x * 3
        return y, z, x * y

    agree(f, (t(1, 2, grad=True),), (t(1, 2),))


def test_capture_has_no_effect_of_its_own() -> None:
    log: list[int] = []

    def f(x):
        log.append(1)
        return x

    compiled = compiler.compile(f, backend="interpret")
    for n in range(1, 4):
        compiled(t(1))
        assert len(log) == n


def test_a_metaclass_sees_the_stores_to_its_classes() -> None:
    class Noting(type):
        def __setattr__(cls, name: str, value: object) -> None:
            seen.append(name)
            super().__setattr__(name, value)

        @property
        def scale(cls) -> int:
            return 2

        @scale.setter
        def scale(cls, value: int) -> None:
            seen.append(value)

    class Config(metaclass=Noting):
        factor = 1

    def f(x: Any) -> Any:
        Config.factor = 3
        Config.scale = 7
        return x * Config.factor * Config.scale

    seen: list[Any] = []
    assert compiler.compile(f)(t(1, 1)).tolist() == [6.0, 6.0] and seen == ["factor", "scale", 7]
