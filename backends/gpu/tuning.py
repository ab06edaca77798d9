"""Measures candidates of the steps of a plan (``mode="max-autotune"``): each once on a machine, in memory of its own, by events.

What is chosen is kept by `tuned.Choices`; a later program, or process, takes it from there and measures nothing. A candidate that
cannot be compiled or launched is left out; where no memory is left for measures, the model's choice serves and nothing is kept.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ... import knobs
from ...errors import CompileError, DeviceError
from ...ir import sizes
from ...ir.plan import FromInput, FromOutput, KernelStep, Plan, RoutineStep
from ...runtime.gpu.device import GPU
from ...runtime.gpu.driver import OutOfMemory
from . import builder
from .kernel import Code, Variant
from .launch import Frame, Host, Program
from .measuring import times
from .tuned import Choices

#: runs of a candidate that count, behind those that warm up
RUNS, WARM = 10, 3
_kept: dict[tuple[str, str], Choices] = {}


def choices(gpu: GPU) -> Choices:
    """What was chosen for a device, read once a process and folder."""
    key = gpu.properties.name, knobs.cache_folder()
    if key not in _kept:
        _kept[key] = Choices(key[0])
    return _kept[key]


def choose(plan: Plan, code: Code, values: Mapping[str, int], gpu: GPU) -> dict[int, Sequence[Variant]]:
    """The fastest variants of each step where the symbols have these `values`, by the steps' places."""
    kept, target = choices(gpu), builder.target_of(gpu)
    chosen: dict[int, Sequence[Variant]] = {}
    open_: dict[int, tuple[Any, list[int], dict[str, Sequence[Variant]]]] = {}
    for place, step in enumerate(plan.steps):
        work, numbers = _work(step, values)
        if work is None:
            continue
        found = builder.current.candidates(work, target)
        name = kept.name(work, numbers)
        if name is not None and name in found:
            chosen[place] = found[name]()
        elif len(found) > 1 and not gpu.capturing:
            open_[place] = work, numbers, {name: make() for name, make in found.items()}
    _compile([ways[0] for _, _, found in open_.values() for ways in found.values()])
    for place, (work, numbers, ways) in open_.items():
        name = kept.name(work, numbers)  # an equal step may have been measured a moment ago
        if name is None:
            name, spent = _fastest(plan, code, place, values, gpu, ways)
            if spent is not None:
                kept.remember(work, name, 1e3 * spent, numbers)
        chosen[place] = ways[name]
    return chosen


def _work(step: Any, values: Mapping[str, int]) -> tuple[Any, list[int]]:
    """What there are candidates of, and its sizes."""
    if isinstance(step, KernelStep):
        return step.kernel, [values[name] for name in step.kernel.sizes]
    if isinstance(step, RoutineStep):
        return step, [int(sizes.evaluate(n, values)) for n in step.sizes]
    return None, []


def _compile(variants: Sequence[Variant]) -> None:
    """Compile what is likely to be launched, in processes where there is much of it."""
    if variants:
        from . import workers

        workers.prepare(variants, workers.processors())


def _fastest(
    plan: Plan, code: Code, place: int, values: Mapping[str, int], gpu: GPU, ways: Mapping[str, Sequence[Variant]]
) -> tuple[str, float | None]:
    """The name of the fastest, and its milliseconds; the first and None where nothing can be measured."""
    best: tuple[str, float | None] = next(iter(ways)), None
    alone = replace(plan, steps=(plan.steps[place],))
    for name, variants in ways.items():
        try:
            spent = _measured(alone, code, values, gpu, variants)
        except OutOfMemory:
            return next(iter(ways)), None
        except (CompileError, DeviceError) as error:
            knobs.say(2, f"candidate {name} of step {place} of {plan.name} is left out: {error}")
            continue
        knobs.say(3, f"step {place} of {plan.name}: {name}: {1e3 * spent:.2f} us")
        if best[1] is None or spent < best[1]:
            best = name, spent
    return best


def _measured(plan: Plan, code: Code, values: Mapping[str, int], gpu: GPU, variants: Sequence[Variant]) -> float:
    """Milliseconds of a plan of one step, on zeros."""
    program = Program(plan, code, values, gpu, [256] * len(plan.inputs), {0: variants}, quiet=True)
    held: dict[tuple[str, int], Any] = {}

    def memory(kind: str, index: int, nbytes: int) -> None:
        if (kind, index) not in held and nbytes:
            held[kind, index] = found = gpu.allocate(nbytes)
            gpu.driver.fill(found.address, 0, nbytes, gpu.stream)

    gpu.activate()
    memory("arena", 0, program.arena)
    used = {(s.kind, s.index) for s in program.slots}
    for buffer in plan.buffers:
        nbytes = max(1, int(sizes.evaluate(buffer.size, values))) * buffer.dtype.itemsize
        if isinstance(buffer.place, FromInput) and ("input", buffer.place.index) in used:
            memory("input", buffer.place.index, nbytes)
        elif isinstance(buffer.place, FromOutput) and ("output", buffer.place.index) in used:
            memory("output", buffer.place.index, nbytes)
    frame = Frame(program)
    slots = [held[k, i].address + delta if (k, i) in held else 0 for k, i, delta in frame.reads]
    frame.fill.pack_into(frame.memory, 0, *slots)
    for target, made in frame.maps:
        made.write(gpu.driver, target, slots[made.slot])

    def launch() -> None:
        for rows in frame.launches:
            if not isinstance(rows, Host):
                number, status = program.launch(rows, gpu.stream)
                if number:
                    gpu.driver.check(status)

    return statistics.median(times(launch, runs=RUNS, warm=WARM))
