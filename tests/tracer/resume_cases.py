"""Functions to break everywhere: `CASES` holds (function, tuples of arguments). What they do besides returning goes to `LOG`."""
# ruff: noqa: B012, C400, B023, UP031, F821 - odd code is the point

import sys
import weakref
from contextlib import contextmanager, suppress

LOG = []
CASES = []


def case(*argument_tuples):
    def register(fn):
        CASES.append((fn, argument_tuples))
        return fn

    return register


def say(*values, **named):
    """An opaque call: logs its arguments and the exception being handled, returns the first argument."""
    LOG.append((values, named, repr(sys.exc_info()[1])))
    return values[0] if values else None


class Guarded:
    def __init__(self, name, swallow=()):
        self.name, self.swallow = name, swallow

    def __enter__(self):
        say("enter", self.name)
        return self

    def __exit__(self, kind, exc, tb):
        say("exit", self.name, kind and kind.__name__, tb and tb.tb_lineno)
        return kind is not None and issubclass(kind, self.swallow)

    def method(self, value):
        return self.name, value


@contextmanager
def bracket(log):
    log.append("[")
    try:
        yield len(log)
    finally:
        log.append("]")


@case((2, 3), (0, -1))
def arithmetic(a, b):
    c = a * b - (a << 2 if a >= 0 else ~a)
    c += b**2
    d = not c
    return c, d, [a, *range(b), c], {a: b, "k": c}, {b, c}, -c % 7


@case((7,), (1,))
def accumulate(n, start=10):
    total = start
    for k in range(n):
        if not k % 3:
            continue
        total += say(k)
        if total > 25:
            break
    else:
        total = -total
    return total


@case((4,))
def pairs_of(n):
    found = []
    for a in range(n):
        for b in reversed(range(a)):
            found.append(say((a, b)))
            if b == 1:
                break
    return found


@case((3,), (0,), (40,))
def countdown(n):
    steps = 0
    while n:
        n -= 1
        steps += 1
        if steps > 5:
            return "long"
    else:
        say(n)
    return steps


@case((None,), ("inner",), ("body",))
def managers(where):
    with Guarded("outer", LookupError) as outer, Guarded("inner", ()) as inner:
        say(outer.method(1), inner.name)
        if where == "inner":
            raise KeyError(where)
        if where == "body":
            raise TypeError("not swallowed")
    return say("behind")


@case((2,), (0,), ("x",))
def guarded_division(d):
    try:
        value = 10 / d
    except ZeroDivisionError as error:
        say(str(error))
        value = None
    except TypeError:
        say("wrong type")
        raise
    else:
        value += 1
    finally:
        say("finally")
    return value, sys.exc_info()


@case((0,), (1,), (2,))
def returns_from_finally(k):
    try:
        if k == 0:
            return say("early")
        if k == 1:
            raise ValueError("lost")
    finally:
        if k:
            return say("late")
    return "never"


@case((True,), (False,))
def chained(explicit):
    try:
        try:
            raise KeyError("first")
        except KeyError as first:
            say(first.args)
            if explicit:
                raise RuntimeError("second") from first
            [][1]
        finally:
            say("between")
    except (RuntimeError, IndexError) as last:
        say(repr(last.__cause__), repr(last.__context__))
        raise


@case((4,), (0,))
def handlers_in_loop(n):
    out = []
    for k in range(n):
        try:
            with Guarded(k, OverflowError):
                if k == 2:
                    raise OverflowError
                out.append(1 / (k - 1))
        except ZeroDivisionError:
            out.append("zero")
            continue
        finally:
            out.append(k)
    return out


@case((3,))
def comprehensions(n):
    k = [k + n for k in range(n)]
    squares = {k: [j for j in range(k) if j != n] for k in range(n)}
    return k, squares, {k % 2 for k in k}, list(k * n for k in range(n))


@case((3,))
def captured_by_comprehension(n):
    late = [lambda: (k, n) for k in range(n)]
    n += 1
    return [f() for f in late]


