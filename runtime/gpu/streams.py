"""Streams, events and graphs as objects. Streams of a device are made a few times, then handed out again, and never destroyed."""

from __future__ import annotations

import gc
import itertools
import threading
from typing import Any
from weakref import WeakKeyDictionary

from ...errors import DeviceError
from . import device as devices
from .allocator import Pool
from .device import GPU

#: streams of each priority that a device has
MOST = 32
_turns: WeakKeyDictionary[GPU, dict[int, tuple[list[int], itertools.count[int]]]] = WeakKeyDictionary()


def _handle(gpu: GPU, priority: int) -> int:
    """The next stream of a device."""
    made, turn = _turns.setdefault(gpu, {}).setdefault(priority, ([], itertools.count()))
    at = next(turn) % MOST
    if at >= len(made):
        gpu.activate()
        fresh = gpu.driver.stream_create(priority)
        made.append(fresh)
        return fresh  # another thread's may lie at that place by now
    return made[at]


class Stream:
    """Work in order, beside that of other streams. `priority`: lower numbers are more urgent. As a context manager, the current
    stream."""

    __slots__ = ("_before", "cuda_stream", "gpu", "priority")

    def __init__(self, device: Any = None, priority: int = 0, *, gpu: GPU | None = None, handle: int | None = None) -> None:
        self.gpu = gpu if gpu is not None else devices.device(device)
        self.priority = priority
        self.cuda_stream = _handle(self.gpu, priority) if handle is None else handle
        self._before: list[tuple[int, int]] = []

    @staticmethod
    def priority_range() -> tuple[int, int]:
        """(the least urgent, the most urgent) of the current device."""
        gpu = devices.device()
        gpu.activate()
        return gpu.driver.priorities()

    @property
    def device_index(self) -> int:
        """Number of the device."""
        return self.gpu.ordinal

    def synchronize(self) -> None:
        """Wait for all that was put into the stream, then raise what kernels have found wrong."""
        self.gpu.synchronize(self.cuda_stream)

    def query(self) -> bool:
        """Whether all that was put into the stream is done."""
        self.gpu.activate()
        return self.gpu.driver.stream_query(self.cuda_stream)

    def wait_event(self, event: Event) -> None:
        """What is put into the stream from now on waits for `event`."""
        if event.handle:
            self.gpu.activate()
            self.gpu.driver.stream_wait(self.cuda_stream, event.handle)

    def wait_stream(self, stream: Stream) -> None:
        """What is put into the stream from now on waits for all that is in `stream` now."""
        self.wait_event(stream.record_event())

    def record_event(self, event: Event | None = None) -> Event:
        """An event (`event`, or a new one) that happens once the stream has come so far."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def __enter__(self) -> Stream:
        here = devices.here
        self._before.append((here.ordinal, here.streams.get(self.gpu.ordinal, 0)))
        here.ordinal = self.gpu.ordinal
        here.streams[self.gpu.ordinal] = self.cuda_stream
        return self

    def __exit__(self, *exc: object) -> None:
        ordinal, stream = self._before.pop()
        devices.here.streams[self.gpu.ordinal] = stream
        devices.here.ordinal = ordinal

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and (other.gpu, other.cuda_stream) == (self.gpu, self.cuda_stream)

    def __hash__(self) -> int:
        return hash((self.gpu.ordinal, self.cuda_stream))

    def __repr__(self) -> str:
        return f"<torch.cuda.Stream device={self.gpu.name} cuda_stream={self.cuda_stream:#x}>"


class Event:
    """A place in a stream. With `enable_timing` it keeps the time."""

    __slots__ = ("__weakref__", "blocking", "gpu", "handle", "timed")

    def __init__(
        self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False, external: bool = False
    ) -> None:
        self.handle = 0
        self.gpu: GPU | None = None
        if interprocess:
            raise DeviceError("events that other processes see are not supported")
        self.timed, self.blocking = enable_timing, blocking

    def record(self, stream: Stream | None = None) -> None:
        """Happen once `stream` (None: the current one) has come so far."""
        gpu = devices.device() if stream is None else stream.gpu
        gpu.activate()
        if self.gpu is not gpu:
            self._destroy()
            self.gpu, self.handle = gpu, gpu.driver.event_create(self.timed, self.blocking)
        gpu.driver.event_record(self.handle, gpu.stream if stream is None else stream.cuda_stream)

    def wait(self, stream: Stream | None = None) -> None:
        """What is put into `stream` (None: the current one) from now on waits for this event."""
        (current() if stream is None else stream).wait_event(self)

    def query(self) -> bool:
        """Whether it has happened, or was never recorded."""
        if self.gpu is None:
            return True
        self.gpu.activate()
        return self.gpu.driver.event_query(self.handle)

    def synchronize(self) -> None:
        """Wait until it has happened."""
        if self.gpu is not None:
            self.gpu.activate()
            self.gpu.driver.event_synchronize(self.handle)

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to `end_event`, both of which keep the time and have happened."""
        if not (self.timed and end_event.timed):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        if self.gpu is None or end_event.gpu is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        self.gpu.activate()
        return self.gpu.driver.event_elapsed(self.handle, end_event.handle)

    @property
    def cuda_event(self) -> int:
        """The driver's handle; 0 before the first record."""
        return self.handle

    @property
    def device(self) -> Any:
        """The device, once it was recorded."""
        return None if self.gpu is None else self.gpu.name

    def __repr__(self) -> str:
        return f"<torch.cuda.Event {self.handle:#x}>" if self.handle else "<torch.cuda.Event uninitialized>"

    def _destroy(self) -> None:
        if self.gpu is not None and self.gpu.alive:
            self.gpu.activate()
            self.gpu.driver.event_destroy(self.handle)

    def __del__(self) -> None:
        try:
            self._destroy()
        except (DeviceError, TypeError):  # the driver is gone, or the interpreter ends
            return


