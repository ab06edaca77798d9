"""One pass over a data set: in this process, or by worker processes whose batches come back in order.

A worker that dies is an error at once: its end of the socket closes. Iterators that are dropped, closed or interrupted stop their
workers; a copy of one in a forked child leaves the parent's alone.
"""

from __future__ import annotations

import contextlib
import copy
import os
import select
import signal
import socket
import time
import warnings
from collections import deque
from collections.abc import Iterator
from typing import Any

from .collate import each_tensor
from .fetching import IterFetcher, MapFetcher
from .sampler import draw_seed
from .transport import Receiver, order
from .worker import BATCH, END, Failure, Task, run

#: seconds a worker gets to finish what it is at when it is stopped
GRACE = 5.0
#: milliseconds after which a parent that waits looks whether its workers are alive
PATIENCE = 1000


class LoaderIter:
    """What both kinds of iterators have: an order of indices, and a count of what was given."""

    def __init__(self, loader: Any) -> None:
        self.loader, self._given = copy.copy(loader), 0  # its own: a loader and an iterator that hold each other live on
        self._indices: Iterator[Any] = iter(loader._index_sampler)
        self._seed = draw_seed(loader.generator)

    def __iter__(self) -> LoaderIter:
        return self

    def __len__(self) -> int:
        return len(self.loader)

    def __next__(self) -> Any:
        batch = self._next()
        self._given += 1
        promised = self.loader._promised
        if promised is not None and self._given > promised:
            self.loader._promised = None
            warnings.warn(
                f"the data set's __len__ said there are {promised} batches, this is number {self._given}: where several workers "
                "iterate, each takes its share by get_worker_info", stacklevel=2,
            )  # fmt: skip
        return each_tensor(batch, pin_memory) if self.loader._pins else batch

    def _next(self) -> Any:
        raise NotImplementedError


def pin_memory(tensor: Any) -> Any:
    """`tensor` in memory that a GPU reads by itself."""
    return tensor.pin_memory()


class OwnIter(LoaderIter):
    """Fetches in the calling thread."""

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        kind = IterFetcher if loader._streamed else MapFetcher
        self._fetcher = kind(loader.dataset, loader._auto_collation, loader.collate_fn, loader.drop_last)

    def _next(self) -> Any:
        return self._fetcher.fetch(next(self._indices))


