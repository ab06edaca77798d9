"""Gradients of captured graphs: the tape node behind a compiled call, and the graph run again on Tensors under eager's own tape.

The backward graph is built and compiled at its first use. Second and higher derivatives come from the replay, which starts from
the inputs and so never depends on what the first cut saved.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..eager import autograd, carried, casting, executor, tape
from ..eager.factory import alias, make, version_of, written_since
from ..eager.tensor import Tensor
from ..errors import AutogradError
from ..ir.graph import Graph, Output, Value, View
from ..ir.interpret import bind_symbols
from ..ir.lazyclass import dataclass
from ..ir.produced import attributes, bind_produced, concrete
from ..ir.types import TensorType
from ..runtime import collector, gradmode
from ..runtime.storage import Storage

if TYPE_CHECKING:
    from ..ir.passes.autodiff import JointGraph
    from ..ir.passes.partition import Partition

#: a graph -> something with ``run(arrays and numbers) -> arrays``
Build = Callable[[Graph], Any]


def replay(graph: Graph, inputs: Sequence[Any]) -> list[Any]:
    """The graph's outputs on Tensors and numbers, each node an eager op: tape, aliases, writes and errors are eager's own.
    Autocast is off: its casts are in the graph."""
    casts = casting.suspend()
    try:
        return _replayed(graph, inputs)
    finally:
        casting.switch(casts)


def _replayed(graph: Graph, inputs: Sequence[Any]) -> list[Any]:
    env: dict[Value, Any] = dict(zip(graph.inputs, inputs, strict=True))
    values = bind_symbols(graph, list(map(carried.layout_of, inputs))) if graph.symbols else {}
    home = next((x._storage.recorder for x in inputs if hasattr(x, "meta") and x._array is None), executor)
    for node in graph.nodes:
        args = tuple(env[a] if isinstance(a, Value) else a for a in node.args)
        beside = executor if any(hasattr(x, "meta") for x in args) else home  # what has no operand lies where the inputs do
        made = beside.apply(node.op, args, attributes(node, values) if values or node.op.binds else node.attrs)
        made = made if isinstance(made, tuple) else (made,)
        bind_produced(node, made, values)
        env.update(zip(node.results, made, strict=True))
    written = {w.target for w in graph.writes}
    views = [o.source in written and o.view is not None for o in graph.outputs]
    with_mode = gradmode.get()
    gradmode.set(False)
    try:
        for w in graph.writes:
            target = env[w.target] if w.view is None else _window(env[w.target], w.view, values)
            executor.write(target, env[w.value])
    finally:
        gradmode.set(with_mode)
    out = []
    for o, late in zip(graph.outputs, views, strict=True):
        if o.source is not None and o.view is None:
            out.append(env[o.source])
        else:
            out.append(_window(env[o.source], o.view, values) if late else env[o.value])  # type: ignore[arg-type, index]
    return out


def _window(x: Any, view: View, values: dict[str, int]) -> Any:
    """A Tensor on the memory of `x` through a window counted from the first element of `x`."""
    view = View(*(concrete(part, values) for part in (view.offset, view.shape, view.strides)))
    return carried.window(x, view.offset, view.shape, view.strides)  # type: ignore[arg-type]


def read_outputs(joined: JointGraph, count: int) -> tuple[int, ...]:
    """Fresh outputs of a joint graph, the first `count` nodes of which go forward, whose memory the others read in eager: they,
    or what they are views of, or another view of that."""
    graph = joined.graph
    made_by = {r: node for node in graph.nodes[:count] for r in node.results}

    def memory(value: Any) -> Any:
        while (node := made_by.get(value)) is not None and node.op.effects.aliases is not None:
            value = node.args[node.op.effects.aliases]
        return value

    read = {memory(a) for node in graph.nodes[count:] for a in node.args if isinstance(a, Value)}
    outputs = graph.outputs[: joined.outputs]
    return tuple(i for i, o in enumerate(outputs) if o.source is None and memory(o.value) in read)


@dataclass
class Training:
    """A graph whose outputs `outputs` are differentiated with respect to inputs `wrt`: forward now, backward at first use."""

    graph: Graph
    wrt: tuple[int, ...]
    outputs: tuple[int, ...]
    build: Build
    cut: Partition = field(init=False)
    forward: Any = field(init=False)
    #: makes of this, an Executable of a backward graph and the same through arrays a function of Tensors and numbers to a tuple
    #: of Tensors; None: there is none
    native: Callable[[Training, Any, Callable[..., Any]], Callable[..., Any] | None] | None = None
    #: the fresh outputs that gradients read in eager, which must not be written to before
    read: tuple[int, ...] = field(init=False)
    #: whether a gradient gets to each of `wrt`
    reached: tuple[bool, ...] = field(init=False)
    #: gives and keeps backward graphs of earlier and for later processes (`stored.Routes`)
    kept: Any = None
    _routes: dict[tuple[int, ...], tuple[Callable[..., Any], tuple[int, ...]]] = field(default_factory=dict)
    _reads: dict[tuple[int, ...], tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from ..ir.passes.autodiff import joint  # here and below: a process that finds all on disk needs no passes
        from ..ir.passes.partition import partition

        joined = joint(self.graph, self.wrt, self.outputs)
        self.cut = partition(joined)
        self.reached = joined.reached
        self.read = read_outputs(joined, len(self.graph.nodes))
        targets = {w.target for w in self.graph.writes}
        self.written = [i for i, v in enumerate(self.graph.inputs) if v in targets]
        former = tuple(Output(self.cut.forward.inputs[i]) for i in self.written)
        self.forward = self.build(replace(self.cut.forward, outputs=(*self.cut.forward.outputs, *former)))

    @functools.cached_property
    def only_sized(self) -> frozenset[int]:
        """The inputs that the backward graph takes for their sizes alone: what is written to them does not matter."""
        graph = self.cut.backward
        read = {a for n in graph.nodes for a in n.args if isinstance(a, Value)} | {o.value for o in graph.outputs}
        return frozenset(i for i, v in zip(self.cut.saved_inputs, graph.inputs, strict=False) if v not in read)

    def read_for(self, used: tuple[int, ...]) -> tuple[int, ...]:
        """As `read`, for gradients of the outputs `used` alone."""
        found = self._reads.get(used)
        if found is None:
            from ..ir.passes.autodiff import joint

            whole = used == self.outputs or not self.read
            found = self.read if whole else read_outputs(joint(self.graph, self.wrt, used), len(self.graph.nodes))
            self._reads[used] = found
        return found

    def route(self, used: tuple[int, ...]) -> tuple[Callable[..., Any], tuple[int, ...]]:
        """The backward graph for gradients of the outputs `used`, as a function of Tensors and numbers that gives Tensors, and
        for which places in `wrt`. The inputs that no gradient gets to keep None, as in eager: zeros would go on into whatever
        made them, and become NaN where its slope is infinite."""
        found = self._routes.get(used)
        if found is None and self.kept is not None:
            made = self.kept.load(used)
            if made is not None:
                found = self._routes[used] = self._routed(*made[:2]), made[2]
        if found is None:
            found = self._routes[used] = self._made(used)
        return found

    @collector.paused()
    def _made(self, used: tuple[int, ...]) -> tuple[Callable[..., Any], tuple[int, ...]]:
        from ..ir.passes.absent import without
        from ..ir.passes.autodiff import joint
        from ..ir.passes.dce import dce

        graph = self.cut.backward
        first = len(graph.inputs) - len(self.outputs)
        absent = [first + k for k, i in enumerate(self.outputs) if i not in used]
        graph, given = without(graph, range(first, len(graph.inputs)), absent)
        reached = joint(self.graph, self.wrt, used).reached if absent else self.reached
        graph = replace(graph, outputs=tuple(o for o, k in zip(graph.outputs, given, strict=True) if reached[k]))
        executable, types = self.build(dce(graph)), tuple(v.type for v in graph.inputs)
        places = tuple(k for k in given if reached[k])
        if self.kept is not None:
            self.kept.save(used, executable, types, places)
        return self._routed(executable, types), places

    def _routed(self, executable: Any, types: Sequence[Any]) -> Callable[..., Any]:
        """A backward graph with inputs of these `types` as a function."""

        def through_arrays(*operands: Any) -> list[Any]:
            arrays = []
            for t, x in zip(types, operands, strict=True):
                strange = isinstance(t, TensorType) and t.is_contiguous and not x.meta.type.is_contiguous
                arrays.append(carried.carried(x.contiguous() if strange else x))
            return [carried.tensor_of(made) for made in executable.run(arrays)]

        native = self.native(self, executable, through_arrays) if self.native is not None else None
        return native or through_arrays

    def run(self, inputs: Sequence[Any], arrays: Sequence[Any]) -> tuple[list[Any], CompiledNode]:
        """Outputs (arrays, the graph's own only) and the node for those that are differentiated; the caller attaches it."""
        found = self.forward.run(arrays)
        count = len(self.graph.outputs)
        return found[:count], self.node(inputs, found[count:])

    def node(self, inputs: Sequence[Any], more: Sequence[Any]) -> CompiledNode:
        """The record of a call. `more`: what the forward graph gave beyond the original's outputs: the saved values, then what
        was in the inputs that it has written to."""
        kept = list(inputs)
        for i, former in zip(self.written, more[self.cut.saved :], strict=True):
            kept[i] = carried.tensor_of(carried.carried(former), inputs[i].meta.requires_grad)
        return CompiledNode(self, kept, list(more[: self.cut.saved]))


class Watched(Storage):
    """The memory of an output that eager would save. When it dies it says in `last` which version it had."""

    __slots__ = ("__weakref__", "last")

    def __init__(self, base: Any, last: list[int]) -> None:
        super().__init__(base)
        self.last = last

    def __del__(self) -> None:
        self.last.append(self.version)


class Watch:
    """Counts the writes to a fresh Tensor without keeping its memory."""

    __slots__ = ("last", "storage")

    def __init__(self, x: Tensor) -> None:
        self.last: list[int] = []
        made: Any = x._storage
        if x._array is None:
            from ..eager.gpu import watched

            made = x._storage = watched(made, self.last)
        else:
            made = x._storage = Watched(x._array, self.last)
        self.storage = weakref.ref(made)

    def version(self) -> int:
        """Number of writes so far, or ever."""
        storage = self.storage()
        return storage.version if storage is not None else self.last[0] if self.last else 0


class CompiledNode(tape.Node):
    """The tape's record of one call of a compiled graph."""

    __slots__ = ("inputs", "packed", "saved", "step", "versions", "watched")

    def __init__(self, step: Training, inputs: list[Any], saved: list[Any]) -> None:
        super().__init__()
        self.step = step
        self.inputs: list[Any] | None = inputs
        self.saved: list[Any] = saved
        self.versions = [version_of(x) if isinstance(x, Tensor) else 0 for x in inputs]
        self.watched: dict[int, Watch] = {}
        self.packed: dict[int, Any] = {}  # inputs that the user's hooks keep in another form
        if tape.packers:
            read = [i for i in step.cut.saved_inputs if isinstance(inputs[i], Tensor) and i not in step.only_sized]
            self.packed = {i: tape.keep(inputs[i]) for i in read}
            self.saved = [tape.keep(carried.tensor_of(x)) if hasattr(x, "shape") else x for x in saved]

    def name(self) -> str:
        return f"Compiled[{self.step.graph.name}]Backward0"

    def watch(self, outputs: Sequence[Any]) -> None:
        """Watch the outputs that eager would save. They are fresh: nobody has asked for their storage yet."""
        for i in self.step.read:
            self.watched[i] = Watch(outputs[i])

    def _check(self, used: tuple[int, ...]) -> None:
        """Raise where eager does: an output that its rules read was written to, though what was saved here is a copy."""
        for i in self.step.read_for(used):
            version = self.watched[i].version()
            if version:
                type = self.step.graph.outputs[i].value.type
                raise AutogradError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation: "
                    f"[{type}], output {i} of {self.name()}, is at version {version}; expected version 0 instead. "
                    "Clone the tensor before the in-place write, or write out of place."
                )

    def release(self) -> None:
        cut, inputs = self.step.cut, self.inputs or ()
        if cut.saved or any(isinstance(inputs[i], Tensor) for i in cut.saved_inputs if inputs):  # else eager keeps nothing, too
            self.inputs, self.saved, self.packed = None, [], {}

    def apply(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        if self.inputs is None:
            raise AutogradError(
                f"Trying to backward through the compiled graph {self.step.graph.name} a second time. Saved values are freed "
                "when you call .backward() or autograd.grad(). Specify retain_graph=True to backward through it a second time."
            )
        used = tuple([i for i, g in zip(self.step.outputs, grads, strict=True) if g is not None])
        if self.watched:
            self._check(used)
        if gradmode.get():
            return self._again(self.inputs, grads)
        operands = [self._unpacked(self.inputs, i) for i in self.step.cut.saved_inputs]
        saved = [x.unpack(self) if isinstance(x, tape.Packed) else x for x in self.saved]
        operands += [make(x) if isinstance(x, np.ndarray) else x for x in saved]
        operands += [self._tangent(g, t) for g, t in zip(grads, self.results, strict=True)]
        gradients, reached = self.step.route(used)
        out: list[Any] = [None] * len(self.inputs)
        for k, made in zip(reached, gradients(*operands), strict=True):
            out[self.step.wrt[k]] = made
        return tuple(out)

    def _unpacked(self, inputs: list[Any], index: int) -> Any:
        x = inputs[index]
        if not isinstance(x, Tensor):
            return x
        if index in self.packed:
            return self.packed[index].unpack(self)
        if written_since(x, self.versions[index]) and index not in self.step.only_sized:
            raise AutogradError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"[{x.meta.dtype!r} {list(x.meta.shape)}], input %{self.step.graph.inputs[index].name} of {self.name()}, is at "
                f"version {version_of(x)}; expected version {self.versions[index]} instead. Clone it before the in-place write."
            )
        return x

    def _tangent(self, g: Any, type: TensorType) -> Any:
        if g is None:
            return carried.zeros(type.shape, type.dtype, self.inputs or ())  # type: ignore[arg-type]
        if g.meta.type.is_contiguous and g.meta.shape == type.shape:
            return g
        if g._array is None:
            return g.contiguous().view(type.shape)
        return make(np.ascontiguousarray(g._array).reshape(type.shape))

    def _again(self, inputs: list[Any], grads: tuple[Any, ...]) -> tuple[Any, ...]:
        """Gradients that can themselves be differentiated."""
        for i in range(len(inputs)):
            self._unpacked(inputs, i)
        inputs = [apart(x) if isinstance(x, Tensor) and x.meta.requires_grad else x for x in inputs]
        made = replay(_without_writes(self.step.graph), inputs)
        pairs = [(made[i], g) for i, g in zip(self.step.outputs, grads, strict=True) if g is not None]
        wanted = [inputs[i] for i in self.step.wrt]
        found = autograd.grad(
            [m for m, _ in pairs], wanted, [g for _, g in pairs], create_graph=True, allow_unused=True
        )  # fmt: skip
        out: list[Any] = [None] * len(inputs)
        for i, g in zip(self.step.wrt, found, strict=True):
            out[i] = g
        return tuple(out)


