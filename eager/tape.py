"""What is recorded while gradients are on: one Node per op call, with the few values its gradient rule reads.

The walk over these nodes is in `autograd.py`; nothing here computes a gradient at recording time.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Union

from ..errors import AutogradError
from ..ir.op import Op
from ..ir.ops.casts import cast
from ..ir.ops.creation import zeros_like
from ..ir.ops.reductions import sum_to
from ..ir.types import TensorType
from ..runtime import gradmode
from . import hot
from .factory import alias, make, storage_of, version_of, written_since

if TYPE_CHECKING:
    from .tensor import Tensor

_sequence = itertools.count(1)

Edge = Union["Node", "Tensor", None]


class Node:
    """One step of a tape. A subclass gives `apply`; `attach` ties it between the tensors it read and those it made.

    `edges`: where the gradient of each input goes: the node that made it, the leaf Tensor itself, or None.
    `results`: (shape, dtype) of each output. Nodes are walked from the latest `order` to the earliest.
    """

    __slots__ = ("__weakref__", "edges", "extra", "hooks", "order", "results", "retained")

    edges: tuple[Edge, ...]
    results: tuple[TensorType, ...]

    def __init__(self) -> None:
        self.order = next(_sequence)
        self.edges = ()
        self.results = ()
        self.hooks: dict[int, Callable[[Tensor], Tensor | None]] | None = None
        self.retained: list[weakref.ref[Tensor]] | None = None
        self.extra: dict[str, Any] | None = {"forward": _stack()} if watching else None

    def apply(self, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        """Gradients of the inputs from those of the outputs (None: no gradient arrived, or none is to be sent)."""
        raise NotImplementedError

    def release(self) -> None:
        """Forget saved values; called after a backward pass that does not retain the graph."""

    def name(self) -> str:
        """What error messages and ``repr(tensor)`` call this step."""
        return type(self).__name__

    def attach(self, outputs: Sequence[Tensor], inputs: Sequence[Any], constant: Sequence[Tensor] = ()) -> None:
        """Make this node the origin of `outputs` (fresh Tensors) as functions of `inputs` (others than Tensors: ignored);
        those of `outputs` that are among `constant` get no gradient."""
        self.edges = tuple([edge_of(x) for x in inputs])
        self.order = next(_sequence)  # behind what the edges lead to: asking for them may have recorded views again
        self.results = tuple([t.meta.type for t in outputs])
        for i, out in enumerate(outputs):
            if any(out is c for c in constant):
                continue
            if not out.meta.requires_grad and out.meta.dtype.is_inexact:
                out.meta = out.meta.with_grad(True)
            if out.meta.requires_grad:
                out._node = self if len(outputs) == 1 else Pick(self, i)

    @property
    def next_functions(self) -> tuple[Any, ...]:
        """PyTorch's view of `edges`: pairs of a node (`AccumulateGrad` for a leaf, None for no gradient) and an output number."""
        return tuple([_next(e) for e in self.edges])

    @property
    def metadata(self) -> dict[str, Any]:
        """A dict of the user's own, kept with the node."""
        return self.among("metadata")

    def among(self, kind: str) -> dict[Any, Any]:
        """The dict of this `kind` that the node carries, made at first need."""
        if self.extra is None:
            self.extra = {}
        found: dict[Any, Any] = self.extra.setdefault(kind, {})
        return found

    def register_hook(self, fn: Callable[[Any, Any], Any]) -> Any:
        """Call ``fn(grad_inputs, grad_outputs)`` after this node's gradient is computed; a tuple that it returns replaces
        `grad_inputs`. Returns a removable handle."""
        from .autograd import added

        return added(self.among("hooks"), fn)

    def register_prehook(self, fn: Callable[[Any], Any]) -> Any:
        """Call ``fn(grad_outputs)`` before this node's gradient is computed; a tuple that it returns replaces `grad_outputs`.
        Returns a removable handle."""
        from .autograd import added

        return added(self.among("prehooks"), fn)

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"


class Pick(Node):
    """Output number `index` of a node with several outputs."""

    __slots__ = ("index", "parent")

    def __init__(self, parent: Node, index: int) -> None:
        super().__init__()
        self.parent, self.index = parent, index
        self.edges = (parent,)
        self.results = (parent.results[index],)

    def name(self) -> str:
        return self.parent.name()


