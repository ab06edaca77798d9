"""Conditions under which a captured graph may be used. The Python form here is the oracle of the native one.

Every guard derives from Sources alone, prints as one readable Python expression (`expr`) and can be checked (`check`).
`check` never runs user code; a source that cannot be loaded any more counts as a failed guard (`holds`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Union

from ..ir import sizes, solve
from ..ir.dtypes import DType
from ..ir.lazyclass import dataclass
from ..ir.sizes import Size
from ..ir.types import TensorType
from . import gradmode, peek
from .meta import Meta
from .source import Computed, Source

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
class TensorLike:
    """A Tensor of exactly this class, dtype, rank and need of gradients. Sizes and strides that are numbers are these; of the
    others `SizesFit` says what they may be."""

    source: Source
    cls: type
    dtype: DType
    requires_grad: bool
    device: str
    shape: tuple[Size, ...]
    strides: tuple[Size, ...]

    def check(self, args: Sequence[Any]) -> bool:
        value = self.source.load(args)
        if type(value) is not self.cls:
            return False
        meta: Meta = getattr(value, "meta")  # noqa: B009  (checked: a Tensor)
        kind = meta.dtype is self.dtype and meta.requires_grad is self.requires_grad and meta.device == self.device
        if not kind or len(meta.shape) != len(self.shape):
            return False
        found = zip((*self.shape, *self.strides), (*meta.shape, *meta.strides), strict=True)
        return all(n == m for n, m in found if isinstance(n, int))

    def expr(self) -> str:
        grad = ", requires grad" if self.requires_grad else ""
        return f"{self.source.expr()} is {self.cls.__name__} {self.type} on {self.device}{grad}"

    @property
    def type(self) -> TensorType:
        return TensorType(self.shape, self.dtype, self.strides)

    def read(self, args: Sequence[Any]) -> tuple[int, ...]:
        """Sizes, then strides, of the Tensor that is there."""
        meta: Meta = getattr(self.source.load(args), "meta")  # noqa: B009
        return (*meta.shape, *meta.strides)


@dataclass(frozen=True, slots=True)
class Relation:
    """``size op 0`` with `op` one of ">=", "!=" and "=="; `where` is the user's line that asked."""

    op: str
    size: Size
    where: str

    def holds(self, values: Mapping[str, int]) -> bool:
        number = sizes.evaluate(self.size, values)
        return number >= 0 if self.op == ">=" else (number == 0) == (self.op == "==")

    def expr(self) -> str:
        """As a comparison: what is subtracted stands on the right."""
        terms = self.size.terms if isinstance(self.size, sizes.Expr) else (((), self.size),)
        left, right = (
            sizes.Expr(tuple((m, abs(k)) for m, k in terms if (k > 0) == positive)) if any((k > 0) == positive for _, k in terms)
            else 0
            for positive in (True, False)
        )  # fmt: skip
        return f"{left} {self.op} {right}"


@dataclass(frozen=True, slots=True)
class Span:
    """The symbol `name` is at least `low` and, where that is not None, at most `high`; `where` the lines that asked."""

    name: str
    low: int
    high: int | None
    where: str = ""

    def holds(self, values: Mapping[str, int]) -> bool:
        n = values[self.name]
        return self.low <= n and (self.high is None or n <= self.high)

    def expr(self) -> str:
        return f"{self.low} <= {self.name}" + (f" <= {self.high}" if self.high is not None else "")


