"""Corners of Python, each a small program: compiled equals eager on every call, with or without graph breaks."""

# ruff: noqa: B905, PLR, RUF005, RUF059, S101, SIM, UP

from __future__ import annotations

import collections
import contextlib
import functools
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from agree import agree, t

import fusewire as fw
from fusewire import compiler

PROGRAMS: list[tuple[Any, tuple[Any, ...]]] = []
X = t(1, 2)


def program(*calls: Any) -> Any:
    """Decorator: compare this function on these calls."""

    def enter(f: Any) -> Any:
        PROGRAMS.append((f, calls))
        return f

    return enter


@program((X, {1, 2}), (X, {3}))
def sets(x, s):
    s.add(7)
    s2 = s | {9}
    return x + len(s2), sorted(s)


@program((X, [3, 1]), (X, [2]))
def lists_in(x, l):
    return x * (3 in l), l == [3, 1], l < [4], l + [x], l * 2, [*reversed(l)]


@program((X,))
def ctx(x):
    @contextlib.contextmanager
    def cm(v):
        out.append("in")
        try:
            yield v * 2
        finally:
            out.append("out")

    out = []
    with cm(x) as y:
        z = y + 1
    return z, out


@program(
    (X,),
)
def nestedfn(x):
    fs = []
    for i in range(3):

        def f(y, i=i, *a, **k):
            return y * i + len(a) + len(k)

        fs.append(f)
    return [g(x, 1, 2, z=3) for g in fs] + [g(x) for g in fs]


@program((X,))
def gens(x):
    def g():
        try:
            yield x
            yield x * 2
        finally:
            log.append("closed")

    log = []
    for v in g():
        log.append(v)
    it = g()
    next(it)
    return log


@program((X,))
def gen_return(x):
    def g():
        yield x

    return list(g()), sum(v.sum() for v in g())


@program((X, "a"), (X, "b"))
def strs(x, s):
    return x, s + "z", s * 3, s.join(["1", "2"]), f"{s:>5}|{x.shape}", s in "abc", s[0], len(s), s.encode(), ord(s)


@program((X, 5), (X, 6), (X, 7))
def intloop(x, n):
    while n > 3:
        x = x + n
        n -= 1
    return x, n


@program((X, [t(1.0), t(2.0)]), (X, [t(5.0)]))
def tensors_in_list(x, ts):
    tot = x
    for q in ts:
        tot = tot + q
    ts.append(tot)
    return fw.stack(ts[-1:]) if hasattr(fw, "stack") else tot


class Node:
    def __init__(s, v, nxt=None):
        s.v = v
        s.nxt = nxt


@program((X, Node(1.0, Node(2.0, Node(3.0)))), (X, Node(4.0)))
def linked(x, n):
    while n is not None:
        x = x * n.v
        n.v += 1
        n = n.nxt
    return x


@program((X, Node(1.0)))
def makes_list(x, n):
    head = None
    for i in range(3):
        head = Node(x * i, head)
    n.nxt = head
    return head.nxt.v, head


class Meta(type):
    def __call__(cls, *a):
        r = super().__call__(*a)
        r.extra = 1
        return r


class WithMeta(metaclass=Meta):
    def __init__(s, v):
        s.v = v


@program((X,))
def metaclassed(x):
    return WithMeta(x).extra, x + 1


class D(dict):
    def __missing__(s, k):
        return k * 2


@program((X, D(a=1)))
def dictsub(x, d):
    return x + d["a"], d["bb"], len(d)


@program((X, collections.OrderedDict(a=1.0)), (X, collections.OrderedDict(a=2.0)))
def odict(x, d):
    return x * d["a"], list(d)


@program((X, (1, 2, (3, X))))
def tup(x, tp):
    a, b, (_c, y) = tp
    return x * a + b * y, tp, tp[2][1] is x, tp[::-1]


@program((X, 3), (X, 0))
def excs(x, n):
    try:
        try:
            y = 1 / n
        except ZeroDivisionError as e:
            raise ValueError("v") from e
        finally:
            x = x + 1
    except ValueError as e:
        return x, str(e), type(e.__cause__).__name__, e.__context__ is e.__cause__
    return x, y


@program((X, None), (X, X))
def optional(x, y=None):
    return x if y is None else x + y


@program((X, functools.partial(lambda a, b: a * b, 2.0)), (X, functools.partial(lambda a, b: a * b, 3.0)))
def partials(x, p):
    return p(x)


@program((X, math.sqrt), (X, math.exp))
def builtin_arg(x, f):
    return x * f(2.0)


@program((X, X.add))
def bound_method(x, m):
    return m(x)


@program((X, slice(0, 1)), (X, slice(1, 2)))
def slices(x, s):
    return x[s], x[..., None][0], x[[1, 0]] if True else 0


@program((X, range(3)), (X, range(5)))
def rng(x, r):
    for i in r:
        x = x + i
    return x, len(r), r[1]


