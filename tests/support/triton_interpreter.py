"""Runs printed kernels by Triton's interpreter on NumPy memory: no GPU, no PyTorch. For a process of its own.

Triton decides when it is imported whether its functions are compiled or interpreted, so import this first. Four things in
Triton 3.6's interpreter are put right: ``int()`` of an array of one element (refused by NumPy 2.4), bf16 operands of ``tl.dot``
(it multiplies their bit patterns), a scalar bool beside a block (it becomes a float), and functions of libdevice, which it has not.
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
import triton
import triton.language as tl
from triton.language.extra import libdevice
from triton.runtime import interpreter

from fusewire.backends.gpu.config import Config
from fusewire.backends.gpu.triton import Source, triton_source
from fusewire.ir import sizes
from fusewire.ir.loops import Kernel

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
        "trunc": np.trunc, "rint": np.rint, "sqrt": np.sqrt, "exp2": np.exp2, "log2": np.log2,
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
        return tl.tensor(interpreter.TensorHandle(data, kind), tl.block_type(kind, list(data.shape)) if like.type.is_block() else kind)

    return call


def pointer(array: np.ndarray[Any, Any], kind: str) -> Any:
    """`array`'s first element as an argument of Triton type `kind`, such as "*fp32"."""
    type = tl.pointer_type(_TYPES[kind[1:]])
    return tl.tensor(interpreter.TensorHandle(np.array([array.ctypes.data], np.uint64), type), type)


def number(value: Any, kind: str) -> Any:
    """A scalar argument of Triton type `kind`."""
    type = _TYPES[kind]
    return tl.tensor(interpreter.TensorHandle(np.array([value], _NUMBERS[kind]), type), type)


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


def run_source(
    source: Source, buffers: Sequence[np.ndarray[Any, Any]], values: Sequence[int], names: Sequence[str], scalars: Sequence[Any]
) -> int:
    """Run a printed kernel; its status."""
    known = dict(zip(names, values, strict=True))
    status = np.zeros(1, np.int32)
    areas = [np.full(int(sizes.evaluate(s, known)) + 64, 0xAB, np.uint8) for s in source.scratch]
    args = []
    for (kind, p) in zip(source.signature.values(), source.params, strict=True):
        if p.kind in ("buffer", "scratch", "status"):
            args.append(pointer({"buffer": buffers, "scratch": areas, "status": [status]}[p.kind][p.index], kind))
        else:
            args.append(number((values if p.kind == "size" else scalars)[p.index], kind))
    grid = int(sizes.evaluate(source.grid, known))
    if grid:
        with np.errstate(all="ignore"):
            function(source.name, source.text)[(grid,)](*args, **source.blocks)
    return int(status[0])


def run_kernel(
    kernel: Kernel, buffers: Sequence[np.ndarray[Any, Any]], values: Mapping[str, int], scalars: Sequence[Any],
    config: Config | None = None,
) -> int:  # fmt: skip
    """As `backends.reference.run_kernel`, by Triton's interpreter."""
    source = triton_source(kernel, config)
    return run_source(source, buffers, [values[n] for n in kernel.sizes], kernel.sizes, scalars)


install()
assert triton.runtime.interpreter is interpreter
