"""How long each eager op takes: a recorder that lets every op run as it would and notes its time."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import Any

from . import executor
from .profiler import Event


class OpTimes:
    """While entered, each op of this thread adds an `Event` to `seen`."""

    def __init__(self, seen: list[Event]) -> None:
        self.seen = seen
        self._context: AbstractContextManager[None] | None = None

    def __enter__(self) -> OpTimes:
        self._context = executor.recording(self)
        self._context.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._context is not None:
            self._context.__exit__(None, None, None)
            self._context = None

    def apply(self, op: Any, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """The op's result."""
        return self._timed(f"aten::{op.name}", lambda: executor.apply(op, operands, attrs))

    def write(self, target: Any, source: Any) -> None:
        """Store `source` in `target`."""
        self._timed("aten::copy_", lambda: executor.write(target, source))

    def _timed(self, name: str, run: Any) -> Any:
        executor.on_recording.recorder = None
        begin = time.perf_counter()
        try:
            return run()
        finally:
            self.seen.append(Event(name, begin * 1e6, time.perf_counter() * 1e6))
            executor.on_recording.recorder = self
