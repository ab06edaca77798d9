"""``torch.multiprocessing``: Python's package, with tensors that travel by their memory (`eager.sharing`), and `spawn`."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import tempfile
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from ..eager import sharing

__all__ = [
    "ProcessContext", "ProcessException", "ProcessExitedException", "ProcessRaisedException", "SpawnContext",
    "get_all_sharing_strategies", "get_sharing_strategy", "set_sharing_strategy", "spawn", "start_processes",
]  # fmt: skip

__all__ += multiprocessing.__all__  # type: ignore[attr-defined]

_STRATEGIES = {"file_descriptor"}


def __getattr__(name: str) -> Any:
    return getattr(multiprocessing, name)  # as it is now: `set_start_method` changes what Process and Queue are


def get_all_sharing_strategies() -> set[str]:
    """{"file_descriptor"}: memory is named by an open file that has no place in a folder."""
    return set(_STRATEGIES)


def get_sharing_strategy() -> str:
    """ "file_descriptor"."""
    return "file_descriptor"


def set_sharing_strategy(new_strategy: str) -> None:
    """Accepted for "file_descriptor" and "file_system", which both share the same memory; ValueError for others."""
    if new_strategy not in (*_STRATEGIES, "file_system"):
        raise ValueError(f"no sharing strategy {new_strategy!r}")


class ProcessException(Exception):
    """A process did not end well. `error_index`: its number, `error_pid`: that of the system."""

    def __init__(self, msg: str, error_index: int, pid: int) -> None:
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, pid


class ProcessRaisedException(ProcessException):
    """The function raised in that process; the message has its traceback."""


class ProcessExitedException(ProcessException):
    """The process ended by a signal or with an exit code."""

    def __init__(self, msg: str, error_index: int, error_pid: int, exit_code: int, signal_name: str | None = None) -> None:
        super().__init__(msg, error_index, error_pid)
        self.exit_code, self.signal_name = exit_code, signal_name


def _run(fn: Callable[..., Any], index: int, args: tuple[Any, ...], errors: str) -> None:
    try:
        fn(index, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        with open(errors, "w") as file:
            file.write(traceback.format_exc())
        raise SystemExit(1) from None


class ProcessContext:
    """Processes that run together. `join` waits for them."""

    def __init__(self, processes: Sequence[Any], errors: Sequence[str]) -> None:
        self.processes, self._errors = list(processes), list(errors)
        self.sentinels = {p.sentinel: i for i, p in enumerate(self.processes)}

    def pids(self) -> list[int]:
        """The system's numbers of the processes."""
        return [int(p.pid) for p in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Wait until one ends; True when all have ended well. Where one failed, the others are ended and `ProcessRaisedException`
        or `ProcessExitedException` says which."""
        if not self.sentinels:
            return True
        failed = None
        for sentinel in multiprocessing.connection.wait(list(self.sentinels), timeout):
            index = self.sentinels.pop(sentinel)  # type: ignore[arg-type]
            self.processes[index].join()
            if self.processes[index].exitcode and failed is None:
                failed = index
        if failed is None:
            return not self.sentinels
        for p in self.processes:
            if p.is_alive():
                p.terminate()
            p.join()
        self._raise(failed)
        return False

    def _raise(self, index: int) -> None:
        process = self.processes[index]
        with open(self._errors[index]) as file:
            text = file.read()
        if text:
            said = f"\n\n-- Process {index} terminated with the following error:\n{text}"
            raise ProcessRaisedException(said, index, process.pid)
        if process.exitcode < 0:
            name = signal.Signals(-process.exitcode).name
            said = f"process {index} terminated with signal {name}"
            raise ProcessExitedException(said, index, process.pid, process.exitcode, name)
        said = f"process {index} terminated with exit code {process.exitcode}"
        raise ProcessExitedException(said, index, process.pid, process.exitcode)

    def __del__(self) -> None:
        for path in self._errors:
            if os.path.exists(path):
                os.unlink(path)


SpawnContext = ProcessContext


def start_processes(
    fn: Callable[..., Any], args: tuple[Any, ...] = (), nprocs: int = 1, join: bool = True, daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:  # fmt: skip
    """Run ``fn(i, *args)`` in `nprocs` processes of numbers 0, 1, ...; with `join` wait for all of them (see
    `ProcessContext.join`), else give the `ProcessContext`."""
    context: Any = multiprocessing.get_context(start_method)
    processes, errors = [], []
    for i in range(nprocs):
        handle, path = tempfile.mkstemp(prefix="fusewire-spawn-")
        os.close(handle)
        process = context.Process(target=_run, args=(fn, i, args, path), daemon=daemon)
        process.start()
        processes.append(process)
        errors.append(path)
    made = ProcessContext(processes, errors)
    if not join:
        return made
    while not made.join():
        pass
    return None


def spawn(
    fn: Callable[..., Any], args: tuple[Any, ...] = (), nprocs: int = 1, join: bool = True, daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:  # fmt: skip
    """As `start_processes`, by fresh processes that import the caller's main module again."""
    return start_processes(fn, args, nprocs, join, daemon, start_method)


sharing.register()
