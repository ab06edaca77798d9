"""What a compiled function asks of classes and modules besides attributes: changed between calls, the answers change."""

from __future__ import annotations

import abc
import collections.abc
import enum
import functools
import sys
import threading
import types
from pathlib import Path

import pytest

from fusewire import compiler

sys.path.insert(0, str(Path(__file__).parent))
from agree import agree, t

Shape = abc.ABCMeta("Shape", (), {"__module__": __name__})


def fresh(name: str, **content: object) -> type:
    """A class that no other test has changed."""
    return type(name, (), content)


def test_a_class_is_registered_with_an_abstract_class_between_calls() -> None:
    for made in (0, 1):
        one, two = (fresh("Square") for _ in "ab")
        square = one() if made else one

        def f(x, o):
            asked = issubclass(o, Shape) if isinstance(o, type) else isinstance(o, (int, Shape))
            return x * 2 if asked else x

        compiled = compiler.compile(f, backend="interpret")
        assert compiled(t(1.0), square).tolist() == [1.0]
        assert compiled(t(1.0), square).tolist() == [1.0]
        Shape.register(two)
        assert compiled(t(1.0), square).tolist() == [1.0]
        Shape.register(one)
        assert compiled(t(1.0), square).tolist() == [2.0]
        assert len(compiler.dispatcher_of(compiled).variants) == 2


def test_callable_is_guarded() -> None:
    cls = fresh("Called", __call__=lambda self: 1)
    thing = cls()

    def f(x):
        return x * 2 if callable(thing) else x

    def change() -> None:
        if "__call__" in vars(cls):
            del cls.__call__
        else:
            cls.__call__ = lambda self: 1

    agree(f, (t(1.0),), change, (t(1.0),), change, (t(1.0),))


def test_a_class_of_ones_own_is_asked_at_every_call() -> None:
    class Proxy:
        def __init__(self, of: object) -> None:
            self.of = of

        @property
        def __class__(self) -> type:
            return type(self.of)

    def f(x, p):
        return x * (1 + isinstance(p, str) + 2 * isinstance(p, (list, Proxy)) + 4 * isinstance(p, collections.abc.Mapping))

    compiled = compiler.compile(f, backend="interpret")
    for of, gives in (("a", 4.0), ([], 3.0), ({}, 7.0), ("b", 4.0), (3, 3.0)):
        assert compiled(t(1.0), Proxy(of)).tolist() == f(t(1.0), Proxy(of)).tolist() == [gives]


def test_methods_of_a_descriptors_class_change() -> None:
    class Double:
        def __get__(self, obj: object, kind: type) -> float:
            return 2.0

    class Quiet:
        pass

    class A:
        a = Double()
        quiet = Quiet()

    thing = A()
    thing.__dict__["a"] = 5.0
    thing.__dict__["quiet"] = 7.0

    def f(x):
        return x * thing.a + thing.quiet

    steps = [
        lambda: setattr(Double, "__get__", lambda self, obj, kind: 3.0),
        lambda: setattr(Double, "__set__", lambda self, obj, value: None),
        lambda: setattr(Double, "__get__", lambda self, obj, kind: 4.0),
        lambda: setattr(Quiet, "__set__", lambda self, obj, value: None),
        lambda: setattr(Quiet, "__get__", lambda self, obj, kind: 100.0),
    ]
    compiled = compiler.compile(f, backend="interpret")
    assert compiled(t(1.0)).tolist() == f(t(1.0)).tolist()
    for step in steps[:3] + steps[4:] + steps[3:4]:
        step()
        assert compiled(t(1.0)).tolist() == f(t(1.0)).tolist()


