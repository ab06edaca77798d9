"""Runs a function up to chosen instructions under CPython and hands its frame over there, as compiled code does at a break."""

from functools import partial
from types import FunctionType
from typing import Any, NamedTuple

from fusewire.tracer.bytecode import NULL
from fusewire.tracer.resume import SHIFT, FrameState, make_function, origin, pack, shape_of
from fusewire.tracer.stops import Stop, stopping_code
from fusewire.tracer.traces import strip_frame, strip_own
from fusewire.tracer.turns import Continuations, Turn, check, go_in, go_on


class Frame(NamedTuple):
    """`fn`'s frame before byte `offset`; an outer frame, whose call was inlined, stands at the call, without its operands.
    `result`: what the caller gets in place of the frame's own (the new object, where this is an `__init__`)."""

    fn: FunctionType
    offset: int
    state: FrameState
    result: Any = NULL


def continue_frames(frames, continuations):
    """Go on from a break of the last of `frames`, outermost first, as tails do."""
    callee = None
    for frame in reversed(frames):
        values, turn = packed(frame, callee, continuations)
        callee = partial(go_in, values, turn)
        if frame.result is not NULL:
            callee = partial(replaced, callee, frame.result)
    if origin(frames[0].fn.__code__) is not None:
        return values.pop(), turn
    try:
        return go_on(values, turn)
    except BaseException as exc:
        strip_frame(exc)
        strip_own(exc)
        raise


def packed(frame, callee, continuations):
    """The values of a frame, in a list, and its `Turn`. `callee`: what runs the call inlined there."""
    fn, offset, state, _ = frame
    source, code = origin(fn.__code__), fn.__code__
    if source is not None:
        code, offset = source.code, offset - SHIFT
        del state.slots[: source.hidden]
    check(code, offset, len(state.slots), len(state.stack) if callee is None else None)
    if callee is not None:
        state.stack.append(callee)
    shape = shape_of(offset, state)
    return [pack(state)], Turn(continuations, fn, offset, shape.depth, shape.nulls, callee is not None)


def replaced(callee, result):
    """Run `callee` for what it does."""
    try:
        callee()
    except BaseException as exc:
        strip_frame(exc)
        raise
    return result


class Everything(Continuations):
    """Gives the inside of exception handlers to the hook as well."""

    def continuing(self, made, code, shape):
        return made if self.hook is None else self.hook(made)


class Breaker:
    """`entry` behaves as `fn`, broken at `offsets`: once, or `again` at every arrival. `hook`: see `Continuations`."""

    def __init__(self, fn, offsets, again, hook=None, kind=Everything):
        self.fn, self.offsets, self.arrivals = fn, offsets, 0
        self.continuations = kind(self.hook if again else hook)
        code = stopping_code(fn.__code__, offsets)
        self.first = FunctionType(code, fn.__globals__, fn.__name__, fn.__defaults__, fn.__closure__)
        self.first.__kwdefaults__ = fn.__kwdefaults__

    def hook(self, resume):
        offsets = {offset + SHIFT for offset in self.offsets}
        broken = make_function(stopping_code(resume.__code__, offsets), resume.__globals__)

        def run(values):
            box = [values]
            del values
            try:
                return self.proceed(resume, broken(box.pop()))
            except BaseException as exc:
                strip_frame(exc)
                raise

        return run

    def proceed(self, fn, out):
        if type(out) is not tuple or len(out) != 3 or type(out[0]) is not Stop:
            return out
        self.arrivals += 1
        marker, slots, stack = out
        del out
        frames = [Frame(fn, marker.offset, FrameState(slots, stack))]
        del slots, stack
        try:
            return continue_frames(frames, self.continuations)
        except BaseException as exc:
            strip_frame(exc)
            raise

    def entry(self, *args, **kwargs):
        try:
            return self.proceed(self.fn, self.first(*args, **kwargs))
        except BaseException as exc:
            strip_frame(exc)
            raise
