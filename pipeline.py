"""Graph -> Executable: the stages of the compiler, one line each. Knows neither Tensor nor tracer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import knobs
from .ir import memory, passes
from .ir import schedule as scheduling
from .ir.graph import Graph
from .ir.loops import Kernel
from .ir.loops_verify import verify_kernel
from .ir.plan import KernelStep, Plan
from .ir.schedule import Schedule
from .runtime.executable import Executable


@dataclass(frozen=True, slots=True)
class Stages:
    """Every hand-over on the way from a graph to machine code; each prints."""

    graph: Graph
    optimised: Graph
    schedule: Schedule
    plan: Plan

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The kernels in the order they run."""
        return tuple(s.kernel for s in self.plan.steps if isinstance(s, KernelStep))


#: Each is shown the stages of every graph (`bench.replay` records them).
OBSERVERS: list[Callable[[Stages], None]] = []


def stages(graph: Graph) -> Stages:
    """All stages of `graph` up to the plan, which no back end has seen yet."""
    optimised = passes.run(graph)
    schedule = scheduling.schedule(optimised)
    made = Stages(graph, optimised, schedule, memory.plan(schedule))
    for kernel in made.kernels if knobs.verify else ():
        verify_kernel(kernel)
    for see in OBSERVERS:
        see(made)
    return made


def compile_graph(graph: Graph, *, backend: str = "cpu") -> Executable:
    """`graph` as something that runs. `backend`: "cpu" (machine code) or "reference" (NumPy runs the kernels).
    CompileError where the back end cannot build it."""
    made = stages(graph)
    if backend == "reference":
        from .backends.reference import run_kernel

        return Executable(made.plan, run_kernel, made.optimised)
    from .backends.cpu.module import compile_kernels

    return Executable(made.plan, compile_kernels(made.kernels), made.optimised)
