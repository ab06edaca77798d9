"""Walks the tape backwards. Iterative; rules run under the gradient mode that `create_graph` asks for."""

from __future__ import annotations

import heapq
import importlib
import itertools
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import AutogradError
from ..ir.ops.casts import clone, detach
from ..ir.ops.creation import filled
from ..ir.ops.pointwise import add
from ..runtime import gradmode
from . import casting, executor
from .custom import Function
from .edges import GradientEdge, place_of
from .factory import make
from .modes import enable_grad, inference_mode, no_grad, set_grad_enabled
from .tape import Edge, Node, Pick

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["Function", "Node", "backward", "enable_grad", "grad", "inference_mode", "no_grad", "set_grad_enabled"]

Hook = Callable[["Tensor"], "Tensor | None"]


class _LeafHooks:
    """Hooks of leaf tensors, which have no node to keep them; forgotten with the tensor."""

    def __init__(self) -> None:
        self._by_id: dict[int, tuple[weakref.ref[Any], dict[int, Hook]]] = {}

    def of(self, x: Tensor) -> dict[int, Hook] | None:
        entry = self._by_id.get(id(x))
        return entry[1] if entry is not None and entry[0]() is x else None

    def make(self, x: Tensor) -> dict[int, Hook]:
        key = id(x)
        hooks = self.of(x)
        if hooks is None:
            hooks = {}
            self._by_id[key] = weakref.ref(x, lambda _: self._by_id.pop(key, None)), hooks
        return hooks


_leaf_hooks = _LeafHooks()
_post_hooks = _LeafHooks()  # called behind accumulation
end_hooks = _LeafHooks()  # of `tape.AccumulateGrad`: those that are told what was added
_handles = itertools.count()


class RemovableHandle:
    """What registering a hook returns; `remove` takes it away again."""

    def __init__(self, hooks: dict[int, Any]) -> None:
        self.hooks = hooks
        self.id = next(_handles)

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self.hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def added(hooks: dict[int, Any], hook: Any) -> RemovableHandle:
    """Enter `hook` last; its handle."""
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def register_post_accumulate_grad_hook(x: Tensor, hook: Callable[[Tensor], None]) -> RemovableHandle:
    """See Tensor.register_post_accumulate_grad_hook."""
    if not x.meta.requires_grad:
        raise AutogradError("cannot register a hook on a tensor that doesn't require gradient")
    if x._node is not None:
        raise AutogradError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    return added(_post_hooks.make(x), hook)


def register_hook(x: Tensor, hook: Hook) -> RemovableHandle:
    """See Tensor.register_hook."""
    if not x.meta.requires_grad:
        raise AutogradError("cannot register a hook on a tensor that doesn't require gradient")
    if x._node is None:
        hooks: dict[int, Hook] = _leaf_hooks.make(x)
    else:
        if x._node.hooks is None:
            x._node.hooks = {}
        hooks = x._node.hooks
    return added(hooks, hook)


def retain_grad(x: Tensor) -> None:
    """See Tensor.retain_grad."""
    if not x.meta.requires_grad:
        raise AutogradError("can't retain_grad on Tensor that has requires_grad=False")
    if x._node is not None and not any(ref() is x for ref in x._node.retained or ()):
        x._node.retained = [*(x._node.retained or ()), weakref.ref(x)]


