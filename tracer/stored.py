"""Captures on disk: a later process runs them without tracing, optimising or building.

An entry stands under the content of the function's code and the options (`key`), one file for each variant. It has parts: first
the guards with the places of all objects that the capture holds (`runtime.places`), then what a call needs (plan, machine code
by name, results, tail), then graphs, which are read when something asks for them. A variant serves if its objects are found
again, each of the same content, and its guards hold for the arguments at hand. What has no place, or content that no guard
covers, is not stored; `events` say why.
"""

from __future__ import annotations

import builtins
import collections
import dataclasses
import marshal
import sys
import threading
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import knobs, logs
from ..errors import FusewireError
from ..ir.graph import Graph
from ..runtime import codec, fingerprint, forks, store
from ..runtime.codec import Unreadable, Unwritable, Writer
from ..runtime.places import Finder, Places, Unfit
from . import generated, standins

if TYPE_CHECKING:
    from .breaks import BreakRecord
    from .dispatch import Dispatcher
    from .gradient import Training
    from .variant import Variant

KIND = "captures"
_PACKAGE = __name__.split(".")[0]
#: knobs that change nothing of what is stored
_INDIFFERENT = (
    "verify", "debug", "log", "native_entry", "cache_dir", "disk_cache", "cache_limit", "threads", "spin", "variant_limit",
)  # fmt: skip


class Event(NamedTuple):
    """What became of one capture. `what`: "unknown", "does not fit", "cannot be read", "served", "stored" or "not stored"; `why`:
    the reason, where it failed."""

    function: str
    what: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.function}: {self.what}" + (f": {self.why}" if self.why else "")


#: what happened in this process, newest last
events: collections.deque[Event] = collections.deque(maxlen=200)


def _note(dispatcher: Dispatcher, what: str, why: object = "") -> None:
    events.append(Event(f"{dispatcher.where.function} ({dispatcher.where})", what, str(why)))
    knobs.say(2, f"disk cache: {events[-1]}")
    logs.tell("cache", f"{dispatcher.where}: {dispatcher.where.function}: {what}" + (f": {why}" if why else ""))


#: one graph is read at a time: calls in several threads may look into the same one, and its values count by identity
_reading = forks.hold(forks.SHORT, threading.RLock())


class LazyGraph(Graph):
    """A graph that is read when something first looks into it."""

    __slots__ = ("read",)

    def __getattr__(self, name: str) -> Any:
        if name not in _GRAPH_FIELDS:
            raise AttributeError(name)
        with _reading:
            read = object.__getattribute__(self, "read")
            if read is not None:
                graph = read()
                for field in _GRAPH_FIELDS:
                    object.__setattr__(self, field, getattr(graph, field))
                object.__setattr__(self, "read", None)
        return object.__getattribute__(self, name)


_GRAPH_FIELDS = tuple(field.name for field in dataclasses.fields(Graph))


def _lazy(read: Callable[[], Graph]) -> Graph:
    made = object.__new__(LazyGraph)
    object.__setattr__(made, "read", read)
    return made


def active(dispatcher: Dispatcher) -> bool:
    """Whether captures of this function are looked for and kept. Not where somebody wants to see how they are made."""
    options, pipeline = dispatcher.options, sys.modules.get(f"{_PACKAGE}.pipeline")
    watched = options.seen is not None or knobs.debug >= 3 or bool(getattr(pipeline, "OBSERVERS", None))
    return store.enabled() and options.backend == "cpu" and options.code is not None and not watched


def key(function: types.FunctionType, options: Any, args: Sequence[Any]) -> str:
    """The group of entries for a function: its code, the options, the state of the library that captures depend on. Classes of
    the arguments tell the many users of one function, a Module's call, apart."""
    from ..eager.creation import get_default_dtype

    state = [f"{name}={getattr(knobs, name)!r}" for name in sorted(knobs.KNOBS) if name not in _INDIFFERENT]
    state += [repr((options.fullgraph, options.dynamic, options.mode, options.backend)), repr(get_default_dtype())]
    state += [fingerprint.class_name(type(x)) for x in args]
    module = str(fingerprint.module_name(function.__module__))
    return store.digest(store.stamp(), fingerprint.of_code(function.__code__), module, *state)


def _special(dispatcher: Dispatcher) -> dict[str, Any]:
    """Objects that the tail of a capture names."""
    from .tail_helpers import HELPERS

    return {**{f"helper {name}": x for name, x in HELPERS.items()}, "continuations": dispatcher.continuations}


# ---- writing ---------------------------------------------------------------------------------------------------------


