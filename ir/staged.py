"""Schedule -> Schedule: long work that one kernel would do on one thread becomes several kernels that threads can share.

A kernel is shared out by its grid. A full sum has none, and a column sum of a few columns a narrow one: such a reduction becomes
a kernel for parts of it and one for their total. Loops behind a full reduction become a kernel of their own, whose grid they
are. The parts follow from the sizes alone, so results do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from . import sizes, work
from .dtypes import DType, int64
from .lazyclass import dataclass
from .loops import (
    Acc,
    Axis,
    Buffer,
    Check,
    Compute,
    Const,
    Index,
    Kernel,
    Load,
    LoadAt,
    Loop,
    Param,
    Reduce,
    Stmt,
    Store,
    StoreAt,
    walk,
)  # fmt: skip
from .plan import KernelStep, PlanBuffer, Step
from .schedule import UNPLACED, Schedule
from .schedule_merge import merge, reads, writes
from .sizes import Size
from .types import numel

#: parts of a long reduction, each over as many rounds
PARTS = 16
#: rounds of a part at least
MIN_ROUNDS = 16
#: grid points that one chunk of a column sum covers: whole vectors, many at a time
_COLUMNS = 256
#: what an unknown size counts as in an estimate
_GUESS = 64


@dataclass(frozen=True, slots=True)
class Stages:
    """What is split up. `parts`: long reductions (else the back end shares them out by itself). `worth`: units from which on a
    loop behind statements that run once becomes a kernel (None: `work.WORTH`); `handed`: primitives that such a kernel does not
    compute again."""

    parts: bool = True
    worth: int | None = None
    handed: frozenset[str] = frozenset()


#: what CPUs have
USUAL = Stages()


def staged(schedule: Schedule, wanted: Stages = USUAL) -> Schedule:
    """The schedule with kernels split up where threads then can share more of the work."""
    steps: list[Step] = []
    buffers = list(schedule.buffers)
    for step in schedule.steps:
        found = _split(step.kernel, wanted) if isinstance(step, KernelStep) else None
        if found is None or len(found.kernels) == 1 or not isinstance(step, KernelStep):
            steps.append(step)
            continue
        numbers = dict(zip((b.name for b in step.kernel.buffers), step.buffers, strict=True))
        for b in found.temporaries:
            numbers[b.name] = len(buffers)
            buffers.append(PlanBuffer(_fresh(b.name, (x.name for x in buffers)), b.dtype, b.size, UNPLACED))
        given = dict(zip((p.name for p in step.kernel.scalars), step.scalars, strict=True))
        for kernel in found.kernels:
            scalars = tuple(given[p.name] for p in kernel.scalars)
            steps.append(KernelStep(kernel, tuple(numbers[b.name] for b in kernel.buffers), scalars))
    return schedule if len(steps) == len(schedule.steps) else replace(schedule, steps=tuple(steps), buffers=tuple(buffers))


@dataclass(frozen=True, slots=True)
class Split:
    """Kernels that do together what one did; `temporaries` are what they hand on."""

    kernels: tuple[Kernel, ...]
    temporaries: tuple[Buffer, ...] = ()


def _split(kernel: Kernel, wanted: Stages = USUAL) -> Split:
    apart = _loop_apart(kernel, wanted)
    if apart is None:
        return (_stages(kernel) if wanted.parts else None) or Split((kernel,))
    again = [_split(k, wanted) for k in apart.kernels]
    temporaries = (*apart.temporaries, *(b for one in again for b in one.temporaries))
    return Split(tuple(k for one in again for k in one.kernels), temporaries)


# ---- loops behind a full reduction -------------------------------------------------------------------------------------
def _loop_apart(kernel: Kernel, wanted: Stages) -> Split | None:
    """A long loop of a kernel without a grid as a kernel, with what comes before and behind it as others."""
    types = {m.name: m.dtype.itemsize for m in kernel.memory}
    worth = work.WORTH if wanted.worth is None else wanted.worth
    long = [i for i, st in enumerate(kernel.body)
            if isinstance(st, Loop) and not st.serial and _guess(work.statements((st,), types)) >= worth]  # fmt: skip
    if kernel.grid or kernel.scratch or not long:
        return None
    before, loop, behind = kernel.body[: long[0]], kernel.body[long[0]], kernel.body[long[0] + 1 :]
    assert isinstance(loop, Loop)
    used = {name for st in (loop, *behind) for name in reads(st)}
    slow = _behind(before, wanted.handed, {name for st in walk(kernel.body) for name in writes(st)} & _buffers(kernel))
    dtypes = _dtypes(kernel, before)
    handed = [name for name in dtypes if name in used and name in slow]
    names = _buffers(kernel)
    temporaries = []
    for name in handed:
        temporaries.append(Buffer(_fresh(f"{kernel.name}_{name}", names), dtypes[name], 1, "w"))
        names.add(temporaries[-1].name)
    stores = tuple(Store(b.name, 0, name) for b, name in zip(temporaries, handed, strict=True))
    read = tuple(replace(b, access="r") for b in temporaries)
    again: tuple[Stmt, ...] = tuple(Load(name, b.name, 0) for b, name in zip(temporaries, handed, strict=True))
    again += tuple(st for st in before if not isinstance(st, (Loop, Reduce, Store, StoreAt, Check)) and not writes(st) & slow)
    parts = [
        pruned(replace(kernel, name=f"{kernel.name}_first", body=(*before, *stores)), tuple(temporaries)),
        pruned(replace(kernel, name=f"{kernel.name}_each", grid=(loop.axis,), body=(*again, *loop.body)), read),
        pruned(replace(kernel, name=f"{kernel.name}_last", body=(*again, *behind)), read),
    ]
    return Split(tuple(k for k in parts if k.body), tuple(temporaries))


def _behind(body: tuple[Stmt, ...], prims: frozenset[str], written: set[str]) -> set[str]:
    """The names that follow from a loop, from one of `prims`, or from memory that the kernel itself writes, be it later: read
    again, it is other."""
    found = set(written)
    for st in body:
        slow = isinstance(st, (Loop, Reduce, Store, StoreAt)) or (isinstance(st, Compute) and st.prim in prims)
        if slow or reads(st) & found:
            found |= writes(st)
    return found


def _dtypes(kernel: Kernel, body: tuple[Stmt, ...]) -> dict[str, DType]:
    """What is defined for the statements behind `body`."""
    memory = {m.name: m.dtype for m in kernel.memory}
    found: dict[str, DType] = {}
    for st in body:
        if isinstance(st, Reduce):
            found |= {a.dest: a.dtype for a in st.accs}
        elif isinstance(st, (Load, LoadAt)):
            found[st.dest] = memory[st.buffer]
        elif isinstance(st, (Compute, Const, Param)):
            found[st.dest] = st.dtype
        elif isinstance(st, Index):
            found[st.dest] = int64
    return found


# ---- reductions in two stages ------------------------------------------------------------------------------------------
def _stages(kernel: Kernel) -> Split | None:
    return in_parts(kernel, PARTS) if _worth(kernel) else None


def in_parts(kernel: Kernel, parts: int, least: int = MIN_ROUNDS, whole: int = 1) -> Split | None:
    """The only reduction of a kernel as one kernel for `parts` parts of it, of a multiple of `whole` rounds each, and one for
    their total and what they leave over; None where it has another form, or fewer than `least` rounds a part."""
    at = [i for i, st in enumerate(kernel.body) if isinstance(st, (Loop, Reduce))]
    if len(at) != 1 or kernel.scratch or not isinstance(kernel.body[at[0]], Reduce):
        return None
    reduce: Any = kernel.body[at[0]]
    before, after = kernel.body[: at[0]], kernel.body[at[0] + 1 :]
    if any(writes(st) & _buffers(kernel) for st in (*before, reduce)):
        return None
    long = max(reduce.axes, key=lambda a: _guess(a.extent))
    rounds = sizes.floordiv(long.extent, parts * whole) * whole
    if _guess(rounds) < least:
        return None
    taken = {a.name for st in walk(kernel.body) for a in _axes(st)} | {a.name for a in kernel.grid} | set(kernel.sizes)
    part = Axis(_fresh("part", taken), parts)
    names = _buffers(kernel)
    points = numel([a.extent for a in kernel.grid])
    partial = tuple(
        Buffer(_fresh(f"{kernel.name}_part{i}", names), a.dtype, parts * points, "w") for i, a in enumerate(reduce.accs)
    )
    place = sizes.symbol(part.name, 0, parts - 1) * points + place_of(kernel.grid)
    inner = _over(reduce, long, rounds, sizes.symbol(part.name, 0, parts - 1) * rounds)
    stores = tuple(Store(b.name, place, a.dest) for b, a in zip(partial, reduce.accs, strict=True))
    first = replace(kernel, name=f"{kernel.name}_parts", grid=(part, *kernel.grid), body=(*before, inner, *stores))
    body = (*before, *_total(reduce, long, rounds, part, partial, place), *after)
    second = replace(kernel, name=f"{kernel.name}_total", body=body)
    kernels = pruned(first, partial), pruned(second, tuple(replace(b, access="r") for b in partial))
    return Split(kernels, partial)


def _worth(kernel: Kernel) -> bool:
    """Whether the grid gives too few chunks for the work there is."""
    units = _guess(work.work(kernel))
    points = _guess(numel([a.extent for a in kernel.grid])) if kernel.grid else 1
    if kernel.grid and any(_last(st.index, kernel.grid[-1]) for st in walk(kernel.body) if isinstance(st, Load)):
        points //= _COLUMNS
    return units >= work.WORTH and points < min(units // work.CHUNK, 4)


def _last(index: Size, axis: Axis) -> bool:
    """Whether `axis` steps by one element."""
    return index - sizes.substitute(index, {axis.name: sizes.symbol(axis.name) - 1}) == 1


def _guess(size: Size) -> int:
    return sizes.evaluate(size, dict.fromkeys(sizes.symbols_of(size), _GUESS))


def _axes(st: Stmt) -> tuple[Axis, ...]:
    return st.axes if isinstance(st, Reduce) else (st.axis,) if isinstance(st, Loop) else ()


def _buffers(kernel: Kernel) -> set[str]:
    return {m.name for m in kernel.memory}


def _fresh(name: str, taken: Iterable[str]) -> str:
    found = set(taken)
    while name in found:
        name += "_"
    return name


def place_of(grid: tuple[Axis, ...]) -> Size:
    """The number of a grid point in row-major order."""
    at: Size = 0
    for axis in grid:
        at = at * axis.extent + sizes.symbol(axis.name, 0, axis.extent - 1)
    return at


def _over(reduce: Reduce, long: Axis, rounds: Size, start: Size) -> Reduce:
    """The reduction over `rounds` rounds of `long` from `start` on."""
    moved = {long.name: sizes.symbol(long.name, 0, rounds - 1) + start}
    axes = tuple(replace(a, extent=rounds) if a is long else a for a in reduce.axes)
    return replace(reduce, axes=axes, body=_moved(reduce.body, moved))


def _moved(body: tuple[Stmt, ...], values: Mapping[str, Size]) -> tuple[Stmt, ...]:
    def new(size: Size) -> Size:
        return sizes.simplify(sizes.substitute(size, values))

    out: list[Stmt] = []
    for st in body:
        if isinstance(st, (Loop, Reduce)):
            st = replace(st, body=_moved(st.body, values))
        elif isinstance(st, (LoadAt, StoreAt)):
            st = replace(st, index=new(st.index), stride=new(st.stride))
        elif isinstance(st, (Load, Store)):
            st = replace(st, index=new(st.index))
        elif isinstance(st, Index):
            st = replace(st, value=new(st.value))
        out.append(st)
    return tuple(out)


def _total(
    reduce: Reduce, long: Axis, rounds: Size, part: Axis, partial: tuple[Buffer, ...], place: Size
) -> list[Stmt]:  # fmt: skip
    """What defines the results of `reduce`: the parts together with the rounds that they leave over."""
    rest = long.extent - part.extent * rounds
    loads = tuple(Load(f"part.{i}", b.name, place) for i, b in enumerate(partial))
    whole = isinstance(rest, int) and rest == 0
    accs = tuple(Acc(a.dest if whole else f"{a.dest}.parts", a.combine, f"part.{i}", a.dtype) for i, a in enumerate(reduce.accs))
    out: list[Stmt] = [Reduce((part,), loads, accs)]
    if not whole:
        left = _over(reduce, long, rest, part.extent * rounds)
        out.append(replace(left, accs=tuple(replace(a, dest=f"{a.dest}.rest") for a in reduce.accs)))
        out += [Compute(a.dest, a.combine, (f"{a.dest}.parts", f"{a.dest}.rest"), a.dtype) for a in reduce.accs]
    return out


def pruned(kernel: Kernel, more: tuple[Buffer, ...]) -> Kernel:
    """The kernel without statements, buffers and scalars that nothing uses, with buffers `more` where they are used."""
    body: list[Stmt] = []
    names = _buffers(kernel) | {b.name for b in more}
    needed: set[str] = set()
    for st in reversed(kernel.body):
        checks = any(isinstance(x, Check) for x in walk((st,)))
        if isinstance(st, (Store, StoreAt)) or checks or writes(st) & (needed | names):
            needed |= reads(st) | (writes(st) & names)
            body.insert(0, st)
    params = {st.param for st in walk(body) if isinstance(st, Param)}
    buffers = tuple(b for b in (*kernel.buffers, *more) if b.name in needed)
    return merge(replace(kernel, body=tuple(body), buffers=buffers, scalars=tuple(p for p in kernel.scalars if p.name in params)))
