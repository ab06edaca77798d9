"""The figures of the spine: import time, call overhead, compile time, three memory-bound kernels against their peers.

Run as ``python -m fusewire.bench.spine [imports|calls|compiles|kernels|memory ...]``. Peers that are not installed are left out.
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
from functools import partial
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
    compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = fw.compile

    @compiled
    def f(x: Any, y: Any) -> Any:
        return x * y + x

    class Holder:
        @compiled
        def method(self, x: Any, y: Any, scale: float = 2.0) -> Any:
            return x * y + x * scale

    class Wide(fw.nn.Module):  # type: ignore[misc, name-defined]  # `fw` is known at run time only
        def __init__(self) -> None:
            super().__init__()
            self.layers = fw.nn.ModuleList([fw.nn.Linear(2, 2) for _ in range(75)])

        def forward(self, x: Any) -> Any:
            rows = 0
            for layer in self.layers:  # looks at every parameter, computes with none: what remains is guards
                rows += layer.weight.shape[0] + layer.bias.shape[0]
            return x * rows

    x, y, holder = fw.randn(1024), fw.randn(1024), Holder()
    wide, small = fw.compile(Wide()), fw.randn(2)
    bare = fw.compile(lambda x: x * 300)
    a, b = x.numpy(), y.numpy()
    contenders: dict[str, Callable[[], object]] = {
        "function": lambda: f(x, y),
        "method, keyword and default": lambda: holder.method(x, y=y),
        "Module, guards on 150 parameters": lambda: wide(small),
        "the same without the Module": lambda: bare(small),
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
        made = _programs(
            torch, lambda x: f.gelu(x, approximate="tanh"), lambda x: f.layer_norm(x, (1024,)), lambda x: f.softmax(x, -1)
        )
        for name, program in made.items():
            compiled = torch.compile(program)
            out.setdefault(name, {})["torch eager"] = partial(program, tensor)
            out[name]["torch.compile"] = partial(compiled, tensor)
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
    """Milliseconds at rows x columns float32, one thread, against two limits of this machine measured in the same rounds.

    `of_copy`: share of the bandwidth of a copy between existing buffers of that size, counted on inputs and outputs.
    `of_arithmetic`: time of the same kernel on 4 rows, which stay in the first-level cache, scaled to all rows, over its time.
    """
    from .timing import interleaved

    fw, programs = _ours()
    array = np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32)
    target, tensor, few = np.empty_like(array), fw.from_numpy(array), fw.from_numpy(array[:4].copy())
    peers, found = _peers(array), []
    for name, program in programs.items():
        whole, part = fw.compile(program), fw.compile(program)
        contenders: dict[str, Callable[[], object]] = {
            "fusewire": partial(whole, tensor), "fusewire eager": partial(program, tensor),
            "copy": partial(np.copyto, target, array), "4 rows": partial(part, few), **peers.get(name, {}),
        }  # fmt: skip
        times = interleaved(contenders, rounds=9, seconds=0.01)
        arithmetic = times.pop("4 rows") * rows / 4
        shares = {"of_copy": times["copy"] / times["fusewire"], "of_arithmetic": arithmetic / times["fusewire"]}
        found += [{"row": "kernel", "what": name, **shares, **{f"{k}_ms": 1e3 * t for k, t in times.items()}}]
    return found


def resident() -> int:
    """Bytes of this process that lie in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def drop(cycles: int, start: int = 0) -> None:
    """Make, compile, call and drop that many different functions, every tenth with a gradient."""
    fw = package()
    x = fw.ones(64)
    for n in range(start, start + cycles):
        scope: dict[str, Any] = {}
        exec(f"def f(x):\n    return x * {n}.5 + x.exp()", scope)
        y = x.clone().requires_grad_(n % 10 == 0)
        result = fw.compile(scope.pop("f"))(y)
        if n % 10 == 0:
            result.sum().backward()


def memory(cycles: int = 10_000) -> list[dict[str, Any]]:
    """Growth of the process over compile-and-drop cycles, counted after a tenth of them have warmed it up."""
    warm = cycles // 10
    drop(warm)
    before = resident()
    drop(cycles - warm, start=warm)
    grown = resident() - before
    return [
        {
            "row": "memory",
            "cycles": cycles,
            "resident_MB": before / 2**20,
            "grown_kB": grown / 1024,
            "bytes_a_cycle": grown / (cycles - warm),
        }
    ]


SUITES: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "imports": imports, "calls": calls, "compiles": compiles, "kernels": kernels, "memory": memory,
}  # fmt: skip


def main(names: list[str]) -> int:
    """Run the suites named (all without names); 2 where a name is unknown."""
    unknown = [n for n in names if n not in SUITES]
    if unknown:
        print(f"no suite {unknown[0]!r}; there are {', '.join(SUITES)}", file=sys.stderr)
        return 2
    importlib.import_module(package().__name__ + ".backends.entry").warm()
    started = time.perf_counter()
    for name in names or SUITES:
        for row in SUITES[name]():
            print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}), flush=True)
    print(f"# {time.perf_counter() - started:.0f} s, Python {sys.version.split()[0]}, NumPy {np.__version__}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
