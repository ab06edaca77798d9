"""Values that only the run knows and that Python need not know to go on: ``loss.item()``, text made of it, what a deferred call
gives.

A `Late` is Python text over parts; the tail evaluates it, so its meaning is Python's own. All that needs the value itself breaks
the graph: native code that looks at a `Late` gets `ValueNeeded`. Knows no session and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from .breaks import TextNeeded, ValueNeeded
from .values import SymFloat, SymInt


class Late:
    """A value that is made behind the graph.

    text     Python source, ``$0``, ``$1`` ... for the parts; "" for the result of a deferred call (`call`)
    parts    what the interpreter holds: constants, traced Tensors as `Snapshot`s, other Lates
    cls      its class; None where it is not known
    raises   whether making it may raise
    call     the deferred call whose result it is, or None
    code     of the break that it means where the value is needed now
    calls    the deferred calls that it follows from; `free`: from these and constants alone, from no tensor
    field    for text: (part, format spec) where it is ``format(part, spec)``; `pieces` where it is a joined f-string
    element  for numbers: (snapshot, place) where it is that element of a tensor; `op`: what makes it of its parts in a graph
    """

    __slots__ = (
        "bounds", "call", "calls", "cls", "code", "element", "field", "free", "op", "parts", "pieces", "raises", "text", "what",
    )  # fmt: skip

    def __init__(
        self, text: str, parts: tuple[Any, ...], cls: type | None, *, raises: bool = False, call: Any = None, code: str = "",
        what: str = "", op: str = "", element: tuple[Snapshot, tuple[int, ...]] | None = None,
    ) -> None:  # fmt: skip
        self.text, self.parts, self.cls, self.raises, self.call = text, parts, cls, raises, call
        self.calls: dict[Any, None] = {}
        self.free = True
        if call is not None:
            self.calls[call] = None
        for part in parts:
            self.free &= _scan(part, self.calls)
        inner = [x for x in parts if isinstance(x, Late)]
        self.code: str = code or (inner[0].code if inner else "tensor-value")
        self.what: str = what or (inner[0].what if inner else "the value of a tensor")
        self.field: tuple[Any, str] | None = None
        self.pieces: tuple[Any, ...] | None = None
        self.bounds: tuple[int, int] | None = None  # of an int
        self.op, self.element = op, element

    @property
    def waits(self) -> bool:
        """Whether it follows from what a deferred call gives, so that it is made among the effects."""
        return bool(self.calls)

    def needed(self) -> ValueNeeded:
        """What to raise where Python needs the value now. TextNeeded where it follows from numbers alone."""
        sources = _sources(self)
        if sources:
            raise TextNeeded(sources)
        return ValueNeeded(self.what, self.code)

    def __repr__(self) -> str:
        return f"<a value of the run: {self.text or 'a result'}>"

    __hash__ = object.__hash__


def _scan(x: Any, calls: dict[Any, None]) -> bool:
    """Collect the deferred calls that a part follows from; whether it follows from no tensor."""
    if isinstance(x, Late):
        calls.update(x.calls)
        return x.free
    if isinstance(x, LateMethod):
        return _scan(x.owner, calls)
    if type(x) in (list, tuple, set, frozenset):
        return False not in [_scan(y, calls) for y in x]
    if type(x) is dict:
        return _scan(list(x.values()), calls)
    return not (isinstance(x, Snapshot) or hasattr(x, "meta"))


def _refuse(self: Any, *args: Any) -> NoReturn:
    raise self.needed()


for _name in (
    "bool", "int", "float", "complex", "index", "len", "iter", "next", "getitem", "contains", "format", "eq", "ne", "lt", "le",
    "gt", "ge", "add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "floordiv", "rfloordiv", "mod", "rmod", "pow",
    "rpow", "and", "rand", "or", "ror", "xor", "rxor", "lshift", "rlshift", "rshift", "rrshift", "matmul", "rmatmul", "neg",
    "pos", "invert", "abs", "round", "trunc", "floor", "ceil", "divmod", "rdivmod", "call", "enter", "exit",
):  # fmt: skip
    setattr(Late, f"__{_name}__", _refuse)


def _sources(x: Any) -> set[Any]:
    """Where the numbers come from that a late value follows from; none where it follows from anything else."""
    found: set[Any] = set()
    waiting = [x]
    while waiting:
        part = waiting.pop()
        if type(part) is Late and part.call is None:
            waiting += part.parts
        elif isinstance(part, (list, tuple)) and type(part) in (list, tuple):
            waiting += part
        elif type(part) in (SymInt, SymFloat):
            found |= {source for source, _ in part.sym.leaves}
        elif type(part) not in (str, int, float, bool, type(None)):
            return set()
    return found


class LateMethod:
    """A method of a late value, not called yet."""

    __slots__ = ("name", "owner")

    def __init__(self, owner: Late, name: str) -> None:
        self.owner, self.name = owner, name

    def needed(self) -> ValueNeeded:
        return self.owner.needed()

    __call__ = _refuse


class Snapshot:
    """A traced Tensor as it is now, whatever is written to it later. `plain`: only its values matter, not its history."""

    __slots__ = ("plain", "tensor", "value", "version")

    def __init__(self, tensor: Any, value: Any, plain: bool) -> None:
        self.tensor, self.value, self.version, self.plain = tensor, value, tensor._storage.version, plain


LATE = (Late, LateMethod)


class WeakFloat(float):
    """A late float as an operand of a tensor operation: the recorder alone looks into it."""

    late: Late

    def __new__(cls, late: Late) -> WeakFloat:
        self = super().__new__(cls, float("nan"))
        self.late = late
        return self


class WeakInt(int):
    """A late int as an operand of a tensor operation: the recorder alone looks into it."""

    late: Late

    def __new__(cls, late: Late) -> WeakInt:
        self = super().__new__(cls, 0)
        self.late = late
        return self


WEAK = (WeakFloat, WeakInt)


def _weak_refuse(self: Any, *args: Any) -> Any:
    if len(args) == 1 and hasattr(args[0], "meta"):
        return NotImplemented  # the tensor's own method takes it as an operand
    raise self.late.needed()


for _cls in WEAK:
    for _name in (
        "bool", "int", "float", "index", "eq", "ne", "lt", "le", "gt", "ge", "hash", "add", "radd", "sub", "rsub", "mul", "rmul",
        "truediv", "rtruediv", "floordiv", "rfloordiv", "mod", "rmod", "pow", "rpow", "neg", "pos", "abs", "round", "trunc",
        "floor", "ceil", "divmod", "rdivmod", "format", "str", "and", "rand", "or", "ror", "xor", "rxor", "lshift", "rshift",
        "rlshift", "rrshift", "invert",
    ):  # fmt: skip
        if hasattr(_cls, f"__{_name}__"):
            setattr(_cls, f"__{_name}__", _weak_refuse)


def weak(x: Any) -> Any:
    """A late number as what library code takes for a number; anything else as it is."""
    if type(x) is not Late:
        return x
    if x.cls is float:
        return WeakFloat(x)
    if x.cls in (int, bool):
        return WeakInt(x)
    raise x.needed()


#: classes whose objects are numbers, the narrowest first
NUMBERS: tuple[type, ...] = (bool, int, float, complex)
EXAMPLES: dict[type, Callable[[], Any]] = {bool: lambda: True, int: lambda: 3, float: lambda: 1.5, complex: lambda: 1.5j,
                                           str: lambda: "a"}  # fmt: skip


def number_class(symbol: str, a: type, b: type) -> Any:
    """The class of ``a symbol b`` for numbers; None where values decide, NotImplemented where it is no operation of theirs."""
    wide: Any = NUMBERS[max(NUMBERS.index(a), NUMBERS.index(b))]
    if symbol in ("+", "-", "*"):
        return int if wide is bool else wide
    if symbol == "/":
        return float if wide in (bool, int) else wide
    if symbol in ("//", "%"):
        return NotImplemented if wide is complex else int if wide is bool else wide
    if symbol == "**":
        return None
    if symbol in ("&", "|", "^", "<<", ">>"):
        return NotImplemented if wide in (float, complex) else bool if wide is bool and len(symbol) == 1 else int
    return NotImplemented
