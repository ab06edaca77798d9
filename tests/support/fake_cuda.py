"""A CUDA driver without a GPU: device memory is the host's, kernels are run by the reference interpreter of their kernel IR.

Entry points are Python functions behind machine-code addresses, so that all of the product down to the driver's calls runs.
With `lazy` nothing runs before somebody waits for it, in the order that streams and events leave: what reads too early, or gives
memory back too soon, gets wrong numbers. Copies and kernels outside of allocated memory are errors.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fusewire.backends.gpu import builder, launch
from fusewire.backends.gpu.kernel import Aligned, CompiledKernel, Parameter, Target, Variant
from fusewire.backends.reference import run_kernel
from fusewire.errors import DeviceError
from fusewire.ir import sizes
from fusewire.ir.loops import Kernel
from fusewire.runtime.gpu import cublaslt, cuda, device, hip

sys.path.insert(0, str(Path(__file__).parent))
import fake_sorting
from fake_work import ANYWHERE, ATTRIBUTES, BEFORE, ERRORS, WHOLE, Capture, Event, Refused, Stream, put


class Fake:
    """The driver. `launches`: (name of the kernel, grid, stream) of each. `memory`: bytes of a device. `dead`: the status that
    all calls give, once a kernel has spoiled the context."""

    signatures: Any = cuda.SIGNATURES

    def __init__(self, count: int = 1, lazy: bool = False, memory: int = 1 << 30, run: bool = True) -> None:
        self.count, self.lazy, self.total, self.run = count, lazy, memory, run
        self.launches: list[tuple[str, tuple[int, int, int], int]] = []
        self.faults: list[BaseException] = []
        self.calls: dict[str, int] = {}
        self.lock = threading.RLock()
        self.threads = threading.local()
        self.ready, self.dead, self.process = False, 0, os.getpid()
        self.answers: dict[str, int] = {}  # statuses that entry points are to give
        self._numbers = itertools.count(0x1000)
        self.objects: dict[int, Any] = {}
        self.gone: list[Stream] = []
        self.of_threads: dict[tuple[int, int], Stream] = {}
        self.defaults = [Stream(i) for i in range(max(count, 1))]
        self.blocks: dict[int, tuple[Any, int, int]] = {}  # address -> (buffer, bytes, device)
        self.pinned: dict[int, tuple[Any, int]] = {}
        self.kernels: dict[bytes, tuple[Any, CompiledKernel]] = {}
        self.limits: dict[int, int] = {}  # function -> dynamic shared memory that it may have
        self.loaded: dict[int, int] = {}  # function -> module
        self._entries: dict[str, Any] = {}
        self._text = {code: ctypes.create_string_buffer(name.encode()) for code, name in ERRORS.items()}

    # -- as a library

    def address(self, name: str) -> int:
        """The entry point's machine code."""
        if name not in self._entries:
            call = ctypes.PYFUNCTYPE(ctypes.c_int, *self.signatures[name])
            self._entries[name] = call(lambda *args: self.called(name, args))
        return ctypes.cast(self._entries[name], ctypes.c_void_p).value or 0

    def called(self, name: str, args: tuple[Any, ...]) -> int:
        """The status of a call."""
        with self.lock:  # a driver may be called from several threads
            self.calls[name] = self.calls.get(name, 0) + 1
            try:
                self.allowed(self.known_as(name))
                return getattr(self, name)(*args) or 0
            except Refused as refused:
                return refused.status
            except BaseException as error:
                self.faults.append(error)
                return 1

    def known_as(self, name: str) -> str:
        """CUDA's name of an entry point."""
        return name

    def allowed(self, name: str) -> None:
        """Refused where a driver takes no such call at all."""
        if sys.is_finalizing():
            os.write(2, f"{name} was called while the interpreter ends\n".encode())
        if name in self.answers:
            raise Refused(self.answers[name])
        if name not in BEFORE and (not self.ready or os.getpid() != self.process):
            raise Refused(3)
        if self.dead and name not in ANYWHERE:
            raise Refused(self.dead)
        if name not in ANYWHERE and self.here is None:
            raise Refused(201)
        if name in WHOLE:
            for s in self.streams():
                if s.capture is not None and s.device == self.here:
                    s.capture.spoiled = True
                    raise Refused(900)

    @property
    def here(self) -> int | None:
        """The device whose context this thread has."""
        return getattr(self.threads, "device", None)

    def streams(self) -> list[Stream]:
        """All streams."""
        made = (x for x in self.objects.values() if isinstance(x, Stream))
        return [*self.defaults, *self.gone, *self.of_threads.values(), *made]

    def new(self, thing: Any) -> int:
        number = next(self._numbers)
        self.objects[number] = thing
        return number

    def known(self, handle: int | None, kind: type = object) -> Any:
        """What a handle stands for; Refused (invalid handle) where it is none, or is gone."""
        found = self.objects.get(handle or 0, self)
        if found is self or not isinstance(found, kind):
            raise Refused(400)
        return found

    def stream(self, handle: int | None) -> Stream:
        if not handle or handle == 1:
            return self.defaults[self.here or 0]
        if handle == 2:  # this thread's own default stream
            return self.of_threads.setdefault((self.here or 0, threading.get_ident()), Stream(self.here or 0))
        found: Stream = self.known(handle, Stream)
        return found

    def own(self, handle: int | None) -> Stream:
        """A stream of the thread's context; Refused (invalid handle) for one of another device's."""
        s = self.stream(handle)
        if s.device != self.here:
            raise Refused(400)
        return s

    def waitable(self, s: Stream) -> Stream:
        """A stream that may be waited for: it records no graph."""
        if s.capture is not None:
            s.capture.spoiled = True
            raise Refused(900)
        return s

    # -- order

    def do(self, handle: int | None, work: Callable[[], None]) -> None:
        s = self.own(handle)
        if s.capture is not None:
            if s.capture.spoiled:
                raise Refused(901)
            s.capture.work.append(work)
            return
        s.work.append(work)
        if not self.lazy:
            self.drain(s)

    def drain(self, s: Stream, upto: int | None = None) -> None:
        while s.done < (len(s.work) if upto is None else upto):
            work = s.work[s.done]
            s.done += 1
            try:
                work()
            except Refused as refused:
                self.dead = refused.status

    def drain_all(self) -> None:
        """All that this thread's device has to do."""
        for s in self.streams():
            if s.device == self.here:
                self.drain(s)

    def holds(self, address: int, nbytes: int) -> bool:
        """Whether memory of a device, or pinned memory, has these bytes."""
        found = [(a, b[1]) for a, b in self.blocks.items()] + [(a, b[1]) for a, b in self.pinned.items()]
        return any(a <= address and address + nbytes <= a + n for a, n in found)

    def move(self, target: int, source: int, nbytes: int) -> None:
        ctypes.memmove(target, source, nbytes)

    # -- entry points

    def cuInit(self, flags: int) -> int:
        if not self.count:
            return 100
        self.ready = True
        return 0

    def cuDriverGetVersion(self, out: int) -> None:
        put(out, ctypes.c_int, 13000)

    def cuDeviceGetCount(self, out: int) -> None:
        put(out, ctypes.c_int, self.count)

    def cuDeviceGet(self, out: int, ordinal: int) -> int:
        put(out, ctypes.c_int, ordinal)
        return 0 if 0 <= ordinal < self.count else 101

    def cuDeviceGetName(self, out: int, size: int, dev: int) -> None:
        ctypes.memmove(out, b"Fake GPU\0", 9)

    def cuDeviceGetAttribute(self, out: int, number: int, dev: int) -> None:
        put(out, ctypes.c_int, ATTRIBUTES[number])

    def cuDeviceTotalMem_v2(self, out: int, dev: int) -> None:
        put(out, ctypes.c_size_t, self.total)

    def cuDeviceCanAccessPeer(self, out: int, dev: int, peer: int) -> None:
        put(out, ctypes.c_int, int(dev != peer))

    def cuDevicePrimaryCtxRetain(self, out: int, dev: int) -> None:
        put(out, ctypes.c_void_p, 0x100 + dev)

    def cuCtxSetCurrent(self, context: int | None) -> int:
        if context is not None and not 0 <= context - 0x100 < self.count:
            return 201
        self.threads.device = None if context is None else context - 0x100
        return 0

    def cuCtxGetCurrent(self, out: int) -> None:
        put(out, ctypes.c_void_p, None if self.here is None else self.here + 0x100)

    def cuCtxSynchronize(self) -> int:
        self.drain_all()
        return self.dead

    def cuCtxGetStreamPriorityRange(self, least: int, greatest: int) -> None:
        put(least, ctypes.c_int, 0)
        put(greatest, ctypes.c_int, -5)

    def cuGetErrorName(self, code: int, out: int) -> int:
        found = self._text.get(code)
        put(out, ctypes.c_void_p, None if found is None else ctypes.addressof(found))
        return 0 if found is not None else 1

    cuGetErrorString = cuGetErrorName

    def cuPointerGetAttribute(self, out: int, number: int, address: int) -> int:
        for a, (_, n, dev) in self.blocks.items():
            if a <= address < a + n:
                put(out, ctypes.c_int, dev)
                return 0
        return 1

    def cuMemAlloc_v2(self, out: int, nbytes: int) -> int:
        if not nbytes:
            return 1
        if sum(n for _, n, dev in self.blocks.values() if dev == self.here) + nbytes > self.total:
            return 2
        raw = np.full(nbytes + 512, 0xA5, np.uint8)
        address = -(-raw.ctypes.data // 512) * 512
        self.blocks[address] = raw, nbytes, self.here or 0
        put(out, ctypes.c_void_p, address)
        return 0

    def cuMemFree_v2(self, address: int) -> int:
        self.drain_all()
        return 0 if self.blocks.pop(address, None) else 1

    def cuMemGetInfo_v2(self, free: int, total: int) -> None:
        put(total, ctypes.c_size_t, self.total)
        put(free, ctypes.c_size_t, self.total - sum(n for _, n, dev in self.blocks.values() if dev == self.here))

    def cuMemHostAlloc(self, out: int, nbytes: int, flags: int) -> int:
        if not nbytes:
            return 1
        raw = np.full(nbytes, 0xA5, np.uint8)
        self.pinned[raw.ctypes.data] = raw, nbytes
        put(out, ctypes.c_void_p, raw.ctypes.data)
        return 0

    def cuMemFreeHost(self, address: int) -> int:
        return 0 if self.pinned.pop(address, None) else 1

    def late(self, handle: int | None, host: int) -> bool:
        """Whether a copy from or to host memory is one of the stream's own pace: the memory is page-locked. Of other memory no
        graph takes copies."""
        s, pinned = self.own(handle), any(a <= host < a + n for a, (_, n) in self.pinned.items())
        if s.capture is not None and not pinned:
            s.capture.spoiled = True
            raise Refused(900)
        return pinned

    def cuMemcpyHtoDAsync_v2(self, target: int, source: int, nbytes: int, stream: int | None) -> None:
        assert self.holds(target, nbytes), f"a copy of {nbytes} bytes to {target:#x} leaves the device's memory"
        late = self.late(stream, source)
        kept = None if late else ctypes.create_string_buffer(ctypes.string_at(source, nbytes), max(nbytes, 1))
        self.do(stream, lambda: self.move(target, source if kept is None else ctypes.addressof(kept), nbytes))

    def cuMemcpyDtoHAsync_v2(self, target: int, source: int, nbytes: int, stream: int | None) -> None:
        assert self.holds(source, nbytes), f"a copy of {nbytes} bytes from {source:#x} leaves the device's memory"
        self.late(stream, target)
        self.do(stream, lambda: self.move(target, source, nbytes))

    def cuMemcpyAsync(self, target: int, source: int, nbytes: int, stream: int | None) -> None:
        assert self.holds(target, nbytes) and self.holds(source, nbytes), f"a copy of {nbytes} bytes leaves the device's memory"
        assert target + nbytes <= source or source + nbytes <= target, f"{nbytes} bytes are copied onto themselves in part"
        self.do(stream, lambda: self.move(target, source, nbytes))

    def cuMemsetD8Async(self, target: int, byte: int, nbytes: int, stream: int | None) -> None:
        assert self.holds(target, nbytes)
        self.do(stream, lambda: ctypes.memset(target, byte, nbytes) and None)

    def cuStreamCreateWithPriority(self, out: int, flags: int, priority: int) -> None:
        assert flags == 1, "a stream that waits for the default one"
        put(out, ctypes.c_void_p, self.new(Stream(self.here or 0)))

    def cuStreamDestroy_v2(self, handle: int) -> None:
        self.gone.append(self.known(handle, Stream))
        del self.objects[handle]

    def cuStreamSynchronize(self, handle: int | None) -> int:
        self.drain(self.waitable(self.stream(handle)))
        return self.dead

    def cuStreamQuery(self, handle: int | None) -> int:
        s = self.waitable(self.stream(handle))
        return 0 if s.done == len(s.work) else 600

    def cuStreamWaitEvent(self, handle: int | None, event: int, flags: int) -> None:
        e, s = self.known(event, Event), self.stream(handle)
        if e.capture is not None:
            if s.capture is not None and s.capture is not e.capture:
                s.capture.spoiled = e.capture.spoiled = True
                raise Refused(902)
            s.capture = e.capture
            s.capture.streams.add(s)
            s.capture.joined |= {e.stream} if s is s.capture.origin else set()
            return
        if s.capture is not None and e.stream is not None:
            s.capture.spoiled = True
            raise Refused(905)
        if e.stream is not None:
            stream, place = e.stream, e.place
            s.work.append(lambda: self.drain(stream, place))
            if not self.lazy:
                self.drain(s)

    def cuStreamBeginCapture_v2(self, handle: int | None, mode: int) -> int:
        assert mode == 2, "other modes refuse allocations and loading while a graph is recorded"
        s = self.stream(handle)
        if not handle:
            return 900
        if s.capture is not None:
            return 401
        s.capture = Capture(s)
        return 0

    def cuStreamEndCapture(self, handle: int, out: int) -> int:
        s = self.stream(handle)
        put(out, ctypes.c_void_p, None)
        found = s.capture
        if found is None or found.origin is not s:
            return 401
        for each in found.streams:
            each.capture = None
        if found.spoiled:
            return 901
        if found.streams - found.joined - {s}:
            return 904
        put(out, ctypes.c_void_p, self.new(found.work))
        return 0

    def cuGraphInstantiateWithFlags(self, out: int, graph: int, flags: int) -> None:
        put(out, ctypes.c_void_p, self.new(list(self.known(graph, list))))

    def cuGraphLaunch(self, graph: int, stream: int | None) -> None:
        for work in self.known(graph, list):
            self.do(stream, work)

    def cuGraphExecDestroy(self, graph: int) -> None:
        self.known(graph, list)
        del self.objects[graph]

    cuGraphDestroy = cuGraphExecDestroy

    def cuEventCreate(self, out: int, flags: int) -> None:
        assert not flags & ~3
        put(out, ctypes.c_void_p, self.new(Event(self.here or 0, flags)))

    def cuEventRecord(self, event: int, handle: int | None) -> None:
        e, s = self.known(event, Event), self.own(handle)
        if e.device != s.device:
            raise Refused(400)
        self.do(handle, lambda: setattr(e, "time", time.perf_counter()))
        e.stream, e.place, e.capture = s, len(s.work), s.capture

    def known_event(self, event: int) -> Any:
        """An event that may be asked: it is not of a graph's recording."""
        e = self.known(event, Event)
        if e.capture is not None:
            e.capture.spoiled = True
            raise Refused(907)
        return e

    def cuEventQuery(self, event: int) -> int:
        e = self.known_event(event)
        return 0 if e.stream is None or e.stream.done >= e.place else 600

    def cuEventSynchronize(self, event: int) -> int:
        e = self.known_event(event)
        if e.stream is not None:
            self.drain(e.stream, e.place)
        return self.dead

    def cuEventElapsedTime(self, out: int, start: int, end: int) -> int:
        a, b = self.known_event(start), self.known_event(end)
        if (a.flags | b.flags) & 2 or a.stream is None or b.stream is None:
            return 400
        if a.stream.done < a.place or b.stream.done < b.place:
            return 600
        put(out, ctypes.c_float, 1e3 * (b.time - a.time))
        return 0

    def cuEventDestroy_v2(self, event: int) -> None:
        self.known(event, Event)
        del self.objects[event]

    def cuModuleLoadData(self, out: int, image: int) -> int:
        name = ctypes.string_at(image)
        real = name.startswith(b"\x7fELF")
        if not real and name not in self.kernels:
            return 200
        put(out, ctypes.c_void_p, self.new((self.here, None if real else self.kernels[name])))  # real code is not run
        return 0

    def cuModuleUnload(self, module: int) -> None:
        self.known(module, tuple)
        del self.objects[module]

    def cuModuleGetFunction(self, out: int, module: int, name: bytes) -> int:
        _, kernel = self.known(module, tuple)
        found = kernel or (None, name.decode())
        if found[0] is not None and found[1].name != name.decode():
            return 500
        handle = self.new(found)
        self.loaded[handle] = module
        put(out, ctypes.c_void_p, handle)
        return 0

    def cuFuncGetAttribute(self, out: int, number: int, function: int) -> None:
        self.known(function, tuple)
        put(out, ctypes.c_int, {0: 1024}.get(number, 0))

    def cuFuncSetAttribute(self, function: int, number: int, value: int) -> int:
        self.known(function, tuple)
        if number == 8:
            if value > ATTRIBUTES[97]:
                return 1
            self.limits[function] = value
        return 0

    def cuFuncSetCacheConfig(self, function: int, value: int) -> None:
        self.known(function, tuple)

    def cuTensorMapEncodeTiled(self, out: int, element: int, rank: int, base: int, dims: int, steps: int, *rest: Any) -> int:
        if out % 64 or base % 16 or not 1 <= rank <= 5:
            return 1
        if rank > 1 and any(s % 16 or s >= 1 << 40 for s in (ctypes.c_uint64 * (rank - 1)).from_address(steps)):
            return 1
        boxes = (ctypes.c_uint32 * rank).from_address(rest[0])
        if any(not 0 < n <= 256 for n in boxes) or any(not 0 < n <= 1 << 32 for n in (ctypes.c_uint64 * rank).from_address(dims)):
            return 1
        ctypes.memset(out, 0xAB, 128)
        return 0

    def cuLaunchKernel(
        self, function: int, x: int, y: int, z: int, bx: int, by: int, bz: int, shared: int, stream: int | None, params: int,
        extra: Any,
    ) -> int:  # fmt: skip
        kernel, compiled = self.known(function, tuple)
        if self.known(self.loaded[function], tuple)[0] != self.here:
            return 400
        if not (0 < x < 1 << 31 and 0 < y < 1 << 16 and 0 < z < 1 << 16) or not 0 < bx * by * bz <= 1024:
            return 1
        if shared > self.limits.get(function, 48 << 10):
            return 1
        if kernel is None:
            self.do(stream, lambda: None)
            self.launches.append((compiled, (x, y, z), stream or 0))
            return 0
        assert (bx, by, bz) == (compiled.num_warps * compiled.target.warp, 1, 1)
        pointers = (ctypes.c_void_p * len(compiled.params)).from_address(params)
        words = [ctypes.c_int64.from_address(p).value for p in pointers]
        self.launches.append((compiled.name, (x, y, z), stream or 0))
        assert len(self.launches) < 1 << 20
        self.do(stream, (lambda: self.execute(kernel, compiled, words)) if self.run else lambda: None)
        return 0

    def execute(self, kernel: Any, compiled: CompiledKernel, words: Sequence[int]) -> None:
        """Run a kernel on what its arguments point to."""
        if not isinstance(kernel, Kernel):
            fake_sorting.execute(self.holds, kernel, words)
            return
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

    claims: Any = fake_sorting.TAKEN

    def __init__(self, fake: Fake) -> None:
        self.fake, self.built = fake, 0

    def kernels(self, kernels: Sequence[Kernel], target: Target) -> dict[str, tuple[Variant, ...]]:
        return {k.name: self.variants(k, target) for k in kernels}

    def routine(self, step: Any, target: Target) -> tuple[Variant, ...]:
        assert step.routine.startswith(("order ", "search ")), f"nothing claims {step}"
        return fake_sorting.variants(self.fake.new, self.fake.kernels, step, target)

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
                image = f"kernel {self.fake.new(kernel)}".encode()  # threads may load at the same time
                grid = (sizes.floordiv(numel + 1023, 1024), 1, 1)
                loaded.append(CompiledKernel(kernel.name, image + b"\0", target, 0, 4, tuple(params), grid, kernel.sizes))
                self.fake.kernels[image] = kernel, loaded[0]
            return tuple(loaded)

        return Variant(assumes, kernel.sizes, scratch, load)


def no_driver() -> Any:
    """As a machine without a vendor's driver."""
    raise DeviceError("no such driver: the library cannot be loaded")


@contextmanager
def installed(triton: bool = False, hip_runtime: bool = False, **options: Any) -> Iterator[Fake]:
    """The fake in the driver's place; no fault of it stays unseen. With `triton` kernels are compiled by it, and not run; with
    `hip_runtime` there is AMD's driver instead of CUDA's."""
    from fake_hip import FakeHip

    fake = FakeHip(**options) if hip_runtime else Fake(**options)
    places, current, products = (cuda.find_library, hip.find_library), builder.current, cublaslt.find_libraries
    cuda.find_library, hip.find_library = (no_driver, lambda: fake) if hip_runtime else (lambda: fake, no_driver)
    cublaslt.find_libraries = lambda: iter(())  # a real one would be handed memory that is none of a GPU's
    builder.current = builder.Triton() if triton else Reference(fake)
    device.forget()
    launch._functions.clear()
    try:
        yield fake
    finally:
        device.forget()
        (cuda.find_library, hip.find_library), builder.current, cublaslt.find_libraries = places, current, products
    if fake.faults:
        raise fake.faults[0]
