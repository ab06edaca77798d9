"""Suite `compile_time`: the first call of programs from one op to 20,000, split into the stages of the compiler.

Run as ``python -m fusewire.bench.compile_time [row | family ...]``; without names it runs all. A JSON line a row, each measured
in a fresh process, after the import of llvmlite; milliseconds of the calling thread, so that other programs on the machine count
little, and `wall` by the clock. `decorated` is ``fusewire.compile`` before it, which takes the call path from the disk cache; the
call takes nothing from there, so that it always traces and builds. Compares with nobody.
"""

from __future__ import annotations

import importlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from . import warm_start, zoo
from .compile_sizes import FAMILIES, SIZES, exponent
from .row import Row, package

#: stage -> the functions whose time is counted as its own, as (module inside the package, name there)
STAGES: dict[str, tuple[tuple[str, str], ...]] = {
    "capture": (("tracer.dispatch", "capture"),),
    "joint": (("ir.passes.autodiff", "joint"),),
    "partition": (("ir.passes.partition", "partition"),),
    "passes": (("ir.passes", "run"),),
    "schedule": (("ir.schedule", "schedule"),),
    "memory": (("ir.memory", "plan"),),
    "text": (("backends.cpu.module", "_module_text"),),
    "llvm": (("backends.build", "build"),),
}

Prepared = tuple[Callable[..., Any], tuple[Any, ...]]


class Split:
    """Seconds spent in each stage, without those of the stages it calls."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._inside: list[str] = []
        self._since = 0.0
        for stage, places in STAGES.items():
            for module, name in places:
                home = importlib.import_module(f"{package().__name__}.{module}")
                setattr(home, name, self._counted(stage, getattr(home, name)))

    def _counted(self, stage: str, run: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._turn()
            self._inside.append(stage)
            try:
                return run(*args, **kwargs)
            finally:
                self._turn()
                self._inside.pop()

        return counted

    def _turn(self) -> None:
        now = time.thread_time()
        if self._inside:
            self.seconds[self._inside[-1]] += now - self._since
        self._since = now


def _small(fw: Any) -> Prepared:
    return lambda x, y: x * y + x, (fw.randn(1024), fw.randn(1024))


def _next_small(fw: Any) -> Prepared:
    x, y = fw.randn(1024), fw.randn(1024)
    with fw.knobs.override(disk_cache=False):
        fw.compile(lambda x, y: x * y + x)(x, y)
    return lambda x, y: fw.tanh(x) / (1 + y * y), (x, y)


def _layers(fw: Any, count: int, norm: bool) -> Any:
    nn, layers = fw.nn, []
    for _ in range(count):
        layers += [nn.Linear(32, 32), *([nn.LayerNorm(32)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers)


def _forward(fw: Any) -> Prepared:
    model = _layers(fw, 3, False)

    def run(x: Any) -> Any:
        with fw.no_grad():
            return model(x)

    return run, (fw.randn(8, 32),)


def _training(fw: Any, count: int = 3, norm: bool = False) -> Prepared:
    model = _layers(fw, count, norm)

    def run(x: Any, target: Any) -> Any:
        loss = fw.nn.functional.mse_loss(model(x), target)
        loss.backward()
        return loss

    return run, (fw.randn(8, 32), fw.randn(8, 32))


def _deep(fw: Any) -> Prepared:
    return _training(fw, 12, True)


def _chain(fw: Any) -> Prepared:
    def run(x: Any) -> Any:
        y = x
        for i in range(25):
            y = fw.tanh(y * (i + 1.5) + x) - 0.25
        return y

    return run, (fw.randn(1024),)


def _statistics(fw: Any) -> Prepared:
    def run(tensors: Any) -> Any:
        return [r for t in tensors for r in (t.mean(), t.std())]

    return run, ([fw.randn(20, 30) for _ in range(50)],)


def _joined(fw: Any) -> Prepared:
    return lambda tensors: (fw.cat(tensors), fw.stack(tensors)), ([fw.randn(4) for _ in range(300)],)


def _many(fw: Any) -> Prepared:
    def run(tensors: Any) -> Any:
        total = tensors[0]
        for t in tensors[1:]:
            total = total + t
        return total

    return run, ([fw.randn(4) for _ in range(1000)],)


def _power(fw: Any) -> Prepared:
    return lambda x, n: x**n, (fw.arange(1000), fw.arange(1000) % 7)


def _adam(fw: Any) -> Prepared:
    model = fw.nn.Sequential(*[fw.nn.Linear(4, 4) for _ in range(25)])
    optimizer = fw.optim.Adam(model.parameters(), lr=1e-3)
    model(fw.randn(2, 4)).sum().backward()
    optimizer.step()

    def run() -> None:
        optimizer.step()

    return run, ()


def _gpt(training: bool) -> Callable[[Any], Prepared]:
    def prepare(fw: Any) -> Prepared:
        case = next(c for c in zoo.cases() if c.name.startswith("GPT"))
        model = zoo.make(case, fw).train(training)
        if not training:
            return fw.no_grad()(lambda x: model(x)), tuple(map(fw.from_numpy, case.inference_batch))
        loss = case.loss(fw)

        def run(*batch: Any) -> Any:
            found = loss(model, *batch)
            found.backward()
            return found

        return run, tuple(map(fw.from_numpy, case.training_batch))

    return prepare


ROWS: dict[str, Callable[[Any], Prepared]] = {
    "first small": _small, "next small": _next_small, "MLP forward": _forward, "MLP training": _training,
    "12 layers with layer_norm, training": _deep, "100 pointwise ops": _chain, "50 x (mean, std)": _statistics,
    "cat and stack of 300": _joined, "sum of 1000 inputs": _many, "integer pow": _power, "Adam step of 50 parameters": _adam,
    "GPT inference": _gpt(False), "GPT training": _gpt(True),
}  # fmt: skip


def measure(name: str, ops: int = 0, stages: bool = True) -> dict[str, Any]:
    """The row `name`, or the program of `ops` ops of the family of that name, in this process, which should be fresh. To tell
    the `stages` apart loads the compiler before the call, whose time is then too short."""
    fw = package()
    import llvmlite.binding  # noqa: F401  # not what is measured

    function, args = FAMILIES[name](fw, ops) if name in FAMILIES else ROWS[name](fw)
    started = time.thread_time()
    compiled = fw.compile(function)
    decorated = time.thread_time() - started
    split = Split() if stages else None
    with fw.knobs.override(disk_cache=False):
        started, clock = time.thread_time(), time.perf_counter()
        made = compiled(*args)
        if name in FAMILIES:
            made.sum().backward()
        total, clock = time.thread_time() - started, time.perf_counter() - clock
    found = {"ms": 1e3 * total, "wall": 1e3 * clock, "decorated": 1e3 * decorated}
    if split is not None:
        parts = {stage: 1e3 * s for stage, s in split.seconds.items()}
        found |= {**parts, "rest": 1e3 * (total - sum(split.seconds.values()))}
    return found


def fresh(name: str, rounds: int, ops: int = 0) -> dict[str, Any]:
    """The row with the median time of `rounds` fresh processes, and the stages of one more; `load` is what that one took less,
    which had the compiler loaded before."""
    runs = [_process(name, ops, name in FAMILIES) for _ in range(rounds)]
    middle = statistics.median_low([r["ms"] for r in runs])
    if name in FAMILIES:  # where loading is little, and another process would be much
        return next(r for r in runs if r["ms"] == middle)
    split = _process(name, ops, True)
    load = middle - split["ms"]
    return split | {"load": load} | next(r for r in runs if r["ms"] == middle)


def _process(name: str, ops: int, stages: bool) -> dict[str, Any]:
    code = f"import json; from {__spec__.name} import measure; print(json.dumps(measure({name!r}, {ops}, {stages})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def scaling(name: str, sizes: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The programs of a family with so many ops each."""
    for ops in sizes:
        yield ops, fresh(name, 3 if ops <= 1000 else 1, ops)


