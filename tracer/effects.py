"""What the region does to objects from outside: performed on shadows during capture, repeated in order by the tail.

An effect is a record that the tail prints as one line of Python. Objects that the region made are changed directly: nobody
else has seen them yet.
"""

from __future__ import annotations

import collections
import copy
from dataclasses import field
from typing import TYPE_CHECKING, Any, Union

from ..eager.tensor import Tensor
from ..ir.lazyclass import dataclass
from .breaks import Break
from .guards import Outside
from .late import Late

if TYPE_CHECKING:
    from .session import Session


@dataclass(frozen=True, slots=True)
class SetAttr:
    """``target.name = value`` in the object's own dict or slot; no user code runs. NULL deletes."""

    target: Any
    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class SetItem:
    """``target[key] = value`` on a built-in container or a namespace; NULL deletes."""

    target: Any
    key: Any
    value: Any


@dataclass(frozen=True, slots=True)
class SetCell:
    """A store to a closure's cell; NULL empties it."""

    target: Any
    value: Any


@dataclass(frozen=True, slots=True)
class Method:
    """A call of a built-in container's own method, for what it changes."""

    target: Any
    name: str
    args: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class GradModeSet:
    """Gradient recording on this thread is switched."""

    enabled: bool


@dataclass(frozen=True, slots=True)
class CastingSet:
    """Autocast on this thread is switched."""

    mode: int


@dataclass(frozen=True, slots=True)
class Risk:
    """An effect that may raise: at `unit`, behind that many `writes` to inputs. The graph makes all writes before the tail
    runs, so none may follow: else the graph breaks at the unit."""

    unit: int
    writes: int
    code: str
    what: str


@dataclass(slots=True, eq=False)
class Call:
    """A call that is made among the effects, in order. `text` is Python over `parts`, as of a `Late`; `result` what it gives,
    where something may use that; `place` the user's lines. `owner`: whose state it changes (calls of one owner keep their order);
    `drawn`: where the result lies if the call was made before the graph."""

    text: str
    parts: tuple[Any, ...]
    place: Any
    result: Late | None = None
    owner: Any = None
    drawn: Any = None
    scope: int = 0  # 1: `text` is the manager of a `with` that begins here; -1: the innermost one ends
    clock: int | None = None  # nodes of the graph when a clock was read
    draws: bool = False  # whether it may be made before the graph
    risk: Risk | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Evaluate:
    """A late value that may raise is made here."""

    late: Late
    place: Any
    risk: Risk | None = None


_KEEPS = {"append", "insert", "setdefault", "add", "__setitem__"}  # these hold their argument itself
_FILLED = {list, dict, set, collections.deque, collections.OrderedDict, collections.defaultdict, collections.Counter}
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
Effect = Union[SetAttr, SetItem, SetCell, Method, GradModeSet, CastingSet, Call, Evaluate]


def without_covered(journal: list[Effect]) -> list[Effect]:
    """The journal without gradients that are replaced or dropped before anybody can have seen them: then none need be kept."""
    kept: list[Effect] = []
    covered: set[int] = set()
    for effect in reversed(journal):
        if isinstance(effect, SetAttr) and effect.name == "grad" and isinstance(effect.target, Tensor):
            if id(effect.target) in covered:
                continue
            covered.add(id(effect.target))
        elif not isinstance(effect, (SetAttr, SetItem, SetCell, Method)):
            covered.clear()  # code of others runs here
        kept.append(effect)
    return kept[::-1]


@dataclass
class Effects:
    """The journal, and what reads of changed attributes, cells and namespaces find now."""

    outside: Outside
    journal: list[Effect] = field(default_factory=list)
    attrs: dict[tuple[int, str], Any] = field(default_factory=dict)
    cells: dict[int, Any] = field(default_factory=dict)
    globals: dict[tuple[int, str], Any] = field(default_factory=dict)
    owned: dict[int, Any] = field(default_factory=dict)  # files and generators that deferred calls change
    doubtful: list[tuple[Late, int]] = field(default_factory=list)  # made before the first effect; each with its unit

    def risky(self, late: Late, session: Session) -> None:
        """A late value that may raise: made before the first effect, where CPython can still do the whole call instead, or, where
        it follows from a deferred call, at its place among the effects."""
        if not late.waits:
            self.doubtful.append((late, session.units))
            return
        if session.is_covered():
            raise Break(late.code, f"an error in what is made of {late.what}, inside of a try or with, is asked for")
        risk = Risk(session.units, len(session.recorder.writes), late.code, f"an error in what is made of {late.what}")
        self.journal.append(Evaluate(late, session.place(), risk))

    def forget(self) -> None:
        """Untie deferred calls from what they give: each holds the other."""
        for e in self.journal:
            if isinstance(e, Call) and e.result is not None:
                e.result.calls.clear()
                e.result = e.drawn = None

    def _note(self, effect: Effect, target: Any) -> None:
        self.journal.append(effect)
        self.outside.individual(target)

    def set_attr(self, target: Any, name: str, value: Any) -> None:
        """An attribute store (NULL: delete) on an object from outside."""
        self.attrs[id(target), name] = value
        self._note(SetAttr(target, name, value), target)

    def set_cell(self, cell: Any, value: Any) -> None:
        """A store into a cell from outside."""
        self.cells[id(cell)] = value
        self.journal.append(SetCell(cell, value))

    def set_global(self, namespace: dict[str, Any], name: str, value: Any) -> None:
        """A store into a module's namespace."""
        self.globals[id(namespace), name] = value
        self.journal.append(SetItem(namespace, name, value))

    def container(self, target: Any, name: str, args: tuple[Any, ...]) -> None:
        """A changing method of a built-in container, which the caller runs on the shadow or fresh object itself."""
        if self.outside.source_of(target) is not None:
            if name not in _KEEPS:
                args = tuple(map(self._as_now, args))
            self._note(Method(target, name, args), target)

    def item(self, target: Any, key: Any, value: Any) -> None:
        """A store or delete by key, which the caller also does on the shadow or fresh object itself."""
        if self.outside.source_of(target) is not None:
            self._note(SetItem(target, key, self._as_now(value) if isinstance(key, slice) else value), target)

    def _as_now(self, x: Any) -> Any:
        """A container that the region made, whose items are taken: as they are now, whatever becomes of it."""
        if self.outside.source_of(x) is not None:
            return x
        return list(x) if type(x) in _VIEWS else copy.copy(x) if type(x) in _FILLED else x

    def attr_of(self, target: Any, name: str) -> Any:
        """What an earlier store left in the attribute (NULL: deleted); None where there was none. Wrapped in a tuple."""
        key = id(target), name
        return (self.attrs[key],) if key in self.attrs else None
