"""Backward passes inside of a region: `backward()` and `autograd.grad` add the gradient to the graph by the records' own rules.

A pass walks the nodes that are in the graph so far from the last to the first, as eager's walk over its tape does, calls the
hooks it meets and stores what arrives at leaves. `natives`' tables hold the models; `histories` what passes leave behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import knobs
from ..eager import autograd, casting, executor
from ..eager.batching import BatchStorage
from ..eager.tape import fitted, freed
from ..eager.tensor import Tensor
from ..errors import AutogradError
from ..ir.graph import Node, Value
from ..ir.op import lookup
from ..ir.ops.casts import detach
from ..ir.types import TensorType
from ..runtime import gradmode
from ..runtime.guard import Is, LengthIs
from ..runtime.source import Attr, Const
from . import checkpoints, functions  # noqa: F401  (the first one registers a model)
from .breaks import Break, Restart, UserRaise, ValueNeeded
from .histories import active, floating, reaching
from .special import models

if TYPE_CHECKING:
    from .session import Session


class Pass:
    """One backward pass. `targets`: the values whose gradients are wanted; None: those of all leaves."""

    def __init__(self, session: Session, create: bool, keep: bool, targets: list[Value] | None) -> None:
        self.session, self.create, self.keep, self.targets = session, create, keep, targets
        self.recorder = session.recorder
        self.histories = self.recorder.histories
        self.builder = self.recorder.builder
        self.gradients: dict[Value, Value] = {}
        self.found: dict[Value, Value] = {}

    def run(self, roots: Sequence[tuple[Value, Value]]) -> dict[Value, Value]:
        """Gradients by value, of the targets or of the leaves, from the (value, gradient) pairs at which the pass begins."""
        nodes = tuple(self.builder.nodes)
        leaves = self.histories.roots()
        live = active(nodes, leaves if self.targets is None else self.targets)
        ahead = reaching(nodes, live, [v for v, _ in roots])
        if self.targets is None and any(v in ahead and leaf is None for v, leaf in leaves.items()):
            raise Break("gradient-outside", "a backward pass that goes on into what was recorded before the region")
        for node in nodes:
            if node in self.histories.spent and any(r in ahead for r in node.results):
                raise self.session.thrown(freed(_name(node)))
        for value, g in roots:
            if value in live:
                self.add(value, g)
        ends = set(leaves) if self.targets is None else set(self.targets)
        for node in reversed(nodes):
            if any(r in self.gradients for r in node.results):
                self._arrive(node, ends)
                self._visit(node, live)
        for value in [v for v in self.gradients if v in ends and v not in self.found]:
            self.found[value] = self._hooked(value)
        return self.found

    def add(self, value: Value, g: Value) -> None:
        before = self.gradients.get(value)
        self.gradients[value] = g if before is None else self.emit("add", before, g)

    def emit(self, name: str, *operands: Any, **attrs: Any) -> Any:
        return self.recorder._emit(lookup(name), operands, attrs)

    def _arrive(self, node: Node, ends: set[Value]) -> None:
        """All gradients of what `node` made have come: its hooks run."""
        for value in node.results:
            if value in self.gradients and (value in self.histories.hooks or value in self.histories.retained):
                self.gradients[value] = self._hooked(value)
            if value in ends and value in self.gradients:
                self.found[value] = self.gradients[value]

    def _hooked(self, value: Value) -> Value:
        """The gradient of `value` as its hooks leave it."""
        g = self.gradients[value]
        hooks = [*self.histories.hooks.get(value, ({}, 0))[0].values()]
        leaf = self.histories.leaf_of(value)
        if leaf is not None:
            hooks += leaf_hooks(self.session, leaf)
        for hook in hooks:
            changed = self.session.call(hook, (self.tensor(g),))
            if changed is not None:
                g = _gradient(self.session, changed, value)
        kept = self.histories.retained.get(value)
        if kept is not None:
            old, new = kept[0]._grad, self.tensor(g)
            kept[0]._grad = new if old is None else self.recorder.apply(lookup("add"), (old, new), {})
        return g

    def _visit(self, node: Node, live: set[Value]) -> None:
        need = tuple(floating(a) and a in live for a in node.args)
        if node.op.grad is None or not any(need):
            return
        first = len(self.builder.nodes)
        if node in self.histories.calls:
            self._function(node, need)
            return
        single = len(node.results) == 1
        arrived = tuple(self.gradients.get(r) if floating(r) else None for r in node.results)
        out = node.results[0] if single else node.results
        self.builder.where = node.where
        with self.recorder.symbols.strictly():
            made = node.op.grad(arrived[0] if single else arrived, need, out, *node.args, **node.attrs)
        if not self.keep and self._reads(node, first):
            self.histories.spent.add(node)
        for operand, needed, g in zip(node.args, need, made, strict=True):
            if needed and g is not None:
                self.add(operand, self.fitted(g, operand.tensor_type))  # type: ignore[union-attr, arg-type]

    def _function(self, node: Node, need: Sequence[bool]) -> None:
        """A call of a user's autograd.Function: its `backward` is followed."""
        call = self.histories.calls[node]
        tensors = [self.tensor(self.gradients[r]) if r in self.gradients else None for r in node.results]
        made = call.backward(self.session, functions.arrived(self.session, call, node, tensors))
        if not self.keep and call.ctx._saved:
            self.histories.spent.add(node)
        for k, i in enumerate(call.places, call.count):
            g, operand = made[i], node.args[k]
            if need[k] and g is not None and isinstance(operand, Value):
                self.add(operand, self.fitted(self.recorder.value_of(self.recorder._twin(g)), operand.tensor_type))

    def _reads(self, node: Node, first: int) -> bool:
        """Whether the rule, whose nodes begin at number `first`, reads what `node` read or made by value."""
        own = {v for v in (*node.args, *node.results) if isinstance(v, Value) and isinstance(v.type, TensorType)}
        return any(a in own for n in self.builder.nodes[first:] for a in n.args if isinstance(a, Value))

    def fitted(self, g: Value, wanted: TensorType) -> Value:
        """Undo broadcasting and promotion."""
        if len(g.shape) != len(wanted.shape) or g.shape != wanted.shape:  # lengths first: sizes that are compared are guarded
            g = self.emit("sum_to", g, shape=wanted.shape)
        return g if g.dtype is wanted.dtype else self.emit("cast", g, dtype=wanted.dtype)

    # -- results ---------------------------------------------------------------------------------------------------

    def tensor(self, g: Value, like: TensorType | None = None) -> Any:
        """A gradient as a Tensor; with a history of its own only under create_graph. `like`: of what it is the gradient: where
        that is row-major, and it is not, it is laid out anew, so that what adds the two walks memory in order."""
        if any(isinstance(step, int) and step == 0 for step in g.tensor_type.strides):
            g = self.emit("clone", g)
        if like is not None and like.is_contiguous and not g.tensor_type.is_contiguous:
            g = self.emit("contiguous", g)
        tracked = self.create and g in self.histories.tracked()
        if not tracked:
            g = self.recorder.cut(g)
        return self.recorder.wrap(g, self.recorder.meta_of(g.tensor_type, tracked))


