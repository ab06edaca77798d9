"""Runs a Plan in Python: binds symbols, allocates, calls kernels by address, hands out the results.

The oracle of the native entry, which runs the same Plan from flat tables. Compiles nothing; knows no Tensor.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..errors import ShapeError
from ..ir import sizes
from ..ir.graph import Graph
from ..ir.interpret import concrete, interpret
from ..ir.lazyclass import dataclass
from ..ir.loops import Kernel
from ..ir.plan import (
    BufferView,
    ExternStep,
    FromArena,
    FromInput,
    FromOutput,
    GemmStep,
    KernelStep,
    Plan,
    PlanBuffer,
    PlanOutput,
    Refusal,
    RoutineStep,
    ScalarInput,
    SymbolSource,
    errors_of,
)  # fmt: skip
from ..ir.run_op import run_op
from ..ir.types import TensorType
from .program import Program

Array = np.ndarray[Any, Any]
#: ``(kernel, flat arrays, values of its sizes, scalar arguments) -> status``
RunKernel = Callable[[Kernel, Sequence[Array], Mapping[str, int], Sequence[Any]], int]

class Code(Protocol):
    """Machine code of kernels: the address of each by name."""

    def __getitem__(self, name: str) -> int: ...


_ENTRY = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4, ctypes.c_int64, ctypes.c_int64)
_SCALAR: Mapping[str, type[np.float64 | np.int64]] = {"float": np.float64, "int": np.int64, "bool": np.int64}
ALIGN = 64
#: Combinations of sizes whose worked-out form is kept.
MAX_PROGRAMS = 256


@dataclass(slots=True)
class _Call:
    """The memory of one call: a flat array per buffer."""

    inputs: Sequence[Any]
    values: dict[str, int]
    arena: Array
    outputs: dict[int, Array] = field(default_factory=dict)
    flat: dict[int, Array] = field(default_factory=dict)


class Executable:
    """A compiled graph. `code` gives a kernel's address for its name, or is a function that runs a kernel (reference)."""

    def __init__(self, plan: Plan, code: Code | RunKernel, graph: Graph) -> None:
        self.plan, self.graph, self.code = plan, graph, code
        self._programs: dict[tuple[int, ...], Program] = {}
        self.run_kernel: RunKernel = code if callable(code) else _by_address(code)

    @property
    def kernel_count(self) -> int:
        """Number of kernels a call runs (matrix products and extern steps not counted)."""
        return sum(isinstance(s, KernelStep) for s in self.plan.steps)

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Why neighbouring kernels were not fused."""
        return self.plan.refusals

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs for arrays and Python numbers as inputs; write-backs change the input arrays. Raises what an eager
        run of the graph raises, and ShapeError where an input is not of its type."""
        if len(inputs) == len(self.plan.inputs) and not callable(self.code):
            program = self._program(tuple([_value(s, inputs[s.index]) for s in self.plan.symbols]))
            return program.run(inputs, lambda: self._bind(inputs), lambda step, status: self._failed(step, status, inputs))
        values = self._bind(inputs)
        arena = aligned_bytes(sizes.evaluate(self.plan.arena, values))
        call = _Call(inputs, values, arena)
        for number, buffer in enumerate(self.plan.buffers):
            call.flat[number] = self._memory(buffer, call)
        for step in self.plan.steps:
            if isinstance(step, KernelStep):
                self._kernel(step, call)
            elif isinstance(step, GemmStep):
                _gemm(step, call)
            elif isinstance(step, ExternStep):
                _extern(step, call)
            else:
                raise TypeError(f"routine {step.routine} is machine code; a back end that has none claims no composites")
        fresh = iter(range(len(self.plan.outputs)))
        return [self._output(o, call, fresh) for o in self.plan.outputs]

    def _program(self, values: tuple[int, ...]) -> Program:
        """The plan with all worked out that calls share where the symbols have these values."""
        found = self._programs.get(values)
        if found is None:
            if len(self._programs) >= MAX_PROGRAMS:
                self._programs.clear()
            names = [s.name for s in self.plan.symbols]
            found = self._programs[values] = Program(self.plan, self.code, dict(zip(names, values, strict=True)), _on_arrays)
        return found

    def _bind(self, inputs: Sequence[Any]) -> dict[str, int]:
        if len(inputs) != len(self.plan.inputs):
            raise TypeError(f"graph {self.plan.name} takes {len(self.plan.inputs)} inputs, not {len(inputs)}")
        values: dict[str, int] = {}
        for s in self.plan.symbols:
            values[s.name] = _value(s, inputs[s.index])
        for number, (x, kind) in enumerate(zip(inputs, self.plan.inputs, strict=True)):
            if isinstance(kind, TensorType):
                _check_input(number, x, kind, values)
        return values

    def _memory(self, buffer: PlanBuffer, call: _Call) -> Array:
        place, dtype = buffer.place, buffer.dtype.np
        count = sizes.evaluate(buffer.size, call.values)
        if isinstance(place, FromInput):
            return window(call.inputs[place.index], 0, (count,), (1,))
        if isinstance(place, FromOutput):
            call.outputs[place.index] = aligned_bytes(count * dtype.itemsize).view(dtype)
            return call.outputs[place.index]
        assert isinstance(place, FromArena)
        start = sizes.evaluate(place.offset, call.values)
        return call.arena[start : start + count * dtype.itemsize].view(dtype)

    def _kernel(self, step: KernelStep, call: _Call) -> None:
        kernel = step.kernel
        scalars = [call.inputs[s.index] for s in step.scalars]
        status = self.run_kernel(kernel, [call.flat[b] for b in step.buffers], call.values, scalars)
        if status:
            self._failed(step, status, call.inputs)

    def _failed(self, step: KernelStep | RoutineStep, status: int, inputs: Sequence[Any]) -> NoReturn:
        interpret(self.graph, inputs)  # raises what eager raises
        error = errors_of(step)[status - 1]
        raise error.kind(error.message + (f" (at {error.where})" if error.where else ""))

    def _output(self, output: PlanOutput, call: _Call, fresh: Any) -> Any:
        if output.source is None:
            assert isinstance(output.type, TensorType)
            return _shaped(call.outputs[next(fresh)], output.type, 0, call.values)
        source = call.inputs[output.source]
        if output.offset is None:
            return source
        assert isinstance(output.type, TensorType)
        shape, strides = concrete(output.type.shape, call.values), concrete(output.type.strides, call.values)
        return window(source, sizes.evaluate(output.offset, call.values), shape, strides)


