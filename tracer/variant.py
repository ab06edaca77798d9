"""A capture that can be run: compiled (or interpreted) graph, results as Tensors, gradients. The Python form of the call path.

The native entry does the same from tables; this is its fallback and its oracle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import knobs
from ..eager.carried import carried, tensor_of
from ..eager.carried import view_of as view_made
from ..eager.factory import make_view, place, storage_of
from ..eager.tensor import Tensor
from ..ir.graph import Graph
from ..ir.interpret import bind_symbols, concrete, interpret
from ..runtime import gradmode
from ..runtime.guard import TensorIs, TensorLike
from ..runtime.meta import Meta
from .captured import Capture
from .gradient import Training, replay


class Interpreted:
    """What runs a graph that no back end can build: the graph's own interpreter."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """As `Executable.run`."""
        outputs, writes = interpret(self.graph, inputs)
        number = {v: i for i, v in enumerate(self.graph.inputs)}
        values = bind_symbols(self.graph, inputs)
        for w, array in zip(self.graph.writes, writes, strict=True):
            target = inputs[number[w.target]]
            if w.view is not None:
                target = _view(target, w.view, values)
            target[...] = array
        out: list[Any] = []
        for o, array in zip(self.graph.outputs, outputs, strict=True):
            if o.source is None:
                known = [x for x in (*inputs, *out) if isinstance(x, np.ndarray)]
                out.append(array.copy("K") if any(np.may_share_memory(array, x) for x in known) else array)
            else:
                source = inputs[number[o.source]]
                out.append(source if o.view is None else _view(source, o.view, values))
        return out


def _view(array: Any, view: Any, values: dict[str, int]) -> Any:
    from ..runtime.executable import window

    return window(array, *(concrete(x, values) for x in (view.offset, view.shape, view.strides)))


def view_of(x: Any, meta: Meta, offset: int) -> Any:
    """A Tensor on the memory of `x`, `offset` elements from its first one, laid out as `meta` says."""
    array, strides = x._array, meta.strides
    if not (array.size and array.flags.c_contiguous):  # others export no buffer
        from ..runtime.executable import window

        return make_view(window(array, offset, meta.shape, strides), x, meta.requires_grad)
    item = array.itemsize
    seen = np.ndarray(meta.shape, array.dtype, array, offset * item, tuple([s * item for s in strides]))
    made: Any = object.__new__(Tensor)
    made.meta, made._array, made._storage = meta, seen, storage_of(x)
    made._offset = place(x, (x._offset or 0) + offset)
    made._grad = made._node = None
    return made


def build(graph: Graph, backend: Any) -> Any:
    """`graph` compiled, or interpreted where the back end cannot build it (said once a graph, as a warning)."""
    if backend == "interpret":
        return Interpreted(graph)
    if callable(backend):
        from .userbackend import Served

        return Served(graph, backend)
    from ..pipeline import compile_graph

    try:
        if backend != "cpu" and backend != "reference":
            return Carried(graph, compile_graph(graph, backend=backend))
        return compile_graph(graph, backend=backend)
    except Exception as error:  # a defect or a limit of the back end must not become the user's error
        knobs.warn(f"the {backend} back end cannot build {graph.name}, its interpreter runs it: {type(error).__name__}: {error}")
        return Interpreted(graph) if backend in ("cpu", "reference") else Replayed(graph)


class Replayed:
    """What runs a graph of tensors on a GPU that cannot be built as one: op by op."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs for Tensors and numbers."""
        mode = gradmode.get()
        gradmode.set(False)
        try:
            return replay(self.graph, inputs)
        finally:
            gradmode.set(mode)


#: which of a device's back ends serves a mode
_KINDS = {"reduce-overhead": " graphs", "max-autotune": " tuned graphs", "max-autotune-no-cudagraphs": " tuned"}


def serving(captured: Capture, backend: Any, mode: str | None) -> Any:
    """The back end for a capture: that of its device, where none was asked for."""
    if captured.device == "cpu" or backend != "cpu":
        return backend
    return captured.device.partition(":")[0] + _KINDS.get(mode or "", "")


