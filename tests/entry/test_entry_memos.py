"""Guards that are remembered by words of memory: after every change of anything they rest on, native equals oracle."""

from __future__ import annotations

import gc
import random
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fusewire.runtime import guard as g
from fusewire.runtime import source as s
from fusewire.runtime.meta import Meta

sys.path.insert(0, str(Path(__file__).parent))
from entry_kit import Parameter, Tensor, floats, guarded, small_classes  # noqa: F401

X = s.Arg(0, "x")


def one(x: Any) -> Any:
    return "missed"


class Node:
    """An object whose dict is its own, as nn.Module's is: remembered on every Python."""

    def __init__(self, **values: Any) -> None:
        self.__dict__ = dict(values)


class Inline:
    """An ordinary object: from 3.13 on its dict shares its fields."""

    def __init__(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self, name, value)


class Slots:
    __slots__ = ("here",)

    def __init__(self, here: Any) -> None:
        self.here = here


class Other(Node):
    pass


def field(base: s.Source, name: str) -> s.Item:
    return s.Item(s.InstanceDict(base), name)


P, Q, R, S = floats(4), floats(8), floats(4), floats(4)
META_P, META_Q = (Meta.of((n,), (1,), P.meta.dtype) for n in (4, 8))


def tree(cls: type) -> Any:
    leaf = cls(p=P, q=Q, table={"p": R, "q": Q}, number=1.5, flag=True, name="leaf")
    items: Any = [S, 2, Q]
    return cls(left=leaf, right=cls(p=P, extra=None), items=items, pair=(P, (1, 2)), slots=Slots(P), steps=0)


def guards_of(cls: type) -> list[g.Guard]:
    left, right, slots = field(X, "left"), field(X, "right"), field(X, "slots")
    table, items, pair = field(left, "table"), field(X, "items"), field(X, "pair")
    return [
        g.TypeIs(X, cls), g.TypeIs(left, cls), g.Lacks(s.InstanceDict(left), "forward"), g.TypeIs(table, dict),
        g.KeysAre(table, ("p", "q")), g.TensorIs(s.Item(table, "p"), Tensor, META_P),
        g.TensorIs(s.Item(table, "q"), Tensor, META_Q), g.TensorIs(field(left, "p"), Tensor, META_P),
        g.Equals(field(left, "number"), 1.5), g.Equals(field(left, "flag"), True), g.Equals(field(left, "name"), "leaf"),
        g.TypeIs(right, cls), g.Is(field(right, "p"), P), g.Equals(field(right, "extra"), None),
        g.Lacks(s.InstanceDict(right), "forward"),
        g.TypeIs(items, list), g.LengthIs(items, 3), g.TensorIs(s.Item(items, 0), Tensor, META_P),
        g.Equals(s.Item(items, 1), 2), g.Is(s.Item(items, 2), Q),
        g.TypeIs(pair, tuple), g.LengthIs(pair, 2), g.Is(s.Item(pair, 0), P), g.TypeIs(s.Item(pair, 1), tuple),
        g.Equals(s.Item(s.Item(pair, 1), 1), 2),
        g.TypeIs(slots, Slots), g.Is(s.Attr(slots, "here"), P),
    ]  # fmt: skip


CHANGES: dict[str, Any] = {
    "add": lambda x, r: setattr(r.choice([x.left, x.right]), "forward", 1),
    "remove": lambda x, r: vars(r.choice([x.left, x.right])).pop("forward", None),
    "unrelated": lambda x, r: setattr(x, "steps", x.steps + 1),
    "tensor": lambda x, r: setattr(x.left, "p", r.choice([P, Q, floats(4), floats(4)])),
    "number": lambda x, r: setattr(x.left, "number", r.choice([1.5, 2.5, float("1.5")])),
    "flag": lambda x, r: setattr(x.left, "flag", r.choice([True, False, 1])),
    "name": lambda x, r: setattr(x.left, "name", r.choice(["leaf", "".join(["le", "af"]), "root"])),
    "item": lambda x, r: x.left.table.__setitem__("p", r.choice([P, Q, floats(4)])),
    "order": lambda x, r: x.left.table.__setitem__("p", x.left.table.pop("p", P)),
    "both": lambda x, r: (x.left.table.clear(), x.left.table.update(p=P, q=Q)),
    "table": lambda x, r: setattr(x.left, "table", r.choice([{"p": P, "q": Q}, {"p": Q, "q": P}, {"p": P}])),
    "meta": lambda x, r: setattr(r.choice([P, R, S]), "meta", r.choice([META_P, META_Q])),
    "class": lambda x, r: setattr(x.left, "__class__", r.choice([type(x), Other])),
    "parameter": lambda x, r: setattr(r.choice([P, R, S]), "__class__", r.choice([Tensor, Parameter])),
    "child": lambda x, r: setattr(x, "left", r.choice([tree(type(x)).left, x.right, x.left])),
    "dict": lambda x, r: setattr(x.left, "__dict__", r.choice([dict(vars(x.left)), {"p": Q}, vars(tree(type(x)).left)])),
    "append": lambda x, r: x.items.append(P),
    "pop": lambda x, r: x.items.pop() if len(x.items) > 3 else None,
    "list item": lambda x, r: x.items.__setitem__(r.randrange(3), r.choice([P, Q, 2, 10**6])),
    "list": lambda x, r: setattr(x, "items", r.choice([[P, 2, Q], [Q, 2, P], (P, 2, Q)])),
    "tuple": lambda x, r: setattr(x, "pair", r.choice([(P, (1, 2)), (P, (1, 3)), (Q, (1, 2))])),
    "slot": lambda x, r: setattr(x.slots, "here", r.choice([P, Q])),
    "slots": lambda x, r: setattr(x, "slots", r.choice([Slots(P), Slots(Q), x.slots])),
    "collect": lambda x, r: gc.collect(0),
}  # fmt: skip