def rows(threads: int, quick: bool) -> Iterator[Row]:
    """The suite: milliseconds of each first call, with those of each stage beside it; for each family the exponent with which
    compile time grows with the number of ops."""
    for name in ROWS:
        found = fresh(name, 1 if quick else 5)
        yield Row("compile_time", name, threads, "ms", {"fusewire": found.pop("ms")}, _rounded(found))
    yield from warm_start.rows(threads, quick)
    for name in FAMILIES:
        sizes = [n for n in SIZES if not quick or n <= 1000]
        times = []
        for ops, found in scaling(name, sizes):
            times.append(found.pop("ms"))
            values = {"fusewire": times[-1]}
            yield Row("compile_time", f"{name} of {ops} ops, with gradients", threads, "ms", values, _rounded(found))
        yield Row("compile_time", f"{name}: exponent of the size", threads, "", {"fusewire": round(exponent(sizes, times), 2)})


def _rounded(found: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 1) if isinstance(v, float) else v for k, v in found.items()}


def main(names: Sequence[str]) -> int:
    """Measure the rows and families named (all without names); 2 where a name is unknown."""
    unknown = [n for n in names if n not in ROWS and n not in FAMILIES]
    if unknown:
        print(f"no row {unknown[0]!r}; there are {', '.join([*ROWS, *FAMILIES])}", file=sys.stderr)
        return 2
    importlib.import_module(package().__name__ + ".backends.entry").warm()
    for name in names or [*ROWS, *FAMILIES]:
        if name in ROWS:
            print(json.dumps({"row": name} | _rounded(fresh(name, 5))), flush=True)
            continue
        times = []
        for ops, found in scaling(name, SIZES):
            times.append(found["ms"])
            print(json.dumps({"row": name, "ops": ops} | _rounded(found)), flush=True)
        print(json.dumps({"row": name, "exponent": round(exponent(SIZES, times), 2)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
