"""A plan for given sizes, with everything worked out that calls of these sizes share: what `Executable.run` does.

Addresses in place of arrays: a call fills in the addresses of its inputs and outputs, and each step is one call of machine
code. Arenas are kept for the next call. Checks inputs; compiles nothing; knows no Tensor.
"""

from __future__ import annotations

import ctypes
import itertools
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import LoadError
from ..ir import dtypes, sizes, work
from ..ir.layout import windowed
from ..ir.plan import (
    BufferView,
    FromArena,
    FromInput,
    FromOutput,
    GemmStep,
    KernelStep,
    Place,
    Plan,
    PlanOutput,
    RoutineStep,
    ScalarInput,
)  # fmt: skip
from ..ir.types import ScalarType, TensorType
from . import blas, blocks, layout, pool

Array = np.ndarray[Any, Any]
ALIGN = 64
#: batched products of more matrices than this are left to NumPy, which walks them in C
MAX_BATCH = 64

_P, _L = ctypes.c_void_p, ctypes.c_int64
_KERNEL = ctypes.CFUNCTYPE(ctypes.c_int32, _P, _P, _P, _P, _L, _L)
_GEMM = {
    dtypes.float32: ctypes.CFUNCTYPE(
        None, *[ctypes.c_int] * 3, _L, _L, _L, ctypes.c_float, _P, _L, _P, _L, ctypes.c_float, _P, _L
    ),
    dtypes.float64: ctypes.CFUNCTYPE(
        None, *[ctypes.c_int] * 3, _L, _L, _L, ctypes.c_double, _P, _L, _P, _L, ctypes.c_double, _P, _L
    ),
}  # fmt: skip
_ROWS = 101  # CblasRowMajor


class Call:
    """One call under way: the address of every buffer, of the pointer lists of all kernels, of scalars and of scratch, which is
    there for `limit` threads."""

    __slots__ = ("inputs", "keep", "limit", "lists", "scalars", "scratch", "where")

    def __init__(self, inputs: Sequence[Any], where: list[int], lists: Array, scalars: Array, scratch: int, limit: int) -> None:
        self.inputs, self.where, self.scratch, self.keep, self.limit = inputs, where, scratch, (lists, scalars), limit
        self.lists, self.scalars = address(lists), address(scalars)


#: runs one step; a nonzero status is an error of that kernel
Step = Callable[[Call], int]
#: ``(pointers, scalars, scratch, threads at most) -> status``: all addresses
Job = Callable[[int, int, int, int], int]
Generic = Callable[[Any, Callable[[int], Array], Sequence[Any], Mapping[str, int]], None]


