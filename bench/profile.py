"""Where the time of compiled graphs goes: seconds by kind of step, and FLOPs a second in products.

Times the steps of the Python path (`runtime.program`), which runs the same machine code as the native entry does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..ir import sizes
from ..ir.plan import GemmStep, KernelStep, RoutineStep
from ..runtime.program import Program


@dataclass
class Profile:
    """Seconds and FLOPs (of multiplications and additions in products, convolutions and attention) by kind of step."""

    seconds: dict[str, float] = field(default_factory=dict)
    flops: dict[str, float] = field(default_factory=dict)

    def add(self, kind: str, seconds: float, flops: float) -> None:
        """Count one step."""
        self.seconds[kind] = self.seconds.get(kind, 0.0) + seconds
        self.flops[kind] = self.flops.get(kind, 0.0) + flops

    def facts(self, calls: int, peak: float) -> dict[str, Any]:
        """Milliseconds a call by kind, the share of products and convolutions, their GFLOPs a second and those of `peak`."""
        heavy = [kind for kind, flops in self.flops.items() if flops]
        spent, flops = sum(self.seconds[k] for k in heavy), sum(self.flops[k] for k in heavy)
        total = sum(self.seconds.values())
        milliseconds = {kind: 1e3 * s / calls for kind, s in sorted(self.seconds.items(), key=lambda x: -x[1])}
        if not spent:
            return {"steps_ms": milliseconds}
        rate = flops / spent
        return {"steps_ms": milliseconds, "product_share": spent / total, "GF_s": rate / 1e9, "of_peak": rate / peak}


@contextmanager
def profiled() -> Iterator[Profile]:
    """Count every step that runs outside of the native entry while the body runs."""
    profile, plain = Profile(), Program._run

    def run(self: Program, call: Any, failed: Callable[[Any, int], None]) -> None:
        for step, one in zip(self.plan.steps, self.steps, strict=True):
            start = time.perf_counter()
            status = one(call)
            profile.add(kind_of(step), time.perf_counter() - start, flops_of(step, self.values))
            if status:
                failed(step, status)

    Program._run = run  # type: ignore[method-assign]
    try:
        yield profile
    finally:
        Program._run = plain  # type: ignore[method-assign]


def kind_of(step: Any) -> str:
    """ "kernels", "product", the family of a routine, or "extern"."""
    if isinstance(step, RoutineStep):
        return step.routine.partition(" ")[0]
    return "kernels" if isinstance(step, KernelStep) else "product" if isinstance(step, GemmStep) else "extern"


def flops_of(step: Any, values: Mapping[str, int]) -> float:
    """Twice the multiplications of a product or routine."""
    if isinstance(step, RoutineStep):
        return 2.0 * sizes.evaluate(step.work, values)
    if not isinstance(step, GemmStep):
        return 0.0
    count = 2.0 * sizes.evaluate(step.a.type.shape[-1], values)
    for n in step.out.type.shape:
        count *= sizes.evaluate(n, values)
    return count
