"""Scalar functions as static data: what a function on 0-d tensors does, step by step, with what it reads of tensors from outside.

    ((('load', ('c0', 'h'), ()), ('sub', ('q', 'kv'), ()), ('mul', ('0', '1'), ()), ('add', ('score', '2'), ())), '3')

A step is (op, operands, attributes); an operand is a number, the name of an argument, "c" and the number of an operand from
outside, or the number of an earlier step. "load" reads one element of such an operand, at a position for each dimension; "full"
is a constant. The steps run on whatever has the names' values: 0-d graph values, blocks of scores, arrays. Knows no op by name
but these two, and no tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .dtypes import DType, from_numpy
from .graph import Graph, Value
from .layout import type_of_array
from .op import Op, Scalar, lookup
from .run_op import run_op
from .types import ScalarType, TensorType

LOAD, FULL = "load", "full"


class Step(NamedTuple):
    """One step of a body."""

    op: str
    args: tuple[Any, ...]
    attrs: tuple[tuple[str, Any], ...] = ()


class Body(NamedTuple):
    """A scalar function; `result`: the operand that it returns."""

    steps: tuple[Step, ...]
    result: Any


class NotScalar(TypeError):
    """A function does more than arithmetic on scalars and reads of single elements."""


def of(attr: Any) -> Body:
    """The body that an attribute holds."""
    return Body(tuple([Step(*step) for step in attr[0]]), attr[1])


def outside(body: Body) -> tuple[int, ...]:
    """The numbers of the operands from outside that a body reads, ascending."""
    names = {a for step in body.steps for a in step.args if isinstance(a, str)} | {body.result}
    return tuple(sorted(int(a[1:]) for a in names if isinstance(a, str) and a[:1] == "c"))


def renumbered(body: Body, places: Mapping[int, int]) -> Body:
    """The body with its operands from outside at other places."""

    def moved(a: Any) -> Any:
        return f"c{places[int(a[1:])]}" if isinstance(a, str) and a[:1] == "c" else a

    return Body(tuple([Step(s.op, tuple(map(moved, s.args)), s.attrs) for s in body.steps]), moved(body.result))


# ---- from a graph on scalars ----------------------------------------------------------------------------------------------
def from_graph(graph: Graph, names: Mapping[Value, str]) -> Body:
    """The body of a graph on 0-d values. `names`: what its inputs are called. NotScalar where it does anything else."""
    return _Reader(names).body(graph)


class _Reader:
    def __init__(self, names: Mapping[Value, str]) -> None:
        self.of: dict[Value, Any] = dict(names)
        self.tables: dict[Value, tuple[str, tuple[Any, ...]]] = {}  # elements, rows ... of an operand: positions, None for all
        self.steps: list[Step] = []
        self.known: dict[Step, str] = {}

    def body(self, graph: Graph) -> Body:
        for node in graph.nodes:
            self.node(node)
        result = graph.outputs[0].value
        if result.tensor_type.shape:
            raise NotScalar(f"it returns a tensor of shape {list(result.shape)}, not a scalar")
        return _alive(Body(tuple(self.steps), self.operand(result)))

    def add(self, step: Step) -> str:
        """The name of a step's result, which is made once."""
        if step not in self.known:
            self.known[step] = str(len(self.steps))
            self.steps.append(step)
        return self.known[step]

    def operand(self, x: Any) -> Any:
        if not isinstance(x, Value):
            return x
        if x in self.tables:
            name, at = self.tables[x]
            if None in at:
                raise NotScalar(f"a tensor of shape {list(x.shape)} is used whole")
            return self.add(Step(LOAD, (name, *at)))
        name = self.of[x]
        if isinstance(x.type, TensorType) and x.type.shape:
            raise NotScalar(f"a tensor of shape {list(x.shape)} is used whole")
        return self.add(Step(LOAD, (name,))) if name[:1] == "c" and isinstance(x.type, TensorType) else name

    def node(self, node: Any) -> None:
        (result,) = node.results[:1]
        if node.op is lookup("index"):
            self.read(node, result)
        elif len(node.results) != 1 or result.tensor_type.shape or not isinstance(node.op.lowering, Scalar):
            raise NotScalar(f"{node.op.name} gives {', '.join(str(r.type) for r in node.results)}")
        elif node.op is lookup(FULL):
            self.of[result] = self.add(Step(FULL, node.args, (("dtype", node.attrs["dtype"]),)))
        else:
            attrs = tuple(sorted(node.attrs.items()))
            self.of[result] = self.add(Step(node.op.name, tuple(map(self.operand, node.args)), attrs))

    def read(self, node: Any, result: Value) -> None:
        """Single elements, or rows of which elements are read later."""
        table, *positions = node.args
        name, at = self.tables.get(table) or (self.of[table], (None,) * table.ndim)
        if any(p.tensor_type.shape for p in positions):
            raise NotScalar(f"positions of shape {[list(p.shape) for p in positions]}")
        if not node.attrs.get("wrap", True):
            raise NotScalar("positions that must not be negative")
        free = [d for d, p in enumerate(at) if p is None]
        found = list(at)
        for d, p in zip(node.attrs["dims"], positions, strict=True):
            found[free[d]] = self.operand(p)
        adjacent = list(node.attrs["dims"]) == list(range(node.attrs["dims"][0], node.attrs["dims"][-1] + 1))
        if not adjacent and None in found:
            raise NotScalar("positions in dimensions that do not follow one another")
        self.tables[result] = (name, tuple(found))