def save(dispatcher: Dispatcher, args: Sequence[Any], variant: Variant) -> None:
    """Keep a fresh variant for these arguments, before its first run."""
    try:
        group = key(dispatcher.function, dispatcher.options, args)
        places = Places(dispatcher.function, variant.capture.guards, _special(dispatcher), args)
        data = _written(variant, places)
        name = f"{group}/{store.digest(data)}"
        if not store.put(KIND, name, data):
            raise Unwritable(f"{store.folder()} cannot be written")
        if variant.training is not None:
            variant.training.kept = Routes(name, dispatcher.options.code, variant.backend)
        _note(dispatcher, "stored")
    except (Unwritable, fingerprint.Opaque) as why:
        _note(dispatcher, "not stored", why)


def _written(variant: Variant, places: Places) -> bytes:
    """The parts of an entry. The first is finished last: the others find the places of their objects in it."""
    places.guards(variant.capture.guards)
    parts = [_body(variant, places), _part(places, variant.capture.graph)]
    parts.append(_part(places, *_graphs(variant)))
    return marshal.dumps((places.writer.bytes(), *parts))


def _part(places: Places, *roots: Any) -> bytes:
    return Writer(places.number).bytes(*roots)


def _graphs(variant: Variant) -> tuple[Graph, ...]:
    """Graphs behind the one that was captured, in the order in which `_restored` takes them."""
    made = _inner(variant.executable)
    own = (made.graph,) if hasattr(made, "plan") else ()
    return (*own, variant.training.cut.forward, variant.training.cut.backward) if variant.training is not None else own


_LIVE = ("capture", "plain", "backend", "training", "executable", "number", "hits")
_LIVE_TRAINING = ("graph", "cut", "forward", "build", "native", "kept", "_routes", "_reads")


def _body(variant: Variant, places: Places) -> bytes:
    captured, training = variant.capture, variant.training
    fields = {f.name: getattr(captured, f.name) for f in dataclasses.fields(captured)}
    for apart in ("graph", "guards", "tail", "break_", "prologue"):
        del fields[apart]
    state = {name: x for name, x in vars(variant).items() if name not in _LIVE}
    trained = None
    if training is not None:
        cut = training.cut
        own = {name: x for name, x in vars(training).items() if name not in _LIVE_TRAINING}
        numbers = {f.name: getattr(cut, f.name) for f in dataclasses.fields(cut) if f.name not in ("forward", "backward")}
        trained = own, numbers
    tails = _tail(captured.tail), _tail(captured.prologue)
    return _part(places, fields, *tails, _record(captured.break_), _code_of(variant.executable), state, trained)


def _record(record: BreakRecord | None) -> Any:
    return None if record is None else tuple(getattr(record, f.name) for f in dataclasses.fields(record))


def _tail(tail: Any) -> Any:
    """Source, code and the objects that the code names."""
    if tail is None:
        return None
    code = tail.__code__
    names = {name: tail.__globals__[name] for name in code.co_names if name in tail.__globals__ and name != "plain"}
    return tail.source, marshal.dumps(code), {name: standins.packed(x, name in tail.held) for name, x in names.items()}


def _inner(executable: Any) -> Any:
    """What has the plan: for tensors on a GPU that is inside of what takes Tensors."""
    return getattr(executable, "executable", executable)


def _why_none(executable: Any) -> str:
    """Why there is no plan of a graph."""
    from ..runtime.chain import Chain

    in_parts = isinstance(executable, Chain)
    return "a graph in parts, with sizes that earlier ones find" if in_parts else "a graph that no back end could build"


def _code_of(executable: Any) -> Any:
    """Plan and machine code of an executable; None for one that runs its graph. The code of a GPU's kernels is not named: its
    back end finds it under their text."""
    if executable is None:
        return None
    plan: Any = getattr(_inner(executable), "plan", None)
    code: Any = getattr(executable, "code", None)
    if plan is None:
        if executable.graph.nodes:
            raise Unwritable(_why_none(_inner(executable)))
        return None
    if _inner(executable) is not executable:
        return plan, None, None
    if not hasattr(code, "key") or (code.names and not code.key):
        raise Unwritable("kernels without machine code")
    return plan, dict(code.names), code.key


# ---- reading ---------------------------------------------------------------------------------------------------------


def load(dispatcher: Dispatcher, args: Sequence[Any]) -> Variant | None:
    """A stored variant that serves these bound arguments; None where there is none."""
    try:
        group = key(dispatcher.function, dispatcher.options, args)
    except fingerprint.Opaque:
        return None
    names = store.names(KIND, group)
    if not names:
        _note(dispatcher, "unknown", "nothing is kept for this code, these options and this version of fusewire")
    for name in names[: knobs.variant_limit]:
        data = store.get(KIND, name)
        if data is None:
            continue
        try:
            made = _read(dispatcher, args, name, data)
            _note(dispatcher, "served")
            return made
        except Unfit as why:
            _note(dispatcher, "does not fit", why)
        except (Unreadable, FusewireError) as why:
            _note(dispatcher, "cannot be read", why)
    return None


