"""The first call in a second process, out of the disk cache: part of suite `compile_time`.

Run as ``python -m fusewire.bench.warm_start``: a JSON line for each program. A process of its own fills a folder made for the
purpose; then fresh ones are timed, from the moment ``import fusewire`` is done, in milliseconds of the calling thread. Compares
with nobody.
"""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from . import zoo
from .row import Row, package


def _small(fw: Any) -> tuple[Callable[..., Any], tuple[Any, ...], bool]:
    return lambda x, y: x * y + x, (fw.ones(1024), fw.ones(1024)), False


def _gpt(fw: Any, training: bool) -> tuple[Callable[..., Any], tuple[Any, ...], bool]:
    case = next(c for c in zoo.cases() if c.name.startswith("GPT"))
    model, loss = zoo.make(case, fw).train(training), case.loss(fw)
    if not training:
        return lambda tokens: model(tokens), tuple(map(fw.from_numpy, case.inference_batch)), False
    return lambda *batch: loss(model, *batch), tuple(map(fw.from_numpy, case.training_batch)), True


PROGRAMS: dict[str, Callable[[Any], tuple[Callable[..., Any], tuple[Any, ...], bool]]] = {
    "small function": _small, "GPT inference": lambda fw: _gpt(fw, False), "GPT training": lambda fw: _gpt(fw, True),
}  # fmt: skip


def measure(name: str) -> dict[str, Any]:
    """The program in this process, which should be fresh: milliseconds of each step, of the second call, and what was loaded."""
    fw = package()
    function, args, training = PROGRAMS[name](fw)
    marks = [time.thread_time()]

    def mark() -> None:
        marks.append(time.thread_time())

    make = fw.compile
    mark()
    compiled = make(function)
    mark()
    with fw.set_grad_enabled(training):
        for _ in range(2):
            made = compiled(*args)
            mark()
            if training:
                made.backward()
            mark()
    steps = [1e3 * (b - a) for a, b in itertools.pairwise(marks)]
    found = dict(zip(("import", "decorate", "call", "backward", "second call", "second backward"), steps, strict=True))
    return {"ms": sum(steps[:4]), **found, "llvmlite": "llvmlite" in sys.modules}


def rows(threads: int, quick: bool) -> Iterator[Row]:
    """A row for each program: milliseconds up to the end of the first call (and its backward), its parts beside it."""
    with tempfile.TemporaryDirectory() as folder:
        for name in PROGRAMS:
            cold = _fresh(name, folder, threads)
            runs = [_fresh(name, folder, threads) for _ in range(1 if quick else 7)]
            middle = statistics.median_low([r["ms"] for r in runs])
            facts = next(r for r in runs if r["ms"] == middle)
            del facts["ms"]
            facts = {k: round(v, 1) if isinstance(v, float) else v for k, v in facts.items()} | {"cold": round(cold["ms"], 1)}
            yield Row("compile_time", f"second process: {name}", threads, "ms", {"fusewire": round(middle, 1)}, facts)


def _fresh(name: str, folder: str, threads: int) -> dict[str, Any]:
    knobs = f"knobs.cache_dir, knobs.disk_cache, knobs.threads = {folder!r}, True, {threads}"
    code = f"import json; from {package().__name__} import knobs; {knobs}\nfrom {__spec__.name} import measure\n"
    code += f"print(json.dumps(measure({name!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    for row in rows(1, False):
        print(row.json(), flush=True)
