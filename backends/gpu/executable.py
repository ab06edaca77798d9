"""Runs a Plan on a GPU: allocates on the current stream, fills in addresses, launches. The Python path, oracle of the native one.

Takes what looks like Tensors (a Meta, a DeviceStorage, an offset) and Python numbers; gives memory. Ops without a kernel run on
the host between copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import DeviceError, ShapeError
from ...ir import sizes
from ...ir.graph import Graph
from ...ir.interpret import concrete
from ...ir.layout import extent_of, windowed
from ...ir.plan import BufferView, ExternStep, FromArena, FromInput, GemmStep, KernelStep, Plan, RoutineStep, ScalarInput
from ...ir.run_op import run_op
from ...ir.types import TensorType
from ...runtime.gpu.allocator import Memory
from ...runtime.gpu.device import GPU
from ...runtime.gpu.storage import address_of
from .kernel import Code
from .launch import Chosen, Frame, Host, Program
from .launcher_text import LIBRARY_FAILED

Choose = Callable[[Plan, Code, dict[str, int], GPU], Chosen]
MAX_PROGRAMS = 256
#: bytes up to which an arena is kept for the next call
SMALL = 64 << 10


@dataclass(slots=True)
class Fresh:
    """A result in memory of its own."""

    memory: Any
    nbytes: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: Any


@dataclass(frozen=True, slots=True)
class OfInput:
    """A result that is input number `index` itself (`shape` None), or a view of it, `offset` elements behind its first."""

    index: int
    offset: int = 0
    shape: tuple[int, ...] | None = None
    strides: tuple[int, ...] = ()


class DeviceExecutable:
    """A compiled graph for GPUs. `code`: the variants of its kernels by name. `choose` may be set to what says, for given sizes,
    which variants steps use instead (`tuning.choose`)."""

    records = False  # whether calls are recorded, and run again as one

    def __init__(self, plan: Plan, code: Code, graph: Graph) -> None:
        self.plan, self.graph, self.code = plan, graph, code
        self.symbols = [(s, s.index) for s in plan.symbols]
        self.tensors = [i for i, t in enumerate(plan.inputs) if isinstance(t, TensorType)]
        self._programs: dict[Any, Program] = {}
        self.choose: Choose | None = None

    @property
    def kernel_count(self) -> int:
        """Number of kernels a call runs (routines and steps on the host not counted)."""
        return sum(isinstance(s, KernelStep) for s in self.plan.steps)

    @property
    def on_host(self) -> bool:
        """Whether some step runs on the host."""
        return not all(isinstance(s, (KernelStep, RoutineStep)) for s in self.plan.steps)

    @property
    def refusals(self) -> tuple[Any, ...]:
        """Why neighbouring kernels were not fused."""
        return self.plan.refusals

    def run(self, inputs: Sequence[Any], gpu: GPU) -> list[Fresh | OfInput]:
        """The results for tensors on `gpu` and Python numbers, without waiting for them."""
        values = tuple([_value(s, inputs[i]) for s, i in self.symbols])
        addresses: list[int] = []
        low = 0
        for i in self.tensors:
            address = address_of(inputs[i])
            low |= address
            addresses.append(address)
        key: Any = (gpu, values, None if not low & 255 else tuple([min(a & -a, 256) if a else 256 for a in addresses]))
        program = self._programs.get(key)
        if program is None:
            program = self._program(key, inputs, addresses)
        return self._run(program, inputs, addresses)

    def run_at(self, gpu: GPU, named: dict[str, int], inputs: Sequence[Any], addresses: list[int]) -> list[Fresh | OfInput]:
        """As `run`, where the values of the symbols are known, and the addresses of the tensors among the inputs, in order.
        `inputs` has the numbers; what it has for tensors is not looked at."""
        low = 0
        for address in addresses:
            low |= address
        values = tuple([named[s.name] for s, _ in self.symbols])
        key: Any = (gpu, values, None if not low & 255 else tuple([min(a & -a, 256) if a else 256 for a in addresses]))
        program = self._programs.get(key)
        if program is None:
            program = self._made(key, addresses)
        return self._run(program, inputs, addresses)

    def program(self, gpu: GPU, named: dict[str, int], powers: Sequence[int]) -> Program:
        """The program for values of the symbols, and addresses of the tensors among the inputs that are multiples of these powers
        of two (at most 256)."""
        values = tuple([named[s.name] for s, _ in self.symbols])
        key: Any = (gpu, values, None if min(powers, default=256) == 256 else tuple(powers))
        found = self._programs.get(key)
        return self._made(key, []) if found is None else found

    def forget(self) -> None:
        """Drop what is kept for sizes and devices at hand."""
        self._programs.clear()

    def watch(self, table: Any) -> None:
        """Tell the table of a program (`native.Table`) of what is recorded; nothing here."""

    def _program(self, key: Any, inputs: Sequence[Any], addresses: list[int]) -> Program:
        self.check(inputs, {s.name: v for (s, _), v in zip(self.symbols, key[1], strict=True)})
        return self._made(key, addresses)

    def _made(self, key: Any, addresses: list[int]) -> Program:
        gpu, values, aligned = key
        named = {s.name: v for (s, _), v in zip(self.symbols, values, strict=True)}
        if len(self._programs) >= MAX_PROGRAMS:
            self.forget()
        powers = [256] * len(self.plan.inputs)
        for i, power in zip(self.tensors, aligned or (), strict=False):
            powers[i] = power
        chosen = self.choose(self.plan, self.code, named, gpu) if self.choose is not None else None
        made = self._programs[key] = Program(self.plan, self.code, named, gpu, powers, chosen)
        return made

    def check(self, inputs: Sequence[Any], values: dict[str, int]) -> None:
        """ShapeError where an input is not of its type."""
        if len(inputs) != len(self.plan.inputs):
            raise TypeError(f"graph {self.plan.name} takes {len(self.plan.inputs)} inputs, not {len(inputs)}")
        for number, (x, kind) in enumerate(zip(inputs, self.plan.inputs, strict=True)):
            if not isinstance(kind, TensorType):
                continue
            shape, strides = concrete(kind.shape, values), concrete(kind.strides, values)
            same = x.meta.shape == shape and x.meta.dtype is kind.dtype
            laid = zip(shape, strides, x.meta.strides, strict=False)
            if not same or any(n > 1 and have != s for n, s, have in laid if 0 not in shape):
                raise ShapeError(f"input {number} is {x.meta.type}, but the graph was compiled for {kind}")

    def _run(self, program: Program, inputs: Sequence[Any], addresses: list[int]) -> list[Fresh | OfInput]:
        gpu = program.gpu
        fresh = [Fresh(gpu.allocate(nbytes), nbytes, shape, strides, dtype) for shape, strides, dtype, nbytes in program.fresh]
        try:
            frame = program.frames.pop()
        except IndexError:
            frame = Frame(program)
        arena = self._arena(program, frame) if program.arena else None
        call = _Call(program, inputs, dict(zip(self.tensors, addresses, strict=True)), fresh, arena)
        self._launch(call, frame)
        program.frames.append(frame)
        made = iter(fresh)
        return [next(made) if o.source is None else self._of_input(o, program) for o in self.plan.outputs]

    @staticmethod
    def _arena(program: Program, frame: Frame) -> Memory:
        """Memory for what a call makes on its way: a small one stays with the frame for the next call in the same stream. A
        graph that is recorded has memory of its own pool: what a frame keeps is one day given to others."""
        gpu = program.gpu
        if program.arena > SMALL or gpu.recording:
            return gpu.allocate(program.arena)
        if frame.arena is None or frame.stream != gpu.stream:
            frame.arena, frame.stream = gpu.allocate(program.arena), gpu.stream
        return frame.arena  # type: ignore[no-any-return]

    def _launch(self, call: _Call, frame: Frame, stream: int | None = None) -> None:
        """Fill the slots of a frame and launch, in `stream` (None: the current one)."""
        gpu = call.program.gpu
        gpu.activate()
        slots = [call.slot(*read) for read in frame.reads]
        frame.fill.pack_into(frame.memory, 0, *slots)
        for k, (target, made) in enumerate(frame.maps):
            if frame.mapped[k] != slots[made.slot]:
                made.write(gpu.driver, target, slots[made.slot])
                frame.mapped[k] = slots[made.slot]
        launch, stream = call.program.launch, gpu.stream if stream is None else stream
        for step in frame.launches:
            if type(step) is Host:
                _on_host(step.step, call)
                continue
            number, status = launch(step, stream)
            if number:
                self.refused(step.names[number - 1], gpu, status)

    def refused(self, name: str, gpu: GPU, status: int) -> None:
        """DeviceError for a launch that gave this status, with the driver's words; nothing where all is well."""
        if status & LIBRARY_FAILED:
            raise DeviceError(f"{name} of {self.plan.name} could not be launched: status {status - LIBRARY_FAILED} of it")
        try:
            gpu.driver.check(status)
        except DeviceError as error:
            raise DeviceError(f"kernel {name} of {self.plan.name} could not be launched: {error}") from None

    def _of_input(self, output: Any, program: Program) -> OfInput:
        if output.offset is None:
            return OfInput(output.source)
        values = program.values
        shape, strides = concrete(output.type.shape, values), concrete(output.type.strides, values)
        return OfInput(output.source, int(sizes.evaluate(output.offset, values)), shape, strides)


