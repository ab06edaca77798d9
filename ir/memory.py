"""Lifetimes of temporaries -> places in one arena with reuse. Inputs and outputs are not in the arena. Compiles nothing."""

from __future__ import annotations

from dataclasses import replace

from . import sizes
from .lazyclass import dataclass
from .loops import ALIGN
from .memory_slots import slots
from .plan import BufferView, ExternStep, FromArena, GemmStep, KernelStep, Plan, PlanBuffer, RoutineStep, Step
from .schedule import UNPLACED, Schedule
from .sizes import Size
from .types import Type


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Buffer number `buffer` holds `nbytes` bytes from step `first` to step `last`, both inclusive."""

    buffer: int
    nbytes: Size
    first: int
    last: int


def plan(schedule: Schedule) -> Plan:
    """The plan with every temporary placed: first fit by offset among those alive at once; behind these, slots for buffers with
    symbolic sizes."""
    fixed: list[Lifetime] = []
    symbolic: list[Lifetime] = []
    for life in lifetimes(schedule):
        (fixed if isinstance(life.nbytes, int) else symbolic).append(life)
    offsets, arena = first_fit(fixed)
    shared, total = slots(symbolic, aligned, arena)
    offsets |= shared
    buffers = tuple(_placed(b, i, offsets) for i, b in enumerate(schedule.buffers))
    inputs: tuple[Type, ...] = tuple(v.type for v in schedule.graph.inputs)
    return Plan(schedule.graph.name, inputs, schedule.symbols, buffers, schedule.steps, schedule.outputs, schedule.writes,
                total, schedule.refusals)  # fmt: skip


def _placed(buffer: PlanBuffer, number: int, offsets: dict[int, Size]) -> PlanBuffer:
    return replace(buffer, place=FromArena(offsets.get(number, 0))) if buffer.place == UNPLACED else buffer


def lifetimes(schedule: Schedule) -> list[Lifetime]:
    """First and last step that touches each temporary, in order of the first."""
    seen: dict[int, tuple[int, int]] = {}
    for number, step in enumerate(schedule.steps):
        for buffer in touched(step):
            if schedule.buffers[buffer].place == UNPLACED:
                seen[buffer] = seen.get(buffer, (number, 0))[0], number
    return [Lifetime(b, schedule.buffers[b].size * schedule.buffers[b].dtype.itemsize, *span) for b, span in seen.items()]


def touched(step: Step) -> tuple[int, ...]:
    """Numbers of the buffers that a step reads or writes."""
    if isinstance(step, KernelStep):
        return step.buffers
    if isinstance(step, GemmStep):
        return step.a.buffer, step.b.buffer, step.out.buffer
    assert isinstance(step, (ExternStep, RoutineStep))
    return tuple(x.buffer for x in (*step.args, *step.results) if isinstance(x, BufferView))


def aligned(nbytes: Size) -> Size:
    """The next multiple of 64."""
    return sizes.floordiv(nbytes + ALIGN - 1, ALIGN) * ALIGN


def first_fit(lives: list[Lifetime]) -> tuple[dict[int, Size], int]:
    """(offset of each buffer, bytes in all), larger buffers placed first, each at the lowest offset free over its lifetime."""
    offsets: dict[int, Size] = {}
    placed = _Placed(1 + max((life.last for life in lives), default=0))
    arena = 0
    for life in sorted(lives, key=lambda x: (-int(x.nbytes), x.first, x.buffer)):  # type: ignore[arg-type]
        size = int(aligned(life.nbytes))  # type: ignore[arg-type]
        at = 0
        for start, end in sorted(placed.beside(life)):
            if at + size <= start:
                break
            at = max(at, end)
        placed.add(life, (at, at + size))
        offsets[life.buffer] = at
        arena = max(arena, at + size)
    return offsets, arena


class _Placed:
    """Stretches of the arena by the steps in which they are taken. Those alive at one step are found on the way from a leaf of
    a tree over the steps to its root; others beside a lifetime begin within it."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.tree: list[list[tuple[int, int]]] = [[] for _ in range(2 * steps)]
        self.starting: list[list[tuple[int, int]]] = [[] for _ in range(steps)]

    def add(self, life: Lifetime, stretch: tuple[int, int]) -> None:
        """Take `stretch` for the whole of `life`."""
        self.starting[life.first].append(stretch)
        low, high = life.first + self.steps, life.last + self.steps + 1
        while low < high:
            if low & 1:
                self.tree[low].append(stretch)
                low += 1
            if high & 1:
                high -= 1
                self.tree[high].append(stretch)
            low, high = low >> 1, high >> 1

    def beside(self, life: Lifetime) -> list[tuple[int, int]]:
        """The stretches taken at any time of `life`."""
        found: list[tuple[int, int]] = []
        at = life.first + self.steps
        while at:
            found += self.tree[at]
            at >>= 1
        for first in range(life.first + 1, life.last + 1):
            found += self.starting[first]
        return found
