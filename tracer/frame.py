"""One symbolic frame: slots, stack, position, exception handling. The handlers of instructions lie in `ops_*.py`.

A frame runs until it returns, yields or breaks. Exceptions of the user's program travel as `UserRaise`; whatever else a handler
raises is the tracer's own business and never reaches the user's handlers.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import knobs
from ..ir.graph import Where
from .breaks import Break, Restart, UserRaise, ValueNeeded
from .bytecode import NULL, Program, Step, normalised, slot_count
from .late import LateMethod
from .resume import origin
from .values import Lazy

if TYPE_CHECKING:
    from .session import Session

Handle = Callable[["Frame", Step], "int | None"]
HANDLERS: dict[str, Handle] = {}
LEAVE = -1
_LONGEST = 500_000


def handles(*ops: str) -> Callable[[Handle], Handle]:
    """Decorator: this function does the instruction(s); it returns the step to go to, None for the next, LEAVE to leave."""

    def enter(fn: Handle) -> Handle:
        for op in ops:
            if op in HANDLERS:
                raise ValueError(f"two handlers for {op}")
            HANDLERS[op] = fn
        return fn

    return enter


class Frame:
    """The state of one function call. `begun`: (step, slots, stack) where the present unit of instructions began."""

    __slots__ = (
        "at", "begun", "builtins", "closure", "code", "entered", "function", "globals", "head", "library", "names", "noted",
        "plain", "program", "raised", "result", "session", "slots", "stack", "started", "step", "thrown", "unit_number",
        "yielded",
    )  # fmt: skip

    def __init__(self, session: Session, function: types.FunctionType, slots: list[Any], closure: tuple[Any, ...]) -> None:
        code = function.__code__
        self.session, self.function, self.code, self.closure = session, function, code, closure
        self.program: Program = normalised(code)
        self.globals, self.builtins = function.__globals__, function.__builtins__  # type: ignore[attr-defined]
        self.library = session.is_library(function.__globals__)
        self.slots = slots + [NULL] * (slot_count(code) - len(slots))
        self.stack: list[Any] = []
        self.at = 0
        self.step: Step = self.program.steps[0]
        self.unit_number = 0  # the session's count of units when the present one began
        self.begun: tuple[int, list[Any], list[Any]] = (0, self.slots, self.stack)
        self.noted = 0  # effects before the present unit
        self.plain = False  # the frame called from here is the whole of the present instruction
        self.raised: list[int] = []  # numbers of the units whose exceptions are being handled here
        self.result: Any = None
        self.started = self.yielded = False
        self.head = origin(code) is not None  # still unpacking the frame that a resume function got
        self.thrown: BaseException | None = None  # what a suspended frame raises when it goes on
        self.names: dict[str, Any] | None = None  # the names of a class body
        self.entered: Any = None  # the exception that was being handled when the frame was entered

    # -- running ---------------------------------------------------------------------------------------------------

    def run(self) -> Any:
        """Run until the frame is left; what it returns or (`yielded`) yields."""
        steps, session, journal = self.program.steps, self.session, self.session.effects.journal
        self.entered, self.yielded = session.handled, False
        if self.thrown is not None:
            exc, self.thrown = self.thrown, None
            self.at = self._catch(exc)
        while True:
            step = self.step = steps[self.at]
            if step.begins:
                session.units += 1
                self.unit_number = session.units
                self.begun = self.at, self.slots.copy(), self.stack.copy()
                self.noted = len(journal)
                if session.units > _LONGEST:
                    raise Break("long-loop", f"more than {_LONGEST} instructions in one region")
                if session.units in session.forced:
                    raise Break(*session.forced[session.units])
            to = self._do(step)
            if to is None:
                self.at += 1
            elif to == LEAVE:
                return self.result
            else:
                self.at = to

    def _do(self, step: Step) -> int | None:
        try:
            return HANDLERS[step.op](self, step)
        except UserRaise as raised:
            if raised.exc.__context__ is None and step.op != "RERAISE":
                self.session.in_context(raised.exc)
            return self._catch(raised.exc)
        except (Break, Restart):
            raise
        except ValueNeeded as needed:
            raise needed.as_break() from needed
        except Exception as error:
            if knobs.verify:
                raise
            raise Break("tracer-error", f"{type(error).__name__} in the tracer: {error}") from error

    def _catch(self, exc: BaseException) -> int:
        session = self.session
        handler = self.program.handler(self.step)
        if handler is None:
            if not session.is_caught():
                raise Break("raise", _said(exc))
            session.handled = self.entered
            raise UserRaise(exc)
        target, depth, lasti = handler
        del self.stack[depth:]
        session.made_at.setdefault(id(exc), (exc, self.unit_number))  # CPython alone makes tracebacks
        if lasti:
            self.stack.append(self.step.instr.unit)
        self.stack.append(exc)
        self.raised.append(self.unit_number)
        return target

    def has_handler(self) -> bool:
        """Whether an exception in the present instruction is caught in this frame."""
        return self.program.handler(self.step) is not None

    def is_covered(self) -> bool:
        """Whether the user's code would handle an exception in the present instruction, other than by the ``with`` of a late
        object: that stands in the tail, too."""
        step, steps = self.step, self.program.steps
        while (handler := self.program.handler(step)) is not None:
            target, depth, _ = handler
            names = [x.op for x in steps[target : target + 3]]
            late = names[:2] == ["PUSH_EXC_INFO", "WITH_EXCEPT_START"] and type(self.stack[depth - 1]) is LateMethod
            if not late and names != ["COPY", "POP_EXCEPT", "RERAISE"]:
                return True
            step = steps[target]
        return False

    # -- places ----------------------------------------------------------------------------------------------------

    def where(self) -> Where:
        """The line in the user's file."""
        line = self.step.instr.position[0] or self.code.co_firstlineno
        return Where(self.code.co_filename, line, self.code.co_name)

    def columns(self) -> tuple[int, int] | None:
        """First and last column (in bytes) of the present instruction on its first line."""
        first, last, start, end = self.step.instr.position
        if start is None or end is None:
            return None
        return (start, end) if first == last else (start, 1 << 16)  # the rest of its first line

    # -- slots -----------------------------------------------------------------------------------------------------

    def load_slot(self, index: int) -> Any:
        """The content of a slot, admitted from outside at its first use."""
        value = self.slots[index]
        if type(value) is Lazy:
            value = self.slots[index] = self.session.outside.admit(value.value, value.source)
        return value

    def popn(self, n: int) -> list[Any]:
        """Pop n values; the deepest first."""
        if n == 0:
            return []
        items = self.stack[-n:]
        del self.stack[-n:]
        return items


def _said(exc: BaseException) -> str:
    """What an exception says, where saying it neither reads a traced value nor runs the user's code."""
    if isinstance(type(exc).__str__, types.WrapperDescriptorType) and all(type(x) in (str, int, float, bool) for x in exc.args):
        return f"{type(exc).__name__}: {exc}"
    return type(exc).__name__