def backward(
    tensors: Sequence[Tensor] | Tensor,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Accumulate the gradients of `tensors` into the `grad` of the leaves they came from (or of `inputs` alone)."""
    outputs = _several(tensors)
    targets = None if inputs is None else _several(inputs)
    if targets == ():
        raise AutogradError("'inputs' argument to backward() cannot be empty.")
    for x in targets or ():
        if place_of(x) is None:
            raise AutogradError("One of the differentiated Tensors does not require grad")
        if hasattr(x, "meta"):
            retain_grad(x)  # which is what fills the `grad` of one that is no leaf
    found = _walk(_roots(outputs, grad_tensors), targets, retain_graph, create_graph, accumulate=True)
    taken: set[int] = set()
    for x in targets or ():
        leaf: Any = place_of(x)
        if id(x) in found and not isinstance(leaf, Node):
            _accumulate(leaf, found[id(x)], create_graph, taken)
            _run_post_hooks(leaf, found[id(x)])


def grad(
    outputs: Sequence[Tensor] | Tensor,
    inputs: Sequence[Tensor] | Tensor,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """Gradients of `outputs` (summed) with respect to each of `inputs`; touches no `grad`. With `is_grads_batched` each of
    `grad_outputs` is a stack of gradients along its first dimension, and so are the results."""
    if is_grads_batched:
        return grad_of_batch(outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused, materialize_grads)
    if materialize_grads and allow_unused is False:
        raise ValueError("Expected allow_unused to be True or not passed when materialize_grads=True, but got: False.")
    outs, ins = _several(outputs), _several(inputs)
    if not ins:
        raise AutogradError("grad requires non-empty inputs.")
    for x in ins:
        if place_of(x) is None:
            raise AutogradError("One of the differentiated Tensors does not require grad")
    found = _walk(_roots(outs, grad_outputs), ins, retain_graph, create_graph, accumulate=False)
    result = []
    for i, x in enumerate(ins):
        g = found.get(id(x))
        if g is None and materialize_grads:
            g = filled(x, x.meta.shape, 0, x.meta.dtype)
        if g is None and not allow_unused:
            raise AutogradError(
                f"The differentiated Tensor at index {i} appears to not have been used in the graph. "
                "Set allow_unused=True if this is the desired behavior."
            )
        result.append(g)
    return tuple(result)


def grad_of_batch(outputs: Any, inputs: Any, grad_outputs: Any, *options: Any) -> tuple[Tensor | None, ...]:
    """`grad` for each member of a stack of gradients, which share one walk."""
    from .transforms import batched_grad

    return batched_grad(outputs, inputs, grad_outputs, *options)


def _several(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) and type(x) is not GradientEdge else (x,)


def _roots(outputs: tuple[Tensor, ...], grads: Any) -> list[tuple[Edge, Tensor]]:
    given = (None,) * len(outputs) if grads is None else _several(grads)
    if len(given) < len(outputs):
        raise AutogradError(f"got {len(outputs)} tensors and {len(given)} gradients")
    roots: list[tuple[Edge, Tensor]] = []
    for i, (out, g) in enumerate(zip(outputs, given, strict=False)):
        edge = place_of(out)
        if edge is None:
            raise AutogradError(f"element {i} of tensors does not require grad and does not have a grad_fn")
        of: Any = out.meta if hasattr(out, "meta") else edge.results[0] if isinstance(edge, Node) else edge.meta
        if g is None:
            g = _one(out, of)
        elif hasattr(out, "meta") and g.meta.device != out.meta.device:
            raise AutogradError(f"invalid gradient at index {i} - expected device {out.device} but got {g.device}")
        elif g.meta.shape != of.shape:
            raise AutogradError(
                f"Mismatch in shape: grad_output[{i}] has a shape of {g.shape} and output[{i}] has a shape of {of.shape}."
            )
        roots.append((edge, g))
    return roots


def _one(out: Any, of: Any) -> Any:
    """The gradient at a root for which none is given."""
    if any(n != 1 for n in of.shape):
        raise AutogradError(f"grad can be implicitly created only for scalar outputs, not for shape {list(of.shape)}")
    if of.dtype.is_complex:
        raise AutogradError(f"grad can be implicitly created only for real scalar outputs but got {of.dtype}")
    elsewhere = hasattr(out, "meta") and out._array is None
    return filled(out, of.shape, 1) if elsewhere else make(np.ones(of.shape, of.dtype.np))


class _Pass:
    """One backward pass: gradients that wait at nodes, by node and output, and nodes in the order to visit."""

    def __init__(self, wanted: set[int] | None, roots: Sequence[tuple[Edge, Tensor]] = ()) -> None:
        self.wanted, self.roots = wanted, roots
        self.reached: set[int] | None = None
        self.waiting: dict[int, list[Tensor | None]] = {}
        self.queue: list[tuple[int, Node]] = []
        self.leaves: dict[int, Tensor] = {}

    def will_reach(self, place: Edge) -> bool:
        """Whether a gradient comes to a node or leaf in this pass."""
        if self.wanted is not None:
            return id(place) in self.wanted
        if self.reached is None:
            self.reached = set(_below([r for r, _ in self.roots]))
        return id(place) in self.reached

    def send(self, target: Edge, g: Tensor, index: int = 0) -> None:
        """Add `g` to what waits at output `index` of a node, or at a leaf."""
        if target is None or (self.wanted is not None and id(target) not in self.wanted):
            return
        key = id(target)
        slots = self.waiting.get(key)
        if slots is None:
            if isinstance(target, Node):
                heapq.heappush(self.queue, (-target.order, target))
                count = len(target.results)
            else:
                self.leaves[key] = target
                count = 1
            slots = self.waiting[key] = [g] if count < 2 else [None] * count
            slots[index] = g
            return
        have = slots[index]
        slots[index] = g if have is None else executor.apply(add, (have, g), {})


def _walk(
    roots: list[tuple[Edge, Tensor]], targets: tuple[Any, ...] | None, retain: bool | None, create: bool, accumulate: bool
) -> dict[int, Tensor]:
    """Run the pass. Returns the gradients of `targets` by id; without targets every leaf's `grad` is added to."""
    edges = {id(place_of(x)): x for x in targets or ()}
    state = _Pass(None if targets is None else _leading_to([r for r, _ in roots], set(edges)), roots)
    outer, _passes.now = _passes.now, state
    given = {id(g) for _, g in roots}
    found: dict[int, Tensor] = {}
    keep = create if retain is None else retain
    before = gradmode.get()
    gradmode.set(create)
    casts = casting.suspend() if casting.on else 0
    try:
        for target, g in roots:
            state.send(target, g)
        while state.queue:
            _, node = heapq.heappop(state.queue)
            grads = state.waiting.pop(id(node))
            if node.hooks is not None or node.retained is not None:
                grads[0] = _hooked(node, grads[0], given)
            if edges and id(node) in edges and grads[0] is not None:
                found[id(node)] = grads[0]
            _visit(node, tuple(grads), state, keep)
        for leaf_id, leaf in state.leaves.items():
            g = _run_hooks(_leaf_hooks.of(leaf), state.waiting.pop(leaf_id)[0], given)
            if targets is None and accumulate:
                _accumulate(leaf, g, create, given)
                _run_post_hooks(leaf, g)
            found[leaf_id] = g
    finally:
        _passes.now = outer
        gradmode.set(before)
        if casts:
            casting.switch(casts)
    return {id(x): found[id(place_of(x))] for x in targets or () if id(place_of(x)) in found}


class _Passes(threading.local):
    now: _Pass | None = None


_passes = _Passes()


def current_pass() -> Any:
    """The backward pass that this thread is in; None outside."""
    return _passes.now


def _visit(node: Node, grads: tuple[Tensor | None, ...], state: _Pass, keep: bool) -> None:
    if type(node) is Pick:
        if grads[0] is not None:
            state.send(node.parent, grads[0], node.index)
        return
    if state.wanted is not None and not any(id(e) in state.wanted for e in node.edges):
        return  # what was asked for ends here
    extra = node.extra
    if extra is not None:
        made = _watched(node, extra, grads)
    else:
        made = node.apply(grads)
    if not keep:
        node.release()
    for target, g in zip(node.edges, made, strict=True):
        if g is not None and target is not None:
            state.send(target, g)


def _watched(node: Node, extra: dict[str, Any], grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    """`node.apply` between the node's own hooks, and under the eyes of anomaly mode."""
    for hook in tuple(extra.get("prehooks", {}).values()):
        grads = _replaced(hook(grads), grads)
    forward = extra.get("forward")
    if forward is None:
        made = node.apply(grads)
    else:
        from .anomaly import examined

        made = examined(node, forward, grads)
    for hook in tuple(extra.get("hooks", {}).values()):
        made = _replaced(hook(made, grads), made)
    return made


def _replaced(changed: Any, before: tuple[Any, ...]) -> tuple[Any, ...]:
    if changed is None:
        return before
    now = _several(changed)
    if len(now) != len(before):
        raise AutogradError(f"hook has returned an incorrect number of values: got {len(now)}, but expected {len(before)}")
    return now


def _below(roots: list[Edge]) -> dict[int, Edge]:
    """The nodes and leaves that can be reached from `roots`, by id."""
    seen: dict[int, Edge] = {}
    stack = list(roots)
    while stack:
        at = stack.pop()
        if at is not None and id(at) not in seen:
            seen[id(at)] = at
            if isinstance(at, Node):
                stack.extend(at.edges)
    return seen


def _leading_to(roots: list[Edge], targets: set[int]) -> set[int]:
    """Ids of the nodes and leaves from which one of `targets` can be reached, themselves included."""
    seen = _below(roots)
    wanted = {i for i in seen if i in targets}
    for node in sorted((n for n in seen.values() if isinstance(n, Node)), key=lambda n: n.order):
        if any(id(e) in wanted for e in node.edges):
            wanted.add(id(node))
    return wanted


def _run_hooks(hooks: dict[int, Hook] | None, g: Any, given: set[int]) -> Any:
    for hook in tuple(hooks.values()) if hooks else ():
        changed = hook(g)
        if changed is not None:
            _check_changed(hook, changed, g)
            g = changed
        given.add(id(g))
    return g


def _check_changed(hook: Hook, changed: Any, g: Any) -> None:
    name = getattr(hook, "__name__", repr(hook))
    if not hasattr(changed, "meta"):
        raise TypeError(f"hook '{name}' has returned a {type(changed).__name__}: a Tensor or None was expected")
    if changed.meta.shape != g.meta.shape:
        raise AutogradError(f"hook '{name}' has changed the size of value: {list(g.shape)} to {list(changed.shape)}")
    if changed.meta.dtype is not g.meta.dtype:
        raise AutogradError(f"hook '{name}' has changed the type of value: {g.dtype} to {changed.dtype}")


def _run_post_hooks(leaf: Any, g: Any) -> None:
    for hook in tuple((_post_hooks.of(leaf) or {}).values()):
        hook(leaf)
    for end in tuple((end_hooks.of(leaf) or {}).values()):
        end((), (g,))  # type: ignore[call-arg, arg-type]


def _hooked(node: Node, g: Tensor | None, given: set[int]) -> Tensor | None:
    if g is None:
        return None
    g = _run_hooks(node.hooks, g, given)
    for ref in node.retained or ():
        x = ref()
        if x is not None:
            x._grad = g if x._grad is None else executor.apply(add, (x._grad, g), {})
            given.add(id(g))
    return g


def _accumulate(leaf: Any, g: Any, create: bool, given: set[int]) -> None:
    """Add `g` to the leaf's gradient; the first one is taken over where nothing else can hold its memory."""
    old = leaf._grad
    if old is not None:
        if create:
            leaf._grad = executor.apply(add, (old, g), {})
        else:
            old.add_(g)
        return
    if create:
        leaf._grad = executor.apply(clone, (g,), {}) if id(g) in given else g
    else:
        shared = id(g) in given or g._storage is not None or g.meta.requires_grad
        leaf._grad = executor.apply(clone, (executor.apply(detach, (g,), {}),), {}) if shared else g
    given.add(id(leaf._grad))
    given.add(id(g))


def Variable(data: Any, requires_grad: bool = False) -> Any:
    """A Tensor with `data`, which requires grad or not: what PyTorch's former name still means."""
    return data.detach().requires_grad_(requires_grad)


_PARTS = {
    "function": "custom", "functional": "jacobians", "graph": "saved", "profiler": "profiler", "anomaly_mode": "anomaly",
    "grad_mode": "modes", "forward_ad": "forward_ad",
}  # fmt: skip
_LATER = {
    "once_differentiable": "custom", "detect_anomaly": "anomaly", "set_detect_anomaly": "anomaly", "gradcheck": "gradcheck",
    "gradgradcheck": "gradcheck",
}  # fmt: skip


__path__: list[str] = []  # a package to `aliases`: ``import torch.autograd.functional`` asks for it


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return importlib.import_module(f"{__package__}.{_PARTS[name]}")
    if name in _LATER:
        return getattr(importlib.import_module(f"{__package__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
