"""Forward-mode derivatives of one op, made of its gradient rule.

The rule is linear in the gradient that arrives: ``rule(v) = v J``. Its own gradient by `v`, where each of its results gets the
change of that operand, is ``J t``: the change of the result. What comes out is a list of op calls, as short as a rule written by
hand, for what depends on `v` is gone. Knows no op by name; runs nothing but those calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .graph import Builder, Graph, Node, Output, Value
from .op import Op
from .passes.autodiff import joint
from .types import TensorType

_LIMIT = 1024
_programs: dict[Any, Program | None] = {}


class Program:
    """Calls that give the changes of an op's results from `arriving`, the operands, the results and the changes of operands.
    `arriving`: types of gradients at which the rule is differentiated: any will do, for it is linear, and few rules need one."""

    def __init__(
        self, arriving: tuple[Value, ...], inputs: tuple[Value, ...], nodes: tuple[Node, ...], outputs: tuple[Value | None, ...]
    ) -> None:
        self.arriving = tuple([v.tensor_type for v in arriving])
        self.inputs, self.nodes, self.outputs = (*arriving, *inputs), nodes, outputs

    def run(self, apply: Callable[[Op, tuple[Any, ...], dict[str, Any]], Any], values: Sequence[Any]) -> list[Any]:
        """One change for each result, None where there is none."""
        known: dict[Any, Any] = dict(zip(self.inputs, values, strict=True))
        for node in self.nodes:
            made = apply(node.op, tuple([known[a] if isinstance(a, Value) else a for a in node.args]), node.attrs)
            known.update(zip(node.results, made if isinstance(made, tuple) else (made,), strict=True))
        return [None if v is None else known[v] for v in self.outputs]


def program(
    op: Op, attrs: dict[str, Any], ins: Sequence[Any], outs: Sequence[TensorType], given: Sequence[bool]
) -> Program | None:
    """How the results change. `ins`: types of the operands (numbers and None stand for themselves); `given`: which of them
    change. The program's inputs are the operands that are Tensors, the results, and the changes given, in order. None: nothing
    changes. NotImplementedError where the gradient's own steps have no gradient."""
    if op.grad is None:
        return None
    try:
        key = op, tuple(ins), tuple(map(type, ins)), tuple(outs), tuple(given), tuple(attrs.items())
        if key in _programs:
            return _programs[key]
    except TypeError:  # an attribute that does not hash
        return _made(op, attrs, ins, outs, given)
    if len(_programs) > _LIMIT:
        _programs.clear()
    found = _programs[key] = _made(op, attrs, ins, outs, given)
    return found


def _made(
    op: Op, attrs: dict[str, Any], ins: Sequence[Any], outs: Sequence[TensorType], given: Sequence[bool]
) -> Program | None:
    builder = Builder("rule")
    vs = [builder.input(t) if t.dtype.is_inexact else None for t in outs]
    operands = [builder.input(t) if isinstance(t, TensorType) else t for t in ins]
    results = [builder.input(t) for t in outs]
    single = len(outs) == 1
    arriving, made_ = (vs[0], results[0]) if single else (tuple(vs), tuple(results))
    made = op.grad(arriving, tuple(given), made_, *operands, **attrs)  # type: ignore[misc]
    pulled = [(k, _fitted(builder, g, ins[k])) for k, g in enumerate(made) if given[k] and g is not None]
    if not pulled or not any(vs):
        return None
    graph = builder.finish([Output(g) for _, g in pulled])
    places = [i for i, v in enumerate(graph.inputs) if v in vs]
    pushed = joint(graph, places, range(len(pulled)))
    _check(op, graph, [graph.inputs[i] for i in places], pushed.reached)
    return _cut(pushed.graph, len(pulled), len(places), [k for k, _ in pulled], vs, given)


def _fitted(builder: Builder, g: Value, wanted: TensorType) -> Value:
    from .op import lookup

    made: Any = g
    if g.shape != wanted.shape:
        made = builder.emit(lookup("sum_to"), (g,), {"shape": wanted.shape})
    if g.dtype is not wanted.dtype:
        made = builder.emit(lookup("cast"), (made,), {"dtype": wanted.dtype})
    return made  # type: ignore[no-any-return]


def _check(op: Op, graph: Graph, vs: Sequence[Value], reached: Sequence[bool]) -> None:
    """That no gradient is lost on its way to `vs`."""
    for v, found in zip(vs, reached, strict=True):
        below = {v}
        for node in graph.nodes:
            if any(a in below for a in node.args if isinstance(a, Value)):
                below.update(node.results)
        if not found and any(o.value in below for o in graph.outputs):
            raise NotImplementedError(f"{op.name} has no derivative in forward mode: its gradient cannot be differentiated")


def _cut(
    graph: Graph, count: int, arriving: int, pulled: list[int], vs: Sequence[Value | None], given: Sequence[bool]
) -> Program:
    """The part of a joint graph that makes the changes; those of operands that the rule leaves out are inputs that nothing
    reads."""
    wanted = iter([o.value for o in graph.outputs[count:]])
    outputs = tuple([None if v is None else next(wanted) for v in vs])
    live = {v for v in outputs if v is not None}
    nodes = []
    for node in reversed(graph.nodes):
        if any(r in live for r in node.results):
            live.update(a for a in node.args if isinstance(a, Value))
            nodes.append(node)
    ends = iter(graph.inputs[len(graph.inputs) - count :])
    changes = {k: next(ends) for k in pulled}
    unread = Builder("unread")
    rest = [changes.get(k) or unread.input(graph.inputs[0].type) for k, changed in enumerate(given) if changed]
    inner = graph.inputs[arriving : len(graph.inputs) - count]
    needed = graph.inputs[:arriving] if any(v in live for v in graph.inputs[:arriving]) else ()
    return Program(tuple(needed), (*inner, *rest), tuple(reversed(nodes)), outputs)
