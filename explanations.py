"""`explain`, and the text of every stage between bytecode and assembly. Compiles by calling; decides nothing.

explain(fn)(*args)     a Report of what that call, freshly compiled, became; `page` prints it
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import knobs
from .compiler import _compiled, _options, dispatcher_of, is_module
from .ir.graph import Graph, Where
from .ir.lazyclass import dataclass
from .ir.plan import Refusal
from .runtime import store
from .runtime.guard import Guard, first_failure
from .runtime.install import original_of
from .tracer import stored
from .tracer.dispatch import Dispatcher
from .tracer.misses import Miss, missed
from .tracer.naming import readable

if TYPE_CHECKING:
    from .tracer.breaks import BreakRecord
    from .tracer.captured import Capture


@dataclass(frozen=True)
class Part:
    """One captured region: the function itself, or what follows a graph break. `variant` counts those of one region from 1."""

    name: str
    where: Where
    region: int
    variant: int
    capture: Capture
    kernels: int | None
    refusals: tuple[Refusal, ...]
    executable: Any
    training: Any
    home: tuple[str, ...]

    @property
    def graph(self) -> Graph:
        """The graph as it was compiled, or as it was captured where no back end built it."""
        found = getattr(self.executable, "graph", None)
        return found if isinstance(found, Graph) else self.capture.graph


@dataclass(frozen=True)
class Report:
    """What calls of a function compiled to. ``str(report)`` is for reading.

    `recompiles`: calls that found no variant, with the guard, the values and the cure (`tracer.misses.Miss`). `history`: those of
    the compiled function before it was explained, which had `compiled` variants. `result`: what the last call returned. `notes`:
    what else a reader should know.
    """

    where: Where
    parts: tuple[Part, ...]
    refused: tuple[BreakRecord, ...]
    recompiles: tuple[Miss, ...]
    result: Any
    history: tuple[Miss, ...] = ()
    compiled: int = 0
    notes: tuple[str, ...] = ()

    @property
    def graphs(self) -> tuple[Graph, ...]:
        return tuple(p.capture.graph for p in self.parts)

    @property
    def breaks(self) -> tuple[BreakRecord, ...]:
        return tuple(p.capture.break_ for p in self.parts if p.capture.break_ is not None) + self.refused

    @property
    def guards(self) -> tuple[Guard, ...]:
        return tuple(g for p in self.parts for g in p.capture.guards)

    @property
    def kernels(self) -> int:
        """Kernels that the calls run, over all parts."""
        return sum(p.kernels or 0 for p in self.parts)

    def __str__(self) -> str:
        from .page import page

        return page(self)


class Explained:
    """``explain(fn)``: each call runs `fn`, freshly compiled by the first one, and reports on all calls so far. ``str()`` of it
    shows the recompiles of a compiled `fn` without calling it."""

    def __init__(self, fn: Any, options: dict[str, Any]) -> None:
        self.fn, self.options = fn, {"backend": _backend_of(fn), **options}
        self.seen: list[Dispatcher] = []
        _options(**self.options)
        self.compiled: Any = None
        self.before = _all_of(_dispatcher(fn))
        self.history = tuple(m for d in self.before for m in d.misses)
        self.variants = sum(len(d.variants) for d in self.before)

    def __call__(self, *args: Any, **kwargs: Any) -> Report:
        if self.compiled is None:
            self.compiled = _compiled(self.fn, _options(**self.options, seen=self.seen))
        result = self.compiled(*args, **kwargs)
        return self.report(result, self._again(args, kwargs))

    def report(self, result: Any = None, notes: tuple[str, ...] = ()) -> Report:
        """On all calls so far."""
        dispatchers = self.seen or self.before
        parts = [_part(d, v, region, n) for region, d in enumerate(dispatchers) for n, v in enumerate(d.variants, 1)]
        refused = tuple(d.refused for d in dispatchers if d.refused is not None)
        misses = tuple(m for d in self.seen for m in d.misses)
        if not parts and not refused:
            notes = (*notes, "nothing was captured: it is no Python function, is marked with compiler.disable, or was not called")
        where = dispatchers[0].where if dispatchers and not is_module(self.fn) else _place(self.fn)
        parts = [replace(p, name=where.function, where=where) if p.region == 0 else p for p in parts]
        return Report(where, tuple(parts), refused, misses, result, self.history, self.variants, notes)

    def _again(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, ...]:
        """What the next call will compile, because this one changed what its own guards ask for."""
        if not self.seen or not self.seen[0].variants or len(args) + len(kwargs) > len(self.seen[0].bind.__code__.co_varnames):
            return ()
        try:
            first = self.seen[0]
            bound = first.bind(*((self.compiled,) if is_module(self.compiled) else ()), *args, **kwargs)
        except TypeError:
            return ()
        if any(first_failure(v.capture.guards, bound) is None for v in first.variants):
            return ()
        miss = missed([v.capture.guards for v in first.variants], bound, first.where)
        change = f" ({miss.change})" if miss.change else ""
        guard = readable(miss.guard, _home(first))
        return (f"this call changed what it was compiled for, {guard}{change}: the next call compiles once more; {miss.cure}",)

    def __str__(self) -> str:
        return str(self.report())


def explain(fn: Callable[..., Any], **options: Any) -> Explained:
    """``explain(fn)(*args)`` calls `fn` once, freshly compiled, and reports graphs, kernels, guards, breaks and what was not
    fused; ``again = explain(fn); again(*a); again(*b)`` the recompiles between calls as well. `options` are those of
    `compile`; the back end is that of a compiled `fn`, whose own recompiles so far are told, too."""
    return Explained(fn, options)


def _dispatcher(fn: Any) -> Dispatcher | None:
    try:
        return dispatcher_of(fn)
    except TypeError:
        return None


def _all_of(first: Dispatcher | None) -> list[Dispatcher]:
    """A dispatcher and those that go on behind its graph breaks."""
    if first is None:
        return []
    return [first, *(found for inner in list(first.resumed) for found in _all_of(inner))]


def _backend_of(fn: Any) -> Any:
    found = _dispatcher(fn)
    return "cpu" if found is None else found.options.backend


def _place(fn: Any) -> Where:
    name = getattr(fn, "__name__", type(fn).__name__)
    fn = type(fn).forward if is_module(fn) else getattr(fn, "__func__", fn)
    code = getattr(fn, "__code__", None)
    return Where("?", 0, name) if code is None else Where(code.co_filename, code.co_firstlineno, name)


def _home(dispatcher: Dispatcher) -> tuple[str, ...]:
    """Modules whose globals go by their bare names: the function's own."""
    return (str(dispatcher.function.__module__), str(dispatcher.function.__globals__.get("__name__")))


