"""Steps -> steps: a kernel that makes an operand of a routine, and nothing else, becomes the routine's first part: elements are
computed where they are read.

Decides whether the two may run as one; what the routine can take is its claim's matter (`schedule_prepare.Claim.begin`).
Emits no kernels.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence

from .lazyclass import dataclass
from .plan import BufferView, FromArena, KernelStep, PlanBuffer, RoutineStep, Step
from .schedule_finish import reads, writes

#: ``begin(step, operand, kernel step)``: the routine with the kernel computing its operand of that number, or why it cannot
Begins = Callable[[RoutineStep, int, KernelStep], "RoutineStep | str"]


@dataclass(frozen=True, slots=True)
class Start:
    """What became of `maker`, which makes an operand of `routine`: joined, or a step of its own because of `reason`."""

    routine: RoutineStep
    maker: KernelStep
    reason: str = ""


def begun(
    steps: Sequence[Step], beginners: Mapping[str, Begins], buffers: Sequence[PlanBuffer]
) -> tuple[list[Step], list[Start]]:
    """The steps with routines and the makers of their operands joined; `beginners` by the names of routines. A maker moves down
    to its routine."""
    if not any(isinstance(s, RoutineStep) and s.routine in beginners for s in steps):
        return list(steps), []
    out: list[Step | None] = list(steps)
    touching: dict[int, list[int]] = {}
    for i, step in enumerate(steps):
        for buffer in dict.fromkeys((*reads(step), *writes(step))):
            touching.setdefault(buffer, []).append(i)
    starts: list[Start] = []
    for at, step in enumerate(steps):
        if not isinstance(step, RoutineStep) or step.routine not in beginners:
            continue
        whole: RoutineStep = step
        for operand, view in enumerate(step.args):
            maker = _maker(out, at, view, touching, buffers)
            if maker is None:
                continue
            made = out[maker]
            assert isinstance(made, KernelStep)
            joined = beginners[step.routine](whole, operand, made)
            if isinstance(joined, RoutineStep):
                whole, out[maker] = joined, None
            starts.append(Start(step, made, joined if isinstance(joined, str) else ""))
        out[at] = whole
    return [s for s in out if s is not None], starts


def _maker(
    steps: Sequence[Step | None], at: int, view: BufferView | None, touching: Mapping[int, Sequence[int]],
    buffers: Sequence[PlanBuffer],
) -> int | None:  # fmt: skip
    """The place of the kernel that makes an operand, which only step `at` reads; None where there is none that may move there:
    nothing writes meanwhile to what it reads."""
    if view is None or not isinstance(buffers[view.buffer].place, FromArena):
        return None
    users = touching[view.buffer]
    if len(users) != 2 or users[1] != at:
        return None
    step = steps[users[0]]
    if not isinstance(step, KernelStep) or writes(step) != (view.buffer,) or view.buffer in reads(step):
        return None
    for buffer in reads(step):
        between = touching[buffer][bisect_right(touching[buffer], users[0]) : bisect_left(touching[buffer], at + 1)]
        if any(buffer in writes(found) for i in between if (found := steps[i]) is not None):
            return None
    return users[0]
