"""Guards that hold as long as some words of memory do not change: compared with what they were, not looked up again.

All sources are grouped by the object that they start from. The rows of a group run once; then `learn` writes down the words
that decided them, and `memo` skips the rows while those words are the same. The words: the dict of an instance, the version
of a dict (no two states of dicts ever share one, so an equal version means the very same content), a type, a meta, a slot.

What was found through an unchanged dict is the object it was, and stays alive ("held"). What was found otherwise is known by
its address only, which may have a new owner: its type and content are compared as well, or its guards stay ordinary rows.
From 3.13 on a store to an attribute leaves the version of a dict alone that shares the instance's own fields: never learned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ...runtime import guard as g
from ...runtime import layout
from ...runtime import source as s
from . import process
from . import words as w

if TYPE_CHECKING:
    from .guards import GuardRows

#: sources and guards from which comparing words is cheaper than looking up
SMALLEST = 4
_HEAP = 1 << 9
#: sources that hang on no other
_ROOTS = (s.Arg, s.Const, s.Computed, s.Next, s.Length)


class Memos:
    """Writes the rows of all guards that can be remembered by words; the others are left to the caller."""

    def __init__(self, rows: GuardRows, guards: Sequence[g.Guard], inputs: Sequence[s.Source]) -> None:
        self.rows, self.inputs = rows, set(inputs)
        self.sources: dict[s.Source, None] = {}
        wanted = [*inputs, *(src for x in guards for src in named(x))]
        for source in wanted:
            while source not in self.sources:
                self.sources[source] = None
                if isinstance(source, _ROOTS):
                    break
                source = source.base
        self.roots: set[s.Source] = {x for x in self.sources if isinstance(x, _ROOTS)}
        self.roots |= {x.base for x in self.sources if isinstance(x, (s.InstanceDict, s.Attr))}
        self.roots |= {x for x in self.sources if x in rows.pinned}
        self.groups: dict[s.Source, list[s.Source]] = {}
        for source in self.sources:
            self.groups.setdefault(self._owner(source), []).append(source)
        self.guards: dict[s.Source, list[Any]] = {}
        self.plain: set[s.Source] = set()  # sources that rows behind the groups look at
        for x in guards:
            if isinstance(x, (g.SameObject, g.SameStorage, g.SizesFit)):
                self.plain.update(named(x))
            elif not isinstance(x, (g.ClassAttrIs, g.SubclassIs, g.GradMode)):
                self.guards.setdefault(self._owner(x.source), []).append(x)

    def _owner(self, source: s.Source) -> s.Source:
        """The root that a source is loaded from; a root's own guards are its own."""
        while source not in self.roots and not isinstance(source, _ROOTS):
            source = source.base
        return source

    def emit(self) -> None:
        """Rows of all groups, an object before what hangs on it."""
        children: dict[s.Source, list[s.Source]] = {}
        for root in self.groups:
            if not isinstance(root, _ROOTS):
                children.setdefault(self._owner(root.base), []).append(root)
        waiting: list[s.Source] = [r for r in reversed(self.groups) if isinstance(r, _ROOTS)]
        while waiting:
            root = waiting.pop()
            below = children.get(root, [])
            self._group(root, below)
            waiting.extend(reversed(below))

    def _group(self, root: s.Source, below: Sequence[s.Source]) -> None:
        rows, members = self.rows, self.groups[root]
        group = _Group(rows, root, self.inputs)
        guards, needed = [], set(below)
        for x in self.guards.get(root, ()):
            if group.covers(x):
                guards.append(x)
            else:
                needed.add(x.source)
        wanted = (x for x in dict.fromkeys([*members, *below]) if x in needed or x in self.inputs or x in self.plain)
        sources = [x for x in wanted if x != root]
        if len(guards) + len(sources) >= SMALLEST and root not in rows.pinned and group.possible([*members, *below]):
            group.emit(guards, sources)


