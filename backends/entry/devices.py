"""A plan of a GPU -> rows: the words that a launch reads, memory from bins, results as Tensors. Knows no driver and no kernel.

Who launches says so by a `Launcher`: it binds to the frame words that hold addresses, sizes and numbers, and makes the program
tables (`words`) that machine code walks, one for each combination of sizes, stream and alignments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ...errors import CompileError
from ...ir import plan as p
from ...ir import sizes as z
from ...runtime.gpu.thread import MOST
from ...runtime.guard import TensorIs, TensorLike
from ...runtime.meta import Meta
from ...runtime.source import Source
from .frame import Frame
from .guards import GuardRows
from .plans import PlanRows, viewed_by


@dataclass(frozen=True, slots=True)
class Words:
    """Frame words of one variant. `inputs`, `scalars`: of the address or number of graph input i; `blocks`: the first of those of
    fresh results and of memory on the way; `open`: names of the sizes in a key, the others are in `known`; `powers`: words of
    alignments in a key; `tensors`: inputs in the order of their alignments; `grads`: which fresh results require grad."""

    inputs: Mapping[int, int]
    scalars: Mapping[int, int]
    blocks: int
    open: tuple[str, ...]
    known: Mapping[str, int]
    powers: int
    tensors: tuple[int, ...]
    grads: tuple[bool, ...]


class Bound(Protocol):
    """The programs of one variant. `memory`: address of PROGRAMS entries: owner, table, key."""

    memory: int

    def __call__(self, key: int, entry: int) -> None:
        """Write the program for the key at address `key` into the entry at that address."""


class Launcher(Protocol):
    """Who runs plans on a device. `ordinal`: which; `open`: address of a word that is 0 where machine code must not launch."""

    ordinal: int
    open: int
    device: str
    #: (function that makes the device the thread's, its argument), zeros where that need not be done
    switch: tuple[int, int]
    #: whether calls are recorded: machine code runs what was recorded, and leaves the rest to Python
    records: bool

    def bind(self, words: Words) -> Bound:
        """The programs of a variant with these frame words."""

    def view(self, tensor: Any, meta: Any, offset: Any) -> Any:
        """A Tensor on the memory of `tensor`, `offset` elements from its first one."""


class DeviceRows(PlanRows):
    """As `PlanRows`, for a plan whose tensors all lie on the launcher's device."""

    def __init__(
        self, frame: Frame, guards: GuardRows, plan: p.Plan, launcher: Launcher, inputs: Sequence[Source], grads: Sequence[bool]
    ) -> None:
        super().__init__(frame, guards, plan, {}, inputs)
        if launcher.ordinal >= MOST:
            raise CompileError(f"machine code knows the streams of the first {MOST} devices only")
        self.launcher, self.python_runs = launcher, False
        self.grads = tuple(bool(g) for g, o in zip(grads, plan.outputs, strict=True) if o.source is None)
        self.program = self.blocks = self.stream = 0

    @property
    def count(self) -> int:
        """Blocks that a call takes at most: fresh results, and one for all that is made on the way."""
        return len(self.grads) + 1

    def _writable(self, target: int) -> None:
        """Memory of a device always is."""

    def load_inputs(self) -> None:
        super().load_inputs()
        for source in (self.sources[i] for i in self.arrays):
            known = self.guards.tensors.get(source)
            place = known.meta.device if isinstance(known, TensorIs) else known.device if isinstance(known, TensorLike) else None
            if place != self.launcher.device:
                raise CompileError(f"{source.expr()} lies on {place}, the plan runs on {self.launcher.device}")
        self._enter()

    def _enter(self) -> None:
        """Rows that find the stream and the program; they may still miss."""
        frame, tensors = self.frame, tuple(self.arrays)
        names = tuple(s.name for s in self.plan.symbols if s.name not in self.known)
        powers = -(-len(tensors) // 16)
        self.stream = frame.words(1 + powers + len(names))
        self.blocks, self.program = frame.words(2 * self.count), frame.owned()
        if frame.words() != self.program + 1:
            raise CompileError("frame words of a program do not follow each other")
        function, argument = self.launcher.switch
        frame.row("context", self.stream, self.launcher.ordinal, frame.array([self.launcher.open, argument]), function)
        held = {i: frame.owned() for i in tensors}
        frame.hold = frame.array([len(held), *(w for i, own in held.items() for w in (self.arrays[i], own))])
        frame.blocks = self.blocks, 0 if self.launcher.records else self.count
        places = {i: self.arrays[i] + 1 for i in tensors}
        words = Words(places, self.scalars, self.blocks, names, dict(self.known), powers, tensors, self.grads)
        bound = self.launcher.bind(words)
        frame.keep.append(bound)
        sizes = [self.size(z.symbol(n)) for n in names]
        count = 1 + powers + len(names)
        descr = frame.array([count, self.stream, len(tensors), powers, *sizes, *places.values()])
        frame.row("program", self.program, descr, bound.memory, frame.object(bound))

    def hold_inputs(self) -> None:
        """Own the objects that results and writes name: a launch may let Python run."""
        named = {o.source for o in self.plan.outputs if o.source is not None} | {write.target for write in self.plan.writes}
        for i in named:
            at = self.frame.owned()
            self.frame.row("hold", at, self.objects[i])
            self.objects[i] = at

    def begin(self) -> None:
        if not self.launcher.records:
            super().begin()

    def allocate(self) -> None:
        if not self.launcher.records:
            self.frame.row("take", self.blocks, self.program + 1)

    def steps(self) -> None:
        if self.launcher.records:
            self.frame.row("replay", self.blocks, self.program + 1, self.stream)
            super().begin()
            return
        self.frame.row("launch", self.blocks, self.program + 1, self.stream)

    def results(self, metas: Sequence[Meta | None], grads: Sequence[bool], view_of: Callable[[int], Any]) -> tuple[int, int]:
        frame, outputs = self.frame, self.plan.outputs
        at = frame.owned(max(1, len(outputs)))
        fresh = [n for n, o in enumerate(outputs) if o.source is None]
        for k, n in enumerate(fresh):
            frame.row("make_loan" if self.launcher.records else "make_device", at + n, self.blocks + 2 * k, self.program + 1, k)
        for n, out in enumerate(outputs):
            if out.source is not None and out.offset is None:
                frame.row("hold", at + n, self.objects[out.source])
        for write in self.plan.writes:
            frame.row("bump", 0, self.objects[write.target])
        for n, out in enumerate(outputs):
            if out.source is not None and out.offset is not None:
                names = viewed_by(out)
                first = frame.owned(1 + len(names))
                frame.row("hold", first, self.objects[out.source])
                for i, name in enumerate(names, 1):
                    frame.row("long", first + i, self.size(z.symbol(name)))
                frame.row("call", at + n, frame.object(view_of(n)), first, 1 + len(names))
        return at, len(outputs)