class AccumulateGrad(Node):
    """What `next_functions` names where a gradient ends in the `grad` of the leaf `variable`. On no tape."""

    __slots__ = ("variable",)

    def __init__(self, variable: Tensor) -> None:
        self.variable = variable
        self.edges, self.results, self.extra = (), (variable.meta.type,), None

    def name(self) -> str:
        """The name of every such end."""
        return "torch::autograd::AccumulateGrad"

    def register_hook(self, fn: Callable[[Any, Any], Any]) -> Any:
        """Call ``fn((), (gradient,))`` when the leaf's `grad` has been added to. Returns a removable handle."""
        from .autograd import added, end_hooks

        return added(end_hooks.make(self.variable), fn)

    def register_prehook(self, fn: Callable[[Any], Any]) -> Any:
        """Call ``fn((gradient,))`` before it is added. Returns a removable handle."""

        def hook(g: Tensor) -> Any:
            changed = fn((g,))
            return changed[0] if isinstance(changed, tuple) else changed

        return self.variable.register_hook(hook)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccumulateGrad) and other.variable is self.variable

    def __hash__(self) -> int:
        return id(self.variable)

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {id(self.variable):#x}>"


def _next(edge: Edge) -> tuple[Any, int]:
    if isinstance(edge, Pick):
        return edge.parent, edge.index
    return (edge if edge is None or isinstance(edge, Node) else AccumulateGrad(edge)), 0


watching = False  # anomaly mode: nodes keep the lines of the call that made them


def watch(on: bool) -> None:
    """Switch the keeping of forward lines on or off."""
    global watching
    watching = on


def _stack() -> list[Any]:
    """The frames above the library's own, outermost first."""
    import traceback

    own = __file__.rpartition("eager")[0]
    return [f for f in traceback.extract_stack() if not f.filename.startswith(own + "eager")]


class Saved:
    """A value kept for the backward pass, with the version it had."""

    __slots__ = ("array", "tensor", "version")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.array = tensor._array
        self.version = version_of(tensor)

    def unpack(self, owner: Node) -> Tensor:
        """The value as it was; AutogradError if it was written to since."""
        x = self.tensor
        now = version_of(x)
        if x._array is not self.array:  # .data was replaced: the memory that was read is still the old one
            old = make(self.array, x.meta.requires_grad)  # type: ignore[arg-type]
            old._node = x._node
            return old
        if now != self.version and written_since(x, self.version):
            raise AutogradError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"[{x.meta.dtype!r} {list(x.meta.shape)}], saved by {owner.name()}, is at version {now}; expected version "
                f"{self.version} instead. Clone the tensor before the in-place write, or write out of place."
            )
        return x


packers: list[Any] = []  # pairs of functions: `autograd.graph.saved_tensors_hooks`


def keep(x: Tensor) -> Any:
    """`x` kept for the backward pass, by the hooks where some are set."""
    return Packed(x, *packers[-1]) if packers else Saved(x)


class Packed:
    """A value kept for the backward pass as the user's `pack` made it."""

    __slots__ = ("kept", "node", "requires_grad", "unpacker")

    def __init__(self, tensor: Tensor, pack: Callable[[Tensor], Any], unpack: Callable[[Any], Tensor]) -> None:
        self.node, self.requires_grad = edge_of(tensor), tensor.meta.requires_grad
        before, version = gradmode.get(), version_of(tensor)
        gradmode.set(False)
        try:
            self.kept = pack(alias(tensor))
        finally:
            gradmode.set(before)
        if version_of(tensor) != version:
            raise AutogradError(
                "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook can not be "
                "modified by in-place operations as this can lead to unexpected side-effects."
            )
        self.unpacker = unpack

    def unpack(self, owner: Node) -> Tensor:
        """What the user's `unpack` gives back, with the history of the value that was packed."""
        found = self.unpacker(self.kept)
        if not hasattr(found, "meta"):
            raise TypeError(f"the unpack hook gave a {type(found).__name__} for a tensor saved by {owner.name()}")
        if self.node is None or found.meta.requires_grad:
            return found
        if not isinstance(self.node, Node):
            return self.node if self.node._array is found._array else _Tied.to(found, self.node)
        out = alias(found, True)
        out._node = self.node
        return out


