"""Graph -> Executable: the stages of the compiler, one line each. Knows neither Tensor nor tracer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from functools import partial
from typing import Any

from . import knobs
from .backends.cpu.claims import CLAIMS
from .ir import inplace, memory, passes, staged, together
from .ir import schedule as scheduling
from .ir.graph import Graph, produced_symbols
from .ir.lazyclass import dataclass
from .ir.loops import Kernel
from .ir.loops_verify import verify_kernel
from .ir.plan import KernelStep, Plan, RoutineStep
from .ir.schedule import Schedule
from .ir.schedule_prepare import NO_CLAIMS, Claims
from .runtime.chain import Chain
from .runtime.executable import Code, Executable, RunKernel


@dataclass(frozen=True, slots=True)
class Stages:
    """Every hand-over on the way from a graph to machine code; each prints."""

    graph: Graph
    optimised: Graph
    schedule: Schedule
    plan: Plan

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The kernels in the order they run; those that finish a routine's results among them."""
        return kernels_of(self.plan)


def kernels_of(plan: Plan) -> tuple[Kernel, ...]:
    """The kernels of a plan in the order they run; those that finish a routine's results among them."""
    steps = (s for s in plan.steps if isinstance(s, (KernelStep, RoutineStep)))
    found = (s.kernel if isinstance(s, KernelStep) else s.finish for s in steps)
    return tuple(k for k in found if k is not None)


@dataclass(frozen=True, slots=True)
class Launches:
    """Plans for a device on which kernels are launched, and tell errors when all is done. `fits`: kernels that may be launched
    together; `wanted`: which others become several kernels."""

    fits: Callable[[Kernel], bool]
    wanted: staged.Stages = staged.Stages(False, 100_000, frozenset(("pow", "exp", "log", "sin", "cos", "sqrt", "div", "philox")))


#: Each is shown the stages of every graph (`bench.replay` records them).
OBSERVERS: list[Callable[[Stages], None]] = []


def stages(graph: Graph, claims: Claims = NO_CLAIMS, launches: Launches | None = None) -> Stages:
    """All stages of `graph` up to the plan, which no back end has seen yet; composites in `claims` stay whole. `launches`: for a
    device that wants them."""
    optimised = passes.run(graph, passes.FINAL)
    wanted = launches.wanted if launches else staged.USUAL
    schedule = staged.staged(scheduling.schedule(optimised, claims, launches is not None), wanted)
    settled = inplace.inplace(schedule)
    made = Stages(graph, optimised, schedule, memory.plan(together.together(settled, launches.fits) if launches else settled))
    for kernel in made.kernels if knobs.verify else ():
        verify_kernel(kernel)
    for see in OBSERVERS:
        see(made)
    if knobs.debug >= 4:
        knobs.say(4, str(schedule))
    return made


def compile_graph(graph: Graph, *, backend: str | Backend = "cpu") -> Any:
    """`graph` as something that runs, built by `backend` or the one of that name in `BACKENDS`.
    CompileError where the back end cannot build it."""
    if isinstance(backend, str) and backend not in BACKENDS:
        raise ValueError(f"no back end {backend!r}; there are {', '.join(BACKENDS)}")
    chosen = BACKENDS[backend] if isinstance(backend, str) else backend
    if produced_symbols(graph):
        return Chain(graph, lambda part: compile_graph(part, backend=chosen))
    made = stages(graph, chosen.claims if not callable(chosen.claims) else chosen.claims(), chosen.launches)
    return chosen.executable(made.plan, chosen.build(made.kernels), made.optimised)


def rebuilt(plan: Plan, graph: Graph, backend: str) -> Any:
    """What runs a plan that an earlier process has made; the back end finds the code of its kernels by itself."""
    chosen = BACKENDS[backend]
    return chosen.executable(plan, chosen.build(kernels_of(plan)), graph)


@dataclass(frozen=True, slots=True)
class Backend:
    """What turns a plan's kernels into something that runs them. `claims`: composites (records with a Decompose) that it runs
    whole: each call is then one step of the plan. `launches`: of one for a device."""

    build: Callable[[Sequence[Kernel]], Any]
    claims: Claims | Callable[[], Claims] = field(default_factory=dict)
    executable: Callable[[Any, Any, Graph], Any] = Executable
    launches: Launches | None = None


def _machine_code(kernels: Sequence[Kernel]) -> Code:
    from .backends.cpu.module import asm_text, compile_kernels

    code = compile_kernels(kernels)
    knobs.say(5, code.text)
    if knobs.debug >= 6:
        knobs.say(6, asm_text(kernels))
    return code


def _in_numpy(kernels: Sequence[Kernel]) -> RunKernel:
    from .backends.reference import run_kernel

    return run_kernel


def _on_gpu(kernels: Sequence[Kernel]) -> Any:
    from .backends.gpu import builder
    from .runtime.gpu.device import device

    return builder.current.kernels(kernels, builder.target_of(device()))


def _fits_on_gpu(kernel: Kernel) -> bool:
    from .backends.gpu.together import fits

    return fits(kernel)


#: How plans for GPUs are made.
LAUNCHES = Launches(_fits_on_gpu)


def _claimed_on_gpu() -> Claims:
    from .backends.gpu import builder

    claims: Claims = builder.current.claims
    return claims


def _gpu_executable(plan: Plan, code: Any, graph: Graph) -> Any:
    from .backends.gpu.executable import DeviceExecutable

    return DeviceExecutable(plan, code, graph)


def _gpu_graphs(plan: Plan, code: Any, graph: Graph) -> Any:
    from .backends.gpu.graphs import GraphedExecutable

    return GraphedExecutable(plan, code, graph)


def _tuned(make: Callable[[Plan, Any, Graph], Any], plan: Plan, code: Any, graph: Graph) -> Any:
    from .backends.gpu.tuning import choose

    made = make(plan, code, graph)
    made.choose = choose
    return made


#: Back ends by name.
BACKENDS: dict[str, Backend] = {
    "cpu": Backend(_machine_code, CLAIMS), "reference": Backend(_in_numpy),
    "cuda": Backend(_on_gpu, _claimed_on_gpu, _gpu_executable, LAUNCHES),
    "cuda graphs": Backend(_on_gpu, _claimed_on_gpu, _gpu_graphs, LAUNCHES),
    "cuda tuned": Backend(_on_gpu, _claimed_on_gpu, partial(_tuned, _gpu_executable), LAUNCHES),
    "cuda tuned graphs": Backend(_on_gpu, _claimed_on_gpu, partial(_tuned, _gpu_graphs), LAUNCHES),
}  # fmt: skip
