"""A plan for given sizes on one device, with all worked out that calls share: variants of kernels, their grids and arguments.

Every value that changes between calls (an address, a scalar) has one slot of 8 bytes, which all launches that take it point to: a
call fills the slots and launches. Compiles what the variants have not compiled yet; knows no Tensor.
"""

from __future__ import annotations

import ctypes
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ... import knobs
from ...errors import CompileError
from ...ir import sizes
from ...ir.loops import Compute, Kernel, KernelError, walk
from ...ir.plan import BufferView, FromArena, FromInput, FromOutput, KernelStep, Plan, RoutineStep, ScalarInput
from ...runtime.gpu.device import GPU
from . import builder, tensor_maps
from .kernel import Aligned, Below, Code, CompiledKernel, Divisible, LibraryCall, Offered, Parameter, Variant, Word
from .launcher import Rows, launching
from .launcher_text import LIBRARY_WORDS

Chosen = Mapping[int, Sequence[Variant]]
EACH = 4  # kernels for which another process that compiles is worth its start
AREA = 256  # bytes to whose multiples scratch areas are aligned


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the 8 bytes of an argument come from at a call: `kind` is "input", "output", "arena" (addresses; `delta` bytes are
    added) or "int", "float" (scalar input number `index`)."""

    kind: str
    index: int
    delta: int = 0


@dataclass(frozen=True, slots=True)
class Launch:
    """One launch of a program: `arguments` are addresses of slots, of constants, of tensor maps, or of words that hold the
    address of a slot ("at") or of an object of the frame's own ("own"). `threads` 0: a C function (`kernel.Calls`)."""

    function: int
    name: str
    grid: tuple[int, int, int]
    threads: int
    shared: int
    arguments: tuple[tuple[str, int], ...]  # ("slot" | "constant" | "map" | "at" | "own", number)


@dataclass(frozen=True, slots=True)
class Host:
    """A step that runs on the host: `step` is an ExternStep or a GemmStep."""

    step: Any


class Functions:
    """The kernels of compiled code on one device, loaded at first need."""

    def __init__(self, gpu: GPU) -> None:
        self.gpu = gpu
        self._found: dict[int, tuple[CompiledKernel, int]] = {}

    def of(self, kernel: CompiledKernel) -> int:
        """The driver's handle."""
        found = self._found.get(id(kernel))
        if found is None:
            self.gpu.activate()
            module = self.gpu.driver.load(kernel.cubin)
            found = self._found[id(kernel)] = kernel, self.gpu.driver.function(module, kernel.name, kernel.shared)
        return found[1]


_functions: dict[int, Functions] = {}


def functions(gpu: GPU) -> Functions:
    """The loaded kernels of a device."""
    found = _functions.get(gpu.ordinal)
    if found is None or found.gpu is not gpu:
        found = _functions[gpu.ordinal] = Functions(gpu)
    return found


def _teller(errors: Sequence[KernelError], values: Mapping[str, int]) -> Callable[[int], None]:
    """What raises the error that a status stands for, with the sizes that it names."""

    def tell(status: int) -> None:
        error = errors[status - 1]
        message = re.sub(r"\b[a-z]+\d+\b", lambda m: str(values.get(m.group(), m.group())), error.message)
        raise error.kind(message + (f" (at {error.where})" if error.where else ""))

    return tell


def _untold(status: int) -> None:
    """Says nothing of a status."""


def _called(kernel: CompiledKernel, step: Kernel | RoutineStep) -> str:
    """A kernel's name; with the user's lines that it computes where errors are looked for (knob `cuda_launch_blocking`)."""
    if not knobs.cuda_launch_blocking or not isinstance(step, Kernel):
        return kernel.name
    lines = dict.fromkeys(str(s.where) for s in walk(step.body) if isinstance(s, Compute) and s.where is not None)
    return f"{kernel.name} (of {', '.join(lines)})" if lines else kernel.name


def _compile_ahead(variants: Sequence[Variant]) -> None:
    """Compile what is not on disk yet in processes, where there is much of it."""
    if len(variants) >= 2 * EACH:
        from . import workers

        workers.prepare(variants, workers.processors())


