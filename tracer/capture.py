"""Capture of one call: run the bytecode symbolically, and hand over graph, sources, guards and tail.

Nothing of the user's program has really happened when a capture ends, however it ends: that is what lets a break inside of an
operator, a handler or a generator start over with an earlier break.
"""

from __future__ import annotations

import sysconfig
import types
from collections.abc import Sequence
from typing import Any

from ..eager import casting, executor
from ..eager.tensor import Tensor
from ..ir.graph import Where
from ..runtime import gradmode
from ..runtime.meta import Meta
from ..runtime.source import Arg
from . import (  # noqa: F401  (they register the handlers)
    backward,
    copying,
    deferred,
    deferred_draws,
    deferred_io,
    functions,
    library_models,
    modes,
    namespaces,
    ops_data,
    ops_flow,
    ops_stack,
    outer,
    prologue,
    pure_python,
)
from .breaks import Break, BreakRecord, Restart, TextNeeded, UserRaise, describe, subject, told, written
from .bytecode import slot_names
from .captured import Capture
from .effects import Call, CastingSet, Evaluate, GradModeSet, without_covered
from .frame import Frame
from .generators import Generator
from .parameters import parameters
from .policy import Policy
from .resume import origin, refusal
from .session import Session
from .tail import End, Tail, TailWriter, write
from .turns import Continuations
from .values import Lazy

_ATTEMPTS = 200
_STANDARD = sysconfig.get_paths()["stdlib"] + "/"
_PACKAGES = tuple(sysconfig.get_paths()[key] + "/" for key in ("purelib", "platlib"))


class Uncapturable(Exception):
    """The function cannot be captured at all; `record` says why. It runs under CPython."""

    def __init__(self, record: BreakRecord) -> None:
        super().__init__(str(record))
        self.record = record


def capture(
    function: types.FunctionType, args: Sequence[Any], continuations: Continuations, policy: Policy | None = None
) -> Capture:
    """Capture the call of `function` with bound arguments `args` (one per name of `parameters`). `policy` says which sizes stay
    open (None: none does). Raises Uncapturable."""
    code = function.__code__
    name = code.co_name if code.co_name.isidentifier() else "graph"
    why = refusal(code)
    if why is not None:
        raise Uncapturable(BreakRecord("frame", why, Where(code.co_filename, code.co_firstlineno, code.co_name)))
    deferred.register_loaded()
    forced: dict[int, tuple[str, str]] = {}
    mode, casts = gradmode.get(), casting.get()
    for _ in range(_ATTEMPTS):
        session = Session(name, forced, policy or Policy(False))
        try:
            with executor.recording(session.recorder):
                return _attempt(session, function, args, continuations)
        except TextNeeded as needed:
            session.outside.policy.in_text |= needed.sources
        except Restart as again:
            if again.step in forced or again.step < 1:
                raise Uncapturable(_record(session, Break(again.code, again.what))) from None
            forced[again.step] = again.code, again.what
        finally:
            gradmode.set(mode)
            casting.switch(casts)
            record = _record(session, Break("many-breaks", "a function that breaks at too many places"))
            session.close()
    raise Uncapturable(record)


def _attempt(session: Session, function: types.FunctionType, args: Sequence[Any], continuations: Continuations) -> Capture:
    session.constant_function(function)
    names = parameters(function.__code__)
    session.parameters = len(names)
    continued = origin(function.__code__)
    frame_slots = None if continued is None else slot_names(continued.code)
    slots: list[Any] = [Lazy(value, Arg(i, name, frame_slots)) for i, (value, name) in enumerate(zip(args, names, strict=True))]
    frame = Frame(session, function, slots, session.closure_of(function))
    try:
        result = session.run(frame)
    except Break as broken:
        _close_generators(session)
        return _broken(session, broken, continuations)
    except UserRaise as raised:
        raise AssertionError(f"an exception left the frame without a break: {raised.exc!r}") from raised.exc
    _close_generators(session)
    return _returned(session, result)


def _close_generators(session: Session) -> None:
    """A generator that is left inside of a ``try`` or ``with`` runs code when it is dropped: CPython is to make and drop it."""
    for made, unit in session.made_at.values():
        if isinstance(made, Generator) and made.has_to_close:
            raise Restart(unit, "generator-alive", "a generator that is left inside of a try or with")


def of_standard_library(code: types.CodeType) -> bool:
    """Whether code is Python's own: a call of it that cannot be followed to its end is one opaque call."""
    name = code.co_filename
    return name.startswith("<frozen ") or (name.startswith(_STANDARD) and not name.startswith(_PACKAGES))


# -- a function that returns -----------------------------------------------------------------------------------------------


def _effects(session: Session) -> list[Any]:
    """The journal, with each mode of the thread set once at most."""
    journal = session.effects.journal
    kept = without_covered([e for e in journal if not isinstance(e, (GradModeSet, CastingSet))])
    switches = [e for e in journal if isinstance(e, GradModeSet)][-1:]
    casts = [e for e in journal if isinstance(e, CastingSet)][-1:]
    kept += [e for e in switches if e.enabled is not session.outside.mode]
    return kept + [e for e in casts if e.mode != session.outside.casting]