class Same(tape.Node):
    """History of a tensor that is another one: the gradient as it is."""

    __slots__ = ()

    def apply(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        return grads


class Spent(tape.Node):
    """History of a tensor whose saved values a backward pass inside of the region has freed; `text`: the step it stands for."""

    __slots__ = ("text",)

    def __init__(self, text: str | None) -> None:
        super().__init__()
        self.text = text

    def name(self) -> str:
        return self.text or "Spent"

    def apply(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        raise tape.freed(self.name())


def spent(x: Tensor, name: str | None) -> Tensor:
    """A fresh Tensor with a history that nothing can go back through any more."""
    x.meta = x.meta.with_grad(True)
    node = x._node = Spent(name)
    node.results = (x.meta.type,)
    return x


def leaf(x: Tensor, name: None) -> Tensor:
    """A fresh Tensor as a leaf that requires grad."""
    x.meta = x.meta.with_grad(True)
    return x


def apart(x: Tensor) -> Tensor:
    """`x` as a tensor whose gradient holds nothing of what reaches `x` through others that were made of it: an input of a graph
    may be made of another input."""
    out = alias(x, True)
    node = Same()
    node.edges, node.results = (tape.edge_of(x),), (x.meta.type,)
    out._node = node
    return out


def _without_writes(graph: Graph) -> Graph:
    return Graph(graph.name, graph.inputs, graph.nodes, graph.outputs, (), graph.symbols)
