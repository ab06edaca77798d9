"""Sizes: integer polynomials over bounded symbols, with floordiv, mod, min and max as atoms, in one normal form.

Two sizes that are equal as polynomials are equal objects by ``==``; constants are plain ints. Symbols are non-negative.
Index expressions of kernels are sizes too, with loop axes as symbols. Never asks for values and never guesses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Union

from ..errors import ParseError


@dataclass(frozen=True, slots=True)
class Symbol:
    """A free non-negative integer between `lo` and `hi` (None: unbounded), both inclusive. Symbols of one name are one."""

    name: str
    lo: int = 0
    hi: "Size | None" = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Symbol) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Call:
    """An atom that is no polynomial: `fn` is "floordiv", "mod", "min" or "max"."""

    fn: str
    a: "Size"
    b: "Size"

    def __str__(self) -> str:
        if self.fn in ("min", "max"):
            return f"{self.fn}({self.a}, {self.b})"
        sign = "//" if self.fn == "floordiv" else "%"
        return f"({_wrapped(self.a)} {sign} {_wrapped(self.b)})"


Atom = Union[Symbol, Call]
Monomial = tuple[tuple[Atom, int], ...]


class Expr:
    """A size that is not a constant. `terms` maps monomials to coefficients, in a fixed order."""

    __slots__ = ("_hash", "terms")

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]) -> None:
        self.terms = terms
        self._hash = hash(terms)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expr) and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __bool__(self) -> bool:
        raise TypeError(f"the size {self} has no truth value: compare sizes with sizes.equal or sizes.bounds")

    def __add__(self, other: Size) -> Size:
        terms = dict(self.terms)
        for mono, k in _terms(other):
            terms[mono] = terms.get(mono, 0) + k
        return _normal(terms)

    def __mul__(self, other: Size) -> Size:
        terms: dict[Monomial, int] = {}
        for m1, k1 in self.terms:
            for m2, k2 in _terms(other):
                mono = _times(m1, m2)
                terms[mono] = terms.get(mono, 0) + k1 * k2
        return _normal(terms)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        return self + other * -1

    def __rsub__(self, other: Size) -> Size:
        return self * -1 + other

    def __floordiv__(self, other: Size) -> Size:
        return floordiv(self, other)

    def __rfloordiv__(self, other: Size) -> Size:
        return floordiv(other, self)

    def __mod__(self, other: Size) -> Size:
        return mod(self, other)

    def __rmod__(self, other: Size) -> Size:
        return mod(other, self)

    def __str__(self) -> str:
        return "".join(_signed(mono, k, i == 0) for i, (mono, k) in enumerate(self.terms))

    __repr__ = __str__

    def __reduce__(self) -> tuple[Any, ...]:
        return Expr, (self.terms,)


Size = Union[int, Expr]


def symbol(name: str, lo: int = 0, hi: Size | None = None) -> Expr:
    """The free size called `name`."""
    return _atom(Symbol(name, lo, hi))


def _atom(atom: Atom) -> Expr:
    return Expr(((((atom, 1),), 1),))


def _terms(size: Size) -> tuple[tuple[Monomial, int], ...]:
    if isinstance(size, Expr):
        return size.terms
    return (((), int(size)),) if size else ()


def _times(a: Monomial, b: Monomial) -> Monomial:
    powers = dict(a)
    for atom, p in b:
        powers[atom] = powers.get(atom, 0) + p
    return tuple(sorted(powers.items(), key=lambda item: str(item[0])))


def _normal(terms: dict[Monomial, int]) -> Size:
    kept = [(m, k) for m, k in terms.items() if k]
    if not kept:
        return 0
    if len(kept) == 1 and kept[0][0] == ():
        return kept[0][1]
    kept.sort(key=lambda item: (-sum(p for _, p in item[0]), _mono_text(item[0])))
    return Expr(tuple(kept))


def _mono_text(mono: Monomial) -> str:
    return "*".join(str(atom) for atom, p in mono for _ in range(p))


def _signed(mono: Monomial, k: int, first: bool) -> str:
    sign = ("-" if first else " - ") if k < 0 else ("" if first else " + ")
    text = _mono_text(mono)
    body = text if text and abs(k) == 1 else f"{abs(k)}*{text}" if text else str(abs(k))
    return sign + body


def _wrapped(size: Size) -> str:
    simple = not isinstance(size, Expr) or (len(size.terms) == 1 and size.terms[0][1] == 1 and sum(p for _, p in size.terms[0][0]) == 1)
    return str(size) if simple and not str(size).startswith("-") else f"({size})"


def _split(a: Size, b: Size) -> tuple[Size, Size]:
    """(q, r) with a == q * b + r, taking into q every term that b divides exactly."""
    divisor = _terms(b)
    if len(divisor) != 1:
        return 0, a
    (mono_b, k_b), q, r = divisor[0], {}, {}
    for mono, k in _terms(a):
        powers = dict(mono)
        for atom, p in mono_b:
            powers[atom] = powers.get(atom, 0) - p
        if k % k_b == 0 and all(p >= 0 for p in powers.values()):
            q[tuple((atom, powers[atom]) for atom, _ in mono if powers[atom])] = k // k_b
        else:
            r[mono] = k
    if isinstance(b, int):  # constants: take the largest multiple out of the constant term as well
        rest = r.pop((), 0)
        if rest:
            q[()] = q.get((), 0) + rest // b
            r[()] = rest % b
    return _normal(q), _normal(r)


def _below(r: Size, b: Size) -> bool:
    """Whether 0 <= r < b is certain."""
    lo, _ = bounds(r)
    if lo is None or lo < 0:
        return False
    top = _upper(r)
    gap, _ = bounds(b - top) if top is not None else (None, None)
    return gap is not None and gap > 0


def _upper(r: Size) -> Size | None:
    """`r` with each symbol that occurs with positive coefficients only replaced by its upper bound, where it has one."""
    total: Size = 0
    for mono, k in _terms(r):
        term: Size = k
        for atom, p in mono:
            hi = atom.hi if isinstance(atom, Symbol) else None
            if isinstance(atom, Call) and atom.fn == "mod":
                hi = atom.b - 1
            for _ in range(p):
                term = term * (hi if hi is not None and k > 0 else _atom(atom))
        total = total + term
    return total


def floordiv(a: Size, b: Size) -> Size:
    """``a // b`` for a positive `b`."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    if b == 1:
        return a
    q, r = _split(a, b)
    if r == 0 or _below(r, b):
        return q
    return q + _atom(Call("floordiv", r, b))


