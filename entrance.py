"""The native entry of a compiled function: from a variant to the tables that machine code walks. Captures nothing."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import knobs
from .eager.tensor import Tensor
from .errors import CompileError, FusewireError
from .ir.plan import PlanOutput, errors_of
from .ir.types import TensorType
from .runtime.guard import TensorIs, TensorLike
from .runtime.meta import Meta, MetaPattern
from .tracer.dispatch import Dispatcher
from .tracer.traces import strip_own

if TYPE_CHECKING:
    from .tracer.gradient import Training
    from .tracer.variant import Variant


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
    if plan is None or callable(executable.code) or made.prologue is not None:
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
    from .runtime.storage import Storage
    from .tracer.variant import view_of

    try:
        entry.configure(Tensor, Storage, make_view=view_of, make_meta=meta_of)
        return entry.refusal()
    except (FusewireError, OSError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"