class MemberPass(Pass):
    """A backward pass of gradients that are members of a batch (`eager.batching`), through steps that are the same for all of
    them: the rules run on Tensors, whose ops know the batch. `gradients` holds Tensors."""

    def add(self, value: Value, g: Any) -> None:
        before: Any = self.gradients.get(value)
        self.gradients[value] = g if before is None else executor.apply(lookup("add"), (before, g), {})

    def _visit(self, node: Node, live: set[Value]) -> None:
        need = tuple(floating(a) and a in live for a in node.args)
        if node.op.grad is None or not any(need):
            return
        if node in self.histories.calls:
            raise Break("tensor-state", "a batch of gradients through a call of an autograd.Function")
        single = len(node.results) == 1
        arrived = tuple(self.gradients.get(r) for r in node.results)
        ins, outs = [self._whole(a) for a in node.args], tuple([self._whole(r) for r in node.results])
        made = node.op.grad(
            arrived[0] if single else arrived, need, outs[0] if single else outs, *ins, **node.attrs  # type: ignore[misc]
        )
        for operand, needed, g in zip(node.args, need, made, strict=True):
            if needed and g is not None:
                self.add(operand, fitted(g, operand.tensor_type))  # type: ignore[union-attr, arg-type]

    def _whole(self, x: Any) -> Any:
        """A value of the graph as a Tensor."""
        if not isinstance(x, Value) or not isinstance(x.type, TensorType):
            return x
        return self.recorder.wrap(x, self.recorder.meta_of(x.tensor_type, self.create and x in self.histories.tracked()))

    def _hooked(self, value: Value) -> Any:
        if value in self.histories.hooks or value in self.histories.retained:
            raise Break("tensor-state", "a batch of gradients at a tensor with hooks")
        return self.gradients[value]

    def tensor(self, g: Any, like: TensorType | None = None) -> Any:
        return g if self.create else executor.apply(detach, (g,), {})


