"""Suite `gpu-host`: what of the GPU back end can be measured without a GPU: kernels compiled and right, how long compiling takes,
first training steps with nothing kept and with all, and the host's part of a launch.

    fusewire bench gpu-host [--quick]

Runs in a clone: the driver is that of the tests, which launches nothing. Needs triton.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import FusewireError
from . import gpu_models
from .row import Row, package

SUPPORT = Path(__file__).resolve().parents[1] / "tests" / "support"
#: programs whose kernels are compiled cold; milliseconds measured before the start of the project, kernels written by hand
KERNELS: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...], float]] = {
    "pointwise chain with erf, bf16": (lambda fw, x, y: fw.nn.functional.gelu(x) * y + x, ((4096, 4096),) * 2, 142.0),
    "softmax of rows of 4096": (lambda fw, x, y: x.softmax(-1), ((4096, 4096),) * 2, 57.0),
    "relu(x @ y + 1), bf16": (lambda fw, x, y: (x @ y + 1.0).relu(), ((4096, 4096),) * 2, 341.0),
    "attention forward, causal": (
        lambda fw, x, y: fw.nn.functional.scaled_dot_product_attention(x, y, y, is_causal=True), ((4, 16, 2048, 128),) * 2, 430.0,
    ),
}  # fmt: skip
CASES = (
    gpu_models.Case("MLP", "mlp", (64, 784, 256)), gpu_models.Case("GPT, 4 layers", "gpt", (4, 64, 512, 128, 4, 4)),
    gpu_models.Case("ResNet-18", "resnet", (4, 32, 10)),
)  # fmt: skip


def rows(threads: int, quick: bool) -> Iterator[Row]:
    """Milliseconds of compiling and of first steps, microseconds of launches."""
    if importlib.util.find_spec("triton") is None or not SUPPORT.exists():
        raise FusewireError("suite gpu-host needs triton, and a clone with its tests")
    yield _matching(31 if quick else 5)
    for name in KERNELS:
        yield _cold(name)
    for case in CASES[: 1 if quick else None]:
        for compiled in (False, True):
            yield _first(case, compiled, threads)
    yield from launches()


def _row(name: str, unit: str, values: dict[str, float], **facts: Any) -> Row:
    return Row("gpu-host", name, 1, unit, values, facts)


def _fake(**options: Any) -> Any:
    sys.path.insert(0, str(SUPPORT))
    try:
        return importlib.import_module("fake_cuda").installed(**options)
    finally:
        sys.path.remove(str(SUPPORT))


def _matching(every: int) -> Row:
    """The kernels of one of `every` samples and random graphs, by Triton's interpreter beside the reference."""
    program = SUPPORT / "interpreted_graphs.py"
    command = [sys.executable, str(program), "chosen", str(every)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=3600)
    found = json.loads(done.stdout.splitlines()[-1])
    facts = {"kernels": found["kernels"], "differ": len(found["different"]), "of the samples": f"1 in {every}"}
    return _row("kernels run by Triton's interpreter", "ms", {}, **facts)


def _cold(name: str) -> Row:
    """All of Triton's stages on the kernel of a program; the second of two runs (the first loads Triton's own code)."""
    from .. import knobs
    from ..backends.gpu import stages

    spent, run = list[float](), stages.run

    def timed(*args: Any, **options: Any) -> Any:
        start = time.perf_counter()
        made = run(*args, **options)
        spent.append(time.perf_counter() - start)
        return made

    stages.run = timed
    try:
        with knobs.override(disk_cache=False):
            _compile(name)
            spent.clear()
            _compile(name)
    finally:
        stages.run = run
    return _row(f"cold compile: {name}", "ms", {"fusewire": 1e3 * sum(spent)}, by_hand_before=KERNELS[name][2])


def _compile(name: str) -> None:
    fw = package()
    f, shapes, _ = KERNELS[name]
    with _fake(triton=True, run=False, memory=8 << 30):
        fw.compile(partial(f, fw), fullgraph=True)(*(fw.empty(*s, device="cuda", dtype=fw.bfloat16) for s in shapes))


