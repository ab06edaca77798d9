"""Plan -> rows of what happens on a hit: sizes, memory, steps, results. Knows NumPy and BLAS by address, no Tensor class.

A matrix product goes to NumPy's own OpenBLAS where both operands are rows or columns in unit stride and f32 or f64; else,
like every ExternStep, it is a Python call on arrays that the entry lays over the buffers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import CompileError
from ...ir import dtypes, work
from ...ir import plan as p
from ...ir import sizes as z
from ...ir.loops import Kernel
from ...ir.run_op import run_op
from ...ir.types import ScalarType, TensorType, numel, sizes_of, tensor
from ...runtime import blas, blocks, layout
from ...runtime.guard import TensorIs
from ...runtime.meta import Meta
from ...runtime.source import Source
from . import process
from .frame import Frame
from .guards import GuardRows, Loader
from .words import METAS


class PlanRows:
    """Writes the rows of one plan. `inputs` are the sources of the graph's inputs; guards have been written."""

    def __init__(self, frame: Frame, guards: GuardRows, plan: p.Plan, code: Mapping[str, int], inputs: Sequence[Source]) -> None:
        self.frame, self.guards, self.plan, self.code, self.sources = frame, guards, plan, code, inputs
        self.known = guards.sizes.known  # symbols whose value the guards fix
        self.symbols = guards.sizes.symbols  # word of each symbol
        self.scalars: dict[int, int] = {}
        self.objects: dict[int, int] = {}  # word of each input's object
        self.arrays: dict[int, int] = {}  # word of each input's array
        self._places: dict[z.Size, int] = {}
        self.fresh: dict[int, int] = {}  # word of the array of fresh output number k (only fresh ones count)
        self.arena: int | None = None
        self.limit: int | None = None  # word of the number of threads, where some step may be split
        self.python_runs = any(not self._is_native(s) for s in plan.steps)

    # ---- before the hit ----
    def load_inputs(self) -> None:
        """Rows that bring inputs and symbols into the frame; they may still miss."""
        for i, (type_, source) in enumerate(zip(self.plan.inputs, self.sources, strict=True)):
            if self.guards.is_number(source):
                self.scalars[i] = self.guards.scalars.number(source)
                continue
            self.objects[i] = self.guards.word(source)
            if isinstance(type_, ScalarType):
                at = self.scalars[i] = self.frame.words()
                self.frame.row(type_.kind, at, self.objects[i])
            else:
                self.arrays[i] = self.guards.tensor(source)
        for target in dict.fromkeys(write.target for write in self.plan.writes):
            self._writable(target)
        for s in self.plan.symbols:
            self._symbol(s)

    def _writable(self, target: int) -> None:
        self.frame.row("writable", 0, self.arrays[target])

    def _symbol(self, s: p.SymbolSource) -> None:
        if s.name in self.symbols:
            return
        if s.what == "value":
            self.symbols[s.name] = self.scalars[s.index]
            return
        known = self.guards.tensors.get(self.sources[s.index])
        if not isinstance(known, TensorIs):
            raise CompileError(f"no guard fixes the {s.what} of input {s.index} that gives the size {s.name}")
        self.known[s.name] = s.solved((known.meta.shape if s.what == "shape" else known.meta.strides)[s.dim])
        self.symbols[s.name] = self.frame.const(self.known[s.name])

    # ---- sizes ----
    def size(self, value: z.Size) -> int:
        """The word with the value of a size."""
        return self.guards.sizes.size(value)

    def _op(self, op: str, a: int, b: int) -> int:
        return self.guards.sizes.op(op, a, b)

    def run(self, values: Sequence[z.Size]) -> int:
        """The first of consecutive words that hold these sizes."""
        return self.guards.sizes.run(values)

    def begin(self) -> None:
        """The row behind which a call is a hit."""
        self.frame.row("begin")

    # ---- memory ----
    def allocate(self) -> None:
        """Rows that make the fresh outputs and the arena."""
        for out in self.plan.outputs:
            if out.source is None:
                self.fresh[len(self.fresh)] = self._new_array(out.type, len(self.fresh))
        scratch = [step_scratch(s) for s in self.plan.steps if isinstance(s, (p.KernelStep, p.RoutineStep))]
        total, self._scratch = self.plan.arena, self.frame.const(0)
        most: z.Size = 0
        for bytes_ in scratch:
            most = z.maximum(most, bytes_)
        self._stride = most = z.floordiv(most + 63, 64) * 64
        if not all(self._below(self._parts(s), 2) for s in self.plan.steps) and process.start_pool():
            self.limit = self.frame.words()
            self.frame.row("threads", self.limit)
        if isinstance(total, int) and total == 0 and isinstance(most, int) and most == 0:
            return
        aligned = z.floordiv(total + 63, 64) * 64
        self.frame.arena_at = self.frame.owned()
        data = self.frame.words()
        if data != self.frame.arena_at + 1:
            raise CompileError("frame words of the arena do not follow each other")
        self.arena = data
        whole = self.size(aligned + most)
        if not self._below(aligned + most, blocks.LARGE):
            process.start_blocks()
        if self.limit is not None:
            whole = self._op("add", self.size(aligned), self._op("mul", self.size(most), self.limit))
        self.frame.row("arena", self.frame.arena_at, whole)
        self._scratch = self._op("add", data, self.size(aligned))

    def _new_array(self, type_: Any, number: int) -> int:
        """The word of a fresh array of a type, its data address in the word after it."""
        if not isinstance(type_, TensorType):
            raise CompileError(f"a fresh output of type {type_} has no memory form")
        if type_.is_contiguous:
            return self._alloc(type_, 0)
        strides = self.run([s * type_.dtype.itemsize for s in type_.strides])
        if _is_dense(type_):
            return self._alloc(type_, strides)
        size = next(b.size for b in self.plan.buffers if b.place == p.FromOutput(number))
        whole = self._alloc(tensor((size,), type_.dtype), 0)  # memory with gaps: NumPy would allocate the elements only
        at = self.frame.owned()
        data = self.frame.words()
        rank, dims = len(type_.shape), self.run(type_.shape)
        desc = self.frame.array([self.frame.object(type_.dtype.np), rank, layout.WRITEABLE, dims, strides])
        self.frame.row("view", at, desc, whole + 1, whole)
        self.frame.row("add", data, whole + 1, self.frame.const(0))
        return at

    def _alloc(self, type_: TensorType, strides: int) -> int:
        at = self.frame.owned()
        self.frame.words()  # its data address
        rank, dims = len(type_.shape), self.run(type_.shape)
        size = numel(type_.shape) * type_.dtype.itemsize
        if self._below(size, blocks.LARGE) or not process.start_blocks():
            self.frame.row("alloc", at, self.frame.object(type_.dtype.np), rank | strides << 8, dims)
            return at
        item = self.frame.object(type_.dtype.np)
        self.frame.row("block", at, self.frame.array([item, rank, dims, strides, self.size(size)]))
        return at

    def address(self, buffer: int, offset: z.Size = 0) -> int:
        """The word with the address of element `offset` of a buffer."""
        b = self.plan.buffers[buffer]
        if isinstance(b.place, p.FromInput):
            base = self.arrays[b.place.index] + 1
        elif isinstance(b.place, p.FromOutput):
            base = self.fresh[b.place.index] + 1
        else:
            base = self._arena_address(b.place.offset)
        if isinstance(offset, int) and offset == 0:
            return base
        return self._op("add", base, self.size(offset * b.dtype.itemsize))

    def _arena_address(self, offset: z.Size) -> int:
        if self.arena is None:  # all buffers in it are empty
            return self.frame.const(layout.NOWHERE)
        if offset not in self._places:
            self._places[offset] = self._op("add", self.arena, self.size(offset))
        return self._places[offset]

    def owner(self, buffer: int) -> int:
        """The word with the object that holds a buffer's memory."""
        place = self.plan.buffers[buffer].place
        if isinstance(place, p.FromInput):
            return self.arrays[place.index]
        if isinstance(place, p.FromOutput):
            return self.fresh[place.index]
        return self.frame.arena_at or 0

    # ---- steps ----
    def hold_inputs(self) -> None:
        """Own what Python code, or another thread, could drop while the steps run."""
        for i, word in list(self.arrays.items()):
            at = self.frame.owned()
            self.frame.row("hold", at, word)
            self.arrays[i] = at
            self.frame.words()
            self.frame.row("add", at + 1, word + 1, self.frame.const(0))
        for i, word in list(self.objects.items()):
            at = self.objects[i] = self.frame.owned()
            self.frame.row("hold", at, word)

    def steps(self) -> None:
        """Rows of all steps; runs of long native ones let the interpreter lock go."""
        released = False
        for number, step in enumerate(self.plan.steps):
            emit = self._prepare(number, step)
            if self._is_native(step):
                if self.releases(step):
                    self.frame.row("save", 0, self.size(work.step_units(step)), work.LONG)
                    released = True
            elif released:
                self.frame.row("restore")
                released = False
            emit()
        if released:
            self.frame.row("restore")

    def releases(self, step: p.Step) -> bool:
        """Whether a step is, or may be for some sizes, long enough to let other threads run."""
        return self._is_native(step) and not self._below(work.step_units(step), work.LONG)

    def _below(self, size: z.Size, limit: int) -> bool:
        size = z.substitute(size, self.known)
        return isinstance(size, int) and size < limit

    def _parts(self, step: p.Step) -> z.Size:
        """Chunks of a step that the thread pool may run at the same time."""
        if isinstance(step, p.KernelStep):
            parts = work.chunks(step.kernel)
        else:
            parts = work.routine_pieces(step) if isinstance(step, p.RoutineStep) else 1
        return z.substitute(parts, self.known)

    def _share(self, step: p.KernelStep | p.RoutineStep) -> list[int]:
        """Words with the chunks of a step, the scratch of one thread, and the number of threads."""
        if self.limit is None or self._below(self._parts(step), 2):
            return [self.frame.const(1), self.frame.const(0), self.frame.const(1)]
        return [self.size(self._parts(step)), self.size(self._stride), self.limit]

    def _is_native(self, step: p.Step) -> bool:
        if isinstance(step, p.GemmStep):
            return blas.operands(step) is not None
        return isinstance(step, (p.KernelStep, p.RoutineStep))

    def _prepare(self, number: int, step: p.Step) -> Callable[[], object]:
        if isinstance(step, p.KernelStep):
            return self._kernel(number, step)
        if isinstance(step, p.RoutineStep):
            return self._routine(number, step)
        if isinstance(step, p.GemmStep):
            operands = blas.operands(step)
            return self._gemm(step, operands) if operands else self._python(_matmul, (step.a, step.b), (step.out,))
        attrs = _substituted(step.attrs, self.known)
        names = tuple(dict.fromkeys(name for v in attrs.values() for name in _names(v)))
        return self._python(_extern(step, attrs, names), step.args, step.results, names)

    def _kernel(self, number: int, step: p.KernelStep) -> Callable[[], object]:
        kernel = step.kernel
        words = [self.address(b) for b in step.buffers]
        words += [self.size(z.symbol(name)) for name in kernel.sizes]
        words += [self.scalars[x.index] for x in step.scalars]
        counts = len(step.buffers), len(kernel.sizes), len(words)
        desc = self.frame.array([number, *counts, self._scratch, *self._share(step), *words])
        gather = self.frame.words(max(1, len(words)))
        return lambda: self.frame.row("kernel", gather, self.code[kernel.name], desc)

    def _routine(self, number: int, step: p.RoutineStep) -> Callable[[], object]:
        zero, sizes = self.frame.const(0), [self.size(s) for s in step.sizes]
        sizes += [self.frame.const(self.code[step.finish.name])] if step.finish is not None else []
        words = [zero if v is None else self.address(v.buffer, v.offset) for v in step.views] + sizes
        words += [self.scalars[x.index] if isinstance(x, p.ScalarInput) else self.frame.const(_bits(x)) for x in step.scalars]
        desc = self.frame.array([number, len(step.views), len(sizes), len(words), self._scratch, *self._share(step), *words])
        gather = self.frame.words(max(1, len(words)))
        return lambda: self.frame.row("kernel", gather, self.code[step.routine], desc)

    def _gemm(self, step: p.GemmStep, operands: tuple[Any, ...]) -> Callable[[], object]:
        function, (ta, lda), (tb, ldb), ldc = operands
        a, b, out = step.a, step.b, step.out
        m, n, k = a.type.shape[-2], b.type.shape[-1], a.type.shape[-1]
        places = [self.address(x.buffer, x.offset) for x in (a, b, out)]
        batch = list(
            zip(out.type.shape[:-2], *(blas.batch_strides(x.type, len(out.type.shape) - 2) for x in (a, b, out)), strict=True)
        )
        item = out.type.dtype.itemsize
        count: z.Size = 1
        for row in batch:
            count = count * row[0]
        rows = [self.size(v if i == 0 else v * item) for row in reversed(batch) for i, v in enumerate(row)]
        words = [self.size(v) for v in (m, n, k, lda, ldb, ldc)]
        is_f64 = int(out.type.dtype is dtypes.float64)
        desc = self.frame.array([function, is_f64, ta, tb, *words, *places, len(batch), self.size(count), *rows])
        return lambda: self.frame.row("gemm", 0, 0, desc)

    def _python(
        self, function: Any, args: Sequence[Any], results: Sequence[p.BufferView], names: Sequence[str] = ()
    ) -> Callable[[], object]:
        """A call of `function` with views of the results and arguments, then the values of the symbols `names`."""
        operands = [*results, *args]
        at = self.frame.owned(max(1, len(operands) + len(names)))
        views: list[tuple[int, int, int, int]] = []
        for i, x in enumerate(operands):
            if isinstance(x, p.BufferView):
                dims, strides = self.run(x.type.shape), self.run([s * x.type.dtype.itemsize for s in x.type.strides])
                item = self.frame.object(x.type.dtype.np)  # operands are writeable too: NumPy's argmax copies what is not
                desc = self.frame.array([item, len(x.type.shape), layout.WRITEABLE, dims, strides])
                views.append((at + i, desc, self.address(x.buffer, x.offset), self.owner(x.buffer)))

        def emit() -> None:
            for view in views:
                self.frame.row("view", *view)
            for i, x in enumerate(operands):
                if isinstance(x, p.ScalarInput) and x.index not in self.objects:
                    self.frame.row("call", at + i, self.frame.object(Loader(self.sources[x.index])), 0, self.frame.nparams)
                elif isinstance(x, p.ScalarInput):
                    self.frame.row("hold", at + i, self.objects[x.index])
                elif not isinstance(x, p.BufferView):
                    self.frame.row("hold", at + i, self.frame.const(self.frame.object(x)))
            for i, name in enumerate(names, len(operands)):
                self.frame.row("long", at + i, self.size(z.symbol(name)))
            self.frame.row("python", 0, self.frame.object(function), at, len(operands) + len(names))

        return emit

    # ---- results ----
    def _make(self, at: int, array: int, meta: Meta | None, grad: bool, type_: Any) -> None:
        if meta is None and isinstance(type_, TensorType):
            sizes = (*type_.shape, *type_.strides)
            memory = MetaMemory(len(sizes))
            self.frame.keep.append(memory)
            descr = self.frame.array([self.frame.object(grad), len(sizes), self.run(sizes)])
            self.frame.row("make_like", at, array, descr, int(memory.words.ctypes.data))
        else:
            self.frame.row("make", at, array, 0 if meta is None else self.frame.object(meta), self.frame.object(grad))

    def results(self, metas: Sequence[Meta | None], grads: Sequence[bool], view_of: Callable[[int], Any]) -> tuple[int, int]:
        """Rows that build the output objects: (first word, count). `view_of(n)` is a function of the viewed input and of the
        values of the symbols `viewed_by` output n."""
        count = len(self.plan.outputs)
        at = self.frame.owned(max(1, count))
        order = sorted(range(count), key=lambda n: self.plan.outputs[n].source is None)  # borrowed ones before any allocation
        for n in order:
            out = self.plan.outputs[n]
            if out.source is not None and out.offset is None:
                self.frame.row("hold", at + n, self.objects[out.source])
        for write in self.plan.writes:
            self.frame.row("bump", 0, self.objects[write.target])
        fresh = iter(self.fresh.values())
        for n in order:
            out = self.plan.outputs[n]
            if out.source is None:
                self._make(at + n, next(fresh), metas[n], bool(grads[n]), out.type)
            elif out.offset is not None and type(out.offset) is int and metas[n] is not None and not viewed_by(out):
                self._seen(at + n, self.objects[out.source], out.offset, metas[n], view_of(n))  # type: ignore[index]
            elif out.offset is not None:
                names = viewed_by(out)
                first = self.frame.owned(1 + len(names))
                self.frame.row("hold", first, self.objects[out.source])
                for i, name in enumerate(names, 1):
                    self.frame.row("long", first + i, self.size(z.symbol(name)))
                self.frame.row("call", at + n, self.frame.object(view_of(n)), first, 1 + len(names))
        return at, count

    def _seen(self, at: int, source: int, offset: int, meta: Any, otherwise: Any) -> None:
        """A row that makes the Tensor of an output that is a window of the input in word `source`, its sizes known."""
        keep, item = self.frame.object, meta.dtype.np.itemsize
        dims, strides = self.run(meta.shape), self.run([n * item for n in meta.strides])
        place = [offset * item, keep(meta), offset, keep(offset or None), keep(otherwise)]
        desc = self.frame.array([keep(meta.dtype.np), len(meta.shape), dims, strides, *place])
        self.frame.row("seen", at, source, self.frame.owned(), desc)


