"""``torch.utils._pytree``: containers taken apart into leaves and put together again. Lists, tuples, named tuples, dicts, ordered
dicts, deques and what `register_pytree_node` was told are containers; anything else is a leaf."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

__all__ = [
    "LeafSpec", "PyTree", "TreeSpec", "register_pytree_node", "tree_all", "tree_any", "tree_flatten", "tree_iter", "tree_leaves",
    "tree_map", "tree_map_", "tree_map_only", "tree_structure", "tree_unflatten",
]  # fmt: skip

PyTree = Any
Leaf = Callable[[Any], bool] | None


class TreeSpec:
    """The shape of a tree: the class of its container, what that needs beside its children, and their specs."""

    __slots__ = ("children_specs", "context", "num_leaves", "type")
    num_leaves: int

    def __init__(self, type: Any, context: Any, children_specs: list[TreeSpec]) -> None:
        self.type, self.context, self.children_specs = type, context, children_specs
        self.num_leaves = sum(c.num_leaves for c in children_specs) if type is not None else 1

    num_nodes = property(lambda self: 1 + sum(c.num_nodes for c in self.children_specs), doc="Containers and leaves.")
    num_children = property(lambda self: len(self.children_specs), doc="Children of the outermost container.")

    def is_leaf(self) -> bool:
        """Whether the tree is one leaf."""
        return self.type is None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TreeSpec):
            return NotImplemented
        return (self.type, self.context, self.children_specs) == (other.type, other.context, other.children_specs)

    def __hash__(self) -> int:
        return hash((self.type, self.num_leaves, len(self.children_specs)))

    def __repr__(self) -> str:
        return "*" if self.type is None else f"TreeSpec({self.type.__name__}, {self.context}, {self.children_specs})"


def LeafSpec() -> TreeSpec:
    """The shape of one leaf."""
    return TreeSpec(None, None, [])


Flatten = Callable[[Any], tuple[Iterable[Any], Any]]
Unflatten = Callable[[Iterable[Any], Any], Any]


def _plain_dict(d: dict[Any, Any]) -> tuple[Iterable[Any], Any]:
    return d.values(), list(d)


_NODES: dict[type, tuple[Flatten, Unflatten]] = {
    list: (lambda x: (x, None), lambda children, _: list(children)),
    tuple: (lambda x: (x, None), lambda children, _: tuple(children)),
    dict: (_plain_dict, lambda children, keys: dict(zip(keys, children, strict=True))),
    OrderedDict: (_plain_dict, lambda children, keys: OrderedDict(zip(keys, children, strict=True))),
    defaultdict: (
        lambda d: (d.values(), [d.default_factory, list(d)]),
        lambda children, kept: defaultdict(kept[0], zip(kept[1], children, strict=True)),
    ),
    deque: (lambda d: (d, d.maxlen), lambda children, maxlen: deque(children, maxlen)),
}


def register_pytree_node(cls: type, flatten_fn: Flatten, unflatten_fn: Unflatten, **names: Any) -> None:
    """Make `cls` a container: ``flatten_fn(x)`` gives (children, context), ``unflatten_fn(children, context)`` the object."""
    if cls in _NODES:
        raise ValueError(f"{cls} is already registered as pytree node")
    _NODES[cls] = flatten_fn, unflatten_fn


def _node(x: Any) -> tuple[Any, Flatten, Unflatten] | None:
    found = _NODES.get(type(x))
    if found is not None:
        return type(x), *found
    if isinstance(x, tuple) and hasattr(type(x), "_fields"):
        return type(x), lambda t: (t, type(t)), lambda children, cls: cls(*children)
    return None


def tree_flatten(tree: PyTree, is_leaf: Leaf = None) -> tuple[list[Any], TreeSpec]:
    """(leaves, spec): `tree_unflatten` makes the tree of them again."""
    leaves: list[Any] = []
    return leaves, _walk(tree, leaves, is_leaf)


def _walk(tree: Any, leaves: list[Any], is_leaf: Leaf) -> TreeSpec:
    node = None if is_leaf is not None and is_leaf(tree) else _node(tree)
    if node is None:
        leaves.append(tree)
        return LeafSpec()
    children, context = node[1](tree)
    return TreeSpec(node[0], context, [_walk(c, leaves, is_leaf) for c in children])


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> PyTree:
    """The tree of these leaves; ValueError where their number is another one."""
    given = list(leaves)
    if not isinstance(treespec, TreeSpec):
        raise TypeError(f"tree_unflatten(leaves, treespec): treespec is a TreeSpec, not {type(treespec).__name__}")
    if len(given) != treespec.num_leaves:
        raise ValueError(f"tree_unflatten(leaves, treespec): `leaves` has length {len(given)} but the spec refers to a pytree "
                         f"that holds {treespec.num_leaves} items ({treespec}).")  # fmt: skip
    return _build(iter(given), treespec)


def _build(leaves: Any, spec: TreeSpec) -> Any:
    if spec.type is None:
        return next(leaves)
    children = [_build(leaves, c) for c in spec.children_specs]
    found = _NODES.get(spec.type)
    return found[1](children, spec.context) if found is not None else spec.type(*children)


def tree_leaves(tree: PyTree, is_leaf: Leaf = None) -> list[Any]:
    """The leaves, in order."""
    return tree_flatten(tree, is_leaf)[0]


def tree_iter(tree: PyTree, is_leaf: Leaf = None) -> Iterable[Any]:
    """The leaves, in order, as an iterator."""
    return iter(tree_leaves(tree, is_leaf))


def tree_structure(tree: PyTree, is_leaf: Leaf = None) -> TreeSpec:
    """The spec alone."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func: Callable[..., Any], tree: PyTree, *rests: PyTree, is_leaf: Leaf = None) -> PyTree:
    """The tree of ``func(leaf, *leaves of the same place)``; ValueError where the trees' shapes differ."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [tree_flatten(r, is_leaf) for r in rests]
    for _, other in others:
        if other != spec:
            raise ValueError(f"trees of different shapes: {spec} and {other}")
    return tree_unflatten([func(*xs) for xs in zip(leaves, *[o[0] for o in others], strict=True)], spec)


def tree_map_(func: Callable[..., Any], tree: PyTree, *rests: PyTree, is_leaf: Leaf = None) -> PyTree:
    """Call `func` on the leaves for its effects; gives the tree itself."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def tree_map_only(kinds: Any, func: Callable[[Any], Any], tree: PyTree, is_leaf: Leaf = None) -> PyTree:
    """`tree_map` over the leaves of these classes (or for which the function `kinds` says yes); others stay."""
    chosen = kinds if callable(kinds) and not isinstance(kinds, type) else lambda x: isinstance(x, kinds)
    return tree_map(lambda x: func(x) if chosen(x) else x, tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: PyTree, is_leaf: Leaf = None) -> bool:
    """Whether `pred` holds of all leaves."""
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: PyTree, is_leaf: Leaf = None) -> bool:
    """Whether `pred` holds of some leaf."""
    return any(map(pred, tree_leaves(tree, is_leaf)))
