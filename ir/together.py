"""Schedule -> Schedule: kernels that do not wait for one another become the parts of one, which is launched once.

A training step has hundreds of small ones: every parameter's update, every layer's counters. Where a kernel is small it waits for
the first step that needs one like it, or is done ahead of its turn; a large one is joined with its neighbours only, so that
nothing lives longer for it. For devices on which a launch costs as much as a small kernel does.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field, replace

from . import sizes
from .lazyclass import dataclass
from .loops import Buffer, Kernel, ScalarParam
from .plan import ExternStep, FromInput, FromOutput, GemmStep, KernelStep, PlanBuffer, ScalarInput, Step
from .schedule import Schedule
from .schedule_finish import reads, writes
from .schedule_twins import renamed
from .work import traffic

#: pointers that one launch is given at most: arguments of kernels have 4096 bytes in all
MAX_POINTERS = 400
#: bytes that a kernel moves at most to be done at another place than its own: in the time of a launch a device moves more
SMALL = 1 << 20
#: what an unknown size counts as
_GUESS = 256


def together(schedule: Schedule, fits: Callable[[Kernel], bool]) -> Schedule:
    """`schedule` with kernels for which `fits` holds joined where none of them has to wait for another one."""
    alone = [not isinstance(s, KernelStep) or len({*s.buffers}) < len(s.buffers) or not fits(s.kernel) for s in schedule.steps]
    if alone.count(False) < 2:
        return schedule
    groups = _Order(schedule, alone).groups()
    steps = [made for group in groups for made in _joined([schedule.steps[i] for i in group], schedule.buffers)]
    return replace(schedule, steps=tuple(steps))


@dataclass(slots=True)
class _Order:
    """Who waits for whom, and what is done so far. `alone`: steps that are joined with none."""

    schedule: Schedule
    alone: list[bool]
    small: list[bool] = field(init=False)
    waits: list[int] = field(init=False)  # for how many steps that are not done
    before: list[list[int]] = field(init=False)
    after: list[list[int]] = field(init=False)
    ready: list[int] = field(default_factory=list)  # small ones that wait for nothing
    done: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        steps = self.schedule.steps
        self.small = [not a and _bytes(s) <= SMALL for a, s in zip(self.alone, steps, strict=True)]
        self.before = [sorted(b) for b in _dependencies(self.schedule)]
        self.waits = [len(b) for b in self.before]
        self.after = [[] for _ in steps]
        for i, found in enumerate(self.before):
            for j in found:
                self.after[j].append(i)
        self.ready = [i for i, s in enumerate(self.small) if s and not self.waits[i]]

    def groups(self) -> Iterator[list[int]]:
        """The steps in their new order; those of one group are joined."""
        for i, small in enumerate(self.small):
            if small or i in self.done:
                continue
            while self.waits[i]:
                yield self._all_ready([])
            yield [i] if self.alone[i] else self._all_ready(self._neighbours(i))
            if self.alone[i]:
                self._finish([i])
        while self.ready:
            yield self._all_ready([])

    def _neighbours(self, first: int) -> list[int]:
        """Large kernels from `first` on that wait for nothing: those with nothing but small ones between them, and those that
        make no temporary, for which nothing lives longer when they are done ahead of their turn."""
        found, near = [first], True
        for i in range(first + 1, len(self.small)):
            if self.small[i] or i in self.done:
                continue
            able = not self.alone[i] and not self.waits[i]
            near = near and able
            if able and (near or self._for_good(i)):
                found.append(i)
        return found

    def _for_good(self, i: int) -> bool:
        """Whether a step writes to nothing but inputs and outputs."""
        buffers = self.schedule.buffers
        return all(isinstance(buffers[b].place, (FromInput, FromOutput)) for b in writes(self.schedule.steps[i]))

    def _all_ready(self, large: list[int]) -> list[int]:
        group = sorted([*large, *self.ready])
        self.ready = []
        self._finish(group)
        return group

    def _finish(self, group: Sequence[int]) -> None:
        self.done.update(group)
        for i in group:
            for j in self.after[i]:
                self.waits[j] -= 1
                if not self.waits[j] and self.small[j]:
                    heapq.heappush(self.ready, j)


def _dependencies(schedule: Schedule) -> list[set[int]]:
    """For each step the ones before it that it must not overtake."""
    writer: dict[int, int] = {}
    readers: dict[int, list[int]] = {}
    found: list[set[int]] = []
    host: int | None = None
    for i, step in enumerate(schedule.steps):
        written, read = writes(step), reads(step)
        before = {writer[b] for b in (*read, *written) if b in writer}
        before.update(j for b in written for j in readers.get(b, ()))
        if host is not None and any(isinstance(schedule.buffers[b].place, FromInput) for b in written):
            before.add(host)  # which may raise: then nothing is written yet
        for b in read:
            readers.setdefault(b, []).append(i)
        for b in written:
            writer[b], readers[b] = i, []
        if isinstance(step, (ExternStep, GemmStep)):
            before |= {host} if host is not None else set()
            host = i
        found.append(before - {i})
    return found


def _bytes(step: Step) -> int:
    assert isinstance(step, KernelStep)
    read, written = traffic(step.kernel)
    total = read + written
    return int(sizes.evaluate(total, dict.fromkeys(sizes.symbols_of(total), _GUESS)))


def _joined(steps: Sequence[Step], buffers: Sequence[PlanBuffer]) -> Iterator[Step]:
    """As few steps as pointers allow, those over kernels of one name's end side by side."""
    taken: list[KernelStep] = []
    pointers: set[int] = set()
    for step in steps:
        if not isinstance(step, KernelStep):
            yield step
            continue
        if taken and len(pointers | {*step.buffers}) > MAX_POINTERS:
            yield _one(taken, buffers)
            taken, pointers = [], set()
        taken.append(step)
        pointers |= {*step.buffers}
    if taken:
        yield _one(taken, buffers)


def _one(steps: Sequence[KernelStep], buffers: Sequence[PlanBuffer]) -> KernelStep:
    if len(steps) == 1:
        return steps[0]
    numbers = list(dict.fromkeys(b for s in steps for b in s.buffers))
    parts = tuple(_part(s, buffers) for s in steps)
    access: dict[str, Buffer] = {}
    for b in (b for part in parts for b in part.buffers):
        known = access.setdefault(b.name, b)
        access[b.name] = known if known.access == b.access else replace(b, access="rw")
    given: dict[ScalarParam, ScalarInput] = {}
    for s in steps:
        given.update(zip(s.kernel.scalars, s.scalars, strict=True))
    names = tuple(dict.fromkeys(n for part in parts for n in part.sizes))
    name = f"{parts[0].name}_and_{len(parts) - 1}"
    kernel = Kernel(name, tuple(access[buffers[n].name] for n in numbers), names, tuple(given), (), (), parts=parts)
    return KernelStep(kernel, tuple(numbers), tuple(given.values()))


def _part(step: KernelStep, buffers: Sequence[PlanBuffer]) -> Kernel:
    """The kernel with the plan's names for what it touches."""
    k = step.kernel
    names = {b.name: buffers[n].name for b, n in zip(k.buffers, step.buffers, strict=True)}
    named = tuple(replace(b, name=buffers[n].name, size=buffers[n].size) for b, n in zip(k.buffers, step.buffers, strict=True))
    return replace(k, buffers=named, body=renamed(k.body, names, {}))
