"""``torch.profiler``: which ops ran and how long they took, by the wall clock of this process; ranges of `record_function`;
traces for Chrome's viewer. Code inside of compiled graphs counts as its call, not op by op."""

from __future__ import annotations

import enum
import gzip
import json
import os
import time
from collections.abc import Callable, Iterable
from typing import Any

from ..eager import profiler as _ranges
from ..eager.profiler import record_function
from ..eager.timing import OpTimes

__all__ = ["ProfilerAction", "ProfilerActivity", "profile", "record_function", "schedule", "tensorboard_trace_handler"]


class ProfilerActivity(enum.Enum):
    """What is looked at; there is the CPU."""

    CPU = 0
    XPU = 1
    CUDA = 2


class ProfilerAction(enum.Enum):
    """What a step does."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def schedule(*, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0) -> Callable[[int], ProfilerAction]:
    """Steps in turn: `wait` are left out, `warmup` too, `active` are recorded; `repeat` times (0: for ever) after
    `skip_first`."""

    def of(step: int) -> ProfilerAction:
        step -= skip_first
        turn, place = divmod(step, wait + warmup + active)
        if step < 0 or (repeat and turn >= repeat) or place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD_AND_SAVE if place == wait + warmup + active - 1 else ProfilerAction.RECORD

    return of


def tensorboard_trace_handler(dir_name: str, worker_name: str | None = None, use_gzip: bool = False) -> Callable[[Any], None]:
    """For `on_trace_ready`: write each trace into the folder."""

    def write(made: profile) -> None:
        os.makedirs(dir_name, exist_ok=True)
        name = f"{worker_name or os.getpid()}.{time.time_ns()}.pt.trace.json" + (".gz" if use_gzip else "")
        made.export_chrome_trace(os.path.join(dir_name, name))

    return write


class profile(_ranges.profile):
    """``with profile() as p: ...; print(p.key_averages().table())``: time by op and range. With `schedule` call ``step()`` after
    each step; `on_trace_ready` gets the profile after each recorded turn."""

    def __init__(
        self, *, activities: Iterable[Any] | None = None, schedule: Any = None, on_trace_ready: Any = None, **options: Any
    ) -> None:
        super().__init__()
        self.activities, self.schedule, self.on_trace_ready = activities, schedule, on_trace_ready
        self.step_num = 0
        self._times: OpTimes | None = None

    def __enter__(self) -> profile:
        self.step_num = 0
        self._turn(None, self._action())
        return self

    def __exit__(self, *exc: object) -> None:
        recording = self._times is not None
        self._stop()
        if recording and self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def step(self) -> None:
        """The end of a step of the program."""
        before = self._action()
        self.step_num += 1
        if self.schedule is None:
            return
        if before is ProfilerAction.RECORD_AND_SAVE:
            self._stop()
            if self.on_trace_ready is not None:
                self.on_trace_ready(self)
        self._turn(before, self._action())

    def _action(self) -> ProfilerAction:
        return ProfilerAction.RECORD if self.schedule is None else self.schedule(self.step_num)

    def _turn(self, before: ProfilerAction | None, now: ProfilerAction) -> None:
        active = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
        if now in active and self._times is None:
            self.seen.clear()
            self._times = OpTimes(self.seen)
            self._times.__enter__()
            super().__enter__()
        elif now not in active and self._times is not None:
            self._stop()

    def _stop(self) -> None:
        if self._times is not None:
            self._times.__exit__()
            self._times = None
            super().__exit__()

    def export_chrome_trace(self, path: str) -> None:
        """Write what was seen for Chrome's trace viewer; packed where the name ends in .gz."""
        rows = [{"name": e.name, "ph": "X", "ts": e.begin, "dur": e.end - e.begin, "pid": os.getpid(), "tid": 0, "cat": "cpu_op"}
                for e in self.seen]  # fmt: skip
        opened: Any = gzip.open if path.endswith(".gz") else open
        with opened(path, "wt") as file:
            json.dump({"traceEvents": rows, "displayTimeUnit": "ms"}, file)