def _value(s: SymbolSource, x: Any) -> int:
    read: int = x if s.what == "value" else x.shape[s.dim] if s.what == "shape" else x.strides[s.dim] // x.itemsize
    return s.solved(read)


def _check_input(number: int, x: Any, kind: TensorType, values: Mapping[str, int]) -> None:
    shape = tuple(sizes.evaluate(n, values) for n in kind.shape)
    strides = tuple(sizes.evaluate(s, values) for s in kind.strides)
    same = x.shape == shape and x.dtype == kind.dtype.np
    if not same or any(n > 1 and have != s * x.itemsize for n, s, have in zip(shape, strides, x.strides, strict=True) if x.size):
        have = f"{x.dtype}{list(x.shape)} with strides {[s // x.itemsize for s in x.strides]}"
        raise ShapeError(f"input {number} is {have}, but the graph was compiled for {kind}")


def aligned_bytes(count: int) -> Array:
    """`count` uninitialised bytes from an address that is a multiple of 64 on."""
    raw = np.empty(count + ALIGN, np.uint8)
    start = -raw.ctypes.data % ALIGN
    return raw[start : start + count]


def window(x: Array, offset: int, shape: Sequence[int], strides: Sequence[int]) -> Array:
    """The memory of `x` from its first element on, seen through a window in elements."""
    step, kind = x.itemsize, x.dtype
    x = x.view(np.uint8) if step == 1 and kind.kind == "f" else x  # NumPy forgets this dtype on the way
    moved = as_strided(x, (offset + 1,), (step,))[offset:] if offset else x
    return as_strided(moved, tuple(shape), tuple(s * step for s in strides)).view(kind)


def _shaped(flat: Array, kind: TensorType, offset: int, values: dict[str, int]) -> Array:
    shape, strides = concrete(kind.shape, values), concrete(kind.strides, values)
    return window(flat[offset:], 0, shape, strides) if flat.size else np.empty(shape, flat.dtype)


def _view(view: BufferView, call: _Call) -> Array:
    return _shaped(call.flat[view.buffer], view.type, sizes.evaluate(view.offset, call.values), call.values)


def _on_arrays(step: Any, flat: Callable[[int], Array], inputs: Sequence[Any], values: Mapping[str, int]) -> None:
    """Run a step that has no form of its own in a `Program`: on arrays laid over the buffers."""
    views = (step.a, step.b, step.out) if isinstance(step, GemmStep) else (*step.args, *step.results)
    buffers = {v.buffer: flat(v.buffer) for v in views if isinstance(v, BufferView)}
    call = _Call(inputs, dict(values), np.empty(0, np.uint8), flat=buffers)
    (_gemm if isinstance(step, GemmStep) else _extern)(step, call)


def _gemm(step: GemmStep, call: _Call) -> None:
    a, b, out = _view(step.a, call), _view(step.b, call), _view(step.out, call)
    with np.errstate(all="ignore"):
        if step.out.type.dtype.is_half:
            out[...] = np.matmul(a.astype(np.float32), b.astype(np.float32)).astype(out.dtype)
        else:
            np.matmul(a, b, out=out)


def _extern(step: ExternStep, call: _Call) -> None:
    def argument(a: Any) -> Any:
        return _view(a, call) if isinstance(a, BufferView) else call.inputs[a.index] if isinstance(a, ScalarInput) else a

    attrs = {k: concrete(v, call.values) for k, v in step.attrs.items()}
    with np.errstate(all="ignore"):
        made = run_op(step.op, [argument(a) for a in step.args], attrs, [r.type.dtype for r in step.results])
    for view, array in zip(step.results, made, strict=True):
        _view(view, call)[...] = array


def _by_address(code: Code) -> RunKernel:
    """A function that calls machine code through the kernel ABI, on one thread."""

    def run(kernel: Kernel, buffers: Sequence[Array], values: Mapping[str, int], scalars: Sequence[Any]) -> int:
        args = np.array([b.ctypes.data for b in buffers], np.uint64)
        counts = np.array([values[s] for s in kernel.sizes], np.int64)
        words = np.array([_SCALAR[p.kind](x).view(np.int64) for p, x in zip(kernel.scalars, scalars, strict=True)], np.int64)
        scratch = aligned_bytes(scratch_bytes(kernel, values))
        pointers = [x.ctypes.data for x in (args, counts, words, scratch)]
        return int(_ENTRY(code[kernel.name])(*pointers, 0, 1))

    return run


def scratch_bytes(kernel: Kernel, values: Mapping[str, int]) -> int:
    """Bytes of scratch one thread needs: every area at a multiple of 64."""
    return sum(-(-sizes.evaluate(s.size, values) * s.dtype.itemsize // ALIGN) * ALIGN for s in kernel.scratch)
