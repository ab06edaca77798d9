"""Suite `gpu`: what a GPU does with our kernels, by its own events, beside PyTorch and JAX where they are installed with one.

    fusewire bench --device cuda                 this suite
    python -m fusewire.bench.gpu [FOLDER]        the tests marked `gpu` (where pytest is), then this suite; JSON lines and a
                                                 table into FOLDER (bench/results)

The second is all that is to be done on a bare machine: no network, under eight minutes: what comes after `SECONDS` is left out,
and said. A row that fails says so in its facts; the others are measured.
"""

from __future__ import annotations

import importlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..backends.gpu.measuring import times
from . import peers
from .gpu_models import MODELS, inference, training
from .row import Row, package
from .table import heading, table

#: elements of pointwise and reduction rows, sizes of square products, (batch, heads, length, width) of attention
SIZES: dict[bool, dict[str, Any]] = {
    False: {"flat": 1 << 26, "gemm": (1024, 4096, 8192), "attention": (4, 16, 2048, 64)},
    True: {"flat": 1 << 22, "gemm": (1024,), "attention": (2, 4, 512, 64)},
}
#: of the suite, and of the tests before it
SECONDS, TESTS = 300.0, 120.0
#: what contenders are called, by library and mode
_MODES = {"default": "", "reduce-overhead": " reduce-overhead", "max-autotune": " max-autotune"}


def rows(threads: int, quick: bool) -> Iterator[Row]:
    """Microseconds on the device, and of the host for launches."""
    fw, size = package(), SIZES[quick]
    if not fw.cuda.is_available():
        raise fw.errors.DeviceError("suite gpu needs a GPU: fusewire.cuda.is_available() is False")
    end = time.perf_counter() + SECONDS
    bandwidth = _bandwidth(fw, size["flat"])
    yield _row("copy, GB/s in facts", {"fusewire": bandwidth[0]}, threads, {"gbs": bandwidth[1]} | _machine(fw))
    works: list[partial[Iterator[Row]]] = [partial(launches, fw, threads)]
    works.append(partial(_flat, fw, size["flat"], bandwidth[1], threads))
    works += [partial(_product, fw, n, threads) for n in size["gemm"]]
    works.append(partial(_attention, fw, size["attention"], threads))
    works += [partial(_model, fw, name, shape, threads) for name, shape in MODELS[quick].items()]
    for work in works:
        if time.perf_counter() > end:
            yield _row("left out: no time", {}, threads)
            return
        try:
            yield from work()
        except Exception as error:  # the other rows are worth having
            yield _row(f"failed: {work.args[1:2]}", {}, threads, {"error": f"{type(error).__name__}: {error}"[:300]})


def _machine(fw: Any) -> dict[str, Any]:
    properties = fw.cuda.get_device_properties()
    return {"device": properties.name, "driver": properties.driver, "date": time.strftime("%Y-%m-%d")}


def _row(name: str, values: dict[str, float], threads: int, facts: dict[str, Any] | None = None) -> Row:
    return Row("gpu", name, threads, "us", values, facts or {})


def _timed(works: dict[str, Callable[[], object]], runs: int = 20) -> dict[str, float]:
    """Median microseconds of each, on the device."""
    return {who: 1e3 * statistics.median(times(work, runs=runs)) for who, work in works.items()}


def _bandwidth(fw: Any, n: int) -> tuple[float, float]:
    x, y = fw.ones(n, device="cuda"), fw.empty(n, device="cuda")
    (spent,) = _timed({"copy": lambda: y.copy_(x)}).values()
    return spent, 8e-3 * n / max(spent, 1e-9)


def launches(fw: Any, threads: int) -> Iterator[Row]:
    """Microseconds of the host for a call with few and with many kernels, and for an eager op."""
    x = fw.ones(8, 64, device="cuda")
    works: dict[str, Callable[[], object]] = {"eager op": lambda: x + 1.0}
    for count in (1, 20):
        for mode in ("default", "reduce-overhead"):
            compiled = fw.compile(_chain(count), fullgraph=True, mode=mode)
            works[f"{2 * count} kernels, {mode}"] = lambda f=compiled: f(x)  # type: ignore[misc]
    for name, work in works.items():
        yield _row(f"host, {name}", {"fusewire": _host(fw, work)}, threads)


