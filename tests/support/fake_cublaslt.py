"""A cuBLASLt without a GPU: it computes products in the fake driver's memory, and is strict about what it is handed.

Every descriptor is one that it has written itself, every algorithm one that it has given for exactly these descriptors; operands,
results, bias and workspace lie in device memory as far as they reach, at multiples of what was promised.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import fake_cuda
import numpy as np

from fusewire.backends.gpu import builder, cublas
from fusewire.backends.gpu.claims import CLAIMS
from fusewire.backends.gpu.kernel import CompiledKernel, Target, Variant
from fusewire.ir import dtypes
from fusewire.ir.graph import Node, Value
from fusewire.ir.op import lookup
from fusewire.ir.schedule_prepare import Claim
from fusewire.runtime.gpu import cublaslt

INVALID, UNSUPPORTED = 7, 15
DTYPES = {number: dtype for dtype, number in cublaslt.TYPES.items()}
NEEDED = {"layout": 112, "operation": 256, "preference": 96}  # bytes of the descriptors of version 13
WIDTHS = {
    "operation": {3: 4, 4: 4, 7: 4, 8: 8, 26: 4}, "layout": {5: 4, 6: 8}, "preference": {1: 8, 3: 4, 5: 4, 6: 4, 7: 4, 8: 4},
}  # fmt: skip
MAGIC = 0x5EED


@dataclass
class Thing:
    """What a descriptor holds."""

    kind: str
    given: tuple[int, ...]
    attributes: dict[int, int] = field(default_factory=dict)

    def seen(self) -> tuple[Any, ...]:
        """All of it but the address of a bias."""
        told = {k: v for k, v in self.attributes.items() if (self.kind, k) != ("operation", 8)}
        return self.kind, self.given, tuple(sorted(told.items()))


class Fake:
    """The library. `products`: (sizes m, n, k and batch as the library sees them, epilogue, compute type) of each call."""

    def __init__(self, driver: fake_cuda.Fake, algorithms: int = 2) -> None:
        self.driver, self.count = driver, algorithms
        self.things: dict[int, Thing] = {}
        self.proposed: list[tuple[Any, ...]] = []
        self.products: list[tuple[tuple[int, ...], int, int]] = []
        self.asked = 0
        self._entries: dict[str, Any] = {}

    def address(self, name: str) -> int:
        """The entry point's machine code."""
        if name not in self._entries:
            work = getattr(self, name.removesuffix("_internal"))

            def call(*args: Any) -> int:
                try:
                    return work(*args) or 0
                except BaseException as error:
                    self.driver.faults.append(error)
                    return INVALID

            self._entries[name] = ctypes.PYFUNCTYPE(ctypes.c_int, *cublaslt.SIGNATURES[name])(call)
        return ctypes.cast(self._entries[name], ctypes.c_void_p).value or 0

    # -- descriptors

    def cublasLtCreate(self, out: int) -> None:
        fake_cuda.put(out, ctypes.c_void_p, MAGIC)

    def cublasLtDestroy(self, handle: int) -> None: ...

    def write(self, at: int, size: int, kind: str, *given: int) -> int:
        if size < NEEDED[kind]:
            return 3
        ctypes.memset(at, 0xEE, NEEDED[kind])
        self.things[at] = Thing(kind, given)
        return 0

    def cublasLtMatmulDescInit(self, at: int, size: int, compute: int, scale: int) -> int:
        return self.write(at, size, "operation", compute, scale)

    def cublasLtMatrixLayoutInit(self, at: int, size: int, dtype: int, rows: int, columns: int, lead: int) -> int:
        assert dtype in DTYPES and rows > 0 and columns > 0 and lead >= rows
        return self.write(at, size, "layout", dtype, rows, columns, lead)

    def cublasLtMatmulPreferenceInit(self, at: int, size: int) -> int:
        return self.write(at, size, "preference")

    def put(self, kind: str, at: int, attribute: int, value: int, size: int) -> None:
        thing = self.things[at]
        assert thing.kind == kind and WIDTHS[kind][attribute] == size, (kind, attribute, size)
        thing.attributes[attribute] = int.from_bytes(ctypes.string_at(value, size), "little", signed=True)

    def cublasLtMatmulDescSetAttribute(self, *args: int) -> None:
        self.put("operation", *args)

    def cublasLtMatrixLayoutSetAttribute(self, *args: int) -> None:
        self.put("layout", *args)

    def cublasLtMatmulPreferenceSetAttribute(self, *args: int) -> None:
        self.put("preference", *args)

    def cublasLtMatmulDescGetAttribute(self, *args: int) -> int:
        return UNSUPPORTED

    cublasLtMatrixLayoutGetAttribute = cublasLtMatmulDescGetAttribute

    # -- products

    def cublasLtMatmulAlgoGetHeuristic(
        self, handle: int, operation: int, a: int, b: int, c: int, d: int, preference: int, most: int, results: int, count: int
    ) -> int:
        self.asked += 1
        assert handle == MAGIC
        wanted = self.things[preference].attributes
        asked = [self.things[x] for x in (operation, a, b, c, d)]
        size = DTYPES[asked[1].given[0]].itemsize
        if DTYPES[asked[1].given[0]].is_half:
            assert wanted[3] == 2, "sums of parts would be rounded to the half type"
        if min(wanted[k] for k in (5, 6, 7, 8)) < size:
            return UNSUPPORTED
        fitting = min(most, self.count)
        for n in range(fitting):
            self.proposed.append((tuple(t.seen() for t in asked), tuple(wanted[k] for k in (5, 6, 7, 8)), 4096 * n))
            r = cublaslt.Heuristic.from_address(results + n * ctypes.sizeof(cublaslt.Heuristic))
            r.algo[0], r.algo[7], r.workspace, r.state = len(self.proposed) - 1, MAGIC, 4096 * n, 0
            assert r.workspace <= wanted[1]
        fake_cuda.put(count, ctypes.c_int, fitting)
        return 0

    def matrix(self, at: int, layout: Thing) -> Any:
        """All matrices of a batch as one array, whose memory is the device's."""
        dtype, rows, columns, lead = layout.given
        batch, far = layout.attributes.get(5, 1), layout.attributes.get(6, 0)
        size = DTYPES[dtype].itemsize
        assert batch == 1 or far >= 0
        extent = 1 + (rows - 1) + (columns - 1) * lead + (batch - 1) * far
        assert self.driver.holds(at, extent * size), f"an operand of {extent} elements at {at:#x} leaves the device's memory"
        raw = np.frombuffer((ctypes.c_ubyte * (extent * size)).from_address(at), DTYPES[dtype].np)
        return np.lib.stride_tricks.as_strided(raw, (batch, rows, columns), [s * size for s in (far, 1, lead)])

    def cublasLtMatmul(
        self, handle: int, operation: int, alpha: int, a: int, la: int, b: int, lb: int, beta: int, c: int, lc: int, d: int,
        ld: int, algo: int, workspace: int, nbytes: int, stream: int | None,
    ) -> None:  # fmt: skip
        things = [self.things[x] for x in (operation, la, lb, lc, ld)]
        op, *layouts = things
        words = (ctypes.c_uint64 * 8).from_address(algo)
        assert handle == MAGIC and words[7] == MAGIC, "not an algorithm of this library"
        seen, aligned, needed = self.proposed[words[0]]
        assert seen == tuple(t.seen() for t in things), "the algorithm was given for another problem"
        for pointer, by in zip((a, b, c, d), aligned, strict=True):
            assert pointer % by == 0, f"{pointer:#x} is no multiple of {by}"
        assert nbytes == needed and (not nbytes or (workspace % 256 == 0 and self.driver.holds(workspace, nbytes)))
        number = ctypes.c_double if op.given[1] == 1 else ctypes.c_float
        assert number.from_address(alpha).value == 1 and number.from_address(beta).value == 0 and c == d
        epilogue, dtype = op.attributes[7], DTYPES[layouts[0].given[0]]
        assert len({x.given[0] for x in layouts}) == 1 and len({x.attributes.get(5, 1) for x in layouts}) == 1
        left, right, out = (self.matrix(p, x) for p, x in zip((a, b, d), (*layouts[:2], layouts[3]), strict=True))
        left = left.swapaxes(1, 2) if op.attributes[3] else left
        right = right.swapaxes(1, 2) if op.attributes[4] else right
        assert (out.shape[1], left.shape[2], right.shape[2]) == (left.shape[1], right.shape[1], out.shape[2])
        bias = None
        if epilogue & 4:
            at = op.attributes[8]
            assert op.attributes[26] == layouts[0].given[0] and self.driver.holds(at, out.shape[1] * dtype.itemsize)
            bias = np.frombuffer((ctypes.c_ubyte * (out.shape[1] * dtype.itemsize)).from_address(at), dtype.np)
        self.products.append(((*out.shape[1:], left.shape[2], len(out)), epilogue, op.given[0]))
        self.driver.launches.append(("cublasLtMatmul", (0, 0, 0), stream or 0))

        def work() -> None:
            ctypes.memset(workspace, 0x7F, nbytes)
            out[...] = computed(left, right, bias, epilogue, dtype)

        self.driver.do(stream, work)