class Program:
    """`plan` with the machine code of its kernels, where its symbols have these `values`. `generic` runs a step that has no form
    of its own here: it gets the step, a function from buffer numbers to flat arrays, the inputs and `values`."""

    def __init__(self, plan: Plan, code: Any, values: Mapping[str, int], generic: Generic) -> None:
        self.plan, self.values, self.generic = plan, values, generic
        self.tensors = [(i, *self._expected(t)) for i, t in enumerate(plan.inputs) if isinstance(t, TensorType)]
        self.counts = [self._number(b.size) for b in plan.buffers]
        self.places = [self._place(b.place) for b in plan.buffers]
        nbytes = {b.place: n * b.dtype.itemsize for b, n in zip(plan.buffers, self.counts, strict=True)}
        fresh = [o for o in plan.outputs if o.source is None]
        self.fresh = [self._fresh(o, nbytes.get(FromOutput(k), 0)) for k, o in enumerate(fresh)]
        kernels = [s for s in plan.steps if isinstance(s, KernelStep)]
        self.gather = np.array([b for s in kernels for b in s.buffers], np.intp)
        self.scalars = [(s.index, p.kind) for k in kernels for s, p in zip(k.scalars, k.kernel.scalars, strict=True)]
        self.packer = struct.Struct("".join("d" if kind == "float" else "q" for _, kind in self.scalars))
        arena = -(-self._number(plan.arena) // ALIGN) * ALIGN
        self.scratch_at, self.scratch = arena, -(-max((self._scratch(s) for s in plan.steps), default=0) // ALIGN) * ALIGN
        self.arenas: list[tuple[Array, int, int]] = []
        self.split = False
        self.steps = self._steps(code)

    # ---- what a call does --------------------------------------------------------------------------------------------
    def run(self, inputs: Sequence[Any], mismatch: Callable[[], object], failed: Callable[[Any, int], None]) -> list[Any]:
        """The outputs. `mismatch()` raises for inputs that are not of their types, `failed(step, status)` for a kernel's no."""
        for i, dtype, shape, strides in self.tensors:
            x = inputs[i]
            if not isinstance(x, np.ndarray):
                inputs = [*inputs[:i], np.asarray(x), *inputs[i + 1 :]]
                x = inputs[i]
            if x.dtype is not dtype or x.shape != shape or x.strides != strides:
                mismatch()
        made = [_new(*f) for f in self.fresh]
        arena = self._arena()
        try:
            self._run(self._call(inputs, made, *arena[1:]), failed)
        finally:
            if len(arena[0]) < blocks.LARGE or blocks.current() is None:  # a large one goes back to the cache of all
                self.arenas.append(arena)
        arrays = iter(made)
        return [next(arrays)[0] if o.source is None else self._view(o, inputs[o.source]) for o in self.plan.outputs]

    def _arena(self) -> tuple[Array, int, int]:
        """Memory for one call, its first address, and the number of threads that it has scratch for."""
        limit = pool.threads() if self.split else 1
        while self.arenas:
            found = self.arenas.pop()
            if found[2] == limit:
                return found
        return (*_aligned(self.scratch_at + self.scratch * limit), limit)

    def _call(self, inputs: Sequence[Any], made: list[tuple[Array, int]], arena: int, limit: int) -> Call:
        where = []
        for place in self.places:
            if isinstance(place, FromInput):
                where.append(address(inputs[place.index]))
            elif isinstance(place, FromOutput):
                where.append(made[place.index][1])
            else:
                where.append(arena + place)
        lists = np.array(where, np.int64)[self.gather] if where else self.gather
        return Call(inputs, where, lists, self._words(inputs), arena + self.scratch_at, limit)

    def _words(self, inputs: Sequence[Any]) -> Array:
        """The scalar arguments of all kernels, eight bytes each."""
        if not self.scalars:
            return self.gather
        try:
            return np.frombuffer(self.packer.pack(*[inputs[i] for i, _ in self.scalars]), np.uint8)
        except struct.error as error:
            raise OverflowError(f"an int argument of graph {self.plan.name} does not fit 64 bits: {error}") from None

    def _run(self, call: Call, failed: Callable[[Any, int], None]) -> None:
        for step, run in zip(self.plan.steps, self.steps, strict=True):
            status = run(call)
            if status:
                failed(step, status)

    def _view(self, output: PlanOutput, source: Any) -> Any:
        if output.offset is None:
            return source
        assert isinstance(output.type, TensorType)
        offset = self._number(output.offset)
        flat = windowed(source, (offset + 1,), (source.itemsize,))[offset:] if offset else source
        return windowed(flat, *self._expected(output.type)[1:])

    # ---- steps -------------------------------------------------------------------------------------------------------
    def _steps(self, code: Mapping[str, int]) -> list[Step]:
        out, lists, words = [], 0, 0
        for step in self.plan.steps:
            if isinstance(step, KernelStep):
                counts = np.array([self.values[name] for name in step.kernel.sizes], np.int64)
                job = self._job(step, code[step.kernel.name], address(counts))
                out.append(_kernel(job, lists, words, counts))
                lists, words = lists + 8 * len(step.buffers), words + 8 * len(step.scalars)
            elif isinstance(step, RoutineStep):
                out.append(self._routine(step, code))
            else:
                made = self._gemm(step) if isinstance(step, GemmStep) else None
                out.append(made or self._generic(step))
        return out

    def _generic(self, step: Any) -> Step:
        def run(call: Call) -> int:
            def flat(buffer: int) -> Array:
                dtype, count = self.plan.buffers[buffer].dtype.np, self.counts[buffer]
                memory = (ctypes.c_char * (count * dtype.itemsize)).from_address(call.where[buffer])
                return np.frombuffer(memoryview(memory), dtype) if count else np.empty(0, dtype)

            self.generic(step, flat, call.inputs, self.values)
            return 0

        return run

    def _job(self, step: KernelStep | RoutineStep, code: int, sizes_at: int) -> Job:
        """The step's machine code as a function of its other arguments, on as many threads as its work is worth."""
        count = work.chunks(step.kernel) if isinstance(step, KernelStep) else work.routine_pieces(step)
        chunks, stride, function = self._number(count), -(-self._scratch(step) // ALIGN) * ALIGN, _KERNEL(code)
        if chunks <= 1 or not pool.start():
            return lambda args, words, scratch, limit: int(function(args, sizes_at, words, scratch, 0, 1))
        self.split = True
        return lambda args, words, scratch, limit: pool.run(code, args, sizes_at, words, scratch, stride, chunks, limit)

    def _routine(self, step: RoutineStep, code: Mapping[str, int]) -> Step:
        """The step as one call of machine code."""
        places = [(-1, 0) if v is None else (v.buffer, v.type.dtype.itemsize * self._number(v.offset)) for v in step.views]
        counts = np.array([self._number(s) for s in step.sizes] + ([code[step.finish.name]] if step.finish else []), np.int64)
        packer = struct.Struct("".join("d" if self._is_float(s) else "q" for s in step.scalars))
        job = self._job(step, code[step.routine], address(counts))

        def run(call: Call) -> int:
            _ = counts  # stays alive with this function
            pointers = np.array([0 if b < 0 else call.where[b] + at for b, at in places], np.int64)
            given = [call.inputs[s.index] if isinstance(s, ScalarInput) else s for s in step.scalars]
            words = np.frombuffer(packer.pack(*given) + bytes(8), np.uint8)
            return job(address(pointers), address(words), call.scratch, call.limit)

        return run

    def _is_float(self, scalar: ScalarInput | int | float) -> bool:
        if not isinstance(scalar, ScalarInput):
            return isinstance(scalar, float)
        kind = self.plan.inputs[scalar.index]
        return isinstance(kind, ScalarType) and kind.kind == "float"

    def _gemm(self, step: GemmStep) -> Step | None:
        """The step as calls of BLAS; None where BLAS cannot take its operands as they lie."""
        found = blas.operands(step)
        batch = [self._number(n) for n in step.out.type.shape[:-2]]
        if found is None or int(np.prod(batch, dtype=np.int64)) > MAX_BATCH:
            return None
        at, (ta, lda), (tb, ldb), ldc = found
        function = _GEMM[step.out.type.dtype](at)
        sizes_ = [self._number(n) for n in (step.out.type.shape[-2], step.out.type.shape[-1], step.a.type.shape[-1])]
        (m, n, k), (lda, ldb, ldc) = sizes_, map(self._number, (lda, ldb, ldc))
        a, b, out = (self._starts(v, batch) for v in (step.a, step.b, step.out))
        places = list(zip(a, b, out, strict=True))
        xa, xb, xc = step.a.buffer, step.b.buffer, step.out.buffer

        def run(call: Call) -> int:
            pool.quieten()
            pa, pb, pc = call.where[xa], call.where[xb], call.where[xc]
            for oa, ob, oc in places:
                function(_ROWS, ta, tb, m, n, k, 1.0, pa + oa, lda, pb + ob, ldb, 0.0, pc + oc, ldc)
            return 0

        return run

    def _starts(self, view: BufferView, batch: list[int]) -> list[int]:
        """Bytes from the buffer's start to each matrix of the batch."""
        strides = [self._number(s) for s in blas.batch_strides(view.type, len(batch))]
        item, first = view.type.dtype.itemsize, self._number(view.offset)
        numbers = itertools.product(*map(range, batch))
        return [item * (first + sum(i * s for i, s in zip(at, strides, strict=True))) for at in numbers]

    # ---- sizes -------------------------------------------------------------------------------------------------------
    def _number(self, size: Any) -> int:
        return sizes.evaluate(size, self.values)

    def _place(self, place: Place) -> FromInput | FromOutput | int:
        return self._number(place.offset) if isinstance(place, FromArena) else place

    def _expected(self, t: TensorType) -> tuple[Any, tuple[int, ...], tuple[int, ...]]:
        """dtype, shape and strides (bytes) of an array of this type."""
        item = t.dtype.itemsize
        return t.dtype.np, tuple(map(self._number, t.shape)), tuple(item * self._number(s) for s in t.strides)

    def _fresh(self, output: PlanOutput, count: int) -> tuple[Any, ...]:
        assert isinstance(output.type, TensorType)
        return (count, *self._expected(output.type))

    def _scratch(self, step: Any) -> int:
        """Bytes of scratch one thread needs."""
        if isinstance(step, RoutineStep):
            return self._number(step.scratch)
        if not isinstance(step, KernelStep):
            return 0
        return sum(-(-self._number(s.size) * s.dtype.itemsize // ALIGN) * ALIGN for s in step.kernel.scratch)


def _kernel(job: Job, lists: int, words: int, counts: Array) -> Step:
    def run(call: Call) -> int:
        _ = counts  # stays alive with this function
        return job(call.lists + lists, call.scalars + words, call.scratch, call.limit)

    return run


# ---- memory ------------------------------------------------------------------------------------------------------------
def _new(count: int, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[Array, int]:
    """A fresh output and its address."""
    raw, start = _aligned(count)
    return np.ndarray(shape, dtype, raw, start - address(raw), strides), start


def _aligned(count: int) -> tuple[Array, int]:
    """Memory of at least `count` bytes, and the first address in it that is a multiple of 64."""
    raw = blocks.empty(count + ALIGN)
    return raw, -(-address(raw) // ALIGN) * ALIGN


def _by_layout() -> Callable[[Any], int]:
    """The address of an array's first element, read from the object where its layout is known (a tenth of the time)."""
    try:
        layout.check()
    except LoadError:
        return lambda x: int(x.ctypes.data)
    word = ctypes.c_size_t.from_address
    return lambda x: word(id(x) + layout.DATA).value


address: Callable[[Any], int] = _by_layout()