def _settle(session: Session) -> None:
    """Values that may raise are made before the first effect, or CPython does the whole call: nothing is written until then."""
    deferred_draws.late_clocks(session)
    prologue.settle(session)
    doubtful = session.effects.doubtful
    if doubtful and session.recorder.writes:
        late, unit = doubtful[0]
        raise Restart(unit, late.code, f"an error in what is made of {late.what}, beside writes to an input, is asked for")
    for e in session.effects.journal:
        risk = e.risk if isinstance(e, (Call, Evaluate)) else None
        if risk is not None and risk.writes < len(session.recorder.writes):
            raise Restart(risk.unit, risk.code, f"{risk.what}, before a write to an input")


def _returned(session: Session, result: Any) -> Capture:
    _settle(session)
    effects = _effects(session)
    flat = type(result) is tuple and session.outside.source_of(result) is None
    items = result if flat else (result,)
    plain = items and not effects and all(isinstance(x, Tensor) for x in items) and len({id(x) for x in items}) == len(items)
    plain = plain and not session.effects.doubtful and all(map(session.recorder.histories.is_plain, items))
    if plain and not session.recorder.shares(items):
        try:
            outputs = [session.recorder.output(x) for x in items]
        except Break as stuck:
            raise Uncapturable(_record(session, stuck)) from None
        return _captured(session, outputs, [x.meta for x in items], None, flat, None)

    def make(writer: TailWriter) -> End:
        done = writer.replay(effects)
        return End(done, writer.text(result))

    try:
        tail, outputs, tensors = write(session, make)
    except Break as stuck:
        raise Uncapturable(_record(session, stuck)) from None
    return _captured(session, outputs, [t.meta for t in tensors], tail, False, None)


def _captured(
    session: Session, outputs: list[Any], metas: list[Meta], tail: Tail | None, flat: bool, record: BreakRecord | None
) -> Capture:
    tracked = [o.value for o, m in zip(outputs, metas, strict=True) if m.requires_grad and (o.source is None or o.view)]
    functions.settle(session, session.recorder.histories.settle(tracked))
    for made, unit in session.made_at.values():
        if isinstance(made, Generator) and made.warns:
            raise Restart(unit, "generator-alive", "a coroutine that was never awaited")
    graph = session.recorder.finish(outputs)
    guards = session.outside.finish()
    known = tuple(session.recorder.final_meta(m) for m in metas)
    drawn = len(session.drawn.slots)
    sources = tuple(session.recorder.sources)
    return Capture(graph, sources, guards, known, tail, flat, record, prologue.write(session), drawn, session.recorder.device)


# -- a function that breaks ------------------------------------------------------------------------------------------------


def _record(session: Session, broken: Break) -> BreakRecord:
    """What the user is told, at his own innermost line."""
    users = [f for f in session.frames if not f.library] or session.frames
    if not users:
        return BreakRecord(broken.code, broken.what, Where("?", 0))
    last = users[-1]
    what = told(broken.what, last is session.frames[-1], written(last.where(), last.columns()))
    return BreakRecord(broken.code, what, last.where(), last.columns(), tuple(f.where() for f in users))


def _earlier(session: Session, broken: BreakRecord) -> None:
    """Raise Restart where the frames cannot be handed over as they stand."""
    last = len(session.frames) - 1
    for i, frame in enumerate(session.frames):
        if i < last and of_standard_library(session.frames[i + 1].code):
            called = subject(describe(session.frames[i + 1].function))
            raise Restart(frame.unit_number, "standard-library", f"a call of {called}")
        if frame.raised:
            raise Restart(frame.raised[0], broken.code, _with_place(broken, frame))
        if i < last and (not frame.plain or refusal(session.frames[i + 1].code)):
            raise Restart(frame.unit_number, broken.code, _with_place(broken, frame))
    if len(session.effects.journal) > session.frames[-1].noted:  # the breaking unit, which CPython runs whole, did a part of it
        raise Restart(session.frames[-1].unit_number, broken.code, broken.what)


def _with_place(broken: BreakRecord, frame: Frame) -> str:
    """What happened, for a break at an earlier place than its own: `frame`'s."""
    here = broken.where == frame.where() or " (at " in broken.what
    return broken.what if here else f"{broken.what} (at {broken.where} in {broken.where.function})"


def _broken(session: Session, broken: Break, continuations: Continuations) -> Capture:
    frames, record = session.frames, _record(session, broken)
    if broken.code == "frame-object" and len(frames) > 1:  # all that it may see runs under CPython
        raise Restart(frames[0].unit_number, "namespace", broken.what)
    if broken.code in ("long-loop", "frame-object"):
        raise Uncapturable(record)
    _earlier(session, record)
    if frames[0].head or frames[-1].unit_number == 0:
        raise Uncapturable(record)
    _settle(session)
    effects = _effects(session)
    innermost = frames[-1]
    _, innermost.slots, innermost.stack = innermost.begun
    offsets = [f.program.steps[f.begun[0]].instr.offset for f in frames]

    def make(writer: TailWriter) -> End:
        return writer.turn(frames, offsets, effects, continuations)

    try:
        tail, outputs, tensors = write(session, make)
    except Break as stuck:  # something on the frames cannot be made again: let CPython run the whole outer call
        if len(frames) > 1:
            raise Restart(frames[0].unit_number, stuck.code, stuck.what) from None
        raise Uncapturable(record) from None
    return _captured(session, outputs, [t.meta for t in tensors], tail, False, record)

