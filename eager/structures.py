"""Nested containers of Tensors: flattened to a list, and built again of another one."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any

Build = Callable[[list[Any]], Any]


def flatten(tree: Any) -> tuple[list[Any], Build]:
    """(leaves in order, a function of as many leaves to the same structure). Tuples, named tuples, lists and dicts open."""
    kind = type(tree)
    if kind in (dict, OrderedDict, defaultdict):
        keys, items = list(tree), list(tree.values())
        copy: Any = (lambda pairs: defaultdict(tree.default_factory, pairs)) if kind is defaultdict else kind
        return _joined(items, lambda made: copy(zip(keys, made, strict=True)))
    if kind is list:
        return _joined(tree, list)
    if isinstance(tree, tuple):
        return _joined(list(tree), (lambda made: kind(*made)) if hasattr(kind, "_fields") else tuple)
    return [tree], lambda leaves: leaves[0]


def _joined(items: list[Any], make: Callable[[list[Any]], Any]) -> tuple[list[Any], Build]:
    parts = [flatten(x) for x in items]

    def build(leaves: list[Any]) -> Any:
        made, at = [], 0
        for own, part in parts:
            made.append(part(leaves[at : at + len(own)]))
            at += len(own)
        return make(made)

    return [x for own, _ in parts for x in own], build


def mapped(fn: Callable[[Any], Any], tree: Any) -> Any:
    """The same structure with `fn` of each leaf."""
    leaves, build = flatten(tree)
    return build([fn(x) for x in leaves])


def spread(prefix: Any, tree: Any, what: str) -> list[Any]:
    """One value of `prefix` for each leaf of `tree`: `prefix` is one for all, or a structure whose leaves may stand for whole
    parts of `tree`. ValueError, which calls it `what`, where the two do not fit."""
    if prefix is None or isinstance(prefix, int):
        return [prefix] * len(flatten(tree)[0])
    if isinstance(prefix, (tuple, list)) and isinstance(tree, (tuple, list)) and len(prefix) == len(tree):
        return [v for p, t in zip(prefix, tree, strict=True) for v in spread(p, t, what)]
    if isinstance(prefix, dict) and isinstance(tree, dict) and prefix.keys() == tree.keys():
        return [v for k in tree for v in spread(prefix[k], tree[k], what)]
    raise ValueError(f"{what}={prefix!r} has another structure than what it is for, a {type(tree).__name__}")
