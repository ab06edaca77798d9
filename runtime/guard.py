"""Conditions under which a captured graph may be used. The Python form here is the oracle of the native one.

Every guard derives from Sources alone, prints as one readable Python expression (`expr`) and can be checked (`check`).
`check` never runs user code; a source that cannot be loaded any more counts as a failed guard (`holds`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Union

from .meta import Meta
from .source import Source

_BY_VALUE = (str, int, float, bool, bytes, tuple, type(None))


@dataclass(frozen=True, slots=True)
class TensorIs:
    """A Tensor of exactly this class and this interned meta."""

    source: Source
    cls: type
    meta: Meta

    def check(self, args: Sequence[Any]) -> bool:
        value = self.source.load(args)
        return type(value) is self.cls and getattr(value, "meta") is self.meta  # noqa: B009  (checked: a Tensor)

    def expr(self) -> str:
        return f"{self.source.expr()} is {self.cls.__name__} {self.meta!r}"


@dataclass(frozen=True, slots=True)
class TypeIs:
    """Exact type; no subclass."""

    source: Source
    cls: type

    def check(self, args: Sequence[Any]) -> bool:
        return type(self.source.load(args)) is self.cls

    def expr(self) -> str:
        return f"type({self.source.expr()}) is {self.cls.__name__}"


@dataclass(frozen=True, slots=True)
class Is:
    """Identity with an object that the guard keeps alive."""

    source: Source
    value: Any

    def check(self, args: Sequence[Any]) -> bool:
        return self.source.load(args) is self.value

    def expr(self) -> str:
        name = getattr(self.value, "__qualname__", None) or getattr(self.value, "co_qualname", None)
        return f"{self.source.expr()} is {name or repr(self.value)}"


@dataclass(frozen=True, slots=True)
class Equals:
    """Exact type and equal value, for bool, int, str, bytes, None and float (-0.0 differs from 0.0, nan equals nan)."""

    source: Source
    value: Any

    def check(self, args: Sequence[Any]) -> bool:
        value = self.source.load(args)
        if type(value) is not type(self.value):
            return False
        return value.hex() == self.value.hex() if isinstance(value, float) else bool(value == self.value)

    def expr(self) -> str:
        return f"{self.source.expr()} == {self.value!r}"


@dataclass(frozen=True, slots=True)
class FitsInt64:
    """An exact int in the range of a signed 64-bit word."""

    source: Source

    def check(self, args: Sequence[Any]) -> bool:
        value = self.source.load(args)
        return type(value) is int and -(2**63) <= value < 2**63

    def expr(self) -> str:
        return f"{self.source.expr()} fits int64"


@dataclass(frozen=True, slots=True)
class LengthIs:
    """``len`` of a list, tuple, dict or set."""

    source: Source
    length: int

    def check(self, args: Sequence[Any]) -> bool:
        value = self.source.load(args)
        plain = next(t for t in (dict, list, tuple, set, frozenset) if isinstance(value, t))
        return bool(plain.__len__(value) == self.length)

    def expr(self) -> str:
        return f"len({self.source.expr()}) == {self.length}"


@dataclass(frozen=True, slots=True)
class KeysAre:
    """The keys of a dict, in order, by identity or equality of exact type."""

    source: Source
    keys: tuple[Any, ...]

    def check(self, args: Sequence[Any]) -> bool:
        value = self.source.load(args)
        found = tuple(dict.keys(value))
        return len(found) == len(self.keys) and all(
            a is b or (type(a) is type(b) and type(a) in _BY_VALUE and a == b) for a, b in zip(found, self.keys, strict=True)
        )

    def expr(self) -> str:
        keys = [repr(k) if type(k) in _BY_VALUE else getattr(k, "__qualname__", f"<this {type(k).__name__}>") for k in self.keys]
        return f"list({self.source.expr()}) == [{', '.join(keys)}]"


@dataclass(frozen=True, slots=True)
class Lacks:
    """A dict without this string key: an instance attribute or global that would hide what was found behind it."""

    source: Source
    key: str

    def check(self, args: Sequence[Any]) -> bool:
        return not dict.__contains__(self.source.load(args), self.key)

    def expr(self) -> str:
        return f"{self.key!r} not in {self.source.expr()}"


@dataclass(frozen=True, slots=True)
class ClassAttrIs:
    """``name`` looked up along the MRO of `cls` (no instance, no metaclass) gives `value`, or nothing where `missing`."""

    cls: type
    name: str
    value: Any = None
    missing: bool = False

    def check(self, args: Sequence[Any]) -> bool:
        for base in self.cls.__mro__:
            if self.name in base.__dict__:
                return not self.missing and base.__dict__[self.name] is self.value
        return self.missing

    def expr(self) -> str:
        return (
            f"{self.cls.__name__}.{self.name} is {'missing' if self.missing else getattr(self.value, '__qualname__', self.value)}"
        )


@dataclass(frozen=True, slots=True)
class SameStorage:
    """Whether the storages of several tensors fall into these classes: sources of one inner tuple share a storage,
    sources of different ones do not. Needed only where the graph writes to one of them."""

    classes: tuple[tuple[Source, ...], ...]

    def check(self, args: Sequence[Any]) -> bool:
        found = [[s.load(args).storage for s in group] for group in self.classes]
        if any(x is not group[0] for group in found for x in group):
            return False
        return len({id(group[0]) for group in found}) == len(found)

    def expr(self) -> str:
        return "storages " + " | ".join(", ".join(s.expr() for s in group) for group in self.classes)


@dataclass(frozen=True, slots=True)
class SameObject:
    """Whether several sources hold one object: sources of one inner tuple do, sources of different ones do not."""

    classes: tuple[tuple[Source, ...], ...]

    def check(self, args: Sequence[Any]) -> bool:
        found = [[s.load(args) for s in group] for group in self.classes]
        if any(x is not group[0] for group in found for x in group):
            return False
        return len({id(group[0]) for group in found}) == len(found)

    def expr(self) -> str:
        return " is not ".join(" is ".join(s.expr() for s in group) for group in self.classes)


@dataclass(frozen=True, slots=True)
class GradMode:
    """Whether gradients are recorded on this thread. `read` is eager's own getter (runtime knows no autograd)."""

    enabled: bool
    read: Any

    def check(self, args: Sequence[Any]) -> bool:
        return bool(self.read()) is self.enabled

    def expr(self) -> str:
        return f"is_grad_enabled() is {self.enabled}"


Guard = Union[TensorIs, TypeIs, Is, Equals, FitsInt64, LengthIs, KeysAre, Lacks, ClassAttrIs, SameStorage, SameObject, GradMode]


#: what loading a source raises where the object is gone: a missing key or attribute, an empty cell, another container
GONE = (KeyError, IndexError, AttributeError, ValueError, TypeError, StopIteration)


def holds(guard: Guard, args: Sequence[Any]) -> bool:
    """`check`, with a source that is gone counting as False."""
    try:
        return guard.check(args)
    except GONE:
        return False


def first_failure(guards: Sequence[Guard], args: Sequence[Any]) -> int | None:
    """Number of the first guard that does not hold, in order; None where all hold."""
    for i, guard in enumerate(guards):
        if not holds(guard, args):
            return i
    return None