def _part(dispatcher: Dispatcher, variant: Any, region: int, number: int) -> Part:
    executable = variant.executable
    count = getattr(executable, "kernel_count", None)
    refusals = tuple(getattr(executable, "refusals", ()))
    return Part(
        str(dispatcher.where.function), dispatcher.where, region, number, variant.capture, count, refusals, executable,
        variant.training, _home(dispatcher),
    )  # fmt: skip


def cache_events(fn: Callable[..., Any], args: Sequence[Any] = ()) -> tuple[str, ...]:
    """What the disk cache does for ``fn(*args)``, freshly compiled: a line for each captured region."""
    if not store.enabled():
        return ("the disk cache is switched off (knob disk_cache)",)
    stored.events.clear()
    with knobs.override(debug=min(knobs.debug, 2)):
        _compiled(fn, _options())(*args)
    return tuple(map(str, stored.events)) or ("nothing was compiled: the function runs under CPython",)


# -- stages ----------------------------------------------------------------------------------------------------------------

STAGES = ("bytecode", "graph", "joint", "schedule", "kernels", "plan", "llvm", "asm", "triton", "ptx", "guards", "tail")
#: those that are of one kind of device
_DEVICE = {"llvm": "cpu", "asm": "cpu", "triton": "cuda", "ptx": "cuda"}


