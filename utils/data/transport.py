"""Objects from a worker process to its parent: small ones through a socket, arrays through shared memory without a name.

A message is a frame (length, pickle). The arrays in it lie in a segment: memory of a file that has no name (`memfd_create`, or an
unlinked temporary file), whose descriptor goes to the parent with the first message that uses it. Nothing is left behind, however
either process ends. A segment is lent to the parent until the last array on it is gone, and then used again.

Both ends trust each other: the parent made the worker. Never used on bytes from elsewhere.
"""

from __future__ import annotations

import array
import copyreg
import io
import mmap
import os
import pickle
import socket
import struct
import tempfile
from collections import deque
from typing import Any

import numpy as np

from ...eager import factory
from ...eager.tensor import Tensor

Array = np.ndarray[Any, Any]
#: where descriptors cannot be sent, arrays go through the socket too
SHARED = hasattr(socket, "SCM_RIGHTS")
#: bytes of arrays up to which they go through the socket
SMALL = 2048
_ALIGN = 64
_PAGE = mmap.ALLOCATIONGRANULARITY
_LENGTH = struct.Struct("<Q")
_forks = [0]


def _forked() -> None:
    _forks[0] += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_forked)


# ---- pickling ----------------------------------------------------------------------------------------------------------
def _tensor(cls: type, array: Array, order: tuple[int, ...] | None, requires_grad: bool) -> Tensor:
    made = factory.make(array if order is None else array.transpose(np.argsort(order)), requires_grad)
    if cls is not Tensor:
        made.__class__ = cls
    return made


def _reduced(t: Tensor) -> tuple[Any, ...]:
    if t._node is not None and t.meta.requires_grad:
        raise RuntimeError(f"a tensor of shape {list(t.shape)} with a history cannot leave its worker process: detach() it there")
    array, order = t.array, None
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        order = tuple(sorted(range(array.ndim), key=lambda d: -array.strides[d]))
        array = np.ascontiguousarray(array.transpose(order))
    return _tensor, (type(t), array, order, t.meta.requires_grad)


class _Reducers:
    """How objects of a class are written: tensors, and those of its subclasses, as above."""

    def __getitem__(self, kind: type) -> Any:
        return _reduced if issubclass(kind, Tensor) else copyreg.dispatch_table[kind]


class _Pickler(pickle.Pickler):
    dispatch_table: Any = _Reducers()


def dumps(obj: Any, buffers: list[pickle.PickleBuffer]) -> bytes:
    """`obj` without its arrays, which are appended to `buffers`."""
    file = io.BytesIO()
    _Pickler(file, 5, buffer_callback=buffers.append).dump(obj)
    return file.getvalue()


# ---- the worker's end ----------------------------------------------------------------------------------------------------
class Segment:
    """Shared memory of `size` bytes; `number` names it between the two processes."""

    def __init__(self, number: int, fd: int, size: int) -> None:
        self.number, self.size = number, size
        self.memory = mmap.mmap(fd, size)
        self.bytes = np.frombuffer(self.memory, np.uint8)
        self.address = int(self.bytes.__array_interface__["data"][0])


def _file(size: int) -> int:
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("batch", os.MFD_CLOEXEC)
    else:
        handle, name = tempfile.mkstemp()
        os.unlink(name)
        fd = handle
    os.ftruncate(fd, size)
    return fd


