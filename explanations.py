"""`explain`, and the text of every stage between bytecode and assembly. Compiles by calling; decides nothing.

explain(fn)(*args)     a Report of what that call, freshly compiled, became
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import knobs
from .compiler import _compiled, _options, dispatcher_of, is_module
from .ir.lazyclass import dataclass
from .ir.plan import Refusal
from .runtime import store
from .runtime.guard import Guard
from .runtime.install import original_of
from .tracer import stored
from .tracer.dispatch import Dispatcher

if TYPE_CHECKING:
    from .tracer.breaks import BreakRecord
    from .tracer.captured import Capture


@dataclass(frozen=True)
class Part:
    """One captured region: the function itself, or what follows a graph break."""

    name: str
    capture: Capture
    kernels: int | None
    refusals: tuple[Refusal, ...]
    executable: Any
    training: Any


@dataclass(frozen=True)
class Report:
    """What one call of a function compiled to. ``str(report)`` is for reading."""

    parts: tuple[Part, ...]
    refused: tuple[BreakRecord, ...]
    recompiles: tuple[str, ...]
    result: Any

    @property
    def graphs(self) -> tuple[Any, ...]:
        return tuple(p.capture.graph for p in self.parts)

    @property
    def breaks(self) -> tuple[BreakRecord, ...]:
        return tuple(p.capture.break_ for p in self.parts if p.capture.break_ is not None) + self.refused

    @property
    def guards(self) -> tuple[Guard, ...]:
        return tuple(g for p in self.parts for g in p.capture.guards)

    @property
    def kernels(self) -> int:
        """Kernels that the call ran, over all parts."""
        return sum(p.kernels or 0 for p in self.parts)

    def __str__(self) -> str:
        lines = [
            f"{len(self.parts)} graph(s), {self.kernels} kernel(s), {len(self.breaks)} graph break(s), "
            f"{len(self.guards)} guard(s)"
        ]
        for i, part in enumerate(self.parts):
            lines += ["", f"-- part {i}: {part.name} " + "-" * 40, str(part.capture.graph).rstrip()]
            lines += ["guards:", *(f"  {g.expr()}" for g in part.capture.guards)]
            if part.refusals:
                lines += ["not fused:", *(f"  {r.producer} -> {r.consumer}: {r.reason}" for r in part.refusals)]
            if part.capture.tail is not None:
                lines += ["tail:", *(f"  {line}" for line in part.capture.tail.source.splitlines())]  # type: ignore[attr-defined]
            if part.capture.break_ is not None:
                lines += [str(part.capture.break_)]
        lines += [str(record) for record in self.refused]
        lines += ["recompiles:", *(f"  {r}" for r in self.recompiles)] if self.recompiles else []
        return "\n".join(lines)


def explain(fn: Callable[..., Any], **options: Any) -> Callable[..., Report]:
    """``explain(fn)(*args)`` calls `fn` once, freshly compiled, and reports graphs, kernels, guards, breaks, refusals. `options`
    are those of `compile`; the back end is that of a compiled `fn`."""
    given = {"backend": _backend_of(fn), **options}
    _options(**given)

    def run(*args: Any, **kwargs: Any) -> Report:
        seen: list[Dispatcher] = []
        result = _compiled(fn, _options(**given, seen=seen))(*args, **kwargs)
        parts = [_part(d, v) for d in seen for v in d.variants]
        refused = tuple(d.refused for d in seen if d.refused is not None)
        return Report(tuple(parts), refused, tuple(m.guard for d in seen for m in d.misses), result)

    return run


def _backend_of(fn: Any) -> str:
    try:
        return dispatcher_of(fn).options.backend
    except TypeError:
        return "cpu"


def _part(dispatcher: Dispatcher, variant: Any) -> Part:
    executable = variant.executable
    count = getattr(executable, "kernel_count", None)
    refusals = tuple(getattr(executable, "refusals", ()))
    return Part(str(dispatcher.where.function), variant.capture, count, refusals, executable, variant.training)


def cache_events(fn: Callable[..., Any], args: Sequence[Any] = ()) -> tuple[str, ...]:
    """What the disk cache does for ``fn(*args)``, freshly compiled: a line for each captured region."""
    if not store.enabled():
        return ("the disk cache is switched off (knob disk_cache)",)
    stored.events.clear()
    with knobs.override(debug=min(knobs.debug, 2)):
        _compiled(fn, _options())(*args)
    return tuple(map(str, stored.events)) or ("nothing was compiled: the function runs under CPython",)


# -- stages ----------------------------------------------------------------------------------------------------------------

STAGES = ("bytecode", "graph", "joint", "schedule", "kernels", "plan", "llvm", "asm", "triton", "guards", "tail")


def stage_texts(fn: Callable[..., Any], args: Sequence[Any], stages: Sequence[str] = STAGES) -> dict[str, str]:
    """The text of the chosen stages of ``fn(*args)``, all regions one after the other."""
    report = explain(fn)(*args)
    out = {}
    for stage in stages:
        texts = [_STAGE[stage](fn, part) for part in report.parts]
        out[stage] = "\n\n".join(t.rstrip() for t in dict.fromkeys(texts) if t) or f"({stage}: nothing for this call)"
    return out


def _bytecode(fn: Any, part: Part) -> str:
    import dis

    call = type(fn).forward if is_module(fn) else getattr(fn, "__func__", fn)
    return dis.Bytecode(original_of(call) or call).dis()


def _staged(part: Part, what: Callable[[Any], str]) -> str:
    from .ir.segments import parts
    from .pipeline import stages

    graphs = [part.training.cut.forward, part.training.cut.backward] if part.training is not None else [part.capture.graph]
    return "\n\n".join(what(stages(p.graph)) for g in graphs for p in parts(g) if p.graph.nodes)


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


def _triton(made: Any) -> str:
    from .backends.gpu.triton import triton_text

    return triton_text(made.kernels) if made.kernels else ""


_STAGE: dict[str, Callable[[Any, Part], str]] = {
    "bytecode": _bytecode,
    "graph": lambda fn, part: str(part.capture.graph),
    "joint": _joint,
    "schedule": lambda fn, part: _staged(part, lambda made: str(made.schedule)),
    "kernels": lambda fn, part: _staged(part, _kernels),
    "plan": lambda fn, part: _staged(part, lambda made: str(made.plan)),
    "llvm": lambda fn, part: _staged(part, _llvm),
    "asm": lambda fn, part: _staged(part, _asm),
    "triton": lambda fn, part: _staged(part, _triton),
    "guards": lambda fn, part: "\n".join(g.expr() for g in part.capture.guards),
    "tail": lambda fn, part: part.capture.tail.source if part.capture.tail is not None else "",  # type: ignore[attr-defined]
}
