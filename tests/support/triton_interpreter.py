"""Runs printed kernels by Triton's interpreter on NumPy memory: no GPU, no PyTorch. For a process of its own.

Triton decides when it is imported whether its functions are compiled or interpreted, so import this first. Four things in
Triton 3.6's interpreter are put right: ``int()`` of an array of one element (refused by NumPy 2.4), bf16 operands of ``tl.dot``
(it multiplies their bit patterns), a scalar bool beside a block (it becomes a float), and functions of libdevice (it has none).
"""

from __future__ import annotations

import os

os.environ["TRITON_INTERPRET"] = "1"

import hashlib
import linecache
import math
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import races
import triton
import triton.language as tl
from triton.language.extra import libdevice
from triton.runtime import interpreter

from fusewire.backends.gpu.config import Config
from fusewire.backends.gpu.kernel import TensorMap
from fusewire.backends.gpu.templates import routine_ways
from fusewire.backends.gpu.ways import Way, kernel_ways
from fusewire.ir import sizes
from fusewire.ir.loops import Kernel
from fusewire.ir.plan import FromInput, FromOutput, KernelStep, Plan, RoutineStep, ScalarInput

_TYPES = {
    "i8": tl.int8, "u8": tl.uint8, "i16": tl.int16, "i32": tl.int32, "i64": tl.int64, "fp16": tl.float16, "bf16": tl.bfloat16,
    "fp32": tl.float32, "fp64": tl.float64,
}  # fmt: skip
_NUMBERS = {"i32": np.int32, "i64": np.int64, "fp32": np.float32, "fp64": np.float64}


def install() -> None:
    """Put the four things right."""
    before = interpreter._patch_lang_tensor

    def patched(tensor: Any, scope: Any) -> None:
        before(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.reshape(-1)[0]))
        scope.set_attr(tensor, "__int__", lambda self: int(self.handle.data.reshape(-1)[0]))

    interpreter._patch_lang_tensor = patched
    dot = interpreter.InterpreterBuilder.create_dot

    def wide(h: Any) -> Any:
        if h.dtype.scalar != tl.bfloat16:
            return h
        return interpreter.TensorHandle((h.data.astype(np.uint32) << 16).view(np.float32), tl.float32)

    interpreter.InterpreterBuilder.create_dot = lambda self, a, b, *rest: dot(self, wide(a), wide(b), *rest)
    interpreter.InterpreterBuilder.create_splat = lambda self, to, x: interpreter.TensorHandle(
        np.full(to.shape, x.data, x.data.dtype), x.dtype.scalar
    )
    floats: dict[str, Callable[..., Any]] = {
        "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sin": np.sin, "cos": np.cos, "tanh": np.tanh,
        "erf": np.vectorize(math.erf, otypes=[np.float64]), "pow": np.power, "fmod": np.fmod, "copysign": np.copysign,
        "trunc": np.trunc, "nearbyint": np.rint, "sqrt": np.sqrt, "exp2": np.exp2, "log2": np.log2,
    }  # fmt: skip
    for name, function in floats.items():
        setattr(libdevice, name, _interpreted(function))


def _interpreted(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **rest: Any) -> Any:
        tensors = [x for x in args if isinstance(x, tl.tensor)]
        like = next((x for x in tensors if x.type.is_block()), tensors[0])
        with np.errstate(all="ignore"):
            data = np.asarray(function(*(x.handle.data if isinstance(x, tl.tensor) else x for x in args)))
        data = data.astype(like.handle.data.dtype)
        kind = like.type.scalar
        whole = tl.block_type(kind, list(data.shape)) if like.type.is_block() else kind
        return tl.tensor(interpreter.TensorHandle(data, kind), whole)

    return call


def pointer(array: np.ndarray[Any, Any], kind: str) -> Any:
    """`array`'s first element as an argument of Triton type `kind`, such as "*fp32"."""
    type = tl.pointer_type(_TYPES[kind[1:]])
    return tl.tensor(interpreter.TensorHandle(np.array([array.ctypes.data], np.uint64), type), type)


def number(value: Any, kind: str) -> Any:
    """A scalar argument of Triton type `kind`."""
    type = _TYPES[kind]
    return tl.tensor(interpreter.TensorHandle(np.array([value], _NUMBERS[kind]), type), type)


def described(map: TensorMap, buffers: Sequence[np.ndarray[Any, Any]], kind: str, known: Mapping[str, int]) -> Any:
    """A tensor map as an argument of Triton type `kind`, such as "tensordesc<bf16[128, 64]>"."""
    element = kind.split("<")[1].split("[")[0]
    shape = [number(sizes.evaluate(n, known), "i32") for n in map.shape]
    strides = [*(number(sizes.evaluate(n, known), "i64") for n in map.strides[:-1]), tl.constexpr(1)]
    base = pointer(buffers[map.buffer], f"*{element}")
    box = [tl.constexpr(n) for n in map.box]
    return interpreter.interpreter_semantic.make_tensor_descriptor(base, shape, strides, box, "zero")