def mod(a: Size, b: Size) -> Size:
    """``a % b`` for a positive `b`."""
    if isinstance(a, int) and isinstance(b, int):
        return a % b
    _, r = _split(a, b)
    if b == 1 or r == 0:
        return 0
    return r if _below(r, b) else _atom(Call("mod", r, b))


def minimum(a: Size, b: Size) -> Size:
    """The smaller of two sizes."""
    return _choice("min", a, b)


def maximum(a: Size, b: Size) -> Size:
    """The larger of two sizes."""
    return _choice("max", a, b)


def _choice(fn: str, a: Size, b: Size) -> Size:
    lo, hi = bounds(a - b)
    if lo is not None and lo >= 0:
        return a if fn == "max" else b
    if hi is not None and hi <= 0:
        return b if fn == "max" else a
    a, b = sorted((a, b), key=str)
    return _atom(Call(fn, a, b))


def bounds(size: Size) -> tuple[int | None, int | None]:
    """Interval that holds `size`; None where an end is unknown."""
    if isinstance(size, int):
        return size, size
    lo: int | None = 0
    hi: int | None = 0
    for mono, k in size.terms:
        low, high = 1, 1
        for atom, p in mono:
            a_lo, a_hi = _atom_bounds(atom)
            if a_lo is None or a_lo < 0:
                return None, None
            low *= a_lo**p
            high = None if high is None or a_hi is None else high * a_hi**p  # type: ignore[assignment]
        t_lo, t_hi = (low * k, None if high is None else high * k) if k > 0 else (None if high is None else high * k, low * k)
        lo = None if lo is None or t_lo is None else lo + t_lo
        hi = None if hi is None or t_hi is None else hi + t_hi
    return lo, hi