def _value(s: Any, x: Any) -> int:
    read: int = x if s.what == "value" else x.meta.shape[s.dim] if s.what == "shape" else x.meta.strides[s.dim]
    return s.solved(read)  # type: ignore[no-any-return]


@dataclass(slots=True)
class _Call:
    """The memory of one call."""

    program: Program
    inputs: Sequence[Any]
    addresses: dict[int, int]
    fresh: list[Fresh]
    arena: Memory | None

    def slot(self, kind: str, index: int, delta: int) -> Any:
        """What a slot holds in this call."""
        if kind == "input":
            return self.addresses[index] + delta
        if kind == "output":
            return self.fresh[index].memory.address + delta
        if kind == "arena":
            return (self.arena.address if self.arena else 0) + delta
        return self.inputs[index]

    def address(self, buffer: int) -> int:
        """The first byte of a buffer of the plan."""
        place = self.program.plan.buffers[buffer].place
        if isinstance(place, FromArena):
            return self.slot("arena", 0, int(sizes.evaluate(place.offset, self.program.values)))  # type: ignore[no-any-return]
        return self.slot("input" if isinstance(place, FromInput) else "output", place.index, 0)  # type: ignore[no-any-return]


def _on_host(step: ExternStep | GemmStep, call: _Call) -> None:
    """Run a step on the host: its operands come from the device, its results go there."""
    values = call.program.values
    with np.errstate(all="ignore"):
        if isinstance(step, GemmStep):
            a, b = _downloaded(step.a, call), _downloaded(step.b, call)
            wide = np.float32 if step.out.type.dtype.is_half else a.dtype
            _upload(step.out, np.matmul(a.astype(wide, copy=False), b.astype(wide, copy=False)), call)
            return
        attrs = {k: concrete(v, values) for k, v in step.attrs.items()}
        args = [_downloaded(a, call) if isinstance(a, BufferView) else call.inputs[a.index] if isinstance(a, ScalarInput) else a
                for a in step.args]  # fmt: skip
        made = run_op(step.op, args, attrs, [r.type.dtype for r in step.results])
    for view, array in zip(step.results, made, strict=True):
        _upload(view, array, call)


def _place(view: BufferView, call: _Call) -> tuple[Any, Any, int]:
    """(memory of the host as large as the elements of a view span, the view of it, the device's address of its first byte)."""
    values, size = call.program.values, view.type.dtype.itemsize
    shape, strides = concrete(view.type.shape, values), concrete(view.type.strides, values)
    behind = sum((n - 1) * s for n, s in zip(shape, strides, strict=True) if s < 0) if 0 not in shape else 0
    flat = np.empty(extent_of(shape, tuple([abs(s) for s in strides])), view.type.dtype.np)
    window = windowed(flat[-behind:] if behind else flat, shape, [s * size for s in strides])
    return flat, window, call.address(view.buffer) + (int(sizes.evaluate(view.offset, values)) + behind) * size


def _downloaded(view: BufferView, call: _Call) -> Any:
    flat, window, address = _place(view, call)
    call.program.gpu.download(address, flat)
    return window


def _upload(view: BufferView, array: Any, call: _Call) -> None:
    """Store `array` in a view, which is dense; gaps in it keep what is there."""
    flat, window, address = _place(view, call)
    if flat.size != window.size:
        call.program.gpu.download(address, flat)
    window[...] = array
    call.program.gpu.upload(address, flat)