class Carried:
    """A compiled graph of tensors on a GPU, run on Tensors."""

    def __init__(self, graph: Graph, executable: Any) -> None:
        self.graph, self.executable = graph, executable

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs for Tensors and numbers."""
        from ..eager.gpu import run_graph

        return run_graph(self.executable, inputs)


def bind_plain(tail: Any, plain: Callable[[Sequence[Any]], Any]) -> None:
    """Tell a tail how CPython does the whole call, where it may ask for that."""
    if tail is not None and "plain" in tail.__code__.co_names:
        tail.__globals__["plain"] = plain


class Variant:
    """One capture made runnable. `hits` counts its calls through Python. `plain` runs the function itself: where the graph
    raises (`raising`), nothing was written or replayed yet; the function has the effects before the error, and raises it."""

    def __init__(
        self, captured: Capture, backend: Any, plain: Callable[[Sequence[Any]], Any], mode: str | None = None
    ) -> None:
        backend = serving(captured, backend, mode)
        self.capture, self.backend, self.plain = captured, backend, plain
        self.raising = tuple({kind for node in captured.graph.nodes for kind in node.op.effects.raises})
        self.hits = 0
        bind_plain(captured.tail, plain)
        graph = captured.graph
        self.number = {v: i for i, v in enumerate(graph.inputs)}
        self.written = list(dict.fromkeys(self.number[w.target] for w in graph.writes))
        self.sources = [None if o.source is None else self.number[o.source] for o in graph.outputs]
        self.training: Training | None = None
        self.replays = False
        wanted = [i for i, m in enumerate(captured.metas) if m.requires_grad and not self._is_input(i)]
        if wanted:
            self._differentiable(graph, wanted)
        self.executable = self._executable()

    def _is_input(self, i: int) -> bool:
        """Whether output `i` is an input itself."""
        o = self.capture.graph.outputs[i]
        return o.source is not None and o.view is None

    def _differentiable(self, graph: Graph, wanted: list[int]) -> None:
        """Choose how gradients are had: a backward graph, or (views and their history) the replay under eager's tape."""
        if any(graph.outputs[i].source is not None for i in wanted) or self.backend == "eager":
            self.replays = True
            return
        wrt = tuple(i for i, x in enumerate(self._grad_inputs()) if x)
        self.training = Training(graph, wrt, tuple(wanted), lambda g: build(g, self.backend))

    def _grad_inputs(self) -> list[bool]:
        """Which graph inputs require grad, by the guards on them."""
        tracked = {g.source: g.meta.requires_grad for g in self.capture.guards if isinstance(g, TensorIs)}
        tracked |= {g.source: g.requires_grad for g in self.capture.guards if isinstance(g, TensorLike)}
        return [tracked.get(s, False) for s in self.capture.sources]

    def _executable(self) -> Any:
        if self.replays or self.backend == "eager":
            return None
        if self.training is not None:
            return self.training.forward
        return build(self.capture.graph, self.backend)

    def run(self, args: Sequence[Any]) -> Any:
        """The result of a call with these bound arguments, for which the guards hold."""
        self.hits += 1
        given = args
        if self.capture.prologue is not None:
            args = (*args, *self.capture.prologue(args))
        inputs = [s.load(args) for s in self.capture.sources]
        if any(x._array is not None and not x._array.flags.writeable for x in [inputs[i] for i in self.written]):
            return self.plain(given)  # raises where eager does
        try:
            outputs = self._replayed(inputs) if self.executable is None else self._compiled(inputs)
        except self.raising:
            outputs = None  # left first: the user's exception must not have this one as its context
        if outputs is None:
            return self.plain(given)
        if self.capture.tail is not None:
            return self.capture.tail(args, outputs)
        return tuple(outputs) if self.capture.flat else outputs[0]

    def _replayed(self, inputs: list[Any]) -> list[Any]:
        """The graph as eager ops. What ran without gradients is detached in it, so they are on, whatever the mode is on entry."""
        mode = gradmode.get()
        gradmode.set(True)
        try:
            return replay(self.capture.graph, inputs)
        finally:
            gradmode.set(mode)

    def failed(self, args: Sequence[Any], error: Any) -> Any:
        """A kernel said no (`error` is its record): CPython does the whole call, which raises, or handles what is raised."""
        return self.plain(args)

    def _compiled(self, inputs: list[Any]) -> list[Any]:
        arrays = list(map(carried, inputs))
        node = None
        if self.training is not None:
            found, node = self.training.run(inputs, arrays)
        else:
            found = self.executable.run(arrays)
        for i in self.written:
            storage_of(inputs[i]).version += 1
        outputs = [self._output(i, array, inputs) for i, array in enumerate(found)]
        if node is not None and self.training is not None:
            node.attach([outputs[i] for i in self.training.outputs], inputs)
            node.watch(outputs)
        return outputs

    def _output(self, i: int, array: Any, inputs: list[Any]) -> Any:
        source = self.sources[i]
        if source is None:
            return tensor_of(array)
        return inputs[source] if self._is_input(i) else view_made(array, inputs[source])