class _Tied(Node):
    """A value whose gradient goes to the leaf that was packed."""

    @staticmethod
    def to(x: Tensor, leaf: Tensor) -> Tensor:
        out = alias(x)
        _Tied().attach([out], [leaf])
        return out

    def apply(self, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        return grads


_KEPT = frozenset((Saved, Packed))


class Unsaved:
    """Stands for an operand whose gradient rule reads only its shape and dtype."""

    __slots__ = ("type",)

    def __init__(self, type: TensorType) -> None:
        self.type = type

    shape = property(lambda self: self.type.shape)
    dtype = property(lambda self: self.type.dtype)
    ndim = property(lambda self: len(self.type.shape))
    tensor_type = property(lambda self: self.type)

    def __apply_op__(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """A rule makes constants beside an operand without reading it (`ir.ops.creation.made_by`), and may compute on one what no
        gradient follows from: on zeros here."""
        from .executor import apply

        return apply(op, tuple([zeros_like(x) if isinstance(x, Unsaved) else x for x in operands]), attrs)


class OpNode(Node):
    """The tape's record of one op call. `saved`: Saved, Unsaved, or the plain number; operands first, then results."""

    __slots__ = ("attrs", "base", "count", "op", "plan", "saved", "types", "version")

    def __init__(self, op: Op, attrs: dict[str, Any], count: int) -> None:
        self.order = next(_sequence)  # as Node's own, a frame less for each op that is recorded
        self.edges = self.results = ()
        self.hooks = self.retained = None
        self.extra = {"forward": _stack()} if watching else None
        self.op, self.attrs, self.count = op, attrs, count
        self.saved: tuple[Any, ...] | None = None
        self.types: tuple[Any, ...] = ()
        self.base: Tensor | None = None  # of a view: what it is a view of
        self.plan: Any = None  # `plans.Plan`: what is known of this kind of call
        self.version = 0

    def name(self) -> str:
        return "".join(part.capitalize() for part in self.op.name.split("_")) + "Backward0"

    def __getattr__(self, name: str) -> Any:
        # PyTorch's names of saved values: `_saved_self`, `_saved_other`, `_saved_result`, and the same with `_raw`.
        place = {"_saved_self": 0, "_saved_other": 1, "_saved_result": -1}.get(name.removeprefix("_raw"))
        if place is None:
            raise AttributeError(f"'{self.name()}' object has no attribute {name!r}")
        if self.saved is None:
            raise freed(self.name())
        if name.startswith("_raw"):
            return SavedTensor(self, place % len(self.saved))
        found = self.saved[place]
        if type(found) is Unsaved:
            raise AttributeError(f"{self.name()} keeps only the shape of what {name} names: its gradient does not read it")
        return found.unpack(self) if hasattr(found, "unpack") else found

    def release(self) -> None:
        for s in self.saved or ():
            if type(s) in _KEPT:
                self.saved = None
                return

    def apply(self, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        if self.saved is None:
            raise freed(self.name())
        if self.plan is not None and not gradmode.get():
            ready: tuple[Tensor | None, ...] | None = hot.rule(self, self.plan, grads[0])
            if ready is not None:
                return ready
        values = [s.unpack(self) if type(s) in _KEPT else s for s in self.saved]
        outs = values[self.count :]
        if gradmode.get():
            outs = [self._as_result(x, i) if not isinstance(x, Unsaved) else x for i, x in enumerate(outs)]
        need = tuple([e is not None for e in self.edges])
        if self.op.heavy and not gradmode.get():
            found = hot.gradients(self, grads, need, tuple(values[: self.count]), outs)
            if found is not None:
                return tuple([None if g is None else make(g) for g in found])
        single = len(outs) == 1
        made = self.op.grad(grads[0] if single else grads, need, outs[0] if single else tuple(outs),
                            *values[: self.count], **self.attrs)  # type: ignore[misc]
        return tuple([fitted(g, t) if g is not None and n else None for g, t, n in zip(made, self.types, need, strict=True)])

    def _as_result(self, saved: Tensor, index: int) -> Tensor:
        """The saved result tied to this node again, so that its own gradient can be taken (it is saved without history,
        because a node that holds its result holds itself)."""
        out = alias(saved, True)
        out._node = self if len(self.results) == 1 else Pick(self, index)
        return out


class SavedTensor:
    """One of the values that a step has saved, before it is unpacked."""

    def __init__(self, node: OpNode, place: int) -> None:
        self.node, self.place = node, place

    def register_hooks(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        """Keep what `pack_hook` gives in place of the value. AutogradError where something does that already, or it is freed."""
        if self.node.saved is None:
            raise freed(self.node.name())
        saved = list(self.node.saved)
        found = saved[self.place]
        if type(found) is not Saved:
            raise AutogradError("Setting hooks on a saved tensor whose hooks have already been set is not allowed.")
        saved[self.place] = Packed(found.unpack(self.node), pack_hook, unpack_hook)
        self.node.saved = tuple(saved)


def freed(name: str) -> AutogradError:
    """What a walk through a node whose saved values are gone raises."""
    return AutogradError(
        "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
        "been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). "
        f"Specify retain_graph=True if you need to backward through the graph a second time. ({name})"
    )


def fitted(g: Tensor, wanted: TensorType) -> Tensor:
    """Undo broadcasting and rounding: `g` summed down to the wanted shape and cast to the wanted dtype."""
    if g.meta.shape != wanted.shape:
        g = sum_to(g, shape=wanted.shape)
    return g if g.meta.dtype is wanted.dtype else cast(g, dtype=wanted.dtype)


def edge_of(x: Any) -> Edge:
    """Where a gradient for `x` goes."""
    meta = getattr(x, "meta", None)
    if meta is None or not meta.requires_grad:
        return None
    node = x._node
    if type(node) is OpNode and node.base is not None and node.version != version_of(node.base):
        from .inplace import refresh_view

        refresh_view(x)
        node = x._node
    return node if node is not None else x if x.meta.requires_grad else None


def record(op: Op, operands: tuple[Any, ...], attrs: dict[str, Any], results: tuple[Tensor, ...]) -> None:
    """Put a call whose `results` are fresh Tensors that require grad on the tape."""
    edges = tuple([edge_of(x) for x in operands])  # first: it may record views again, which must come before their reader
    node = OpNode(op, attrs, len(operands))
    node.edges = edges
    node.types = tuple([x.meta.type if hasattr(x, "meta") else None for x in operands])
    node.results = tuple([r.meta.type for r in results])
    read = read_by_rule(op, attrs, operands, node)
    saved: list[Any] = []
    for i, x in enumerate(operands):
        saved.append(x if node.types[i] is None else keep(x) if i in read else Unsaved(node.types[i]))
    for i, r in enumerate(results, len(operands)):
        saved.append(keep(alias(r)) if i in read else Unsaved(r.meta.type))
    node.saved = tuple(saved)
    for i, r in enumerate(results):
        if r.meta.requires_grad:
            r._node = node if len(results) == 1 else Pick(node, i)
    if op.effects.aliases is not None and results[0]._storage is not None:
        node.base = operands[op.effects.aliases]
        node.version = storage_of(node.base).version


_READ: dict[Any, frozenset[int]] = {}
_LIMIT = 4096


def read_by_rule(op: Op, attrs: dict[str, Any], operands: tuple[Any, ...], node: OpNode) -> frozenset[int]:
    """Numbers of the operands, then results, that the gradient rule reads by value."""
    need = tuple([e is not None for e in node.edges])
    kinds = tuple([_class_of(t) if t is not None else type(x) for t, x in zip(node.types, operands, strict=True)])
    try:
        key = op, need, kinds, tuple(attrs.items())
        found = _READ.get(key)
    except TypeError:  # an attribute that does not hash
        return _find_reads(op, attrs, operands, node, need)
    if found is None:
        if len(_READ) > _LIMIT:
            _READ.clear()
        found = _READ[key] = _find_reads(op, attrs, operands, node, need)
    return found


def _class_of(type: Any) -> Any:
    """What of a type decides which operands a rule reads: the rank, sizes where some are 0 or 1, whether it is complex."""
    shape = type.shape
    kind = shape if 0 in shape or 1 in shape else len(shape)
    return (kind, "c") if type.dtype.kind == "c" else kind


def _find_reads(
    op: Op, attrs: dict[str, Any], operands: tuple[Any, ...], node: OpNode, need: tuple[bool, ...]
) -> frozenset[int]:
    """Run the rule on graph Values and see which of them its results depend on."""
    from ..ir.graph import Builder, Value  # not at import: 4% of the time that importing fusewire may take

    builder = Builder("rule")
    grads = tuple(builder.input(t) for t in node.results)
    ins = [builder.input(t) if t is not None else x for t, x in zip(node.types, operands, strict=True)]
    outs = [builder.input(t) for t in node.results]
    single = len(outs) == 1
    made = op.grad(grads[0] if single else grads, need, outs[0] if single else tuple(outs), *ins, **attrs)  # type: ignore[misc]
    live = {v for v in made if isinstance(v, Value)}
    for step in reversed(builder.nodes):
        if any(r in live for r in step.results):
            live.update(a for a in step.args if isinstance(a, Value))
    return frozenset(i for i, v in enumerate([*ins, *outs]) if isinstance(v, Value) and v in live)
