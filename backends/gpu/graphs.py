"""Plans whose launches are recorded once and run again as one (``mode="reduce-overhead"``). A result never changes while somebody
holds it: a recording runs again only when nothing that it gave last time is in use; else another one does.

A recording belongs to the addresses of the inputs, the numbers among them, and the stream. What differs each time is launched
plainly, as are plans with steps on the host.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ... import knobs
from ...errors import DeviceError
from ...runtime.gpu.allocator import Memory
from ...runtime.gpu.device import GPU
from .executable import DeviceExecutable, Fresh, OfInput, _Call
from .launch import Frame, Host, Program

#: recordings that one graph may have, and kinds of calls that are counted before they are recorded
MOST, COUNTED = 8, 64


class Loan:
    """The memory of a recording's result while somebody holds it."""

    __slots__ = ("__weakref__", "address", "recording")

    def __init__(self, recording: Recording, memory: Memory) -> None:
        self.recording, self.address = recording, memory.address

    def record_stream(self, stream: int) -> None:
        """Another stream uses the memory: nobody knows until when, so the recording does not run again."""
        self.recording.spoiled = True


class Recording:
    """A graph of the driver with the memory that it works in."""

    def __init__(self, gpu: GPU, graph: int, fresh: list[Fresh], kept: tuple[Any, ...]) -> None:
        self.gpu, self.graph, self.fresh, self.kept = gpu, graph, fresh, kept
        self.loans: list[weakref.ref[Loan]] = []
        self.spoiled = False

    @property
    def free(self) -> bool:
        """Whether nothing it gave is in use."""
        return not self.spoiled and all(ref() is None for ref in self.loans)

    def run(self) -> list[Fresh]:
        """Its results, computed anew."""
        self.gpu.activate()
        self.gpu.driver.graph_launch(self.graph, self.gpu.stream)
        lent = [Loan(self, f.memory) for f in self.fresh]
        self.loans = list(map(weakref.ref, lent))
        return [replace(f, memory=loan) for f, loan in zip(self.fresh, lent, strict=True)]

    def __del__(self) -> None:
        if self.gpu.alive:
            try:
                self.gpu.activate()
                self.gpu.driver.graph_destroy(self.graph)
            except (DeviceError, TypeError):  # the interpreter ends
                return


class GraphedExecutable(DeviceExecutable):
    """As `DeviceExecutable`; calls of a kind that has come before are recordings."""

    records = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.recordings: dict[Any, list[Recording]] = {}
        self._count = 0
        self._seen: dict[Any, int] = {}

    def _run(self, program: Program, inputs: Sequence[Any], addresses: list[int]) -> list[Fresh | OfInput]:
        gpu = program.gpu
        if gpu.capturing or knobs.cuda_launch_blocking or any(isinstance(s, Host) for s in program.steps):
            return super()._run(program, inputs, addresses)
        numbers = tuple([x for x in inputs if type(x) in (int, float, bool)])
        key = (program, gpu.stream, numbers, *addresses)
        found = self.recordings.get(key, ())
        recording = next((r for r in found if r.free), None)
        if recording is None and self._worth(key):
            recording = self._record(program, inputs, addresses)
            self.recordings.setdefault(key, []).append(recording)
            self._count += 1
        if recording is None:
            return super()._run(program, inputs, addresses)
        made = iter(recording.run())
        return [next(made) if o.source is None else self._of_input(o, program) for o in self.plan.outputs]

    def _worth(self, key: Any) -> bool:
        """Whether a call of this kind is recorded now: it has come before, and there is room."""
        if self._count >= MOST:
            return False
        if len(self._seen) >= COUNTED:
            self._seen.clear()
        self._seen[key] = self._seen.get(key, 0) + 1
        return self._seen[key] > 1

    def _record(self, program: Program, inputs: Sequence[Any], addresses: list[int]) -> Recording:
        gpu = program.gpu
        fresh = [Fresh(gpu.allocate(nbytes), nbytes, *laid) for *laid, nbytes in program.fresh]
        arena = gpu.allocate(program.arena) if program.arena else None
        frame = Frame(program)
        call = _Call(program, inputs, dict(zip(self.tensors, addresses, strict=True)), fresh, arena)
        gpu.activate()
        stream = _side(gpu)
        gpu.driver.capture_begin(stream)
        try:
            self._launch(call, frame, stream)
        finally:
            graph = gpu.driver.capture_end(stream)
        if not graph:
            raise DeviceError(f"the launches of {self.plan.name} could not be recorded")
        return Recording(gpu, graph, fresh, (arena, frame, call))


_sides: weakref.WeakKeyDictionary[GPU, int] = weakref.WeakKeyDictionary()


def _side(gpu: GPU) -> int:
    """A stream of the device for recordings alone."""
    if gpu not in _sides:
        _sides[gpu] = gpu.driver.stream_create(0)
    return _sides[gpu]