def computed(left: Any, right: Any, bias: Any, epilogue: int, dtype: Any) -> Any:
    """The product and its epilogue, rounded once."""
    wide = np.float64 if dtype is dtypes.float64 else np.float32
    x = left.astype(wide) @ right.astype(wide)
    if bias is not None:
        x = x + bias.astype(wide)[:, None]
    if epilogue & 2:
        x = np.maximum(x, 0)
    if epilogue & 32:
        x = 0.5 * x * (1 + np.tanh(0.7978845608028654 * (x + 0.044715 * x**3)))
    return x.astype(dtype.np)


class Builder(fake_cuda.Reference):
    """Kernels by the reference interpreter, products by the library alone. `refused`: steps that it does not take."""

    def __init__(self, driver: fake_cuda.Fake) -> None:
        super().__init__(driver)
        self.refused: list[Any] = []

        def known(node: Node) -> bool:
            return isinstance(node.args[0], Value) and node.args[0].dtype in cublaslt.TYPES

        self.claims = {lookup("matmul"): Claim(known, CLAIMS[lookup("matmul")].step, _recognised, half=True)}

    def routine(self, step: Any, target: Target) -> tuple[Variant, ...]:
        def load() -> tuple[CompiledKernel, ...]:
            self.refused.append(step)
            raise AssertionError(f"the library does not take {step}")

        return *cublas.variants(step), Variant((), tuple(f"s{i}" for i in range(len(step.sizes))), (), load)

    def candidates(self, work: Any, target: Target) -> dict[str, Any]:
        if not hasattr(work, "routine"):
            return super().candidates(work, target)
        return {f"cublasLt {n}": lambda n=n: (*cublas.variants(work, n), *self.routine(work, target)[1:]) for n in range(2)}


def _recognised(step: Any, reader: Any, lone: bool) -> Any:
    """The epilogue where the library has it; else a kernel of its own, since there are no templates here."""
    joined = CLAIMS[lookup("matmul")].finish(step, reader, lone)  # type: ignore[misc]
    if not isinstance(joined, str) and cublas.finish_of(joined) is None:
        return "more than the library has"
    return joined


@contextmanager
def installed(**options: Any) -> Iterator[tuple[fake_cuda.Fake, Fake]]:
    """The fake driver and the fake library in the place of the real ones."""
    find = cublaslt.find_libraries
    with fake_cuda.installed(**options) as driver:
        library = Fake(driver)
        cublaslt.find_libraries = lambda: iter([library])
        builder.current = Builder(driver)
        cublaslt._known.clear()
        try:
            yield driver, library
        finally:
            cublaslt.find_libraries = find
            cublaslt._known.clear()
