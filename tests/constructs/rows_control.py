"""Constructs of control flow: loops, exceptions, context managers, pattern matching."""


from __future__ import annotations

import contextlib
import enum
import io
from dataclasses import dataclass
from typing import Any, NamedTuple

from rows import Case, construct


@construct("for/else, while/else, continue, break")
def loops(torch: Any) -> Any:
    def f(x: Any) -> Any:
        for k in range(5):
            if k == 1:
                continue
            if k == 3:
                break
            x = x + k
        else:
            x = x * 100
        n = 3
        while n:
            n -= 1
            x = x * 2
        else:
            x = x - 1
        return x

    return f


@construct("nested loops over containers, unpacking in for")
def nested_loops(torch: Any) -> Any:
    def f(x: Any) -> Any:
        out = []
        for k, (a, *rest) in enumerate([(1, 2, 3), (4, 5)]):
            for r in rest:
                out.append(x * a + r * k)
        return out

    return f


@construct("walrus, chained comparison, conditional expression")
def walrus(torch: Any) -> Any:
    def f(x: Any) -> Any:
        if (n := x.shape[0]) > 2 and 0 < n <= 10:
            return x * n if n != 3 else x
        return x

    return f


@construct("try/except/else/finally raised and caught inside")
def try_all(torch: Any) -> Any:
    def f(x: Any) -> Any:
        trace = []
        for k in (0, 1):
            try:
                if k:
                    raise KeyError("missing")
                x = x + 1
            except KeyError as error:
                trace.append(error.args[0])
                x = x * 2
            else:
                trace.append("else")
            finally:
                trace.append("finally")
        return x, trace

    return f


@construct("exception raised from, with cause and context, caught outside of the callee")
def raise_from(torch: Any) -> Any:
    def inner(x: Any) -> Any:
        try:
            return {}["key"]
        except KeyError as error:
            raise ValueError("no key") from error

    def f(x: Any) -> Any:
        try:
            return inner(x)
        except ValueError as error:
            return x + len(str(error)), type(error.__cause__).__name__, type(error.__context__).__name__

    return f


@construct("exception that escapes the region")
def escapes(torch: Any) -> Any:
    seen: list[int] = []

    def inner(x: Any) -> Any:
        seen.append(len(seen))
        raise ValueError(f"shape {tuple(x.shape)}")

    def f(x: Any) -> Any:
        y = x * 2
        return inner(y)

    return Case(f, state=lambda: seen)


@construct("exception that escapes a with and a finally")
def escapes_blocks(torch: Any) -> Any:
    log: list[str] = []

    class Manager:
        def __enter__(self) -> Manager:
            log.append("enter")
            return self

        def __exit__(self, kind: Any, value: Any, where: Any) -> None:
            log.append(kind.__name__)

    def f(x: Any) -> Any:
        with Manager():
            try:
                return x[[7]]
            finally:
                log.append("finally")

    return Case(f, state=lambda: log)


@construct("exception group raised, except* inside")
def exception_group(torch: Any) -> Any:
    def f(x: Any) -> Any:
        found = []
        try:
            raise ExceptionGroup("several", [ValueError("a"), KeyError("b")])
        except* ValueError as group:
            found.append(len(group.exceptions))
            x = x + 1
        except* KeyError:
            found.append("key")
        return x * 2, found

    return f


@construct("exception group that escapes")
def group_escapes(torch: Any) -> Any:
    def f(x: Any) -> Any:
        y = x + 1
        try:
            raise ExceptionGroup("several", [ValueError("a"), KeyError("b")])
        except* ValueError:
            y = y * 2
        return y

    return f


@construct("finally that returns, nested handlers, bare raise")
def nested_handlers(torch: Any) -> Any:
    def inner(x: Any) -> Any:
        try:
            try:
                raise ValueError("first")
            except ValueError:
                x = x + 1
                raise
        except ValueError:
            x = x * 3
            try:
                raise TypeError("second")
            finally:
                return x

    def f(x: Any) -> Any:
        return inner(x) - 1

    return f


@construct("custom exception class with attributes, add_note")
def custom_exception(torch: Any) -> Any:
    class Wrong(Exception):
        def __init__(self, what: str, factor: int) -> None:
            super().__init__(what)
            self.factor = factor

    def check(x: Any, k: int) -> Any:
        if k:
            error = Wrong("no", 3)
            error.add_note("a note")
            raise error
        return x

    def f(x: Any) -> Any:
        try:
            return check(x, 1)
        except Wrong as error:
            return x * error.factor, error.__notes__

    return f


@construct("with: a context manager class that swallows")
def manager_class(torch: Any) -> Any:
    class Manager:
        def __init__(self) -> None:
            self.depth = 0

        def __enter__(self) -> Manager:
            self.depth += 1
            return self

        def __exit__(self, kind: Any, value: Any, where: Any) -> bool:
            self.depth -= 1
            return kind is ValueError

    manager = Manager()

    def f(x: Any) -> Any:
        with manager as m, Manager() as other:
            x = x * (m.depth + other.depth)
            raise ValueError("swallowed by the outer one")
        return x + manager.depth

    return Case(f, state=lambda: manager.depth)


@construct("with: @contextmanager")
def contextmanager(torch: Any) -> Any:
    log: list[str] = []

    @contextlib.contextmanager
    def doubled(x: Any) -> Any:
        log.append("enter")
        try:
            yield x * 2
        finally:
            log.append("leave")

    def f(x: Any) -> Any:
        with doubled(x) as y:
            y = y + 1
        return y

    return Case(f, state=lambda: log)


