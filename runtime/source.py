"""Where a value of a captured function comes from. Nothing else reloads a value or names one in a guard."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Union

from ..ir.lazyclass import dataclass
from . import arithmetic, peek

_BY_VALUE = (str, int, float, bool, bytes, tuple)


@dataclass(frozen=True, slots=True)
class Arg:
    """Parameter number `index` of the compiled function after binding (``*args`` is a tuple, ``**kwargs`` a dict). `slots`: where
    it is the packed frame of a resume function, the names of the variables; the stack follows them, its top first."""

    index: int
    name: str
    slots: tuple[str, ...] | None = None

    def load(self, args: Sequence[Any]) -> Any:
        return args[self.index]

    def expr(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, eq=False)
class Const:
    """An object that the capture keeps alive: a function, module, globals dict, cell. `name` is how a reader knows it."""

    value: Any
    name: str

    def load(self, args: Sequence[Any]) -> Any:
        return self.value

    def expr(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Const) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


class _Way:
    """What leads on from a base. The hash is worked out once: ways are long, and are looked up in tables all the time."""

    __slots__ = ("_hash", "copied")
    _hash: int
    copied: bool  # whether the way leads through a copy (`Listed`)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((type(self).__name__, *self._key())))
        inner = getattr(self.base, "copied", False)  # type: ignore[attr-defined]
        object.__setattr__(self, "copied", type(self) is Listed or inner)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, _Way) and type(self) is type(other) and self._hash == other._hash and self._same(other)

    def _key(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def _same(self, other: Any) -> bool:
        return bool(self._key() == other._key())


@dataclass(frozen=True, slots=True, eq=False)
class InstanceDict(_Way):
    """``vars(base)`` of a plain object."""

    base: Source

    def _key(self) -> tuple[Any, ...]:
        return (self.base,)

    def load(self, args: Sequence[Any]) -> Any:
        return self.base.load(args).__dict__

    def expr(self) -> str:
        return f"vars({self.base.expr()})"


@dataclass(frozen=True, slots=True, eq=False)
class Attr(_Way):
    """``getattr(base, name)`` where that finds an entry of the instance's own dict or a slot; never runs user code."""

    base: Source
    name: str

    def _key(self) -> tuple[Any, ...]:
        return self.base, self.name

    def load(self, args: Sequence[Any]) -> Any:
        return getattr(self.base.load(args), self.name)

    def expr(self) -> str:
        return f"{self.base.expr()}.{'grad' if self.name == '_grad' else self.name}"  # the field behind Tensor.grad


def _key_text(key: Any) -> str:
    """A key as a reader knows it, on one line and without code of the user's."""
    if type(key) is tuple:
        return f"({', '.join([_key_text(x) for x in key])}{',' * (len(key) == 1)})"
    return repr(key) if type(key) in _BY_VALUE or key is None else f"<{type(key).__name__}>"


@dataclass(frozen=True, slots=True, eq=False)
class Item(_Way):
    """``base[key]`` of an exact list, tuple or dict (or a subclass with the built-in storage), with a constant key."""

    base: Source
    key: Any

    def _key(self) -> tuple[Any, ...]:
        return self.base, self.key

    def _same(self, other: Any) -> bool:
        by_value = type(self.key) is type(other.key) and type(self.key) in _BY_VALUE
        same = self.key is other.key or (by_value and self.key == other.key)
        return bool(same) and self.base == other.base

    def load(self, args: Sequence[Any]) -> Any:
        base = self.base.load(args)
        plain = next(t for t in (dict, list, tuple) if isinstance(base, t))
        return plain.__getitem__(base, self.key)

    def expr(self) -> str:
        if isinstance(self.base, Arg) and self.base.slots is not None:
            slots = self.base.slots
            return slots[self.key] if self.key < len(slots) else f"stack[{len(slots) - self.key - 1}]"
        if isinstance(self.base, InstanceDict) and isinstance(self.key, str):
            return f"{self.base.base.expr()}.{self.key}"
        return f"{self.base.expr()}[{_key_text(self.key)}]"


@dataclass(frozen=True, slots=True, eq=False)
class Cell(_Way):
    """``cell.cell_contents``."""

    base: Source

    def _key(self) -> tuple[Any, ...]:
        return (self.base,)

    def load(self, args: Sequence[Any]) -> Any:
        return self.base.load(args).cell_contents

    def expr(self) -> str:
        return self.base.expr()


@dataclass(frozen=True, slots=True, eq=False)
class Next(_Way):
    """What the built-in iterator `base` (see `peek`) gives next, while nothing takes from it. IndexError: it is exhausted."""

    base: Source

    def _key(self) -> tuple[Any, ...]:
        return (self.base,)

    def load(self, args: Sequence[Any]) -> Any:
        return peek.item(self.base.load(args))

    def expr(self) -> str:
        return f"next({self.base.expr()})"


@dataclass(frozen=True, slots=True, eq=False)
class Listed(_Way):
    """What the set, deque or dict `base` holds, in its order, as a new tuple: keys and values in turn of a dict."""

    base: Source

    def _key(self) -> tuple[Any, ...]:
        return (self.base,)

    def load(self, args: Sequence[Any]) -> Any:
        return listed(self.base.load(args))

    def expr(self) -> str:
        return f"list({self.base.expr()})"


def listed(value: Any) -> tuple[Any, ...]:
    """The content of a set, deque or dict."""
    if isinstance(value, dict):
        items = OrderedDict.items(value) if isinstance(value, OrderedDict) else dict.items(value)
        return tuple([x for pair in items for x in pair])
    return tuple(list.__iter__(value) if isinstance(value, list) else value)


def hangs_on_listed(source: Source) -> bool:
    """Whether the way to `source` leads through a copy."""
    return isinstance(source, _Way) and source.copied


@dataclass(frozen=True, slots=True, eq=False)
class Length(_Way):
    """``len(base)`` of an exact list or dict."""

    base: Source

    def _key(self) -> tuple[Any, ...]:
        return (self.base,)

    def load(self, args: Sequence[Any]) -> Any:
        value = self.base.load(args)
        if type(value) not in (list, dict):
            raise TypeError(f"the length of a {type(value).__name__}")
        return len(value)

    def expr(self) -> str:
        return f"len({self.base.expr()})"


@dataclass(frozen=True, slots=True, eq=False)
class Computed:
    """Arithmetic on numbers found elsewhere: `op` is a name of `arithmetic`; `args` are Sources or numbers. ValueError where one
    of them is no plain int or float any more, or there is no result."""

    op: str
    args: tuple[Any, ...]

    def _key(self) -> tuple[Any, ...]:
        """Numbers by type and text: 1 is not 1.0, and 0.0 not -0.0."""
        return self.op, *[(type(x), repr(x)) if isinstance(x, (int, float)) else x for x in self.args]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Computed) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def load(self, args: Sequence[Any]) -> Any:
        return arithmetic.compute(self.op, [x if isinstance(x, (int, float)) else x.load(args) for x in self.args])

    def expr(self) -> str:
        return arithmetic.text(self.op, [repr(x) if isinstance(x, (int, float)) else x.expr() for x in self.args])


Source = Union[Arg, Const, InstanceDict, Attr, Item, Cell, Next, Listed, Length, Computed]
