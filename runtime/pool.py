"""One pool of workers for the process: bare threads in machine code that never touch Python; they spin briefly, then sleep.

A job is a function of the kernel ABI with a number of chunks: ``i32 fn(args, sizes, scalars, scratch, thread, threads)`` is
called once for each chunk (`thread` of `threads`), in any order, on any worker, or once as (0, 1); chunks never wait for one
another. One caller owns the pool at a time; a second one, and a job inside a job, runs its chunks itself. The code comes from
a provider (`backends.native`); where there is none, or no thread can be made, callers do all the work.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import knobs
from ..errors import LoadError
from . import forks

#: Words of the control block, in bytes; each group has a cache line of its own. JOB counts jobs and is what sleepers wait on;
#: LEFT chunks are unfinished, which the caller is WAITING for in its sleep; FN to LIMIT are the job; STATUS is the lowest
#: (chunk << 32 | status) that is not zero.
JOB, LEFT, BUSY, FN, ARGS, SIZES, SCALARS, SCRATCH, STRIDE, CHUNKS, LIMIT = 0, 64, 128, *range(192, 256, 8)
STATUS, SLEEPERS, STOP, QUIET, WAITING, THREADS, ALIVE, SPIN = 256, 264, 272, 280, 288, 320, 328, 336
#: a cell for each worker, the caller being number 0: job << 32 | chunks of its own part that nobody has claimed
CELLS, CELL = 384, 64
MAX_THREADS = 64
#: a row for each worker: address of the block, number, pthread_t, the last job it has seen
ROWS, ROW = CELLS + CELL * MAX_THREADS, 32
_BYTES = ROWS + ROW * MAX_THREADS

_WAKE, _FUTEX = 129, 202
_libc = ctypes.CDLL(None)
_raw = np.zeros(_BYTES + 64, np.uint8)
#: address of the control block
BLOCK: int = -(-_raw.ctypes.data // 64) * 64
_lock = forks.hold(forks.START, threading.Lock())
_RUN = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_int64] * 9)


class _State:
    """The provider of the code, and the code once it is there."""

    provider: Callable[[], Mapping[str, int]] | None = None
    code: Mapping[str, int] | None = None
    run: Any = None
    take: Any = None
    failed = False
    ended = False


def _cell(offset: int) -> ctypes.c_int64:
    return ctypes.c_int64.from_address(BLOCK + offset)


_quiet, _threads = _cell(QUIET), _cell(THREADS)


def cores() -> int:
    """Cores this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except (AttributeError, OSError):
        return max(1, os.cpu_count() or 1)


def threads() -> int:
    """Threads a job may use, the caller included."""
    return _threads.value or _default()


def _default() -> int:
    _threads.value = min(MAX_THREADS, knobs.threads or cores())
    return _threads.value


def set_threads(count: int) -> None:
    """Let jobs use `count` threads from now on, at most MAX_THREADS. ValueError below 1."""
    if count < 1:
        raise ValueError(f"set_num_threads needs at least 1 thread, not {count}")
    _cell(THREADS).value = min(int(count), MAX_THREADS)


def provide(make: Callable[[], Mapping[str, int]]) -> None:
    """Say who makes the machine code, when a job first needs it: addresses of "pool_run" and "pool_take" by name."""
    _State.provider = make


def start() -> int:
    """Address of ``i32 run(block, fn, args, sizes, scalars, scratch, stride, chunks, limit)``, the code being mapped at the first
    call; 0 where there is none. Workers are hired by the first job. `stride`: bytes of scratch a worker has for itself."""
    if _State.code is None and _State.provider is not None and not _State.failed:
        with _lock:
            _start(_State.provider)
    return _State.code["pool_run"] if _State.code is not None else 0


def _start(provider: Callable[[], Mapping[str, int]]) -> None:
    if _State.code is not None:
        return
    try:
        code = provider()
    except LoadError:
        _State.failed = True
        return
    _cell(SPIN).value = knobs.spin
    threads()
    _State.run, _State.take = _RUN(code["pool_run"]), ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64)(code["pool_take"])
    _State.code = code
    forks.around(forks.POOL, _stop, _free)
    atexit.register(_end)


def run(fn: int, args: int, sizes: int, scalars: int, scratch: int, stride: int, chunks: int, limit: int) -> int:
    """Run a job on at most `limit` threads, without the interpreter lock; the status of its first chunk that fails, else 0."""
    start()
    return int(_State.run(BLOCK, fn, args, sizes, scalars, scratch, stride, chunks, limit))


def _stop() -> None:
    """Take the pool once no job is under way, and end its workers."""
    if _State.ended:  # it is taken for good
        return
    while not _State.take(BLOCK):
        os.sched_yield()
    _cell(STOP).value = 1
    _cell(JOB).value += 1  # nobody goes to sleep on the old one
    _libc.syscall(_FUTEX, ctypes.c_void_p(BLOCK + JOB), _WAKE, 2**31 - 1)
    for k in range(_cell(ALIVE).value):
        _libc.pthread_join(ctypes.c_void_p(_cell(ROWS + ROW * k + 16).value), None)
    _cell(ALIVE).value = _cell(STOP).value = _cell(SLEEPERS).value = 0


def _end() -> None:
    """Before the interpreter ends. The pool stays taken, so that later callers do their work themselves."""
    _stop()
    _State.ended = True


def _free() -> None:
    """Hand the pool back: the next job hires new workers, in a forked child its own."""
    _cell(BUSY).value = int(_State.ended)


def quieten() -> None:
    """Send workers to sleep until the next job: another library's threads are about to want the cores."""
    if _State.code is not None:
        _quiet.value = 1


def workers() -> int:
    """Threads of the pool that exist now, the caller not counted."""
    return int(_cell(ALIVE).value)
