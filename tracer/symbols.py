"""Sizes that a capture does not fix: the ints that traced Tensors' shapes hold, and what the code has found out about them.

A `SizeInt` is the number at hand with the size that it stands for. Arithmetic gives sizes; a comparison is decided by bounds
where these tell, and else by the number at hand, which leaves a condition for the guards. Equality of two sizes is taken into
the sizes themselves: one symbol is replaced, so that the graph has one form for both. Knows no Tensor and makes no guard.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..ir import sizes
from ..ir.lazyclass import dataclass
from ..ir.sizes import Call, Expr, Size, Symbol
from ..ir.solve import slope
from .breaks import Break, ValueNeeded
from .ratios import SizeFloat, ratio, settled

#: a size of more terms is made a number: its form would cost more than a second variant
_MOST_TERMS = 12
_LARGEST = 2**62
#: likewise one of quotients and remainders of each other, so deep
_DEEPEST = 3
#: stands for a size that data decide where library code makes layouts of the numbers at hand
_HINT = 1009


class SizeInt(int):
    """An int of the user's program that is a size: `raw` now, `size` at every call."""

    raw: int
    size: Expr
    known: Symbols
    plain = int

    def __new__(cls, raw: int, size: Expr, known: Symbols) -> SizeInt:
        self = super().__new__(cls, raw)
        self.raw, self.size, self.known = raw, size, known
        return self

    def pin(self) -> int:
        """The number, which the guards fix from now on."""
        self.known.pin(self.size)
        return self.raw

    @property
    def terms(self) -> Any:
        """For `eager.arguments.to_size`: this is a size and passes as it is."""
        return self.size.terms

    def __reduce__(self) -> Any:
        return int, (self.pin(),)


@dataclass(frozen=True, slots=True)
class Condition:
    """``size op 0`` with `op` one of ">=", "!=" and "==", found where the user's line `where` asked."""

    op: str
    size: Size
    where: str


