"""Hand-over dataclasses as bytes and back: graphs, plans, guards, sources, sizes. Never runs code that it reads.

A text of atoms (numbers, strings, bytes) and records, each a class and the numbers of what it is made
of, in an order in which every record stands behind its parts. Only the classes listed here are made, field by field; a class
that has other fields by now is an error (`Unreadable`). What is neither an atom nor one of these classes is a *foreign* object:
whoever writes says what stands for it, whoever reads puts it back. Equal immutable parts are written once.
"""

from __future__ import annotations

import builtins
import dataclasses
import marshal
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np

from .. import errors
from ..ir import dtypes, graph, loops, op, plan, sizes, types
from . import guard, meta, source
from .size import Size

VERSION = 1
#: modules whose dataclasses may be written
MODULES = (graph, loops, meta, plan, sizes, types, guard, source)
#: fields that say nothing to who reads: (class name, field) -> what stands there instead
BLANK: dict[tuple[str, str], Any] = {("graph.Value", "builder"): None}
#: fields that hold an object for its identity: it is foreign, whatever it is
FOREIGN = {("source.Const", "value"), ("guard.ClassAttrIs", "value")}
_ATOMS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))
#: classes whose objects are themselves whatever they hold
_BY_IDENTITY = (list, dict, graph.Value, graph.Node, graph.Graph)


class Unwritable(Exception):
    """An object that cannot be written; the message says which, for the user."""


class Unreadable(Exception):
    """Bytes that this program cannot read: another version's."""


@lru_cache(maxsize=1)
def classes() -> dict[str, type]:
    """Every class that may be read, by name."""
    found = {}
    for module in MODULES:
        for cls in vars(module).values():
            if isinstance(cls, type) and dataclasses.is_dataclass(cls) and cls.__module__ == module.__name__:
                found[name_of(cls)] = cls
    return found


@cache
def name_of(cls: type) -> str:
    """What a class is called in a text."""
    return f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}"


@cache
def fields(cls: type) -> tuple[str, ...]:
    """Names of the fields, in the order in which the class takes them."""
    return tuple(f.name for f in dataclasses.fields(cls) if f.init)  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def _forms() -> dict[type, tuple[str, tuple[str, ...], bool, bool]]:
    """How objects of each class are written: name, fields, whether equal ones are written once, whether no field is special."""
    special = {cls for cls, _ in (*BLANK, *FOREIGN)}
    named = classes().items()
    return {cls: (name, fields(cls), cls not in _BY_IDENTITY, name not in special) for name, cls in named}


#: what stands for a foreign object: the number it gets; Unwritable where there is none
Foreign = Callable[[Any], int]


class Writer:
    """Collects one text. `add` gives the number of an object in it."""

    def __init__(self, foreign: Foreign) -> None:
        self.foreign = foreign
        self.atoms: list[Any] = []
        self.records: list[tuple[Any, ...]] = []
        self._numbers: dict[Any, int] = {}
        self._known: dict[int, tuple[Any, int]] = {}
        self._schema: dict[str, tuple[str, ...]] = {}

    def add(self, x: Any) -> int:
        """The number of `x`; atoms have negative ones until `bytes` is called."""
        known = self._known.get(id(x))
        if known is not None:
            return known[1]
        if type(x) in _ATOMS:
            return self._atom(x)
        number = self._record(x)
        self._known[id(x)] = x, number
        return number

    def _atom(self, x: Any) -> int:
        cls = type(x)
        key = (cls, x) if cls is str or cls is int or cls is bool else (cls, repr(x))  # 0.0 is not -0.0
        found = self._numbers.get(key)
        if found is None:
            self.atoms.append(x)
            found = self._numbers[key] = -len(self.atoms)
        return found

    def emit(self, tag: str, *parts: int, shared: bool = True) -> int:
        """A record of this kind over parts by number; one that is `shared` and there already is not written again."""
        record = tag, *parts
        found = self._numbers.get(record) if shared else None
        if found is None:
            found = len(self.records)
            self.records.append(record)
            self._numbers.setdefault(record, found)
        return found

    def _record(self, x: Any) -> int:
        cls = type(x)
        form = _forms().get(cls)
        if form is not None:
            return self._object(x, *form)
        plain = _PLAIN.get(cls)
        if plain is not None:
            return self.emit(plain, *map(self.add, x), shared=cls not in _BY_IDENTITY)
        if cls is dict and "__name__" not in x:  # a namespace is one of a kind
            return self.emit("dict", *[self.add(part) for pair in x.items() for part in pair], shared=False)
        if cls is range or cls is slice:
            return self.emit(cls.__name__, *map(self.add, (x.start, x.stop, x.step)))
        by_name = _named(x)
        if by_name is not None:
            return self.emit(by_name[0], self.add(by_name[1]))
        if cls is sizes.Expr:
            return self.emit("Expr", self.add(x.terms))
        if cls is meta.Meta:
            return self.emit("Meta", *map(self.add, (x.shape, x.strides, x.dtype, x.requires_grad, x.device)))
        if isinstance(x, graph.Graph):
            return self._object(x, *_forms()[graph.Graph])
        return self.emit("foreign", self.add(self.foreign(x)))

    def _object(self, x: Any, name: str, names: tuple[str, ...], shared: bool, plain: bool) -> int:
        self._schema.setdefault(name, names)
        if plain:
            parts = [self.add(getattr(x, n)) for n in names]
        else:
            parts = [self._field(name, n, getattr(x, n)) for n in names]
        return self.emit(name, *parts, shared=shared)

    def _field(self, cls: str, name: str, value: Any) -> int:
        if (cls, name) in FOREIGN and value is not None:
            return self.emit("foreign", self.add(self.foreign(value)))
        return self.add(BLANK.get((cls, name), value))

    def bytes(self, *roots: Any) -> bytes:
        """The text, of which `Reader.roots` are these."""
        numbers = [self.add(x) for x in roots]
        tags = {tag: i for i, tag in enumerate(dict.fromkeys(r[0] for r in self.records))}
        count = len(self.atoms)

        def place(n: int) -> int:
            return count + n if n >= 0 else -n - 1

        records = tuple([(tags[r[0]], *map(place, r[1:])) for r in self.records])
        schema = tuple(self._schema.items())
        return marshal.dumps((VERSION, tuple(tags), schema, tuple(self.atoms), records, tuple(map(place, numbers))))


