"""A scalar function (`ir.body`) as lines of Triton's text on blocks of scores: rows of queries, columns of keys.

Numbers of queries and keys have 32 bits here. Elements of tensors from outside are read where they are within bounds; out of them
0 is read, which no score that counts depends on as long as the function is right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...ir import body as bodies
from ...ir import dtypes
from ...ir.dtypes import DType
from ...ir.graph import Builder, Node, Value
from ...ir.loops import Compute, Const
from ...ir.op import Decompose, Op
from ...ir.promote import promoted
from ...ir.scalar_numpy import compute_dtype as scalar_dtype
from ...ir.schedule_scalars import Block, KernelScalars, compute_dtype
from ...ir.schedule_scalars import Names as Scalars
from ...ir.types import ScalarType, TensorType
from . import scalar
from .names import Text

#: over which dimensions of a block a value varies: r queries, c keys
ROWS, COLUMNS = frozenset("r"), frozenset("c")
BOTH, NONE = ROWS | COLUMNS, frozenset[str]()
_ARGUMENTS = {"score": (dtypes.float32, "raw", BOTH), "b": (dtypes.int32, "b32", NONE), "h": (dtypes.int32, "h32", NONE),
              "q": (dtypes.int32, "row32[:, None]", ROWS), "kv": (dtypes.int32, "key32[None, :]", COLUMNS)}  # fmt: skip
#: texts of numbers of batch, head, queries and keys: they are never negative
LINES = frozenset(text for name, (_, text, _) in _ARGUMENTS.items() if name != "score")


class _Builder(Builder):
    """Composites are what they are made of."""

    def emit(self, op: Op, operands: Any, attrs: dict[str, Any], where: Any = None) -> Any:
        if isinstance(op.lowering, Decompose):
            return op.lowering.fn(*promoted(op, tuple(operands)), **attrs)
        return super().emit(op, operands, attrs, where)


@dataclass(frozen=True, slots=True)
class Read:
    """One element of tensor `table` at `positions`; `value`: what stands for it in the graph."""

    table: int
    positions: tuple[Any, ...]
    value: Value


@dataclass(slots=True)
class Function:
    """A function on 0-d values of a graph, and its derivative. `kinds`: of the operands from outside (`flex.Functions`)."""

    body: bodies.Body
    kinds: tuple[Any, ...]
    reads: dict[str, Read] = field(default_factory=dict)
    inputs: dict[Value, str] = field(default_factory=dict)
    builder: _Builder = field(default_factory=_Builder)
    made: dict[str, Any] = field(default_factory=dict)

    def run(self) -> Any:
        """The result: a value, or a number."""
        env: dict[str, Any] = {name: self._input(name, dtype) for name, (dtype, _, _) in _ARGUMENTS.items()}
        for i, kind in enumerate(self.kinds):
            env[f"c{i}"] = kind if isinstance(kind, (bool, int, float)) else self._input(f"c{i}", kind)
        self.made = bodies.run(self.body, env, env["score"], 0, self._read)
        return self.made[self.body.result] if isinstance(self.body.result, str) else self.body.result

    def _input(self, name: str, kind: DType | str) -> Value:
        value = self.builder.input(ScalarType(kind) if isinstance(kind, str) else TensorType((), kind, ()), name)
        self.inputs[value] = name
        return value

    def _read(self, name: str, positions: list[Any]) -> Value:
        kind = self.kinds[int(name[1:])]
        assert isinstance(kind, DType)
        value = self.builder.input(TensorType((), kind, ()), f"read{len(self.reads)}")
        self.reads[value.name] = Read(int(name[1:]), tuple(positions), value)
        return value

    def pulled(self, tables: tuple[int, ...]) -> tuple[Any, list[tuple[Read, Any]]]:
        """(gradient of the score, gradients of what is read of `tables`) for the gradient ``away`` of the result."""
        away = self._input("away", dtypes.float32)
        names = {"score", *(f"c{i}" for i in tables)}
        made = {**self.made, **{f"c{i}": _Float() for i in tables}}
        grads = bodies.pull(self.body, made, away, names.__contains__, 0, gather=False)
        of_value = {read.value: read for read in self.reads.values()}
        found = [(of_value[self.made[n]], g) for n, g in grads.items() if n.isdigit() and self.made[n] in of_value]
        return grads.get("score"), [(read, g) for read, g in found if read.table in tables]


class _Float:
    """Stands for a tensor from outside that has a gradient."""

    dtype = dtypes.float32


@dataclass(slots=True)
class Lines:
    """Prints values of a Function, each once. `say`: takes a line; `load`: the text of a read, of (read, texts of positions);
    `prefix`: of names."""

    function: Function
    say: Callable[..., None]
    load: Callable[[Read, list[Text]], Text]
    prefix: str
    texts: dict[Any, Text] = field(default_factory=dict)
    scalars: Scalars = field(default_factory=Scalars)
    block: Block = field(default_factory=lambda: Block(None, frozenset()))
    of_name: dict[str, Text] = field(default_factory=dict)
    printed: int = 0

    def text(self, value: Any) -> Text:
        """What a value or number is called."""
        if not isinstance(value, Value):
            kind = dtypes.bool_ if isinstance(value, bool) else dtypes.int32 if isinstance(value, int) else dtypes.float32
            return Text(scalar.literal(value, kind), kind, NONE, value)
        if value not in self.texts:
            self.texts[value] = self._made(value)
        return self.texts[value]

    def _made(self, value: Value) -> Text:
        read = self.function.reads.get(value.name)
        if read is not None and read.value is value:
            return self.named(self.load(read, [self.text(p) for p in read.positions]))
        name = self.function.inputs.get(value)
        if name is not None:
            if name == "away":
                return Text("away", dtypes.float32, BOTH)
            if name in _ARGUMENTS:
                dtype, text, dims = _ARGUMENTS[name]
                return Text(text, dtype, dims)
            kind = dtypes.float64 if str(value.type) == "float" else dtypes.int64
            return Text(name, kind, NONE)
        node = next(n for n in self.function.builder.nodes if value in n.results)
        return self._node(node)

    def named(self, made: Text) -> Text:
        """A line for `made`."""
        name = f"{self.prefix}{self.printed}"
        self.printed += 1
        self.say(f"{name} = {made.text}")
        return Text(name, made.dtype, made.dims)

    def _node(self, node: Node) -> Text:
        """One op: its scalar expression, statement by statement."""
        results = [r.tensor_type for r in node.results]
        dtype = scalar_dtype(node.op, [getattr(a, "type", a) for a in node.args], results)
        s = KernelScalars(self.scalars, self.block, node.op, dtype, lambda n: self._fresh(Text(str(n), dtypes.int64)), (),
                          lambda ok, message, kind: None, None)  # fmt: skip
        xs: list[Any] = []
        for a in node.args:
            if not isinstance(a, Value):
                xs.append(None if a is None else s.const(a, dtype))
                continue
            name = self._fresh(self.text(a))
            xs.append(s.cast(name, dtype) if isinstance(a.type, ScalarType) else name)
        out = node.op.lowering.fn(s, *xs, **node.attrs)  # type: ignore[union-attr]
        out = s.cast(out, results[0].dtype) if results[0].dtype.is_half or not isinstance(out, str) else out
        if results[0].dtype.is_half:
            out = s.cast(out, dtypes.float32)
        self._flush()
        return self.of_name[out]

    def _fresh(self, text: Text) -> str:
        """A name of the scalar builder for a text."""
        found = next((n for n, t in self.of_name.items() if t is text), None)
        if found is None:
            found = self.scalars.fresh(compute_dtype(text.dtype))
            if text.constant is not None:
                self.scalars.literal[found] = text.constant
            self.of_name[found] = text
        return found

    def _flush(self) -> None:
        """The statements that are not printed yet."""
        for statement in self.block.out:
            if statement.dest in self.of_name:  # type: ignore[union-attr]
                continue
            if isinstance(statement, Const):
                text = Text(scalar.literal(statement.value, statement.dtype), statement.dtype, NONE, statement.value)
                self.of_name[statement.dest] = text
            elif isinstance(statement, Compute):
                self.of_name[statement.dest] = self._compute(statement)

    def _compute(self, s: Compute) -> Text:
        values = [self.of_name[a] for a in s.args]
        if all(v.constant is not None and not v.dtype.is_half for v in values) and not s.dtype.is_half:
            value = scalar.folded(s.prim, s.dtype, values)
            return Text(scalar.literal(value, s.dtype), s.dtype, NONE, value)
        dims = frozenset[str]().union(*(v.dims for v in values))
        plain = s.prim in scalar.INLINE and any(v.constant is None for v in values[s.prim == "select" :])
        args = tuple(scalar.inline(v.constant, v.dtype) if plain and v.constant is not None else v.text for v in values)
        return self.named(Text(scalar.compute(s.prim, s.dtype, values[-1].dtype, args), s.dtype, dims))
