"""The figures of the spine: import time, call overhead, compile time, three memory-bound kernels against their peers.

Run as ``python -m fusewire.bench.spine [imports|calls|compiles|kernels ...]``. Peers that are not installed are left out.
One JSON line a row, then a table.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

def package() -> Any:
    """fusewire itself, seen as its users see it."""
    return importlib.import_module((__package__ or "").rpartition(".")[0])


IMPORT = "import time; t = time.perf_counter(); import {0}; print(time.perf_counter() - t)"


def imports(rounds: int = 9) -> list[dict[str, Any]]:
    """``import fusewire`` against ``import numpy``, each in a fresh process, taking turns."""
    times: dict[str, list[float]] = {"numpy": [], "fusewire": []}
    for _ in range(rounds):
        for name, seen in times.items():
            done = subprocess.run([sys.executable, "-c", IMPORT.format(name)], capture_output=True, text=True, check=True)
            seen.append(float(done.stdout))
    base, ours = (statistics.median(times[name]) for name in ("numpy", "fusewire"))
    return [{"row": "import", "numpy_ms": 1e3 * base, "fusewire_ms": 1e3 * ours, "ratio": ours / base}]


def calls() -> list[dict[str, Any]]:
    """Nanoseconds a call: x*y+x on two 1024-float Tensors as a function and as a method, and a Module of 150 parameters."""
    from .timing import interleaved

    fw = package()

    @fw.compile
    def f(x: Any, y: Any) -> Any:
        return x * y + x

    class Holder:
        @fw.compile
        def method(self, x: Any, y: Any, scale: float = 2.0) -> Any:
            return x * y + x * scale

    class Wide(fw.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = fw.nn.ModuleList([fw.nn.Linear(2, 2) for _ in range(75)])

        def forward(self, x: Any) -> Any:
            for layer in self.layers:
                x = x + layer.bias
                x = x * layer.weight[0]
            return x

    x, y, holder = fw.randn(1024), fw.randn(1024), Holder()
    wide = Wide().requires_grad_(False)
    narrow, small = fw.compile(wide), fw.randn(2)
    a, b = x.numpy(), y.numpy()
    contenders: dict[str, Callable[[], object]] = {
        "function": lambda: f(x, y),
        "method, keyword and default": lambda: holder.method(x, y=y),
        "150 parameters": lambda: narrow(small),
        "150 parameters, eager": lambda: wide(small),
        "eager": lambda: x * y + x,
        "numpy": lambda: a * b + a,
        "empty lambda": lambda: None,
    }
    found = interleaved(contenders)
    return [{"row": "call", "what": name, "ns": 1e9 * t} for name, t in found.items()]


COMPILES = """
import time, json
import fusewire as fw
t0 = time.perf_counter()
import llvmlite.binding
t1 = time.perf_counter()
x, y = fw.randn(1024), fw.randn(1024)
def f(x, y): return x * y + x
def g(x, y): return (x - y) * 2.0 + x.exp()
def h(x, y): return fw.tanh(x) / (1 + y * y)
out = [t1 - t0]
for fn in (f, g, h):
    c = fw.compile(fn)
    t = time.perf_counter(); c(x, y); out.append(time.perf_counter() - t)
print(json.dumps(out))
"""


def compiles(rounds: int = 5) -> list[dict[str, Any]]:
    """Milliseconds of the first call of small functions in a fresh process, after llvmlite's import."""
    runs = []
    for _ in range(rounds):
        done = subprocess.run([sys.executable, "-c", COMPILES], capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout))
    names = ["import llvmlite", "first", "second", "third"]
    return [{"row": "compile", "what": name, "ms": 1e3 * statistics.median(r[i] for r in runs)} for i, name in enumerate(names)]


def _programs(lib: Any, gelu: Any, norm: Any, softmax: Any) -> dict[str, Callable[[Any], Any]]:
    return {
        "pointwise chain": lambda x: lib.sin(x) * lib.exp(-x * x) + lib.tanh(x) / (1 + x * x),
        "gelu + layer_norm": lambda x: norm(gelu(x)),
        "softmax": lambda x: softmax(x),
    }


def _ours() -> tuple[Any, dict[str, Callable[[Any], Any]]]:
    fw = package()
    functional = fw.nn.functional
    return fw, _programs(
        fw,
        lambda x: functional.gelu(x, approximate="tanh"),
        lambda x: functional.layer_norm(x, (1024,)),
        lambda x: functional.softmax(x, dim=-1),
    )


def _peers(array: np.ndarray[Any, Any]) -> dict[str, dict[str, Callable[[], object]]]:
    """Compiled programs of the peers at hand, by program and peer."""
    out: dict[str, dict[str, Callable[[], object]]] = {}
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        f = torch.nn.functional
        tensor = torch.from_numpy(array)
        made = _programs(torch, lambda x: f.gelu(x, approximate="tanh"), lambda x: f.layer_norm(x, (1024,)), lambda x: f.softmax(x, -1))
        for name, program in made.items():
            compiled = torch.compile(program)
            out.setdefault(name, {})["torch eager"] = lambda p=program: p(tensor)  # type: ignore[misc]
            out[name]["torch.compile"] = lambda p=compiled: p(tensor)  # type: ignore[misc]
    if importlib.util.find_spec("jax"):
        import jax

        def norm(x: Any) -> Any:
            mean = x.mean(-1, keepdims=True)
            return (x - mean) / jax.numpy.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + 1e-5)

        data = jax.numpy.asarray(array)
        for name, program in _programs(jax.numpy, lambda x: jax.nn.gelu(x, approximate=True), norm, jax.nn.softmax).items():
            jitted = jax.jit(program)
            out.setdefault(name, {})["jax.jit"] = lambda p=jitted: p(data).block_until_ready()  # type: ignore[misc]
    return out


def kernels(rows: int = 4096, columns: int = 1024) -> list[dict[str, Any]]:
    """Milliseconds at rows x columns float32, one thread, and the share of the copy bandwidth counted on inputs and outputs."""
    from .timing import copy_bandwidth, interleaved

    fw, programs = _ours()
    array = np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32)
    tensor, peers, found = fw.from_numpy(array), _peers(array), []
    for name, program in programs.items():
        compiled = fw.compile(program)
        contenders = {"fusewire": lambda c=compiled: c(tensor), "fusewire eager": lambda p=program: p(tensor), **peers.get(name, {})}
        times = interleaved(contenders, rounds=9, seconds=0.01)
        share = 2 * array.nbytes / times["fusewire"] / copy_bandwidth(array.nbytes)
        found += [{"row": "kernel", "what": name, "of_copy": share, **{f"{k}_ms": 1e3 * t for k, t in times.items()}}]
    return found


SUITES: dict[str, Callable[[], list[dict[str, Any]]]] = {"imports": imports, "calls": calls, "compiles": compiles, "kernels": kernels}


def main(names: list[str]) -> int:
    """Run the suites named (all without names); 2 where a name is unknown."""
    unknown = [n for n in names if n not in SUITES]
    if unknown:
        print(f"no suite {unknown[0]!r}; there are {', '.join(SUITES)}", file=sys.stderr)
        return 2
    started = time.perf_counter()
    for name in names or SUITES:
        for row in SUITES[name]():
            print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}), flush=True)
    print(f"# {time.perf_counter() - started:.0f} s, Python {sys.version.split()[0]}, NumPy {np.__version__}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
