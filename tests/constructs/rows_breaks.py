"""Breaks anywhere: a call that cannot be followed, in every kind of place. What lies around it is still compiled."""


from __future__ import annotations

import contextlib
import ctypes
from typing import Any

from rows import Case, construct

opaque = ctypes.pythonapi.PyLong_FromLong  # C code that nothing models: gives its argument
opaque.restype, opaque.argtypes = ctypes.py_object, [ctypes.c_long]


@construct("break in a for loop over a list")
def in_loop(torch: Any) -> Any:
    def f(x: Any) -> Any:
        for k in [1, 2, 3]:
            x = x * 2 + opaque(k)
        return x - 1

    return f


@construct("break in a while loop in a nested for")
def in_nested_loop(torch: Any) -> Any:
    def f(x: Any) -> Any:
        for k, scale in enumerate((1.0, 2.0)):
            n = 0
            while n < 2:
                x = x * scale
                n += opaque(1)
            x = x + k
        return x

    return f


@construct("break in a with block, whose exit then runs")
def in_with(torch: Any) -> Any:
    log: list[str] = []

    class Manager:
        def __enter__(self) -> int:
            log.append("enter")
            return 2

        def __exit__(self, *args: Any) -> None:
            log.append("exit")

    def f(x: Any) -> Any:
        with Manager() as k:
            y = x * k
            y = y + opaque(3)
            y = y * 2
        return y + len(log)

    return Case(f, state=lambda: log)


@construct("break in a @contextmanager's block, in suppress, under no_grad")
def in_contextmanager(torch: Any) -> Any:
    @contextlib.contextmanager
    def doubled(x: Any) -> Any:
        yield x * 2

    def f(x: Any) -> Any:
        with doubled(x) as y, torch.no_grad(), contextlib.suppress(KeyError):
            y = y + opaque(1)
            {}["missing"]
        return y * 3, torch.is_grad_enabled()

    return f


@construct("break in try, except, else and finally")
def in_try(torch: Any) -> Any:
    def f(x: Any) -> Any:
        for k in range(2):
            try:
                x = x + opaque(1)
                if k:
                    raise ValueError("k")
                x = x * 2
            except ValueError:
                x = x - opaque(5)
            else:
                x = x * opaque(3)
            finally:
                x = x + opaque(7)
            x = x * 2
        return x

    return f


@construct("the call that breaks raises, and is caught")
def raising_break(torch: Any) -> Any:
    def f(x: Any) -> Any:
        y = x + 1
        try:
            y = y + opaque("no number")
        except ctypes.ArgumentError:
            y = y * 2
        return y - 1

    return f


@construct("the call that breaks raises, and it escapes")
def raising_escape(torch: Any) -> Any:
    def inner(x: Any) -> Any:
        y = x * 2
        return y + opaque("no number")

    def f(x: Any) -> Any:
        return inner(x + 1) - 1

    return f


@construct("break in a comprehension: list, dict, nested")
def in_comprehension(torch: Any) -> Any:
    def f(x: Any) -> Any:
        rows = [x * opaque(k) + 1 for k in range(3)]
        table = {k: v + opaque(k) for k, v in enumerate(rows)}
        return table[2] - 1, [[opaque(i) * j for j in range(2)] for i in range(2)]

    return f


@construct("break in a generator expression that sum consumes")
def in_genexpr(torch: Any) -> Any:
    def f(x: Any) -> Any:
        y = x + 1
        return sum(y * opaque(k) for k in range(3)) * 2

    return f


@construct("break in a generator function")
def in_generator(torch: Any) -> Any:
    def parts(x: Any) -> Any:
        for k in range(3):
            yield x * opaque(k)

    def f(x: Any) -> Any:
        y = x + 1
        for part in parts(y):
            y = y + part
        return y * 2

    return f


@construct("break in an inlined callee, four calls deep, and on the way back")
def deep(torch: Any) -> Any:
    def inner(x: Any, n: int) -> Any:
        y = x + n
        z = y * opaque(2) if n == 0 else inner(y, n - 1)
        return z + 1

    def f(x: Any) -> Any:
        return inner(x * 2, 3) * 3

    return f


@construct("break in __init__ and __new__")
def in_init(torch: Any) -> Any:
    class Model:
        def __init__(self, x: Any) -> None:
            self.a = x * 2
            self.b = self.a + opaque(3)
            self.c = self.b * 2

    def f(x: Any) -> Any:
        m = Model(x + 1)
        return m.c - m.a

    return f


