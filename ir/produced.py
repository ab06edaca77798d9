"""A node's attributes at a run, and the sizes that its results settle. Runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import sizes
from .graph import Node, produced


def attributes(node: Node, bound: Mapping[str, int]) -> dict[str, Any]:
    """A node's attributes at a run; the one that names a size which its result settles is None."""
    own = node.op.binds if produced(node) is not None else ""
    return {k: None if k == own else concrete(v, bound) for k, v in node.attrs.items()}


def bind_produced(node: Node, results: Sequence[Any], bound: dict[str, int]) -> None:
    """Note in `bound` the size that a node's results settle, if they do."""
    name = produced(node)
    if name is not None:
        bound[name] = results[0].shape[0]


def concrete(x: Any, bound: Mapping[str, int]) -> Any:
    """An attribute with every Size in it replaced by its number."""
    if isinstance(x, tuple):
        return tuple(concrete(item, bound) for item in x)
    return sizes.evaluate(x, bound) if isinstance(x, sizes.Expr) else x