def _bits(number: int | float) -> int:
    """The 64 bits of a scalar argument as an integer."""
    return int(np.float64(number).view(np.int64)) if isinstance(number, float) else int(number)


class MetaMemory:
    """The Metas that results of one output had, by dims and strides: what a `make_like` row reads and writes."""

    def __init__(self, count: int) -> None:
        self.words = np.zeros((METAS, count + 1), np.int64)

    def __del__(self) -> None:
        for meta in self.words[:, 0]:
            if meta:
                layout.decref(int(meta))


def _is_dense(t: TensorType) -> bool:
    """Whether the elements fill their memory without gaps, in some order of the dimensions."""
    if not all(isinstance(n, int) for n in (*t.shape, *t.strides)):
        return False
    step: z.Size = 1
    for stride, n in sorted((s, n) for s, n in zip(t.strides, t.shape, strict=True) if n != 1):
        if stride != step:
            return False
        step = step * n
    return True


def step_scratch(step: p.KernelStep | p.RoutineStep) -> z.Size:
    """Bytes of scratch one thread needs for the step."""
    return step.scratch if isinstance(step, p.RoutineStep) else scratch_bytes(step.kernel)


def scratch_bytes(kernel: Kernel) -> z.Size:
    """Bytes of one thread's scratch: all areas in order, each at a multiple of 64 bytes."""
    total: z.Size = 0
    for s in kernel.scratch:
        total = total + z.floordiv(s.size * s.dtype.itemsize + 63, 64) * 64
    return total


