"""Suite `overhead`: what an import and a call of a compiled function cost, in fresh processes and in turns with the peers."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from . import peers
from .row import Row, package
from .timing import interleaved

IMPORT = "import time; t = time.perf_counter(); import {0}; print(time.perf_counter() - t)"


def rows(threads: int, quick: bool) -> Iterator[Row]:
    """Milliseconds of imports, nanoseconds of calls."""
    yield imports(threads, 5 if quick else 9)
    yield from calls(threads, 5 if quick else 15)


def imports(threads: int, rounds: int) -> Row:
    """``import fusewire`` against ``import numpy`` and the peers, each in a fresh process, taking turns."""
    names = ["numpy", package().__name__] + [n for n in ("torch", "jax") if peers.installed(n)]
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, seen in times.items():
            done = subprocess.run([sys.executable, "-c", IMPORT.format(name)], capture_output=True, text=True, check=True)
            seen.append(1e3 * float(done.stdout))
    values = {name: statistics.median(seen) for name, seen in times.items()}
    return Row("overhead", "import", threads, "ms", values, {"of_numpy": values[package().__name__] / values["numpy"]})


def calls(threads: int, rounds: int) -> Iterator[Row]:
    """x*y+x on two 1024-float tensors as a function and as a method, and a Module with 150 parameters to guard."""
    fw = package()
    x, y, holder, small = fw.randn(1024), fw.randn(1024), _holder(fw)(), fw.randn(2)
    f, wide = fw.compile(_muladd), fw.compile(_wide(fw))
    bare = fw.compile(lambda x: x * 300)
    a, b = x.numpy(), y.numpy()
    small_calls: dict[str, Callable[[], object]] = {
        "fusewire": lambda: f(x, y), "fusewire eager": lambda: x * y + x, "numpy": lambda: a * b + a, **_peers(a, b),
    }  # fmt: skip
    yield _calls("x*y+x, 2 x 1024 floats", small_calls, threads, rounds)
    yield _calls("the same, a method with keyword and default", {"fusewire": lambda: holder.method(x, y=y)}, threads, rounds)
    guarded: dict[str, Callable[[], object]] = {"fusewire": partial(wide, small)}
    guarded["fusewire without the Module"] = partial(bare, small)
    yield _calls("Module with 150 parameters", guarded, threads, rounds)


def _calls(name: str, contenders: dict[str, Callable[[], object]], threads: int, rounds: int) -> Row:
    empty = {"empty lambda": lambda: None}
    times = {who: 1e9 * t for who, t in interleaved({**contenders, **empty}, rounds).items()}
    return Row("overhead", name, threads, "ns", times, {"empty_lambda": times.pop("empty lambda")})


def _muladd(x: Any, y: Any) -> Any:
    return x * y + x


def _holder(fw: Any) -> Any:
    compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = fw.compile

    class Holder:
        @compiled
        def method(self, x: Any, y: Any, scale: float = 2.0) -> Any:
            return x * y + x * scale

    return Holder


def _wide(fw: Any) -> Any:
    class Wide(fw.nn.Module):  # type: ignore[misc]  # `fw` is known at run time only
        def __init__(self) -> None:
            super().__init__()
            self.layers = fw.nn.ModuleList([fw.nn.Linear(2, 2) for _ in range(75)])

        def forward(self, x: Any) -> Any:
            rows = 0
            for layer in self.layers:  # looks at every parameter, computes with none: what remains is guards
                rows += layer.weight.shape[0] + layer.bias.shape[0]
            return x * rows

    return Wide()


def _peers(a: Any, b: Any) -> dict[str, Callable[[], object]]:
    found: dict[str, Callable[[], object]] = {}
    torch, jax = peers.torch_at(1), peers.jax_here()
    if torch is not None:
        x, y = torch.from_numpy(a), torch.from_numpy(b)
        found[peers.TORCH_EAGER] = partial(_muladd, x, y)
        compiled = partial(torch.compile(_muladd), x, y)
        found |= {peers.TORCH_COMPILE: compiled} if peers.works(compiled) else {}
    if jax is not None:
        jitted, p, q = jax.jit(_muladd), jax.numpy.asarray(a), jax.numpy.asarray(b)
        found[peers.JAX] = lambda: jitted(p, q).block_until_ready()
    return found
