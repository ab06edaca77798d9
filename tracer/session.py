"""One attempt to capture a function: the frames, the recorder, the outside world, the effects, and how calls are followed."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .. import knobs
from ..eager import generators, random
from ..errors import FusewireError
from ..ir.graph import Where
from ..runtime.source import Attr, Const, Item, Source
from .binding import bind
from .breaks import Break, Restart, UserRaise, ValueNeeded, describe
from .effects import Effects
from .frame import Frame
from .guards import Outside, of_library
from .late import LATE
from .policy import Policy
from .prologue import Drawn, graph_input
from .recorder import Recorder
from .standins import Place

_SUSPENDS = 0x20 | 0x80 | 0x200  # generator, coroutine, asynchronous generator


class Session:
    """State of one capture. `forced`: units (numbers in order of execution) at which the graph must break, and why."""

    def __init__(self, name: str, forced: dict[int, tuple[str, str]], policy: Policy) -> None:
        from .attributes import Attributes
        from .calls import Calls
        from .operators import Operators

        self.recorder = Recorder(name, self.where)
        self.outside = Outside(self.recorder, policy)
        self.recorder.adopt = self._adopt  # type: ignore[method-assign]
        self.recorder.follow = self.call  # type: ignore[method-assign]
        self.recorder.histories.unit = lambda: self.units
        self.recorder.lates.drawn = lambda late: graph_input(self, late)
        self.drawn = Drawn()
        self.parameters = 0  # of the captured function
        self.effects = Effects(self.outside)
        self.attributes = Attributes(self)
        self.calls = Calls(self)
        self.operators = Operators(self)
        self.frames: list[Frame] = []
        self.forced = forced
        self.units = 0
        self.handled: BaseException | None = None
        self.catching = 0  # calls by the tracer itself that handle the user's exceptions
        self.transforms = 0  # calls of the library's transforms that are under way
        self.made_from: dict[int, tuple[Any, Any]] = {}  # id of an iterator -> it, what it runs over
        self.made_at: dict[int, tuple[Any, int]] = {}  # id of an object that only lives in the tracer -> it, its unit
        self.fresh_functions: dict[int, Any] = {}
        self.fresh_classes: dict[int, type] = {}
        self.own_dicts: dict[int, Any] = {}  # objects whose ``__dict__`` the region set
        self.stored_names: set[str] = set()  # attributes that the region stores to classes
        self._library: dict[int, bool] = {}

    def _adopt(self, real: Any) -> Any:
        """A real Tensor met by library code that runs as it is: one that came in before, or the random state."""
        known = self.outside.memo.get(id(real))
        if known is not None:
            return known[1]
        generator = random.default_generator
        if real.meta.device != "cpu":
            return self.outside.admit(real, self._state_on(real))
        if real is generator.state:
            return self.outside.admit(real, Attr(Const(generator, "default_generator"), "state"))
        raise Break("outside-object", "a tensor that is held by Python code which the tracer did not follow")

    def _state_on(self, real: Any) -> Source:
        """Where the state of a GPU's default generator comes from."""
        generator = generators.of(real.meta.device)
        if real is not generator.state:
            raise Break("outside-object", "a tensor that is held by Python code which the tracer did not follow")
        self.recorder.place(real.meta.device, "random numbers")
        return Attr(Const(generator, "cuda_generator"), "state")

    def close(self) -> None:
        """Let go of everything met: the user's objects must not live on until the next garbage collection."""
        for frame in self.frames:
            frame.slots, frame.stack, frame.begun, frame.result = [], [], (0, [], []), None
        self.effects.forget()
        for held in (
            self.frames, self.outside.memo, self.outside.origin, self.outside.closed, self.outside.numbers, self.outside.changed,
            self.outside.tainted, self.effects.owned, self.effects.doubtful, self.drawn.slots, self.drawn.inputs,
            self.recorder.inputs, self.recorder.seen, self.recorder.of_storage, self.effects.journal, self.effects.attrs,
            self.effects.cells, self.effects.globals, self.made_from, self.made_at, self.fresh_functions,
            self.fresh_classes, self.own_dicts,
        ):  # fmt: skip
            held.clear()
        self.handled = None
        del self.recorder.lates, self.recorder.histories, self.recorder.adopt, self.recorder.follow
        del self.attributes, self.calls, self.operators

    # -- places ----------------------------------------------------------------------------------------------------

    def where(self) -> Where:
        """The user's line: the innermost frame that is not the library's own code."""
        for frame in reversed(self.frames):
            if not frame.library:
                return frame.where()
        return self.frames[-1].where() if self.frames else Where("?", 0)

    def is_library(self, namespace: dict[str, Any]) -> bool:
        key = id(namespace)
        if key not in self._library:
            self._library[key] = of_library(namespace.get("__name__"))
        return self._library[key]

    def place(self) -> Place:
        """The user's lines as they are now, for a call that the tail makes."""
        found = [(f.globals, f.code.co_filename, f.code.co_name, f.code.co_qualname, f.where().line) for f in self.frames]
        return Place(tuple(found))

    # -- exceptions --------------------------------------------------------------------------------------------------

    def is_caught(self) -> bool:
        """Whether an exception that leaves the innermost frame now is caught further out."""
        return self.catching > 0 or any(frame.has_handler() for frame in self.frames[:-1])

    def is_covered(self) -> bool:
        """Whether an exception in the present instruction would be handled by the user's code, a ``with`` included."""
        return self.catching > 0 or any(frame.is_covered() for frame in self.frames)

    @contextmanager
    def catches(self) -> Iterator[None]:
        """The tracer itself handles `UserRaise` inside."""
        self.catching += 1
        try:
            yield
        finally:
            self.catching -= 1

    def thrown(self, exc: BaseException) -> UserRaise:
        """What to raise so that `exc` is raised in the user's program."""
        if exc.__context__ is None:
            self.in_context(exc)
        return UserRaise(exc)

    def in_context(self, exc: BaseException) -> None:
        """`exc` is raised while another exception is handled, which becomes its context; no chain of contexts leads back."""
        if self.handled is None or self.handled is exc:
            return
        at = self.handled
        while at.__context__ is not None and at.__context__ is not exc:
            at = at.__context__
        at.__context__ = None
        exc.__context__ = self.handled

    def native(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run trusted native code on values the interpreter holds; what it raises is the user's exception."""
        try:
            return fn(*args, **kwargs)
        except ValueNeeded as needed:
            raise needed.as_break(fn) from None
        except Exception as exc:
            if any(type(y) in LATE for x in (*args, *kwargs.values()) for y in (x if type(x) in (list, tuple) else (x,))):
                raise Break("late-value", f"{describe(fn)} of a value that only the run knows") from None
            if not isinstance(exc, (LookupError, AttributeError, StopIteration)) or isinstance(exc, FusewireError):
                self.recorder.symbols.pin_all()  # its text may name sizes
            exc.__traceback__ = None
            exc.__context__ = exc.__cause__ if exc.__cause__ is not None else None
            raise self._raised(exc) from None

    def _raised(self, exc: Exception) -> UserRaise:
        self.in_context(exc)
        return UserRaise(exc)

    # -- calls -----------------------------------------------------------------------------------------------------

    def call(self, fn: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Call anything from within an instruction that is more than this call."""
        return self.calls.call(fn, list(args), kwargs or {})

    def inline(self, function: types.FunctionType, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Follow a Python function's bytecode; a generator function gives a `Generator`."""
        code = function.__code__
        if len(self.frames) >= knobs.inline_limit:
            raise Break("call-depth", f"{describe(function)}, {len(self.frames)} calls deep")
        if self.outside.source_of(function) is None and id(function) not in self.fresh_functions:
            self.outside.constant(function, function.__name__)  # of a guarded class or descriptor: its cells are from outside
        frame = Frame(self, function, bind(self, function, args, kwargs), self.closure_of(function))
        if code.co_flags & _SUSPENDS:
            from .generators import Generator

            return Generator(self, frame)
        return self.run(frame)

    def run(self, frame: Frame) -> Any:
        """Run a frame on top of the others until it returns or yields. On a break it stays, for the record."""
        self.frames.append(frame)
        try:
            result = frame.run()
        except UserRaise:
            self.frames.pop()
            raise
        self.frames.pop()
        return result

    def closure_of(self, function: types.FunctionType) -> tuple[Any, ...]:
        """The cells of a function, registered with their sources where they come from outside."""
        cells = function.__closure__ or ()
        source = self.outside.source_of(function)
        if source is not None:
            by_identity = self.outside.is_held(function)
            for i, (name, cell) in enumerate(zip(function.__code__.co_freevars, cells, strict=True)):
                if self.outside.source_of(cell) is None:
                    at = Const(cell, name) if by_identity else Item(Attr(source, "__closure__"), i)
                    self.outside.register(cell, cell, at)
        return cells

    def constant_function(self, function: types.FunctionType) -> None:
        """Admit the compiled function itself, which the capture keeps alive."""
        self.outside.register(function, function, Const(function, function.__name__))
        self.outside.held.add(id(function))

    def fresh_function(self, function: types.FunctionType) -> types.FunctionType:
        """Note a function that the region made."""
        self.fresh_functions[id(function)] = function
        self.outside.made.add(id(function))
        return function

    # -- what the tail cannot make again -------------------------------------------------------------------------------

    def only_here(self, x: Any) -> Any:
        """Note an object (a followed generator) that exists in the tracer alone."""
        self.made_at[id(x)] = x, self.units
        return x

    def traceback_of(self, exc: BaseException) -> Any:
        """``exc.__traceback__`` of an exception that is being handled: there is one, and only CPython can make it."""
        if exc.__traceback__ is not None:
            return exc.__traceback__
        made = types.TracebackType(None, sys._getframe(), 0, 1)
        unit = self.made_at[id(exc)][1] if id(exc) in self.made_at else self.units
        self.made_at[id(made)] = made, unit
        return made

    def undo(self, x: Any, what: str) -> Restart:
        """A restart that lets CPython make `x`, which cannot be handed to it now."""
        found = self.made_at.get(id(x))
        if found is None:
            raise Break("generator-alive", what)
        return Restart(found[1], "generator-alive", what)

