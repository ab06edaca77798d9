"""How much one kernel may hold: code generation takes more than its share of time where one loop has hundreds of ops or sources.

Decides nothing about what fits together; it only says where a kernel that would grow on ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .graph import Builder, Graph, Node, Value
from .op import Move, lookup
from .types import TensorType

#: Ops that a kernel takes in before it leaves long computations to a kernel of their own.
MAX_OPS = 128
#: What counts as long: so many ops behind one value. Shorter ones stay with their reader, however many it has.
LONG = 32
#: Sources among which one kernel chooses at every element.
MAX_SOURCES = 24

_MANY = 1 << 20


def lengths(graph: Graph) -> dict[Value, int]:
    """For each value the number of ops behind it, those on several ways counted once a way, up to a bound."""
    found: dict[Value, int] = {}
    for node in graph.nodes:
        own = 1 + sum(found.get(a, 0) for a in node.args if isinstance(a, Value))
        found.update(dict.fromkeys(node.results, min(own, _MANY)))
    return found


def is_full(taken: int, node: Node, length: Mapping[Value, int]) -> bool:
    """Whether a kernel that has `taken` so many ops leaves `node` to another one."""
    return taken >= MAX_OPS and length.get(node.results[0], 0) >= LONG


def joined_in_turn(node: Node, builder: Builder, args: tuple[Any, ...]) -> Any:
    """cat of many -> cat of cats, of about as many parts as each part has; None for all else."""
    many = len(args)
    if node.op is not lookup("cat") or many <= MAX_SOURCES or any(len(a.shape) != len(node.results[0].shape) for a in args):
        return None  # (empty vectors among others are ignored: they have no place in a part)
    levels = 2
    while MAX_SOURCES**levels < many:
        levels += 1
    inner = max(2, round(many ** ((levels - 1) / levels)))
    while -(-many // inner) > MAX_SOURCES:
        inner += 1
    parts = [args[i : i + inner] for i in range(0, many, inner)]
    made = [builder.emit(node.op, part, node.attrs) if len(part) > 1 else part[0] for part in parts]
    return builder.emit(node.op, tuple(made), node.attrs)


def crowded(graph: Graph) -> list[Value]:
    """Values to store, so that no kernel chooses among more than `MAX_SOURCES` sources: cats inside of larger cats."""
    sources: dict[Value, int] = {}
    out: list[Value] = []
    for node in graph.nodes:
        if not isinstance(node.op.lowering, Move):
            continue
        operands = [a for a in node.args if isinstance(a, Value) and isinstance(a.type, TensorType)]
        count = sum(sources.get(a, 1) for a in operands)
        if count > MAX_SOURCES:
            inner = [a for a in dict.fromkeys(operands) if sources.get(a, 1) > 1]
            out += inner
            count = sum(1 if a in inner else sources.get(a, 1) for a in operands)
        sources.update(dict.fromkeys(node.results, max(1, count)))
    return list(dict.fromkeys(out))
