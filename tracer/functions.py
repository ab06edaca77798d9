"""User autograd Functions in a region: `forward` and `backward` are followed as bytecode, and the call is one node of the graph.

The node is the identity of what `forward` gave, with a gradient of its own. Inside of the region the user's `backward` is called
for it; where the caller differentiates through it, `backward` is followed once at the end of the capture and kept as a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..eager.custom import Context, Function, backward_of, by_position, has_setup
from ..eager.tensor import Tensor
from ..ir.graph import Node, Value
from ..ir.op import Decompose, Op
from ..ir.ops.creation import zeros_like
from ..runtime import gradmode
from .breaks import Break, Restart, UserRaise
from .special import models

if TYPE_CHECKING:
    from .session import Session


class Rule:
    """The gradient of one call of a Function, as nodes over the gradients that arrive, the call's own results and `outside`,
    further operands."""

    def __init__(
        self, given: tuple[Value, ...], outs: tuple[Value, ...], outside: tuple[Value, ...], nodes: tuple[Node, ...],
        made: tuple[Any, ...],
    ) -> None:  # fmt: skip
        self.given, self.outs, self.outside, self.nodes, self.made = given, outs, outside, nodes, made

    def __call__(self, grads: Sequence[Any], outs: Sequence[Any], operands: Sequence[Any]) -> list[Any]:
        """The gradients of the call's inputs, on graph Values or Tensors."""
        places = (*self.given, *self.outs, *self.outside)
        known: dict[Any, Any] = dict(zip(places, (*grads, *outs, *operands), strict=True))
        first = next(g for g in grads if g is not None)
        for node in self.nodes:
            args = tuple([known[a] if isinstance(a, Value) else a for a in node.args])
            made = type(first).__apply_op__(first, node.op, args, node.attrs)
            known.update(zip(node.results, made if isinstance(made, tuple) else (made,), strict=True))
        return [known[v] if isinstance(v, Value) else v for v in self.made]


class Call(Op):
    """The record of one call: operands are what `forward` gave, the inputs, then what the rule reads beside them."""

    def __reduce__(self) -> Any:
        raise TypeError("a call of a user's autograd.Function is not kept on disk")


class Followed:
    """One call of a Function in a region. `inputs`: its arguments; `unit`: where a capture can break instead."""

    def __init__(self, function: Any, ctx: Context, inputs: list[Any], count: int, unit: int) -> None:
        self.function, self.ctx, self.inputs, self.count, self.unit = function, ctx, inputs, count, unit
        self.places = [i for i, x in enumerate(inputs) if isinstance(x, Tensor)]  # of the operands behind the first `count`
        self.rule: Rule | None = None
        self.kinds: list[bool] = []  # of what `forward` gave: whether it is a Tensor

    def op(self) -> Op:
        """The record of this call's node."""
        count = self.count

        def first(xs: Sequence[Any]) -> Any:
            return xs[0] if count == 1 else tuple(xs[:count])

        def eager(*xs: Any) -> Any:
            return first([x.copy() for x in xs[:count]])

        return Call(
            "function", (), lambda *types: types[:count], eager, self.gradient, Decompose(lambda *xs: first(xs)),
            lambda rng: iter(()), upcast=False,
        )  # fmt: skip

    def gradient(self, g: Any, need: Sequence[bool], out: Any, *operands: Any) -> tuple[Any, ...]:
        """The rule as a record's: nothing to what `forward` gave, nor to what the rule reads beside the inputs."""
        assert self.rule is not None
        inputs = self.count + len(self.places)
        arrived, outs = ((g,), (out,)) if self.count == 1 else (g, out)
        arrived = [zeros_like(o) if g is None else g for g, o in zip(arrived, outs, strict=True)]
        made = self.rule(arrived, outs, operands[inputs:])
        found = [made[i] if need[self.count + k] else None for k, i in enumerate(self.places)]
        return (*[None] * self.count, *found, *[None] * (len(operands) - inputs))

    def backward(self, s: Session, grads: list[Any]) -> list[Any]:
        """What the user's `backward` gives, one entry for each argument."""
        arriving = iter(grads)
        grads = [next(arriving) if tensor else None for tensor in self.kinds]
        made = s.call(s.attributes.load(self.function, backward_of(self.function).__name__), (self.ctx, *grads))
        found = list(made) if isinstance(made, tuple) else [made]
        while len(found) > len(self.inputs) and found[-1] is None:
            found.pop()
        if len(found) != len(self.inputs):
            raise s.thrown(RuntimeError(
                f"function {self.function.__name__}Backward returned an incorrect number of gradients (expected "
                f"{len(self.inputs)}, got {len(found)})"
            ))  # fmt: skip
        return found


