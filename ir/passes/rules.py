"""What a rewrite rule sees and gives, and the engine that applies a table of them in one walk over a graph.

The rules themselves are in `canonicalise.py`. A right side whose type differs from the left's, strides included, is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Union

from ...errors import FusewireError
from ..graph import Builder, Graph, Node, Value, rewrite, same_types
from ..lazyclass import dataclass
from ..op import Op, lookup


@dataclass(frozen=True, slots=True)
class Call:
    """A right side that is a new call. Its op may have no further rules applied but those of the table."""

    op: str
    args: tuple[Any, ...]
    attrs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Match:
    """The left side: a call that is about to be appended. ``m[i]`` is operand i; `inner` is the node that made it."""

    op: Op
    args: tuple[Any, ...]
    attrs: dict[str, Any]
    made_by: dict[Value, Node]

    def __getitem__(self, i: int) -> Any:
        return self.args[i]

    def operand(self, i: int) -> Value | None:
        """Operand `i` where it is a value of the graph."""
        x = self.args[i]
        return x if isinstance(x, Value) else None

    def number(self, i: int) -> Any:
        """The Python number that operand `i` is, or every element of which it is (`full` and views of it); else None."""
        x = self.args[i]
        while isinstance(x, Value):
            node = self.made_by.get(x)
            if node is None or not (node.op is lookup("full") or node.op.effects.aliases == 0):
                return None
            x = node.args[0]
        return x

    def inner(self, i: int, name: str) -> Node | None:
        """The node that made operand `i`, if it is a call of the op `name`."""
        x = self.args[i]
        node = self.made_by.get(x) if isinstance(x, Value) else None
        return node if node is not None and node.op.name == name else None


Right = Union[Value, Call, None]


@dataclass(frozen=True, slots=True)
class Rule:
    """`apply` sees calls of `ops` and gives the right side, or None where the rule does not hold."""

    name: str
    ops: tuple[str, ...]
    apply: Callable[[Match], Right]


def rule(table: list[Rule], *ops: str) -> Callable[[Callable[[Match], Right]], Callable[[Match], Right]]:
    """Enter a function into `table` under its own name, for calls of `ops`."""

    def enter(apply: Callable[[Match], Right]) -> Callable[[Match], Right]:
        table.append(Rule(apply.__name__, ops, apply))
        return apply

    return enter


def apply_rules(graph: Graph, rules: Sequence[Rule], fired: Counter[str] | None = None) -> Graph:
    """`graph` with each call replaced by what the first rule that holds says, until none does; `graph` itself where none
    holds anywhere. `fired` counts applications by name."""
    return _Rewriter(rules, fired).run(graph)


class _Rewriter:
    def __init__(self, rules: Sequence[Rule], fired: Counter[str] | None) -> None:
        self.by_op: dict[str, list[Rule]] = {}
        for r in rules:
            for name in r.ops:
                self.by_op.setdefault(name, []).append(r)
        self.fired = fired
        self.made_by: dict[Value, Node] = {}
        self.changed = False

    def run(self, graph: Graph) -> Graph:
        made = rewrite(graph, self.visit)
        return made if self.changed else graph

    def visit(self, node: Node, builder: Builder, args: tuple[Any, ...]) -> Any:
        call = Call(node.op.name, args, node.attrs)
        wanted = node.results[0].type
        while (right := self.step(call, wanted)) is not None:
            self.changed = True
            if isinstance(right, Value):
                return right
            call = right
        if call.op == node.op.name and call.attrs is node.attrs and same_types(call.args, node.args):
            made: Any = builder.copy(node, call.args)
        else:
            made = builder.emit(lookup(call.op), call.args, call.attrs, node.where)
        self.made_by.update((r, builder.nodes[-1]) for r in builder.nodes[-1].results)
        return made

    def step(self, call: Call, wanted: Any) -> Right:
        """The right side of the first rule that holds and keeps the type."""
        for r in self.by_op.get(call.op, ()):
            right = r.apply(Match(lookup(call.op), call.args, call.attrs, self.made_by))
            if right is not None and _type(right) == wanted:
                if self.fired is not None:
                    self.fired[r.name] += 1
                return right
        return None


def _type(right: Any) -> Any:
    if isinstance(right, Value):
        return right.type
    if not isinstance(right, Call):
        return None
    types = [a.type if isinstance(a, Value) else a for a in right.args]
    try:
        return lookup(right.op).infer(*types, **right.attrs)[0]
    except FusewireError:
        return None  # for instance a view of a view that strides do not allow in one step
