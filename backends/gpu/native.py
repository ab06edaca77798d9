"""Programs of GPU plans as tables of words for the native entry (`backends.entry.words`), which takes memory, fills in addresses
and launches by itself. Knows no Tensor; runs nothing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ... import knobs
from ...errors import CompileError
from ...runtime.gpu.allocator import Block
from ...runtime.gpu.device import GPU
from ...runtime.meta import Meta
from ..entry import words as w
from ..entry.devices import Words
from . import launcher
from .executable import MAX_PROGRAMS, DeviceExecutable
from .launch import Frame, Host, Program

View = Callable[[Any, Any, Any], Any]
_L = ctypes.c_int64


class Launcher:
    """Runs the plan of an executable on one device. CompileError where machine code cannot: steps on the host.

    `sizes`: of the executable's symbols, where the variant's plan has none (one kind of call, see `eager.launches`); then
    `metas` are those of the fresh results, which may have other dimensions than the plan gives the same memory.
    """

    def __init__(
        self, executable: DeviceExecutable, gpu: GPU, view: View,
        sizes: Mapping[str, int] | None = None, metas: Sequence[Meta] | None = None,
    ) -> None:  # fmt: skip
        self.executable, self.gpu, self.view, self.sizes, self.metas = executable, gpu, view, sizes, metas
        self.ordinal, self.device, self.open = gpu.ordinal, gpu.name, ctypes.addressof(gpu.open)
        if launcher.address() == 0:
            raise CompileError("this machine maps no machine code of ours")
        self.switch, self.records = gpu.driver.switch(gpu.ordinal), executable.records
        if executable.on_host or knobs.cuda_launch_blocking:
            raise CompileError("the plan has steps on the host, or is waited for step by step")

    def bind(self, words: Words) -> Bound:
        """The programs of a variant whose frame has these words."""
        return Bound(self, words)


class Bound:
    """The programs of one variant; called with the addresses of a key and of an entry, it writes the program there."""

    def __init__(self, launcher: Launcher, words: Words) -> None:
        self.executable, self.gpu, self.words = launcher.executable, launcher.gpu, words
        self.sizes, self.metas = launcher.sizes or {}, launcher.metas
        self.count = 1 + words.powers + len(words.open)
        self._memory = np.zeros((w.PROGRAMS, self.count + 2), np.int64)
        self.memory = int(self._memory.ctypes.data)
        self.tables: dict[tuple[int, ...], Table] = {}

    def __call__(self, key: int, entry: int) -> None:
        found = tuple((_L * self.count).from_address(key))
        table = self.tables.get(found)
        if table is None:
            made = self._made(found)
            if len(self.tables) >= MAX_PROGRAMS:
                self.tables.clear()
                self._memory[:] = 0
            table = self.tables.setdefault(found, made)
        (_L * (self.count + 2)).from_address(entry)[:] = [id(table), table.address, *found]

    def _made(self, key: tuple[int, ...]) -> Table:
        stream, powers, sizes = key[0], key[1 : 1 + self.words.powers], key[1 + self.words.powers :]
        named = {**self.words.known, **dict(zip(self.words.open, sizes, strict=True)), **self.sizes}
        aligned = [256 >> (powers[i // 16] >> 4 * (i % 16) & 15) for i in range(len(self.words.tensors))]
        return Table(self.executable, self.executable.program(self.gpu, named, aligned), self.words, stream, self.metas)


class Table:
    """A program in one stream. `address`: its words."""

    def __init__(
        self, executable: DeviceExecutable, program: Program, words: Words, stream: int, metas: Sequence[Meta] | None = None
    ) -> None:
        self.executable, self.program, self.stream = executable, program, stream
        gpu = program.gpu
        self.nbytes = [nbytes for *_, nbytes in program.fresh] + ([program.arena] if program.arena else [])
        self.bins = [gpu.memory.bin(n, stream).blocks for n in self.nbytes]
        self.metas = list(metas) if metas is not None else [
            Meta.of(shape, strides, dtype, grad, gpu.name)
            for (shape, strides, dtype, _), grad in zip(program.fresh, words.grads, strict=True)
        ]  # fmt: skip
        self.frames: dict[int, _Words] = {}
        self._keep: list[Any] = [gpu, gpu.memory, words]
        slots = list(program.slots)
        singles = [k for k, s in enumerate(slots) if s.kind == "f32"]
        table = self.words = np.zeros(w.P_WORDS, np.int64)
        table[w.P_BLOCKS], table[w.P_OUTPUTS] = len(self.nbytes), len(program.fresh)
        table[w.P_BINS] = self._array([x for pair in zip(self.bins, self.nbytes, strict=True) for x in map(id, pair)])
        table[w.P_COUNTS] = ctypes.addressof(gpu.memory.words)
        table[w.P_SLOTS], table[w.P_READS] = len(slots), self._array([x for s in slots for x in _read(s, words)])
        table[w.P_NSINGLES], table[w.P_SINGLES] = len(singles), self._array(singles)
        table[w.P_LAUNCH], table[w.P_DRIVER] = launcher.address(), gpu.driver.launch_address
        table[w.P_GRAPH] = gpu.driver.graph_address
        table[w.P_METAS], table[w.P_GPU] = self._array(list(map(id, self.metas))), id(gpu)
        asked = {w.P_MORE: self.more, w.P_FRAME: self.frame, w.P_REFUSED: self.refused, w.P_REMAP: self.remap}
        self._keep.append(asked)
        for which, callee in asked.items():
            table[which] = id(callee)
        self.address = int(table.ctypes.data)
        self.layout = words
        executable.watch(self)

    def recorded(self, recording: Any) -> None:
        """Machine code may run this recording of the program in this stream."""
        inputs, scalars = self.layout.inputs, self.layout.scalars
        pairs = [(inputs[i], x) for i, x in recording.addresses.items()]
        pairs += [(at, _bits(recording.numbers[i])) for i, at in scalars.items() if i in recording.numbers]
        words = np.zeros(w.R_WORDS, np.int64)
        words[w.R_NEXT], words[w.R_GRAPH] = self.words[w.P_RECORDINGS], recording.graph
        words[w.R_COUNT], words[w.R_PAIRS] = len(pairs), self._array([x for pair in pairs for x in pair])
        words[w.R_MEMORIES] = self._array([id(f.memory) for f in recording.fresh])
        self._keep += [words, recording]
        self.words[w.P_RECORDINGS] = words.ctypes.data

    def _array(self, values: Sequence[int]) -> int:
        made = np.array(values or [0], np.int64)
        self._keep.append(made)
        return int(made.ctypes.data)

    def more(self, number: int) -> Block:
        """A block for result `number`, or behind the results for what is made on the way; OutOfMemory."""
        return self.program.gpu.memory.block(self.nbytes[number], self.stream)

    def frame(self) -> None:
        """One frame more is free."""
        made = _Words(Frame(self.program))
        self.frames[made.address] = made
        made.words[w.F_NEXT] = self.words[w.P_FRAMES]
        self.words[w.P_FRAMES] = made.address

    def refused(self, said: int) -> None:
        """DeviceError for what the launcher has said; nothing where all is well."""
        names = [step.name for step in self.program.steps if not isinstance(step, Host)]
        name = names[(said >> 32) - 1] if said >> 32 else f"{names[0]} and what was recorded with it"
        self.executable.refused(name, self.program.gpu, said & 0xFFFFFFFF)

    def remap(self, frame: int) -> None:
        """Write the tensor maps of a frame for the addresses in its slots."""
        self.frames[frame].remap(self.program.gpu)


class _Words:
    """A frame with its words."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        rows = frame.launches[0] if frame.launches else None
        self.mapped = np.array([x for _, made in frame.maps for x in (made.slot, -1)] or [0], np.int64)
        words = self.words = np.zeros(w.F_WORDS, np.int64)
        words[w.F_SLOTS], words[w.F_MAPS], words[w.F_NMAPS] = frame.base, self.mapped.ctypes.data, len(frame.maps)
        if rows is not None:
            words[w.F_ROWS], words[w.F_COUNT] = rows.address, rows.count
        self.address = int(words.ctypes.data)

    def remap(self, gpu: GPU) -> None:
        for k, (target, made) in enumerate(self.frame.maps):
            address = _L.from_address(self.frame.base + 8 * made.slot).value
            if self.mapped[2 * k + 1] != address:
                made.write(gpu.driver, target, address)
                self.mapped[2 * k + 1] = address


def _read(slot: Any, words: Words) -> tuple[int, int]:
    """(frame word, what is added to it) of a slot."""
    if slot.kind == "input":
        return words.inputs[slot.index], slot.delta
    if slot.kind in ("output", "arena"):
        number = slot.index if slot.kind == "output" else len(words.grads)
        return words.blocks + 2 * number + 1, slot.delta
    return words.scalars[slot.index], 0


def _bits(number: int | float) -> int:
    """The 64 bits of a number in a frame word."""
    return int(np.float64(number).view(np.int64)) if isinstance(number, float) else int(number)