def current(gpu: GPU | None = None) -> Stream:
    """This thread's current stream on a device (None: the current one)."""
    gpu = devices.device() if gpu is None else gpu
    return Stream(gpu=gpu, handle=gpu.stream)


class Graph:
    """Launches recorded once and run again as one. What lies in the memory that the recorded calls were given is read anew at
    each replay; what they allocated stays theirs, apart from all other memory."""

    def __init__(self, keep_graph: bool = False) -> None:
        self.handle = 0
        self.stream: Stream | None = None
        self.gpu: GPU | None = None
        self.memory: Pool | None = None
        self._held: list[Any] = []  # host memory that recorded copies read
        self._thread: int | None = None

    def capture_begin(self, pool: Any = None, capture_error_mode: str = "global") -> None:
        """Record what this thread puts into the current stream, which is not the default one. `pool`: of another graph whose
        memory this one shares; the two are replayed in the order of their recording."""
        if self.gpu is not None:
            raise RuntimeError("this CUDA graph has captured before: call reset(), or take a new one")
        stream = current()
        if not stream.cuda_stream:
            raise RuntimeError("CUDA graphs must be captured on a non-default stream: use torch.cuda.graph(g), or a Stream.")
        gpu = stream.gpu
        if gpu.capturing:
            raise RuntimeError("another CUDA graph is being recorded on this device: one at a time")
        self.memory = pool if isinstance(pool, Pool) else Pool()
        gpu.activate()
        gpu.memory.settle()
        gpu.driver.capture_begin(stream.cuda_stream)
        self.gpu, self.stream, self._thread = gpu, stream, threading.get_ident()
        gpu.memory.record(self.memory)
        gpu.capturing = True

    def capture_end(self) -> None:
        """The graph of what was recorded; RuntimeError where something spoiled it."""
        if self.gpu is None or self.stream is None or self._thread is None:
            raise RuntimeError("capture_end() without capture_begin()")
        gpu, thread, self._thread = self.gpu, self._thread, None
        gpu.capturing = False
        self._held, gpu.held = gpu.held, []
        try:
            gpu.activate()
            self.handle = gpu.driver.capture_end(self.stream.cuda_stream)
        finally:
            gpu.memory.recorded(thread)
        if not self.handle:
            self.reset()
            raise RuntimeError("the capture of a CUDA graph was spoiled by a call that waits for the device: run the code once "
                               "before, and read no values in it")  # fmt: skip

    def replay(self) -> None:
        """Run all that was recorded, in the current stream."""
        if not self.handle or self.gpu is None:
            raise RuntimeError("a CUDA graph is replayed once something was captured")
        self.gpu.activate()
        self.gpu.driver.graph_launch(self.handle, self.gpu.stream)

    def reset(self) -> None:
        """Let the graph and its memory go."""
        if self.handle and self.gpu is not None and self.gpu.alive:
            self.gpu.activate()
            self.gpu.driver.graph_destroy(self.handle)
        if self.gpu is not None and self.memory is not None:
            self.gpu.memory.leave(self.memory)
        self.handle, self.gpu, self.stream, self.memory, self._held = 0, None, None, None, []

    def pool(self) -> Any:
        """The graph's memory, for other graphs to share."""
        return self.memory

    def enable_debug_mode(self) -> None:
        """Accepted without effect."""

    def debug_dump(self, debug_path: str) -> None:
        """RuntimeError: graphs are not written to files."""
        raise RuntimeError("CUDA graphs are not dumped: knobs.debug = 4 prints their kernels")

    def __del__(self) -> None:
        try:
            self.reset()
        except (AttributeError, DeviceError, TypeError):
            return


#: the streams in which ``with graph(g)`` records, one of each device
_recorders: WeakKeyDictionary[GPU, int] = WeakKeyDictionary()


def _recorder(gpu: GPU) -> Stream:
    if gpu not in _recorders:
        gpu.activate()
        _recorders[gpu] = gpu.driver.stream_create(0)
    return Stream(gpu=gpu, handle=_recorders[gpu])


class Capturing:
    """``with graph(g):`` what runs inside is recorded in `g`, on a stream of its own, instead of run."""

    def __init__(
        self, cuda_graph: Graph, pool: Any = None, stream: Stream | None = None, capture_error_mode: str = "global"
    ) -> None:
        self.graph, self.pool, self.stream = cuda_graph, pool, stream

    def __enter__(self) -> None:
        gpu = devices.device() if self.stream is None else self.stream.gpu
        gpu.synchronize()
        gc.collect()  # what only a collector frees is not freed in the midst of it
        gpu.memory.empty()
        self._stream = _recorder(gpu) if self.stream is None else self.stream
        self._stream.__enter__()
        try:
            self.graph.capture_begin(self.pool)
        except BaseException:
            self._stream.__exit__()
            raise

    def __exit__(self, *exc: object) -> None:
        try:
            self.graph.capture_end()
        except RuntimeError:
            if exc[0] is None:
                raise
        else:
            if exc[0] is not None:
                self.graph.reset()  # a part of the work only
        finally:
            self._stream.__exit__()
