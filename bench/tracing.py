"""Suite `tracing`: capturing beside torch.compile with a back end that does nothing; what graph breaks and guards cost.

Both trace the same functions; the graph then runs as eager ops. Each round traces anew (after ``torch._dynamo.reset()``), warmed.
Times of tracing are CPU times of the thread.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from . import peers, zoo
from .row import Row, package
from .timing import interleaved

PARTS = 75  # layers of the Module whose parameters are guarded: two each


def rows(threads: int, quick: bool) -> Iterator[Row]:
    """Milliseconds of retraces; then captures and microseconds a turn of loops that break, nanoseconds of guards."""
    rounds = 7 if quick else 25
    fw, torch = package(), peers.torch_at(threads)
    with fw.knobs.override(disk_cache=False):
        for name, make in FUNCTIONS.items():
            yield retrace(name, make, fw, torch, threads, rounds)
        yield printing(fw, threads)
        yield breaking(fw, threads, 5 if quick else 15)
        yield from guards(fw, threads, 5 if quick else 15)


# -- the functions ---------------------------------------------------------------------------------------------------------


def _small(lib: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    return _muladd, (_draw(lib, 1024), _draw(lib, 1024))


def _muladd(x: Any, y: Any) -> Any:
    return x * y + x


def _mlp(lib: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    model = zoo.mlp(lib).eval()
    return lambda x: model(x), (_draw(lib, 4, 784),)


def _gpt(lib: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    model = zoo.gpt(lib, vocabulary=64, width=32, heads=4, layers=4, context=16).eval()
    return lambda tokens: model(tokens), (lib.from_numpy(np.arange(32).reshape(2, 16) % 64),)


class _Scale:
    def __init__(self, by: float) -> None:
        self.by = by

    @property
    def twice(self) -> float:
        return self.by * 2

    def __call__(self, x: Any) -> Any:
        return x * self.by


def _python(lib: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    return _busy, (_draw(lib, 64), [_Scale(2.0), _Scale(0.5)], {0: 1, 1: 2, "last": 3})


def _busy(x: Any, scales: list[_Scale], table: dict[Any, int]) -> Any:
    """Loops, containers, classes, closures, comprehensions: 8 ops in some 1,500 instructions."""

    def shifted(k: int, *rest: int, by: int = 1) -> int:
        return k + by + sum(rest)

    seen, total = [], 0
    for i in range(24):
        entry: dict[str, Any] = {"i": i, "pair": (i, shifted(i, 1, 2, by=table.get(i % 3, 0)))}
        total += sum(entry["pair"])
        first, *others = [k for k in range(4) if k != i % 4]
        if i % 6 == 0:
            x = scales[i % 2](x)
        elif i % 6 == 1:
            x = x + scales[0].twice
        seen.append((first, others))
    return x, len(seen), total + table["last"]


def _draw(lib: Any, *shape: int) -> Any:
    return lib.from_numpy(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


FUNCTIONS: dict[str, Callable[[Any], tuple[Callable[..., Any], tuple[Any, ...]]]] = {
    "x*y+x": _small,
    "MLP forward": _mlp,
    "GPT forward, 4 layers": _gpt,
    "loops, containers, classes": _python,
}


# -- tracing -----------------------------------------------------------------------------------------------------------------


def retrace(name: str, make: Callable[[Any], Any], fw: Any, torch: Any, threads: int, rounds: int) -> Row:
    """The first call of a function compiled anew, both libraries in turns."""
    function, args = make(fw)
    contenders: dict[str, Callable[[], float]] = {"fusewire": partial(_traced, fw, function, args)}
    if torch is not None:
        contenders[peers.TORCH_COMPILE] = partial(_traced_by_torch, torch, *make(torch))
    times: dict[str, list[float]] = {who: [] for who in contenders}
    for k in range(rounds + 2):
        for who, call in contenders.items():
            gc.collect()
            seconds = call()
            if k >= 2:
                times[who].append(1e3 * seconds)
    values = {who: statistics.median(found) for who, found in times.items()}
    instructions, nodes, seconds = captured(fw, function, args, rounds)
    facts = {"instructions": instructions, "ops": nodes, "capture alone, ms": 1e3 * seconds,
             "us an instruction": 1e6 * seconds / instructions, "us an op": 1e6 * seconds / max(1, nodes)}  # fmt: skip
    return Row("tracing", f"retrace: {name}", threads, "ms", values, facts)


def _traced(fw: Any, function: Callable[..., Any], args: tuple[Any, ...]) -> float:
    compiled = fw.compile(function, backend="eager")
    started = time.thread_time()
    with fw.no_grad():
        compiled(*args)
    return time.thread_time() - started


def _traced_by_torch(torch: Any, function: Callable[..., Any], args: tuple[Any, ...]) -> float:
    torch.compiler.reset()
    compiled = torch.compile(function, backend=lambda module, examples: module.forward)
    started = time.thread_time()
    with torch.no_grad():
        compiled(*args)
    return time.thread_time() - started


def captured(fw: Any, function: Callable[..., Any], args: tuple[Any, ...], rounds: int) -> tuple[int, int, float]:
    """(instructions followed, nodes of the graph, median seconds of the capture alone)."""
    session = importlib.import_module(f"{fw.__name__}.tracer.session").Session
    dispatch: Any = importlib.import_module(f"{fw.__name__}.tracer.dispatch")
    units, nodes, times = 0, 0, []
    close, capture = session.close, dispatch.capture

    def counted(self: Any) -> None:
        nonlocal units
        units = self.units
        close(self)

    def timed(*args: Any) -> Any:
        nonlocal nodes
        started = time.thread_time()
        made = capture(*args)
        times.append(time.thread_time() - started)
        nodes = len(made.graph.nodes)
        return made

    session.close, dispatch.capture = counted, timed
    try:
        for _ in range(rounds):
            _traced(fw, function, args)
    finally:
        session.close, dispatch.capture = close, capture
    return units, nodes, statistics.median(times)


# -- breaks ----------------------------------------------------------------------------------------------------------------


def printing(fw: Any, threads: int) -> Row:
    """Graphs of a loop with one print a turn (printed into the void)."""

    def loop(x: Any) -> Any:
        for k in range(10):
            x = x + k
            print("turn", k)
        return x

    with contextlib.redirect_stdout(io.StringIO()):
        graphs = len(fw.explain(loop)(fw.ones(4)).graphs)
    return Row("tracing", "a print in each of 10 turns: graphs", threads, "", {"fusewire": graphs})


def breaking(fw: Any, threads: int, rounds: int) -> Row:
    """A loop of 100 turns with a call in each that cannot be captured: captures, and microseconds a turn beside eager."""

    def opaque(k: int) -> int:
        return k + 1

    hidden = fw.compiler.disable(opaque)

    def loop(x: Any) -> Any:
        total = 0
        for k in range(100):
            x = x + 1.0
            total += hidden(k)
        return x, total

    compiled, x = fw.compile(loop), fw.ones(16)
    captures = len(fw.explain(loop)(x).graphs)
    times = interleaved({"fusewire": partial(compiled, x), "fusewire eager": partial(loop, x)}, rounds)
    values = {who: 1e4 * seconds for who, seconds in times.items()}
    return Row("tracing", "a break in each of 100 turns: a turn", threads, "us", values, {"captures": captures})


# -- guards ----------------------------------------------------------------------------------------------------------------


def guards(fw: Any, threads: int, rounds: int) -> Iterator[Row]:
    """A call with guards beside the same call without them."""
    x = fw.randn(2)
    yield _guarded(f"guards of a Module with {2 * PARTS} parameters", fw, partial(fw.compile(_wide(fw)), x), x, threads, rounds)
    mixed = partial(fw.compile(_mixed), x, 3, "up", None, [1, 2.5], {"a": 1}, True, _Scale(2.0))
    yield _guarded("10 mixed guards", fw, mixed, x, threads, rounds)


def _guarded(name: str, fw: Any, call: Callable[[], Any], x: Any, threads: int, rounds: int) -> Row:
    bare = partial(fw.compile(lambda x: x * 300), x)
    times = interleaved({"with": call, "without": bare}, rounds)
    values = {"fusewire": 1e9 * (times["with"] - times["without"])}
    return Row("tracing", name, threads, "ns", values, {f"{k} them, ns": 1e9 * v for k, v in times.items()})


def _wide(fw: Any) -> Any:
    layers = [fw.nn.Linear(2, 2) for _ in range(PARTS)]
    model = fw.nn.Sequential(*layers)

    def rows(x: Any) -> Any:
        count = 0
        for layer in model:  # looks at every parameter, computes with none: what remains is guards
            count += layer.weight.shape[0] + layer.bias.shape[0]
        return x * count

    return rows


def _mixed(x: Any, k: int, way: str, none: Any, items: list[Any], table: dict[str, int], flag: bool, scale: _Scale) -> Any:
    """Guards on an int, text, None, two items, a key, a bool, an attribute, a global and a Tensor."""
    if k == 3 and way == "up" and none is None and items[0] == 1 and items[1] == 2.5 and table["a"] == 1 and flag:
        return x * (scale.by * PARTS if scale.by == 2.0 else 2.0)
    return x