class _Taken(NamedTuple):
    """A variant for what a step runs, its scalars, where its pointer arguments lie, its sizes in order and by name."""

    of: Kernel | RoutineStep
    scalars: Sequence[Any]
    variant: Variant
    pointers: Sequence[Slot | None]
    numbers: list[int]
    named: Mapping[str, int]


class Program:
    """`plan` where its symbols have these `values`, on `gpu`. `aligned`: for each input, the power of two that its address is a
    multiple of (at most 256). `chosen`: variants to be used for some of the steps, by their places, in place of `code`'s.
    `quiet`: errors that kernels find are not told."""

    def __init__(
        self, plan: Plan, code: Code, values: Mapping[str, int], gpu: GPU, aligned: Sequence[int], chosen: Chosen | None = None,
        quiet: bool = False,
    ) -> None:  # fmt: skip
        self.plan, self.values, self.gpu, self.aligned = plan, values, gpu, aligned
        self.quiet = quiet
        self.slots: dict[Slot, int] = {}
        self.constants: list[bytes] = []
        self.maps: list[tensor_maps.Made] = []
        self.own: list[Callable[[], Any]] = []
        self.kept: list[Any] = []
        self.fresh = [self._fresh(k, o.type) for k, o in enumerate([o for o in plan.outputs if o.source is None])]
        self.scratch_at = -(-self._number(plan.arena) // AREA) * AREA
        self.arena = self.scratch_at
        self.steps: list[Launch | Host] = []
        taken = [self._taken(step, code, (chosen or {}).get(place)) for place, step in enumerate(plan.steps)]
        _compile_ahead([t.variant for t in taken if t is not None])
        for step, found in zip(plan.steps, taken, strict=True):
            self.steps += [Host(step)] if found is None else self._launches(found)
        self.frames: list[Frame] = []
        self.launch = launching(gpu.driver)

    def _number(self, size: Any) -> int:
        return int(sizes.evaluate(size, self.values))

    def _fresh(self, index: int, kind: Any) -> tuple[tuple[int, ...], tuple[int, ...], Any, int]:
        """(shape, strides, dtype, bytes) of fresh output number `index`."""
        count = max([self._number(b.size) for b in self.plan.buffers if b.place == FromOutput(index)], default=0)
        shape, strides = (tuple([self._number(n) for n in part]) for part in (kind.shape, kind.strides))
        return shape, strides, kind.dtype, max(count, 1) * kind.dtype.itemsize

    # -- steps

    def _taken(self, step: Any, code: Code, chosen: Sequence[Variant] | None) -> _Taken | None:
        """The variant that serves a step here; None for one on the host."""
        if isinstance(step, KernelStep):
            pointers: list[Slot | None] = [self._slot(b, 0) for b in step.buffers]
            named = {name: self.values[name] for name in step.kernel.sizes}
            variants, numbers = chosen or code[step.kernel.name], list(named.values())
        elif isinstance(step, RoutineStep):
            pointers = [None if v is None else self._view(v) for v in step.views]
            numbers = [self._number(s) for s in step.sizes]
            variants = chosen or builder.current.routine(step, builder.target_of(self.gpu))
            named = dict(zip(variants[0].sizes, numbers, strict=True))
        else:
            return None
        variant = next(v for v in variants if all(self._holds(a, pointers, named, numbers) for a in v.assumes))
        return _Taken(step.kernel if isinstance(step, KernelStep) else step, step.scalars, variant, pointers, numbers, named)

    def _view(self, view: BufferView) -> Slot:
        return self._slot(view.buffer, self._number(view.offset) * view.type.dtype.itemsize)

    def _slot(self, buffer: int, delta: int) -> Slot:
        place = self.plan.buffers[buffer].place
        if isinstance(place, FromArena):
            return Slot("arena", 0, self._number(place.offset) + delta)
        return Slot("input" if isinstance(place, FromInput) else "output", place.index, delta)

    def _launches(self, taken: _Taken) -> list[Launch | Host]:
        pointers, numbers, named, of = taken.pointers, taken.numbers, taken.named, taken.of
        areas, end = [], self.scratch_at
        for size in taken.variant.scratch:
            areas.append(Slot("arena", 0, end))
            end += -(-int(sizes.evaluate(size, named)) // AREA) * AREA
        self.arena = max(self.arena, end)
        tell = _untold if self.quiet else _teller(of.errors, self.values)
        status = self.gpu.status_word(tell) if of.errors else 0
        given = _Given(pointers, numbers, named, taken.scalars, areas, status)
        made: list[Launch | Host] = []
        for kernel in taken.variant.load():
            if isinstance(kernel, LibraryCall):
                made += self._calls(kernel, pointers, numbers)
                continue
            grid = [int(sizes.evaluate(g, named)) for g in kernel.grid]
            if 0 not in grid:
                arguments = tuple([self._argument(p, kernel, given) for p in kernel.params])
                function = functions(self.gpu).of(kernel)
                threads = kernel.num_warps * kernel.target.warp
                name = _called(kernel, of)
                made.append(Launch(function, name, (grid[0], grid[1], grid[2]), threads, kernel.shared, arguments))
        return made

    def _holds(
        self, assumption: Any, pointers: Sequence[Slot | None], values: Mapping[str, int], numbers: Sequence[int]
    ) -> bool:
        if isinstance(assumption, Aligned):
            return self._power(pointers[assumption.buffer]) % assumption.bytes == 0
        if isinstance(assumption, Offered):
            return assumption.call.find(self.gpu, tuple(map(self._power, pointers)), tuple(numbers)) is not None
        value = int(sizes.evaluate(assumption.size, values))
        if isinstance(assumption, Divisible):
            return value % assumption.by == 0
        if isinstance(assumption, Below):
            return value < assumption.limit
        raise CompileError(f"unknown assumption {assumption}")

    def _power(self, slot: Slot | None) -> int:
        """The power of two, at most 256, that a pointer argument is a multiple of."""
        if slot is None:
            return AREA
        base = self.aligned[slot.index] if slot.kind == "input" else AREA
        return min(base, slot.delta & -slot.delta) if slot.delta else base

    def _calls(self, call: LibraryCall, pointers: Sequence[Slot | None], numbers: Sequence[int]) -> list[Launch | Host]:
        found = call.find(self.gpu, tuple(map(self._power, pointers)), tuple(numbers))
        if found is None:
            raise CompileError(f"{call.name} has no way to do this")
        self.kept.append(found.kept)
        scratch = Slot("arena", 0, self.scratch_at)
        self.arena = max(self.arena, self.scratch_at + -(-found.scratch // AREA) * AREA)
        made: list[Launch | Host] = []
        for address, words in found.calls:
            arguments = [self._word(w, pointers, scratch) for w in words]
            arguments += [self._constant(b"")] * (LIBRARY_WORDS - len(arguments))
            made.append(Launch(address, call.name, (0, 0, 0), 0, 0, tuple(arguments)))
        return made

    def _word(self, word: Word, pointers: Sequence[Slot | None], scratch: Slot) -> tuple[str, int]:
        if word.kind == "number":
            return self._constant(struct.pack("<q", word.value))
        if word.make is not None:
            if word.make not in self.own:
                self.own.append(word.make)
            return "own", self.own.index(word.make)
        slot = scratch if word.kind == "scratch" else pointers[word.index]
        assert slot is not None
        number = self.slots.setdefault(replace(slot, delta=slot.delta + word.value), len(self.slots))
        return ("at" if word.kind == "at" else "slot"), number

    def _argument(self, p: Parameter, kernel: CompiledKernel, given: _Given) -> tuple[str, int]:
        if p.kind in ("buffer", "scratch"):
            slot = given.pointers[p.index] if p.kind == "buffer" else given.areas[p.index]
            return self._constant(b"") if slot is None else ("slot", self.slots.setdefault(slot, len(self.slots)))
        if p.kind in ("int", "float"):
            x = given.scalars[p.index]
            if isinstance(x, ScalarInput):
                kind = "f32" if p.type == "fp32" else p.kind
                return "slot", self.slots.setdefault(Slot(kind, x.index), len(self.slots))
            return self._constant(struct.pack("<f" if p.type == "fp32" else "<d" if p.kind == "float" else "<q", x))
        if p.kind == "status":
            return self._constant(struct.pack("<Q", given.status))
        if p.kind == "map":
            found = kernel.maps[p.index]
            slot = given.pointers[found.buffer]
            assert slot is not None
            self.maps.append(tensor_maps.Made(found, self.slots.setdefault(slot, len(self.slots)), given.values))
            return "map", len(self.maps) - 1
        if p.kind == "null":
            return self._constant(b"")
        value = given.numbers[p.index] if p.kind == "size" else int(sizes.evaluate(p.value, given.values))
        return self._constant(struct.pack("<q", value))

    def _constant(self, raw: bytes) -> tuple[str, int]:
        raw = raw.ljust(8, b"\0")
        if raw not in self.constants:
            self.constants.append(raw)
        return "constant", self.constants.index(raw)


@dataclass(frozen=True, slots=True)
class _Given:
    """What the arguments of one step are taken from."""

    pointers: Sequence[Slot | None]
    numbers: Sequence[int]
    values: Mapping[str, int]
    scalars: Sequence[Any]
    areas: Sequence[Slot]
    status: int


_FORMS = {"int": "q", "float": "d", "f32": "f4x"}


class Frame:
    """The arguments of one call under way: slots, constants, tensor maps, and for each launch the pointers to its own."""

    __slots__ = ("_keep", "arena", "base", "fill", "launches", "mapped", "maps", "reads", "stream")

    def __init__(self, program: Program) -> None:
        self.arena: Any = None  # what calls in `stream` work in, where it is small
        self.stream = 0
        slots = list(program.slots)
        self.reads = [(s.kind, s.index, s.delta) for s in slots]
        self.fill = struct.Struct("<" + "".join(_FORMS.get(s.kind, "Q") for s in slots))
        constants_at = 8 * len(slots)
        own = [make() for make in program.own]
        at_at = constants_at + 8 * len(program.constants)
        own_at = at_at + 8 * len(slots)
        maps_at = -(-(own_at + 8 * len(own)) // 64) * 64
        total = maps_at + 128 * len(program.maps)
        raw = (ctypes.c_ubyte * (total + 64))()
        self.base = -(-ctypes.addressof(raw) // 64) * 64
        ctypes.memmove(self.base + constants_at, b"".join(program.constants), 8 * len(program.constants))
        cells = [self.base + 8 * k for k in range(len(slots))] + [ctypes.addressof(x) for x in own]
        ctypes.memmove(self.base + at_at, struct.pack(f"<{len(cells)}Q", *cells), 8 * len(cells))
        starts = {
            "slot": (self.base, 8), "constant": (self.base + constants_at, 8), "map": (self.base + maps_at, 128),
            "at": (self.base + at_at, 8), "own": (self.base + own_at, 8),
        }  # fmt: skip
        self.launches: list[Any] = []
        keep: list[Any] = [raw, (ctypes.c_ubyte * max(total, 1)).from_address(self.base), own]
        for step in program.steps:
            if isinstance(step, Host):
                self.launches.append(step)
                continue
            if not self.launches or isinstance(self.launches[-1], Host):
                self.launches.append(Rows())
            places = [starts[kind][0] + starts[kind][1] * number for kind, number in step.arguments]
            pointers = (ctypes.c_void_p * len(places))(*places)
            keep.append(pointers)
            at = ctypes.addressof(pointers)
            self.launches[-1].add(step.name, step.function, step.grid, step.threads, step.shared, at)
        for rows in self.launches:
            if isinstance(rows, Rows):
                rows.seal()
        self.maps = [(self.base + maps_at + 128 * k, m) for k, m in enumerate(program.maps)]
        self.mapped: list[int] = [0] * len(self.maps)
        self._keep = keep

    @property
    def memory(self) -> Any:
        """The slots as a buffer."""
        return self._keep[1]