@construct("break in a property, __getattr__ and a descriptor")
def in_property(torch: Any) -> Any:
    class Model:
        def __init__(self) -> None:
            self.k = 2

        @property
        def scaled(self) -> int:
            return opaque(self.k) * 2

        def __getattr__(self, name: str) -> int:
            return opaque(len(name))

    model = Model()

    def f(x: Any) -> Any:
        y = x * model.scaled
        z = y + model.other
        return z * 2

    return f


@construct("break in operator dunders: __add__, __eq__, __getitem__, __bool__, __len__")
def in_dunders(torch: Any) -> Any:
    class Odd:
        def __add__(self, x: Any) -> Any:
            return x * 2 + opaque(1)

        def __getitem__(self, k: int) -> int:
            return opaque(k) + 1

        def __bool__(self) -> bool:
            return bool(opaque(1))

        def __len__(self) -> int:
            return opaque(4)

    odd = Odd()

    def f(x: Any) -> Any:
        y = odd + x
        y = y * odd[2]
        return y - len(odd) if odd else y

    return f


@construct("break in a key of sorted(), in map, in a default factory")
def in_callbacks(torch: Any) -> Any:
    def f(x: Any) -> Any:
        order = sorted([3, 1, 2], key=lambda v: opaque(-v))
        mapped = list(map(lambda v: opaque(v) + 1, order))
        return x * order[0] + mapped[-1], order

    return f


@construct("break under a decorator, in a partial, in a bound method")
def in_wrappers(torch: Any) -> Any:
    import functools

    def doubled(fn: Any) -> Any:
        @functools.wraps(fn)
        def wrapper(*args: Any) -> Any:
            return fn(*args) * 2

        return wrapper

    class Model:
        @doubled
        def run(self, k: int, x: Any) -> Any:
            y = x + k
            return y * opaque(3) - 1

    run = functools.partial(Model().run, 5)
    return lambda x: run(x) + 1


@construct("break in the forward of a submodule")
def in_module(torch: Any) -> Any:
    class Layer(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            y = x * 2
            return y + opaque(1)

    model = torch.nn.Sequential(torch.nn.ReLU(), Layer(), torch.nn.Tanh())

    def f(x: Any) -> Any:
        return model(x) * 2

    return f


@construct("break with live locals of every kind: cells, unbound names, iterators, objects made inside")
def live_locals(torch: Any) -> Any:
    class Box:
        pass

    def f(x: Any) -> Any:
        box, count = Box(), 0
        box.value = x * 2
        it = iter([1, 2, 3])
        pairs = zip([1, 2], "ab", strict=True)
        next(it), next(pairs)

        def bump() -> int:
            nonlocal count
            count += 1
            return count

        bump()
        if x.ndim > 3:
            never = 1
        k = opaque(bump())
        try:
            never
        except UnboundLocalError:
            k += 1
        return box.value * k, next(it), next(pairs), bump(), box

    return f


@construct("two breaks in one expression, one in an argument")
def in_expression(torch: Any) -> Any:
    def g(a: Any, b: Any, *, c: Any) -> Any:
        return a + b * c

    return lambda x: g(x * 2, opaque(3), c=opaque(4)) + (opaque(1) and x * opaque(2))


@construct("break in match: subject, guard, body")
def in_match(torch: Any) -> Any:
    def f(x: Any) -> Any:
        match opaque(3), x * 2:
            case (k, y) if k > opaque(5):
                return y
            case (3, y):
                return y + opaque(2)
        return x

    return f


@construct("break in a class body")
def in_class_body(torch: Any) -> Any:
    def f(x: Any) -> Any:
        y = x + 1

        class Made:
            k = opaque(4)

            def run(self, v: Any) -> Any:
                return v * self.k

        return Made().run(y) - 1

    return f


@construct("break in an async function driven by send")
def in_coroutine(torch: Any) -> Any:
    async def work(x: Any) -> Any:
        return x * opaque(3)

    async def main(x: Any) -> Any:
        return await work(x + 1) - 1

    def f(x: Any) -> Any:
        y = x * 2
        try:
            main(y).send(None)
        except StopIteration as done:
            return done.value + 1
        return None

    return f


@construct("print in a nested function under try in a loop with a tensor condition")
def everything(torch: Any) -> Any:
    log: list[Any] = []

    def step(x: Any, k: int) -> Any:
        try:
            if x.sum() > 20:
                raise OverflowError(k)
            return x * 2
        finally:
            log.append(k)

    def f(x: Any) -> Any:
        for k in range(4):
            try:
                x = step(x, k)
            except OverflowError:
                x = x - 10
        return x

    return Case(f, state=lambda: log)
