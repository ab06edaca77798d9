"""The text form of graphs: `print_graph` and `parse_graph`, and equality and hash of graphs by content.

    graph mlp(%x: f32[4,s0], %w: f32[8,4]@(1,8), %lr: float) where s0 >= 1:
      %0 : f32[4,8] = add(%x, 2.5) {dim=(1,), keepdim=False}  # model.py:12
      return %0, view(%x, offset=0, shape=(4,2), strides=(1,4)), input(%x)
      write %x = %0 at 3

The text is the whole graph but for the folders of the user's files. Types are read as written: the verifier judges them.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ParseError
from . import dtypes, op, size_text, sizes
from .dtypes import DType
from .graph import Builder, Graph, Node, Output, Value, View, Where, WriteBack, produced_symbols
from .sizes import Expr, Size
from .types import ScalarType, TensorType, Type, contiguous_strides, sizes_of

Names = Mapping[Value, str]


def print_graph(graph: Graph, where: bool = True) -> str:
    """The graph as text that `parse_graph` reads back; without the user's lines unless `where`."""
    return _print(graph, graph.name, {v: v.name for v in values_of(graph)}, where)


def values_of(graph: Graph) -> Iterator[Value]:
    """Every value that the graph defines: its inputs, then the results in node order."""
    yield from graph.inputs
    for node in graph.nodes:
        yield from node.results


def _canonical(graph: Graph) -> str:
    names = {v: v.name if v.name in graph.symbols else f"in{i}" for i, v in enumerate(graph.inputs)}
    results = [r for node in graph.nodes for r in node.results]
    return _print(graph, "graph", names | {v: str(i) for i, v in enumerate(results)}, where=False)


def same_graph(a: Graph, b: Graph) -> bool:
    """Whether two graphs have the same content; names of graph and values and the user's lines do not count."""
    return _canonical(a) == _canonical(b)


def graph_hash(graph: Graph) -> str:
    """A hash of the graph's content (hexadecimal, the same in every process) that agrees with `same_graph`."""
    return hashlib.sha256(_canonical(graph).encode()).hexdigest()


def _print(graph: Graph, name: str, names: Names, where: bool) -> str:
    params = ", ".join(f"%{names[v]}: {v.type}" for v in graph.inputs)
    made = produced_symbols(graph)
    bounds = ", ".join(_bound(s) + _MADE * (s.name in made) for s in declared(graph))
    lines = [f"graph {name}({params}){' where ' + bounds if bounds else ''}:"]
    lines += [f"  {node_text(node, names, where)}" for node in graph.nodes]
    lines.append(("  return " + ", ".join(_output(o, names) for o in graph.outputs)).rstrip())
    for w in graph.writes:
        target = f"%{names[w.target]}" if w.view is None else _view(names[w.target], w.view)
        lines.append(f"  write {target} = %{names[w.value]} at {w.position}")
    return "\n".join(lines)


def declared(graph: Graph) -> list[sizes.Symbol]:
    """The graph's symbols with their bounds, in order; those that nodes settle last."""
    found: dict[str, sizes.Symbol] = {}
    for value in values_of(graph):
        for size in sizes_of(value.type):
            for s in sizes.atoms_of(size):
                found.setdefault(s.name, s)
    names = dict.fromkeys((*graph.symbols, *produced_symbols(graph)))
    return [found.get(name) or sizes.Symbol(name) for name in names]


def _bound(s: sizes.Symbol) -> str:
    return f"{s.name} >= {s.lo}" if s.hi is None else f"{s.lo} <= {s.name} <= {s.hi}"


def node_text(node: Node, names: Names | None = None, where: bool = True) -> str:
    """One node as its line of the graph's text."""

    def arg(a: Any) -> str:
        return (f"%{names[a]}" if names is not None and a in names else str(a)) if isinstance(a, Value) else attr_text(a)

    left = ", ".join(arg(r) for r in node.results)
    types = ", ".join(str(r.type) for r in node.results)
    attrs = ", ".join(f"{k}={attr_text(v)}" for k, v in sorted(node.attrs.items()))
    text = f"{left} : {types} = {node.op.name}({', '.join(map(arg, node.args))})" + (f" {{{attrs}}}" if attrs else "")
    return f"{text}  # {node.where}" if where and node.where else text


