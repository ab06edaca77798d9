"""What a worker process does: it takes orders (lists of indices) from a socket, fetches and sends batches until it is told to
stop or its parent is gone."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import select
import signal
import socket
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...eager.random import manual_seed
from ...runtime.threads import set_num_threads
from .fetching import IterFetcher, MapFetcher
from .transport import Sender, receive_order

#: milliseconds after which a worker without orders looks whether its parent is there
PATIENCE = 5000
#: kinds of messages to the parent
BATCH, ERROR, END = "batch", "error", "end"


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker this process is: number `id` of `num_workers`, the seed of its random numbers, its copy of the data set."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """The `WorkerInfo` of this process; None where it is no worker."""
    return _info


@dataclass
class Task:
    """All that a worker must know. `auto`: batches are joined of items. `seed`: the workers' common one."""

    dataset: Any
    streamed: bool
    auto: bool
    collate: Callable[[Any], Any]
    drop_last: bool
    init: Callable[[int], Any] | None
    seed: int
    id: int
    count: int

    def fetcher(self) -> Any:
        """One for a new pass over the data set."""
        return (IterFetcher if self.streamed else MapFetcher)(self.dataset, self.auto, self.collate, self.drop_last)


@dataclass(frozen=True)
class Failure:
    """An exception as it goes to the parent: its type and its text with the traceback."""

    type: type[BaseException]
    text: str

    @staticmethod
    def of(error: BaseException, id: int) -> Failure:
        """The present exception in worker `id`; where its type cannot be sent, the nearest above it that can."""
        shown = "".join(traceback.format_exception(error))
        kind = next(t for t in type(error).__mro__ if _sendable(t))
        return Failure(kind, f"{type(error).__name__} in worker process {id} (pid {os.getpid()}) of the DataLoader\n\n{shown}")

    def raised(self) -> BaseException:
        """The exception for the parent to raise: of the same type where its constructor takes a text alone."""
        try:
            return self.type(_Text(self.text) if issubclass(self.type, KeyError) else self.text)
        except Exception:
            return RuntimeError(self.text)


class _Text(str):
    """A text whose repr, which KeyError shows, is as readable as itself."""

    def __repr__(self) -> str:
        return str(self)


def _sendable(kind: type) -> bool:
    try:
        pickle.dumps(kind)
    except Exception:
        return False
    return True


def run(task: Task, sock: socket.socket, others: list[socket.socket]) -> None:
    """The process's life. `others` are ends of sockets that a fork has copied here and that belong to the parent."""
    global _info
    for other in others:
        other.close()
    signal.signal(signal.SIGINT, _ignored)
    seed = task.seed + task.id
    set_num_threads(1)
    random.seed(seed)
    manual_seed(seed)
    np.random.seed(np.random.SeedSequence((task.seed, task.id)).generate_state(4))  # type: ignore[arg-type]
    _info = WorkerInfo(task.id, task.count, seed, task.dataset)
    failure = None
    try:
        if task.init is not None:
            task.init(task.id)
    except Exception as error:
        failure = Failure.of(error, task.id)
    with sock, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        _serve(task, sock, failure)


def _ignored(*signal: Any) -> None:
    """The parent hears of an interrupt as well, and stops its workers."""


def _serve(task: Task, sock: socket.socket, failure: Failure | None) -> None:
    sender, fetcher, epoch = Sender(sock), None, -1
    while True:
        order = _order(sock)
        if order is None:
            return
        wanted, number, index, freed = order
        sender.freed(freed)
        if wanted != epoch:
            epoch, fetcher = wanted, None
        kind, made = ERROR, failure
        if failure is None:
            try:
                fetcher = fetcher or task.fetcher()
                kind, made = BATCH, fetcher.fetch(index)
            except StopIteration as error:
                kind, made = (END, None) if task.streamed else (ERROR, Failure.of(error, task.id))
            except Exception as error:
                made = Failure.of(error, task.id)
        try:
            sender.send((epoch, number, kind), made)
        except OSError:
            raise
        except Exception as error:
            sender.send((epoch, number, ERROR), Failure.of(error, task.id))
        made = None


def _order(sock: socket.socket) -> Any:
    """The next order; None where the parent wants no more or is gone."""
    parent = os.getppid()
    waiting = select.poll() if hasattr(select, "poll") else None
    if waiting is not None:
        waiting.register(sock, select.POLLIN)
        while not waiting.poll(PATIENCE):
            if os.getppid() != parent:
                return None
    return receive_order(sock)
