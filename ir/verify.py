"""The graph verifier: every invariant of `ir.graph`, each type re-derived by its op's own `infer`. Changes nothing."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from ..errors import FusewireError, VerifyError
from . import sizes, solve
from .dtypes import DType
from .graph import Graph, Node, Value, View, produced
from .op import Op
from .promote import target_dtype
from .text import attr_text, node_text
from .types import ScalarType, TensorType, sizes_of

_P = inspect.Parameter
_NAME = re.compile(r"[\w.]+")


def verify(graph: Graph) -> Graph:
    """`graph` itself where it holds every invariant; else VerifyError with the reason, the node among its neighbours and
    the user's line."""
    _Verifier(graph).run()
    return graph


class _Verifier:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.position: dict[Value, int] = {}  # value -> number of nodes that must stand before a use
        self.names: set[str] = set()
        self.at: int | None = None
        self.bound = set(graph.symbols)

    def run(self) -> None:
        self.inputs()
        for i, node in enumerate(self.graph.nodes):
            self.at = i
            self.node(node)
        self.at = None
        self.outputs()
        self.writes()

    def require(self, holds: Any, reason: str) -> None:
        if holds:
            return
        place = ""
        if self.at is not None:
            nodes = self.graph.nodes
            around = range(max(0, self.at - 2), min(len(nodes), self.at + 3))
            place = "".join(f"\n{'->' if i == self.at else '  '} {_text(nodes[i])}" for i in around)
            where = nodes[self.at].where
            place += f"\nfrom the user's line {where.file}:{where.line}" if where else ""
        raise VerifyError(f"graph {self.graph.name}: {reason}{place}")

    def inputs(self) -> None:
        graph = self.graph
        self.require(len(set(graph.symbols)) == len(graph.symbols), f"a symbol is listed twice in {graph.symbols}")
        for value in graph.inputs:
            self.define(value, 0)
        given: dict[str, int] = {v.name: 0 for v in graph.inputs if isinstance(v.type, ScalarType) and v.type.kind == "int"}
        known = solve.solvable((s for v in graph.inputs for s in sizes_of(v.type)), given)
        for name in graph.symbols:
            self.require(name in known, f"no input defines the symbol {name}")

    def define(self, value: Value, position: int) -> None:
        self.require(isinstance(value, Value), f"{value!r} is no Value")
        self.require(value not in self.position, f"%{value.name} is defined twice")
        self.require(_NAME.fullmatch(value.name), f"{value.name!r} is no name for a value")
        self.require(value.name not in self.names, f"two values are called %{value.name}")
        self.require(isinstance(value.type, TensorType | ScalarType), f"%{value.name} has no type but {value.type!r}")
        self.symbols(sizes_of(value.type), f"the type of %{value.name}")
        if isinstance(value.type, TensorType):
            self.require(len(value.type.shape) == len(value.type.strides), f"%{value.name} has not one stride per dimension")
            tops = [sizes.bounds(n)[1] for n in value.type.shape]
            self.require(all(top is None or top >= 0 for top in tops), f"%{value.name} has a negative dimension: {value.type}")
        self.position[value] = position
        self.names.add(value.name)

    def symbols(self, found: Iterable[sizes.Size], place: str) -> None:
        for size in found:
            for name in sizes.symbols_of(size):
                self.require(name in self.bound, f"{place} has the symbol {name}, which the graph does not list")

    def used(self, value: Any, before: int, place: str) -> None:
        self.require(isinstance(value, Value), f"{place} is {value!r}, not a Value")
        self.require(value in self.position, f"{place} is %{value.name}, which is not defined in this graph above its use")
        self.require(self.position[value] <= before, f"{place} is %{value.name}, which is defined only below")

    def node(self, node: Node) -> None:
        before = self.at or 0
        if node.op.binds:
            self.binds(node)
        for i, a in enumerate(node.args):
            if isinstance(a, Value):
                self.used(a, before, f"operand {i}")
            else:
                number = a is None or type(a) in (bool, int, float, complex)
                self.require(number, f"operand {i} is {a!r}: neither Value, number nor None")
        for name, attr in node.attrs.items():
            self.require(_static(attr), f"attr {name} is {attr!r}: not a number, string, dtype, Size, None or tuple of these")
            self.symbols(_sizes_in(attr), f"attr {name}")
        self.types(node)
        for value in node.results:
            self.define(value, before + 1)

    def binds(self, node: Node) -> None:
        name = produced(node)
        self.require(name is None or _NAME.fullmatch(name), f"{node.op.name} settles a bare symbol, not {name}")
        if name is not None:
            self.bound.add(name)

    def types(self, node: Node) -> None:
        count = _operand_count(node.op)
        self.require(count in (None, len(node.args)), f"{node.op.name} takes {count} operands, not {len(node.args)}")
        types = tuple(a.type if isinstance(a, Value) else a for a in node.args)
        target = target_dtype(node.op, types)
        chosen = range(len(types)) if node.op.promote is None or node.op.promote.operands is None else node.op.promote.operands
        for i in chosen if target is not None else ():
            found = types[i] if i < len(types) else None
            if isinstance(found, TensorType) and target is not None:
                self.require(found.dtype is target, f"operand {i} is {found.dtype.short} and is not cast to {target.short}")
        try:
            inferred = node.op.infer(*types, **node.attrs)
        except (FusewireError, TypeError, ValueError, IndexError) as e:
            self.require(False, f"{node.op.name} refuses its operands ({type(e).__name__}: {e})")
        given = tuple(r.type for r in node.results)
        self.require(len(given) == len(inferred), f"{node.op.name} has {len(inferred)} results, not {len(given)}")
        for want, have in zip(inferred, given, strict=True):
            self.require(want == have, f"{node.op.name} gives {_exact(want)}, the node says {_exact(have)}")

    def outputs(self) -> None:
        for i, out in enumerate(self.graph.outputs):
            place = f"output {i}"
            self.used(out.value, len(self.graph.nodes), place)
            if out.source is None:
                self.require(out.view is None, f"{place} has a view of no input")
                continue
            self.require(out.source in self.graph.inputs, f"{place} is said to be an input, but %{out.source.name} is none")
            if out.view is None:
                same = out.value.type == out.source.type
                self.require(same, f"{place} is input %{out.source.name}: {out.source.type}, but has type {out.value.type}")
            else:
                self.view(out.view, out.source, out.value, place)

    def writes(self) -> None:
        last = 0
        for i, w in enumerate(self.graph.writes):
            place = f"write {i}"
            self.require(w.target in self.graph.inputs, f"{place} goes to %{w.target.name}, which is no input")
            self.require(isinstance(w.target.type, TensorType), f"{place} goes to the scalar %{w.target.name}")
            self.require(last <= w.position <= len(self.graph.nodes), f"{place} is at {w.position}, not in program order")
            self.used(w.value, w.position, place)
            self.require(isinstance(w.value.type, TensorType), f"{place} writes the scalar %{w.value.name}")
            last = w.position
            if w.view is not None:
                self.view(w.view, w.target, w.value, place)
                continue
            fits = w.value.shape == w.target.shape and w.value.dtype is w.target.dtype
            self.require(fits, f"{place} puts {w.value.type} into %{w.target.name}: {w.target.type}")

    def view(self, view: View, source: Value, value: Value, place: str) -> None:
        self.symbols((view.offset, *view.shape, *view.strides), f"the view of {place}")
        self.require(isinstance(source.type, TensorType), f"{place} is a view of the scalar %{source.name}")
        self.require(len(view.shape) == len(view.strides), f"{place} is a view with not one stride per dimension")
        fits = isinstance(value.type, TensorType) and value.shape == view.shape and value.dtype is source.dtype
        self.require(fits, f"{place} sees {source.dtype.short}{list(view.shape)} but %{value.name} is {value.type}")
        low, high = _reach(source.shape, source.tensor_type.strides)
        first, last = _reach(view.shape, view.strides)
        outside = sizes.bounds(view.offset + last - high)[0], sizes.bounds(low - view.offset - first)[0]
        empty = any(n == 0 for n in view.shape)
        self.require(empty or not any(x is not None and x > 0 for x in outside), f"{place} leaves the storage of %{source.name}")