class _Group:
    """The rows of one group, and the words that decide them."""

    def __init__(self, rows: GuardRows, root: s.Source, inputs: set[s.Source]) -> None:
        self.rows, self.root, self.inputs = rows, root, inputs
        self.words: dict[tuple[int, int], None] = {}  # (frame word with an address, offset)
        self.inline: dict[tuple[int, int, int], None] = {}  # (word of a dict, word of its owner, where the owner's fields start)
        self.visited: set[s.Source] = set()

    # ---- what can be remembered ----
    def possible(self, sources: Sequence[s.Source]) -> bool:
        """Whether words decide what every one of these sources gives."""
        return layout.dict_versions() and all(self._possible(x) for x in sources if x != self.root)

    def _possible(self, source: s.Source) -> bool:
        rows = self.rows
        if source in rows.pinned or isinstance(source, _ROOTS):
            return False
        if isinstance(source, s.InstanceDict):
            cls = rows.types.get(source.base)
            return cls is not None and layout.dict_pointer(cls) is not None
        if isinstance(source, s.Item):
            kind = self._kind(source.base)
            return kind is dict or (kind is not None and type(source.key) is int and source.key >= 0)
        return True

    def _kind(self, base: s.Source) -> type | None:
        """dict, list or tuple: what the container at `base` is built on."""
        if isinstance(base, s.InstanceDict):
            return dict
        cls = type(base.value) if isinstance(base, s.Const) else self.rows.types.get(base)
        return next((kind for kind in (dict, list, tuple) if cls is not None and issubclass(cls, kind)), None)

    def held(self, source: s.Source) -> bool:
        """Whether equal words mean that the object at `source` is the very one it was when they were learned."""
        if isinstance(source, s.Const):
            return True
        if source == self.root or isinstance(source, s.Arg):
            return False
        if isinstance(source, s.Item):
            kind = self._kind(source.base)
            return kind is dict or (kind is tuple and self.held(source.base))
        return False

    def covers(self, x: Any) -> bool:
        """Whether words decide this guard."""
        if isinstance(x, g.TensorIs):
            return x.source not in self.inputs
        if isinstance(x, g.Equals):
            return x.value is None or isinstance(x.value, bool) or self.held(x.source)
        if isinstance(x, g.FitsInt64):
            return self.held(x.source)
        if isinstance(x, (g.Lacks, g.KeysAre)):
            return isinstance(x.source, s.InstanceDict) or self._kind(x.source) is dict
        if isinstance(x, g.LengthIs):
            return self._kind(x.source) is not None
        return isinstance(x, (g.TypeIs, g.Is))

    # ---- rows ----
    def emit(self, guards: Sequence[Any], sources: Sequence[s.Source]) -> None:
        rows, frame = self.rows, self.rows.frame
        root, before = rows.word(self.root), len(rows.known)
        first = frame.row("memo")
        for x in guards:
            rows.guard(x)
            self._visit(x.source)
            self._decide(x)
        filled = []
        for source in sources:
            filled.append(rows.word(source))
            self._visit(source)
        template = [len(self.words), len(filled), len(self.inline)]
        template += [n for pair in self.words for n in pair] + filled + [n for three in self.inline for n in three]
        at = frame.array(template)
        memory = frame.array([0] * (1 + 2 * len(self.words) + len(filled)))
        frame.row("learn", root, memory, at)
        frame.change(first, "memo", root, memory, at, len(frame.rows) - first - 1)
        fresh = list(islice(reversed(rows.known), len(rows.known) - before))
        rows.forget(set(fresh) - set(sources))

    def _word(self, source: s.Source, offset: int) -> None:
        self.words[self.rows.word(source), offset] = None

    def _visit(self, source: s.Source) -> None:
        """Note the words that decide which object is found at `source`."""
        if source == self.root or source in self.visited:
            return
        self.visited.add(source)
        if isinstance(source, _ROOTS):
            return
        self._visit(source.base)
        if isinstance(source, s.InstanceDict):
            self._instance_dict(source)
        elif isinstance(source, s.Item):
            self._item(source)
        elif isinstance(source, s.Cell):
            self._type(source.base)
            self._word(source.base, layout.CELL)
        elif isinstance(source, s.Attr) and self.rows.slot(source) > 0:
            self._type(source.base)
            self._word(source.base, self.rows.slot(source))
        else:
            fields = s.InstanceDict(source.base)
            self._visit(fields)
            self._version(fields)

    def _instance_dict(self, source: s.InstanceDict) -> None:
        cls = self.rows.types[source.base]
        pointer = layout.dict_pointer(cls)
        assert pointer is not None  # see `possible`
        self._type(source.base)
        self._word(source.base, pointer)
        if layout.inline_fields():
            self.inline[self.rows.word(source), self.rows.word(source.base), cls.__basicsize__] = None

    def _item(self, source: s.Item) -> None:
        base, kind = source.base, self._kind(source.base)
        if kind is dict:
            self._version(base)
            return
        self._type(base)
        if kind is list:
            items = self.rows.items(base)
            self._word(base, layout.SIZE)
            self._word(base, layout.LIST_ITEMS)
            self.words[items, 8 * source.key] = None
        elif not self.held(base):
            self._word(base, layout.SIZE)
            self._word(base, layout.TUPLE_ITEMS + 8 * source.key)

    def _version(self, source: s.Source) -> None:
        if not isinstance(source, s.InstanceDict):
            self._type(source)
        self._word(source, layout.DICT_VERSION)

    def _type(self, source: s.Source) -> None:
        """The type of an object, where that is not known from the object being the same: only types from C stay for good."""
        cls = type(source.value) if isinstance(source, s.Const) else self.rows.types.get(source)
        for_good = cls is not None and not cls.__flags__ & _HEAP and not issubclass(cls, ModuleType)
        if not (for_good and self.held(source)):
            self._word(source, layout.TYPE)

    def _decide(self, x: Any) -> None:
        """Note the words of the object at the guard's source that the guard depends on."""
        if isinstance(x, g.TensorIs):
            self._word(x.source, layout.TYPE)
            self._word(x.source, int(process.api(w.A_S_META)))
        elif isinstance(x, g.TypeIs):
            self._type(x.source)
        elif isinstance(x, (g.Lacks, g.KeysAre)) or (isinstance(x, g.LengthIs) and self._kind(x.source) is dict):
            self._version(x.source)
        elif isinstance(x, g.LengthIs):
            self._type(x.source)
            self._word(x.source, layout.SIZE)


def named(x: Any) -> Iterator[s.Source]:
    """The sources that a guard's rows load."""
    if isinstance(x, (g.SameStorage, g.SameObject)):
        yield from (src for group in x.classes for src in group)
    elif isinstance(x, g.SizesFit):
        yield from (source for source, _ in x.numbers)
        yield from (t.source for t in x.tensors)
    elif not isinstance(x, (g.ClassAttrIs, g.SubclassIs, g.GradMode)):
        yield x.source


__all__ = ["Memos", "named"]