class Symbols:
    """What one capture knows about its symbols: numbers at hand, bounds, replacements, conditions."""

    def __init__(self, where: Callable[[], object]) -> None:
        self.where = where
        self.numbers: dict[str, int] = {}
        self.low: dict[str, int] = {}
        self.high: dict[str, int | None] = {}
        self.replaced: dict[str, Size] = {}
        self.place: dict[str, int | None] = {}
        self.produced: set[str] = set()  # symbols that data decide: `numbers` has a number for them that means nothing
        self.given: set[str] = set()  # symbols that are ints from outside: they are replaced by no multiple of another
        self.restless: set[str] = set()  # symbols that have been too many constants already
        self.strict = False  # whether the library asks: its types follow from sizes alone, so that equality must be in their form
        self.conditions: list[Condition] = []
        self.reasons: dict[tuple[str, str], str] = {}
        self._current: dict[str, Size] = {}
        self._made: dict[Any, Any] = {}
        self._ints: dict[Expr, SizeInt] = {}
        self._answers: dict[Any, bool] = {}

    # -- making ------------------------------------------------------------------------------------------------------

    def given_int(self, number: int) -> SizeInt:
        """A new symbol for an int from outside, which is not negative."""
        made = self.fresh(number, 0)
        self.given.add(str(made.size))
        return made

    def made(self, most: Any) -> SizeInt:
        """A new symbol for a size that data decide: 2 or more, and no more than `most`, which is not among the symbol's bounds:
        the intervals of indices are the tighter without."""
        high = sizes.bounds(self.now(_size(most)))[1]
        if high is not None and high < 2:
            raise ValueNeeded("the number of true elements", "data-size")
        name = f"u{len(self.numbers)}"
        self.produced.add(name)
        self.place[name] = None
        self.numbers[name], self.low[name], self.high[name] = _HINT if high is None else min(high, _HINT), 2, None
        self._current[name] = sizes.symbol(name, 2)
        return self._interned(self.numbers[name], sizes.symbol(name, 2))

    def decided_by_data(self, size: Size) -> bool:
        """Whether a capture has no number for `size`."""
        return bool(self.produced) and not self.produced.isdisjoint(sizes.symbols_of(size))

    def _ask(self, size: Size) -> Size:
        """`size`, the number of which is asked for; there is none where data decide it."""
        if self.decided_by_data(size):
            raise Break("data-size", f"Python code needs the number of the size {size}, which data decide")
        return size

    def fresh(self, number: int, low: int = 1, place: int | None = None) -> SizeInt:
        """A new symbol whose value now is `number`, at least `low`; `place`: the dimension that it is the size of."""
        name = f"s{len(self.numbers)}"
        self.place[name] = place
        self.numbers[name], self.low[name], self.high[name] = number, low, None
        self._current[name] = sizes.symbol(name, low)
        return self._interned(number, sizes.symbol(name, low))

    def _interned(self, number: int, size: Expr) -> SizeInt:
        """One object for each size: library code that compares by identity asks nothing."""
        found = self._ints.get(size)
        return found if found is not None else self._ints.setdefault(size, SizeInt(number, size, self))

    def number(self, size: Size) -> int:
        """The value that a size has now."""
        return sizes.evaluate(size, self.numbers)

    def wrap(self, size: Size) -> int:
        """A size as the interpreter holds it."""
        return self._interned(self.number(size), size) if isinstance(size, Expr) else size

    def now(self, size: Size) -> Size:
        """`size` with all that has been found out since it was made."""
        return sizes.substitute(size, self._current) if isinstance(size, Expr) else size

    def derive(self, name: str, a: Any, b: Any) -> Any:
        """``a op b`` for two ints one of which is a size."""
        left, right = _size(a), _size(b)
        key = name, left, right
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = self._derived(name, a, b, left, right)
        return found

    def _derived(self, name: str, a: Any, b: Any, left: Size, right: Size) -> Any:
        fn = _ARITHMETIC[name]
        if name in ("floordiv", "mod") and not self._divides(b, right):
            return getattr(operator, name)(settled(a), settled(b))
        size = fn(self.now(left), self.now(right))
        if isinstance(size, int):
            return size
        number = self.number(size)
        if len(size.terms) > _MOST_TERMS or abs(number) >= _LARGEST or _nesting(size) > _DEEPEST:
            return getattr(operator, name)(settled(a), settled(b))
        return self._interned(number, size)

    def _divides(self, b: Any, size: Size) -> bool:
        """Whether dividing by `b` stays a size: it is positive at every call."""
        return (b > 0) if isinstance(size, Expr) else size > 0

    # -- questions -----------------------------------------------------------------------------------------------------

    def equal(self, a: Any, b: Any) -> bool:
        """``a == b``."""
        left, right = _size(a), _size(b)
        if left == right:
            return True
        key = "==", left, right
        found = self._answers.get(key)
        if found is None:
            found = self._answers[key] = self._equal(self.now(left), self.now(right))
        return found

    def _equal(self, left: Size, right: Size) -> bool:
        certain = sizes.equal(left, right)
        if certain is not None:
            return certain
        difference = self._ask(left - right)
        if self.number(difference) == 0:
            self.become_zero(difference)
            return True
        self._differ(difference)
        return False

    def at_least(self, a: Any, b: Any) -> bool:
        """``a >= b``."""
        left, right = _size(a), _size(b)
        key = ">=", left, right
        found = self._answers.get(key)
        if found is None:
            found = self._answers[key] = self._at_least_zero(self.now(left - right))
        return found

    def _at_least_zero(self, size: Size) -> bool:
        lo, hi = sizes.bounds(size)
        if lo is not None and lo >= 0:
            return True
        if hi is not None and hi < 0:
            return False
        holds = self.number(self._ask(size)) >= 0
        self.require(size if holds else size * -1 - 1)
        return holds

    @contextmanager
    def strictly(self) -> Iterator[None]:
        """Questions inside are the library's."""
        before, self.strict = self.strict, True
        try:
            yield
        finally:
            self.strict = before

    # -- findings --------------------------------------------------------------------------------------------------------

    def require(self, size: Size) -> None:
        """From here on ``size >= 0``, which is true now: a bound of a symbol, or a condition."""
        size = _without_factor(self.now(size))
        lo, _ = sizes.bounds(size)
        if lo is not None and lo >= 0:
            return
        form = _linear(size)
        if form is None:
            self.conditions.append(Condition(">=", size, str(self.where())))
            return
        name, k, c = form
        if k > 0:
            self._bound(name, -(c // k), self.high[name])
        else:
            self._bound(name, self.low[name], c // -k)

    def _bound(self, name: str, low: int, high: int | None) -> None:
        side = ">=" if low > self.low[name] else "<="
        self.reasons[name, side] = str(self.where())
        self.low[name], self.high[name] = low, high
        self._current[name] = sizes.symbol(name, low, high)
        self._refresh()

    def _differ(self, size: Size) -> None:
        form = _linear(size)
        if form is not None and form[2] % form[1] == 0:
            name, k, c = form
            other = -c // k
            if other == self.low[name]:
                self._bound(name, other + 1, self.high[name])
                return
            if other == self.high[name]:
                self._bound(name, self.low[name], other - 1)
                return
        self.conditions.append(Condition("!=", size, str(self.where())))

    def pin(self, size: Size) -> None:
        """From here on `size` is the number that it is now."""
        size = self._ask(self.now(size))
        if isinstance(size, Expr):
            if not self.restless.isdisjoint(sizes.symbols_of(size)):
                raise Break("changing-number", f"the number of a size that is {self.number(size)} now")
            self.become_zero(size - self.number(size))

    def pin_all(self) -> None:
        """All sizes are what they are now."""
        for name in list(self.numbers):
            self.pin(sizes.symbol(name))

    def become_zero(self, size: Size) -> None:
        """From here on ``size == 0``, which is true now: a symbol is replaced."""
        while True:
            size = _without_factor(self.now(size))
            if not isinstance(size, Expr):
                return
            if self._eliminate(size) or self._pair(size) or self._split(size):
                continue
            if not self.strict and all(name in self.given for name in sizes.symbols_of(size)):
                self.conditions.append(Condition("==", size, str(self.where())))
                return
            self._fix(_newest(size))

    def _eliminate(self, size: Expr) -> bool:
        """Replace a symbol in which `size` is linear, the newest first."""
        for name in sorted(set(sizes.symbols_of(size)), key=_age, reverse=True):
            form = slope(size, name)
            if form is None or not isinstance(form[0], int):
                continue
            rest = _divided(form[1] * -1, form[0])
            if rest is not None:
                self._replace(name, rest)
                return True
        return False

    def _pair(self, size: Expr) -> bool:
        """Replace a symbol by an older one of the same value, of the same dimension if there is such, where that lets `size` be
        solved: two shapes whose products are equal are most likely equal."""
        names = sorted(set(sizes.symbols_of(size)), key=_age, reverse=True)
        for name in names:
            alike = [n for n in names if _age(n) < _age(name) and self.numbers[n] == self.numbers[name]]
            for other in sorted(alike, key=lambda n: self.place.get(n) != self.place.get(name)):
                trial = _without_factor(sizes.substitute(size, {name: self._current[other]}))
                if trial == 0 or self._solvable(trial):
                    self._replace(name, self._current[other])
                    return True
        return False

    def _split(self, size: Expr) -> bool:
        """Replace a symbol by a multiple of a new one where that makes `size` 0 or lets it be divided."""
        factors = {atom.b for mono, _ in size.terms for atom, _ in mono if isinstance(atom, Call)}
        factors |= {abs(k) for mono, k in size.terms if mono}
        for factor in sorted((f for f in factors if isinstance(f, int) and f > 1), reverse=True):
            for name in sorted(set(sizes.symbols_of(size)), key=_age, reverse=True):
                if name not in self.given and self.numbers[name] % factor == 0 and self._multiple(size, name, factor):
                    return True
        return False

    def _multiple(self, size: Expr, name: str, factor: int) -> bool:
        trial = sizes.substitute(size, {name: sizes.symbol(name, 1) * factor})
        calls = any(isinstance(atom, Call) for mono, _ in size.terms for atom, _ in mono)
        if not (trial == 0 if calls else self._solvable(trial)) or self._solvable(size):
            return False
        self._replace(name, self.fresh(self.numbers[name] // factor).size * factor)
        return True

    def _solvable(self, size: Size) -> bool:
        size = _without_factor(size)
        names = set(sizes.symbols_of(size))
        forms = [slope(size, name) for name in names] if isinstance(size, Expr) else []
        return any(f is not None and isinstance(f[0], int) and _divided(f[1] * -1, f[0]) is not None for f in forms)

    def _fix(self, name: str) -> None:
        self._replace(name, self.numbers[name])

    def _replace(self, name: str, size: Size) -> None:
        """The symbol `name` is `size`, which has no such symbol, from here on."""
        if self.strict and isinstance(size, int) and name in self.restless:
            raise Break("changing-number", f"the number of a size that is {size} now")
        low, high = self.low[name], self.high[name]
        self.reasons[name, "=="] = str(self.where())
        self.replaced[name] = self._current[name] = size
        self._refresh()
        if isinstance(size, Expr):
            self.require(size - low)
            if high is not None:
                self.require(size * -1 + high)

    def _refresh(self) -> None:
        """Bring all replacements up to date."""
        for name in self.replaced:
            self._current[name] = self.replaced[name]
        for name in self.replaced:
            size = self._current[name]
            while set(sizes.symbols_of(size)) & self.replaced.keys():
                size = self.now(size)
            self._current[name] = self.now(size)

    # -- the end -------------------------------------------------------------------------------------------------------

    def reason(self, name: str) -> str:
        """The user's lines that asked for the bounds of a symbol."""
        return ", ".join(dict.fromkeys(self.reasons[key] for key in ((name, ">="), (name, "<=")) if key in self.reasons))

    def open_conditions(self) -> list[tuple[str, Size, str]]:
        """The conditions that bounds and replacements do not settle: (op, size, line)."""
        found: dict[tuple[str, Size], str] = {}
        for c in self.conditions:
            size = self.now(c.size)
            lo, hi = sizes.bounds(size)
            above, below = lo is not None and lo > 0, hi is not None and hi < 0
            certain = {">=": lo is not None and lo >= 0, "!=": above or below, "==": lo == hi == 0}[c.op]
            if not certain:
                found.setdefault((c.op, size), c.where)
        return [(op, size, where) for (op, size), where in found.items()]

    def final(self, x: Any) -> Any:
        """A type's or attribute's part with every `SizeInt` as a size in its last form."""
        if isinstance(x, SizeInt):
            return self.now(x.size)
        if isinstance(x, Expr):
            return self.now(x)
        if isinstance(x, tuple):
            return tuple([self.final(y) for y in x])
        return x


def _size(x: Any) -> Size:
    return x.size if isinstance(x, SizeInt) else int(x)


def raw(x: Any) -> Any:
    """The number at hand, of which the guards say nothing; tuples of them too."""
    if isinstance(x, tuple):
        return tuple([raw(y) for y in x])
    return x.raw if isinstance(x, SizeInt) else x


def _nesting(size: Size) -> int:
    """How deep quotients, remainders, minima and maxima lie in each other in a size."""
    if isinstance(size, int):
        return 0
    calls = [atom for mono, _ in size.terms for atom, _ in mono if isinstance(atom, Call)]
    return max((1 + max(_nesting(c.a), _nesting(c.b)) for c in calls), default=0)


def has_size(x: Any) -> bool:
    """Whether `x` is a size that is not fixed, or a tuple with one."""
    return any(map(has_size, x)) if isinstance(x, tuple) else isinstance(x, SizeInt)


def _age(name: str) -> int:
    return int(name[1:])


def _newest(size: Size) -> str:
    return max(sizes.symbols_of(size), key=_age)


def _without_factor(size: Size) -> Size:
    """`size` without a positive factor that all its terms share: whether it is 0, or above, stays the same."""
    if not isinstance(size, Expr):
        return size
    common = dict(size.terms[0][0])
    for mono, _ in size.terms[1:]:
        powers = dict(mono)
        common = {atom: min(p, powers[atom]) for atom, p in common.items() if atom in powers}
    common = {atom: p for atom, p in common.items() if isinstance(atom, Symbol) and atom.lo > 0}
    if len(size.terms) == 1:  # a product of positive sizes is never 0
        common = {}
    divisor = math.gcd(*[k for _, k in size.terms])
    if not common and divisor == 1:
        return size
    total: Size = 0
    for mono, k in size.terms:
        term: Size = k // divisor
        for atom, p in mono:
            for _ in range(p - common.get(atom, 0)):
                term = term * Expr(((((atom, 1),), 1),))
        total = total + term
    return total


def _linear(size: Size) -> tuple[str, int, int] | None:
    """(symbol, k, c) where `size` is ``k * symbol + c``."""
    names = set(sizes.symbols_of(size))
    form = slope(size, next(iter(names))) if isinstance(size, Expr) and len(names) == 1 else None
    if form is None or not isinstance(form[0], int) or not isinstance(form[1], int):
        return None
    return next(iter(names)), form[0], form[1]


def _divided(size: Size, k: int) -> Size | None:
    """``size / k`` where that is a polynomial."""
    if isinstance(size, int):
        return size // k if size % k == 0 else None
    if any(c % k for _, c in size.terms):
        return None
    return Expr(tuple((mono, c // k) for mono, c in size.terms))


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "floordiv": sizes.floordiv, "mod": sizes.mod,
}  # fmt: skip


def _arithmetic(name: str, reflected: bool) -> Callable[[Any, Any], Any]:
    plain_operator = getattr(operator, name)

    def method(self: Any, other: Any) -> Any:
        if type(other) is bool:
            other = int(other)
        if type(other) in (float, SizeFloat) and name in ("add", "sub", "mul"):
            return ratio(name, other, self) if reflected else ratio(name, self, other)
        if type(other) is not int and type(other) is not SizeInt:
            if not isinstance(other, int):
                return NotImplemented
            pinned = self.pin()  # an int from outside, which is no size, stays what it is
            return plain_operator(other, pinned) if reflected else plain_operator(pinned, other)
        return self.known.derive(name, other, self) if reflected else self.known.derive(name, self, other)

    return method


def _comparison(name: str) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if isinstance(other, float):
            return getattr(int, f"__{name}__")(self.pin(), other) if other.is_integer() is False else ask(self, int(other))
        if not isinstance(other, int):
            return NotImplemented
        return ask(self, other if isinstance(other, SizeInt) else int(other))

    def ask(a: Any, b: Any) -> bool:
        known: Symbols = a.known
        if name in ("eq", "ne"):
            return known.equal(a, b) == (name == "eq")
        if name in ("ge", "lt"):
            return known.at_least(a, b) == (name == "ge")
        return known.at_least(b, a) == (name == "le")

    return method


def _pinning(name: str) -> Callable[..., Any]:
    method = getattr(int, f"__{name}__")

    def pinned(self: Any, *args: Any) -> Any:
        return method(self.pin(), *map(settled, args))

    return pinned


def _divided_now(n: int, other: Any, reflected: bool) -> Any:
    return other / n if reflected else n / other


def _truediv(reflected: bool) -> Callable[[Any, Any], Any]:
    def divide(self: Any, other: Any) -> Any:
        if type(other) is bool:
            other = int(other)
        if type(other) not in (int, float, SizeInt, SizeFloat):
            return NotImplemented if not isinstance(other, (int, float)) else _divided_now(self.pin(), other, reflected)
        return ratio("div", other, self) if reflected else ratio("div", self, other)

    return divide


def _power(self: Any, exponent: Any, *modulo: Any) -> Any:
    if not modulo and type(exponent) is int and 0 <= exponent <= 4:
        out: Any = 1
        for _ in range(exponent):
            out = out * self
        return out
    return pow(self.pin(), *map(settled, (exponent, *modulo)))


def _install() -> None:
    for name in _ARITHMETIC:
        setattr(SizeInt, f"__{name}__", _arithmetic(name, False))
        setattr(SizeInt, f"__r{name}__", _arithmetic(name, True))
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        setattr(SizeInt, f"__{name}__", _comparison(name))
    for name in (
        "divmod", "rdivmod", "rpow", "and", "or", "xor", "lshift", "rshift", "rand", "ror", "rxor",
        "rlshift", "rrshift", "invert", "int", "float", "index", "trunc", "floor", "ceil", "round",
    ):  # fmt: skip
        setattr(SizeInt, f"__{name}__", _pinning(name))
    own: Any = SizeInt
    own.__pow__ = _power
    own.__truediv__, own.__rtruediv__ = _truediv(False), _truediv(True)
    own.__repr__ = own.__str__ = lambda self: repr(self.raw)  # messages; the tracer settles what the user makes text of
    own.__format__ = lambda self, spec: format(self.raw, spec)
    own.__hash__ = int.__hash__  # library code alone gets here: the tracer settles keys of the user's
    own.__bool__ = lambda self: not self.known.equal(self, 0)
    own.__neg__ = lambda self: self.known.derive("mul", self, -1)
    own.__pos__ = lambda self: self
    own.__abs__ = lambda self: self if self >= 0 else -self


_install()
