"""What a loop nest looks like from outside: which axis becomes the vector, how wide, how often unrolled. Writes no text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias, Union

from ...ir import sizes
from ...ir.dtypes import DType, int64
from ...ir.lazyclass import dataclass
from ...ir.loops import Acc, Axis, Buffer, Compute, Index, Kernel, Load, LoadAt, Loop, Reduce, Running, Stmt, Store, StoreAt
from ...ir.sizes import Expr, Size, Symbol
from . import philox

#: rough cost of a primitive in vector instructions, where it is not 1
COST = {
    "exp": 16, "expm1": 20, "log": 22, "log1p": 26, "sin": 24, "cos": 24, "tanh": 26, "erf": 40, "pow": 60, "philox": 300,
    "mod": 12,
}  # fmt: skip
#: rounds of a tile: as many as elements of four bytes in a cache line
TILE = 16
#: elements of a long sum that are added up before their total is: a whole number of vectors of any width
BLOCK = 16384
#: rounds of a long loop around the vectors, or inside them, whose sum is added to the total
STRETCH = 1024
#: largest distance between lanes at which whole vectors are read and shuffled
NEAR = 4
#: What reads or writes memory.
Access: TypeAlias = Union[Load, LoadAt, Store, StoreAt]
_UNIT, _REVERSED, _SHUFFLED, _GATHERED = 1.0, 0.7, 0.5, 0.25
#: rounds of a loop inside, where one has to be guessed
_ROUNDS = 32.0


@dataclass(frozen=True, slots=True)
class Shape:
    """How the loop over `axis` is written: `lanes` wide, `copies` vectors at a time; TILE rounds of `tile` go inside it."""

    axis: Axis
    lanes: int
    copies: int
    tile: Axis | None = None


def in_blocks(axis: Axis, accs: Sequence[Acc | Running]) -> bool:
    """Whether a loop over `axis` may be so long that its sums lose digits when they are added up in one go."""
    high = sizes.bounds(axis.extent)[1]
    return (high is None or high > 2 * BLOCK) and any(a.combine == "add" and a.dtype.kind == "f" for a in accs)


def in_stretches(axis: Axis, accs: Sequence[Acc | Running]) -> bool:
    """As `in_blocks`, for a loop that adds one element at a time."""
    high = sizes.bounds(axis.extent)[1]
    return (high is None or high > 4 * STRETCH) and any(a.combine == "add" and a.dtype.kind == "f" for a in accs)


def linear(index: Size, axis: str) -> tuple[Size, Size] | None:
    """``(coefficient, rest)`` with index == coefficient * axis + rest and both free of `axis`; None if there are none."""
    coefficient: Size = 0
    rest: Size = 0
    if not isinstance(index, Expr):
        return 0, index
    for mono, k in index.terms:
        if axis not in set(sizes.symbols_of(Expr(((mono, 1),)))):
            rest = rest + Expr(((mono, k),)) if mono else rest + k
            continue
        powers = dict(mono)
        own = Symbol(axis)
        if powers.pop(own, 0) != 1:
            return None
        left: Size = k
        for atom, p in powers.items():
            factor = Expr(((((atom, p),), 1),))
            if axis in set(sizes.symbols_of(factor)):
                return None
            left = left * factor
        coefficient = coefficient + left
    return coefficient, rest


def strided(s: Access, axis: str) -> int | None:
    """The small constant distance between lanes when `axis` is the vector; None where they lie otherwise."""
    parts = None if isinstance(s, (LoadAt, StoreAt)) else linear(s.index, axis)
    return parts[0] if parts is not None and isinstance(parts[0], int) and 1 < parts[0] <= NEAR else None


def interleaved(body: Sequence[Stmt], axis: str, buffers: Sequence[Buffer]) -> list[list[Store]]:
    """Stores of `body`, by index, that fill a stretch of memory together when `axis` is the vector."""
    found: dict[tuple[str, int], list[Store]] = {}
    for s in body:
        step = strided(s, axis) if isinstance(s, Store) else None
        if isinstance(s, Store) and step is not None and any(b.name == s.buffer and b.access == "w" for b in buffers):
            found.setdefault((s.buffer, step), []).append(s)
    return [run for (_, step), run in found.items()
            if len(run) == step and all(s.index - run[0].index == i for i, s in enumerate(run))]  # fmt: skip


def accesses(body: Sequence[Stmt], weight: float = 1.0) -> Iterator[tuple[Access, float]]:
    """Every load and store with a guess how often it runs; nested loops included."""
    for s in body:
        if isinstance(s, (Load, LoadAt, Store, StoreAt)):
            yield s, weight
        elif isinstance(s, (Loop, Reduce)):
            yield from accesses(s.body, weight * _ROUNDS)


def running(s: Loop | Reduce) -> tuple[Running, ...]:
    """The running totals that a loop carries along."""
    return tuple(x for x in s.body if isinstance(x, Running))


def inner(body: Sequence[Stmt]) -> Iterator[Loop | Reduce]:
    """The loops that stand directly in `body`."""
    return (s for s in body if isinstance(s, (Loop, Reduce)))


def axes_of(s: Loop | Reduce) -> tuple[Axis, ...]:
    """The axes of a loop statement, outermost first."""
    return (s.axis,) if isinstance(s, Loop) else s.axes


def in_order(s: Loop | Reduce) -> bool:
    """Whether the rounds of a loop statement must follow one another."""
    return isinstance(s, Loop) and s.serial


def gain(body: Sequence[Stmt], axis: Axis) -> float:
    """What vectorising over `axis` gives: the accesses that become plain vectors, weighed by how full the vectors are."""
    total = 0.0
    found = list(accesses(body))
    changing = _changing(body, axis.name) if any(isinstance(s, (LoadAt, StoreAt)) for s, _ in found) else set()
    for s, often in found:
        parts = linear(s.index, axis.name)
        step = parts[0] if parts else None
        near = isinstance(s, Load) and strided(s, axis.name) is not None
        plain = step in (0, 1) and not (isinstance(s, (LoadAt, StoreAt)) and s.at in changing)
        total += often * (_UNIT if plain else _REVERSED if step == -1 else _SHUFFLED if near else _GATHERED)
    full = min(1.0, axis.extent / 16) if isinstance(axis.extent, int) else 1.0
    return total * full


def best_inside(body: Sequence[Stmt]) -> float:
    """The gain of leaving the vectors to the loops inside."""
    return _ROUNDS * sum(max(0.0 if in_order(s) else max(gain(s.body, a) for a in axes_of(s)), best_inside(s.body))
                         for s in inner(body))  # fmt: skip


def choose(axes: Sequence[Axis], body: Sequence[Stmt], kernel: Kernel, vector_bytes: int, outermost: bool) -> Shape | None:
    """The vector loop of a nest, or None where the loops inside should have the vectors."""
    if not axes:
        return None
    gains = [gain(body, a) for a in axes]
    at = max(range(len(axes)), key=lambda i: (gains[i], i))
    nested = any(True for _ in inner(body))
    if nested and (kernel.scratch or gains[at] <= best_inside(body)):
        return None
    if _scattered(body, gains[at]) or _carried_across(body, gains[at]):
        return None
    types = varying_types(body, axes[at].name, {b.name: b.dtype for b in kernel.memory})
    lanes = max(1, vector_bytes // max((t.itemsize for t in types), default=8))
    lanes = max(2, min(lanes, 32))
    tile = None if nested or not outermost else _tile(axes, at, body)
    copies = 1 if tile else _copies(body, nested, not outermost)
    extent = axes[at].extent
    while copies > 1 and isinstance(extent, int) and _too_many(extent, lanes, copies, body):
        copies //= 2
    return Shape(axes[at], lanes, copies, tile)


def _scattered(body: Sequence[Stmt], gained: float) -> bool:
    """Whether elements are written here and there, and most of the others are read so: one at a time is faster then."""
    found = list(accesses(body))
    return any(isinstance(s, StoreAt) for s, _ in found) and gained < 0.5 * sum(often for _, often in found)


def _carried_across(body: Sequence[Stmt], gained: float) -> bool:
    """Whether loops inside go in order along lines of memory which the vectors would cross: each lane had a cache line of its
    own, at distances that fall into few sets of a cache."""
    return any(map(in_order, inner(body))) and gained < 0.5 * sum(often for _, often in accesses(body))


def _too_many(extent: int, lanes: int, copies: int, body: Sequence[Stmt]) -> bool:
    """Whether the loop has no round of so many vectors, or, drawing numbers, would leave too much to single vectors."""
    group = lanes * copies
    return group > extent or (copies > philox.GROUP and extent % group * 16 > extent and _draws(body))


def _tile(axes: Sequence[Axis], at: int, body: Sequence[Stmt]) -> Axis | None:
    """An axis along which what the vector axis gathers lies side by side."""
    for s, _ in accesses(body):
        far = linear(s.index, axes[at].name)
        if isinstance(s, (LoadAt, StoreAt)) or far is None or (isinstance(far[0], int) and abs(far[0]) < TILE):
            continue
        for a in axes:
            near = linear(s.index, a.name)
            if a is not axes[at] and near is not None and near[0] == 1 and not (isinstance(a.extent, int) and a.extent < TILE):
                return a
    return None


def _copies(body: Sequence[Stmt], nested: bool, reducing: bool) -> int:
    cost = weight(body)
    if _draws(body):
        return philox.GROUP * philox.CHAINS
    if nested:  # many columns at a time: memory is then walked in long runs
        return 16 if cost <= 3 else 8 if cost <= 6 else 4 if cost <= 24 else 1
    if reducing:
        return 4 if cost <= 10 else 2 if cost <= 24 else 1
    return 2 if cost <= 12 else 1


def _draws(body: Sequence[Stmt]) -> bool:
    """Whether random words are drawn in `body` or in the loops inside."""
    return any(isinstance(s, Compute) and s.prim == "philox" for s in body) or any(_draws(s.body) for s in inner(body))


def weight(body: Sequence[Stmt]) -> int:
    """Rough number of vector instructions of one round."""
    total = 0
    for s in body:
        if isinstance(s, (Loop, Reduce)):
            total += weight(s.body)
        elif isinstance(s, Compute):
            total += COST.get(s.prim, 1)
        else:
            total += 1
    return total


def varying_types(body: Sequence[Stmt], axis: str, memory: Mapping[str, DType]) -> set[DType]:
    """Dtypes of the values that differ from lane to lane when `axis` is the vector (bool takes no width)."""
    found: set[DType] = set()
    _vary(body, axis, memory, set(), found)
    return {t for t in found if t.kind != "b"}


class _AnyMemory(dict[str, DType]):
    """Stands for memory whose dtypes do not matter."""

    def __missing__(self, name: str) -> DType:
        return int64


def _changing(body: Sequence[Stmt], axis: str) -> set[str]:
    """The names of `body` that differ from lane to lane when `axis` is the vector."""
    names: set[str] = set()
    _vary(body, axis, _AnyMemory(), names, set())
    return names


def _vary(body: Sequence[Stmt], axis: str, memory: Mapping[str, DType], names: set[str], found: set[DType]) -> None:
    for s in body:
        if isinstance(s, (Loop, Reduce)):
            _vary(s.body, axis, memory, names, found)
            if isinstance(s, Reduce):
                changing = [a for a in s.accs if a.value in names]
                names.update(a.dest for a in changing)
                found.update(a.dtype for a in changing)
        elif isinstance(s, (Store, StoreAt)):
            found.add(memory[s.buffer])
        elif isinstance(s, (Load, LoadAt)):
            if axis in sizes.symbols_of(s.index) or s.mask in names or (isinstance(s, LoadAt) and s.at in names):
                names.add(s.dest)
                found.add(memory[s.buffer])
        elif isinstance(s, Index):
            if axis in sizes.symbols_of(s.value):
                names.add(s.dest)
        elif isinstance(s, Running):
            if s.value in names:
                names.add(s.dest)
                found.add(s.dtype)
        elif isinstance(s, Compute) and names.intersection(s.args):
            names.add(s.dest)
            found.add(s.dtype)