def _is_member(x: Any) -> bool:
    return isinstance(x, Tensor) and type(x._storage) is BatchStorage


def _name(node: Node) -> str:
    return "".join(part.capitalize() for part in node.op.name.split("_")) + "Backward0"


# -- the calls -------------------------------------------------------------------------------------------------------------


def _walk(
    s: Session, roots: list[tuple[Any, Any]], targets: list[Any] | None, retain: Any, create: Any
) -> tuple[Pass, dict[Value, Value]]:
    """Run a pass from (Tensor, gradient) pairs under the gradient mode that it asks for."""
    create = s.operators.truth(create)
    keep = create if retain is None else s.operators.truth(retain)
    values = None if targets is None else [s.recorder.value_of(t) for t in targets]
    batched = any(_is_member(g) for _, g in roots)
    made = (MemberPass if batched else Pass)(s, create, keep, values)
    before, casts = gradmode.get(), casting.suspend()
    gradmode.set(create)
    try:
        begun = [(s.recorder.value_of(t), g if _is_member(g) else _root(s, t, g)) for t, g in roots]
        if batched:
            begun = [(v, made._whole(g) if isinstance(g, Value) else g) for v, g in begun]  # type: ignore[attr-defined]
        return made, made.run(begun)
    finally:
        gradmode.set(before)
        casting.switch(casts)
        s.recorder.builder.where = None


def _whole(s: Session, depth: int, run: Any) -> Any:
    """`run()`, in which the graph either does not break or breaks before the call: half a pass cannot be handed over."""
    number = s.frames[-1].unit_number
    try:
        return run()
    except (UserRaise, Restart):
        raise
    except (Break, ValueNeeded) as stop:
        broken = stop if isinstance(stop, Break) else stop.as_break()
        if len(s.frames) == depth:
            raise Restart(number, broken.code, broken.what) from None
        raise broken from None
    except Exception as error:  # as `Frame` does, but before the call
        if knobs.verify:
            raise
        raise Restart(number, "tracer-error", f"{type(error).__name__} in the tracer: {error}") from error


def _root(s: Session, out: Any, g: Any) -> Value:
    if not out.meta.requires_grad:
        raise s.thrown(AutogradError("element 0 of tensors does not require grad and does not have a grad_fn"))
    if g is None:
        if out.numel() != 1:
            text = f"grad can be implicitly created only for scalar outputs, not for shape {list(out.shape)}"
            raise s.thrown(AutogradError(text))
        if out.meta.dtype.kind == "c":
            raise s.thrown(AutogradError(f"grad can be implicitly created only for real scalar outputs but got {out.dtype}"))
        ones: Value = s.recorder._emit(lookup("full"), (1.0,), {"shape": out.meta.shape, "dtype": out.meta.dtype})
        return ones
    return _gradient(s, g, s.recorder.value_of(out))


def _gradient(s: Session, g: Any, of: Value) -> Value:
    if not isinstance(g, Tensor):
        raise Break("tensor-state", "a gradient that is no Tensor")
    found = s.recorder.value_of(s.recorder._twin(g))
    if found.shape != of.shape:
        text = f"Mismatch in shape: the gradient has shape {list(found.shape)} and the output {list(of.shape)}"
        raise s.thrown(AutogradError(text))
    return found


def _several(s: Session, x: Any) -> list[Any]:
    found = list(s.operators.items(x)) if isinstance(x, (tuple, list)) else [x]
    return [s.recorder._twin(t) if isinstance(t, Tensor) and not _is_member(t) else t for t in found]


