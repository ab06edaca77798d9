"""Runs a function up to chosen instructions under CPython and hands its frame over there, as compiled code does at a break."""

from types import FunctionType

from fusewire.tracer.resume import SHIFT, Frame, FrameState, make_function
from fusewire.tracer.stops import Stop, stopping_code
from fusewire.tracer.traces import strip_frame
from fusewire.tracer.turns import Continuations, continue_frames


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