def attr_text(x: Any) -> str:
    """A static value: number, string, dtype, Size, None, or a tuple of these."""
    if isinstance(x, tuple):
        return f"({','.join(map(attr_text, x))}{',' if len(x) == 1 else ''})"
    if isinstance(x, DType):
        return x.short
    return str(x) if isinstance(x, Expr) else repr(x)


def parse_attr(text: str) -> Any:
    """The static value that `attr_text` wrote as `text`; sizes in it are constants."""
    return _Reader().static(text)


def _view(source: str, view: View) -> str:
    return f"view(%{source}, offset={view.offset}, shape={attr_text(view.shape)}, strides={attr_text(view.strides)})"


def _output(out: Output, names: Names) -> str:
    value = f"%{names[out.value]}"
    if out.source is None:
        return value
    seen = f"input(%{names[out.source]})" if out.view is None else _view(names[out.source], out.view)
    return seen if out.value is out.source else f"{value} as {seen}"


# Parsing. Every line splits at separators that lie outside brackets and strings, so no tokenizer is needed.

_OPEN, _CLOSE = "([{", ")]}"
_MADE = " made"  # behind the bounds of a symbol that a node settles
_HEAD = re.compile(r"graph ([\w.]+)(\(.*\))(?: where (.*))?:")
_NODE = re.compile(r"(%[^:]+) : (.*)")
_CALL = re.compile(r"([\w.]+)(\(.*)")
_TYPE = re.compile(r"(\w+)\[(.*?)\](?:@\((.*)\))?")
_BOUND = re.compile(r"(?:(\d+) <= )?(\w+)(?: (<=|>=) (.*))?")
_WHERE = re.compile(r"(.*):(\d+)")


def split_top(text: str, separator: str = ",") -> list[str]:
    """The parts of `text` between separators outside brackets and strings, stripped; an empty last part is dropped."""
    parts, depth, quote, start, i = [], 0, "", 0, 0
    while i < len(text):
        c = text[i]
        if quote:
            i += c == "\\"
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        elif depth == 0 and text.startswith(separator, i):
            parts.append(text[start:i].strip())
            start = i = i + len(separator)
            continue
        else:
            depth += (c in _OPEN) - (c in _CLOSE)
        i += 1
    last = text[start:].strip()
    return parts + [last] if last else parts


def _bracketed(text: str) -> tuple[str, str]:
    """(inside, rest) of a text that starts with a bracket."""
    depth, quote, i = 0, "", 0
    while i < len(text):
        c = text[i]
        if quote:
            i += c == "\\"
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        else:
            depth += (c in _OPEN) - (c in _CLOSE)
            if depth == 0:
                return text[1:i], text[i + 1 :].strip()
        i += 1
    raise ParseError(f"a bracket is not closed: {text!r}")


def parse_graph(text: str) -> Graph:
    """The graph printed as `text`. ParseError names the line that is not in the form."""
    lines = [line.strip() for line in text.strip().splitlines()]
    reader = _Reader()
    for line in lines:
        try:
            reader.line(line)
        except ParseError as e:
            raise ParseError(f"{e}\n  in the line: {line}") from None
        except (KeyError, ValueError, AttributeError, SyntaxError) as e:
            raise ParseError(f"not a line of a graph ({type(e).__name__}: {e})\n  in the line: {line}") from None
    return reader.graph()