def _pairs(s: Session, outputs: list[Any], grads: Any) -> list[tuple[Any, Any]]:
    given = [None] * len(outputs) if grads is None else _several(s, grads)
    if len(given) != len(outputs):
        raise s.thrown(AutogradError(f"got {len(outputs)} tensors and {len(given)} gradients"))
    return list(zip(outputs, given, strict=True))


@models(autograd.backward)
def _backward(
    s: Session, tensors: Any, grad_tensors: Any = None, retain_graph: Any = None, create_graph: Any = False, inputs: Any = None
) -> None:
    pairs = _pairs(s, _several(s, tensors), grad_tensors)
    targets = None if inputs is None else _several(s, inputs)

    def run() -> None:
        made, found = _walk(s, pairs, targets, retain_graph, create_graph)
        by_tensor: dict[int, tuple[Any, Value]] = {}
        for value, g in found.items():
            leaf = s.recorder.histories.leaf_of(value) if targets is None else None
            for t in [leaf] if targets is None else [t for t in targets if s.recorder.value_of(t) is value]:
                before = by_tensor.get(id(t))
                by_tensor[id(t)] = t, g if before is None else made.emit("add", before[1], g)
        for t, g in by_tensor.values():
            _accumulate(s, made, t, g)
            for hook in leaf_hooks(s, t, autograd._post_hooks, "post_hooks"):
                s.call(hook, (t,))

    _whole(s, len(s.frames), run)


@models(Tensor.backward)
def _tensor_backward(
    s: Session, self: Any, gradient: Any = None, retain_graph: Any = None, create_graph: Any = False, inputs: Any = None
) -> None:
    _backward(s, (self,), (gradient,), retain_graph, create_graph, inputs)


@models(autograd.grad)
def _grad(
    s: Session, outputs: Any, inputs: Any, grad_outputs: Any = None, retain_graph: Any = None, create_graph: Any = False,
    only_inputs: Any = True, allow_unused: Any = None, is_grads_batched: Any = False, materialize_grads: Any = False,
) -> tuple[Any, ...]:  # fmt: skip
    if s.operators.truth(is_grads_batched):
        options = retain_graph, create_graph, allow_unused, materialize_grads
        return s.call(autograd.grad_of_batch, (outputs, inputs, grad_outputs, *options))  # type: ignore[no-any-return]
    pairs, targets = _pairs(s, _several(s, outputs), grad_outputs), _several(s, inputs)
    if not all(t.meta.requires_grad for t in targets):
        raise s.thrown(AutogradError("One of the differentiated Tensors does not require grad"))

    def run() -> tuple[Any, ...]:
        made, found = _walk(s, pairs, targets, retain_graph, create_graph)
        return tuple([_result(s, made, found, (i, t), allow_unused, materialize_grads) for i, t in enumerate(targets)])

    return _whole(s, len(s.frames), run)  # type: ignore[no-any-return]


def _result(s: Session, made: Pass, found: dict[Value, Value], at: tuple[int, Any], allow_unused: Any, materialize: Any) -> Any:
    i, t = at
    g = found.get(s.recorder.value_of(t))
    if g is not None:
        return made.tensor(g, t.meta.type)
    if s.operators.truth(materialize):
        return s.recorder.constant(0.0, t.meta.with_grad(False))
    if not s.operators.truth(allow_unused):
        raise s.thrown(AutogradError(
            f"The differentiated Tensor at index {i} appears to not have been used in the graph. "
            "Set allow_unused=True if this is the desired behavior."
        ))  # fmt: skip
    return None


def _accumulate(s: Session, made: Pass, leaf: Any, g: Value) -> None:
    """Add `g` to the leaf's gradient, in place where there is one, as eager does."""
    source = s.outside.source_of(leaf)
    if source is not None:
        s.outside.guard(Is(Attr(source, "_node"), s.recorder.input_of(leaf).real._node))  # type: ignore[union-attr]
    old, new = s.attributes.load(leaf, "grad"), made.tensor(g, leaf.meta.type)
    before = gradmode.get()
    gradmode.set(made.create)
    try:
        if old is not None:
            new = s.recorder.apply(lookup("add"), (old, new), {})
        if old is None or made.create:
            s.attributes.store(leaf, "grad", new)
        else:
            s.recorder.write(old, new)
    finally:
        gradmode.set(before)


