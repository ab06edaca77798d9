"""Plans whose launches are recorded once and run again as one (``mode="reduce-overhead"``). A result never changes while somebody
holds it: a recording runs again only when nothing that it gave last time is in use; else another one does.

A recording belongs to the addresses of the inputs, the numbers among them, and the stream. What differs each time is launched
plainly, as are plans with steps on the host.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ... import knobs
from ...errors import DeviceError
from ...runtime.gpu.device import GPU
from .executable import DeviceExecutable, Fresh, OfInput, _Call
from .launch import Frame, Host, Program

#: recordings that one graph may have, and kinds of calls that are counted before they are recorded
MOST, COUNTED = 8, 64


class Recording:
    """A graph of the driver with the memory that it works in. `addresses`, `numbers`: of the inputs that it was made for, by
    their places. What holds a result's Memory beside this uses it; where another stream does, nobody knows until when."""

    def __init__(
        self, gpu: GPU, graph: int, fresh: list[Fresh], addresses: dict[int, int], numbers: dict[int, Any], kept: tuple[Any, ...]
    ) -> None:
        self.gpu, self.graph, self.fresh, self.kept = gpu, graph, fresh, kept
        self.addresses, self.numbers = addresses, numbers

    @property
    def free(self) -> bool:
        """Whether nothing it gave is in use."""
        return all(_holders(f) == _ALONE and f.memory.block.users is None for f in self.fresh)

    def run(self) -> list[Fresh]:
        """Its results, computed anew."""
        self.gpu.activate()
        self.gpu.driver.graph_launch(self.graph, self.gpu.stream)
        return [replace(f) for f in self.fresh]

    def __del__(self) -> None:
        if self.gpu.alive:
            try:
                self.gpu.activate()
                self.gpu.driver.graph_destroy(self.graph)
            except (DeviceError, TypeError):  # the interpreter ends
                return


def _holders(fresh: Fresh) -> int:
    return sys.getrefcount(fresh.memory)


_ALONE = _holders(Fresh(object(), 0, (), (), None))


class GraphedExecutable(DeviceExecutable):
    """As `DeviceExecutable`; calls of a kind that has come before are recordings."""

    records = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.recordings: dict[Any, list[Recording]] = {}
        self._count = 0
        self._seen: dict[Any, int] = {}
        self._tables: dict[tuple[Program, int], list[weakref.ref[Any]]] = {}

    def _run(self, program: Program, inputs: Sequence[Any], addresses: list[int]) -> list[Fresh | OfInput]:
        gpu = program.gpu
        if gpu.capturing or knobs.cuda_launch_blocking or any(isinstance(s, Host) for s in program.steps):
            return super()._run(program, inputs, addresses)
        numbers = {i: x for i, x in enumerate(inputs) if type(x) in (int, float, bool)}
        written = tuple([x if type(x) is not float else x.hex() for x in numbers.values()])  # -0.0 is not 0.0
        key = (program, gpu.stream, written, *addresses)
        found = self.recordings.get(key, ())
        recording = next((r for r in found if r.free), None)
        if recording is None and self._worth(key):
            recording = self._record(program, inputs, dict(zip(self.tensors, addresses, strict=True)), numbers)
            if recording is not None:
                self._kept(key, recording)
        if recording is None:
            return super()._run(program, inputs, addresses)
        made = iter(recording.run())
        return [next(made) if o.source is None else self._of_input(o, program) for o in self.plan.outputs]

    def _kept(self, key: Any, recording: Recording) -> None:
        self.recordings.setdefault(key, []).append(recording)
        self._count += 1
        for table in self._tables.get(key[:2], ()):
            there = table()
            if there is not None:
                there.recorded(recording)

    def forget(self) -> None:
        """Drop the recordings, too: they are those of programs."""
        super().forget()
        self.recordings.clear()
        self._seen.clear()
        self._count = 0

    def watch(self, table: Any) -> None:
        """Let machine code run what is recorded, and will be."""
        place = table.program, table.stream
        alive = {at: [ref for ref in refs if ref() is not None] for at, refs in self._tables.items()}
        self._tables = {at: refs for at, refs in alive.items() if refs}
        self._tables.setdefault(place, []).append(weakref.ref(table))
        for key, found in self.recordings.items():
            for recording in found if key[:2] == place else ():
                table.recorded(recording)

    def _worth(self, key: Any) -> bool:
        """Whether a call of this kind is recorded now: it has come before, and there is room."""
        if self._count >= MOST:
            return False
        if len(self._seen) >= COUNTED:
            self._seen.clear()
        self._seen[key] = self._seen.get(key, 0) + 1
        return self._seen[key] > 1

    def _record(
        self, program: Program, inputs: Sequence[Any], addresses: dict[int, int], numbers: dict[int, Any]
    ) -> Recording | None:
        """None where another thread records now, or the driver does not take it."""
        gpu = program.gpu
        fresh = [Fresh(gpu.allocate(nbytes), nbytes, *laid) for *laid, nbytes in program.fresh]
        arena = gpu.allocate(program.arena) if program.arena else None
        frame = Frame(program)
        call = _Call(program, inputs, addresses, fresh, arena)
        if not _recording.acquire(blocking=False):
            return None
        try:
            graph = self._captured(call, frame)
        finally:
            _recording.release()
        if not graph:
            self._count = MOST  # it is launched plainly from now on
            return None
        return Recording(gpu, graph, fresh, addresses, numbers, (arena, frame, program))

    def _captured(self, call: _Call, frame: Frame) -> int:
        """The driver's graph of a call; 0 where it was spoiled."""
        with call.program.gpu.driver.quiet:
            return self._captured_now(call, frame)

    def _captured_now(self, call: _Call, frame: Frame) -> int:
        gpu = call.program.gpu
        gpu.activate()
        stream = _side(gpu)
        gpu.driver.capture_begin(stream)
        try:
            self._launch(call, frame, stream)
        except BaseException:
            graph = gpu.driver.capture_end(stream)
            if graph:
                gpu.driver.graph_destroy(graph)
            raise
        return gpu.driver.capture_end(stream)


_recording = threading.Lock()  # one at a time: all are made in the same stream
_sides: weakref.WeakKeyDictionary[GPU, int] = weakref.WeakKeyDictionary()


def _side(gpu: GPU) -> int:
    """A stream of the device for recordings alone."""
    if gpu not in _sides:
        _sides[gpu] = gpu.driver.stream_create(0)
    return _sides[gpu]
