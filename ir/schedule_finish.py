"""Steps -> steps: a kernel that reads what a routine has just made becomes the routine's last part, run block by block.

Decides whether the two may run as one; what the routine can take is its claim's matter (`schedule_prepare.Claim.finish`).
Emits no kernels.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence

from .lazyclass import dataclass
from .plan import BufferView, ExternStep, FromArena, GemmStep, KernelStep, PlanBuffer, RoutineStep, Step

#: ``finish(step, kernel step, lone)``: the routine with the kernel as its last part, or why it cannot have it. `lone`: nothing
#: else reads what the routine makes, so that the kernel's result may take its place
Finish = Callable[[RoutineStep, KernelStep, bool], "RoutineStep | str"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of `reader`, the first step to read what `routine` makes: `joined` with it, or a step of its own because of
    `reason`."""

    routine: RoutineStep
    reader: KernelStep
    reason: str = ""
    joined: RoutineStep | None = None


def finished(
    steps: Sequence[Step], finishers: Mapping[int, Finish], buffers: Sequence[PlanBuffer]
) -> tuple[list[Step], list[Outcome]]:
    """The steps with routines and their readers joined, the last routine that a kernel reads first; `finishers` by the id of
    the step. A routine moves down to its reader, never a reader up."""
    out: list[Step | None] = list(steps)
    touching: dict[int, list[int]] = {}
    for i, step in enumerate(steps):
        for buffer in dict.fromkeys((*reads(step), *writes(step))):
            touching.setdefault(buffer, []).append(i)
    outcomes: list[Outcome] = []
    for at in range(len(steps) - 1, -1, -1):
        step, finish = steps[at], finishers.get(id(steps[at]))
        if finish is None or not isinstance(step, RoutineStep):
            continue
        made = step.results[0].buffer
        users = touching[made][bisect_right(touching[made], at) :]
        reader = out[users[0]] if users else None
        if not isinstance(reader, KernelStep) or not _may_move(step, at, users[0], touching, steps):
            continue
        lone = len(touching[made]) == 2 and isinstance(buffers[made].place, FromArena)
        joined = finish(step, reader, lone)
        if isinstance(joined, RoutineStep):
            out[at], out[users[0]] = None, joined
        whole, reason = (None, joined) if isinstance(joined, str) else (joined, "")
        outcomes.append(Outcome(step, reader, reason, whole))
    return [s for s in out if s is not None], outcomes


def _may_move(step: RoutineStep, at: int, to: int, touching: Mapping[int, Sequence[int]], steps: Sequence[Step]) -> bool:
    """Whether the routine may run just before step `to`, and while that runs: nothing writes meanwhile to what it reads."""
    for buffer in reads(step):
        between = touching[buffer][bisect_right(touching[buffer], at) : bisect_right(touching[buffer], to)]
        if any(buffer in writes(steps[i]) for i in between):
            return False
    return True


def writes(step: Step) -> tuple[int, ...]:
    """Numbers of the buffers that a step may write to."""
    if isinstance(step, KernelStep):
        return tuple(n for n, b in zip(step.buffers, step.kernel.buffers, strict=True) if b.access != "r")
    if isinstance(step, GemmStep):
        return (step.out.buffer,)
    return tuple(v.buffer for v in step.results)


def reads(step: Step) -> tuple[int, ...]:
    """Numbers of the buffers that a step may read."""
    if isinstance(step, KernelStep):
        return tuple(n for n, b in zip(step.buffers, step.kernel.buffers, strict=True) if b.access != "w")
    if isinstance(step, GemmStep):
        return step.a.buffer, step.b.buffer
    assert isinstance(step, (ExternStep, RoutineStep))
    return tuple(x.buffer for x in step.args if isinstance(x, BufferView))