@dataclass(frozen=True, slots=True)
class SizesFit:
    """The sizes and strides of `tensors`, and the ints in `numbers`, are the sizes given for them, for values of the symbols
    that lie in `spans` and for which `relations` hold."""

    tensors: tuple[TensorLike, ...]
    numbers: tuple[tuple[Source, Size], ...]
    spans: tuple[Span, ...]
    relations: tuple[Relation, ...] = ()

    def places(self) -> list[Size]:
        """Every size given, those of the numbers first."""
        found: list[Size] = [size for _, size in self.numbers]
        for t in self.tensors:
            found += [*t.shape, *t.strides]
        return found

    def read(self, args: Sequence[Any]) -> list[int]:
        """The numbers that stand at these places."""
        found = [source.load(args) for source, _ in self.numbers]
        for t in self.tensors:
            found += t.read(args)
        return found

    def values(self, args: Sequence[Any]) -> dict[str, int] | None:
        """The values of the symbols; None where a number is no plain int of 62 bits or a place holds another number."""
        found, places = self.read(args), self.places()
        if any(type(n) is not int or not -(2**62) < n < 2**62 for n in found):
            return None
        values: dict[str, int] = {}
        for place, name, a, b in solve.order(places):
            slope = sizes.evaluate(a, values)
            values[name] = (found[place] - sizes.evaluate(b, values)) // slope if slope else 0
        fits = all(sizes.evaluate(size, values) == n for size, n in zip(places, found, strict=True))
        return values if fits else None

    def check(self, args: Sequence[Any]) -> bool:
        values = self.values(args)
        return values is not None and all(x.holds(values) for x in self._conditions())

    def _conditions(self) -> list[Span | Relation]:
        return [*self.spans, *self.relations]

    def expr(self) -> str:
        texts = [f"{source.expr()} == {size}" for source, size in self.numbers]
        texts += [x.expr() + (f" ({x.where})" if x.where else "") for x in self._conditions()]
        return ", ".join(texts)

    def why(self, args: Sequence[Any]) -> str:
        """What does not hold, in the words of a message."""
        values = self.values(args)
        if values is None:
            wrong = [f"{s.expr()} == {size}" for s, size in self.numbers]
            return "the sizes of " + ", ".join([*(t.expr() for t in self.tensors), *wrong])
        failed = next((x for x in self._conditions() if not x.holds(values)), None)
        if failed is None:
            return self.expr()
        given = ", ".join(f"{name} = {n}" for name, n in values.items())
        return f"{failed.expr()}{f' ({failed.where})' if failed.where else ''} with {given}"


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
class Holds:
    """Whether a comparison of numbers is true; `where` is the user's line that asked."""

    source: Computed
    truth: bool
    where: str = ""

    def check(self, args: Sequence[Any]) -> bool:
        return self.source.load(args) is self.truth

    def expr(self) -> str:
        return f"{'' if self.truth else 'not '}{self.source.expr()}"


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
class HasNext:
    """Whether the built-in iterator (see `peek`) gives another item."""

    source: Source
    more: bool

    def check(self, args: Sequence[Any]) -> bool:
        return peek.more(self.source.load(args)) is self.more

    def expr(self) -> str:
        return f"{self.source.expr()} is {'not ' if self.more else ''}exhausted"


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
class SubclassIs:
    """Whether `sub` is a subclass of the abstract class `cls`, by its ``register``."""

    sub: type
    cls: type
    truth: bool

    def check(self, args: Sequence[Any]) -> bool:
        return issubclass(self.sub, self.cls) is self.truth

    def expr(self) -> str:
        return f"{'' if self.truth else 'not '}issubclass({self.sub.__name__}, {self.cls.__name__})"


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
    """Whether gradients are recorded on this thread, and what autocast does there (`gradmode.casting`). `read` is eager's own
    getter (runtime knows no autograd)."""

    enabled: bool
    read: Any
    casting: int = 0

    def check(self, args: Sequence[Any]) -> bool:
        return bool(self.read()) is self.enabled and gradmode.casting() == self.casting

    def expr(self) -> str:
        return f"is_grad_enabled() is {self.enabled}" + (f" and autocast mode is {self.casting}" if self.casting else "")


Guard = Union[
    TensorIs, TensorLike, SizesFit, TypeIs, Is, Equals, Holds, FitsInt64, LengthIs,
    KeysAre, HasNext, Lacks, ClassAttrIs, SubclassIs, SameStorage, SameObject, GradMode,
]  # fmt: skip


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