@program((X,))
def walrus(x):
    if (n := x.shape[0]) > 1:
        x = x * n
    return [y for i in range(3) if (y := i * 2)], x


@program((X,))
def starexpr(x):
    a = [1, 2]
    d = {"p": 3}

    def f(*args, **kw):
        return args, kw

    return f(*a, x, *a, **d, q=x)


@program((X, True), (X, False))
def dels(x, f):
    y = x + 1
    if f:
        del y
    try:
        return y
    except UnboundLocalError as e:
        return str(e)


@program((X,))
def inplace_list(x):
    a = b = [x]
    a += [x * 2]
    b.append(1)
    a = a + [2]
    return a, b


@program((X, {"a": {"b": [1, 2]}}))
def deep(x, d):
    d["a"]["b"][0] += 5
    d["a"]["c"] = d["a"]["b"]
    d["a"]["c"].append(x)
    return d["a"]["b"][-1] * 2


@program((X, 1), (X, True), (X, 1.0))
def types(x, v):
    return type(v).__name__, isinstance(v, bool), x + v, v == 1, v is True


@program((X,))
def classes(x):
    class Local:
        k = 2

        def m(self, y):
            return y * self.k

    return Local().m(x)


@program((X,))
def asserting(x):
    assert x.shape == (2,), "bad"
    return x


@program((X, t(1, 2, 3)))
def shape_err(x, y):
    return x + y


@program((X,))
def item_use(x):
    return x * x.sum().item(), x[0].item() + 1


@program((X,))
def np_use(x):
    import numpy as np

    return x + float(np.float32(2)), np.sqrt(4.0)


@program((X,))
def print_use(x):
    print("hi", file=sys.stderr)
    return x + 1


@program((X, [1, 2, 3]))
def iters(x, l):
    it = iter(l)
    a = next(it)
    json.loads("1")
    b = next(it)
    return a, b, list(it), x


@program((X,))
def zips(x):
    z = zip([1, 2, 3], "abc")
    next(z)
    json.loads("1")
    return list(z), list(enumerate("ab", 5)), x


@program((X,))
def lambdas(x):
    return (lambda a, *, b=2: a * b)(x, b=3), sorted([(2, "b"), (1, "a")], key=lambda p: p[1])


@program((X, [1, 2]), (X, [3]), (X, []))
def every_way_into_a_list(x, l):
    ways = [
        lambda: list(reversed(l)), lambda: [*l], lambda: tuple(l), lambda: sum(l), lambda: sorted(l), lambda: str(l),
        lambda: l[:1], lambda: l + [0], lambda: l * 2, lambda: bool(l), lambda: len(l), lambda: 1 in l, lambda: l == [1, 2],
        lambda: dict.fromkeys(l), lambda: set(l), lambda: max(l, default=0), lambda: "".join(map(str, l)),
        lambda: "%s" % l, lambda: f"{l}", lambda: l.copy(), lambda: l.count(1), lambda: list(zip(l, l)),  # noqa: UP031
        lambda: list(enumerate(l)), lambda: [a for a in l], lambda: (lambda *a: a)(*l),  # noqa: C416
        lambda: functools.reduce(lambda a, b: a + b, l, 0), lambda: any(l), lambda: next(iter(l), None),
        lambda: list(filter(None, l)), lambda: fw.tensor(l).shape, lambda: repr(l),
        lambda: collections.deque(l).pop() if l else 0, lambda: [] < l, lambda: (l, 1)[0][:],  # noqa: SIM300
    ]  # fmt: skip
    return x, [way() for way in ways]


@program((X, [1, 2]), (X, [3]), (X, []))
def one_way_into_a_list(x, l):
    return x, list(reversed(l))


@program((X, [1, 2], [5]), (X, [3], []), (X, [], [1]))
def lists_grow_before_they_are_read(x, a, b):
    a.append(7)
    b.extend(a)
    a += b
    return x * len(a), b[-1], a


@program((X, collections.deque([1, 2])), (X, collections.deque([3])))
def native_content_from_outside(x, d):
    """A C type's content is no attribute: it is passed on, and looked into by CPython only."""
    method = d.append
    json.loads("1")
    method(len(d))
    return x * d[-1], d.pop(), list(d), d.maxlen


@pytest.mark.parametrize(("fn", "calls"), PROGRAMS, ids=[f.__name__ for f, _ in PROGRAMS])
def test_agrees(fn: Any, calls: tuple[Any, ...]) -> None:
    agree(fn, *calls, breaks="any")


class Dying:
    log: list[int] = []

    def __init__(self, v):
        self.v = v

    def __del__(self):
        Dying.log.append(self.v)


def test_objects_that_run_code_when_they_die() -> None:
    def f(x):
        d = Dying(1)
        y = x + 1
        del d
        return y, len(Dying.log)

    compiled = compiler.compile(f, backend="interpret")
    Dying.log.clear()
    assert [compiled(X)[1] for _ in range(3)] == [1, 2, 3]
