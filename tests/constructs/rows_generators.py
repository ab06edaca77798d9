"""Generators and iterators: consumed, delegated to, driven, returned."""


from __future__ import annotations

import itertools
from typing import Any

from rows import Case, construct


@construct("generator function consumed inside")
def generator(torch: Any) -> Any:
    def parts(x: Any, n: int) -> Any:
        for k in range(n):
            yield x * k

    def f(x: Any) -> Any:
        return sum(parts(x, 4)) + next(parts(x, 2))

    return f


@construct("generator: yield from with its result")
def yield_from(torch: Any) -> Any:
    def inner(x: Any) -> Any:
        yield x
        yield x * 2
        return "done"

    def outer(x: Any) -> Any:
        result = yield from inner(x)
        yield x + len(result)
        yield from [x - 1, x - 2]

    def f(x: Any) -> Any:
        return list(outer(x))

    return f


@construct("generator: send")
def generator_send(torch: Any) -> Any:
    def average() -> Any:
        total, count = 0, 0
        value = None
        while True:
            value = yield value
            total, count = total + value, count + 1
            value = total / count

    def f(x: Any) -> Any:
        g = average()
        next(g)
        g.send(x)
        return g.send(x * 3)

    return f


@construct("generator: throw and close")
def generator_throw(torch: Any) -> Any:
    def careful(x: Any, log: list[str]) -> Any:
        try:
            yield x
            yield x * 2
        except ValueError:
            log.append("value")
            yield x * 10
        finally:
            log.append("closed")

    def f(x: Any) -> Any:
        log: list[str] = []
        g = careful(x, log)
        a = next(g)
        b = g.throw(ValueError("in"))
        g.close()
        return a + b, log

    return f


@construct("generator returned out of the region, half consumed")
def generator_returned(torch: Any) -> Any:
    def parts(x: Any, n: int) -> Any:
        for k in range(n):
            yield x * k

    def f(x: Any) -> Any:
        g = parts(x + 1, 3)
        first = next(g)
        return first, g

    return f


@construct("generator expression returned out of the region")
def genexpr_returned(torch: Any) -> Any:
    def f(x: Any) -> Any:
        return (x * k for k in range(3))

    return f


@construct("the compiled function is a generator itself")
def generator_itself(torch: Any) -> Any:
    def g(x: Any) -> Any:
        for k in range(2):
            yield x * k

    return g


@construct("class with __iter__ and __next__")
def iterator_class(torch: Any) -> Any:
    class Countdown:
        def __init__(self, n: int) -> None:
            self.n = n

        def __iter__(self) -> Countdown:
            return self

        def __next__(self) -> int:
            if not self.n:
                raise StopIteration
            self.n -= 1
            return self.n

    def f(x: Any) -> Any:
        for k in Countdown(3):
            x = x * 2 + k
        return x, max(Countdown(3)), list(Countdown(2))

    return f


@construct("iterator from outside is advanced")
def outer_iterator(torch: Any) -> Any:
    numbers = iter(range(100))
    counter = itertools.count(10)

    def f(x: Any) -> Any:
        return x + next(numbers) * next(counter)

    return Case(f, state=lambda: (numbers.__reduce__()[-1], repr(counter)))
