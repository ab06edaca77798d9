"""Straight code, control flow on Python values, containers, functions: captured whole, without a graph break."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import math
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from agree import agree, t

SCALE = 3.0
TABLE = {"a": 1.5, "b": [1, 2]}


def test_straight_line() -> None:
    agree(lambda x, y: x * y + x, (t(1, 2), t(3, 4)), (t(5, 6), t(7, 8)), variants=1)


def test_defaults_keywords_stars() -> None:
    def f(x, *rest, k=2, **named):
        for r in rest:
            x = x + r
        for name, v in named.items():
            x = x * v if name != "skip" else x
        return x * k

    def call(x, y):
        return f(x), f(x, y), f(x, y, k=3), f(x, k=y), f(x, a=2, skip=5), f(*[x, y], b=2.0)

    agree(call, (t(1, 2), t(3, 4)), variants=1)


def test_positional_only_and_bad_calls() -> None:
    def f(a, /, b, *, c=1):
        return a + b * c

    def good(x):
        return f(x, b=x), f(x, x, c=2)

    def bad(x, how):
        try:
            if how == 0:
                return f(x)
            if how == 1:
                return f(x, x, x)
            if how == 2:
                return f(x, x, d=1)
            return f(a=x, b=x)
        except TypeError as e:
            return str(e)

    agree(good, (t(1, 2),))
    agree(bad, *[(t(1, 2), i) for i in range(4)])


def test_branches_on_python_values() -> None:
    def f(x, flag, n):
        if flag and n > 2:
            return x + 1
        elif n == 2 or not flag:
            return x - 1
        return x if n else -x

    agree(f, *[(t(1, 2), flag, n) for flag in (True, False) for n in (0, 2, 3)])


def test_loops() -> None:
    def f(x, n):
        total = x
        for i in range(n):
            if i == 1:
                continue
            if i == 4:
                break
            total = total + i
        else:
            total = total * 2
        while n > 0:
            total, n = total + 1, n - 1
        return total

    agree(f, *[(t(1, 2), n) for n in range(6)])


def test_containers() -> None:
    def f(x, y):
        a = [x, y, x + y]
        a.append(x * 2)
        a[0] = y
        b = {"p": a[1:], "q": (x, 1)}
        b["r"] = [v * 2 for v in a]
        s = {1, 2, 3} | {4}
        first, *middle, last = a
        d = {k: v for k, v in zip("abc", a, strict=False) if k}
        del d["a"]
        return a, b, len(s), first, middle, last, d, [*a, 1], {**b, "z": 0}, (x,) + (y,), sorted([3, 1, 2]), max(1, 2), a[-1]

    agree(f, (t(1, 2), t(3, 4)), variants=1)


def test_sharing_and_cycles_in_results() -> None:
    def f(x):
        a = [x]
        b = {"a": a, "again": a}
        a.append(b)
        return b, x, x

    agree(f, (t(1, 2),), variants=1)


def test_comprehensions_and_generators() -> None:
    def gen(n):
        for i in range(n):
            got = yield i
            assert got is None
        return 5

    def outer(n):
        r = yield from gen(n)
        yield r

    def f(x):
        a = sum(x * i for i in range(3))
        b = [i * j for i in range(3) for j in range(i) if j]
        c = list(outer(3))
        d = any(i > 1 for i in gen(3))
        e = {i: x + i for i in gen(2)}
        return a, b, c, d, e, dict(enumerate(gen(2))), list(zip(gen(3), "ab", strict=False)), next(gen(1)), next(gen(0), None)

    agree(f, (t(1, 2),), variants=1)


def test_closures() -> None:
    def f(x):
        count = 0

        def add(y, k=2):
            nonlocal count
            count += 1
            return x + y * k * count

        g = lambda z: add(z) + add(z, 1)  # noqa: E731
        return g(x), count, [h(x) for h in [lambda v, i=i: v * i for i in range(3)]]

    agree(f, (t(1, 2),), variants=1)


def test_returned_function_lives_on() -> None:
    def f(x):
        n = 0

        def more(y):
            nonlocal n
            n += 1
            return x + y * n

        return more

    from fusewire import compiler

    more = compiler.compile(f, backend="interpret")(t(1, 2))
    more(t(1, 1))
    assert more(t(1, 1)).tolist() == [3.0, 4.0]


def test_outer_closure_is_guarded() -> None:
    k = 2

    def f(x):
        return x * k

    def change(value):
        def step():
            nonlocal k
            k = value

        return step

    agree(f, (t(1, 2),), change(3), (t(1, 2),), change(4), (t(1, 2),), change(2), variants=1)


def test_globals_are_guarded() -> None:
    def f(x):
        return x * SCALE + TABLE["a"] + len(TABLE["b"])

    def change(value):
        def step():
            global SCALE
            SCALE = value

        return step

    start = SCALE
    agree(
        f,
        (t(1, 2),),
        change(5.0),
        (t(1, 2),),
        change(7),
        (t(1, 2),),
        change("x"),
        (t(1, 2),),
        change(start),
        variants=3,
        breaks="any",
    )


def test_global_function_replaced() -> None:
    def f(x):
        return helper(x)

    def step():
        global helper
        helper = other

    global helper
    helper = double
    compiled = agree(f, (t(1, 2),), variants=1)
    step()
    assert compiled(t(1, 2)).tolist() == [3.0, 6.0]
    helper = double
    assert compiled(t(1, 2)).tolist() == [2.0, 4.0]


def double(x):
    return x * 2


def other(x):
    return x * 3


helper = double


def test_builtin_shadowed_later() -> None:
    def f(x):
        return x * abs(-2)

    compiled = agree(f, (t(1, 2),), variants=1)
    globals()["abs"] = lambda v: 100
    try:
        assert compiled(t(1, 2)).tolist() == [100.0, 200.0]
    finally:
        del globals()["abs"]
    assert compiled(t(1, 2)).tolist() == [2.0, 4.0]


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = 1
    tags: list = dataclasses.field(default_factory=list)

    def norm(self):
        return self.x * self.x + self.y


class Pair(NamedTuple):
    a: Any
    b: int = 2


class Slotted:
    __slots__ = ("v",)

    def __init__(self, v):
        self.v = v


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def test_objects_made_inside() -> None:
    def f(x):
        p = Point(x)
        p.tags.append(p.y)
        q = dataclasses.replace(p, y=5)
        s = Slotted(x + 1)
        s.v = s.v * 2
        r = Pair(x)
        return p, q.norm(), s, r, r.b, r._replace(b=3), p == p, repr(Pair(1, 2))

    agree(f, (t(1, 2),), variants=1)


def test_enums_and_match() -> None:
    def f(x, c, what):
        match what:
            case {"k": int(n), **rest}:
                y = x * n + len(rest)
            case [a, b, *more]:
                y = x + a + b + len(more)
            case Point(x=px, y=2):
                y = x + px
            case "text" | "other":
                y = x
            case None:
                y = -x
            case _:
                y = x * 0
        return y if c is Colour.RED else y + Colour(2).value

    for what in ({"k": 2, "j": 3}, [1, 2, 3], Point(4, 2), Point(4, 3), "text", None, 3):
        agree(f, (t(1, 2), Colour.RED, what), (t(1, 2), Colour.BLUE, what))


class Vector:
    def __init__(self, items):
        self.items = items

    def __add__(self, o):
        return Vector([a + b for a, b in zip(self.items, o.items, strict=False)])

    def __radd__(self, o):
        return self if o == 0 else NotImplemented

    def __getitem__(self, i):
        return self.items[i]

    def __len__(self):
        return len(self.items)

    def __iter__(self):
        return iter(self.items)

    def __contains__(self, v):
        return v == "yes"

    def __call__(self, k):
        return [v * k for v in self.items]

    def __eq__(self, o):
        return isinstance(o, Vector) and len(self) == len(o)

    __hash__ = None

    def __bool__(self):
        return len(self.items) > 1

    def __enter__(self):
        self.items.append(1.0)
        return self

    def __exit__(self, kind, exc, tb):
        self.items.pop()
        return kind is KeyError


def test_special_methods() -> None:
    def f(x):
        v = Vector([x, x * 2])
        w = v + v
        total = sum([v, w])
        with v as inner:
            n = len(inner)
            raise KeyError("swallowed")
        return w[1], total.items, "yes" in v, v(3), v == w, v != w, bool(v), [*v], n, (1 if v else 2)

    agree(f, (t(1, 2),), variants=1)


class Config:
    base = 10

    def __init__(self):
        self.lr = 0.5
        self.name = "n"
        self.inner = None
        self.hidden = {"deep": 4}

    @property
    def double(self):
        return self.lr * 2

    @staticmethod
    def static(v):
        return v + 1

    @classmethod
    def of(cls, v):
        return cls.base + v

    def __getattr__(self, name):
        if name in self.__dict__.get("hidden", ()):
            return self.hidden[name]
        raise AttributeError(name)


def test_attributes_of_outer_objects() -> None:
    def f(x, c):
        y = x * c.lr + c.double + c.static(1) + c.of(2) + c.deep
        y = y + getattr(c, "missing", 7) + hasattr(c, "deep") + hasattr(c, "nope")
        return y, c.name, c.__class__.__name__, isinstance(c, Config)

    c, d = Config(), Config()
    d.lr, d.missing = 0.25, 9

    def step():
        Config.base = 20

    agree(f, (t(1, 2), c), (t(1, 2), d), step, (t(1, 2), c), lambda: setattr(Config, "base", 10), variants=3)


def test_float_attribute_is_an_input() -> None:
    def f(x, c):
        return x * c.lr

    c, d = Config(), Config()
    d.lr = 0.125
    agree(f, (t(1, 2), c), (t(1, 2), d), variants=1)


def test_int_used_as_operand_is_an_input_and_else_a_constant() -> None:
    agree(lambda x, n: x * n, *[(t(1, 2), n) for n in (2, 3, 4)], variants=1)
    agree(lambda x, n: x.reshape(n, -1), *[(t(1, 2, 3, 4), n) for n in (1, 2, 4)], variants=3)


def test_exceptions_caught_inside() -> None:
    def f(x, n):
        log = []
        try:
            try:
                if n == 0:
                    raise ValueError("zero", n)
                if n == 1:
                    x = [][n]
                if n == 2:
                    x = {}["k"]
                if n == 3:
                    x = x.nothing
                y = x * n
            except (IndexError, KeyError) as e:
                log.append(type(e).__name__)
                raise RuntimeError("wrapped") from e
            else:
                log.append("else")
            finally:
                log.append("finally")
        except RuntimeError as e:
            log.append(type(e.__cause__).__name__)
            y = x
        except ValueError as e:
            log.append(e.args)
            y = -x
        except AttributeError as e:
            log.append(str(e))
            y = x + 1
        return y, log

    agree(f, *[(t(1, 2), n) for n in range(5)])


def test_exception_leaves_the_function() -> None:
    def f(x, box):
        box.append(1)
        y = x + 1
        if len(box) > 2:
            raise ValueError("full", len(box))
        box.append(y)
        return y

    agree(f, (t(1, 2), []), (t(1, 2), [1, 2, 3]), (t(1, 2), []), breaks=["raise"])


def test_strings_and_numbers() -> None:
    def f(x, n, s):
        label = f"{x.shape[0]:>4}|{n!r}|{s.upper()}|{math.sqrt(4.0)}|%d-%s" % (n, s)
        return (
            x * float(n) + round(2.567, 1) + int("3") + divmod(7, 2)[0],
            label,
            "-".join([s, "z"]),
            s.split(","),
            n % 3,
            n // 2,
            2**n,
        )

    agree(f, (t(1, 2), 5, "a,b"), (t(1, 2), 6, "a,b"))


def test_recursion_partial_reduce_map() -> None:
    def power(x, n):
        return x if n <= 1 else x * power(x, n - 1)

    def f(x):
        p = functools.partial(power, n=3)
        a = functools.reduce(lambda u, v: u + v, [x, x, x])
        b = list(map(double, [x, x]))
        c = list(filter(lambda v: v > 1, [1, 2, 3]))
        return p(x), a, b, c, sorted([3, 1, 2], key=lambda v: -v), max([x.shape[0], 1], key=lambda v: -v)

    agree(f, (t(1, 2),), variants=1)


def test_collections() -> None:
    def f(x):
        d = collections.OrderedDict(a=x)
        d["b"] = x * 2
        return [*d.values()], list(reversed([1, 2])), tuple(x.shape), str(x.dtype)

    agree(f, (t(1, 2),), variants=1)


def test_aliased_arguments() -> None:
    def f(a, b):
        a.append(1)
        return len(b), a is b

    one: list = []
    agree(f, ([], []), (one, one), ([], []))


def test_same_tensor_twice() -> None:
    def f(x, y):
        return x + y, x is y

    x = t(1, 2)
    agree(f, (x, x), (t(1, 2), t(3, 4)), (x, x))


def test_identity_is_kept() -> None:
    from fusewire import compiler

    box = [t(1, 2)]
    x = t(3, 4)
    compiled = compiler.compile(lambda x, box: (x, box, box[0], {"k": box}), backend="interpret")
    for _ in range(2):
        r = compiled(x, box)
        assert r[0] is x and r[1] is box and r[2] is box[0] and r[3]["k"] is box


@pytest.mark.parametrize("how", ["method", "static", "class"])
def test_decorated_in_a_class(how: str) -> None:
    from fusewire import compiler

    class C:
        k = 3

        @compiler.compile(backend="interpret")
        def method(self, x):
            return x * self.k

        @staticmethod
        @compiler.compile(backend="interpret")
        def static(x):
            return x * 3

        @classmethod
        @compiler.compile(backend="interpret")
        def class_(cls, x):
            return x * cls.k

    c = C()
    fn = {"method": c.method, "static": c.static, "class": c.class_}[how]
    assert fn(t(1, 2)).tolist() == [3.0, 6.0]
    if how == "method":
        c.k = 4
        assert c.method(x=t(1, 2)).tolist() == [4.0, 8.0]
