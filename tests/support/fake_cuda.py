"""A CUDA driver without a GPU: device memory is the host's, kernels are run by the reference interpreter of their kernel IR.

Entry points are Python functions behind machine-code addresses, so that all of the product down to the driver's calls runs.
With `lazy` nothing runs before somebody waits for it, in the order that streams and events leave: what reads too early, or gives
memory back too soon, gets wrong numbers. Copies and kernels outside of allocated memory are errors.
"""

from __future__ import annotations

import ctypes
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fusewire.backends.gpu import builder, launch
from fusewire.backends.gpu.kernel import Aligned, CompiledKernel, Parameter, Target, Variant
from fusewire.backends.reference import run_kernel
from fusewire.ir import sizes
from fusewire.ir.loops import Kernel
from fusewire.runtime.gpu import cuda, device

ERRORS = {
    1: "CUDA_ERROR_INVALID_VALUE", 2: "CUDA_ERROR_OUT_OF_MEMORY", 600: "CUDA_ERROR_NOT_READY",
    900: "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
}  # fmt: skip
ATTRIBUTES = {10: 32, 82: 65536, 16: 132, 38: 50 << 20, 39: 2048, 75: 9, 76: 0, 97: 232448}


def put(address: Any, kind: Any, value: Any) -> None:
    """Store an output argument."""
    kind.from_address(address).value = value