class _Known:
    """Objects by the names of `_special`."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher

    def __call__(self, name: str) -> Any:
        return _special(self.dispatcher)[name]


def _read(dispatcher: Dispatcher, args: Sequence[Any], name: str, data: bytes) -> Variant:
    first, body, graph, graphs = marshal.loads(data)
    finder = Finder(dispatcher.function, args, _Known(dispatcher))
    codec.read(first, finder.foreign, finder.records)
    finder.args = ()  # graphs yet to be read keep the finder, which must not keep the user's objects
    return _restored(dispatcher, finder, name, codec.read(body, finder.foreign), graph, graphs)


def _restored(
    dispatcher: Dispatcher, finder: Finder, name: str, body: Sequence[Any], graph: bytes, graphs: bytes
) -> Variant:
    from .captured import Capture
    from .variant import Interpreted, Variant, bind_plain, build, serving

    fields, tail, before, record, code, state, trained = body
    captured = Capture(
        graph=_lazy(lambda: codec.read(graph, finder.foreign)[0]), guards=tuple(finder.guards), tail=_tail_of(tail),
        break_=_record_of(record), prologue=_tail_of(before), **fields,
    )  # fmt: skip
    made: Variant = object.__new__(Variant)
    options = dispatcher.options
    backend = serving(captured, options.backend, options.mode)
    vars(made).update(state, capture=captured, plain=dispatcher._plain, backend=backend, training=None)
    made.hits, made.number = 0, {}
    bind_plain(captured.tail, dispatcher._plain)

    def behind(i: int) -> Graph:
        return _lazy(lambda: codec.read(graphs, finder.foreign)[i])

    if code is not None:
        made.executable = _executable(code, behind(0), options.code, backend)
    else:
        made.executable = None if made.replays else Interpreted(captured.graph)
    if trained is not None:
        cuts = behind(1), behind(2)
        made.training = _training(captured.graph, trained, cuts, made.executable, lambda g: build(g, made.backend))
        made.training.kept = Routes(name, options.code, backend)
    return made


def _executable(stored: Any, graph: Graph, load_code: Any, backend: Any) -> Any:
    from ..runtime.executable import Executable

    plan, names, code = stored
    if names is None:
        from ..pipeline import rebuilt
        from .variant import Carried

        return Carried(graph, rebuilt(plan, graph, backend))
    return Executable(plan, load_code(names, code), graph)


def _training(graph: Graph, stored: Any, cuts: tuple[Graph, Graph], forward: Any, build: Callable[[Graph], Any]) -> Training:
    from .gradient import Training

    own, numbers = stored
    made: Training = object.__new__(Training)
    cut = types.SimpleNamespace(forward=cuts[0], backward=cuts[1], **numbers)  # a Partition, without the passes
    vars(made).update(own, graph=graph, cut=cut, forward=forward, build=build, native=None, kept=None, _routes={}, _reads={})
    return made


def _record_of(stored: Any) -> Any:
    if stored is None:
        return None
    from .breaks import BreakRecord

    return BreakRecord(*stored)


def _tail_of(stored: Any) -> Any:
    if stored is None:
        return None
    source, code, names = stored
    space = {"__builtins__": vars(builtins), **{name: standins.unpacked(x) for name, x in names.items()}}
    made = types.FunctionType(marshal.loads(code).replace(co_filename=generated.file_name()), space, "tail")
    return generated.with_source(made, source)


class Routes:
    """Backward graphs of one stored capture, each for the outputs that have gradients."""

    KIND = "backward"

    def __init__(self, name: str, load_code: Any, backend: Any) -> None:
        self.name, self.load_code, self.backend = name, load_code, backend

    def _entry(self, used: tuple[int, ...]) -> str:
        return store.digest(self.name, repr(used))

    def load(self, used: tuple[int, ...]) -> tuple[Any, tuple[Any, ...], tuple[int, ...]] | None:
        """Executable, types of its inputs, places among the inputs wanted."""
        data = store.get(self.KIND, self._entry(used))
        if data is None:
            return None
        body, graph = marshal.loads(data)
        try:
            code, types_, given = codec.read(body, _no_foreign)
            behind = _lazy(lambda: codec.read(graph, _no_foreign)[0])
            return _executable(code, behind, self.load_code, self.backend), types_, given
        except (Unreadable, FusewireError):
            return None

    def save(self, used: tuple[int, ...], executable: Any, types_: tuple[Any, ...], given: tuple[int, ...]) -> None:
        """Keep one."""
        try:
            code = _code_of(executable)
            if code is not None:
                body = Writer(_no_foreign).bytes(code, types_, given)
                graph = Writer(_no_foreign).bytes(_inner(executable).graph)
                store.put(self.KIND, self._entry(used), marshal.dumps((body, graph)))
        except Unwritable as why:
            knobs.say(2, f"not stored: a backward graph: {why}")


def _no_foreign(x: Any) -> Any:
    raise Unwritable(f"an object of type {type(x).__name__} in a backward graph")