def _atom_bounds(atom: Atom) -> tuple[int | None, int | None]:
    if isinstance(atom, Symbol):
        return atom.lo, None if atom.hi is None else bounds(atom.hi)[1]
    (a_lo, a_hi), (b_lo, b_hi) = bounds(atom.a), bounds(atom.b)
    if atom.fn == "mod":
        return 0, None if b_hi is None else b_hi - 1
    if atom.fn == "floordiv":
        ok = a_lo is not None and a_lo >= 0
        low = a_lo // b_hi if ok and b_hi else (0 if ok else None)  # type: ignore[operator]
        return low, a_hi // b_lo if ok and a_hi is not None and b_lo else a_hi if ok else None
    pick: Callable[..., int] = min if atom.fn == "min" else max
    both_lo, both_hi = [x for x in (a_lo, b_lo) if x is not None], [x for x in (a_hi, b_hi) if x is not None]
    low_known = len(both_lo) == 2 or (atom.fn == "max" and both_lo)
    high_known = len(both_hi) == 2 or (atom.fn == "min" and both_hi)
    return pick(both_lo) if low_known else None, pick(both_hi) if high_known else None


def equal(a: Size, b: Size) -> bool | None:
    """True or False where that is certain for all values of the symbols, None where it depends."""
    diff = a - b
    if isinstance(diff, int):
        return diff == 0
    lo, hi = bounds(diff)
    return False if (lo is not None and lo > 0) or (hi is not None and hi < 0) else None


def evaluate(size: Size, values: Mapping[str, int]) -> int:
    """The number that `size` is when each symbol has the value given by its name."""
    if isinstance(size, int):
        return size
    total = 0
    for mono, k in size.terms:
        for atom, p in mono:
            k *= _evaluate_atom(atom, values) ** p
        total += k
    return total


def _evaluate_atom(atom: Atom, values: Mapping[str, int]) -> int:
    if isinstance(atom, Symbol):
        return values[atom.name]
    a, b = evaluate(atom.a, values), evaluate(atom.b, values)
    return a // b if atom.fn == "floordiv" else a % b if atom.fn == "mod" else min(a, b) if atom.fn == "min" else max(a, b)


def substitute(size: Size, values: Mapping[str, Size]) -> Size:
    """`size` with symbols replaced by sizes, in normal form."""
    if isinstance(size, int):
        return size
    total: Size = 0
    for mono, k in size.terms:
        term: Size = k
        for atom, p in mono:
            for _ in range(p):
                term = term * _substitute_atom(atom, values)
        total = total + term
    return total


def _substitute_atom(atom: Atom, values: Mapping[str, Size]) -> Size:
    if isinstance(atom, Symbol):
        return values.get(atom.name, _atom(atom))
    a, b = substitute(atom.a, values), substitute(atom.b, values)
    return {"floordiv": floordiv, "mod": mod, "min": minimum, "max": maximum}[atom.fn](a, b)


def atoms_of(size: Size) -> Iterator[Symbol]:
    """The symbols in `size`, those inside calls too, in order of appearance, repeats included."""
    for mono, _ in _terms(size):
        for atom, _p in mono:
            if isinstance(atom, Symbol):
                yield atom
            else:
                yield from atoms_of(atom.a)
                yield from atoms_of(atom.b)


def symbols_of(size: Size) -> Iterator[str]:
    """Names of the symbols in `size`, in order of appearance, repeats included."""
    return (atom.name for atom in atoms_of(size))