def function(name: str, text: str) -> Any:
    """The interpreted function of a source."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    file, module = f"<{name} {digest}>", f"interpreted_{digest}"
    if module not in sys.modules:
        linecache.cache[file] = (len(text), None, text.splitlines(True), file)
        made: Any = types.ModuleType(module)
        sys.modules[module] = made
        exec(compile(text, file, "exec"), made.__dict__)
    return getattr(sys.modules[module], name)


#: what real threads would have made of each launch in another order (`races`), by the kernel's name
found: dict[str, set[str]] = {}


def run_way(
    way: Way, buffers: Sequence[np.ndarray[Any, Any]], values: Sequence[int], scalars: Sequence[Any]
) -> int:
    """Run the launches of a way on first elements of arrays; the status. What hangs on the order of threads goes into `found`."""
    known = dict(zip(way.sizes, values, strict=True))
    status = np.zeros(1, np.int32)
    areas = [np.full(int(sizes.evaluate(s, known)) + 64, 0xAB, np.uint8) for s in way.scratch]
    memory = {"buffer": buffers, "scratch": areas, "status": [status]}
    touched = [*(b for b in buffers if b is not None), *areas, status]
    for job in way.jobs:
        kinds = [kind for kind in job.build.signature.values() if kind != "constexpr"]
        args = []
        for kind, p in zip(kinds, (p for p in job.params if p.kind != "map size"), strict=True):
            if p.kind == "map":
                args.append(described(job.maps[p.index], buffers, kind, known))
            elif p.kind in memory:
                args.append(pointer(memory[p.kind][p.index], kind))
            else:
                args.append(number((values if p.kind == "size" else scalars)[p.index], kind))
        grid = tuple(int(sizes.evaluate(n, known)) for n in job.grid)
        if all(grid):
            with np.errstate(all="ignore"), races.watched(touched, frozenset((status.ctypes.data,))) as watch:
                function(job.build.name, job.build.text)[grid](*args, **job.build.constants)
            if watch.found:
                found.setdefault(job.build.name, set()).update(watch.found)
    return int(status[0])


def run_kernel(
    kernel: Kernel, buffers: Sequence[np.ndarray[Any, Any]], values: Mapping[str, int], scalars: Sequence[Any],
    config: Config | None = None,
) -> int:  # fmt: skip
    """As `backends.reference.run_kernel`, by Triton's interpreter."""
    way = kernel_ways(kernel, config)[-1]
    return run_way(way, buffers, [values[n] for n in kernel.sizes], scalars)


def flat(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The memory of an array from its first element on."""
    span = 1 + sum((n - 1) * s for n, s in zip(x.shape, x.strides, strict=True)) // x.itemsize if x.size else 0
    return window(x, (span,), (x.itemsize,))


def window(x: np.ndarray[Any, Any], shape: Sequence[int], strides: Sequence[int]) -> np.ndarray[Any, Any]:
    """`as_strided`, also of floats of 8 bits, which NumPy's does not know."""
    raw = x.view(np.uint8) if x.dtype.kind == "f" and x.itemsize == 1 else x
    return np.lib.stride_tricks.as_strided(raw, shape, strides).view(x.dtype)


def run_plan(plan: Plan, inputs: Sequence[Any], which: int = -1) -> list[Any]:
    """The fresh outputs of a plan of known sizes whose steps are kernels and our routines, by way number `which` of each."""
    memory = []
    for b in plan.buffers:
        size = b.size if isinstance(b.size, int) else 0
        own = np.zeros(size + 1, b.dtype.np)[: max(size, 1)]
        memory.append(flat(inputs[b.place.index]) if isinstance(b.place, FromInput) else own)
    for step in plan.steps:
        if isinstance(step, KernelStep):
            scalars = [inputs[s.index] for s in step.scalars]
            assert run_kernel(step.kernel, [memory[n] for n in step.buffers], {}, scalars) == 0
        else:
            assert isinstance(step, RoutineStep), step
            views = [None if v is None else memory[v.buffer][int(str(v.offset)) :] for v in step.views]
            scalars = [inputs[s.index] if isinstance(s, ScalarInput) else s for s in step.scalars]
            way = routine_ways(step)[which]
            assert run_way(way, [np.zeros(1) if v is None else v for v in views], [int(str(n)) for n in step.sizes], scalars) == 0
    out = []
    for n, o in enumerate(plan.outputs):
        made = next(m for b, m in zip(plan.buffers, memory, strict=True) if b.place == FromOutput(n))
        strides = [s * made.itemsize for s in o.type.strides]
        out.append(window(made, o.type.shape, strides))
    return out


install()
assert triton.runtime.interpreter is interpreter