def _alive(body: Body) -> Body:
    """The steps that the result needs."""
    needed: set[str] = {body.result} if isinstance(body.result, str) else set()
    for n in range(len(body.steps) - 1, -1, -1):
        if str(n) in needed:
            needed.update(a for a in body.steps[n].args if isinstance(a, str))
    kept = [n for n in range(len(body.steps)) if str(n) in needed]
    new = {str(n): str(i) for i, n in enumerate(kept)}

    def moved(a: Any) -> Any:
        return new.get(a, a) if isinstance(a, str) else a

    steps = tuple([Step(body.steps[n].op, tuple(map(moved, body.steps[n].args)), body.steps[n].attrs) for n in kept])
    return Body(steps, moved(body.result))


# ---- running --------------------------------------------------------------------------------------------------------------
def run(
    body: Body, env: Mapping[str, Any], like: Any, rank: int = 0, load: Callable[[str, list[Any]], Any] | None = None
) -> dict[str, Any]:
    """Every value of a body by name. `env`: its arguments and operands from outside; all have `rank` dimensions but for the
    operands; `like`: a value beside which constants are made; `load`: what reads an element, of (operand's name, positions)."""
    from .ops.creation import filled

    made = dict(env)
    for n, (name, args, attrs) in enumerate(body.steps):
        ins = [made[a] if isinstance(a, str) else a for a in args]
        if name == LOAD:
            made[str(n)] = _loaded(ins, rank) if load is None else load(args[0], ins[1:])
        elif name == FULL:
            made[str(n)] = filled(like, (1,) * rank, ins[0], dict(attrs)["dtype"])
        else:
            made[str(n)] = lookup(name)(*ins, **dict(attrs))
    return made


def _loaded(ins: list[Any], rank: int) -> Any:
    """Elements of ``ins[0]`` at the positions behind it."""
    table, *positions = ins
    if positions:
        return lookup("index")(table, *positions, dims=tuple(range(len(positions))))
    return lookup("view")(table, shape=(1,) * rank) if rank else table


def pull(
    body: Body, made: Mapping[str, Any], gradient: Any, wanted: Callable[[str], bool], rank: int = 0, gather: bool = True
) -> dict[str, Any]:
    """The gradients of arguments, operands from outside and steps for which `wanted` holds, by name: `gradient` is that of the
    result, `made` what `run` gave. Without `gather` a load's gradient stays its own, under the number of its step."""
    active = _active(body, made, wanted)
    grads: dict[str, Any] = {}
    if body.result in active:
        grads[body.result] = _fitted(gradient, made[body.result])
    for n in range(len(body.steps) - 1, -1, -1):
        g = grads.get(str(n))
        if g is None:
            continue
        name, args, attrs = body.steps[n]
        if name == LOAD and not gather:
            continue
        need = tuple(isinstance(a, str) and a in active for a in args)
        for a, x in zip(args, _step_grads(name, args, attrs, g, need, made, str(n)), strict=True):
            if x is not None and isinstance(a, str) and a in active:
                x = _fitted(x, made[a])
                grads[a] = lookup("add")(grads[a], x) if a in grads else x
    return grads


def _step_grads(
    name: str, args: tuple[Any, ...], attrs: Any, g: Any, need: tuple[bool, ...], made: Mapping[str, Any], own: str
) -> tuple[Any, ...]:
    ins = [made[a] if isinstance(a, str) else a for a in args]
    if name == LOAD and len(ins) == 1:
        return (lookup("view")(g, shape=tuple(ins[0].shape)),)
    if name == LOAD:
        grad = lookup("index").grad
        assert grad is not None
        return grad(g, need, made[own], *ins, dims=tuple(range(len(ins) - 1)), wrap=True)
    grad = lookup(name).grad
    assert grad is not None
    return grad(g, need, made[own], *ins, **dict(attrs))


def _active(body: Body, made: Mapping[str, Any], wanted: Callable[[str], bool]) -> set[str]:
    """The names on which something wanted depends differentiably."""
    names = {a for s in body.steps for a in s.args if isinstance(a, str)} | ({body.result} & made.keys())
    active = {a for a in names if not a.isdigit() and wanted(a) and _is_floating(made[a])}
    for n, (name, args, _) in enumerate(body.steps):
        reached = any(a in active for a in args if isinstance(a, str)) and _is_floating(made[str(n)])
        if reached and name != FULL and (name == LOAD or lookup(name).grad is not None):
            active.add(str(n))
    return active


def _is_floating(x: Any) -> bool:
    return isinstance(getattr(x, "dtype", None), DType) and x.dtype.is_floating_point


def _fitted(x: Any, like: Any) -> Any:
    """A gradient in the shape and dtype of what it is of."""
    if tuple(x.shape) != tuple(like.shape):
        x = lookup("sum_to")(x, shape=tuple(like.shape))
    return x if x.dtype is like.dtype else lookup("cast")(x, dtype=like.dtype)


# ---- on arrays ------------------------------------------------------------------------------------------------------------
class Array:
    """An array that ops can be called on: they run by their NumPy kernels."""

    __slots__ = ("dtype", "shape", "type", "value")

    def __init__(self, value: Any) -> None:
        self.value, self.shape = value, value.shape
        self.dtype = from_numpy(value.dtype)
        self.type = type_of_array(value)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __apply_op__(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        from .promote import promoted

        ins = [x.value if isinstance(x, Array) else x for x in promoted(op, operands)]
        out = tuple([Array(np.asarray(x)) for x in run_op(op, ins, attrs)])
        return out if len(out) > 1 else out[0]


def array(x: Any) -> Any:
    """An ndarray as one that ops can be called on; anything else as it is."""
    return Array(x) if isinstance(x, np.ndarray) else x


def kinds(types: Mapping[str, Any]) -> dict[str, Any]:
    """0-d types of the operands of a body from the types of its operands."""
    return {k: t if isinstance(t, ScalarType) else TensorType((), t.dtype, ()) for k, t in types.items()}