@construct("with: @contextmanager that handles an exception; ContextDecorator")
def contextmanager_handles(torch: Any) -> Any:
    @contextlib.contextmanager
    def safe() -> Any:
        try:
            yield
        except ValueError:
            pass

    @safe()
    def decorated(x: Any) -> Any:
        return x + 2

    def f(x: Any) -> Any:
        y = decorated(x)
        with safe():
            y = y * 3
            raise ValueError("handled")
        return y

    return f


@construct("with: contextlib.suppress")
def suppress(torch: Any) -> Any:
    def f(x: Any) -> Any:
        with contextlib.suppress(KeyError):
            x = x + 1
            {}["missing"]
            x = x * 100
        return x * 2

    return f


@construct("with: contextlib.nullcontext, closing")
def nullcontext(torch: Any) -> Any:
    class Resource:
        closed = False

        def close(self) -> None:
            self.closed = True

    def f(x: Any) -> Any:
        resource = Resource()
        with contextlib.nullcontext(x + 1) as y, contextlib.closing(resource) as r:
            y = y * 2
        return y, r.closed

    return f


@construct("with: contextlib.ExitStack")
def exit_stack(torch: Any) -> Any:
    log: list[str] = []

    def f(x: Any) -> Any:
        with contextlib.ExitStack() as stack:
            y = stack.enter_context(contextlib.nullcontext(x * 2))
            stack.callback(log.append, "first")
            stack.callback(log.append, "second")
            y = y + 1
        return y

    return Case(f, state=lambda: log)


@construct("with: contextlib.redirect_stdout")
def redirect(torch: Any) -> Any:
    def f(x: Any) -> Any:
        buffer = io.StringIO()
        with contextlib.redirect_stdout(buffer):
            print("captured", tuple(x.shape))
        return x + 1, buffer.getvalue()

    return f


@construct("with no_grad, enable_grad, set_grad_enabled, as decorators too")
def grad_modes(torch: Any) -> Any:
    weight = torch.tensor([2.0], requires_grad=True)

    @torch.no_grad()
    def quiet(x: Any) -> Any:
        return x * weight

    def f(x: Any) -> Any:
        with torch.no_grad():
            a = x * weight
            with torch.enable_grad():
                b = x * weight
        with torch.set_grad_enabled(False):
            c = weight + 1
        return a, b, c, quiet(x), torch.is_grad_enabled()

    return f


class Point(NamedTuple):
    """A named tuple to match."""

    x: Any
    y: Any


@dataclass
class Circle:
    """A dataclass to match."""

    center: Any
    radius: float


class Colour(enum.Enum):
    """An enum to match."""

    RED = 1
    BLUE = 2


@construct("match: literal, capture, sequence, star, or, guard, as")
def match_sequence(torch: Any) -> Any:
    def pick(command: Any) -> Any:
        match command:
            case 0 | 1:
                return "small"
            case str() as text if len(text) > 3:
                return text
            case [first, *rest]:
                return first, rest
            case (None, _):
                return "never"
            case _:
                return "other"

    def f(x: Any) -> Any:
        return x + 1, [pick(c) for c in (0, "long text", [x, 2, 3], (1, 2), "no", None)]

    return f


@construct("match: mapping, class, enum value, nested")
def match_class(torch: Any) -> Any:
    def area(shape: Any) -> Any:
        match shape:
            case {"kind": "square", "side": side, **rest}:
                return side * side + len(rest)
            case Circle(center=Point(0, y), radius=r):
                return y * r
            case Point(x, y):
                return x * y
            case Colour.RED:
                return 1
            case float(value) | int(value):
                return value
            case _:
                return -1

    def f(x: Any) -> Any:
        shapes = [{"kind": "square", "side": x, "more": 1}, Circle(Point(0, x), 2.0), Point(x, 3), Colour.RED, Colour.BLUE, 2.5]
        return [area(s) for s in shapes]

    return f


@construct("data-dependent if")
def dependent_if(torch: Any) -> Any:
    def f(x: Any) -> Any:
        if x.sum() > 6:
            return x * 2
        return x - 1

    return f


@construct("data-dependent while")
def dependent_while(torch: Any) -> Any:
    def f(x: Any) -> Any:
        turns = 0
        while x.sum() < 50:
            x = x * 2 + 1
            turns += 1
        return x, turns

    return f


@construct("recursion")
def recursion(torch: Any) -> Any:
    def fib(x: Any, n: int) -> Any:
        return x * n if n < 2 else fib(x, n - 1) + fib(x, n - 2)

    def f(x: Any) -> Any:
        return fib(x, 6)

    return f


@construct("assert of Python values, with and without message")
def asserts(torch: Any) -> Any:
    def f(x: Any) -> Any:
        assert x.ndim == 1
        try:
            assert x.shape[0] == 5, f"got {x.shape[0]}"
        except AssertionError as error:
            return x + 1, str(error)
        return x

    return f


@construct("del of locals, rebinding, star assignment")
def del_locals(torch: Any) -> Any:
    def f(x: Any) -> Any:
        y = x + 1
        z, *w = y, x, y * 2
        del y
        try:
            y
        except UnboundLocalError as error:
            return z, w, str(error)
        return None

    return f
