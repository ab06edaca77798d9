"""Runs frames on behind a graph break, turn by turn: the step over the breaking unit, the resume function behind it, and so on.

A `Turn` is one place where compiled code breaks: the frame's values come packed, everything else about it is settled once. The
driver (`run`) calls steps and resume functions in turn and never nests for breaks of one frame, however often a loop breaks; what
they return says what is next. Frames whose calls were inlined hang on the outermost one (`continue_frames`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import CodeType, FunctionType
from typing import Any

from .bytecode import NULL, slot_count
from .flow import flow
from .resume import (
    SHIFT,
    Exit,
    Frame,
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


class Jump:
    """What a captured resume function returns at its own graph break inside of inlined calls: the driver that called it goes on
    with these frames."""

    __slots__ = ("continuations", "frames")

    def __init__(self, frames: list[Frame], continuations: Continuations) -> None:
        self.frames, self.continuations = frames, continuations


class Continuations:
    """The step and resume functions of one compiled function and what it inlined, each made once.

    `hook` turns a resume function into what the driver calls with the packed frame; None runs it under CPython. Code inside of
    an exception handler never gets to the hook: it runs under CPython, and the hook gets what lies behind the handler.
    """

    def __init__(self, hook: Hook | None = None) -> None:
        self.hook = hook
        self.checked: dict[tuple[int, int, int, int, bool], CodeType] = {}
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


def _enter(frames: list[Frame], continuations: Continuations) -> tuple[Place, FunctionType, list[Packed]]:
    """The outermost frame's code, its step function, and the packed frame in a list; empties `frames`."""
    fn, offset, state, _ = frames[0]
    inner = frames[1:]
    frames.clear()
    code = fn.__code__
    source = origin(code)
    if source is not None:
        code, offset = source.code, offset - SHIFT
        del state.slots[: source.hidden]
    if inner:
        state.stack.append(partial(drive, inner, continuations))
    place = code, fn.__globals__
    shape = shape_of(offset, state)
    step = continuations.step(place, shape, bool(inner))
    return place, step, [pack(state)]


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
        if type(out) is Jump:
            continuations, ahead = out.continuations, out.continuations.ahead
            place, call, values = _enter(out.frames, continuations)
        elif type(out) is tuple and len(out) == 3 and type(out[0]) is Stop:
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


def drive(frames: list[Frame], continuations: Continuations) -> Any:
    """Run the frames to the end of the outermost one, breaks of its continuations included, and return its result."""
    replaced = frames[0].result
    try:
        out = run(*_enter(frames, continuations), continuations)
        return out if replaced is NULL else replaced
    except BaseException as exc:
        strip_own(exc)
        raise


def continue_frames(frames: Sequence[Frame | tuple[Any, ...]], continuations: Continuations) -> Any:
    """Go on from a graph break: `frames` from the outermost, captured one to the innermost, which breaks before its `offset`.

    Returns the outermost frame's result, or, where that frame is a resume function's, a `Jump` which the compiled resume
    function must return as it is: the driver that called it goes on. Exceptions are the user's own, their tracebacks hold the
    user's frames only. ValueError if a frame cannot be continued or its values do not fit its code.
    """
    chain = [Frame(*frame) for frame in frames]
    for frame in chain:
        state, breaks = frame.state, frame is chain[-1]
        place = id(frame.fn.__code__), frame.offset, len(state.slots), len(state.stack), breaks
        if place not in continuations.checked:
            check(frame.fn.__code__, frame.offset, len(state.slots), len(state.stack) if breaks else None)
            continuations.checked[place] = frame.fn.__code__
    if origin(chain[0].fn.__code__) is not None:
        return Jump(chain, continuations)
    try:
        return drive(chain, continuations)
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
