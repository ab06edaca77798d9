"""Runs frames on behind a graph break, turn by turn: the step over the breaking unit, the resume function behind it, and so on.

A `Turn` is one place where compiled code breaks: the frame's values come packed, everything else about it is settled once. The
driver (`run`) calls steps and resume functions in turn and never nests for breaks of one frame, however often a loop breaks; what
they return says what is next. On the stack of a frame whose call was inlined stands what runs that call to its end (`go_in`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import CodeType, FunctionType
from typing import Any

from .bytecode import slot_count
from .flow import flow
from .resume import (
    SHIFT,
    Exit,
    FrameState,
    Shape,
    make_function,
    origin,
    pack,
    refusal,
    resume_code,
    shape_of,
    site_code,
    step_code,
)
from .stops import Stop, ends_of_handlers, in_handler, stopping_code
from .traces import strip_own

Place = tuple[CodeType, dict[str, Any]]
Packed = tuple[Any, ...]
Call = Callable[[Packed], Any]
Hook = Callable[[FunctionType], Call]


class Continuations:
    """The step and resume functions of one compiled function and what it inlined, each made once.

    `hook` turns a resume function into what the driver calls with the packed frame; None runs it under CPython. Code inside of
    an exception handler never gets to the hook: it runs under CPython, and the hook gets what lies behind the handler.
    """

    def __init__(self, hook: Hook | None = None) -> None:
        self.hook = hook
        self.ahead: dict[Exit, Call] = {}  # what goes on at a way out (whose code must hold no function: no collector sees it)
        self._steps: dict[tuple[int, int, Shape, bool], tuple[FunctionType, CodeType]] = {}
        self._resumes: dict[tuple[int, int, Shape], tuple[Call, FunctionType]] = {}

    def step(self, place: Place, shape: Shape, site: bool) -> FunctionType:
        """The step function over the unit at `shape.offset`, or over the inlined call there if `site`."""
        code, fn_globals = place
        key = id(code), id(fn_globals), shape, site
        found = self._steps.get(key)
        if found is None:
            make = site_code if site else step_code
            found = self._steps[key] = make_function(make(code, shape), fn_globals), code
        return found[0]

    def resume(self, place: Place, shape: Shape) -> Call:
        """What continues the code at `shape`."""
        code, fn_globals = place
        key = id(code), id(fn_globals), shape
        found = self._resumes.get(key)
        if found is None:
            made = make_function(resume_code(code, shape), fn_globals)
            found = self._resumes[key] = self.continuing(made, code, shape), made
        return found[0]

    def continuing(self, made: FunctionType, code: CodeType, shape: Shape) -> Call:
        """What the driver calls in place of the resume function `made`: the hook's, or code that stops where a handler ends."""
        if self.hook is None:
            return made
        if not in_handler(code, shape.offset):
            return self.hook(made)
        stops = {SHIFT + offset for offset in ends_of_handlers(code)}
        return make_function(stopping_code(made.__code__, stops), made.__globals__)


class Turn:
    """One graph break of one compiled function: where its outermost frame stands, and the step over the breaking unit."""

    __slots__ = ("continuations", "place", "step")

    def __init__(
        self, continuations: Continuations, fn: FunctionType, offset: int, depth: int, nulls: Iterable[int], site: bool = False
    ) -> None:
        """The frame of `fn` before byte `offset` of the user's code, with `depth` values on the stack; `nulls`: see `Shape`.
        `site`: a call that was inlined stands there, and what runs it on top of the stack."""
        source = origin(fn.__code__)
        self.continuations, self.place = continuations, (source.code if source else fn.__code__, fn.__globals__)
        self.step: Call = continuations.step(self.place, Shape(offset, depth, frozenset(nulls)), site)


def _stopped(out: tuple[Stop, list[Any], list[Any]], code: CodeType) -> tuple[Shape, Packed]:
    """Shape and values of the frame that code which runs up to a stop has handed over."""
    stop, slots, operands = out
    state = FrameState(slots[int(code.co_nlocals == 0) :], operands)
    shape = shape_of(stop.offset - SHIFT, state)
    slots.clear()
    return shape, pack(state)


def run(place: Place, call: Call, values: list[Packed], continuations: Continuations) -> Any:
    """The result of the frame at `place`, whose packed values `call` takes. No reference to them is kept here: they die when the
    user's code drops them."""
    ahead = continuations.ahead
    while True:
        out = call(values.pop())
        if type(out) is tuple and len(out) == 2:
            mark = out[1]
            if type(mark) is Exit:
                values.append(out[0])
                out = None
                found = ahead.get(mark)
                call = found if found is not None else ahead.setdefault(mark, continuations.resume(place, mark.shape))
                continue
            if type(mark) is Turn:
                values.append(out[0])
                out = None
                place, call, continuations = mark.place, mark.step, mark.continuations
                ahead = continuations.ahead
                continue
            return out
        if type(out) is tuple and len(out) == 3 and type(out[0]) is Stop:
            shape, packed = _stopped(out, place[0])
            values.append(packed)
            del packed
            call = continuations.resume(place, shape)
        else:
            return out
        out = None


def go_on(values: list[Packed], turn: Turn) -> Any:
    """Go on from a graph break of a function that is called by others than the driver: `values` holds its packed frame."""
    return run(turn.place, turn.step, values, turn.continuations)


def go_in(values: list[Packed], turn: Turn) -> Any:
    """The result of a call that was inlined and broke: `values` holds its packed frame."""
    try:
        return run(turn.place, turn.step, values, turn.continuations)
    except BaseException as exc:
        strip_own(exc)
        raise


def check(code: CodeType, offset: int, slots: int, depth: int | None) -> None:
    """ValueError if a frame of `code` cannot be continued before byte `offset`, or has other numbers of slots or, where `depth`
    is not None, of values on the stack."""
    reason = refusal(code)
    if reason:
        raise ValueError(reason)
    if slots != slot_count(code):
        raise ValueError(f"{code.co_qualname} has {slot_count(code)} slots, the frame has {slots}")
    here = flow(code).at.get(offset)
    if here is None or here not in flow(code).stack:
        raise ValueError(f"no reachable instruction of {code.co_qualname} begins at byte {offset}")
    if flow(code).unit(here)[0] is not here:
        raise ValueError(f"{here.op} at byte {offset} of {code.co_qualname} cannot be parted from what stands before it")
    wanted = flow(code).stack[here].depth
    if depth is not None and depth != wanted:
        raise ValueError(f"{here.op} at byte {offset} of {code.co_qualname} has a stack of {wanted}, not {depth}")
