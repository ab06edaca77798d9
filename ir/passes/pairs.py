"""Complex values as pairs of real ones, which is what kernels know: done last, when nothing is differentiated any more.

Calls of pointwise ops run their own scalar expression on pairs, data movement moves both parts, records with `parts` say it
themselves. Every other call stays whole: its NumPy kernel runs as a step (`whole`), between complex memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import dtypes, layout
from ..dtypes import DType
from ..graph import Builder, Graph, Node, Output, Value, WriteBack, same_types
from ..op import Gather, Move, Op, Reduce, Scalar, lookup
from ..pair import Arithmetic, Pair, Whole, pair_of
from ..types import TensorType


def is_complex(x: Any) -> bool:
    """Whether a Value, or a Python number, is complex."""
    return isinstance(x, complex) or (isinstance(x, Value) and isinstance(x.type, TensorType) and x.type.dtype.is_complex)


def pairs(graph: Graph) -> Graph:
    """`graph` with its complex values as pairs wherever rules say how; itself where it has none."""
    if not any(is_complex(v) for v in graph.inputs) and not any(is_complex(r) for n in graph.nodes for r in n.results):
        return graph
    return _Splitting(graph).run()


class _Splitting:
    """One graph on its way. `made` holds, for each old value, what stands for it: a Value (complex where it is needed whole), a
    Pair, or both."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.builder = Builder(graph.name)
        self.whole: dict[Value, Any] = {v: self.builder.input(v.type, v.name) for v in graph.inputs}
        self.split: dict[Value, Pair] = {}

    def run(self) -> Graph:
        moved = {0: 0}
        written = {w.position: w.value for w in self.graph.writes}
        for position, node in enumerate(self.graph.nodes, 1):
            self.builder.where = node.where
            self.node(node)
            if position in written:  # what is written must stand before the write
                self.joined(written[position])
            moved[position] = len(self.builder.nodes)
        outputs = [Output(self.joined(o.value), o.source and self.whole[o.source], o.view) for o in self.graph.outputs]
        writes = [WriteBack(self.whole[w.target], self.joined(w.value), moved[w.position], w.view) for w in self.graph.writes]
        return self.builder.finish(outputs, writes, self.graph.symbols)

    def node(self, node: Node) -> None:
        args = node.args
        if not any(map(is_complex, (*args, *node.results))):
            self.keep(node, tuple([self.whole[a] if isinstance(a, Value) else a for a in args]))
            return
        before = len(self.builder.nodes)
        try:
            rule = self.rule(node)
            made = rule([self.pair(a) if is_complex(a) else self.whole[a] if isinstance(a, Value) else a for a in args])
        except Whole:
            del self.builder.nodes[before:]
            joined = tuple([self.joined(a) if isinstance(a, Value) else a for a in args])
            attrs = {"op": node.op.name, "attrs": tuple(node.attrs.items())}
            self.note(node, self.builder.emit(lookup("whole"), joined, attrs))
            return
        self.note(node, made)

    def keep(self, node: Node, args: tuple[Any, ...]) -> None:
        if same_types(args, node.args):
            self.note(node, self.builder.copy(node, args))
        else:
            self.note(node, self.builder.emit(node.op, args, node.attrs, node.where))

    def note(self, node: Node, made: Any) -> None:
        for old, new in zip(node.results, made if isinstance(made, tuple) else (made,), strict=True):
            if isinstance(new, Pair):
                self.split[old] = pair_of([self.laid(p, old.tensor_type, new.dtype) for p in new.parts], new.dtype)
            else:
                self.whole[old] = self.like(new, old.tensor_type)

    def laid(self, part: Any, whole: TensorType, dtype: DType) -> Any:
        """One part of a pair with the elements of its complex value: of its shape, and row-major where that is."""
        real = dtype.to_real()
        if not isinstance(part, Value):
            return self.emit("full", float(part), shape=whole.shape, dtype=real)
        if part.shape != whole.shape:
            part = self.emit("contiguous", self.emit("expand", part, shape=whole.shape))
        return part

    def like(self, value: Value, wanted: TensorType) -> Value:
        """`value`, copied where that gives it the strides of `wanted`."""
        if value.type == wanted or not isinstance(value.type, TensorType):
            return value
        if wanted.is_contiguous:
            return self.emit("contiguous", value)  # type: ignore[no-any-return]
        return value

    def emit(self, name: str, *operands: Any, **attrs: Any) -> Any:
        return self.builder.emit(lookup(name), operands, attrs)

    def pair(self, x: Any) -> Pair:
        """The parts of an old complex value, or of a number."""
        if isinstance(x, complex):
            return Pair(x.real, x.imag, dtypes.complex64)
        if x not in self.split:
            self.split[x] = pair_of(self.emit("complex_parts", self.whole[x]), x.dtype)
        return self.split[x]

    def joined(self, x: Value) -> Value:
        """What stands for an old value, as one Value."""
        if x not in self.whole:
            pair = self.split[x]
            strides = layout.preserved(x.dtype, x.tensor_type).strides
            self.whole[x] = self.emit("complex_whole", pair.re, pair.im, strides=tuple(strides))
        return self.whole[x]  # type: ignore[no-any-return]

    def rule(self, node: Node) -> Callable[[list[Any]], Any]:
        """How the call splits; raises Whole, or gives a function that may."""
        op, attrs = node.op, node.attrs
        if op.parts is not None:
            return lambda xs: op.parts(*xs, **attrs)  # type: ignore[misc]
        lowering = op.lowering
        if isinstance(lowering, Scalar):
            return lambda xs: Arithmetic(node.results).run(lowering, xs, attrs)
        if isinstance(lowering, (Move, Gather)) or (isinstance(lowering, Reduce) and lowering.combine == "add"):
            return lambda xs: self.both(op, xs, attrs)
        raise Whole

    def both(self, op: Op, xs: list[Any], attrs: dict[str, Any]) -> Pair:
        """The op on the real parts and on the imaginary ones."""
        whole = next((x.dtype for x in xs if isinstance(x, Pair)), None)
        if whole is None:
            raise Whole
        to = attrs["dtype"] if isinstance(attrs.get("dtype"), DType) else whole
        attrs = {k: v.to_real() if isinstance(v, DType) else v for k, v in attrs.items()}
        parts = [[x.parts[k] if isinstance(x, Pair) else x for x in xs] for k in (0, 1)]
        made = [self.builder.emit(op, ins, attrs) for ins in parts]
        return pair_of(made, to)