_PLAIN: dict[type, str] = {tuple: "tuple", Size: "Size", list: "list", frozenset: "frozenset", set: "set"}


def _named(x: Any) -> tuple[str, str] | None:
    """What is one of a kind and known by name."""
    if isinstance(x, dtypes.DType):
        return "DType", x.name
    if isinstance(x, op.Op) and op.OPS.get(x.name) is x:
        return "Op", x.name
    if isinstance(x, type) and issubclass(x, BaseException):
        name, space = str(x.__name__), vars(builtins) if x.__module__ == "builtins" else vars(errors)
        return ("Error", name) if space.get(name) is x else None
    if isinstance(x, np.dtype) and x.isbuiltin == 1:
        return "NumPy", x.str
    return None


def _error(name: str) -> type[BaseException]:
    found = vars(errors).get(name) or vars(builtins).get(name)
    if not (isinstance(found, type) and issubclass(found, BaseException)):
        raise Unreadable(f"no exception {name}")
    return found


def _dict(*parts: Any) -> dict[Any, Any]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


_MAKERS: dict[str, Callable[..., Any]] = {
    "Size": lambda *parts: Size(parts),
    "tuple": lambda *parts: parts, "list": lambda *parts: list(parts), "frozenset": lambda *parts: frozenset(parts),
    "set": lambda *parts: set(parts), "dict": _dict, "DType": dtypes.lookup, "Op": op.lookup, "Error": _error, "NumPy": np.dtype,
    "range": range, "slice": slice, "Expr": sizes.Expr, "Meta": meta.Meta.of,
}  # fmt: skip


def read(data: bytes, foreign: Callable[[int], Any], more: dict[str, Callable[..., Any]] | None = None) -> Sequence[Any]:
    """The roots of a text. `foreign` gives back what stands under a number; `more` makes further kinds of records.
    The bytes must come from `Writer.bytes`: check them before."""
    version, tags, schema, atoms, records, roots = marshal.loads(data)
    if version != VERSION:
        raise Unreadable(f"codec version {version}")
    makers = _makers(tags, schema, {"foreign": foreign, **(more or {})})
    out = list(atoms)
    add = out.append
    for record in records:
        add(makers[record[0]](*[out[i] for i in record[1:]]))
    return [out[i] for i in roots]


def _makers(tags: Sequence[str], schema: Sequence[Any], more: dict[str, Callable[..., Any]]) -> list[Callable[..., Any]]:
    known, expected = classes(), dict(schema)
    found: list[Callable[..., Any]] = []
    for tag in tags:
        make = _MAKERS.get(tag) or more.get(tag)
        if make is None:
            make = known.get(tag)
            if make is None or fields(make) != tuple(expected[tag]):
                raise Unreadable(f"{tag} has other fields")
        found.append(make)
    return found