@case((5,))
def shares_a_cell(n):
    seen = [n]

    def push(value):
        nonlocal n
        n += value
        seen.append(n)
        return n

    push(2)
    n *= say(10)
    del seen[0]
    return push(1), n, seen


def _counter():
    count = 0

    def step():
        nonlocal count
        count += 1
        out = say(count), (lambda: count)()
        count -= 1
        return out

    return step


case((), ())(_counter())


@case((1,), (1, 2, 3))
def many_kinds(a, *rest, flag=True, **more):
    more.update(a=a)
    return say(*rest, flag=flag), say(a, **more), dict(more, rest=rest), "-".join(map(str, rest))


@case(([1, 2, 3],), ({"a": 1, "b": 2},), (7,), ("word",), (None,))
def matched(subject):
    match subject:
        case [first, *_, last]:
            return first, last
        case {"a": value, **others}:
            return value, others
        case int() | float() as number if number > 5:
            return say(number)
        case str(text):
            return text
    return "nothing"


@case((1,), (11,), (-4,))
def conditions(n):
    if (0 < n <= 10 and n not in (2, 3)) or n is None:
        return "small"
    return ((m := n * 2) > 0 and m) or (not m, m is not None)


@case((2.5, "t"))
def text(x, s):
    return f"{x:>{8}.3f}|{s!r}|{s}", "%s" % s, f"{x!s:5}{{}}", s.upper().center(5, "*")


@case((True,), (False,))
def maybe_unbound(bind):
    if bind:
        value = say("bound")
    say("then")
    return value


class Thing:
    pass


@case((1,))
def dies_when_deleted(n):
    thing = Thing()
    alive = weakref.ref(thing)
    say(n)
    del thing
    dead = alive() is None
    try:
        return thing
    except UnboundLocalError as error:
        return dead, str(error)


@case((3,))
def only_cells(n):
    return say((lambda: n * 2)(), (lambda: n)())


@case(())
def no_slots():
    say("in")
    return [say(1), say(2)]


class Parent:
    def greet(self, name):
        return "hello " + name


class Child(Parent):
    def greet(self, name):
        text = super().greet(name)
        return say(text), __class__.__name__, sorted(locals())


case((Child(), "you"))(Child.greet)


@case(([4, 5, 6, 7],))
def rearranged(items):
    first, *middle, last = items
    (a, b), c = middle, first
    items[1:3] = [say(a), b, c]
    del items[0], c
    a, b, last = last, a, b
    return items, items[-2:], {"x": a, "y": [*items, b]}, sorted(items, key=lambda v: -v), *middle, last


@case((1,), (0,))
def context_generator(n):
    marks = []
    with suppress(ZeroDivisionError), bracket(marks) as size:
        marks.append(size / n)
    import math
    from math import floor as down

    assert n, f"n is {n}"
    return marks, math.ceil(n + 0.5), down(n + 0.5)


@case((2,))
def sees_its_locals(n):
    twice = n * 2
    shown = (lambda: twice, n)
    names = sorted(locals())
    for name in names:
        say(name)
    return names, shown[1], sorted(vars().keys() - {"shown"})


@case(("12",), ("1z",))
def long_code(digits):
    """More than 255 code units, so that jumps take an EXTENDED_ARG."""
    out = []
    for d in digits:
        try:
            out += [int(d) + 1, int(d) + 2, int(d) + 3, int(d) + 4, int(d) + 5, int(d) + 6, int(d) + 7, int(d) + 8]
            out += [int(d) - 1, int(d) - 2, int(d) - 3, int(d) - 4, int(d) - 5, int(d) - 6, int(d) - 7, int(d) - 8]
            out += [int(d) * 1, int(d) * 2, int(d) * 3, int(d) * 4, int(d) * 5, int(d) * 6, int(d) * 7, int(d) * 8]
        except ValueError as error:
            out.append(type(error))
            continue
        say(len(out))
    return out