# -- hooks and leaves ------------------------------------------------------------------------------------------------------


def leaf_hooks(s: Session, leaf: Any, kept: Any = autograd._leaf_hooks, kind: str = "leaf_hooks") -> list[Any]:
    """The hooks of a leaf in their order: those it came with, then the region's own."""
    made = s.recorder.histories.leaf_hooks.get(id(leaf)) if kind == "leaf_hooks" else None
    own = list(made[1].values()) if made is not None else []
    source = s.outside.source_of(leaf)
    if source is None:
        return own
    if not kept._by_id:
        s.outside.guard(LengthIs(Attr(Const(kept, kind), "_by_id"), 0))
        return own
    real = s.recorder.input_of(leaf).real  # type: ignore[union-attr]
    name = "_backward_hooks" if kind == "leaf_hooks" else "_post_accumulate_grad_hooks"
    found = s.outside.admit(getattr(real, name), Attr(source, name))
    if found is not None:
        s.outside.open(found)
    return [*(found or {}).values(), *own]


@models(Tensor.register_hook, autograd.register_hook)
def _register_hook(s: Session, self: Any, hook: Any) -> Any:
    histories = s.recorder.histories
    if not self.meta.requires_grad:
        raise s.thrown(AutogradError("cannot register a hook on a tensor that doesn't require gradient"))
    value = s.recorder.value_of(self)
    found: Any
    if histories.leaf_of(value) is not None:
        found = histories.leaf_hooks.setdefault(id(self), (self, {}, histories.unit()))
    elif value in histories.roots():
        raise Break("tensor-state", "a hook on a tensor whose history was recorded before the region")
    else:
        found = histories.hooks.setdefault(value, ({}, histories.unit()))
    handle = autograd.RemovableHandle(found[-2])
    handle.hooks[handle.id] = hook
    return handle


@models(Tensor.register_post_accumulate_grad_hook, autograd.register_post_accumulate_grad_hook)
def _register_post_hook(s: Session, self: Any, hook: Any) -> Any:
    raise Break("tensor-state", "a hook behind the accumulation of a gradient, registered inside of the region")


@models(autograd.RemovableHandle.remove)
def _remove(s: Session, self: Any) -> None:
    if s.outside.source_of(self) is not None:
        raise Break("tensor-state", "the removal of a hook that was registered outside of the region")
    self.hooks.pop(self.id, None)


@models(Tensor.retain_grad, autograd.retain_grad)
def _retain_grad(s: Session, self: Any) -> None:
    histories = s.recorder.histories
    if not self.meta.requires_grad:
        raise s.thrown(AutogradError("can't retain_grad on Tensor that has requires_grad=False"))
    value = s.recorder.value_of(self)
    if histories.leaf_of(value) is not None:
        return
    if value in histories.roots():
        raise Break("tensor-state", "retain_grad() of a tensor whose history was recorded before the region")
    histories.retained[value] = self, histories.unit()


@models(Tensor.requires_grad_)
def _requires_grad(s: Session, self: Any, requires_grad: Any = True) -> Any:
    set_requires_grad(s, self, requires_grad)
    return self


def set_requires_grad(s: Session, tensor: Any, requires_grad: Any) -> None:
    """``tensor.requires_grad = requires_grad``."""
    wanted = s.operators.truth(requires_grad)
    if wanted is tensor.meta.requires_grad:
        return
    if s.outside.source_of(tensor) is not None:
        raise Break("tensor-state", "a change of requires_grad of a tensor from outside")
    s.native(setattr, tensor, "requires_grad", wanted)


@models(Tensor.detach_)
def _detach(s: Session, self: Any) -> Any:
    if self.meta.requires_grad:
        if s.outside.source_of(self) is not None:
            raise Break("tensor-state", "detach_() of a tensor from outside that requires grad")
        if len(s.recorder._on(self._storage)) > 1 or s.recorder.seen[id(self)].chain:
            raise Break("tensor-state", "detach_() of a tensor that shares its memory with views")
        self._storage.value = s.recorder.histories.forget(self)
        self.meta = self.meta.with_grad(False)
    return self
