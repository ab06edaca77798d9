"""`autograd.profiler`: named ranges and how long they took, by the wall clock. Ops by themselves are not listed."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["emit_nvtx", "profile", "record_function"]


@dataclass(frozen=True)
class Event:
    """A range: `name`, and its begin and end in microseconds of the monotonic clock."""

    name: str
    begin: float
    end: float

    @property
    def cpu_time_total(self) -> float:
        """Microseconds."""
        return self.end - self.begin


@dataclass(frozen=True)
class Average:
    """All ranges of one name: `count`, and their microseconds together."""

    key: str
    count: int
    cpu_time_total: float

    @property
    def cpu_time(self) -> float:
        """Microseconds of one range."""
        return self.cpu_time_total / self.count


class Averages(list[Average]):
    """One row for each name."""

    def table(self, sort_by: str | None = None, row_limit: int = 100, **options: Any) -> str:
        """The rows as text."""
        rows = sorted(self, key=lambda r: -r.cpu_time_total) if sort_by else list(self)
        lines = [f"{'Name':<40} {'CPU total':>12} {'CPU time avg':>12} {'# of Calls':>10}"]
        lines += [f"{r.key[:40]:<40} {r.cpu_time_total:>10.1f}us {r.cpu_time:>10.1f}us {r.count:>10}" for r in rows[:row_limit]]
        return "\n".join(lines)


_running: list[profile] = []
_lock = threading.Lock()


class record_function:
    """A named range: ``with record_function("step"):``, or a decorator."""

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name = name

    def __enter__(self) -> record_function:
        self.begin = time.perf_counter()
        return self

    def __exit__(self, *exc: object) -> None:
        with _lock:
            for p in _running:
                p.seen.append(Event(self.name, self.begin * 1e6, time.perf_counter() * 1e6))

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name):
                return fn(*args, **kwargs)

        return wrapped


class profile:
    """Collects the ranges of `record_function` that end inside the block."""

    def __init__(self, enabled: bool = True, **options: Any) -> None:
        self.enabled = enabled
        self.seen: list[Event] = []

    def start(self) -> None:
        """As entering the block."""
        self.__enter__()

    def stop(self) -> None:
        """As leaving the block."""
        self.__exit__()

    def step(self) -> None:
        """The end of a step of the program: nothing is scheduled here."""

    def __enter__(self) -> profile:
        if self.enabled:
            with _lock:
                _running.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        with _lock:
            if self in _running:
                _running.remove(self)

    def events(self) -> list[Event]:
        """The ranges in the order of their ends."""
        return list(self.seen)

    function_events = property(events)

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0) -> Averages:
        """The ranges of each name together."""
        by_name: dict[str, list[Event]] = {}
        for e in self.seen:
            by_name.setdefault(e.name, []).append(e)
        return Averages([Average(k, len(es), sum(e.cpu_time_total for e in es)) for k, es in by_name.items()])

    def table(self, **options: Any) -> str:
        """`key_averages` as text."""
        return self.key_averages().table(**options)


class emit_nvtx(profile):
    """Accepted; no GPU's tool is told."""