class _Worker:
    """A process, and what was sent to it and not taken yet."""

    def __init__(self, context: Any, task: Task, others: list[_Worker]) -> None:
        here, there = socket.socketpair()
        ends = [w.sock for w in others] + [here]
        forked = context.get_start_method() == "fork"
        self.id, self.active, self.tasks, self.pending = task.id, True, 0, bytearray()
        self.sock: socket.socket = here
        self.process = context.Process(target=run, args=(task, there, ends if forked else []), daemon=True)
        try:
            _start(self.process)
        except BaseException:
            here.close()
            raise
        finally:
            there.close()
        here.setblocking(False)
        self.receiver = Receiver(here)

    def send(self, message: Any) -> None:
        """Send, or keep what the socket does not take now."""
        self.pending += order(message)
        self.flush()

    def flush(self) -> None:
        """Send what is pending; what a dead worker does not take is found out by reading."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while self.pending:
                del self.pending[: self.sock.send(self.pending)]


def _start(process: Any) -> None:
    with warnings.catch_warnings():  # Python 3.12 on: threads of ours and of NumPy's products survive a fork
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        process.start()


class WorkersIter(LoaderIter):
    """Orders batches `prefetch_factor` ahead of each worker and gives them in order (unless ``in_order=False``: as they come)."""

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        self._pid, self._epoch = os.getpid(), -1
        self._workers: list[_Worker] = []
        self._poll = select.poll()
        try:
            for i in range(loader.num_workers):
                self._workers.append(_Worker(loader._context(), self._task(i), self._workers))
        except BaseException:
            self.close()
            raise
        self._of = {w.sock.fileno(): w for w in self._workers}
        for fd in self._of:
            self._poll.register(fd, select.POLLIN)
        self._begin()

    def _task(self, i: int) -> Task:
        at = self.loader
        auto, collate = at._auto_collation, at.collate_fn
        return Task(
            at.dataset, at._streamed, auto, collate, at.drop_last, at.worker_init_fn, self._seed, i, at.num_workers
        )  # fmt: skip

    def again(self) -> None:
        """Begin another pass with the same workers."""
        self._indices, self._given = iter(self.loader._index_sampler), 0
        self._seed = draw_seed(self.loader.generator)
        self._begin()

    def _begin(self) -> None:
        self._epoch += 1
        self._sent = self._taken = self._turn = 0
        self._who: dict[int, _Worker] = {}
        self._ready: dict[int, tuple[str, Any]] = {}
        self._arrived: deque[int] = deque()
        for w in self._workers:
            w.active, w.tasks = True, 0
        for _ in range(self.loader.prefetch_factor * len(self._workers)):
            self._order()

    @property
    def alive(self) -> bool:
        """Whether there are workers, and this process made them."""
        return bool(self._workers) and self._pid == os.getpid()

    # -- orders ----------------------------------------------------------------------------------------------------
    def _order(self) -> None:
        """Order the next batch, if there is one and a worker to make it."""
        worker = self._next_worker()
        if worker is None:
            return
        index = next(self._indices, _none)
        if index is _none:
            return
        worker.send((self._epoch, self._sent, index, worker.receiver.freed()))
        self._who[self._sent] = worker
        worker.tasks += 1
        self._sent += 1

    def _next_worker(self) -> _Worker | None:
        active = [w for w in self._workers if w.active]
        if not active:
            return None
        if not self.loader.in_order:
            return min(active, key=lambda w: w.tasks)
        while not self._workers[self._turn % len(self._workers)].active:
            self._turn += 1
        self._turn += 1
        return self._workers[(self._turn - 1) % len(self._workers)]

    # -- batches ---------------------------------------------------------------------------------------------------
    def _next(self) -> Any:
        if self._pid != os.getpid():
            raise RuntimeError("this iterator's workers belong to the process that made it: call iter(loader) in this one")
        while True:
            number = self._due()
            if number is None:
                if not self.loader.persistent_workers:
                    self.close()
                raise StopIteration
            if number not in self._ready:
                self._wait()
                continue
            kind, made = self._ready.pop(number)
            self._who.pop(number)
            if kind != END:
                self._order()
            if isinstance(made, Failure):
                raise made.raised()
            if kind == BATCH:
                return made

    def _due(self) -> int | None:
        """The number of the batch to give next; None at the end."""
        if not self.loader.in_order:
            while self._arrived and self._arrived[0] not in self._ready:
                self._arrived.popleft()
            if self._arrived:
                return self._arrived[0]
            return next((n for n, w in self._who.items() if w.active), None)
        while self._taken < self._sent:
            worker = self._who.get(self._taken)
            if worker is not None and (self._taken in self._ready or worker.active):
                return self._taken
            self._who.pop(self._taken, None)  # was given, or its worker has come to its end
            self._taken += 1
        return None

    def _wait(self) -> None:
        """Take messages until there is a new one."""
        limit = time.monotonic() + self.loader.timeout if self.loader.timeout else None
        try:
            while not self._take(PATIENCE if limit is None else max(1, min(PATIENCE, int(1000 * (limit - time.monotonic()))))):
                self._check()
                if limit is not None and time.monotonic() >= limit:
                    self.close()
                    raise RuntimeError(f"no batch came from the DataLoader's workers in timeout={self.loader.timeout} seconds")
        except KeyboardInterrupt:
            self.close()
            raise

    def _take(self, patience: int) -> bool:
        """Wait for messages; whether any came. RuntimeError where a worker is gone."""
        pending = [w for w in self._workers if w.pending]
        for w in pending:
            self._poll.modify(w.sock, select.POLLIN | select.POLLOUT)
        found = False
        for fd, event in self._poll.poll(patience):
            worker = self._of[fd]
            worker.flush()
            if event & ~select.POLLOUT:
                there = worker.receiver.read()
                found |= self._sort(worker)
                if not there:
                    self._fail(worker)
        for w in pending:
            self._poll.modify(w.sock, select.POLLIN)
        return found

    def _sort(self, worker: _Worker) -> bool:
        found = False
        for (epoch, number, kind), made in worker.receiver.messages():
            if epoch != self._epoch:
                continue
            worker.tasks -= 1
            if kind == END:
                worker.active = False
                self._who.pop(number, None)
                self._order()
            else:
                self._ready[number] = kind, made
                self._arrived.append(number)
            found = True
        return found

    def _check(self) -> None:
        for worker in self._workers:
            if not worker.process.is_alive():
                worker.receiver.read()
                if not self._sort(worker):
                    self._fail(worker)

    def _fail(self, worker: _Worker) -> None:
        """RuntimeError: `worker` is gone."""
        worker.process.join(GRACE)
        pid, code = worker.process.pid, worker.process.exitcode
        self.close()
        raise RuntimeError(f"worker process {worker.id} (pid {pid}) of the DataLoader is gone: {_how(code)}")

    # -- the end ---------------------------------------------------------------------------------------------------
    def close(self) -> None:
        """Stop the workers. Twice is no error; in a forked child only the copies of sockets are closed."""
        workers, self._workers = self._workers, []
        own = self._pid == os.getpid()
        for w in workers:
            if own:
                w.send(None)
            w.receiver.close()
        if not own:
            return
        limit = time.monotonic() + GRACE
        for w in workers:
            w.process.join(max(0.0, limit - time.monotonic()))
            if w.process.is_alive():
                w.process.terminate()
                w.process.join(1.0)
            if w.process.is_alive():
                w.process.kill()
                w.process.join()
            w.process.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # at the interpreter's end modules may be gone; the processes are daemons
            self.close()


_none = object()


def _how(code: int | None) -> str:
    if code is None:
        return "its end of the socket is closed"
    if code >= 0:
        return f"it ended with status {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    why = {"SIGKILL": " (out of memory?)", "SIGSEGV": " (a fault in native code)", "SIGBUS": " (no room for shared memory?)"}
    return f"it was killed by {name}{why.get(name, '')}"
