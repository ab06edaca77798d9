"""What a region knows of the histories of its tensors: leaves, hooks, what a backward pass inside of it has used up.

A history is the graph itself: what a value was made of. Nothing is kept per op; this holds what the graph cannot say.
Computes no gradient (`backward.py` does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..eager.tensor import Tensor
from ..ir.graph import Node, Value
from ..ir.ops.casts import detach
from ..ir.types import TensorType
from .breaks import Restart

if TYPE_CHECKING:
    from .recorder import Recorder

Hooks = dict[int, Any]


def floating(x: Any) -> bool:
    return isinstance(x, Value) and isinstance(x.type, TensorType) and x.type.dtype.is_inexact


def active(nodes: Iterable[Node], roots: Iterable[Value]) -> set[Value]:
    """`roots` and every value that depends on one of them differentiably."""
    found = set(roots)
    for node in nodes:
        if node.op.grad is not None and any(a in found for a in node.args if isinstance(a, Value)):
            found.update(r for r in node.results if floating(r))
    return found


def reaching(nodes: Sequence[Node], tracked: set[Value], roots: Iterable[Value]) -> set[Value]:
    """`roots` and the tracked values that they depend on differentiably."""
    found = {v for v in roots if v in tracked}
    for node in reversed(nodes):
        if node.op.grad is not None and any(r in found for r in node.results):
            found.update(a for a in node.args if isinstance(a, Value) and a in tracked)
    return found


class Histories:
    """`leaves`: value -> the leaf Tensor whose gradient it collects, for leaves that the region made or has written to.
    `hooks`, `retained`: of values; `leaf_hooks`: by id of the leaf Tensor. `spent`: nodes whose saved values a pass has freed.
    The numbers beside them are units of instructions, at which a capture can break instead."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.unit: Callable[[], int] = lambda: 0
        self.leaves: dict[Value, tuple[Any, int]] = {}
        self.hooks: dict[Value, tuple[Hooks, int]] = {}
        self.retained: dict[Value, tuple[Any, int]] = {}
        self.leaf_hooks: dict[int, tuple[Any, Hooks, int]] = {}
        self.spent: set[Node] = set()
        self.calls: dict[Node, Any] = {}  # of user autograd Functions: node -> `functions.Followed`
        self.variables: set[Value] = set()  # leaves of the library's transforms: nobody asks for their gradients later
        self._tracked: set[Value] = set()
        self._inputs: dict[Value, Any] = {}  # those of the recorder by value
        self._known = 0

    # -- leaves ----------------------------------------------------------------------------------------------------

    def leaf_of(self, value: Value) -> Any:
        """The leaf Tensor whose gradient `value` collects; None where it is none."""
        made = self.leaves.get(value)
        if made is not None:
            return made[0]
        for i in self.recorder.inputs[len(self._inputs) :]:
            self._inputs[i.value] = i
        found = self._inputs.get(value)
        return found.traced if found is not None and found.real.meta.requires_grad and found.real._node is None else None

    def roots(self) -> dict[Value, Any]:
        """Values that record gradients of themselves: leaf Tensors by value; None for an input with a history of its own."""
        found: dict[Value, Any] = {v: leaf for v, (leaf, _) in self.leaves.items()}
        for i in self.recorder.inputs:
            if i.real.meta.requires_grad:
                found[i.value] = i.traced if i.real._node is None else None
        return found

    def become_leaf(self, tensor: Any) -> None:
        """A traced Tensor without a history records gradients from here on."""
        self.leaves[self.forget(tensor)] = tensor, self.unit()

    def variable(self, tensor: Any) -> Any:
        """The values of a traced Tensor as a leaf that only a transform knows."""
        recorder = self.recorder
        value = recorder.cut(recorder.value_of(recorder._twin(tensor)))
        made = recorder.wrap(value, tensor.meta.with_grad(True))
        self.leaves[value] = made, self.unit()
        self.variables.add(value)
        return made

    def reach_others(self, outs: Sequence[Any], own: Sequence[Any]) -> bool:
        """Whether gradients of traced Tensors flow on to leaves that are not among `own`."""
        recorder = self.recorder
        values = [recorder.value_of(recorder._twin(x)) for x in outs if x.meta.requires_grad]
        found = reaching(recorder.builder.nodes, self.tracked(), values)
        return any(v in found for v in self.roots().keys() - {recorder.value_of(x) for x in own})

    def made(self, seen: Any) -> bool:
        """Whether what the recorder has seen is a leaf that the region made."""
        return seen.value in self.leaves

    def again(self, tensor: Any, before: Value, value: Value) -> Value:
        """What a Tensor holds behind a write to its memory: where it was a leaf that the region made, it is one again. What asked
        for its gradient gets that of what it holds now."""
        if before in self.retained and self.retained[before][0] is tensor:
            self.retained[value] = self.retained.pop(before)
        if before not in self.leaves or self.leaves[before][0] is not tensor or value in self.leaves:
            return value
        value = self.recorder.cut(value)
        self.leaves[value] = tensor, self.unit()
        return value

    def written(self, owner: Any, value: Value) -> Value:
        """What a leaf input holds behind a write to it that was not recorded: a leaf again."""
        if owner.real.meta.requires_grad and owner.real._node is None:
            value = self.recorder.cut(value)
            self.leaves[value] = owner.traced, self.unit()
        return value

    def forget(self, tensor: Any) -> Value:
        """Cut a Tensor off what it was made of; its value."""
        value = self.recorder.cut(self.recorder.value_of(tensor))
        self.recorder.seen[id(tensor)].value = value
        return value

    def plain(self, tensor: Any) -> Any:
        """The values of a traced Tensor as one without a history, on the same memory where that is an input's."""
        recorder, meta, storage = self.recorder, tensor.meta.with_grad(False), tensor._storage
        value = recorder.cut(recorder.value_of(tensor))
        if id(storage) not in recorder.of_storage:
            return recorder.wrap(value, meta)
        chain = (*recorder.seen[id(tensor)].chain, (detach, {}))
        return recorder._tensor(Tensor, meta, storage, tensor._offset or 0, value, chain)

    def tracked(self) -> set[Value]:
        """The values that require grad, by what they were made of."""
        nodes, found = self.recorder.builder.nodes, self._tracked
        self._known = min(self._known, len(nodes))
        found.update(self.roots())
        for node in nodes[self._known :]:
            if node.op.grad is not None and any(a in found for a in node.args if isinstance(a, Value)):
                found.update(r for r in node.results if floating(r))
        self._known = len(nodes)
        return found

    def kind(self, x: Any) -> str | None:
        """What the tail makes of a plain result: a "leaf", a "spent" history; None where the graph says all."""
        if not x.meta.requires_grad:
            return None
        value = self.recorder.value_of(x)
        return "leaf" if value in self.leaves else "spent" if self.is_spent(value) else None

    def maker(self, x: Any) -> str | None:
        """What the step is called that made a traced Tensor."""
        value = self.recorder.value_of(x)
        made = next((node.op.name for node in reversed(self.recorder.builder.nodes) if value in node.results), None)
        return None if made is None else "".join([part.capitalize() for part in made.split("_")]) + "Backward0"

    def is_plain(self, x: Any) -> bool:
        """Whether the graph's output is all that the caller gets of a traced Tensor."""
        if self.recorder.input_of(x) is not None:
            return True
        alone = self.recorder.is_fresh(x) or self.recorder.family(x) is None
        return alone and x._grad is None and self.kind(x) is None

    # -- the end ---------------------------------------------------------------------------------------------------

    def is_spent(self, value: Value) -> bool:
        """Whether a backward pass from `value` would meet values that an earlier one has freed."""
        if not self.spent:
            return False
        found = reaching(self.recorder.builder.nodes, self.tracked(), [value])
        return any(r in found for node in self.spent for r in node.results)

    def settle(self, outputs: Sequence[Value]) -> set[Value]:
        """What the caller may differentiate through, where the region has something of its own. Breaks where that is what the
        compiled gradient of the graph would not know of."""
        for value in self.variables:
            self.leaves.pop(value, None)
        if self.variables:
            self._tracked, self._known = set(), 0
        for _, hooks, unit in self.leaf_hooks.values():
            if hooks:
                raise Restart(unit, "hook-stays", "a hook of a leaf that stays behind the region")
        if not (self.leaves or self.hooks or self.retained or self.calls):
            return set()
        found = reaching(self.recorder.builder.nodes, self.tracked(), outputs)
        for code, kind, what in (
            ("new-leaf", self.leaves, "a leaf that the region made or wrote to, with a result that hangs on it"),
            ("hook-stays", self.hooks, "a hook on a tensor whose gradient is taken behind the region"),
            ("hook-stays", self.retained, "retain_grad() of a tensor whose gradient is taken behind the region"),
        ):
            for value, entry in kind.items():
                if value in found and (kind is not self.hooks or entry[0]):
                    raise Restart(entry[-1], code, what)
        return found