def _first(case: gpu_models.Case, compiled: bool, threads: int) -> Row:
    """A first training step (forward, backward, AdamW), in fresh processes: nothing on disk, then all."""
    program = (
        f"import sys; sys.path[:] = {sys.path!r}; from {package().__name__}.bench.gpu_host import step; "
        f"step({CASES.index(case) if case in CASES else 0}, {compiled}, sys.argv[1])"
    )
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            command = [sys.executable, "-c", program, folder]
            done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
    cold, warm = found
    values = {"fusewire cold": cold["first"], "fusewire warm": warm["first"]}
    facts = {"kernels": cold["kernels"], "compiling in this process": cold["compiling"], "a later step": warm["later"]}
    name = f"first training step, {'compiled' if compiled else 'eager'}: {case.name} {case.text}"
    return _row(name, "ms", values, **facts)


def step(number: int, compiled: bool, folder: str) -> None:
    """Print what the first training step and a later one take in this process, in milliseconds."""
    from .. import knobs
    from ..backends.gpu import compile as compiling

    fw, spent, run = package(), [0.0], compiling.machine_code
    names = set()

    def timed(build: Any, target: Any) -> Any:
        start = time.perf_counter()
        made = run(build, target)
        spent[0] += time.perf_counter() - start
        names.add(build.key())
        return made

    warnings.simplefilter("ignore")
    compiling.machine_code = timed
    with knobs.override(disk_cache=True, cache_dir=folder), _fake(triton=True, run=False, memory=8 << 30):
        fw.ones(1).to("cuda")
        work = gpu_models.training(fw, CASES[number], "cuda", fw.compile if compiled else lambda f: f)
        times = []
        for _ in range(6):
            start = time.perf_counter()
            work()
            times.append(1e3 * (time.perf_counter() - start))
    said = {"first": times[0], "later": statistics.median(times[3:]), "compiling": 1e3 * spent[0], "kernels": len(names)}
    print(json.dumps(said))


# -- launches


def launches() -> Iterator[Row]:
    """A call of a compiled function with 1 and with 21 kernels, where a launch is a C function that does nothing."""
    fw, found, launched = package(), dict[int, float](), dict[int, int]()
    for count in (1, 21):
        with _fake(triton=True, run=False, memory=1 << 30) as fake:
            f, x = fw.compile(partial(_chain, count), fullgraph=True), fw.empty(64, 64, device="cuda")
            f(x)
            before = len(fake.launches)
            f(x)
            launched[count] = len(fake.launches) - before
    with _fake(triton=True, run=False, memory=1 << 30) as fake:
        entry, nothing = fake.address, _nothing()
        fake.address = lambda name: nothing[0] if name == "cuLaunchKernel" else entry(name)
        x = fw.ones(64, 64, device="cuda")
        yield from _eager(fw, x)
        for count in (1, 21):
            found[count] = _each(partial(fw.compile(partial(_chain, count), fullgraph=True), x))
    values = {f"fusewire, {launched[count]} launches": t for count, t in found.items()}
    each = (found[21] - found[1]) / (launched[21] - launched[1])
    yield _row("host: a call", "us", values, a_further_launch=each, asked_at_most=0.2)


def _eager(fw: Any, x: Any) -> Iterator[Row]:
    """A call of an eager op, on the GPU and beside it on the CPU."""
    f, small = fw.nn.functional, x.cpu()
    ops: dict[str, Callable[[Any], object]] = {
        "x + 1": lambda x: x + 1.0, "x.mul_(x)": lambda x: x.mul_(x), "x.fill_(0.5)": lambda x: x.fill_(0.5),
        "x.sum(1)": lambda x: x.sum(1), "x[1]": lambda x: x[1], "x.t()": lambda x: x.t(), "x.softmax(1)": lambda x: x.softmax(1),
        "layer_norm": lambda x: f.layer_norm(x, (64,)), "zeros_like": fw.zeros_like,
    }  # fmt: skip
    for name, op in ops.items():
        yield _row(f"host: eager {name}", "us", {"fusewire": _each(partial(op, x)), "fusewire cpu": _each(partial(op, small))})


def _chain(count: int, x: Any) -> Any:
    for _ in range(count):  # products are never one kernel
        x = x @ x
    return x


def _each(work: Callable[[], object], calls: int = 300, rounds: int = 15) -> float:
    """Median microseconds of a call."""
    samples = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            work()
        samples.append(1e6 * (time.perf_counter() - start) / calls)
    return statistics.median(samples)


def _nothing() -> tuple[int, Any]:
    """The address of a C function that takes anything and returns 0, and what keeps it there."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    module = binding.parse_assembly("define i32 @nothing() {\n  ret i32 0\n}\n")
    machine = binding.Target.from_default_triple().create_target_machine()
    engine = binding.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine.get_function_address("nothing"), engine
