"""How much work a kernel is, and into how many chunks its grid is cut: by its shape alone, never by the number of threads.

One unit is a picosecond of one core of the machine that the figures were taken on; only the magnitude counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from . import sizes
from .loops import Axis, Check, Compute, Const, Index, Kernel, Load, LoadAt, Loop, Param, Reduce, Running, Stmt, Store, StoreAt
from .plan import GemmStep, KernelStep, RoutineStep, Step
from .sizes import Size
from .types import numel

#: rough cost of a primitive in vector instructions, where it is not 1
COST = {
    "exp": 16, "expm1": 20, "log": 22, "log1p": 26, "sin": 24, "cos": 24, "tanh": 26, "erf": 40, "pow": 60, "philox": 300,
    "mod": 12,
}  # fmt: skip
#: units of an instruction for four bytes of a vector; of a load or store of four bytes, half in cache and half in memory
INSTRUCTION, MEMORY, GATHERED = 16, 90, 400
#: units of a multiplication of a matrix product or another routine
MULTIPLICATION = 10
#: units from which a job is split: below, waking a worker and taking its results over cost more than it wins
WORTH = 24_000_000
#: units of a chunk at least, and chunks at most
CHUNK, MAX_CHUNKS = 4_000_000, 64
#: units from which other Python threads are let run meanwhile (some 20 us): to get the lock back may take another's whole turn
LONG = 60_000_000
#: rounds of the first axis from which on it is the one that is split
_ENOUGH = 16


def work(kernel: Kernel) -> Size:
    """Units of one run on one thread."""
    types = {m.name: m.dtype.itemsize for m in kernel.memory}
    total = _times(statements(kernel.body, types), kernel.grid)
    for part in kernel.parts:
        total = total + work(part)
    return total


def _times(one: Size, axes: Sequence[Axis]) -> Size:
    for axis in axes:
        one = one * axis.extent
    return one


def statements(body: Sequence[Stmt], types: Mapping[str, int]) -> Size:
    """Units of one round of these statements; `types`: bytes of an element of each buffer."""
    total: Size = 0
    for s in body:
        if isinstance(s, Loop):
            total = total + _times(statements(s.body, types), (s.axis,))
        elif isinstance(s, Reduce):
            total = total + _times(statements(s.body, types) + INSTRUCTION * len(s.accs), s.axes)
        elif isinstance(s, Compute):
            total = total + COST.get(s.prim, 1) * INSTRUCTION * max(1, s.dtype.itemsize // 4)
        elif isinstance(s, (Load, Store)):
            total = total + max(1, MEMORY * types[s.buffer] // 4)
        elif not isinstance(s, (Index, Const, Param, Check, Running)):  # places that are known at run time only
            total = total + GATHERED
    return total


def split_axis(grid: Sequence[Axis]) -> int | None:
    """The number of the grid axis that threads share: the first of many rounds, else the longest; None for an empty grid."""
    if not grid:
        return None
    for i, axis in enumerate(grid):
        if not isinstance(axis.extent, int) or axis.extent >= _ENOUGH:
            return i
    return max(range(len(grid)), key=lambda i: grid[i].extent)  # type: ignore[arg-type, return-value]


def chunks(kernel: Kernel) -> Size:
    """Chunks of the grid that may run at the same time; 1 where splitting is not worth it."""
    axis = split_axis(kernel.grid)
    return 1 if axis is None else pieces(work(kernel), kernel.grid[axis].extent)


def routine_pieces(step: RoutineStep) -> Size:
    """Chunks of a routine that may run at the same time; 1 where splitting is not worth it."""
    return pieces(MULTIPLICATION * step.work, step.parts)


def step_units(step: Step) -> Size:
    """Units of a step on one thread; 0 where nobody knows."""
    if isinstance(step, KernelStep):
        return work(step.kernel)
    if isinstance(step, RoutineStep):
        return MULTIPLICATION * step.work
    if isinstance(step, GemmStep):
        return MULTIPLICATION * numel((*step.out.type.shape, step.a.type.shape[-1]))
    return 0


def pieces(units: Size, most: Size) -> Size:
    """Chunks of a job of that much work, which can be cut into `most`; 1 where splitting is not worth it."""
    if isinstance(units, int) and units < WORTH:
        return 1
    wanted = sizes.minimum(sizes.floordiv(units, CHUNK), MAX_CHUNKS)
    if not isinstance(units, int):  # 0 or 1 below what is worth it
        wanted = sizes.minimum(wanted, sizes.floordiv(units, WORTH) * MAX_CHUNKS)
    return sizes.minimum(wanted, most)


def traffic(kernel: Kernel) -> tuple[Size, Size]:
    """Bytes that one run reads from memory and writes there, each element of a buffer counted once however often it is touched;
    of places that only values tell, one for each round."""
    if kernel.parts:
        both = [traffic(part) for part in kernel.parts]
        return summed(r for r, _ in both), summed(w for _, w in both)
    read: dict[str, Size] = {}
    written: dict[str, Size] = {}
    _touched(kernel.body, kernel.grid, read, written)
    types = {b.name: b for b in kernel.buffers}

    def total(found: Mapping[str, Size]) -> Size:
        out: Size = 0
        for name, count in found.items():
            if name in types:
                out = out + _least(count, types[name].size) * types[name].dtype.itemsize
        return out

    return total(read), total(written)


def summed(found: Iterable[Size]) -> Size:
    """All of them together."""
    total: Size = 0
    for size in found:
        total = total + size
    return total


def _touched(body: Sequence[Stmt], axes: Sequence[Axis], read: dict[str, Size], written: dict[str, Size]) -> None:
    for s in body:
        if isinstance(s, (Loop, Reduce)):
            _touched(s.body, (*axes, *(s.axes if isinstance(s, Reduce) else (s.axis,))), read, written)
        elif isinstance(s, (Load, LoadAt, Store, StoreAt)):
            used = set(sizes.symbols_of(s.index))
            told = isinstance(s, (LoadAt, StoreAt))
            count = numel([a.extent for a in axes if told or a.name in used])
            both = isinstance(s, StoreAt) and s.combine is not None
            for found in (read, written) if both else (read,) if isinstance(s, (Load, LoadAt)) else (written,):
                before = found.setdefault(s.buffer, count)
                found[s.buffer] = max(before, count) if isinstance(before, int) and isinstance(count, int) else before


def _least(a: Size, b: Size) -> Size:
    return min(a, b) if isinstance(a, int) and isinstance(b, int) else a
