"""Generators and coroutines that are followed: a symbolic frame that yields. They live in the tracer alone; one that has not
begun is made again by the tail (its function is called), one that has begun cannot cross a graph break.
"""

from __future__ import annotations

import builtins
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from .breaks import Break, UserRaise, describe
from .bytecode import CLOSE_GIVES, NULL
from .classes import by_python
from .special import SPECIAL

if TYPE_CHECKING:
    from .frame import Frame
    from .session import Session


_DELEGATES = {"CLEANUP_THROW"}  # what handles an exception for the generator that one delegates to
_COROUTINE, _AWAITABLE_GENERATOR, _ASYNC_GENERATOR = 0x80, 0x100, 0x200
_KINDS = {_COROUTINE: types.CoroutineType, _ASYNC_GENERATOR: types.AsyncGeneratorType}
_NAMES = {types.CoroutineType: "coroutine", types.AsyncGeneratorType: "async generator"}


class Wrapped:
    """What an asynchronous generator yields itself, apart from what it awaits yields through it."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Generator:
    """What a followed call of a generator or coroutine function gives. `advance` is ``send``, NULL at the end; `value` is what it
    returned."""

    __slots__ = ("done", "frame", "handed", "kind", "own", "session", "value")

    def __init__(self, session: Session, frame: Frame) -> None:
        self.session, self.frame = session, frame
        self.done, self.value = False, None
        self.handed = False  # the tail makes it again and hands it over
        self.own: Any = None  # the exception that its code handles, while it is suspended
        flags = frame.code.co_flags
        self.kind = next((kind for bit, kind in _KINDS.items() if flags & bit), types.GeneratorType)
        session.only_here(self)

    @property
    def is_awaitable(self) -> bool:
        return self.kind is types.CoroutineType or bool(self.frame.code.co_flags & _AWAITABLE_GENERATOR)

    @property
    def has_to_close(self) -> bool:
        """Whether code of the generator runs when it is dropped now: it stands in a ``try`` or ``with``."""
        if self.done or not self.frame.started:
            return False
        program = self.frame.program
        handler = program.handler(self.frame.step)
        while handler is not None and program.steps[handler[0]].op in _DELEGATES:
            handler = program.handler(program.steps[handler[0]])
        return handler is not None and program.steps[handler[0]].op != "STOPITERATION_ERROR"

    @property
    def warns(self) -> bool:
        """Whether CPython warns when it is dropped: a coroutine that was never awaited."""
        return self.kind is types.CoroutineType and not (self.handed or self.done or self.frame.started)

    def advance(self, sent: Any = None) -> Any:
        """Run until it yields (the value), or to its end (NULL)."""
        if self.done:
            return NULL
        frame = self.frame
        if frame.started:
            frame.stack.append(sent)
        elif sent is not None:
            what = _NAMES.get(self.kind, "generator")
            raise self.session.thrown(TypeError(f"can't send non-None value to a just-started {what}"))
        return self._run()

    def _run(self) -> Any:
        frame, session = self.frame, self.session
        if frame in session.frames:
            raise session.thrown(ValueError(f"{_NAMES.get(self.kind, 'generator')} already executing"))
        frame.started = True
        outer = session.handled
        if self.own is not None:
            session.handled = self.own
        try:
            result = session.run(frame)
        except UserRaise as raised:
            self.done = True
            session.handled = outer
            raise self._ended(raised) from None
        except BaseException:
            self.done = True
            raise
        self.own = session.handled if session.handled is not outer else None
        session.handled = outer
        if frame.yielded:
            return result
        self.done, self.value = True, result
        return NULL

    def _ended(self, raised: UserRaise) -> UserRaise:
        """No StopIteration leaves a generator but its own. (From CPython 3.12 on its code sees to that itself.)"""
        exc = raised.exc
        if not isinstance(exc, StopIteration):
            return raised
        error = RuntimeError(f"{_NAMES.get(self.kind, 'generator')} raised StopIteration")
        error.__cause__ = error.__context__ = exc
        return UserRaise(error)

    def delegate(self) -> Any:
        """The iterator that it delegates to at present; NULL where it yields by itself."""
        steps, at = self.frame.program.steps, self.frame.at
        while steps[at].op == "NOP":
            at += 1
        step = steps[at]
        back = step.op == "JUMP" and step.backward and steps[step.target].op == "SEND"
        return self.frame.stack[-1] if back else NULL

    def throw(self, exc: BaseException) -> Any:
        """Raise `exc` where it stands. As `advance`."""
        if self.done:
            raise UserRaise(exc)
        frame = self.frame
        if not frame.started:
            self.done = True
            raise UserRaise(exc)
        inner = self.delegate()
        if inner is not NULL and not isinstance(exc, GeneratorExit):
            return self._throw_inside(inner, exc)
        if inner is not NULL:
            with self.session.catches():
                try:
                    close(self.session, inner)
                except UserRaise as raised:
                    exc = raised.exc
        return self._raise(exc)

    def _raise(self, exc: BaseException) -> Any:
        self.frame.stack.append(None)
        self.frame.thrown = exc
        return self._run()

    def _throw_inside(self, inner: Any, exc: BaseException) -> Any:
        if not isinstance(inner, Generator):
            raise Break("generator-alive", "an exception thrown into an iterator that a generator delegates to")
        with self.session.catches():
            try:
                result = inner.throw(exc)
            except UserRaise as raised:
                return self._raise(raised.exc)
        if result is not NULL:
            return result
        steps = self.frame.program.steps  # the inner one has ended: its value is that of the ``yield from``
        at = self.frame.at
        while steps[at].op == "NOP":
            at += 1
        self.frame.stack[-1], self.frame.at = inner.value, steps[steps[at].target].target
        return self._run()

    def stop(self) -> BaseException:
        """What ``next`` raises at the end."""
        if self.kind is types.AsyncGeneratorType:
            return StopAsyncIteration()
        return StopIteration() if self.value is None else StopIteration(self.value)


class Lazily(Generator):
    """``map`` or ``filter`` with a function that is followed: a native generator whose body calls back into the tracer."""

    __slots__ = ("items",)
    kind = types.GeneratorType
    is_awaitable = False
    has_to_close = warns = False

    def __init__(self, session: Session, items: Iterator[Any]) -> None:
        self.session, self.items = session, items
        self.done, self.value = False, None
        session.only_here(self)

    def advance(self, sent: Any = None) -> Any:
        return next(self.items, NULL)


class Step(Generator):
    """What ``__anext__``, ``asend``, ``athrow`` and ``aclose`` of an asynchronous generator give: one step of it, awaitable."""

    __slots__ = ("act", "begun")
    kind = types.CoroutineType
    is_awaitable = True
    has_to_close = warns = False

    def __init__(self, of: Generator, act: Callable[[], Any]) -> None:
        self.session, self.frame, self.act = of.session, of.frame, act
        self.done, self.value, self.begun = False, None, False
        self.own = of
        self.session.only_here(self)

    def advance(self, sent: Any = None) -> Any:
        if self.done:
            raise self.session.thrown(RuntimeError("cannot reuse already awaited __anext__()/asend()"))
        result = self.own.advance(sent) if self.begun else self.act()
        self.begun = True
        if result is NULL:
            self.done = True
            raise self.session.thrown(StopAsyncIteration())
        if type(result) is not Wrapped:
            return result
        self.done, self.value = True, result.value
        return NULL


def made_exception(session: Session, exc: Any, args: tuple[Any, ...]) -> BaseException:
    """The exception that ``throw(exc, ...)`` raises."""
    if isinstance(exc, type) and issubclass(exc, BaseException):
        value = args[0] if args else None
        exc = value if isinstance(value, exc) else session.call(exc, () if value is None else (value,))
    if not isinstance(exc, BaseException):
        raise session.thrown(TypeError("exceptions must be classes or instances deriving from BaseException"))
    return exc


def close(session: Session, it: Any) -> Any:
    """``it.close()`` of a followed generator; other iterators have nothing to close."""
    if not isinstance(it, Generator) or isinstance(it, Lazily) or it.done:
        return None
    if not it.frame.started:
        it.done = True
        return None
    with session.catches():
        try:
            result = it.throw(GeneratorExit())
        except UserRaise as raised:
            if isinstance(raised.exc, (GeneratorExit, StopIteration)):
                return None
            raise
    if result is not NULL:
        raise session.thrown(RuntimeError(f"{_NAMES.get(it.kind, 'generator')} ignored GeneratorExit"))
    return it.value if CLOSE_GIVES else None


def send(session: Session, it: Any, sent: Any) -> tuple[Any, Any]:
    """One step of an iterator that is delegated to: (what it yields or NULL, what it returned at its end)."""
    if isinstance(it, Generator):
        value = it.advance(sent)
        return value, it.value
    if sent is None:
        return _next_of(session, it)
    with session.catches():
        try:
            return session.call(session.attributes.load(it, "send"), (sent,)), None
        except UserRaise as raised:
            if isinstance(raised.exc, StopIteration):
                return NULL, raised.exc.value
            raise


def _next_of(session: Session, it: Any) -> tuple[Any, Any]:
    if not by_python(type(it)):
        return session.operators.advance(it), None
    with session.catches():
        try:
            return session.operators.special(it, "__next__"), None
        except UserRaise as raised:
            if isinstance(raised.exc, StopIteration):
                return NULL, raised.exc.value
            raise


def awaitable(session: Session, x: Any) -> Any:
    """The iterator behind ``await x``."""
    if isinstance(x, Generator) and x.is_awaitable:
        return x
    if isinstance(x, Generator) or session.attributes.of_class(x, "__await__") is NULL:
        kind = x.kind.__name__ if isinstance(x, Generator) else type(x).__name__
        raise session.thrown(TypeError(f"object {kind} can't be used in 'await' expression"))
    return session.operators.iterate(session.operators.special(x, "__await__"))


# -- attributes --------------------------------------------------------------------------------------------------------------


def _finish(g: Generator, result: Any) -> Any:
    if result is NULL:
        raise g.session.thrown(g.stop())
    return result


_METHODS: dict[str, Callable[..., Any]] = {
    "__iter__": lambda s, g: g,
    "__await__": lambda s, g: g,
    "__next__": lambda s, g: _finish(g, g.advance()),
    "send": lambda s, g, value: _finish(g, g.advance(value)),
    "throw": lambda s, g, exc, *args: _finish(g, g.throw(made_exception(s, exc, args))),
    "close": lambda s, g: close(s, g),
}
_ASYNC_METHODS: dict[str, Callable[..., Any]] = {
    "__aiter__": lambda s, g: g,
    "__anext__": lambda s, g: Step(g, g.advance),
    "asend": lambda s, g, value: Step(g, lambda: g.advance(value)),
    "athrow": lambda s, g, exc, *args: Step(g, lambda: g.throw(made_exception(s, exc, args))),
}


def _stub(table: dict[str, Callable[..., Any]], name: str) -> types.FunctionType:
    def method(*args: Any) -> Any: ...

    method.__name__ = method.__qualname__ = name
    SPECIAL[method] = table[name]
    return cast(types.FunctionType, method)


_STUBS = {name: _stub(_METHODS, name) for name in _METHODS}
_ASYNC_STUBS = {name: _stub(_ASYNC_METHODS, name) for name in _ASYNC_METHODS}


def attribute(session: Session, g: Generator, name: str) -> Any:
    """``g.name``."""
    if isinstance(g, Lazily):
        found = _STUBS.get(name) if name in ("__iter__", "__next__") else None
    elif g.kind is types.AsyncGeneratorType:
        found = _ASYNC_STUBS.get(name)
    else:
        found = _STUBS.get(name) if name not in ("__next__", "__iter__") or g.kind is types.GeneratorType else None
    if found is not None:
        return types.MethodType(found, g)
    if name in ("__name__", "__qualname__") and type(g) is Generator:
        return getattr(g.frame.function, name)
    if name == "__class__":
        return g.kind
    if hasattr(g.kind, name):
        raise Break("generator-alive", f"{name} of {describe(g.kind)}")
    text = f"'{_NAMES.get(g.kind, 'generator')}' object has no attribute '{name}'"
    raise session.thrown(AttributeError(text, name=name, obj=None))


def _aiter(session: Session, x: Any) -> Any:
    return x if isinstance(x, Generator) else session.operators.special(x, "__aiter__")


def _anext(session: Session, x: Any) -> Any:
    return Step(x, x.advance) if isinstance(x, Generator) else session.operators.special(x, "__anext__")


SPECIAL[builtins.aiter] = _aiter
SPECIAL[builtins.anext] = _anext