def _chain(count: int) -> Callable[[Any], Any]:
    def chain(x: Any) -> Any:
        for _ in range(count):
            x = x - x.sum(0, keepdim=True)
        return x

    return chain


def _host(fw: Any, work: Callable[[], object], calls: int = 200) -> float:
    for _ in range(5):
        work()
    best = float("inf")
    for _ in range(5):
        fw.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(calls):
            work()
        best = min(best, time.perf_counter() - start)
    fw.cuda.synchronize()
    return 1e6 * best / calls


def _torch() -> Any:
    """PyTorch, where it is installed with a GPU."""
    torch = importlib.import_module("torch") if peers.installed("torch") and "torch" not in peers.LEFT_OUT else None
    return torch if torch is not None and torch.cuda.is_available() else None


Make = Callable[[Any, Callable[[Any], Any]], Callable[[], object]]


def _beside(
    make: Make, fw: Any, modes: Sequence[str] = ("default",), peer: Callable[[], float] | None = None
) -> dict[str, float]:
    """The work that `make` makes of a library and its compile, in these modes and eager; `peer`: microseconds of JAX's."""
    torch, found = _torch(), dict[str, float]()

    def contender(lib: Any, mode: str) -> Callable[[], object]:
        return make(lib, partial(lib.compile, mode=mode))

    for lib, name in ((fw, "fusewire"), (torch, "torch.compile")):
        for mode in modes if lib is not None else ():
            _one(found, name + _MODES[mode], partial(contender, lib, mode))
    if torch is not None:
        _one(found, peers.TORCH_EAGER, lambda: make(torch, lambda f: f))
    if peer is not None and _jax() is not None:
        try:
            found[peers.JAX] = peer()
        except Exception as error:  # a peer's fault is not ours
            print(f"# left out: jax: {type(error).__name__}: {error}", flush=True)
    return found


def _one(found: dict[str, float], name: str, make: Callable[[], Callable[[], object]]) -> None:
    """Measure one contender; a peer that fails is left out."""
    if name.startswith("fusewire"):
        found |= _timed({name: make()})
        return
    made: list[Callable[[], object]] = []
    if peers.works(lambda: made.append(make())) and peers.works(made[0]):
        found |= _timed({name: made[0]})


def _jax() -> Any:
    """JAX, where it is installed with a GPU."""
    jax = peers.jax_here()
    return jax if jax is not None and jax.default_backend() == "gpu" else None


def _jax_time(f: Callable[..., Any], *shapes: tuple[tuple[int, ...], str], runs: int = 20) -> float:
    """Microseconds of a call of `f` compiled by JAX, by the host's clock over many."""
    jax = _jax()
    args = [jax.numpy.ones(shape, dtype) for shape, dtype in shapes]
    compiled = jax.jit(f)
    compiled(*args).block_until_ready()
    start = time.perf_counter()
    for _ in range(runs):
        out = compiled(*args)
    out.block_until_ready()
    return 1e6 * (time.perf_counter() - start) / runs


def _jax_norm(x: Any, y: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) / (x.var(-1, keepdims=True) + 1e-5) ** 0.5


_JAX: dict[str, Callable[..., Any]] = {
    "gelu(x) * y + x": lambda x, y: _jax().nn.gelu(x, approximate=False) * y + x,
    "sum of rows": lambda x, y: x.sum(-1),
    "softmax of rows": lambda x, y: _jax().nn.softmax(x, -1),
    "layer norm of rows": _jax_norm,
}