@pytest.mark.parametrize("cls", [Node, Inline])
@pytest.mark.parametrize("seed", range(6))
def test_random_changes(cls: type, seed: int) -> None:
    """1,000 calls between which something changes or changes back; the oracle says what each call must do."""
    rng, guards = random.Random(seed), guards_of(cls)
    call, variant = guarded(one, *guards)
    x, held = tree(cls), 0
    for turn in range(1000):
        change = rng.choice(list(CHANGES))
        with suppress(AttributeError, KeyError, IndexError, TypeError):  # what it would change is gone
            CHANGES[change](x, rng)
        if rng.random() < 0.4:
            x = tree(cls)
            for tensor in (P, R, S):
                tensor.meta, tensor.__class__ = META_P, Tensor
        expected = g.first_failure(guards, (x,)) is None
        held += expected
        for _ in range(2):
            assert (call(x) != "missed") is expected, (turn, change, variant.failed_guard((x,)))
    for tensor in (P, R, S):
        tensor.meta, tensor.__class__ = META_P, Tensor
    assert 100 < held < 900


def test_new_objects_at_old_addresses() -> None:
    """What died and what was made in its place look alike but for their content."""
    guards = guards_of(Node)
    call, _ = guarded(one, *guards)
    answers = set()
    for turn in range(600):
        x = tree(Node)
        assert call(x) != "missed"
        x.left = None
        x.left = Node(p=P, q=Q, table={"p": (P, Q)[turn % 2], "q": Q}, number=1.5, flag=True, name="leaf")
        expected = g.first_failure(guards, (x,)) is None
        assert (call(x) != "missed") is expected
        answers.add(expected)
        del x
    assert answers == {True, False}


def test_hot_stores_are_seen() -> None:
    """Specialised stores of the interpreter, a loop of its own for each, reach the guards."""
    for cls in (Node, Inline):
        x, left = tree(cls), field(X, "left")
        guards: list[g.Guard] = [
            g.TypeIs(X, cls), g.TypeIs(left, cls), g.Lacks(s.InstanceDict(left), "forward"), g.Is(field(left, "p"), P),
            g.Is(field(left, "q"), Q), g.Equals(field(left, "flag"), True),
        ]  # fmt: skip
        call, _ = guarded(one, *guards)
        node, seen = x.left, []
        for turn in range(3000):
            node.p = P if turn % 3 else Q
            seen.append(call(x) == "missed")
        assert seen == [turn % 3 == 0 for turn in range(3000)]


def test_keys_that_compare_in_python_are_never_asked() -> None:
    """A key whose ``__eq__`` is Python would run in the middle of the guards; such a dict is left to the dispatcher."""
    asked = []

    class Key:
        def __hash__(self) -> int:
            return hash("p")

        def __eq__(self, other: object) -> bool:
            asked.append(other)
            return False

    space: Any = SimpleNamespace(p=P)
    guards: list[g.Guard] = [g.TypeIs(X, SimpleNamespace), g.Is(field(X, "p"), P), g.Lacks(s.InstanceDict(X), "q")]
    call, _ = guarded(one, *guards)
    assert call(space) != "missed"
    vars(space).clear()
    vars(space)[Key()] = 1
    vars(space)["p"] = P
    asked.clear()
    assert call(space) == "missed" and not asked


def test_many_modules_one_of_them_busy() -> None:
    """A counter in one object does not keep the others from being remembered, and every replaced leaf is noticed."""
    root = Node(children={str(i): Node(p=P, q=Q, name="leaf") for i in range(40)}, calls=0)
    children = field(X, "children")
    guards: list[g.Guard] = [g.TypeIs(X, Node), g.TypeIs(children, dict), g.KeysAre(children, tuple(root.children))]
    for key in root.children:
        child = s.Item(children, key)
        guards += [g.TypeIs(child, Node), g.Lacks(s.InstanceDict(child), "forward"), g.Is(field(child, "p"), P)]
        guards += [g.TensorIs(field(child, "q"), Tensor, META_Q)]
    call, _ = guarded(one, *guards)
    for key, child in root.children.items():
        root.calls += 1
        assert call(root) != "missed"
        child.p = Q
        assert call(root) == "missed", key
        child.p = P
        root.children[key] = Node(p=P, q=Q, name="other")
        assert call(root) != "missed"
        root.children[key] = Node(p=P, q=P)
        assert call(root) == "missed", key
        root.children[key] = child
