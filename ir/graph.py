"""The graph IR: SSA over tensors and weak scalars, functional, every node with the user's file and line.

Graphs are immutable; a `Builder` makes them. Text, parser, verifier and interpreter are in files of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from typing import Any, Union

from .lazyclass import dataclass
from .op import Op
from .sizes import Size
from .types import ScalarType, TensorType, Type, sizes_of

_NO_WORD = re.compile(r"[^\w.]")


@dataclass(frozen=True, slots=True)
class Where:
    """A place in the user's program."""

    file: str
    line: int
    function: str = ""

    def __str__(self) -> str:
        return f"{self.file.rsplit('/', 1)[-1]}:{self.line}"


@dataclass(slots=True, eq=False)
class Value:
    """One SSA value: an input or a result of a node. Identity is its meaning; the name only serves the text."""

    type: Type
    name: str
    builder: Builder | None = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[Size, ...]:
        return self.tensor_type.shape

    @property
    def dtype(self) -> Any:
        return self.tensor_type.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def tensor_type(self) -> TensorType:
        if not isinstance(self.type, TensorType):
            raise TypeError(f"%{self.name} is a {self.type}, not a tensor")
        return self.type

    def __apply_op__(self, op: Op, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        builders = [x.builder for x in (self, *operands) if isinstance(x, Value) and x.builder is not None]
        if not builders:
            raise TypeError(f"{op.name}: %{self.name} belongs to a finished graph; use a Builder")
        return builders[0].emit(op, operands, attrs)

    def __str__(self) -> str:
        return f"%{self.name}"


Arg = Union[Value, bool, int, float, None]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One application of an op. `attrs` are static: numbers, strings, dtypes, Sizes, tuples of these."""

    op: Op
    args: tuple[Arg, ...]
    attrs: dict[str, Any]
    results: tuple[Value, ...]
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A window on a tensor's storage, in elements."""

    offset: Size
    shape: tuple[Size, ...]
    strides: tuple[Size, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """What the caller gets. `value` alone: a fresh tensor, also where `value` is an input or an output twice over.
    `source`: that input itself, or seen through `view` (relative to the input's first element); `value` is what it then
    holds."""

    value: Value
    source: Value | None = None
    view: View | None = None


@dataclass(frozen=True, slots=True)
class WriteBack:
    """After the call the storage of input `target`, seen through `view` (None: the input's own shape), holds `value`.
    `position`: number of nodes that stood before the write in program order."""

    target: Value
    value: Value
    position: int
    view: View | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """`symbols` are the names of free sizes. Each is settled by the inputs' shapes and strides (`solve.solve`), or is the
    value of the int input of the same name. Those that nodes settle (`produced_symbols`) are not among them."""

    name: str
    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]
    writes: tuple[WriteBack, ...] = ()
    symbols: tuple[str, ...] = ()

    def __str__(self) -> str:
        from .text import print_graph

        return print_graph(self)


class Builder:
    """Makes one Graph. Every emitted node is typed by its op's own `infer` after promotion."""

    def __init__(self, name: str = "graph") -> None:
        self.name = name
        self.inputs: list[Value] = []
        self.nodes: list[Node] = []
        self.where: Where | None = None
        self.count = 0
        self.names: set[str] = set()

    def input(self, type: Type, name: str | None = None) -> Value:
        """A new input; `name` is made a word (letters, digits, dots, not starting with a digit) that no other input has."""
        word = _NO_WORD.sub("_", name or f"in{len(self.inputs)}")
        word = f"in{word}" if word[:1].isdigit() or not word else word
        unique, n = word, 1
        while unique in self.names:
            unique, n = f"{word}_{n}", n + 1
        self.names.add(unique)
        value = Value(type, unique, self)
        self.inputs.append(value)
        return value

    def emit(self, op: Op, operands: Sequence[Any], attrs: dict[str, Any], where: Where | None = None) -> Any:
        """Append a node (and the casts that promotion asks for); its Value, or a tuple where the op has several results."""
        from .promote import promoted

        args = promoted(op, tuple(operands))
        types = op.infer(*[a.type if isinstance(a, Value) else a for a in args], **attrs)
        results = tuple(self._fresh(t) for t in types)
        self.nodes.append(Node(op, args, dict(attrs), results, where or self.where))
        return results[0] if len(results) == 1 else results

    def copy(self, node: Node, args: Sequence[Any]) -> tuple[Value, ...]:
        """Append a node like `node`, of another graph, on operands of the same types; its new results."""
        results = tuple(self._fresh(r.type) for r in node.results)
        self.nodes.append(Node(node.op, tuple(args), node.attrs, results, node.where))
        return results

    def _fresh(self, type: Type) -> Value:
        self.count += 1
        return Value(type, str(self.count - 1), self)

    def finish(
        self, outputs: Iterable[Output | Value], writes: Iterable[WriteBack] = (), symbols: Sequence[str] | None = None
    ) -> Graph:
        outs = tuple(o if isinstance(o, Output) else Output(o) for o in outputs)
        names = free_symbols(self.inputs) if symbols is None else tuple(symbols)
        return Graph(self.name, tuple(self.inputs), tuple(self.nodes), outs, tuple(writes), names)


def free_symbols(inputs: Iterable[Value]) -> tuple[str, ...]:
    """Names of the symbols in the inputs' types, in order of first appearance. (A symbol that is an int input's value and
    occurs in no input's type must be listed by the caller of `Builder.finish`.)"""
    from .sizes import symbols_of

    seen: dict[str, None] = {}
    for value in inputs:
        for size in sizes_of(value.type):
            seen.update(dict.fromkeys(symbols_of(size)))
    return tuple(seen)


def produced(node: Node) -> str | None:
    """The symbol that a node's result settles; None for most nodes."""
    return str(node.attrs[node.op.binds]) if node.op.binds and not isinstance(node.attrs[node.op.binds], int) else None


def produced_symbols(graph: Graph) -> tuple[str, ...]:
    """The symbols that nodes of the graph settle, in order."""
    return tuple(name for node in graph.nodes if node.op.binds and (name := produced(node)) is not None)


def same_types(args: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether operands have the types of `others`, so that a call on them has the same results."""
    pairs = zip(args, others, strict=True)
    return all(a.type == b.type if isinstance(a, Value) and isinstance(b, Value) else a is b for a, b in pairs)


def rewrite(graph: Graph, visit: Callable[[Node, Builder, tuple[Any, ...]], Any]) -> Graph:
    """Copy `graph` node by node. ``visit(node, builder, args)`` gets the new arguments and returns the replacement of the
    node's result(s): Values of the builder, Python scalars, or None to copy the node as it is."""
    builder = Builder(graph.name)
    new: dict[Value, Any] = {v: builder.input(v.type, v.name) for v in graph.inputs}
    moved = {0: 0}
    for position, node in enumerate(graph.nodes):
        args = tuple(new[a] if isinstance(a, Value) else a for a in node.args)
        builder.where = node.where
        made = visit(node, builder, args)
        if made is None and same_types(args, node.args):
            made = builder.copy(node, args)
        elif made is None:
            made = builder.emit(node.op, args, node.attrs, node.where)
        made = made if isinstance(made, tuple) else (made,)
        new.update(zip(node.results, made, strict=True))
        moved[position + 1] = len(builder.nodes)
    outputs = [Output(new[o.value], o.source and new[o.source], o.view) for o in graph.outputs]
    writes = [WriteBack(new[w.target], new[w.value], moved[w.position], w.view) for w in graph.writes]
    return builder.finish(outputs, writes, graph.symbols)


def scalar_type(value: Any) -> ScalarType:
    """The weak type of a Python number."""
    return ScalarType("bool" if isinstance(value, bool) else "int" if isinstance(value, int) else "float")