@models(Function.__dict__["apply"].__func__)
def _apply(s: Session, cls: Any, *args: Any, **kwargs: Any) -> Any:
    if kwargs:
        args = by_position(cls, args, kwargs)
    ctx = Context()
    needs = ctx.needs_input_grad = tuple([isinstance(x, Tensor) and x.meta.requires_grad for x in args])
    recording = gradmode.get()
    unit = s.units
    gradmode.set(False)
    try:
        setup = has_setup(cls)
        result = s.call(s.attributes.load(cls, "forward"), args if setup else (ctx, *args))
        if setup:
            s.call(s.attributes.load(cls, "setup_context"), (ctx, args, result))
    finally:
        gradmode.set(recording)
    if not recording or not any(needs):
        return result
    if ctx._dirty:
        raise Restart(unit, "function-backward", f"{cls.__name__}, which marks inputs as dirty")
    several = isinstance(result, (tuple, list))
    outputs = list(result) if several else [result]
    tied = [i for i, o in enumerate(outputs) if isinstance(o, Tensor)]
    call = Followed(cls, ctx, list(args), len(tied), unit)
    call.kinds = [isinstance(o, Tensor) for o in outputs]
    made = _tied(s, call, [outputs[i] for i in tied])
    own = {id(outputs[i]): t for i, t in zip(tied, made, strict=True)}
    ctx._saved = tuple([own.get(id(x), x) for x in ctx._saved])  # with a history: gradients of the gradient flow through them
    for i, t in zip(tied, made, strict=True):
        outputs[i] = t
    return tuple(outputs) if several else outputs[0]


def _tied(s: Session, call: Followed, outputs: list[Any]) -> list[Any]:
    """The results of `forward` as results of the call's node."""
    recorder = s.recorder
    raw = [recorder.value_of(recorder._twin(o)) for o in outputs]
    inputs = [recorder.value_of(recorder._twin(call.inputs[i])) for i in call.places]
    found = recorder._emit(call.op(), (*raw, *inputs), {})
    values = found if isinstance(found, tuple) else (found,)
    recorder.histories.calls[recorder.builder.nodes[-1]] = call
    made = []
    for value, old, o in zip(values, raw, outputs, strict=True):
        constant = any(o is c for c in call.ctx._constant)
        made.append(recorder.wrap(old if constant else value, recorder.meta_of(value.tensor_type, not constant)))
    return made


def arrived(s: Session, call: Followed, node: Node, tensors: Sequence[Any]) -> list[Any]:
    """The gradients as `backward` gets them: zeros, if it wants them, where none came."""
    if not call.ctx.materialize_grads:
        return list(tensors)
    pairs = zip(tensors, node.results, strict=True)
    return [s.recorder.constant(0.0, s.recorder.meta_of(v.tensor_type, False)) if t is None else t for t, v in pairs]


def settle(s: Session, found: set[Value]) -> None:
    """Give each call whose results are among `found`, what the caller differentiates through, its rule."""
    nodes = s.recorder.builder.nodes
    for i, node in enumerate(nodes):
        call = s.recorder.histories.calls.get(node)
        if call is not None and call.rule is None and any(r in found for r in node.results):
            call.rule = _followed(s, call, node, set(_defined(s, nodes[:i])))
            nodes[i] = Node(node.op, (*node.args, *call.rule.outside), node.attrs, node.results, node.where)
            s.recorder.histories.calls[nodes[i]] = call


def _defined(s: Session, nodes: Sequence[Node]) -> list[Value]:
    return [*s.recorder.builder.inputs, *(r for n in nodes for r in n.results)]


def _followed(s: Session, call: Followed, node: Node, known: set[Value]) -> Rule:
    """The user's `backward` as a rule. It runs when the caller asks for gradients, so it must do nothing else."""
    recorder, effects = s.recorder, len(s.effects.journal)
    if not call.ctx.materialize_grads and call.count > 1:
        raise Restart(call.unit, "function-backward", "an autograd.Function that tells which gradients have come")
    first = len(recorder.builder.nodes)
    given = tuple(recorder.builder._fresh(r.type) for r in node.results)
    mode = gradmode.get()
    gradmode.set(True)
    try:
        grads = [recorder.wrap(v, recorder.meta_of(v.tensor_type, True)) for v in given]
        made = [None if g is None else recorder.value_of(recorder._twin(g)) for g in call.backward(s, grads)]
    except (Break, UserRaise) as broken:
        why = broken.what if isinstance(broken, Break) else repr(broken.exc)
        raise Restart(call.unit, "function-backward", f"the backward of {call.function.__name__}: {why}") from None
    finally:
        gradmode.set(mode)
    nodes = tuple(recorder.builder.nodes[first:])
    del recorder.builder.nodes[first:]
    own = {*given, *node.results, *(r for n in nodes for r in n.results)}
    read = dict.fromkeys(v for v in (*(a for n in nodes for a in n.args), *made) if isinstance(v, Value) and v not in own)
    if len(s.effects.journal) > effects or any(v not in known for v in read):
        raise Restart(call.unit, "function-backward", f"the backward of {call.function.__name__}, which has effects")
    final: Callable[[Any], Any] = recorder.symbols.final
    if recorder.symbols.numbers:
        for n in nodes:
            n.attrs.update({k: final(v) for k, v in n.attrs.items()})
    return Rule(given, node.results, tuple(read), nodes, tuple(made))