def _matmul(out: Any, a: Any, b: Any) -> None:
    if dtypes.BY_NUMPY[out.dtype].is_half:
        out[...] = np.matmul(a.astype(np.float32), b.astype(np.float32)).astype(out.dtype)
    else:
        np.matmul(a, b, out=out)


def viewed_by(out: p.PlanOutput) -> tuple[str, ...]:
    """The symbols on which an output that is a view depends."""
    sizes = (*([] if out.offset is None else [out.offset]), *sizes_of(out.type))
    return tuple(dict.fromkeys(name for n in sizes for name in z.symbols_of(n)))


def _extern(step: p.ExternStep, attrs: Mapping[str, Any], names: Sequence[str]) -> Callable[..., None]:
    op, count, end = step.op, len(step.results), len(step.results) + len(step.args)
    result_dtypes = [r.type.dtype for r in step.results]

    def run(*operands: Any) -> None:
        with np.errstate(all="ignore"):
            known = dict(zip(names, operands[end:], strict=True))
            given = _substituted(attrs, known) if known else attrs
            found = run_op(op, operands[count:end], given, result_dtypes)
            for place, value in zip(operands[:count], found, strict=True):
                place[...] = value if value.dtype == place.dtype else value.astype(place.dtype)

    return run


def _substituted(value: Any, known: Mapping[str, int]) -> Any:
    """Attributes with the symbols in `known` replaced."""
    if isinstance(value, z.Expr):
        return z.substitute(value, known)
    if isinstance(value, (tuple, list)):
        return type(value)(_substituted(x, known) for x in value)
    return {k: _substituted(x, known) for k, x in value.items()} if isinstance(value, dict) else value


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, z.Expr):
        yield from z.symbols_of(value)
    elif isinstance(value, (tuple, list)):
        for x in value:
            yield from _names(x)