def solve(pairs: Iterable[tuple[Size, int]], known: Mapping[str, int]) -> dict[str, int]:
    """`known` and every symbol that the equations ``size == number`` settle one at a time, each linear in its last
    unknown. Symbols that stay unsettled are absent; equations that contradict each other are not noticed."""
    values, open_ = dict(known), [(size, n) for size, n in pairs if isinstance(size, Expr)]
    while True:
        left = []
        for size, number in open_:
            unknown = {name for name in symbols_of(size) if name not in values}
            if len(unknown) == 1:
                slope = _slope(substitute(size, values))
                if slope is not None and (number - slope[1]) % slope[0] == 0:
                    values[unknown.pop()] = (number - slope[1]) // slope[0]
                    continue
            if unknown:
                left.append((size, number))
        if len(left) == len(open_):
            return values
        open_ = left


def solvable(found: Iterable[Size], known: Iterable[str]) -> set[str]:
    """Names that `solve` settles when it gets a number for each size in `found`, beside `known`."""
    names, open_ = set(known), [size for size in found if isinstance(size, Expr)]
    while True:
        before = len(names)
        for size in open_:
            unknown = {name for name in symbols_of(size) if name not in names}
            if len(unknown) == 1 and _linear(size, *unknown):
                names |= unknown
        if len(names) == before:
            return names


def _linear(size: Expr, name: str) -> bool:
    """Whether `size` is linear in the symbol `name`, at least one coefficient being not zero whatever the others are."""
    powers = [(mono, p) for mono, _ in size.terms for atom, p in mono if name in symbols_of(_atom(atom))]
    return len(powers) == 1 and powers[0][1] == 1 and all(isinstance(a, Symbol) and (a.name == name or a.lo > 0) for a, _ in powers[0][0])


def _slope(size: Size) -> tuple[int, int] | None:
    """(k, c) where `size` is ``k * symbol + c``."""
    terms = dict(_terms(size))
    constant = terms.pop((), 0)
    if len(terms) != 1:
        return None
    (mono, k), = terms.items()
    return (k, constant) if len(mono) == 1 and mono[0][1] == 1 and isinstance(mono[0][0], Symbol) else None


_TOKEN = re.compile(r"\s*(//|[-+*%(),]|\d+|[A-Za-z_]\w*)")


def parse(text: str, symbols: Mapping[str, Expr] | None = None) -> Size:
    """The size printed as `text`; names not in `symbols` become unbounded symbols. ParseError on anything else."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != re.sub(r"\s", "", text):
        raise ParseError(f"not a size: {text!r}")
    parser = _Parser(tokens, symbols or {}, text)
    size = parser.sum()
    if parser.at != len(tokens):
        raise ParseError(f"not a size: {text!r}")
    return size


class _Parser:
    def __init__(self, tokens: list[str], symbols: Mapping[str, Expr], text: str) -> None:
        self.tokens, self.symbols, self.text, self.at = tokens, symbols, text, 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str | None = None) -> str:
        token = self.peek()
        if not token or (expected is not None and token != expected):
            raise ParseError(f"not a size: {self.text!r}")
        self.at += 1
        return token

    def sum(self) -> Size:
        size = self.product()
        while self.peek() in ("+", "-"):
            size = size + self.product() if self.take() == "+" else size - self.product()
        return size

    def product(self) -> Size:
        size = self.factor()
        while self.peek() in ("*", "//", "%"):
            sign = self.take()
            other = self.factor()
            size = size * other if sign == "*" else floordiv(size, other) if sign == "//" else mod(size, other)
        return size

    def factor(self) -> Size:
        token = self.take()
        if token == "-":
            return self.factor() * -1
        if token == "(":
            size = self.sum()
            self.take(")")
            return size
        if token.isdigit():
            return int(token)
        if token in ("min", "max") and self.peek() == "(":
            self.take("(")
            a = self.sum()
            self.take(",")
            b = self.sum()
            self.take(")")
            return minimum(a, b) if token == "min" else maximum(a, b)
        return self.symbols[token] if token in self.symbols else symbol(token)
