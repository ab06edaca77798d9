"""Suite `models`: inference and training step of a GPT, an MLP, a ResNet-18 and a VAE, against eager and PyTorch.

The forward and the loss are compiled; gradients come from the compiled backward; the optimiser is each library's own AdamW.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .. import knobs
from . import limits, peers, zoo
from .profile import profiled
from .row import Row, package
from .timing import interleaved

PHASES = ("inference", "training step")


def rows(threads: int, quick: bool) -> Iterator[Row]:
    """Milliseconds a call, the seconds of each first call, and where the time of the compiled graphs goes."""
    fw, torch = package(), peers.torch_at(threads)
    fw.set_num_threads(threads)
    peak = limits.gemm_peak(_products(fw, torch))[1]
    for case, phase in itertools.product(zoo.cases(), PHASES):
        row = _row(case, phase, threads, 5 if quick else 15, fw, torch)
        yield replace(row, facts=row.facts | _profile(case, phase, fw, peak))


def _products(fw: Any, torch: Any) -> dict[str, Callable[[Any, Any], object]]:
    """The matrix products at hand; the fastest is what the machine can do."""
    ours = fw.compile(lambda a, b: a @ b)
    found: dict[str, Callable[[Any, Any], object]] = {
        "fusewire": lambda a, b: ours(fw.from_numpy(a), fw.from_numpy(b)), "numpy": np.matmul,
    }  # fmt: skip
    if torch is not None:
        found["torch"] = lambda a, b: torch.mm(torch.from_numpy(a), torch.from_numpy(b))
    return found


def _profile(case: zoo.Case, phase: str, fw: Any, peak: float, calls: int = 5) -> dict[str, Any]:
    """Where the compiled graphs' time goes, from calls behind the Python entry."""
    with knobs.override(native_entry=False), profiled() as found:
        call = (_inference if phase == "inference" else _training)(case, fw, True)
        call()
        found.seconds.clear()
        found.flops.clear()
        for _ in range(calls):
            call()
    return found.facts(calls, peak)


def _row(case: zoo.Case, phase: str, threads: int, rounds: int, fw: Any, torch: Any) -> Row:
    make = _inference if phase == "inference" else _training
    contenders: dict[str, Callable[[], object]] = {}
    first = {}
    for name, library, compiled in _entrants(fw, torch):
        call = make(case, library, compiled)
        start = time.perf_counter()
        if _first(call, library is fw):
            first[name] = time.perf_counter() - start
            contenders[name] = call
    for call in contenders.values():
        call()
    times = {name: 1e3 * t for name, t in interleaved(contenders, rounds).items()}
    return Row("models", f"{case.name} {phase}", threads, "ms", times, {"first_call_s": first})


def _first(call: Callable[[], object], ours: bool) -> bool:
    """Whether the first call goes through; what our own raises is raised."""
    if ours:
        call()
    return ours or peers.works(call)


def _entrants(fw: Any, torch: Any) -> Iterator[tuple[str, Any, bool]]:
    yield "fusewire", fw, True
    yield "fusewire eager", fw, False
    if torch is not None:
        yield peers.TORCH_EAGER, torch, False
        yield peers.TORCH_COMPILE, torch, True


def _inference(case: zoo.Case, library: Any, compiled: bool) -> Callable[[], object]:
    model = zoo.make(case, library).eval()
    run = library.compile(model) if compiled else model
    batch = [library.from_numpy(x) for x in case.inference_batch]

    def call() -> object:
        with library.no_grad():
            return run(*batch)

    return call


def _training(case: zoo.Case, library: Any, compiled: bool) -> Callable[[], object]:
    return training(case, library, compiled)[0]


def training(case: zoo.Case, library: Any, compiled: bool) -> tuple[Callable[[], object], Any]:
    """(a training step, its optimiser)."""
    model, loss = zoo.make(case, library).train(), case.loss(library)
    run = library.compile(loss) if compiled else loss
    optimiser = library.optim.AdamW(model.parameters(), lr=1e-4)
    batch = [library.from_numpy(x) for x in case.training_batch]

    def step() -> object:
        optimiser.zero_grad()
        value = run(model, *batch)
        value.backward()
        return optimiser.step()

    return step, optimiser