def test_a_module_is_replaced_in_sys_modules_and_its_getattr_runs() -> None:
    name, asked = "fusewire_test_replaced", []
    old, new = (types.ModuleType(name) for _ in "ab")
    old.a, new.a = 2.0, 3.0

    def hook(wanted: str) -> float:
        asked.append(wanted)
        return float(len(wanted))

    old.__getattr__ = hook

    def f(x):
        import fusewire_test_replaced as module
        from fusewire_test_replaced import a

        return x * a + module.other

    steps = [
        lambda: sys.modules.__setitem__(name, old),
        lambda: setattr(old, "__getattr__", lambda wanted: 50.0),
        lambda: (sys.modules.__setitem__(name, new), setattr(new, "other", 9.0)),
        lambda: sys.modules.__setitem__(name, old),
        lambda: sys.modules.pop(name),
    ]
    compiled = compiler.compile(f, backend="interpret")
    sys.modules[name] = old
    for _ in range(3):
        assert compiled(t(1.0)).tolist() == [7.0]
    assert asked == ["other"] * 3
    for step, gives in zip(steps[1:4], (52.0, 12.0, 52.0), strict=True):
        step()
        assert compiled(t(1.0)).tolist() == [gives]
    steps[4]()
    try:
        compiled(t(1.0))
    except ModuleNotFoundError:
        return
    raise AssertionError("the module is gone")


OF_C = {"namespace": types.SimpleNamespace, "partial": lambda: functools.partial(int), "error": ValueError}


@pytest.mark.parametrize("make", OF_C.values(), ids=OF_C)
def test_an_attribute_that_an_object_of_c_code_lacks_comes_later(make) -> None:
    def read(x, o):
        return x * getattr(o, "n", 3.0), hasattr(o, "n")

    def count(x, o):
        o.n = getattr(o, "n", 0) + 1
        return x * o.n

    for f in (read, count):
        expected = None
        for plain in (f, compiler.compile(f, backend="interpret")):
            o, found = make(), []
            for change in (None, 5.0, 6.0, None, 2.0):
                if change is not None:
                    o.n = change
                elif hasattr(o, "n"):
                    del o.n
                out = plain(t(1.0), o)
                found.append((str(out), getattr(o, "n", None)))
            expected = expected or found
            assert found == expected


def test_attributes_of_a_thread_are_its_own() -> None:
    def run(counts):
        out = [counts(t(1.0)).item() for _ in range(3)]

        def work() -> None:
            out.extend(counts(t(1.0)).item() for _ in range(3))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return [*out, counts(t(1.0)).item()]

    local = threading.local()

    def counts(x):
        local.n = getattr(local, "n", 0) + 1
        return x * local.n

    assert run(compiler.compile(counts, backend="interpret")) == [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 4.0]


class Level(enum.StrEnum):
    LOW = "low"


class Name(str):
    def __repr__(self) -> str:
        return "<Name \u00e9>"


class Odd(Exception):
    def __str__(self) -> str:
        SAID.append(len(SAID))
        return f"odd {len(SAID)}"


class Wrong:
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]


class Shown(Exception):
    def __repr__(self) -> str:
        return "shown"


SAID: list[int] = []


def test_text_is_that_of_the_class() -> None:
    def f(x, level, n):
        made = Name("m" * n)
        texts = f"{level!s:>5}|{level!r}|{level}", str(level), str(made), repr(made), ascii(made), f"{made!s}"
        return x, texts, str(Shown(n)), repr(Shown(n))

    def g(x):
        return x, str(Odd("a")), len(SAID)

    agree(f, (t(1.0), Level.LOW, 2), (t(1.0), Level.LOW, 3), breaks="any")
    agree(lambda x: str(Wrong()), (t(1.0),), breaks=("raise",))
    compiled = compiler.compile(g, backend="interpret")
    SAID.clear()
    assert [compiled(t(1.0))[1:] for _ in range(3)] == [("odd 1", 1), ("odd 2", 2), ("odd 3", 3)]


NAMED = """
def {name}(x, items):
    if type(items) is list:
        return [{name}(x, item) for item in items]
    return id(items) == id(x)

def f(x, items):
    return {name}(x, items), x * 2
"""


NAMES = ["plain", "frame", "again", "args", "outputs", "tail", "turns", "continuations", "places", "v0", "s0", "e", "put"]


@pytest.mark.parametrize("name", NAMES)
def test_a_callee_that_breaks_may_have_any_name(name: str) -> None:
    space: dict[str, object] = {}
    exec(compile(NAMED.format(name=name), f"<{name}>", "exec"), space)
    compiled = compiler.compile(space["f"], backend="interpret")
    x, y = t(1.0), t(2.0)
    for items in ([x, y], [[y], x], y):
        assert compiled(x, items)[0] == space["f"](x, items)[0]
