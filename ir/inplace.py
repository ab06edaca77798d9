"""Schedule -> Schedule: a kernel writes over an operand that nobody needs afterwards, where each element it stores follows from
that element of the operand alone, or from a row of it that it has read before. One buffer less is then alive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from . import sizes
from .loops import Axis, Kernel, Load, LoadAt, Loop, Reduce, Stmt, Store, StoreAt
from .memory import touched
from .plan import BufferView, ExternStep, FromOutput, GemmStep, KernelStep, RoutineStep, Step
from .schedule import UNPLACED, Schedule


def inplace(schedule: Schedule) -> Schedule:
    """The schedule with results lying in the memory of operands that they replace. Buffers keep their numbers; some are not
    touched any more."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for number, step in enumerate(schedule.steps):
        for b in touched(step):
            first.setdefault(b, number)
            last[b] = number
    instead: dict[int, int] = {}
    steps: list[Step] = []
    for number, step in enumerate(schedule.steps):
        pairs = _pairs(schedule, step, first, last, number) if isinstance(step, KernelStep) else ()
        steps.append(next((made for pair in pairs if (made := _over(step, *pair, instead)) is not None), step))
    return replace(schedule, steps=tuple(_renamed(s, instead) for s in steps)) if instead else schedule


def _over(step: Step, old: int, new: int, instead: dict[int, int]) -> KernelStep | None:
    """The step with buffer `new` in place of `old`, which is noted in `instead`; None where that would be wrong."""
    assert isinstance(step, KernelStep)
    kernel = over(step.kernel, step.buffers.index(old), step.buffers.index(new))
    if kernel is None:
        return None
    instead[old] = new
    return replace(step, kernel=kernel, buffers=tuple(b for b in step.buffers if b != old))


def _pairs(
    schedule: Schedule, step: KernelStep, first: dict[int, int], last: dict[int, int], number: int
) -> Iterator[tuple[int, int]]:  # fmt: skip
    """(operand that dies in this step, result that is born in it) of one size."""
    for new in step.buffers:
        b = schedule.buffers[new]
        if first[new] != number or not (b.place == UNPLACED or isinstance(b.place, FromOutput)):
            continue
        for old in step.buffers:
            a = schedule.buffers[old]
            fits = a.place == UNPLACED and last[old] == number and first[old] < number
            if fits and a.dtype is b.dtype and sizes.identical((a.size,), (b.size,)):
                yield old, new


def over(kernel: Kernel, old: int, new: int) -> Kernel | None:
    """`kernel` with buffer number `new` in place of number `old` too; None where an element might be written too early."""
    a, b = kernel.buffers[old], kernel.buffers[new]
    if a.access != "r" or b.access != "w":
        return None
    found = list(_accesses(kernel.body, (), ()))
    mine = [x for x in found if x[0].buffer in (a.name, b.name)]
    stores = [x for x in mine if isinstance(x[0], Store)]
    if len(stores) != 1 or any(not isinstance(st, (Load, Store)) or (st.buffer == b.name) != isinstance(st, Store)
                               for st, _, _ in mine):  # fmt: skip
        return None
    store, inner, place = stores[0]
    for load, axes, at in mine:
        if load is not store and not (at < place and _same(load, axes, store, inner)):
            return None
    buffers = tuple(replace(x, access="rw") if x is b else x for x in kernel.buffers if x is not a)
    return replace(kernel, name=f"{kernel.name}_over{old}", buffers=buffers, body=_reading(kernel.body, a.name, b.name))


Found = Iterator[tuple[Any, tuple[Axis, ...], tuple[int, ...]]]


def _accesses(body: Sequence[Stmt], axes: tuple[Axis, ...], place: tuple[int, ...]) -> Found:
    """Every access with the loops around it, outermost first, and its place in the text."""
    for i, st in enumerate(body):
        if isinstance(st, (Load, LoadAt, Store, StoreAt)):
            yield st, axes, (*place, i)
        elif isinstance(st, Loop):
            yield from _accesses(st.body, (*axes, st.axis), (*place, i))
        elif isinstance(st, Reduce):
            yield from _accesses(st.body, (*axes, *st.axes), (*place, i))


def _same(load: Load, axes: tuple[Axis, ...], store: Store, inner: tuple[Axis, ...]) -> bool:
    """Whether the loops of the one reach the elements that the loops of the other reach, in each round of what they share."""
    if len(axes) != len(inner) or any(not sizes.identical((x.extent,), (y.extent,)) for x, y in zip(axes, inner, strict=True)):
        return False
    moved = {x.name: sizes.symbol(y.name, 0, y.extent - 1) for x, y in zip(axes, inner, strict=True)}
    return load.index - store.index == 0 or sizes.identical((sizes.substitute(load.index, moved),), (store.index,))


def _reading(body: tuple[Stmt, ...], old: str, new: str) -> tuple[Stmt, ...]:
    out: list[Stmt] = []
    for st in body:
        if isinstance(st, (Loop, Reduce)):
            st = replace(st, body=_reading(st.body, old, new))
        elif isinstance(st, Load) and st.buffer == old:
            st = replace(st, buffer=new)
        out.append(st)
    return tuple(out)


def _renamed(step: Step, instead: dict[int, int]) -> Step:
    """The step on the buffers that stand in for those it names."""

    def number(b: int) -> int:
        while b in instead:
            b = instead[b]
        return b

    def view(x: Any) -> Any:
        return replace(x, buffer=number(x.buffer)) if isinstance(x, BufferView) else x

    if isinstance(step, KernelStep):
        return replace(step, buffers=tuple(map(number, step.buffers)))
    if isinstance(step, GemmStep):
        return replace(step, a=view(step.a), b=view(step.b), out=view(step.out))
    assert isinstance(step, (ExternStep, RoutineStep))
    return replace(step, args=tuple(map(view, step.args)), results=tuple(map(view, step.results)))  # type: ignore[arg-type]
