"""Suite `training`: a whole training step (forward, backward, optimiser, zero_grad) as one compiled function, beside the forward
alone compiled, eager and PyTorch; 20 steps on changing data and learning rates tell how often each compiles.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from . import peers, zoo
from .row import Row, package
from .timing import interleaved

NAMES = ("GPT", "MLP")
STEPS = 20


def rows(threads: int, quick: bool) -> Iterator[Row]:
    """Milliseconds a step; facts: seconds of the first calls, compiles over 20 steps, peak memory in MB."""
    fw, torch = package(), peers.torch_at(threads)
    fw.set_num_threads(threads)
    for case in zoo.cases():
        if case.name.startswith(NAMES):
            for kind in ("AdamW", "SGD"):
                yield _row(case, kind, threads, 5 if quick else 15, fw, torch)


def _row(case: zoo.Case, kind: str, threads: int, rounds: int, fw: Any, torch: Any) -> Row:
    contenders: dict[str, Callable[[], object]] = {}
    facts: dict[str, Any] = {"first_call_s": {}, "compiles": {}, "peak_mb": {}}
    for name, library, whole, compiled in _entrants(fw, torch):
        call, count = step(case, kind, library, whole, compiled)
        start = time.perf_counter()
        if library is not fw and not peers.works(call):
            continue
        for i in range(STEPS if library is fw or whole else 2):
            call(1e-4 / (1 + i))
            facts["first_call_s"].setdefault(name, time.perf_counter() - start)
        facts["compiles"][name] = count()
        if library is fw:
            with fw.memory.peak() as peak:
                call()
            facts["peak_mb"][name] = peak.bytes / 1e6
        contenders[name] = call
    times = {name: 1e3 * t for name, t in interleaved(contenders, rounds).items()}
    return Row("training", f"{case.name} {kind}", threads, "ms", times, facts)


def _entrants(fw: Any, torch: Any) -> Iterator[tuple[str, Any, bool, bool]]:
    yield "fusewire", fw, True, True
    yield "fusewire forward only", fw, False, True
    yield "fusewire eager", fw, False, False
    if torch is not None:
        yield peers.TORCH_EAGER, torch, False, False
        yield peers.TORCH_COMPILE, torch, False, True
        yield f"{peers.TORCH_COMPILE} whole", torch, True, True


def step_of(optimiser: Any, loss: Callable[..., Any], model: Any) -> Callable[..., Any]:
    """A training step in ordinary style: a function of the batch that returns the loss."""

    def body(*batch: Any) -> Any:
        optimiser.zero_grad()
        value = loss(model, *batch)
        value.backward()
        optimiser.step()
        return value

    return body


def step(case: zoo.Case, kind: str, library: Any, whole: bool, compiled: bool) -> tuple[Callable[..., object], Callable[[], int]]:
    """(a training step, which takes a new learning rate or none; how many times it has compiled). `whole`: compiled with backward
    and optimiser, else the forward alone."""
    model, loss = zoo.make(case, library).train(), case.loss(library)
    options = {"momentum": 0.9} if kind == "SGD" else {}
    optimiser = getattr(library.optim, kind)(model.parameters(), lr=1e-4, **options)
    batch = [library.from_numpy(x) for x in case.training_batch]
    run = library.compile(loss) if compiled and not whole else loss

    body = step_of(optimiser, run, model)
    stepping = library.compile(body) if whole else body

    def call(rate: float | None = None) -> object:
        if rate is not None:
            optimiser.param_groups[0]["lr"] = rate
        return stepping(*batch)

    return call, _counter(library, stepping if whole else run if compiled else None)


def _counter(library: Any, function: Any) -> Callable[[], int]:
    if function is None:
        return lambda: 0
    if library is package():
        found = library.compiler.dispatcher_of(function)
        return lambda: len(found.variants)
    counters = library._dynamo.utils.counters
    before = counters["stats"]["unique_graphs"]
    return lambda: int(counters["stats"]["unique_graphs"] - before)