@cache
def _operand_count(op: Op) -> int | None:
    """How many operands the record's kernel takes; None where that varies."""
    if isinstance(op.eager, np.ufunc):
        return op.eager.nin
    try:
        kinds = [(p.kind, p.default) for p in inspect.signature(op.eager).parameters.values()]
    except (TypeError, ValueError):
        return None
    plain = [default for kind, default in kinds if kind in (_P.POSITIONAL_ONLY, _P.POSITIONAL_OR_KEYWORD)]
    varies = any(kind is _P.VAR_POSITIONAL for kind, _ in kinds)
    return None if varies or any(d is not _P.empty for d in plain) else len(plain)


def _reach(shape: tuple[sizes.Size, ...], strides: tuple[sizes.Size, ...]) -> tuple[sizes.Size, sizes.Size]:
    """Offsets of the first and last element in memory from the element at index 0; strides of unknown sign count as positive."""
    low: sizes.Size = 0
    high: sizes.Size = 0
    for n, stride in zip(shape, strides, strict=True):
        top = sizes.bounds(stride)[1]
        if top is not None and top < 0:
            low = low + (n - 1) * stride
        else:
            high = high + (n - 1) * stride
    return low, high


def _static(x: Any) -> bool:
    if isinstance(x, tuple):
        return all(map(_static, x))
    return x is None or type(x) in (bool, int, float, str) or isinstance(x, DType | sizes.Expr)


def _sizes_in(attr: Any) -> Iterable[sizes.Size]:
    if isinstance(attr, tuple):
        for item in attr:
            yield from _sizes_in(item)
    elif isinstance(attr, sizes.Expr):
        yield attr


def _exact(type: Any) -> str:
    if not isinstance(type, TensorType):
        return str(type)
    return f"{type.dtype.short}{list(type.shape)} with strides {attr_text(type.strides)}"


def _text(node: Node) -> str:
    try:
        return node_text(node)
    except Exception as e:
        return f"{node.op} ({type(e).__name__} while printing: {e})"
