"""Compiles one kernel for the CPU and runs it on ndarrays."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence

import numpy as np

from fusewire.backends.cpu import module
from fusewire.backends.cpu.kinds import Target
from fusewire.ir import dtypes, sizes
from fusewire.ir.dtypes import DType
from fusewire.ir.loops import Axis, Buffer, Compute, Kernel, Load, Stmt, Store

_FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4, ctypes.c_int64, ctypes.c_int64)

#: the ways to write vectors: masked 512 bits, and 256 and 128 bits with a scalar remainder
TARGETS = (Target(64, True), Target(32, False), Target(16, False))


def run(
    kernel: Kernel,
    arrays: Sequence[np.ndarray],
    symbols: Mapping[str, int] | None = None,
    scalars: Sequence[float] = (),
    threads: int = 1,
    target: Target | None = None,
) -> int:
    """The kernel's status after running all threads one after another; `arrays` are its buffers (first elements count)."""
    code = module.compile_kernels([kernel], target)
    function, known = _FUNCTION(code[kernel.name]), dict(symbols or {})
    pointers = np.array([a.ctypes.data for a in arrays], np.uint64)
    values = np.array([known[name] for name in kernel.sizes], np.int64)
    packed = b"".join(
        (np.float64 if p.kind == "float" else np.int64)(v).tobytes() for p, v in zip(kernel.scalars, scalars, strict=True)
    )
    words = np.frombuffer(packed + bytes(8), np.uint8).copy()
    need = sum(int(sizes.evaluate(s.size, known)) * s.dtype.itemsize + 64 for s in kernel.scratch) + 64
    scratch = np.full(need, 0xAB, np.uint8)
    aligned = scratch.ctypes.data + (-scratch.ctypes.data) % 64
    status = 0
    for t in range(threads):
        status = function(pointers.ctypes.data, values.ctypes.data, words.ctypes.data, aligned, t, threads) or status
    return status


def pointwise(prim: str, operands: Sequence[DType], result: DType, name: str = "k") -> Kernel:
    """``o[i] = prim(x0[i], x1[i], ...)`` for i below N; half operands only for `cast`."""
    i, n = sizes.symbol("i"), sizes.symbol("N")
    inputs = [Buffer(f"x{k}", d, n, "r") for k, d in enumerate(operands)]
    body: list[Stmt] = [Load(f"v{k}", b.name, i) for k, b in enumerate(inputs)]
    body += [Compute("r", prim, tuple(f"v{k}" for k in range(len(inputs))), result), Store("o", i, "r")]
    return Kernel(name, (*inputs, Buffer("o", result, n, "w")), ("N",), (), (Axis("i", n),), tuple(body))


def apply(prim: str, xs: Sequence[np.ndarray], result: DType, target: Target | None = None) -> np.ndarray:
    """`prim` over whole arrays."""
    out = np.empty(xs[0].shape, result.np)
    kernel = pointwise(prim, [dtypes.from_numpy(x.dtype) for x in xs], result)
    assert run(kernel, [*xs, out], {"N": xs[0].size}, target=target) == 0
    return out
