"""The native entry of a compiled function: from a variant to the tables that machine code walks. Captures nothing."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import knobs
from .eager.tensor import Tensor
from .errors import CompileError, FusewireError
from .in_parts import in_parts, kind_of, meta_of_type, settled
from .ir.plan import PlanOutput, errors_of
from .ir.types import TensorType
from .runtime.guard import FitsInt64, TensorIs, TensorLike, TypeIs
from .runtime.meta import Meta, MetaPattern
from .runtime.source import Arg
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
            if _on_device(variant.executable) is not None and variant.capture.prologue is None:
                self.entry.add(_launched(variant, self.function))
        except CompileError:
            return

    def clear(self) -> None:
        self.entry.clear()


def _native_variant(variant: Variant, function: types.FunctionType) -> Any:
    from .backends import entry

    made, executable = variant.capture, variant.executable
    plan = getattr(executable, "plan", None)
    if plan is None or callable(executable.code):
        return entry.Variant.of_python(made.guards, function, _bare(in_parts(variant) or variant.run))
    if made.prologue is not None:
        return entry.Variant.of_python(made.guards, function, _bare(_behind_prologue(variant, function)))
    return _planned(variant, function, made.guards)


def _on_device(executable: Any) -> Any:
    """What has the plan of a graph for a GPU; None for others."""
    inner = getattr(executable, "executable", None)
    return inner if hasattr(inner, "run_at") else None


def _launched(variant: Variant, function: types.FunctionType) -> Any:
    """A variant for a GPU that machine code launches. What it leaves to Python (another context, a graph being recorded, memory
    that is not ours) the variant behind it takes."""
    made = variant.capture
    launcher = _launcher(_on_device(variant.executable), [x for x in made.guards if isinstance(x, (TensorIs, TensorLike))])
    return _planned(variant, function, made.guards, launcher)


def _launcher(executable: Any, guards: Sequence[Any]) -> Any:
    """Who runs a plan on the device of the tensors that the guards name. CompileError where machine code cannot."""
    from .backends import entry
    from .backends.gpu.native import Launcher
    from .eager.gpu import Watched, tensor_in
    from .runtime.gpu.device import device
    from .runtime.gpu.storage import DeviceStorage

    names = {x.meta.device if isinstance(x, TensorIs) else x.device for x in guards} - {"cpu"}
    if len(names) != 1:
        raise CompileError("no guard, or guards on several devices, say where the plan runs")
    entry.configure_device(DeviceStorage, Watched)

    def view(x: Any, meta: Meta, offset: int) -> Any:
        return tensor_in(x._storage, meta, (x._offset or 0) + offset)

    return Launcher(executable, device(int(names.pop().rpartition(":")[2])), view)


def _behind_prologue(variant: Variant, function: types.FunctionType) -> Callable[..., Any]:
    """What runs a variant whose guards hold: the values drawn before the graph, then the plan, natively, as that of a function
    which takes them as further arguments."""
    from .backends import entry

    prologue, own = variant.capture.prologue, len(entry.parameters(function))
    assert prologue is not None
    names = ", ".join(f"a{i}" for i in range(own + variant.capture.drawn))
    space: dict[str, Any] = {}
    exec(f"def drawn({names}): ...", space)
    guards: list[Any] = list(variant.capture.guards)
    for source, value in zip(variant.capture.sources, variant.capture.graph.inputs, strict=True):
        if isinstance(source, Arg) and source.index >= own:
            guards.append(_guard_of(source, value.type))
    inner = entry.Entry(space["drawn"], lambda *args: variant.plain(args[:own]))
    inner.add(_planned(variant, space["drawn"], tuple(guards)))
    call = inner.function

    def run(args: tuple[Any, ...]) -> Any:
        return call(*args, *prologue(args))

    return run


def _guard_of(source: Arg, type_: Any) -> Any:
    """The guard on a value drawn before the graph, by which the plan knows what it reads."""
    if isinstance(type_, TensorType):
        return TensorIs(source, Tensor, meta_of_type(type_))
    return TypeIs(source, float) if type_.kind == "float" else FitsInt64(source)


def _planned(variant: Variant, function: types.FunctionType, guards: Sequence[Any], launcher: Any = None) -> Any:
    from .backends import entry

    made, executable = variant.capture, variant.executable if launcher is None else launcher.executable
    plan = executable.plan
    metas: list[Any] = list(made.metas)
    tail = made.tail
    if variant.training is not None:
        metas = [meta.with_grad(False) for meta in metas] + [_meta_of(o) for o in plan.outputs[len(metas) :]]
        tail = _recording(variant)
        variant.training.native = _backward(variant, launcher)
    for output, meta in zip(plan.outputs, metas, strict=True):
        if output.source is None and meta is not None and output.type != meta.type:
            raise CompileError(f"an output is laid out as {output.type}, not {meta.type}")
    own = len(entry.parameters(function)) - made.drawn
    known = [settled(m) for m in metas]
    grads = [m is not None and m.requires_grad for m in metas]
    return entry.Variant(
        plan, executable.code, guards, made.sources, function, output_metas=known, output_grads=grads, tail=tail,
        single=not made.flat,
        on_error=_bare(lambda native, args, status, step: variant.failed(args[:own], errors_of(plan.steps[step])[status - 1])),
        keep=executable, launcher=launcher,
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


def _meta_of(output: PlanOutput) -> Any:
    """The Meta of a value saved for the backward graph, or its pattern; None for a number."""
    return meta_of_type(output.type)


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


def _backward(variant: Variant, launcher: Any = None) -> Callable[[Training, Any, Callable[..., Any]], Callable[..., Any] | None]:
    """What makes a backward graph of a variant a native function. `launcher`: of its forward graph, where that is a GPU's."""
    known: dict[Any, Any] = {x.source: (x.cls, x.meta) for x in variant.capture.guards if isinstance(x, TensorIs)}
    likes = [x for x in variant.capture.guards if isinstance(x, TensorLike)]
    known |= {x.source: (x.cls, MetaPattern(x.type, x.requires_grad, x.device)) for x in likes}
    saved = [known.get(source) for source in variant.capture.sources]

    def make(training: Training, executable: Any, otherwise: Callable[..., Any]) -> Callable[..., Any] | None:
        from .backends import entry

        executable = executable if launcher is None else _on_device(executable)
        plan = getattr(executable, "plan", None)
        if plan is None or callable(executable.code) or any(o.source is not None for o in plan.outputs):
            return None  # a gradient that is an operand itself: a Tensor of its own is made of it in Python
        first = dict(enumerate(saved[i] for i in training.cut.saved_inputs))
        try:
            device = "cpu" if launcher is None else launcher.device
            inputs = [first.get(n) or kind_of(v.type, device) for n, v in enumerate(training.cut.backward.inputs)]
            metas = [settled(_meta_of(o)) for o in plan.outputs]
            who = None if launcher is None else type(launcher)(executable, launcher.gpu, launcher.view)
            return entry.routine(plan, executable.code, inputs, metas, otherwise, keep=executable, launcher=who)
        except CompileError:
            return None

    return make


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
    from .eager.factory import count_write, meta_of
    from .runtime.storage import Storage
    from .tracer.variant import view_of

    try:
        entry.configure(Tensor, Storage, make_view=view_of, make_meta=meta_of, count_write=count_write)
        return entry.refusal()
    except (FusewireError, OSError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"
