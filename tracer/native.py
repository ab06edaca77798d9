"""A dispatcher whose calls go through the native entry: guards, binding and plans run as machine code, misses come here.

`install(function, options)` gives the function to hand out, or None where the native entry cannot serve. What has no plan in
machine code (breaks without a graph, replays, other back ends) keeps native guards around its Python body.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any

from ..backends import entry as native
from ..eager.factory import make_view, meta_of
from ..eager.tensor import Tensor
from ..errors import CompileError, LoadError
from ..ir.plan import PlanOutput
from ..ir.types import TensorType
from ..runtime import install as installing
from ..runtime.executable import Executable, window
from ..runtime.meta import Meta
from ..runtime.storage import Storage
from .dispatch import Dispatcher, Options
from .gradient import CompiledNode
from .variant import Variant


def _view(tensor: Tensor, meta: Meta, offset: int) -> Tensor:
    return make_view(window(tensor._array, offset, meta.shape, meta.strides), tensor, meta.requires_grad)  # type: ignore[arg-type]


def refusal() -> str | None:
    """Why compiled functions run behind a Python wrapper in this process; None where they need not."""
    if not _configured:
        try:
            native.configure(Tensor, Storage, make_view=_view, make_meta=meta_of)
        except LoadError as e:
            return str(e)
        _configured.append(True)
    return native.refusal()


_configured: list[bool] = []


def install(function: types.FunctionType, options: Options) -> types.FunctionType | None:
    """A copy of `function` that runs compiled; None where `refusal` says why not."""
    if refusal() is not None:
        return None
    dispatcher = NativeDispatcher(function, options)
    made = dispatcher.entry.function
    made.__fusewire_original__ = function
    made.__fusewire_dispatcher__ = dispatcher
    return made  # type: ignore[no-any-return]


class NativeDispatcher(Dispatcher):
    """Keeps the entry's variants in step with its own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.entry = native.Entry(self.function, self._missed)

    def _missed(self, *args: Any, **kwargs: Any) -> Any:
        installed = self.entry.function
        if installed.__code__ is not self.function.__code__:
            return installing.copy_function(installed)(*args, **kwargs)  # the user has put other code in
        self.bind.__defaults__ = installed.__defaults__  # type: ignore[attr-defined]
        self.bind.__kwdefaults__ = installed.__kwdefaults__  # type: ignore[attr-defined]
        return self.call(self.bind(*args, **kwargs))

    def _compiled(self, args: Sequence[Any]) -> Variant | None:
        made = super()._compiled(args)
        if made is not None:
            self.entry.add(native_variant(made, self.entry.function))
        return made

    def forget(self) -> None:
        super().forget()
        self.entry.clear()

    def _hook(self, function: types.FunctionType) -> Callable[[tuple[Any, ...]], Any]:
        inner = NativeDispatcher(function, self.options, self.continuations)
        return inner.entry.function  # type: ignore[no-any-return]


def native_variant(variant: Variant, function: types.FunctionType) -> native.Variant:
    """The native form of a variant; with a Python body where its plan cannot be run natively."""
    guards = variant.capture.guards
    executable = variant.executable
    if isinstance(executable, Executable) and not callable(executable.code) and not (variant.training and variant.written):
        try:
            return _planned(variant, executable, function)
        except CompileError:
            pass
    return native.Variant.of_python(guards, function, variant.run)


def _planned(variant: Variant, executable: Executable, function: types.FunctionType) -> native.Variant:
    captured = variant.capture
    metas = [_meta(o) for o in executable.plan.outputs]
    for i, meta in enumerate(captured.metas):
        metas[i] = meta if variant.training is None else meta.with_grad(False)
    tail: Callable[..., Any] | None = captured.tail
    if variant.training is not None:
        tail = _differentiable(variant)
    return native.Variant(
        executable.plan, executable.code, captured.guards, captured.sources, function, output_metas=metas, tail=tail,
        single=not captured.flat, on_error=lambda _, args, status, step: variant.run(args), keep=variant,
    )  # fmt: skip


def _meta(output: PlanOutput) -> Meta | None:
    """The Meta of an output that has no name in the program (a value saved for the backward graph)."""
    t = output.type
    if not isinstance(t, TensorType) or not all(isinstance(n, int) for n in (*t.shape, *t.strides)):
        return None
    return Meta.of(t.shape, t.strides, t.dtype)  # type: ignore[arg-type]


def _differentiable(variant: Variant) -> Callable[..., Any]:
    """The tail of a call that records: hangs the tape's node on the outputs before the program's own tail runs."""
    captured, training = variant.capture, variant.training
    assert training is not None
    sources, tail, flat, count = captured.sources, captured.tail, captured.flat, len(captured.metas)

    def finish(args: Sequence[Any], made: Sequence[Any]) -> Any:
        inputs = [s.load(args) for s in sources]
        outputs = list(made[:count])
        node = CompiledNode(training, inputs, [x._array if isinstance(x, Tensor) else x for x in made[count:]])
        node.attach([outputs[i] for i in training.outputs], inputs)
        if tail is not None:
            return tail(args, outputs)
        return tuple(outputs) if flat else outputs[0]

    return finish
