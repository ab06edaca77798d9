"""``@compile``, ``explain`` and the switches around them. Capture is in `tracer`, code generation behind `pipeline`.

@fusewire.compile            a function, also a method inside of its class
fusewire.compile(model)      a Module: a twin that shares the model's state
"""

from __future__ import annotations

import functools
import sys
import types
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from . import knobs
from .eager.modes import capturing
from .eager.tensor import Tensor
from .errors import CompileError, FusewireError
from .ir.lazyclass import dataclass
from .ir.plan import PlanOutput, Refusal, errors_of
from .ir.types import TensorType
from .runtime import store
from .runtime.guard import Guard, TensorIs, TensorLike
from .runtime.install import original_of
from .runtime.meta import Meta, MetaPattern
from .tracer import stored
from .tracer.dispatch import Dispatcher, Options, entry_of, is_capturing
from .tracer.special import SPECIAL
from .tracer.traces import strip_own

if TYPE_CHECKING:
    from .nn.module import Module
    from .tracer.breaks import BreakRecord
    from .tracer.captured import Capture
    from .tracer.gradient import Training
    from .tracer.policy import mark_dynamic, mark_static  # (`__getattr__` below gives them)
    from .tracer.variant import Variant

F = TypeVar("F", bound=Callable[..., Any])
_DISPATCHER = "__fusewire_dispatcher__"
_dispatchers: weakref.WeakSet[Dispatcher] = weakref.WeakSet()
_twins: weakref.WeakKeyDictionary[type, tuple[type, Options]] = weakref.WeakKeyDictionary()
MODES = (None, "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
BACKENDS = ("cpu", "reference", "interpret", "eager")


@overload
def compile(fn: F, /, *, fullgraph: bool = ..., dynamic: bool | None = ..., mode: str | None = ..., backend: str = ...) -> F: ...


@overload
def compile(
    *, fullgraph: bool = ..., dynamic: bool | None = ..., mode: str | None = ..., backend: str = ...
) -> Callable[[F], F]: ...


def compile(
    fn: Any = None, /, *, fullgraph: bool = False, dynamic: bool | None = None, mode: str | None = None, backend: str = "cpu"
) -> Any:
    """A compiled form of a function, method or Module that behaves as the original does, on every call.

    `fullgraph`: GraphBreakError in place of a graph break. `dynamic`: which sizes of Tensors one variant serves at any value:
    None those that have differed between calls, True all from the first call on (but those of Parameters), False none; see
    `mark_dynamic`, `mark_static`. `mode`: PyTorch's names are accepted, and all mean the same here. `backend`: "cpu",
    "reference" (kernels in NumPy), "interpret" (the graph in NumPy) or "eager" (the graph as eager ops).

    A debugger, coverage tool or `sys.settrace` sees no lines of calls that compiled code serves. Captures of all threads take
    turns; calls need no lock. A generator or coroutine function runs uncompiled, as does an object, no Module, that has a
    ``__call__`` of its own: compile that method. TypeError for what cannot be called, and for a class.
    """
    options = _options(fullgraph=fullgraph, dynamic=dynamic, mode=mode, backend=backend)
    if fn is None:
        return lambda f: _compiled(f, options)
    return _compiled(fn, options)


def _options(
    *, fullgraph: bool = False, dynamic: bool | None = None, mode: str | None = None, backend: str = "cpu",
    seen: list[Dispatcher] | None = None,
) -> Options:  # fmt: skip
    if backend not in BACKENDS:
        raise ValueError(f"no back end {backend!r}; there are {', '.join(BACKENDS)}")
    if mode not in MODES:
        raise ValueError(f"no mode {mode!r}; there are {', '.join(map(repr, MODES))}")
    if dynamic not in (None, True, False):
        raise TypeError(f"dynamic is None, True or False, not {dynamic!r}")
    return Options(fullgraph, dynamic, mode, backend, seen, native_side, _stored_code)


def _is_module(fn: Any) -> bool:
    """Whether `fn` is a Module, none of which there is before its class is loaded."""
    loaded = sys.modules.get(f"{__package__}.nn.module")
    return loaded is not None and isinstance(fn, loaded.Module)


def __getattr__(name: str) -> Any:
    if name in ("mark_dynamic", "mark_static"):
        from .tracer import policy

        return getattr(policy, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _stored_code(names: dict[str, str], key: str) -> Any:
    from .backends.kept import Kernels

    return Kernels(names, key)


def _compiled(fn: Any, options: Options) -> Any:
    if _is_module(fn):
        return _twin(fn, options)
    if isinstance(fn, types.MethodType):
        return types.MethodType(_compiled(fn.__func__, options), fn.__self__)
    if isinstance(fn, (staticmethod, classmethod)):
        return type(fn)(_compiled(fn.__func__, options))
    if type(fn) is functools.partial:
        return functools.partial(_compiled(fn.func, options), *fn.args, **fn.keywords)
    if isinstance(fn, types.FunctionType):
        return _entry(original_of(fn) or fn, options)
    if isinstance(fn, type) or not callable(fn):
        raise TypeError(f"compile takes a function, a method or a Module, not {fn!r}")
    return fn  # a built-in function or another object with a call of its own: nothing to capture


def _entry(function: types.FunctionType, options: Options) -> Any:
    dispatcher = Dispatcher(function, options)
    _dispatchers.add(dispatcher)
    return entry_of(dispatcher)


# -- the native entry ------------------------------------------------------------------------------------------------------


class _Native:
    """The native entry of one dispatcher (see `tracer.dispatch.NativeSide`)."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        from .backends.entry import Entry

        self.entry = Entry(dispatcher.function, dispatcher.enter)
        self.function: types.FunctionType = self.entry.function

    def add(self, variant: Variant) -> None:
        """Serve this variant natively as far as that goes: its guards at least. One that cannot be is the dispatcher's."""
        try:
            self.entry.add(_native_variant(variant, self.function))
        except CompileError:
            return

    def clear(self) -> None:
        self.entry.clear()


def _native_variant(variant: Variant, function: types.FunctionType) -> Any:
    from .backends import entry

    made, executable = variant.capture, variant.executable
    plan = getattr(executable, "plan", None)
    if plan is None or callable(executable.code):
        return entry.Variant.of_python(made.guards, function, _bare(variant.run))
    metas: list[Any] = list(made.metas)
    tail = made.tail
    if variant.training is not None:
        metas = [meta.with_grad(False) for meta in metas] + [_meta_of(o) for o in plan.outputs[len(metas) :]]
        tail = _recording(variant)
        variant.training.native = _backward(variant)
    for output, meta in zip(plan.outputs, metas, strict=True):
        if output.source is None and meta is not None and output.type != meta.type:
            raise CompileError(f"an output is laid out as {output.type}, not {meta.type}")
    known = [_known(m) for m in metas]
    grads = [m is not None and m.requires_grad for m in metas]
    return entry.Variant(
        plan, executable.code, made.guards, made.sources, function, output_metas=known, output_grads=grads, tail=tail,
        single=not made.flat,
        on_error=_bare(lambda native, args, status, step: variant.failed(args, errors_of(plan.steps[step])[status - 1])),
        keep=executable,
    )  # fmt: skip


def _bare(run: Callable[..., Any]) -> Callable[..., Any]:
    """`run`, where exceptions of the user's have the user's frames only in their tracebacks."""

    def bare(*args: Any) -> Any:
        try:
            return run(*args)
        except BaseException as error:
            strip_own(error)
            raise

    return bare


def _known(meta: Any) -> Meta | None:
    """A Meta that is known before the call."""
    return meta if isinstance(meta, Meta) else None


def _meta_of(output: PlanOutput) -> Any:
    """The Meta of a value saved for the backward graph, or its pattern; None for a number."""
    return _meta_of_type(output.type)


def _meta_of_type(t: Any) -> Any:
    if not isinstance(t, TensorType):
        return None
    if not all(isinstance(n, int) for n in (*t.shape, *t.strides)):
        return MetaPattern(t)
    return Meta.of(t.shape, t.strides, t.dtype)  # type: ignore[arg-type]


def _recording(variant: Variant) -> Callable[..., Any]:
    """The tail of a native call that records: puts the tape's node behind the outputs, then goes on as the capture says."""
    captured, training = variant.capture, variant.training
    assert training is not None
    sources, tail, flat, count = captured.sources, captured.tail, captured.flat, len(captured.metas)

    def finish(args: Sequence[Any], made: Sequence[Any]) -> Any:
        inputs, outputs = [s.load(args) for s in sources], list(made[:count])
        node = training.node(inputs, made[count:])
        node.attach([outputs[i] for i in training.outputs], inputs)
        node.watch(outputs)
        if tail is not None:
            return tail(args, outputs)
        return tuple(outputs) if flat else outputs[0]

    return _bare(finish) if tail is not None else finish


def _backward(variant: Variant) -> Callable[[Training, Any, Callable[..., Any]], Callable[..., Any] | None]:
    """What makes a backward graph of a variant a native function."""
    known: dict[Any, Any] = {x.source: (x.cls, x.meta) for x in variant.capture.guards if isinstance(x, TensorIs)}
    likes = [x for x in variant.capture.guards if isinstance(x, TensorLike)]
    known |= {x.source: (x.cls, MetaPattern(x.type, x.requires_grad, x.device)) for x in likes}
    saved = [known.get(source) for source in variant.capture.sources]

    def make(training: Training, executable: Any, otherwise: Callable[..., Any]) -> Callable[..., Any] | None:
        from .backends import entry

        plan = getattr(executable, "plan", None)
        if plan is None or callable(executable.code) or any(o.source is not None for o in plan.outputs):
            return None  # a gradient that is an operand itself: a Tensor of its own is made of it in Python
        first = dict(enumerate(saved[i] for i in training.cut.saved_inputs))
        try:
            inputs = [first.get(n) or _kind_of(v.type) for n, v in enumerate(training.cut.backward.inputs)]
            metas = [_known(_meta_of(o)) for o in plan.outputs]
            return entry.routine(plan, executable.code, inputs, metas, otherwise, keep=executable)
        except CompileError:
            return None

    return make


_NUMBERS = {"float": float, "int": int, "bool": bool}


def _kind_of(type_: Any) -> tuple[type, Any]:
    """Class and Meta of what a graph input of this type is at a call."""
    return (Tensor, _meta_of_type(type_)) if isinstance(type_, TensorType) else (_NUMBERS[type_.kind], None)


_refusal: list[str | None] = []


def native_side(dispatcher: Dispatcher) -> _Native | None:
    """The native entry for a dispatcher; None where knob native_entry or this process rules it out."""
    if not knobs.native_entry:
        return None
    if not _refusal:
        _refusal.append(_configured())
        if _refusal[0] is not None:
            knobs.warn(f"compiled functions run behind a Python wrapper: {_refusal[0]}")
    return _Native(dispatcher) if _refusal[0] is None else None


def _configured() -> str | None:
    """Tell the entry about Tensor; why it cannot serve, or None."""
    from .backends import entry
    from .eager.factory import meta_of
    from .eager.tensor import Tensor
    from .runtime.storage import Storage
    from .tracer.variant import view_of

    try:
        entry.configure(Tensor, Storage, make_view=view_of, make_meta=meta_of)
        return entry.refusal()
    except (FusewireError, OSError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"


# -- modules -------------------------------------------------------------------------------------------------------------


def _twin(module: Module, options: Options) -> Module:
    """An object of a subclass of the module's class, of the same name, whose call is compiled and whose state is the module's."""
    cls = type(module)
    cls = _twins[cls][0] if cls in _twins else cls
    call = _entry(_plain_function(cls.__call__), options)
    names = {"__call__": call, "__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__,
             "__reduce_ex__": _reduce_twin}  # fmt: skip
    made_by: Any = type(cls)
    sub = made_by(cls.__name__, (cls,), names)
    _twins[sub] = cls, options
    made: Module = object.__new__(sub)
    object.__setattr__(made, "__dict__", vars(module))
    return made


def _plain_function(call: Any) -> types.FunctionType:
    found = original_of(call) or call
    if not isinstance(found, types.FunctionType):
        raise TypeError(f"__call__ of a Module must be a Python function to be compiled, not {call!r}")
    return found


def _reduce_twin(self: Module, protocol: Any) -> tuple[Any, ...]:
    """Pickles and copies as "the plain class, compiled again with these options"."""
    cls, options = _twins[type(self)]
    return _remake_twin, (cls, options), dict(vars(self))


def _remake_twin(cls: type[Module], options: Options) -> Module:
    return _twin(cls.__new__(cls), options)


# -- the namespace fusewire.compiler ---------------------------------------------------------------------------------------


def disable(fn: F) -> F:
    """Mark a function: it always runs under CPython, and a compiled caller breaks its graph there."""
    fn.__fusewire_disabled__ = True  # type: ignore[attr-defined]
    return fn


def is_compiling() -> bool:
    """True inside of a function that is being captured, False in eager code."""
    return is_capturing()


SPECIAL[is_compiling] = lambda session: True
SPECIAL[capturing] = lambda session: True


def reset() -> None:
    """Forget all compiled variants of all functions; the next calls compile again."""
    for dispatcher in list(_dispatchers):
        dispatcher.forget()


def variants_of(fn: Any) -> tuple[Capture, ...]:
    """The captures of a compiled function, in the order they were made."""
    return tuple(v.capture for v in dispatcher_of(fn).variants)


def dispatcher_of(fn: Any) -> Dispatcher:
    """What stands behind a compiled function or Module."""
    fn = type(fn).__call__ if _is_module(fn) else getattr(fn, "__func__", fn)
    found = getattr(fn, _DISPATCHER, None)
    if found is None or found.installed is not fn:
        raise TypeError(f"{fn!r} is not compiled")
    return found  # type: ignore[no-any-return]


# -- explain ---------------------------------------------------------------------------------------------------------


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

    call = type(fn).forward if _is_module(fn) else getattr(fn, "__func__", fn)
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

__all__ = [
    "BACKENDS", "STAGES", "Report", "cache_events", "compile", "disable", "explain", "is_compiling", "knobs", "mark_dynamic",
    "mark_static", "reset", "stage_texts",
]  # fmt: skip
