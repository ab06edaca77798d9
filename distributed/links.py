"""A TCP connection between each two processes, and messages over it: eight bytes of length, then the bytes. Knows no tensor."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

_LENGTH = struct.Struct("<Q")
#: set when the message before is through, and to be set when this one is
Turn = tuple[threading.Event | None, threading.Event]


class Links:
    """The connections of process `rank` among `size`. Rank 0 listens at `address` and tells all where the others listen; of
    each two the later rank connects. RuntimeError where somebody does not come, or goes, within `timeout` seconds."""

    def __init__(self, rank: int, size: int, address: tuple[str, int], timeout: float) -> None:
        if not 0 <= rank < size:
            raise ValueError(f"rank {rank} is none of {size} processes")
        self.rank, self.size, self.timeout = rank, size, timeout
        self._sockets: dict[int, socket.socket] = {}
        self._last: dict[tuple[str, int], threading.Event] = {}
        if size > 1:
            self._meet(address)

    def _meet(self, address: tuple[str, int]) -> None:
        listener = self._listen(address if self.rank == 0 else ("", 0))
        try:
            if self.rank:
                first = self._connect(address)
                self._sockets[0] = first
                host = first.getsockname()[0]
                self.send(0, json.dumps([self.rank, host, listener.getsockname()[1]]).encode())
                places = json.loads(self.receive(0))
            else:
                places = self._gather(listener)
            for other in range(1, self.rank):
                self._sockets[other] = self._connect(tuple(places[other]))
                self.send(other, json.dumps(self.rank).encode())
            for _ in range(self.rank + 1, self.size if self.rank else 0):
                taken = self._accept(listener)
                self._sockets[int(json.loads(_read(taken)))] = taken
        finally:
            listener.close()

    def _gather(self, listener: socket.socket) -> list[Any]:
        """At rank 0: take all connections, and tell everybody where the others listen."""
        places: list[Any] = [None] * self.size
        for _ in range(1, self.size):
            taken = self._accept(listener)
            rank, host, port = json.loads(_read(taken))
            if rank in self._sockets or not 0 < rank < self.size:
                raise RuntimeError(f"a process came as rank {rank} of {self.size}, which is taken or none")
            self._sockets[rank], places[rank] = taken, (host, port)
        for rank in range(1, self.size):
            self.send(rank, json.dumps(places).encode())
        return places

    def _listen(self, address: tuple[str, int]) -> socket.socket:
        listener = socket.create_server(address, backlog=self.size)
        listener.settimeout(self.timeout)
        return listener

    def _accept(self, listener: socket.socket) -> socket.socket:
        try:
            taken, _ = listener.accept()
        except TimeoutError:
            raise RuntimeError(f"rank {self.rank} waited {self.timeout:g} s for the other processes of {self.size}") from None
        return self._ready(taken)

    def _connect(self, address: tuple[str, int]) -> socket.socket:
        end = time.monotonic() + self.timeout
        while True:
            try:
                return self._ready(socket.create_connection(address, timeout=self.timeout))
            except OSError as error:  # nobody listens yet
                if time.monotonic() > end:
                    raise RuntimeError(f"rank {self.rank} found nobody at {address} for {self.timeout:g} s: {error}") from error
                time.sleep(0.02)

    def _ready(self, made: socket.socket) -> socket.socket:
        made.settimeout(self.timeout)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def turn(self, way: str, rank: int) -> Turn:
        """A place in the row of messages `way` "send" to or "receive" from process `rank`: each waits for those before it."""
        before, own = self._last.get((way, rank)), threading.Event()
        self._last[way, rank] = own
        return before, own

    def send(self, rank: int, raw: bytes, turn: Turn | None = None) -> None:
        """Give `raw` to process `rank`, at its `turn` (behind all messages begun so far)."""
        link, (before, own) = self._link(rank), turn or self.turn("send", rank)
        try:
            if before is not None:
                before.wait()
            link.sendall(_LENGTH.pack(len(raw)))
            link.sendall(raw)
        except OSError as error:
            raise RuntimeError(f"rank {self.rank} cannot send to rank {rank}: {error}") from error
        finally:
            own.set()

    def receive(self, rank: int, turn: Turn | None = None) -> bytes:
        """The next message of process `rank`, at its `turn` (behind all that are waited for so far)."""
        link, (before, own) = self._link(rank), turn or self.turn("receive", rank)
        try:
            if before is not None:
                before.wait()
            return _read(link)
        except OSError as error:
            raise RuntimeError(f"rank {self.rank} got nothing from rank {rank}: {error}") from error
        finally:
            own.set()

    def _link(self, rank: int) -> socket.socket:
        found = self._sockets.get(rank)
        if found is None:
            raise ValueError(f"rank {self.rank} has no connection to rank {rank} (of {self.size} processes)")
        return found

    @staticmethod
    def later(run: Callable[[], Any]) -> threading.Thread:
        """A thread that makes the call; its `error` is what that raised."""
        thread = _Call(run)
        thread.start()
        return thread

    def close(self) -> None:
        """Close all connections."""
        for link in self._sockets.values():
            link.close()
        self._sockets.clear()


class Work:
    """A call that is done, or runs in `thread`."""

    def __init__(self, thread: Any = None) -> None:
        self._thread = thread

    def wait(self, timeout: Any = None) -> bool:
        """True, when the call is done."""
        if self._thread is not None:
            self._thread.join(timeout.total_seconds() if isinstance(timeout, timedelta) else timeout)
            if self._thread.error is not None:
                raise self._thread.error
        return True

    def is_completed(self) -> bool:
        """Whether it is done."""
        return self._thread is None or not self._thread.is_alive()

    is_success = is_completed


class _Call(threading.Thread):
    def __init__(self, run: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._run = run
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._run()
        except Exception as error:
            self.error = error


def _read(link: socket.socket) -> bytes:
    (length,) = _LENGTH.unpack(_exactly(link, _LENGTH.size))
    return _exactly(link, length)


def _exactly(link: socket.socket, count: int) -> bytes:
    whole = bytearray(count)
    view, have = memoryview(whole), 0
    while have < count:
        got = link.recv_into(view[have:])
        if not got:
            raise ConnectionError("the other process has closed the connection")
        have += got
    return bytes(whole)