def _flat(fw: Any, n: int, bandwidth: float, threads: int) -> Iterator[Row]:
    kinds: dict[str, tuple[Callable[..., Any], float]] = {
        "gelu(x) * y + x": (lambda lib, x, y: lib.nn.functional.gelu(x) * y + x, 12.0),
        "sum of rows": (lambda lib, x, y: x.sum(-1), 4.0),
        "softmax of rows": (lambda lib, x, y: x.softmax(-1), 8.0),
        "layer norm of rows": (lambda lib, x, y: lib.nn.functional.layer_norm(x, x.shape[-1:]), 8.0),
    }
    for name, (f, bytes_each) in kinds.items():

        def make(lib: Any, compiled: Any, f: Any = f) -> Callable[[], object]:
            x, y = (lib.ones(n // 4096, 4096, device="cuda") for _ in range(2))
            run = compiled(lambda x, y: f(lib, x, y))
            return lambda: run(x, y)

        both = ((n // 4096, 4096), "float32")
        values = _beside(make, fw, peer=partial(_jax_time, _JAX[name], both, both))
        reached = 1e-3 * bytes_each * n / max(values["fusewire"], 1e-9)
        yield _row(f"{name}, {n >> 20} M", values, threads, {"gbs": reached, "of_copy": reached / max(bandwidth, 1e-9)})


def _product(fw: Any, n: int, threads: int) -> Iterator[Row]:
    def make(lib: Any, compiled: Any, fused: bool = True) -> Callable[[], object]:
        a, b = (lib.randn(n, n, device="cuda", dtype=lib.bfloat16) for _ in range(2))
        bias = lib.ones(n, device="cuda", dtype=lib.bfloat16)
        run = compiled(lambda a, b, bias: lib.relu(a @ b + bias) if fused else a @ b)
        return lambda: run(a, b, bias)

    def jax_product(a: Any, b: Any, bias: Any) -> Any:
        return _jax().nn.relu(a @ b + bias)

    kinds, modes = [((n, n), "bfloat16")] * 2 + [((n,), "bfloat16")], ("default", "max-autotune")
    values = _beside(make, fw, modes, partial(_jax_time, jax_product, *kinds))
    torch, peak = _torch(), 0.0
    if torch is not None:
        (spent,) = _timed({"a @ b": make(torch, lambda f: f, False)}).values()
        peak = 2e-6 * n**3 / spent
    best = min(v for name, v in values.items() if name.startswith("fusewire"))
    reached = 2e-6 * n**3 / max(best, 1e-9)
    facts = {"tflops": reached} | ({"cublas": peak, "of_cublas": reached / peak} if peak else {})
    yield _row(f"relu(a @ b + bias), bf16, {n}", values, threads, facts)


def _attention(fw: Any, shape: tuple[int, int, int, int], threads: int) -> Iterator[Row]:
    def make(lib: Any, compiled: Any, backward: bool = False) -> Callable[[], object]:
        q, k, v = (lib.randn(*shape, device="cuda", dtype=lib.bfloat16, requires_grad=backward) for _ in range(3))
        run = compiled(lambda q, k, v: lib.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True))
        return (lambda: run(q, k, v).sum().backward()) if backward else lambda: run(q, k, v)

    b, h, t, d = shape
    for name, backward, work in (("forward", False, 2.0), ("forward and backward", True, 7.0)):
        values = _beside(partial(make, backward=backward), fw)
        facts = {"tflops": 1e-6 * work * b * h * t * t * d / max(values["fusewire"], 1e-9)}
        yield _row(f"causal attention, {name}, bf16, {shape}", values, threads, facts)


def _model(fw: Any, name: str, size: tuple[int, ...], threads: int) -> Iterator[Row]:
    for kind, work, modes in (("inference", inference, tuple(_MODES)), ("training step", training, tuple(_MODES)[:2])):

        def make(lib: Any, compiled: Any, work: Any = work) -> Callable[[], object]:
            return work(lib, name, size, compiled)  # type: ignore[no-any-return]

        yield _row(f"{name} {size}, {kind}", _beside(make, fw, modes), threads)


def main(folder: Path) -> int:
    """The tests that need a GPU, where pytest is, then the suite; 0 where all went through."""
    failed = _tests()
    found, name = [], f"gpu-{time.strftime('%Y-%m-%d-%H%M%S')}"
    folder.mkdir(parents=True, exist_ok=True)
    lines = folder / f"{name}.jsonl"
    for row in rows(1, quick=False):
        print(row.json(), flush=True)
        with lines.open("a", encoding="utf-8") as out:
            out.write(row.json() + "\n")
        found.append(row)
        failed |= "error" in row.facts
    text = f"{heading()}, {_machine(package())}\n\n{table(found)}\n"
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)
    return int(failed)


def _tests() -> bool:
    """Whether a test failed."""
    root = Path(__file__).resolve().parents[1]
    if not peers.installed("pytest") or not (root / "tests" / "gpu").exists():
        print("# the tests are left out: pytest or tests/gpu is not here", flush=True)
        return False
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", str(root / "tests" / "gpu")]
    try:
        return subprocess.run(command, check=False, timeout=TESTS).returncode not in (0, 5)
    except subprocess.TimeoutExpired:
        print(f"# the tests took more than {TESTS:.0f} s", flush=True)
        return True


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "results"))
