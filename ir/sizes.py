"""Sizes: integer polynomials over bounded symbols, with floordiv, mod, min and max as atoms, in one normal form.

Two sizes that are equal as polynomials are equal objects by ``==``; constants are plain ints. Symbols are non-negative.
Index expressions of kernels are sizes too, with loop axes as symbols. Never asks for values and never guesses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Union

from .lazyclass import dataclass


@dataclass(frozen=True, slots=True)
class Symbol:
    """A free non-negative integer between `lo` and `hi` (None: unbounded), both inclusive. Symbols of one name are one."""

    name: str
    lo: int = 0
    hi: Size | None = None

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
    a: Size
    b: Size

    def __str__(self) -> str:
        if self.fn in ("min", "max"):
            return f"{self.fn}({self.a}, {self.b})"
        sign = "//" if self.fn == "floordiv" else "%"
        return f"({_wrapped(self.a)} {sign} {_wrapped(self.b)})"


Atom = Union[Symbol, Call]
Monomial = tuple[tuple[Atom, int], ...]


class Expr:
    """A size that is not a constant. `terms` maps monomials to coefficients, in a fixed order."""

    __slots__ = ("_bounds", "_hash", "_names", "terms")

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]) -> None:
        self.terms, self._hash = terms, hash(terms)
        self._bounds: Interval | None = None
        self._names: tuple[str, ...] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expr) and self.terms == other.terms

    def __hash__(self) -> int:
        return self._hash

    def __bool__(self) -> bool:
        raise TypeError(f"the size {self} has no truth value: compare sizes with sizes.equal or sizes.bounds")

    def __add__(self, other: Size) -> Size:
        if isinstance(other, int):  # the constant term is the last one
            rest, constant = (self.terms[:-1], self.terms[-1][1] + other) if not self.terms[-1][0] else (self.terms, other)
            return Expr((*rest, ((), constant)) if constant else rest) if other else self
        terms = dict(self.terms)
        for mono, k in _terms(other):
            terms[mono] = terms.get(mono, 0) + k
        return _normal(terms)

    def __mul__(self, other: Size) -> Size:
        if isinstance(other, int):
            return self if other == 1 else Expr(tuple((m, k * other) for m, k in self.terms)) if other else 0
        if len(self.terms) == len(other.terms) == 1:
            (m1, k1), (m2, k2) = self.terms[0], other.terms[0]
            return Expr(((_times(m1, m2), k1 * k2),))
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
    if not a or not b:
        return a or b
    powers = dict(a)
    for atom, p in b:
        powers[atom] = powers.get(atom, 0) + p
    return tuple(sorted(powers.items(), key=lambda item: _atom_text(item[0])))


@lru_cache(maxsize=1 << 14)
def _atom_text(atom: Atom) -> str:
    return str(atom)


def _normal(terms: dict[Monomial, int]) -> Size:
    kept = [(m, k) for m, k in terms.items() if k]
    if not kept:
        return 0
    if len(kept) == 1 and kept[0][0] == ():
        return kept[0][1]
    kept.sort(key=lambda item: _mono_place(item[0]))
    return Expr(tuple(kept))


@lru_cache(maxsize=1 << 14)
def _mono_place(mono: Monomial) -> tuple[int, str]:
    return -sum(p for _, p in mono), _mono_text(mono)


def _mono_text(mono: Monomial) -> str:
    return "*".join(_atom_text(atom) for atom, p in mono for _ in range(p))


def _signed(mono: Monomial, k: int, first: bool) -> str:
    sign = ("-" if first else " - ") if k < 0 else ("" if first else " + ")
    text = _mono_text(mono)
    body = text if text and abs(k) == 1 else f"{abs(k)}*{text}" if text else str(abs(k))
    return sign + body


def _wrapped(size: Size) -> str:
    if isinstance(size, Expr):
        (mono, k), *others = size.terms
        return str(size) if not others and k == 1 and sum(p for _, p in mono) == 1 else f"({size})"
    return str(size) if size >= 0 else f"({size})"


def _split(a: Size, b: Size) -> tuple[Size, Size]:
    """(q, r) with a == q * b + r: every term that the leading term of `b` divides goes into q, and of a constant term its
    largest multiple where `b` is a constant. A sum `b` divides only where that leaves fewer terms."""
    if isinstance(b, int):
        return _split_constant(a, b)
    if len(b.terms) == 1:
        return _split_monomial(a, b.terms[0])
    q: Size = 0
    r, lead = a, max(b.terms, key=_order(a, b))
    for _ in range(8):
        part, _rest = _split_monomial(r, lead)
        if part == 0:
            break
        q, r = q + part, r - part * b
        if r == 0 or len(_terms(r)) > 16:
            break
    return (q, r) if len(_terms(r)) < len(_terms(a)) else (0, a)


def _split_constant(a: Size, b: int) -> tuple[Size, Size]:
    q, r = {}, {}
    for mono, k in _terms(a):
        if k % b == 0:
            q[mono] = k // b
        elif mono:
            r[mono] = k
        else:  # k // b of a constant, so that what remains is at least 0 and below b
            q[mono], r[mono] = k // b, k % b
    return _normal(q), _normal(r)


def _split_monomial(a: Size, divisor: tuple[Monomial, int]) -> tuple[Size, Size]:
    (mono_b, k_b), q, r = divisor, {}, {}
    for mono, k in _terms(a):
        powers = dict(mono)
        for atom, p in mono_b:
            powers[atom] = powers.get(atom, 0) - p
        if k % k_b == 0 and all(p >= 0 for p in powers.values()):
            q[tuple((atom, powers[atom]) for atom, _ in mono if powers[atom])] = k // k_b
        else:
            r[mono] = k
    return _normal(q), _normal(r)


def _order(*sizes: Size) -> Callable[[tuple[Monomial, int]], Any]:
    """Graded lexical order of terms, the same for products as for their factors: division by the greatest term ends."""
    atoms = sorted({atom for size in sizes for mono, _ in _terms(size) for atom, _ in mono}, key=_atom_text)
    return lambda term: (sum(p for _, p in term[0]), tuple(dict(term[0]).get(atom, 0) for atom in atoms))


def _below(r: Size, b: Size) -> bool:
    """Whether 0 <= r < b is certain."""
    lo, _ = bounds(r)
    if lo is None or lo < 0:
        return False
    gap, _ = bounds(b - upper(r))
    return gap is not None and gap > 0


def upper(r: Size) -> Size:
    """A size that is never below `r`: in terms with positive coefficient and no negative atom, atoms that have an upper
    bound are replaced by it; in terms with negative coefficient, by their lower bound. Bounds that are sizes come first, for they
    may cancel others."""
    first = _replaced(r, lambda bound: isinstance(bound, Expr))
    return _replaced(first, lambda bound: True) if first == r else upper(first)


def _replaced(r: Size, chosen: Callable[[Size], bool]) -> Size:
    total: Size = 0
    for mono, k in _terms(r):
        term: Size = k
        certain = all(_never_negative(atom) for atom, _ in mono)
        for atom, p in mono:
            bound = _bound_size(atom, k > 0) if certain else None
            bound = bound if bound is not None and chosen(bound) else None
            for _ in range(p):
                term = term * (_atom(atom) if bound is None else bound)
        total = total + term
    return total


def _never_negative(atom: Atom) -> bool:
    lo, _ = _atom_bounds(atom)
    return lo is not None and lo >= 0


def _bound_size(atom: Atom, upper: bool) -> Size | None:
    if isinstance(atom, Symbol):
        return atom.hi if upper else atom.lo or None
    return atom.b - 1 if upper and atom.fn == "mod" else None


def _leads_negative(b: Size) -> bool:
    """Whether a divisor is taken to be negative: by its bounds where these tell, as for -(-n // 2), else by its first term."""
    lo, hi = bounds(b)
    if (lo is not None and lo >= 0) or (hi is not None and hi <= 0):
        return lo is None or lo < 0
    return b < 0 if isinstance(b, int) else b.terms[0][1] < 0


def floordiv(a: Size, b: Size) -> Size:
    """``a // b``, toward minus infinity, wherever `b` is not 0; ZeroDivisionError where it is the constant 0.

    Simplifications that need a sign take a divisor whose bounds do not tell to be positive if its first printed term is.
    """
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    if b == 0:
        raise ZeroDivisionError(f"the size {a} is divided by 0")
    if _leads_negative(b):
        return floordiv(a * -1, b * -1)
    if b == 1:
        return a
    q, r = _split(a, b)
    if r == 0 or _below(r, b):
        return q
    inner = _only_call(r)
    if inner is not None and inner.fn == "floordiv" and isinstance(b, int) and isinstance(inner.b, int):
        return q + floordiv(inner.a, inner.b * b)  # (x // c) // b == x // (c * b) for positive c and b
    return q + _atom(Call("floordiv", r, b))


def mod(a: Size, b: Size) -> Size:
    """``a % b``, with the sign of `b`; as `floordiv` otherwise."""
    if isinstance(a, int) and isinstance(b, int):
        return a % b
    if b == 0:
        raise ZeroDivisionError(f"the size {a} is divided by 0")
    if _leads_negative(b):
        return mod(a * -1, b * -1) * -1
    _, r = _split(a, b)
    if b == 1 or r == 0:
        return 0
    if _below(r, b):
        return r
    inner = _only_call(r)
    if inner is not None and inner.fn == "mod" and _split(inner.b, b)[1] == 0:
        return mod(inner.a, b)  # (x % (c * b)) % b == x % b
    return _atom(Call("mod", r, b))


def _only_call(size: Size) -> Call | None:
    """The call that `size` is, if it is one and nothing else."""
    if not isinstance(size, Expr) or len(size.terms) != 1:
        return None
    (mono, k), = size.terms
    return mono[0][0] if k == 1 and len(mono) == 1 and mono[0][1] == 1 and isinstance(mono[0][0], Call) else None


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


def simplify(size: Size) -> Size:
    """`size` with split indices put together again: ``b * (a // b) + a % b -> a``, wherever both occur with fitting factors."""
    joined: Size | None = size
    while joined is not None:
        size, joined = joined, _rejoined(joined)
    return size


def _rejoined(size: Size) -> Size | None:
    """`size` with one remainder and its quotient joined; None where there is none."""
    terms = dict(_terms(size))
    for mono, k in terms.items():
        for atom, p in mono:
            if p != 1 or not isinstance(atom, Call) or atom.fn != "mod":
                continue
            rest = _normal({tuple(item for item in mono if item[0] is not atom): k})
            wholes = (quotient * atom.b * rest for quotient in _quotients(atom))
            whole = next((w for w in wholes if all(terms.get(m) == c for m, c in _terms(w))), None)
            if whole is not None:
                return size - whole - rest * _atom(atom) + rest * atom.a
    return None


def _quotients(remainder: Call) -> Iterator[Size]:
    """The forms in which the quotient that goes with a remainder is written: (x // c) // b as x // (c * b) too."""
    yield floordiv(remainder.a, remainder.b)
    inner = _only_call(remainder.a)
    if inner is not None and inner.fn == "floordiv":
        yield floordiv(inner.a, inner.b * remainder.b)


Interval = tuple[int | None, int | None]


def bounds(size: Size) -> Interval:
    """Interval that holds `size`; None where an end is unknown."""
    if isinstance(size, int):
        return size, size
    if size._bounds is None:
        lo: int | None = 0
        hi: int | None = 0
        for mono, k in size.terms:
            t_lo, t_hi = _term_bounds(mono, k)
            lo = None if lo is None or t_lo is None else lo + t_lo
            hi = None if hi is None or t_hi is None else hi + t_hi
        size._bounds = lo, hi
    return size._bounds


def _term_bounds(mono: Monomial, k: int) -> Interval:
    if len(mono) == 1 and mono[0][1] == 1:
        lo, hi = _atom_bounds(mono[0][0])
        low, high = None if lo is None else lo * k, None if hi is None else hi * k
        return (low, high) if k > 0 else (high, low)
    whole: Interval = (k, k)
    for atom, p in mono:
        interval = _atom_bounds(atom)
        for _ in range(p):
            whole = _product(whole, interval)
    return whole


def _product(x: Interval, y: Interval) -> Interval:
    ends = [a * b if a and b else 0 for a in _ends(x) for b in _ends(y)]
    lo, hi = min(ends), max(ends)
    return None if lo == -_INFINITE else int(lo), None if hi == _INFINITE else int(hi)


def _ends(x: Interval) -> tuple[float, float]:
    return -_INFINITE if x[0] is None else x[0], _INFINITE if x[1] is None else x[1]


_INFINITE = float("inf")


def _atom_bounds(atom: Atom) -> Interval:
    if isinstance(atom, Symbol):
        return atom.lo, None if atom.hi is None else bounds(atom.hi)[1]
    (a_lo, a_hi), (b_lo, b_hi) = bounds(atom.a), bounds(atom.b)
    if atom.fn in ("mod", "floordiv"):
        b_lo = 1 if b_lo is None else max(b_lo, 1)
        return _mod_bounds(a_lo, a_hi, b_hi) if atom.fn == "mod" else _floordiv_bounds(a_lo, a_hi, b_lo, b_hi)
    if atom.fn == "min":
        highs = [x for x in (a_hi, b_hi) if x is not None]
        return None if a_lo is None or b_lo is None else min(a_lo, b_lo), min(highs) if highs else None
    lows = [x for x in (a_lo, b_lo) if x is not None]
    return max(lows) if lows else None, None if a_hi is None or b_hi is None else max(a_hi, b_hi)


def _mod_bounds(a_lo: int | None, a_hi: int | None, b_hi: int | None) -> Interval:
    tops = [x for x in (None if b_hi is None else b_hi - 1, a_hi if a_lo is not None and a_lo >= 0 else None) if x is not None]
    return 0, min(tops) if tops else None


def _floordiv_bounds(a_lo: int | None, a_hi: int | None, b_lo: int, b_hi: int | None) -> Interval:
    def end(a: int | None) -> list[int | None]:
        if a is None:
            return [None]
        return [a // b_lo, (0 if a >= 0 else -1) if b_hi is None else a // b_hi]

    lows, highs = end(a_lo), end(a_hi)
    return (None if None in lows else min(lows)), (None if None in highs else max(highs))  # type: ignore[type-var]


def equal(a: Size, b: Size) -> bool | None:
    """True or False where that is certain for all values of the symbols, None where it depends."""
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    if a == b:
        return True
    diff = a - b
    lo, hi = bounds(diff)
    if lo == hi == 0 or _without_mod(diff) == 0:
        return True
    return False if (lo is not None and lo > 0) or (hi is not None and hi < 0) else None


def form(size: Size) -> Size:
    """The size that stands behind an int by which a capture counts, which has it as its own ``size``; any other as it is."""
    found: Size = size if type(size) is int or isinstance(size, Expr) else getattr(size, "size", size)
    return found


def identical(a: Sequence[Size], b: Sequence[Size]) -> bool:
    """Whether sizes are one by one the same objects, numbers or forms: asks nothing of a size that a capture does not fix."""
    if len(a) != len(b):
        return False
    return all(x is y or (type(x) is type(y) and type(x) in (int, Expr) and x == y) for x, y in zip(a, b, strict=True))


def _without_mod(size: Size) -> Size:
    """`size` with ``a % b`` written as ``a - b * (a // b)``: equal polynomials in quotients are then one form."""
    total: Size = 0
    for mono, k in _terms(size):
        term: Size = k
        for atom, p in mono:
            plain: Size = _atom(atom)
            if isinstance(atom, Call) and atom.fn == "mod":
                plain = atom.a - atom.b * _atom(Call("floordiv", atom.a, atom.b))
            for _ in range(p):
                term = term * plain
        total = total + term
    return total


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
    if isinstance(size, Expr) and size._names is None:
        size._names = tuple(atom.name for atom in atoms_of(size))
    return iter(() if isinstance(size, int) else size._names or ())
