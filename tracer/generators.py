"""Generators that are followed: a symbolic frame that yields. They live in the tracer alone and cannot cross a graph break."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .bytecode import NULL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .frame import Frame
    from .session import Session


_DELEGATES = {"CLEANUP_THROW"}  # what handles an exception for the generator that one delegates to


class Generator:
    """What a followed call of a generator function gives. `advance` is ``next``, NULL at the end; `value` is what it returned."""

    __slots__ = ("done", "frame", "session", "value")

    def __init__(self, session: Session, frame: Frame) -> None:
        self.session, self.frame = session, frame
        self.done, self.value = False, None
        session.only_here(self)

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

    def advance(self, sent: Any = None) -> Any:
        if self.done:
            return NULL
        frame = self.frame
        if frame.started:
            frame.stack.append(sent)
        frame.started = True
        try:
            result = self.session.run(frame)
        except BaseException:
            self.done = True
            raise
        if frame.yielded:
            return result
        self.done, self.value = True, result
        return NULL


class Lazily(Generator):
    """``map`` or ``filter`` with a function that is followed: a native generator whose body calls back into the tracer."""

    __slots__ = ("items",)

    def __init__(self, session: Session, items: Iterator[Any]) -> None:
        self.session, self.items = session, items
        self.done, self.value = False, None
        session.only_here(self)

    has_to_close = False

    def advance(self, sent: Any = None) -> Any:
        return next(self.items, NULL)