class Stream:
    """Work in order. `done`: how much of it has run."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []
        self.done = 0
        self.graph: list[Callable[[], None]] | None = None


class Event:
    """A place in a stream (None: never recorded), and when it was passed."""

    def __init__(self) -> None:
        self.stream: Stream | None = None
        self.place = 0
        self.time = 0.0


class Fake:
    """The driver. `launches`: (name of the kernel, grid, stream) of each. `memory`: bytes of a device."""

    def __init__(self, count: int = 1, lazy: bool = False, memory: int = 1 << 30, run: bool = True) -> None:
        self.count, self.lazy, self.total, self.run = count, lazy, memory, run
        self.launches: list[tuple[str, tuple[int, int, int], int]] = []
        self.faults: list[BaseException] = []
        self.calls: dict[str, int] = {}
        self.here = 0
        self.contexts = itertools.count(1)
        self._numbers = itertools.count(0x1000)
        self.objects: dict[int, Any] = {0: Stream()}
        self.blocks: dict[int, tuple[Any, int, int]] = {}  # address -> (buffer, bytes, device)
        self.pinned: dict[int, tuple[Any, int]] = {}
        self.kernels: dict[bytes, tuple[Any, CompiledKernel]] = {}
        self._entries: dict[str, Any] = {}
        self._text = {code: ctypes.create_string_buffer(name.encode()) for code, name in ERRORS.items()}

    # -- as a library

    def address(self, name: str) -> int:
        """The entry point's machine code."""
        if name not in self._entries:
            work = getattr(self, name)

            def call(*args: Any) -> int:
                self.calls[name] = self.calls.get(name, 0) + 1
                try:
                    return work(*args) or 0
                except BaseException as error:
                    self.faults.append(error)
                    return 1

            self._entries[name] = ctypes.PYFUNCTYPE(ctypes.c_int, *cuda.SIGNATURES[name])(call)
        return ctypes.cast(self._entries[name], ctypes.c_void_p).value or 0

    def new(self, thing: Any) -> int:
        number = next(self._numbers)
        self.objects[number] = thing
        return number

    def stream(self, handle: int | None) -> Stream:
        return self.objects[handle or 0]

    # -- order

    def do(self, handle: int | None, work: Callable[[], None]) -> None:
        s = self.stream(handle)
        if s.graph is not None:
            s.graph.append(work)
            return
        s.work.append(work)
        if not self.lazy:
            self.drain(s)

    def drain(self, s: Stream, upto: int | None = None) -> None:
        while s.done < (len(s.work) if upto is None else upto):
            work = s.work[s.done]
            s.done += 1
            work()

    def drain_all(self) -> None:
        for s in [x for x in self.objects.values() if isinstance(x, Stream)]:
            self.drain(s)

    def holds(self, address: int, nbytes: int) -> bool:
        """Whether memory of a device, or pinned memory, has these bytes."""
        found = [(a, b[1]) for a, b in self.blocks.items()] + [(a, b[1]) for a, b in self.pinned.items()]
        return any(a <= address and address + nbytes <= a + n for a, n in found)

    def move(self, target: int, source: int, nbytes: int) -> None:
        ctypes.memmove(target, source, nbytes)

    # -- entry points

    def cuInit(self, flags: int) -> None: ...

    def cuDriverGetVersion(self, out: int) -> None:
        put(out, ctypes.c_int, 13000)

    def cuDeviceGetCount(self, out: int) -> None:
        put(out, ctypes.c_int, self.count)

    def cuDeviceGet(self, out: int, ordinal: int) -> int:
        put(out, ctypes.c_int, ordinal)
        return 0 if ordinal < self.count else 1

    def cuDeviceGetName(self, out: int, size: int, dev: int) -> None:
        ctypes.memmove(out, b"Fake GPU\0", 9)

    def cuDeviceGetAttribute(self, out: int, number: int, dev: int) -> None:
        put(out, ctypes.c_int, ATTRIBUTES[number])

    def cuDeviceTotalMem_v2(self, out: int, dev: int) -> None:
        put(out, ctypes.c_size_t, self.total)

    def cuDevicePrimaryCtxRetain(self, out: int, dev: int) -> None:
        put(out, ctypes.c_void_p, 0x100 + dev)

    def cuCtxSetCurrent(self, context: int) -> None:
        self.here = context - 0x100

    def cuCtxSynchronize(self) -> None:
        self.drain_all()

    def cuGetErrorName(self, code: int, out: int) -> None:
        put(out, ctypes.c_void_p, ctypes.addressof(self._text.get(code, self._text[1])))

    def cuGetErrorString(self, code: int, out: int) -> None:
        put(out, ctypes.c_void_p, ctypes.addressof(self._text.get(code, self._text[1])))

    def cuPointerGetAttribute(self, out: int, number: int, address: int) -> int:
        for a, (_, n, dev) in self.blocks.items():
            if a <= address < a + n:
                put(out, ctypes.c_int, dev)
                return 0
        return 1

    def cuMemAlloc_v2(self, out: int, nbytes: int) -> int:
        if sum(n for _, n, dev in self.blocks.values() if dev == self.here) + nbytes > self.total:
            return 2
        raw = np.full(nbytes + 512, 0xA5, np.uint8)
        address = -(-raw.ctypes.data // 512) * 512
        self.blocks[address] = raw, nbytes, self.here
        put(out, ctypes.c_void_p, address)
        return 0

    def cuMemFree_v2(self, address: int) -> None:
        self.drain_all()
        del self.blocks[address]

    def cuMemGetInfo_v2(self, free: int, total: int) -> None:
        put(total, ctypes.c_size_t, self.total)
        put(free, ctypes.c_size_t, self.total - sum(n for _, n, dev in self.blocks.values() if dev == self.here))

    def cuMemHostAlloc(self, out: int, nbytes: int, flags: int) -> None:
        raw = np.full(nbytes, 0xA5, np.uint8)
        self.pinned[raw.ctypes.data] = raw, nbytes
        put(out, ctypes.c_void_p, raw.ctypes.data)

    def cuMemFreeHost(self, address: int) -> None:
        del self.pinned[address]

    def cuMemcpyHtoDAsync_v2(self, target: int, source: int, nbytes: int, stream: int | None) -> None:
        assert self.holds(target, nbytes), f"a copy of {nbytes} bytes to {target:#x} leaves the device's memory"
        late = any(a <= source < a + n for a, (_, n) in self.pinned.items())
        kept = None if late else ctypes.create_string_buffer(ctypes.string_at(source, nbytes), nbytes)
        self.do(stream, lambda: self.move(target, source if kept is None else ctypes.addressof(kept), nbytes))

    def cuMemcpyDtoHAsync_v2(self, target: int, source: int, nbytes: int, stream: int | None) -> None:
        assert self.holds(source, nbytes), f"a copy of {nbytes} bytes from {source:#x} leaves the device's memory"
        self.do(stream, lambda: self.move(target, source, nbytes))

    def cuMemcpyAsync(self, target: int, source: int, nbytes: int, stream: int | None) -> None:
        assert self.holds(target, nbytes) and self.holds(source, nbytes), f"a copy of {nbytes} bytes leaves the device's memory"
        self.do(stream, lambda: self.move(target, source, nbytes))

    def cuMemsetD8Async(self, target: int, byte: int, nbytes: int, stream: int | None) -> None:
        assert self.holds(target, nbytes)
        self.do(stream, lambda: ctypes.memset(target, byte, nbytes) and None)

    def cuStreamCreateWithPriority(self, out: int, flags: int, priority: int) -> None:
        put(out, ctypes.c_void_p, self.new(Stream()))

    def cuStreamDestroy_v2(self, handle: int) -> None:
        self.drain(self.objects.pop(handle))

    def cuStreamSynchronize(self, handle: int | None) -> None:
        self.drain(self.stream(handle))

    def cuStreamQuery(self, handle: int | None) -> int:
        s = self.stream(handle)
        return 0 if s.done == len(s.work) else 600

    def cuStreamWaitEvent(self, handle: int | None, event: int, flags: int) -> None:
        e = self.objects[event]
        if e.stream is not None:
            stream, place = e.stream, e.place
            self.do(handle, lambda: self.drain(stream, place))

    def cuStreamBeginCapture_v2(self, handle: int | None, mode: int) -> int:
        if not handle:
            return 900
        self.stream(handle).graph = []
        return 0

    def cuStreamEndCapture(self, handle: int, out: int) -> None:
        s = self.stream(handle)
        put(out, ctypes.c_void_p, self.new(s.graph))
        s.graph = None

    def cuGraphInstantiateWithFlags(self, out: int, graph: int, flags: int) -> None:
        put(out, ctypes.c_void_p, self.new(list(self.objects[graph])))

    def cuGraphLaunch(self, graph: int, stream: int | None) -> None:
        for work in self.objects[graph]:
            self.do(stream, work)

    def cuGraphExecDestroy(self, graph: int) -> None:
        del self.objects[graph]

    cuGraphDestroy = cuGraphExecDestroy

    def cuEventCreate(self, out: int, flags: int) -> None:
        put(out, ctypes.c_void_p, self.new(Event()))

    def cuEventRecord(self, event: int, handle: int | None) -> None:
        e, s = self.objects[event], self.stream(handle)
        self.do(handle, lambda: setattr(e, "time", time.perf_counter()))
        e.stream, e.place = s, len(s.work)

    def cuEventQuery(self, event: int) -> int:
        e = self.objects[event]
        return 0 if e.stream is None or e.stream.done >= e.place else 600

    def cuEventSynchronize(self, event: int) -> None:
        e = self.objects[event]
        if e.stream is not None:
            self.drain(e.stream, e.place)

    def cuEventElapsedTime(self, out: int, start: int, end: int) -> None:
        put(out, ctypes.c_float, 1e3 * (self.objects[end].time - self.objects[start].time))

    def cuEventDestroy_v2(self, event: int) -> None:
        del self.objects[event]

    def cuModuleLoadData(self, out: int, image: int) -> None:
        name = ctypes.string_at(image)
        put(out, ctypes.c_void_p, self.new(None if name.startswith(b"\x7fELF") else self.kernels[name]))  # real code is not run

    def cuModuleUnload(self, module: int) -> None:
        del self.objects[module]

    def cuModuleGetFunction(self, out: int, module: int, name: bytes) -> None:
        found = self.objects[module] or (None, name.decode())
        assert found[0] is None or found[1].name == name.decode()
        put(out, ctypes.c_void_p, self.new(found))

    def cuFuncGetAttribute(self, out: int, number: int, function: int) -> None:
        put(out, ctypes.c_int, 0)

    def cuFuncSetAttribute(self, function: int, number: int, value: int) -> None: ...

    def cuFuncSetCacheConfig(self, function: int, value: int) -> None: ...

    def cuTensorMapEncodeTiled(self, out: int, *rest: Any) -> None:
        ctypes.memset(out, 0xAB, 128)

    def cuLaunchKernel(
        self, function: int, x: int, y: int, z: int, bx: int, by: int, bz: int, shared: int, stream: int | None, params: int,
        extra: Any,
    ) -> None:  # fmt: skip
        kernel, compiled = self.objects[function]
        if kernel is None:
            self.launches.append((compiled, (x, y, z), stream or 0))
            return
        assert (bx, by, bz) == (compiled.num_warps * compiled.target.warp, 1, 1)
        pointers = (ctypes.c_void_p * len(compiled.params)).from_address(params)
        words = [ctypes.c_int64.from_address(p).value for p in pointers]
        self.launches.append((compiled.name, (x, y, z), stream or 0))
        assert len(self.launches) < 1 << 20
        if self.run:
            self.do(stream, lambda: self.execute(kernel, compiled, words))

    def execute(self, kernel: Kernel, compiled: CompiledKernel, words: Sequence[int]) -> None:
        """Run a kernel on what its arguments point to."""
        given: dict[str, dict[int, int]] = {}
        for p, word in zip(compiled.params, words, strict=True):
            given.setdefault(p.kind, {})[p.index] = word
        values = {name: given["size"][i] for i, name in enumerate(kernel.sizes)}
        arrays = []
        for i, b in enumerate(kernel.buffers):
            count, address = sizes.evaluate(b.size, values), given["buffer"][i]
            nbytes = count * b.dtype.itemsize
            assert not nbytes or self.holds(address, nbytes), f"{kernel.name}: buffer {b.name} of {nbytes} bytes at {address:#x}"
            raw = (ctypes.c_ubyte * nbytes).from_address(address) if nbytes else b""
            arrays.append(np.frombuffer(raw, b.dtype.np, count))
        scalars = []
        for i, s in enumerate(kernel.scalars):
            word = given["float" if s.kind == "float" else "int"][i]
            scalars.append(ctypes.c_double.from_buffer(ctypes.c_int64(word)).value if s.kind == "float" else word)
        status = run_kernel(kernel, arrays, values, scalars)
        if status:
            ctypes.c_int32.from_address(given["status"][0]).value = status


class Reference:
    """A builder whose code the fake driver runs: "machine code" is the name by which the fake knows the kernel."""

    claims: Any = {}

    def __init__(self, fake: Fake) -> None:
        self.fake, self.built = fake, 0

    def kernels(self, kernels: Sequence[Kernel], target: Target) -> dict[str, tuple[Variant, ...]]:
        return {k.name: self.variants(k, target) for k in kernels}

    def routine(self, step: Any, target: Target) -> tuple[Variant, ...]:
        raise AssertionError(f"nothing claims {step}")

    def candidates(self, work: Any, target: Target) -> dict[str, Any]:
        return {name: lambda: self.variants(work, target) for name in ("one", "two")}

    def variants(self, kernel: Kernel, target: Target) -> tuple[Variant, ...]:
        aligned = tuple(Aligned(i) for i in range(len(kernel.buffers)))
        return tuple(self.variant(kernel, target, assumes) for assumes in (aligned, ()))

    def variant(self, kernel: Kernel, target: Target, assumes: Any) -> Variant:
        params = [Parameter("buffer", i) for i in range(len(kernel.buffers))]
        params += [Parameter("scratch", i) for i in range(len(kernel.scratch))]
        params += [Parameter("size", i, "i64") for i in range(len(kernel.sizes))]
        params += [Parameter("float" if s.kind == "float" else "int", i) for i, s in enumerate(kernel.scalars)]
        params += [Parameter("status")] if kernel.errors else []
        params += [Parameter("null"), Parameter("null")]
        numel: Any = 1
        for axis in kernel.grid:
            numel = numel * axis.extent
        scratch = tuple(s.size * s.dtype.itemsize * numel for s in kernel.scratch)
        loaded: list[CompiledKernel] = []

        def load() -> tuple[CompiledKernel, ...]:
            if not loaded:
                self.built += 1
                image = f"kernel {len(self.fake.kernels)}".encode()
                grid = (sizes.floordiv(numel + 1023, 1024), 1, 1)
                loaded.append(CompiledKernel(kernel.name, image + b"\0", target, 0, 4, tuple(params), grid, kernel.sizes))
                self.fake.kernels[image] = kernel, loaded[0]
            return tuple(loaded)

        return Variant(assumes, kernel.sizes, scratch, load)


@contextmanager
def installed(triton: bool = False, **options: Any) -> Iterator[Fake]:
    """The fake in the driver's place; no fault of it stays unseen. With `triton` kernels are compiled by it, and not run."""
    fake = Fake(**options)
    find, current = cuda.find_library, builder.current
    cuda.find_library = lambda: fake
    builder.current = builder.Triton() if triton else Reference(fake)
    device.forget()
    launch._functions.clear()
    try:
        yield fake
    finally:
        device.forget()
        cuda.find_library, builder.current = find, current
    if fake.faults:
        raise fake.faults[0]
