"""Names and size expressions of a printed kernel: which Python name stands for what, and over which dimensions it varies.

Equal texts in one scope are written once: a row that is read twice is loaded once.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ...ir import sizes
from ...ir.dtypes import DType
from ...ir.sizes import Call, Expr, Size, Symbol

#: dimensions of a block: "x" the grid's points, "r" the rounds of a loop
Dims = frozenset[str]
NONE: Dims = frozenset()
X: Dims = frozenset("x")
R: Dims = frozenset("r")

_RESERVED = {"tl", "triton", "libdevice", "status", "x", "xmask", "XBLOCK", "RBLOCK", "range", "float"}
_NARROW = 2**31


@dataclass(slots=True)
class Text:
    """A value: how it is written, and `constant` where it is a literal."""

    text: str
    dtype: DType
    dims: Dims = NONE
    constant: bool | int | float | None = None


@dataclass(slots=True)
class Flat:
    """Axes that one index vector runs over. `name`: of the vector; `total`: its points; `axes`: each one by the vector."""

    name: str
    dims: Dims
    total: Size
    axes: dict[str, Size]


@dataclass(slots=True)
class Names:
    """The text written so far. `wide`: index arithmetic has 64 bits."""

    wide: bool = False
    lines: list[str] = field(default_factory=list)
    indent: int = 1
    taken: set[str] = field(default_factory=lambda: set(_RESERVED))
    symbols: dict[str, str] = field(default_factory=dict)
    flats: list[Flat] = field(default_factory=list)
    scopes: list[dict[str, str]] = field(default_factory=lambda: [{}])

    def say(self, text: str) -> None:
        """One line."""
        self.lines.append("    " * self.indent + text)

    def fresh(self, name: str) -> str:
        """`name`, or a variant of it that is not taken."""
        plain = name.isidentifier() and not keyword.iskeyword(name)
        stem = name if plain else "v" + "".join(c if c.isalnum() else "_" for c in name)
        out, n = stem, 1
        while out in self.taken:
            out, n = f"{stem}_{n}", n + 1
        self.taken.add(out)
        return out

    def known(self, text: str) -> str | None:
        """The name that stands for `text` here."""
        return next((scope[text] for scope in reversed(self.scopes) if text in scope), None)

    def named(self, name: str, text: str, note: object = None) -> str:
        """The name of `text`, whose line is written if there is none in this scope yet."""
        found = self.known(text)
        if found is None:
            found = self.fresh(name)
            self.say(f"{found} = {text}" + (f"  # {note}" if note is not None else ""))
            self.scopes[-1][text] = found
        return found

    @contextmanager
    def scope(self, deeper: int = 1) -> Iterator[None]:
        """Names made inside are forgotten behind it; lines inside are `deeper` levels in."""
        self.scopes.append({})
        flats = list(self.flats)
        self.indent += deeper
        yield
        self.indent -= deeper
        self.flats = flats
        self.scopes.pop()

    # ---- sizes ----------------------------------------------------------------------------------------------------
    def dims_of(self, size: Size) -> Dims:
        """The dimensions over which a size varies, written as `index` does."""
        size, out = self._simplest(size), NONE
        for name in sizes.symbols_of(size):
            flat = self._flat(name)
            out |= flat.dims if flat else NONE
        return out

    def _flat(self, name: str) -> Flat | None:
        return next((f for f in reversed(self.flats) if name in f.axes or name == f.name), None)

    def index(self, size: Size) -> str:
        """An index expression: in terms of the index vectors where that is simpler than by axes."""
        return self.size(self._simplest(size))

    def _simplest(self, size: Size) -> Size:
        flat = sizes.simplify(sizes.substitute(size, {n: e for f in self.flats for n, e in f.axes.items()}))
        vectors = {f.name for f in self.flats}
        return size if any(vectors & set(_in_calls(flat))) else flat

    def size(self, size: Size) -> str:
        """A size as an expression."""
        if not isinstance(size, Expr):
            return str(size)
        out = ""
        for mono, k in size.terms:
            factors = [self._atom(atom) for atom, p in mono for _ in range(p)]
            if abs(k) != 1 or not factors:
                factors.append(str(abs(k)))
            sign = (" - " if k < 0 else " + ") if out else ("-" if k < 0 else "")
            out += sign + " * ".join(factors)
        return out

    def wrapped(self, size: Size) -> str:
        """A size as one operand."""
        text = self.size(size)
        return f"({text})" if isinstance(size, Expr) and (" " in text or text.startswith("-")) else text

    def _atom(self, atom: Symbol | Call) -> str:
        if isinstance(atom, Symbol):
            return self.symbols.get(atom.name) or self._axis(atom.name)
        a, b = self.wrapped(atom.a), self.wrapped(atom.b)
        if atom.fn in ("min", "max"):
            return f"tl.{atom.fn}imum({a}, {b})"
        low, _ = sizes.bounds(self.bounded(atom.a))
        if low is not None and low >= 0:
            return f"({a} {'//' if atom.fn == 'floordiv' else '%'} {b})"
        return f"_{atom.fn}({a}, {b})"

    def _axis(self, name: str) -> str:
        """An axis of an index vector, by the vector."""
        flat = self._flat(name)
        if flat is None or flat.name == name:
            return name
        what = flat.axes[name]
        if what == sizes.symbol(flat.name):
            return flat.name
        text = self._parts(what)
        return self.named(name, text)

    def _parts(self, what: Size) -> str:
        """``x // a % b`` without needless parentheses."""
        if isinstance(what, Expr) and len(what.terms) == 1 and isinstance(what.terms[0][0][0][0], Call):
            call = what.terms[0][0][0][0]
            if call.fn in ("floordiv", "mod"):
                return f"{self._parts(call.a)} {'//' if call.fn == 'floordiv' else '%'} {self.wrapped(call.b)}"
        return self.wrapped(what)

    def bounded(self, size: Size) -> Size:
        """`size` with each axis as a symbol that knows its end."""
        ends = {n: sizes.symbol(n, 0, None) for n in sizes.symbols_of(size)}
        for f in self.flats:
            for n, e in f.axes.items():
                _, high = sizes.bounds(sizes.substitute(e, {f.name: sizes.symbol(f.name, 0, f.total - 1)}))
                ends[n] = sizes.symbol(n, 0, high)
        return sizes.substitute(size, ends)

    def fits(self, size: Size) -> bool:
        """Whether it is certain that `size` needs no more than 32 bits."""
        low, high = sizes.bounds(self.bounded(size))
        return low is not None and high is not None and low >= -_NARROW and high < _NARROW


def _in_calls(size: Size) -> Iterator[str]:
    """The symbols inside of calls."""
    atoms = (atom for mono, _ in size.terms for atom, _p in mono) if isinstance(size, Expr) else ()
    for atom in atoms:
        if isinstance(atom, Call):
            yield from sizes.symbols_of(atom.a)
            yield from sizes.symbols_of(atom.b)


def unravelled(name: str, extents: list[tuple[str, Size]]) -> dict[str, Size]:
    """Each axis as an expression of the flat index `name`, the last axis innermost. (Of an empty grid nothing is run.)"""
    extents = [(axis, 1 if extent == 0 else extent) for axis, extent in extents]
    total: Size = 1
    for _, extent in extents:
        total = total * extent
    flat, step, out = sizes.symbol(name, 0, total - 1), 1, {}
    rest: Size = step
    for at in reversed(range(len(extents))):
        axis, extent = extents[at]
        part = sizes.floordiv(flat, rest)
        out[axis] = part if at == 0 else sizes.mod(part, extent)
        rest = rest * extent
    return dict(reversed(out.items()))
