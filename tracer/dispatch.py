"""One compiled function: its variants, what happens on a miss, and the Python form of its entry.

Calls are free of locks; captures of all functions take turns, because they switch state of the thread and share the library's.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
import types
from collections.abc import Callable, Sequence
from dataclasses import InitVar, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from .. import knobs, logs
from ..eager import batching, duals
from ..errors import RecompileError, ShapeError
from ..ir.graph import Where
from ..ir.lazyclass import dataclass
from ..runtime import collector, dispatchers, forks
from ..runtime.guard import first_failure
from . import stance, stored
from .parameters import binder, call_bound
from .traces import strip_frame, strip_own
from .variant import Variant

if TYPE_CHECKING:
    from .breaks import BreakRecord
    from .captured import Capture
    from .misses import Miss
    from .policy import Policy
    from .turns import Continuations

_lock = forks.hold(forks.COMPILE, threading.RLock())
_state = threading.local()
_GENERIC = 8  # variants for any sizes and numbers, one for each structure of the arguments


def capture(*args: Any) -> Capture:
    """`capture.capture`. The tracer is loaded by the first capture: a process that finds all on disk needs none."""
    from .capture import capture as make

    return make(*args)


def is_capturing() -> bool:
    """Whether this thread captures now."""
    return getattr(_state, "capturing", False)


@dataclass(frozen=True)
class Options:
    """What the user asked for at ``compile``."""

    fullgraph: bool = False
    dynamic: bool | None = None
    mode: str | None = None
    backend: Any = "cpu"  # a name, or a back end of the user's
    seen: list[Dispatcher] | None = None  # `explain` collects every dispatcher of the call here
    install: Callable[[Dispatcher], NativeSide | None] | None = None  # makes the native entry of a dispatcher, where there is one
    code: Callable[[dict[str, str], str], Any] | None = None  # loads machine code that an earlier process has built
    knobs: tuple[tuple[str, Any], ...] = ()  # what holds while this function is compiled


class NativeSide(Protocol):
    """The native entry of one dispatcher. `function` runs the variants added, and calls `Dispatcher.enter` where none fits."""

    function: types.FunctionType

    def add(self, variant: Variant) -> None: ...

    def clear(self) -> None: ...


@dataclasses.dataclass(eq=False)
class Dispatcher:
    """The variants of one function. `misses` are the calls after the first that had to compile again."""

    function: types.FunctionType
    options: Options
    resumes: InitVar[Continuations | None] = None
    variants: list[Variant] = field(default_factory=list)
    misses: list[Miss] = field(default_factory=list)
    refused: BreakRecord | None = None
    full: bool = False
    warned: bool = False  # of a number that keeps changing
    installed: Any = None  # what the user calls
    resumed: list[Dispatcher] = field(default_factory=list)  # what goes on behind its graph breaks

    def __post_init__(self, resumes: Continuations | None) -> None:
        self._continuations = resumes
        self._policy: Policy | None = None
        self.bind = binder(self.function)
        code, line = self.function.__code__, self.function.__code__.co_firstlineno
        if resumes is not None:
            line = getattr(code.co_consts[-1], "line", line)
        self.where = Where(code.co_filename, line, self.function.__name__)
        if self.options.seen is not None:
            self.options.seen.append(self)
        self.native = self.options.install(self) if self.options.install is not None else None
        self.live = self.function if self.native is None else self.native.function
        dispatchers.enter(self)

    @property
    def continuations(self) -> Continuations:
        """Shared by a function and all that resumes it."""
        if self._continuations is None:
            from .turns import Continuations

            self._continuations = Continuations(self._hook)
        return self._continuations

    @property
    def policy(self) -> Policy:
        """Which sizes the next capture leaves open."""
        if self._policy is None:
            from .policy import Policy

            self._policy = Policy(self.options.dynamic, not self.options.fullgraph)
            self._policy.compiles = self.options.backend == "cpu"
        return self._policy

    def forget(self) -> None:
        """Drop all variants."""
        with _lock:
            self.variants.clear()
            if self.native is not None:
                self.native.clear()
            self.misses.clear()
            self.refused, self.full = None, False
            self._continuations = None
            self.resumed.clear()

    def serve_natively(self, on: bool) -> None:
        """Let machine code serve the variants there are, or none."""
        if self.native is not None:
            self.native.clear()
            for variant in self.variants if on else ():
                self.native.add(variant)

    def _hook(self, function: types.FunctionType) -> Callable[[tuple[Any, ...]], Any]:
        """A resume function, compiled in turn."""
        inner = Dispatcher(function, self.options, self.continuations)
        self.resumed.append(inner)
        return inner.native.function if inner.native is not None else lambda packed: inner.call((packed,))

    def enter(self, *args: Any, **kwargs: Any) -> Any:
        """A call with arguments as they came, bound with the defaults that the function has now. The traceback of an exception
        of the user's holds the user's frames only."""
        bind, live = self.bind, self.live
        if bind.__defaults__ is not live.__defaults__:
            bind.__defaults__ = live.__defaults__
        if bind.__kwdefaults__ is not live.__kwdefaults__:
            bind.__kwdefaults__ = live.__kwdefaults__
        try:
            bound = bind(*args, **kwargs)
        except BaseException as error:
            strip_frame(error)  # as if the caller's own frame had bound the arguments
            raise
        try:
            return self.call(bound)
        except BaseException as error:
            strip_own(error)
            raise

    def call(self, args: Sequence[Any]) -> Any:
        """A call with bound arguments."""
        if stance.now() == "force_eager" or batching.active() or duals.active.level is not None:
            return self._plain(args)  # members of a batch and tensors with changes have no memory that a kernel could read
        for variant in self.variants:
            if first_failure(variant.capture.guards, args) is None:
                return variant.run(args)
        return self.miss(args)

    def miss(self, args: Sequence[Any]) -> Any:
        """Compile for these arguments and run; the plain function where that is not possible."""
        if self.refused is not None or self.full or getattr(_state, "compiling", False):
            return self._plain(args)  # also what a signal handler, a finaliser or a callback calls while this thread compiles
        if stance.now() != "default":
            return self._not_compiled(args)
        variant = self.add(args)
        return self._plain(args) if variant is None else variant.run(args)

    def _not_compiled(self, args: Sequence[Any]) -> Any:
        """A call that would compile, which the stance forbids."""
        if stance.now() == "fail_on_recompile":
            why = str(self._missed(args)) if self.variants else f"{self.where}: {self.where.function} has not been compiled yet"
            raise RecompileError(f"the stance is fail_on_recompile: {why}")
        return self._plain(args)

    def add(self, args: Sequence[Any]) -> Variant | None:
        """The variant for these arguments; None where the function runs under CPython."""
        with _lock, collector.paused():
            for variant in self.variants:  # another thread may have been faster
                if first_failure(variant.capture.guards, args) is None:
                    return variant
            most = dict(self.options.knobs).get("variant_limit", knobs.variant_limit)
            if len(self.variants) >= most and self._limit(args, len(self.variants) - most):
                return None
            for variant in self.variants:
                self.policy.learn(variant.capture.guards, args)
            if self.variants:
                self.misses.append(self._missed(args))
                knobs.say(2, f"recompile {self.where.function} ({self.where}): {self.misses[-1].guard}")
                logs.tell("recompiles", str(self.misses[-1]))
            _state.compiling = True
            try:
                with knobs.override(**dict(self.options.knobs)):
                    return self._compiled(args)
            finally:
                _state.compiling = False

    def _compiled(self, args: Sequence[Any]) -> Variant | None:
        kept = stored.active(self)
        variant = stored.load(self, args) if kept else None
        if variant is None:
            variant = self._captured(args)
            if variant is not None and kept:
                stored.save(self, args, variant)
        elif variant.capture.break_ is not None:
            self._broken(variant.capture.break_)
        if variant is None:
            return None
        self.variants.append(variant)
        if knobs.log:
            self._log(variant)
        if self.native is not None and stance.now() != "force_eager":
            self.native.add(variant)
        return variant

    def _captured(self, args: Sequence[Any]) -> Variant | None:
        from .capture import Uncapturable

        _state.capturing = True
        try:
            made = capture(self.function, args, self.continuations, self.policy)
        except Uncapturable as never:
            self._broken(never.record)
            self.refused = never.record
            return None
        finally:
            _state.capturing = False
        if made.break_ is not None:
            self._broken(made.break_)
            if made.break_.code == "changing-number":
                self._changes(made.break_)
        if knobs.debug >= 3:
            knobs.say(3, str(made.graph))
        try:
            return Variant(made, self.options.backend, self._plain, self.options.mode)
        except ShapeError as error:
            self._undifferentiated(error)
            return None

    def _undifferentiated(self, error: ShapeError) -> None:
        """The gradients of a graph ask of open sizes what they cannot say: the function runs eagerly from now on."""
        from .breaks import BreakRecord

        self.refused = BreakRecord("tracer-error", f"the gradients of the graph: {error}", self.where)
        self._broken(self.refused)
        knobs.warn(f"{self.where.function} ({self.where}) runs eagerly: its gradients cannot be compiled for open sizes: {error}")

    def _changes(self, record: BreakRecord) -> None:
        """A number has been too many constants: say so once, of a function of the user's."""
        if self.misses and not self.warned and not self._resumes(self.function.__code__):
            self.warned = True
            knobs.warn(
                f"{self.where.function} ({self.where}) was compiled anew for {self.policy.history()} (knob constant_limit). From "
                f"now on the graph breaks where the number is needed:\n{record}"
            )

    def _broken(self, record: BreakRecord) -> None:
        strictly = stance.strictly()
        if (self.options.fullgraph if strictly is None else strictly) and record.code != "raise":
            from .breaks import refused

            raise refused(record) from None
        if knobs.debug >= 1:
            knobs.say(1, str(record))
        if knobs.log:
            logs.tell("graph_breaks", record.short())

    def _missed(self, args: Sequence[Any]) -> Miss:
        """Why none of the variants serves these arguments: the guard of the one that comes nearest."""
        from .misses import missed

        return missed([v.capture.guards for v in self.variants], args, self.where)

    def _log(self, variant: Variant) -> None:
        """Tell of a fresh variant what is wanted."""
        name = f"{self.where}: {self.where.function}"
        for guard in variant.capture.guards if logs.wanted("guards") else ():
            logs.tell("guards", f"{name}: {guard.expr()}")
        if logs.wanted("graphs"):
            logs.tell("graphs", f"{name}:\n{str(variant.capture.graph).rstrip()}")
        count = getattr(variant.executable, "kernel_count", None)
        if logs.wanted("kernels") and count is not None:
            steps = getattr(getattr(variant.executable, "plan", None), "steps", ())
            kernels = ", ".join(str(s.kernel.name) for s in steps if hasattr(s, "kernel"))
            ops = len(variant.capture.graph.nodes)
            told = f"{count} kernel{'s' * (count != 1)} for {ops} op{'s' * (ops != 1)}"
            logs.tell("kernels", f"{name}: {told}" + (f": {kernels}" if kernels else ""))

    def _limit(self, args: Sequence[Any], over: int) -> bool:
        """Too many variants, `over` more than wanted. Some for any sizes and numbers may follow; then the function is full."""
        self.full = over >= _GENERIC or self.options.dynamic is False
        if over == 0 or self.full:
            what = "other calls run eagerly" if self.full else "those that follow serve any sizes and numbers"
            missed = self._missed(args)
            values = f": {missed.change}" if missed.change else ""
            knobs.warn(
                f"{self.where.function} ({self.where}) has {len(self.variants)} compiled variants (knob variant_limit); {what}. "
                f"The guard that failed last: {missed.guard}{values}" + (f"; {missed.cure}" if missed.cure else "")
            )
        self.policy.generalise()
        self.warned = True
        return self.full

    @staticmethod
    def _resumes(code: types.CodeType) -> bool:
        from .resume import origin

        return origin(code) is not None

    def _plain(self, args: Sequence[Any]) -> Any:
        """Run the function itself on bound arguments."""
        code = self.function.__code__
        if self._resumes(code):
            return self.function(*args)
        return call_bound(self.function, args)


def entry_of(dispatcher: Dispatcher) -> types.FunctionType:
    """What the user calls: the native entry, or a Python function that does the same."""
    entry: Any
    if dispatcher.native is not None:
        entry = dispatcher.native.function
    else:
        entry = dispatcher.live = _wrapper(dispatcher)
    dispatcher.installed = entry
    entry.__fusewire_dispatcher__ = dispatcher
    return cast(types.FunctionType, entry)



def _wrapper(dispatcher: Dispatcher) -> types.FunctionType:
    """The Python form of the entry. It holds the function's defaults, for `Dispatcher.enter` to read: they can be assigned to."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return dispatcher.enter(*args, **kwargs)
        except BaseException as error:
            strip_frame(error)
            raise

    function, made = dispatcher.function, cast(types.FunctionType, call)
    functools.update_wrapper(made, function)
    made.__defaults__ = function.__defaults__
    made.__kwdefaults__ = dict(function.__kwdefaults__) if function.__kwdefaults__ else None
    return made