def stage_texts(
    fn: Callable[..., Any], args: Sequence[Any], stages: Sequence[str] = STAGES, device: str = "cpu"
) -> dict[str, str]:
    """The text of the chosen stages of ``fn(*args)``, all regions one after the other. `device`: for which "schedule", "kernels"
    and "plan" are ("cuda": as the GPU back end claims composites); the stages of one kind of device are for that. No GPU is
    needed; for "ptx" triton is."""
    from .ir.ops.launches import unrun

    for_gpus = "cuda" in (device, *(_DEVICE.get(stage) for stage in stages))
    with unrun() if for_gpus else nullcontext():
        report = explain(fn)(*args)
    out = {}
    for stage in stages:
        texts = [_STAGE[stage](fn, part, _DEVICE.get(stage, device)) for part in report.parts]
        out[stage] = "\n\n".join(t.rstrip() for t in dict.fromkeys(texts) if t) or f"({stage}: nothing for this call)"
    return out


def _bytecode(fn: Any, part: Part, device: str) -> str:
    import dis

    call = type(fn).forward if is_module(fn) else getattr(fn, "__func__", fn)
    return dis.Bytecode(original_of(call) or call).dis()


def _staged(part: Part, what: Callable[[Any], str], device: str = "cpu") -> str:
    from .ir.segments import parts
    from .pipeline import LAUNCHES, stages

    graphs = [part.training.cut.forward, part.training.cut.backward] if part.training is not None else [part.capture.graph]
    given = _claims(device), LAUNCHES if device == "cuda" else None
    return "\n\n".join(what(stages(p.graph, *given)) for g in graphs for p in parts(g) if p.graph.nodes)


def _claims(device: str) -> Any:
    from .backends.gpu import claims
    from .ir.schedule_prepare import NO_CLAIMS

    return claims.CLAIMS if device == "cuda" else NO_CLAIMS


def _joint(fn: Any, part: Part) -> str:
    return str(part.training.cut) if part.training is not None else ""


def _kernels(made: Any) -> str:
    return "\n\n".join(map(str, made.kernels))


def _llvm(made: Any) -> str:
    from .backends.cpu.module import llvm_text

    return llvm_text(made.kernels) if made.kernels else ""


def _asm(made: Any) -> str:
    from .backends.cpu.module import asm_text

    return asm_text(made.kernels) if made.kernels else ""


def _on_gpu(made: Any, text: Callable[[Any], str]) -> str:
    """The text of each launch of a plan, by the way that runs where all addresses are aligned."""
    from .backends.gpu.reasons import reasons
    from .backends.gpu.templates import routine_ways
    from .backends.gpu.ways import kernel_ways
    from .ir.plan import KernelStep, RoutineStep

    found = []
    for n, step in enumerate(made.plan.steps):
        if isinstance(step, (KernelStep, RoutineStep)):
            way = (kernel_ways(step.kernel) if isinstance(step, KernelStep) else routine_ways(step))[0]
            found += [f"# {why}" for why in (reasons(step) if isinstance(step, RoutineStep) else ())]
            found += [f"# ---- step {n}: {job.build.name}\n{text(job.build)}" for job in way.jobs]
    return "\n".join(found)


def _ptx(build: Any) -> str:
    from .backends.gpu.kernel import SM90
    from .backends.gpu.stages import run

    return str(run(build, SM90, "ptx").asm["ptx"])


def _compiled_text(part: Part) -> str:
    from importlib.util import find_spec

    if find_spec("triton") is None:
        return "(Triton is not installed: pip install 'fusewire[gpu]')"
    return _staged(part, lambda made: _on_gpu(made, _ptx), "cuda")


_STAGE: dict[str, Callable[[Any, Part, str], str]] = {
    "bytecode": _bytecode,
    "graph": lambda fn, part, device: str(part.capture.graph),
    "joint": lambda fn, part, device: _joint(fn, part),
    "schedule": lambda fn, part, device: _staged(part, lambda made: str(made.schedule), device),
    "kernels": lambda fn, part, device: _staged(part, _kernels, device),
    "plan": lambda fn, part, device: _staged(part, lambda made: str(made.plan), device),
    "llvm": lambda fn, part, device: _staged(part, _llvm),
    "asm": lambda fn, part, device: _staged(part, _asm),
    "triton": lambda fn, part, device: _staged(part, lambda made: _on_gpu(made, lambda build: build.source), device),
    "ptx": lambda fn, part, device: _compiled_text(part),
    "guards": lambda fn, part, device: "\n".join(g.expr() for g in part.capture.guards),
    "tail": lambda fn, part, device: part.capture.tail.source if part.capture.tail else "",  # type: ignore[attr-defined]
}