class Sender:
    """Packs objects and sends them. `freed` is told which segments the parent has done with."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._free: list[Segment] = []
        self._lent: dict[int, Segment] = {}
        self._count = 0

    def freed(self, numbers: list[int]) -> None:
        """Use these segments again; a negative number is that of one to be forgotten, less 1."""
        for n in numbers:
            segment = self._lent.pop(n if n >= 0 else -1 - n)
            if n >= 0:
                self._free.append(segment)

    def send(self, tag: Any, obj: Any) -> None:
        """Send `obj`; `tag` is known before the arrays are looked at."""
        buffers: list[pickle.PickleBuffer] = []
        body: bytes | memoryview = dumps(obj, buffers)
        views = [b.raw() for b in buffers]
        total = sum(v.nbytes for v in views)
        if not SHARED or total + len(body) <= SMALL:
            self._frame((tag, None, 0, [bytearray(v) for v in views], (), body))
            return
        if len(body) > 4 * SMALL:
            views.append(memoryview(body))
            body = b""
        places, end = [], 0
        for v in views:
            places.append((end, end + v.nbytes))
            end += -(-v.nbytes // _ALIGN) * _ALIGN
        segment, fd, dropped = self._segment(end)
        for (start, stop), v in zip(places, views, strict=True):
            segment.bytes[start:stop] = v
        self._lent[segment.number] = segment
        self._frame((tag, segment.number, segment.size if fd >= 0 else 0, places, dropped, body), fd)

    def _segment(self, size: int) -> tuple[Segment, int, list[int]]:
        """A segment for `size` bytes, the descriptor if it is new (else -1), and the numbers of those given up for it."""
        for i, segment in enumerate(self._free):
            if segment.size >= size:
                return self._free.pop(i), -1, []
        dropped = [s.number for s in self._free]  # all too small
        self._free.clear()
        room = -(-size // _PAGE) * _PAGE
        fd = _file(room)
        self._count += 1
        return Segment(self._count, fd, room), fd, dropped

    def _frame(self, message: Any, fd: int = -1) -> None:
        text = pickle.dumps(message, 5)
        frame = _LENGTH.pack(len(text)) + text
        if fd < 0:
            self.sock.sendall(frame)
            return
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        sent = self.sock.sendmsg([frame], rights)
        os.close(fd)
        self.sock.sendall(frame[sent:])


def read_exactly(sock: socket.socket, count: int) -> bytes | None:
    """The next `count` bytes; None where the other end is closed."""
    found = bytearray()
    while len(found) < count:
        more = sock.recv(count - len(found))
        if not more:
            return None
        found += more
    return bytes(found)


def receive_order(sock: socket.socket) -> Any:
    """The next message of the parent; None where it is gone."""
    head = read_exactly(sock, _LENGTH.size)
    text = None if head is None else read_exactly(sock, _LENGTH.unpack(head)[0])
    return None if text is None else pickle.loads(text)


def order(message: Any) -> bytes:
    """A message to a worker as bytes."""
    text = pickle.dumps(message, 5)
    return _LENGTH.pack(len(text)) + text


# ---- the parent's end ----------------------------------------------------------------------------------------------------
class _Lease:
    """What arrays in a segment have as their base: when it goes, the segment is free. One written to by a process that was
    forked meanwhile may still be read there, and is forgotten."""

    def __init__(self, segment: Segment, freed: deque[int]) -> None:
        self.segment, self.freed, self.forks = segment, freed, _forks[0]
        self.__array_interface__ = {
            "data": (segment.address, False), "shape": (segment.size,), "typestr": "|u1", "version": 3,
        }  # fmt: skip

    def __del__(self) -> None:
        number = self.segment.number
        self.freed.append(number if self.forks == _forks[0] else -1 - number)


class Receiver:
    """Takes the messages of one worker from a socket that does not block."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._got = bytearray()
        self._fds: list[int] = []
        self._segments: dict[int, Segment] = {}
        self._freed: deque[int] = deque()

    def freed(self) -> list[int]:
        """Numbers of the segments that no array lies in any more, to be told to the worker."""
        found = []
        while self._freed:
            n = self._freed.popleft()
            if n < 0:
                self._segments.pop(-1 - n, None)
            found.append(n)
        return found

    def read(self) -> bool:
        """Take what is there; False where the worker has closed its end."""
        room = socket.CMSG_SPACE(64) if SHARED else 0
        while True:
            try:
                data, rights, _, _ = self.sock.recvmsg(1 << 16, room) if SHARED else (self.sock.recv(1 << 16), [], 0, None)
            except BlockingIOError:
                return True
            except ConnectionError:
                return False
            for _, _, fds in rights:
                self._fds += array.array("i", fds[: len(fds) // 4 * 4])
            if not data:
                return False
            self._got += data
            if len(data) < 1 << 16:
                return True

    def messages(self) -> list[tuple[Any, Any]]:
        """Those that are complete, as (tag, object)."""
        found = []
        while len(self._got) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._got)[0]
            if len(self._got) < end:
                break
            text = bytes(self._got[_LENGTH.size : end])
            del self._got[:end]
            found.append(self._unpacked(*pickle.loads(text)))
        return found

    def _unpacked(self, tag: Any, number: int | None, size: int, places: Any, dropped: Any, body: bytes) -> tuple[Any, Any]:
        if number is None:
            return tag, pickle.loads(body, buffers=places)
        for n in dropped:
            self._segments.pop(n, None)
        if size:
            fd = self._fds.pop(0)
            self._segments[number] = Segment(number, fd, size)
            os.close(fd)
        whole = memoryview(np.asarray(_Lease(self._segments[number], self._freed)))  # type: ignore[arg-type]
        views = [whole[start:stop] for start, stop in places]
        return tag, pickle.loads(body or views.pop(), buffers=views)

    def close(self) -> None:
        """Give up the socket, and descriptors that came and were not used."""
        self.sock.close()
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
