"""From numbers back to symbols: the values of a graph's symbols given the sizes of its inputs. Guesses nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .sizes import Expr, Size, Symbol, bounds, substitute, symbols_of


def solve(pairs: Iterable[tuple[Size, int]], known: Mapping[str, int]) -> dict[str, int]:
    """`known` and every symbol that the equations ``size == number`` settle one at a time, each linear in its last
    unknown. Symbols that stay unsettled are absent; equations that contradict each other are not noticed."""
    values, open_ = dict(known), [(size, n) for size, n in pairs if isinstance(size, Expr)]
    while True:
        left = []
        for size, number in open_:
            unknown = {name for name in symbols_of(size) if name not in values}
            form = linear_form(substitute(size, values)) if len(unknown) == 1 else None
            if form is not None and (number - form[1]) % form[0] == 0:
                values[unknown.pop()] = (number - form[1]) // form[0]
            elif unknown:
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
    monos = [mono for mono, _ in size.terms if name in symbols_of(Expr(((mono, 1),)))]
    if len(monos) != 1:
        return False
    return all(isinstance(a, Symbol) and (p == 1 if a.name == name else a.lo > 0) for a, p in monos[0])


def linear_form(size: Size) -> tuple[int, int] | None:
    """(k, c) where `size` is ``k * symbol + c``."""
    terms = dict(size.terms) if isinstance(size, Expr) else {(): size}
    constant = terms.pop((), 0)
    if len(terms) != 1:
        return None
    (mono, k), = terms.items()
    return (k, constant) if len(mono) == 1 and mono[0][1] == 1 and isinstance(mono[0][0], Symbol) else None


def slope(size: Size, name: str) -> tuple[Size, Size] | None:
    """(a, b) where `size` is ``a * symbol + b`` and the symbol called `name` is in neither."""
    if not isinstance(size, Expr):
        return None
    a: Size = 0
    b: Size = 0
    for mono, k in size.terms:
        term = Expr(((mono, k),)) if mono else k
        if name not in symbols_of(term):
            b = b + term
            continue
        rest = tuple((atom, p) for atom, p in mono if not (isinstance(atom, Symbol) and atom.name == name and p == 1))
        factor = Expr(((rest, 1),)) if rest else 1
        if name in symbols_of(factor):
            return None
        a = a + factor * k
    return None if a == 0 else (a, b)


def order(found: Sequence[Size], known: Iterable[str] = ()) -> list[tuple[int, str, Size, Size]]:
    """One way to settle the symbols in `found` from numbers for them: steps (number of the size, symbol, a, b) where that size
    is ``a * symbol + b``, with a positive, both of symbols settled before. What no step settles is absent."""
    names = set(known)
    steps: list[tuple[int, str, Size, Size]] = []
    while True:
        before = len(steps)
        for number, size in enumerate(found):
            unknown = {name for name in symbols_of(size) if name not in names}
            form = slope(size, *unknown) if len(unknown) == 1 else None
            low = None if form is None else bounds(form[0])[0]
            if form is not None and low is not None and low > 0:
                steps.append((number, next(iter(unknown)), *form))
                names |= unknown
        if len(steps) == before:
            return steps
