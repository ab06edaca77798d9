"""Suite `gpu`: what a GPU does with our kernels, by its own events, beside PyTorch where that is installed with one.

    fusewire bench --device cuda                 this suite
    python -m fusewire.bench.gpu [FILE]          the tests marked `gpu`, then this suite; rows to FILE (JSON lines)

The second is all that is to be done on a bare machine: no network, well under eight minutes.
"""

from __future__ import annotations

import importlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..backends.gpu.measuring import times
from . import peers
from .row import Row, package

#: elements of pointwise and reduction rows, sizes of square products, (batch, heads, length, width) of attention
SIZES: dict[bool, dict[str, Any]] = {
    False: {"flat": 1 << 26, "gemm": (1024, 4096, 8192), "attention": (4, 16, 2048, 64), "gpt": (8, 12, 768, 512)},
    True: {"flat": 1 << 22, "gemm": (1024,), "attention": (2, 4, 512, 64), "gpt": (4, 2, 128, 64)},
}


def rows(threads: int, quick: bool) -> Iterator[Row]:
    """Microseconds on the device, and of the host for launches."""
    fw, size = package(), SIZES[quick]
    if not fw.cuda.is_available():
        raise fw.errors.DeviceError("suite gpu needs a GPU: fusewire.cuda.is_available() is False")
    bandwidth = _bandwidth(fw, size["flat"])
    yield _row("copy, GB/s in facts", {"fusewire": bandwidth[0]}, threads, {"gbs": bandwidth[1]} | _machine(fw))
    yield from launches(fw, threads)
    yield from _flat(fw, size["flat"], bandwidth[1], threads)
    for n in size["gemm"]:
        yield _product(fw, n, threads)
    yield _attention(fw, size["attention"], threads)
    yield from _gpt(fw, size["gpt"], threads)


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


def _beside(make: Callable[[Any], Callable[[], object]], fw: Any) -> dict[str, float]:
    """The work that `make` makes of a library, compiled and eager, ours and PyTorch's."""
    torch = _torch()
    return _timed({"fusewire": make(fw)} | ({"torch.compile": make(torch)} if torch is not None else {}))


def _flat(fw: Any, n: int, bandwidth: float, threads: int) -> Iterator[Row]:
    kinds: dict[str, tuple[Callable[..., Any], float]] = {
        "gelu(x) * y + x": (lambda lib, x, y: lib.nn.functional.gelu(x) * y + x, 12.0),
        "sum of rows": (lambda lib, x, y: x.sum(-1), 4.0),
        "softmax of rows": (lambda lib, x, y: x.softmax(-1), 8.0),
        "layer norm of rows": (lambda lib, x, y: lib.nn.functional.layer_norm(x, x.shape[-1:]), 8.0),
    }
    for name, (f, bytes_each) in kinds.items():

        def make(lib: Any, f: Any = f) -> Callable[[], object]:
            x, y = (lib.ones(n // 4096, 4096, device="cuda") for _ in range(2))
            compiled = lib.compile(lambda x, y: f(lib, x, y))
            return lambda: compiled(x, y)

        values = _beside(make, fw)
        reached = 1e-3 * bytes_each * n / max(values["fusewire"], 1e-9)
        yield _row(f"{name}, {n >> 20} M", values, threads, {"gbs": reached, "of_copy": reached / max(bandwidth, 1e-9)})


def _product(fw: Any, n: int, threads: int) -> Row:
    def make(lib: Any) -> Callable[[], object]:
        a, b = (lib.randn(n, n, device="cuda", dtype=lib.bfloat16) for _ in range(2))
        bias = lib.ones(n, device="cuda", dtype=lib.bfloat16)
        compiled = lib.compile(lambda a, b, bias: lib.relu(a @ b + bias))
        return lambda: compiled(a, b, bias)

    values = _beside(make, fw)
    return _row(f"relu(a @ b + bias), bf16, {n}", values, threads, {"tflops": 2e-6 * n**3 / max(values["fusewire"], 1e-9)})


def _attention(fw: Any, shape: tuple[int, int, int, int], threads: int) -> Row:
    def make(lib: Any) -> Callable[[], object]:
        q, k, v = (lib.randn(*shape, device="cuda", dtype=lib.bfloat16) for _ in range(3))
        compiled = lib.compile(lambda q, k, v: lib.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True))
        return lambda: compiled(q, k, v)

    values = _beside(make, fw)
    b, h, t, d = shape
    return _row(f"causal attention, bf16, {shape}", values, threads, {"tflops": 2e-6 * b * h * t * t * d / values["fusewire"]})


def _gpt(fw: Any, size: tuple[int, int, int, int], threads: int) -> Iterator[Row]:
    """A transformer of `size` (batch, layers, width, length): inference and a training step."""
    batch, layers, width, length = size

    def model(lib: Any) -> tuple[Any, Any]:
        nn = lib.nn
        block = nn.TransformerEncoderLayer(width, width // 64, 4 * width, dropout=0.0, activation="gelu", batch_first=True)
        return nn.TransformerEncoder(block, layers).to("cuda"), lib.randn(batch, length, width, device="cuda")

    def inference(lib: Any) -> Callable[[], object]:
        net, x = model(lib)
        compiled = lib.compile(net.eval())

        def run() -> object:
            with lib.no_grad():
                return compiled(x)  # type: ignore[no-any-return]

        return run

    def training(lib: Any) -> Callable[[], object]:
        net, x = model(lib)
        optimizer = lib.optim.AdamW(net.parameters(), lr=1e-4)
        forward = lib.compile(lambda x: (net(x) ** 2).mean())

        def run() -> object:
            optimizer.zero_grad()
            loss = forward(x)
            loss.backward()
            optimizer.step()
            return loss  # type: ignore[no-any-return]

        return run

    for name, make in (("inference", inference), ("training step", training)):
        yield _row(f"transformer {size}, {name}", _beside(make, fw), threads)


def main(file: Path | None) -> int:
    """The tests that need a GPU, then the suite; 0 where all passed."""
    root = Path(__file__).resolve().parents[1]
    tests = subprocess.run([sys.executable, "-m", "pytest", "-q", "-m", "gpu", str(root / "tests" / "gpu")], check=False)
    for row in rows(1, quick=False):
        print(row.json(), flush=True)
        if file is not None:
            with file.open("a") as out:
                out.write(row.json() + "\n")
    return tests.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
