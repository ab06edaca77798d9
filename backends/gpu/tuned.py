"""Measured choices: which of a kernel's candidates is fastest on a device, kept in a readable file beside the disk cache.

    <cache folder>/gpu-choices.txt        device, key, what was chosen, microseconds and name, one choice a line

The file is only added to, a line at a time; of two lines for one key the later counts. Measures nothing itself: `tuning` runs
`candidates` and calls `Choices.remember`.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Union

from ... import knobs
from ...ir.loops import Kernel
from ...ir.plan import RoutineStep
from ...runtime import store
from . import config, templates
from .config import power
from .kernel import SM90, Target
from .spread import spread
from .ways import Way, kernel_ways

Ways = Callable[[], tuple[Way, ...]]
_LINE = re.compile(r"(\S+) (\w+) \[(.*)\] ([\d.]+) us (.*)$")


def key_of(work: Union[Kernel, RoutineStep], values: Iterable[int] = ()) -> str:
    """What a choice is kept under: the kernel without its name and the user's lines, or the routine with its sizes; and the
    powers of two next to the `values` of its sizes."""
    near = repr([power(n) for n in values])
    if isinstance(work, RoutineStep):
        parts = str(work.finish or ""), str(work.begins), str(knobs.tf32)
        return store.digest("routine", work.routine, str(work.sizes), *parts, near)
    return store.digest("kernel", re.sub(r"  # \S+:\d+$", "", str(work), flags=re.MULTILINE).split("(", 1)[1], near)


def candidates(work: Union[Kernel, RoutineStep], target: Target = SM90) -> Mapping[str, Ways]:
    """Ways worth a measurement by a readable name, the model's choice first."""
    if isinstance(work, RoutineStep):
        return templates.candidates(work, target)
    found: dict[str, Ways] = {"model": partial(kernel_ways, work)}
    if work.parts:
        return found
    for c in config.candidates(spread(work)):
        blocks = f"x={c.xblock}" + (f" r={c.rblock}{'' if c.persistent else ' rounds'}" if c.rblock else "")
        found[f"{blocks} warps={c.warps}"] = partial(kernel_ways, work, c)
    return found


class Choices:
    """The choices for one device, by its name (spaces become dashes)."""

    def __init__(self, device: str, path: str | None = None) -> None:
        self.device = "-".join(device.split()) or "unknown"
        self.path = path or os.path.join(knobs.cache_folder(), "gpu-choices.txt")
        self.known: dict[str, str] = {}
        with contextlib.suppress(OSError), open(self.path, encoding="utf-8") as file:
            for line in file:
                found = _LINE.match(line)
                if found and found[1] == self.device:
                    self.known[found[2]] = found[3]

    def name(self, work: Union[Kernel, RoutineStep], values: Iterable[int] = ()) -> str | None:
        """The name of the candidate chosen before for sizes near these `values`; None where there is none."""
        return self.known.get(key_of(work, values))

    def ways(self, work: Union[Kernel, RoutineStep], target: Target = SM90) -> tuple[Way, ...] | None:
        """The ways of the candidate chosen before; None where there is none, or it is no candidate any more."""
        name = self.name(work)
        make = candidates(work, target).get(name) if name is not None else None
        return make() if make is not None else None

    def remember(
        self, work: Union[Kernel, RoutineStep], name: str, microseconds: float, values: Iterable[int] = ()
    ) -> None:
        """Keep a choice, in this process and on disk where that can be written."""
        key = key_of(work, values)
        self.known[key] = name
        what = work.routine if isinstance(work, RoutineStep) else work.name
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(f"{self.device} {key} [{name}] {microseconds:.2f} us {what}\n")
