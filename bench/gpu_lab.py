"""Contenders on one device and how they take turns: by the device's own events on a GPU, by the host's clock elsewhere.

A contender is made by a function that a library and a way to compile are given to; what a peer cannot do is said and left out.
Writes nothing.
"""

from __future__ import annotations

import gc
import importlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from . import peers
from .row import Row, package

Work = Callable[[], object]
#: given a library in PyTorch's form and what compiles a function of it, a piece of work
Make = Callable[[Any, Callable[[Any], Any]], Work]
#: what contenders are called behind their library's name, by mode
MODES = {"default": "", "reduce-overhead": " reduce-overhead", "max-autotune": " max-autotune"}
DEFAULT, BOTH, ALL = ("default",), ("default", "reduce-overhead"), tuple(MODES)
#: bytes written between two runs, more than any cache holds
_FLUSH, _SMALL = 256 << 20, 1 << 12


@dataclass
class Lab:
    """`device`: where all contenders work ("cpu" is for rehearsals); `tiny`: sizes of a rehearsal; `ahead`: compile all that
    would be measured and measure nothing; `end`: when to begin nothing more, on `time.perf_counter`'s clock."""

    device: str = "cuda"
    tiny: bool = False
    ahead: bool = False
    end: float = float("inf")
    fw: Any = field(default_factory=package)
    torch: Any = None
    jax: Any = None
    _flushed: Any = None

    @staticmethod
    def open(device: str, tiny: bool = False, ahead: bool = False, end: float = float("inf")) -> Lab:
        """With the peers that are installed here and can work on `device`."""
        return Lab(device, tiny, ahead, end, package(), _torch(device), None if ahead else _jax(device))

    def row(self, name: str, values: dict[str, float], **facts: Any) -> Row:
        """A row of the suite, in microseconds."""
        return Row("gpu", name, 1, "us", values, facts)

    def late(self) -> bool:
        """Whether the time is over."""
        return time.perf_counter() > self.end

    def contenders(self, make: Make, modes: Sequence[str] = DEFAULT, eager: bool = True) -> dict[str, Callable[[], Work]]:
        """Makers by name: fusewire and torch.compile in `modes`, for the sizes at hand, and PyTorch's eager. (torch.compile keeps
        what it compiled by code: other sizes of the same code would make it compile for open sizes, and at last not at all.)"""
        if self.torch is not None:
            self.torch._dynamo.reset()
        found: dict[str, Callable[[], Work]] = {}
        for lib, name in ((self.fw, "fusewire"), (self.torch, peers.TORCH_COMPILE)):
            for mode in modes if lib is not None else ():
                if not (self.ahead and mode == "max-autotune"):  # which measures
                    found[name + MODES[mode]] = partial(make, lib, partial(lib.compile, mode=mode, dynamic=False))
        if eager and self.torch is not None and not self.ahead:
            found[peers.TORCH_EAGER] = partial(make, self.torch, _same)
        return found

    def measure(
        self, makers: Mapping[str, Callable[[], Work]], jax: Callable[[], Work] | None = None, flush: bool = True
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """(median microseconds by name, facts: seconds of each first call, who failed and why). What is our own comes first;
        peers whose turn comes when the time is over are left out."""
        made, first, facts = dict[str, Work](), dict[str, float](), dict[str, Any]()
        if jax is not None and self.jax is not None:
            makers = {**makers, peers.JAX: jax}
        for name, make in makers.items():
            if name != "fusewire" and self.late():
                facts.setdefault("left out", []).append(name)
                continue
            start = time.perf_counter()
            try:
                work = make()
                work()
                self.wait()
            except Exception as error:
                facts.setdefault("failed", {})[name] = said(error)
                continue
            first[name], made[name] = round(time.perf_counter() - start, 3), work
        facts["first_call_s"] = first
        return ({} if self.ahead else self.timed(made, flush)), facts

    def timed(self, works: Mapping[str, Work], flush: bool = True, seconds: float = 1.5) -> dict[str, float]:
        """Median microseconds of each, in turns, for about `seconds` in all."""
        seconds = 0.01 if self.tiny else seconds
        if self.device == "cpu":
            return {name: 1e6 * t for name, t in _turns(works, partial(_by_clock, wait=_nothing), seconds).items()}
        on_device = {name: work for name, work in works.items() if name != peers.JAX}
        turn = partial(_by_events, self.gpu, self._rubbish() if flush else None, _SMALL if self.tiny else _FLUSH)
        found = {name: 1e6 * t for name, t in _turns(on_device, turn, seconds).items()}
        if peers.JAX in works:  # whose streams know nothing of our events
            alone = {peers.JAX: works[peers.JAX]}
            found |= {name: 1e6 * t for name, t in _turns(alone, partial(_by_clock, wait=_nothing), seconds / 2).items()}
        return found

    def host(self, works: Mapping[str, Work], calls: int = 200, rounds: int = 7) -> dict[str, float]:
        """Median microseconds of the host for a call, of `calls` behind each other that nobody waits for."""
        calls = 5 if self.tiny else calls
        samples: dict[str, list[float]] = {name: [] for name in works}
        for work in works.values():
            for _ in range(5):
                work()
        for _ in range(rounds):
            for name, work in works.items():
                self.wait()
                start = time.perf_counter()
                for _ in range(calls):
                    work()
                samples[name].append((time.perf_counter() - start) / calls)
        self.wait()
        return {name: 1e6 * statistics.median(found) for name, found in samples.items()}

    def wait(self) -> None:
        """Until the device has done all that it was given."""
        if self.device != "cpu":
            self.fw.cuda.synchronize()

    @property
    def gpu(self) -> Any:
        """fusewire's device."""
        from ..runtime.gpu.device import device

        return device()

    def _rubbish(self) -> Any:
        """Memory to be overwritten between runs."""
        if self._flushed is None:
            self._flushed = self.gpu.allocate(_SMALL if self.tiny else _FLUSH)
        return self._flushed

    def release(self) -> None:
        """Give back what nobody needs any more, to the driver."""
        gc.collect()
        for lib in (self.fw, self.torch):
            if lib is not None and self.device != "cpu":
                lib.cuda.empty_cache()


def said(error: BaseException) -> str:
    """An error in a line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def _same(f: Any) -> Any:
    return f


def _nothing() -> None: ...


def _turns(works: Mapping[str, Work], turn: Callable[[Work, int], float], seconds: float) -> dict[str, float]:
    """Median seconds a call: rounds in which each contender works about as long."""
    repeats, spent = dict[str, int](), 0.0
    for name, work in works.items():
        turn(work, 1)
        once = max(1e-7, turn(work, 1))
        repeats[name] = max(1, min(200, int(0.004 / once)))
        spent += once * repeats[name]
    rounds = max(5, min(25, int(seconds / max(spent, 1e-9))))
    samples: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            samples[name].append(turn(work, repeats[name]))
    return {name: statistics.median(found) for name, found in samples.items()}


def _by_clock(work: Work, calls: int, wait: Callable[[], None]) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        work()
    wait()
    return (time.perf_counter() - start) / calls


def _by_events(gpu: Any, rubbish: Any, nbytes: int, work: Work, calls: int) -> float:
    """Seconds a call on the device. With `rubbish` each finds the caches empty, and the device busy until the call is issued."""
    from ..runtime.gpu.streams import Event

    calls = min(calls, 10) if rubbish is not None else calls
    pairs = [(Event(True), Event(True)) for _ in range(1 if rubbish is None else calls)]
    for start, end in pairs:
        if rubbish is not None:
            gpu.driver.fill(rubbish.address, 0, nbytes, gpu.stream)
        start.record()
        for _ in range(calls if rubbish is None else 1):
            work()
        end.record()
    gpu.synchronize()
    spent = statistics.median(start.elapsed_time(end) for start, end in pairs)
    return 1e-3 * spent / (calls if rubbish is None else 1)


def _torch(device: str) -> Any:
    if not peers.installed("torch"):
        return None
    torch = importlib.import_module("torch")
    return torch if device == "cpu" or torch.cuda.is_available() else None


def _jax(device: str) -> Any:
    jax = peers.jax_here()
    return jax if jax is not None and (device == "cpu" or jax.default_backend() == "gpu") else None


def rows_of(items: Mapping[str, Callable[[], Iterator[Row]]]) -> Iterator[Row]:
    """The rows of all items."""
    for item in items.values():
        yield from item()