class _Reader:
    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.symbols: dict[str, Expr] = {}
        self.made: set[str] = set()  # symbols that nodes settle
        self.builder: Builder | None = None
        self.outputs: list[Output] | None = None
        self.writes: list[WriteBack] = []

    def graph(self) -> Graph:
        if self.builder is None or self.outputs is None:
            raise ParseError("a graph starts with a line `graph name(...):` and ends with `return` and `write` lines")
        return self.builder.finish(self.outputs, self.writes, tuple(name for name in self.symbols if name not in self.made))

    def line(self, line: str) -> None:
        if self.builder is None:
            self.head(line)
        elif line.startswith("%") and self.outputs is None:
            self.node(line)
        elif line == "return" or (line.startswith("return ") and self.outputs is None):
            self.outputs = [self.output(part) for part in split_top(line[7:])]
        elif line.startswith("write ") and self.outputs is not None:
            self.write(line[6:])
        elif line and not line.startswith("#"):
            raise ParseError("neither a node nor a return nor a write in its place")

    def head(self, line: str) -> None:
        m = _HEAD.fullmatch(line)
        if m is None:
            raise ParseError("a graph starts with `graph name(%x: type, ...) where ...:`")
        self.builder = Builder(m[1])
        for part in split_top(m[3] or ""):
            self.bound(part)
        for part in split_top(_bracketed(m[2])[0]):
            name, _, type_text = part.partition(": ")
            self.define(name, self.builder.input(self.type(type_text), name[1:]))

    def bound(self, text: str) -> None:
        made = text.endswith(_MADE)
        m = _BOUND.fullmatch(text.removesuffix(_MADE))
        if m is None:
            raise ParseError(f"not a bound of a symbol: {text!r}")
        lo, name, sign, rest = m.groups()
        upper = self.size(rest) if sign == "<=" else None
        self.symbols[name] = sizes.symbol(name, int(rest if sign == ">=" else lo or 0), upper)
        if made:
            self.made.add(name)

    def define(self, name: str, value: Value) -> None:
        if not name.startswith("%") or name in self.values:
            raise ParseError(f"{name!r} is not a new value's name")
        self.values[name] = value

    def value(self, name: str) -> Value:
        if name not in self.values:
            raise ParseError(f"{name} is not defined above")
        return self.values[name]

    def size(self, text: str) -> Size:
        return size_text.parse(text, self.symbols)

    def type(self, text: str) -> Type:
        m = _TYPE.fullmatch(text)
        if m is None:
            if text in ("bool", "int", "float"):
                return ScalarType(text)
            raise ParseError(f"not a type: {text!r}")
        shape = tuple(self.size(p) for p in split_top(m[2]))
        strides = contiguous_strides(shape) if m[3] is None else tuple(self.size(p) for p in split_top(m[3]))
        return TensorType(shape, dtypes.lookup(m[1]), strides)

    def node(self, line: str) -> None:
        body, *comment = split_top(line, "  # ")
        left, call = split_top(body, " = ")
        m = _NODE.fullmatch(left)
        c = _CALL.fullmatch(call)
        if m is None or c is None:
            raise ParseError("a node is `%name : type = op(...) {attr=value}`")
        args, rest = _bracketed(c[2])
        attrs = dict(p.split("=", 1) for p in split_top(_bracketed(rest)[0])) if rest else {}
        place = _WHERE.fullmatch(comment[0]) if comment else None
        assert self.builder is not None
        results = tuple(Value(self.type(t), n[1:], self.builder) for n, t in zip(split_top(m[1]), split_top(m[2]), strict=True))
        self.builder.nodes.append(Node(
            op.lookup(c[1]), tuple(self.static(a) for a in split_top(args)), {k: self.static(v) for k, v in attrs.items()},
            results, Where(place[1], int(place[2])) if place else None,
        ))  # fmt: skip
        for value in results:
            self.define(f"%{value.name}", value)

    def static(self, text: str) -> Any:
        if text.startswith("%"):
            return self.value(text)
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if text[:1] in ("'", '"'):
            return ast.literal_eval(text)
        if re.search(r"[\d.nf]j\)?$", text):
            return complex(text)
        if text.startswith("("):
            inside, rest = _bracketed(text)
            parts = split_top(inside)
            if not rest and (not parts or len(parts) > 1 or inside.rstrip().endswith(",")):
                return tuple(self.static(p) for p in parts)
        try:
            return float(text) if re.search(r"\d[.e]|^-?(inf|nan)$", text) else int(text)
        except ValueError:
            return self.size(text)

    def seen(self, text: str) -> tuple[Value, View | None]:
        """The input, and the window on it, of `input(%x)` or `view(%x, offset=..., shape=..., strides=...)`."""
        inside, _ = _bracketed(text[text.index("(") :])
        name, *rest = split_top(inside)
        if text.startswith("input("):
            return self.value(name), None
        parts = {k: self.static(v) for k, v in (p.split("=", 1) for p in rest)}
        return self.value(name), View(parts["offset"], parts["shape"], parts["strides"])

    def output(self, text: str) -> Output:
        value, _, seen = text.rpartition(" as ")
        if not value and seen.startswith("%"):
            return Output(self.value(seen))
        source, view = self.seen(seen)
        return Output(self.value(value) if value else source, source, view)

    def write(self, text: str) -> None:
        target, rest = split_top(text, " = ")
        value, _, position = rest.partition(" at ")
        source, view = (self.value(target), None) if target.startswith("%") else self.seen(target)
        self.writes.append(WriteBack(source, self.value(value), int(position), view))


_CONSTANTS: dict[str, Any] = {"None": None, "True": True, "False": False} | {d.short: d for d in dtypes.EVERY}
