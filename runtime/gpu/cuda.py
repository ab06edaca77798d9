"""The CUDA driver by ctypes, on the primary context, so that its memory is also PyTorch's, CuPy's and JAX's of this process.

Loads `libcuda` (knob `libcuda` names another file) when the first device is asked for. Calls that may wait give up the GIL;
launches, copies and queries keep it, since giving it up costs more than they take.
"""

from __future__ import annotations

import ctypes
import threading
from ctypes import byref, c_char_p, c_float, c_int, c_size_t, c_uint, c_uint64, c_ulonglong, c_void_p
from typing import Any

from ... import knobs
from ...errors import DeviceError
from .driver import OutOfMemory, Properties
from .thread import here

_P, _I, _U, _Q, _N = c_void_p, c_int, c_uint, c_uint64, c_size_t
#: entry point -> types of its arguments; all give a status
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (_U,), "cuDriverGetVersion": (_P,), "cuDeviceGetCount": (_P,), "cuDeviceGet": (_P, _I),
    "cuDeviceGetName": (_P, _I, _I), "cuDeviceGetAttribute": (_P, _I, _I), "cuDeviceTotalMem_v2": (_P, _I),
    "cuDevicePrimaryCtxRetain": (_P, _I), "cuCtxSetCurrent": (_P,), "cuCtxSynchronize": (),
    "cuGetErrorName": (_I, _P), "cuGetErrorString": (_I, _P), "cuPointerGetAttribute": (_P, _I, _Q),
    "cuMemAlloc_v2": (_P, _N), "cuMemFree_v2": (_Q,), "cuMemGetInfo_v2": (_P, _P), "cuMemHostAlloc": (_P, _N, _U),
    "cuMemFreeHost": (_P,), "cuMemcpyHtoDAsync_v2": (_Q, _P, _N, _P), "cuMemcpyDtoHAsync_v2": (_P, _Q, _N, _P),
    "cuMemcpyAsync": (_Q, _Q, _N, _P), "cuMemsetD8Async": (_Q, ctypes.c_ubyte, _N, _P),
    "cuStreamCreateWithPriority": (_P, _U, _I), "cuStreamDestroy_v2": (_P,), "cuStreamSynchronize": (_P,), "cuStreamQuery": (_P,),
    "cuStreamWaitEvent": (_P, _P, _U), "cuStreamBeginCapture_v2": (_P, _I), "cuStreamEndCapture": (_P, _P),
    "cuGraphInstantiateWithFlags": (_P, _P, c_ulonglong), "cuGraphLaunch": (_P, _P), "cuGraphExecDestroy": (_P,),
    "cuGraphDestroy": (_P,), "cuEventCreate": (_P, _U), "cuEventRecord": (_P, _P), "cuEventQuery": (_P,),
    "cuEventSynchronize": (_P,), "cuEventElapsedTime": (_P, _P, _P), "cuEventDestroy_v2": (_P,),
    "cuModuleLoadData": (_P, _P), "cuModuleUnload": (_P,), "cuModuleGetFunction": (_P, _P, c_char_p),
    "cuFuncGetAttribute": (_P, _I, _P), "cuFuncSetAttribute": (_P, _I, _I), "cuFuncSetCacheConfig": (_P, _I),
    "cuLaunchKernel": (_P, _U, _U, _U, _U, _U, _U, _U, _P, _P, _P),
    "cuTensorMapEncodeTiled": (_P, _I, _U, _Q, _P, _P, _P, _P, _I, _I, _I, _I),
}  # fmt: skip
#: entry points that may wait for the device, or for the driver's own compiler
WAITING = frozenset((
    "cuInit", "cuDevicePrimaryCtxRetain", "cuCtxSynchronize", "cuMemAlloc_v2", "cuMemFree_v2", "cuMemHostAlloc", "cuMemFreeHost",
    "cuStreamSynchronize", "cuEventSynchronize", "cuModuleLoadData", "cuModuleUnload", "cuGraphInstantiateWithFlags",
    "cuStreamDestroy_v2", "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2",
))  # fmt: skip

#: what the driver calls the numbers that are used here
NUMBERS = {
    "CUDA_ERROR_OUT_OF_MEMORY": 2, "CUDA_ERROR_NOT_READY": 600,
    "CU_DEVICE_ATTRIBUTE_WARP_SIZE": 10, "CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT": 16, "CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE": 38,
    "CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR": 39, "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR": 75,
    "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR": 76, "CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR": 82,
    "CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN": 97, "CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES": 1,
    "CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES": 8, "CU_FUNC_CACHE_PREFER_SHARED": 1,
    "CU_TENSOR_MAP_L2_PROMOTION_L2_128B": 2, "CU_TENSOR_MAP_INTERLEAVE_NONE": 0, "CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE": 0,
    "CU_STREAM_NON_BLOCKING": 1, "CU_EVENT_DEFAULT": 0, "CU_EVENT_BLOCKING_SYNC": 1, "CU_EVENT_DISABLE_TIMING": 2,
    "CU_MEMHOSTALLOC_PORTABLE": 1, "CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL": 9, "CU_STREAM_CAPTURE_MODE_RELAXED": 2,
}  # fmt: skip
_OUT_OF_MEMORY, _NOT_READY = NUMBERS["CUDA_ERROR_OUT_OF_MEMORY"], NUMBERS["CUDA_ERROR_NOT_READY"]
_WARP, _PROCESSORS = NUMBERS["CU_DEVICE_ATTRIBUTE_WARP_SIZE"], NUMBERS["CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT"]
_REGISTERS, _L2 = NUMBERS["CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR"], NUMBERS["CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE"]
_THREADS = NUMBERS["CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR"]
_MAJOR, _MINOR = (NUMBERS[f"CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_{part}"] for part in ("MAJOR", "MINOR"))
_SHARED = NUMBERS["CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN"]
_STATIC_SHARED = NUMBERS["CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES"]
_MOST_SHARED = NUMBERS["CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES"]
_PREFER_SHARED, _L2_128 = NUMBERS["CU_FUNC_CACHE_PREFER_SHARED"], NUMBERS["CU_TENSOR_MAP_L2_PROMOTION_L2_128B"]
_NON_BLOCKING, _NO_TIMING = NUMBERS["CU_STREAM_NON_BLOCKING"], NUMBERS["CU_EVENT_DISABLE_TIMING"]
_PORTABLE, _ORDINAL = NUMBERS["CU_MEMHOSTALLOC_PORTABLE"], NUMBERS["CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL"]
_RELAXED = NUMBERS["CU_STREAM_CAPTURE_MODE_RELAXED"]  # memory may be allocated and modules loaded while a graph is recorded
_DEFAULT_SHARED = 48 << 10  # what a block may have without asking
_SMALL_MAPS = 13010  # the last driver that marks small tensors wrongly in their maps


class Library:
    """The entry points of a shared library by name."""

    def __init__(self, path: str) -> None:
        try:
            self._lib = ctypes.CDLL(path)
        except OSError as error:
            raise DeviceError(f"no CUDA driver: {path} cannot be loaded ({error})") from None

    def address(self, name: str) -> int:
        """The entry point's machine code; DeviceError where the library has none of this name."""
        try:
            return ctypes.cast(getattr(self._lib, name), c_void_p).value or 0
        except AttributeError:
            raise DeviceError(f"the CUDA driver has no {name}: it is older than CUDA 12") from None


def find_library() -> Any:
    """The driver's library. (Tests put one of their own in its place.)"""
    return Library(knobs.libcuda or "libcuda.so.1")


class Cuda:
    """CUDA as a `driver.Driver`."""

    kind = "cuda"

    def __init__(self) -> None:
        library = find_library()
        for name, types in SIGNATURES.items():
            make = ctypes.CFUNCTYPE if name in WAITING else ctypes.PYFUNCTYPE
            setattr(self, name, make(c_int, *types)(library.address(name)))
        self.library, self.launch_address = library, library.address("cuLaunchKernel")
        self._here = threading.local()
        self._lock = threading.Lock()
        self._contexts: dict[int, int] = {}
        self.check(self.cuInit(0))
        self._version = self._int(self.cuDriverGetVersion)

    def __getattr__(self, name: str) -> Any:  # (for type checkers: the entry points are attributes)
        raise AttributeError(name)

    def check(self, status: int) -> None:
        """DeviceError with the driver's own words unless `status` is 0."""
        if not status:
            return
        name, text = c_char_p(), c_char_p()
        self.cuGetErrorName(status, byref(name))
        self.cuGetErrorString(status, byref(text))
        kind = OutOfMemory if status == _OUT_OF_MEMORY else DeviceError
        raise kind(f"{(name.value or b'unknown error').decode()} ({status}): {(text.value or b'').decode()}")

    def _int(self, call: Any, *args: Any) -> int:
        out = c_int()
        self.check(call(byref(out), *args))
        return out.value

    def _handle(self, call: Any, *args: Any) -> int:
        out = c_void_p()
        self.check(call(byref(out), *args))
        return out.value or 0

    def count(self) -> int:
        """Number of devices."""
        return self._int(self.cuDeviceGetCount)

    def properties(self, ordinal: int) -> Properties:
        """What device `ordinal` is."""
        name, total = ctypes.create_string_buffer(256), c_size_t()
        device = self._int(self.cuDeviceGet, ordinal)
        self.check(self.cuDeviceGetName(name, 256, device))
        self.check(self.cuDeviceTotalMem_v2(byref(total), device))

        def attribute(number: int) -> int:
            return self._int(self.cuDeviceGetAttribute, number, device)

        return Properties(
            name.value.decode(), attribute(_MAJOR), attribute(_MINOR), total.value, attribute(_PROCESSORS), attribute(_WARP),
            attribute(_THREADS), attribute(_SHARED), attribute(_L2), attribute(_REGISTERS), self._int(self.cuDriverGetVersion),
        )  # fmt: skip

    def activate(self, ordinal: int) -> None:
        """Make `ordinal`'s primary context this thread's, unless it is."""
        if getattr(self._here, "ordinal", None) == ordinal:
            return
        with self._lock:
            context = self._contexts.get(ordinal)
            if context is None:
                device = self._int(self.cuDeviceGet, ordinal)
                context = self._contexts[ordinal] = self._handle(self.cuDevicePrimaryCtxRetain, device)
        self.check(self.cuCtxSetCurrent(context))
        self._here.ordinal = here.context = ordinal

    def synchronize(self) -> None:
        """Wait for all that this thread's device does."""
        self.check(self.cuCtxSynchronize())

    # -- memory

    def allocate(self, nbytes: int) -> int:
        """Device memory; OutOfMemory."""
        return self._handle(self.cuMemAlloc_v2, nbytes)

    def free(self, address: int) -> None:
        """Give `allocate`'s memory back."""
        self.check(self.cuMemFree_v2(address))

    def memory_info(self) -> tuple[int, int]:
        """(free, total) bytes of the device."""
        free, total = c_size_t(), c_size_t()
        self.check(self.cuMemGetInfo_v2(byref(free), byref(total)))
        return free.value, total.value

    def allocate_host(self, nbytes: int) -> int:
        """Page-locked host memory."""
        return self._handle(self.cuMemHostAlloc, nbytes, _PORTABLE)

    def free_host(self, address: int) -> None:
        """Give `allocate_host`'s memory back."""
        self.check(self.cuMemFreeHost(address))

    def to_device(self, target: int, source: int, nbytes: int, stream: int) -> None:
        """Copy host memory to the device."""
        self.check(self.cuMemcpyHtoDAsync_v2(target, source, nbytes, stream))

    def to_host(self, target: int, source: int, nbytes: int, stream: int) -> None:
        """Copy device memory to the host."""
        self.check(self.cuMemcpyDtoHAsync_v2(target, source, nbytes, stream))

    def copy(self, target: int, source: int, nbytes: int, stream: int) -> None:
        """Copy device memory, between devices too (addresses are unified)."""
        self.check(self.cuMemcpyAsync(target, source, nbytes, stream))

    def fill(self, target: int, byte: int, nbytes: int, stream: int) -> None:
        """Set every byte."""
        self.check(self.cuMemsetD8Async(target, byte, nbytes, stream))

    def device_of(self, address: int) -> int:
        """The ordinal of the device on which memory lies; DeviceError where none does."""
        return self._int(self.cuPointerGetAttribute, _ORDINAL, address)

    # -- streams and events

    def stream_create(self, priority: int) -> int:
        """A stream that does not wait for the default one."""
        return self._handle(self.cuStreamCreateWithPriority, _NON_BLOCKING, priority)

    def stream_destroy(self, stream: int) -> None:
        """Let a stream go."""
        self.check(self.cuStreamDestroy_v2(stream))

    def stream_synchronize(self, stream: int) -> None:
        """Wait for all that was put into the stream."""
        self.check(self.cuStreamSynchronize(stream))

    def stream_query(self, stream: int) -> bool:
        """Whether all that was put into the stream is done."""
        return self._done(self.cuStreamQuery(stream))

    def _done(self, status: int) -> bool:
        if status == _NOT_READY:
            return False
        self.check(status)
        return True

    def stream_wait(self, stream: int, event: int) -> None:
        """What is put into `stream` from now on waits for `event`."""
        self.check(self.cuStreamWaitEvent(stream, event, 0))

    def event_create(self, timing: bool) -> int:
        """An event."""
        return self._handle(self.cuEventCreate, 0 if timing else _NO_TIMING)

    def event_destroy(self, event: int) -> None:
        """Let an event go."""
        self.check(self.cuEventDestroy_v2(event))

    def event_record(self, event: int, stream: int) -> None:
        """Let `event` happen once `stream` has come so far."""
        self.check(self.cuEventRecord(event, stream))

    def event_query(self, event: int) -> bool:
        """Whether the event has happened."""
        return self._done(self.cuEventQuery(event))

    def event_synchronize(self, event: int) -> None:
        """Wait for the event."""
        self.check(self.cuEventSynchronize(event))

    def event_elapsed(self, start: int, end: int) -> float:
        """Milliseconds between two events."""
        out = c_float()
        self.check(self.cuEventElapsedTime(byref(out), start, end))
        return out.value

    # -- code

    def load(self, image: bytes) -> int:
        """A module of machine code (a cubin, or PTX text with a zero at its end)."""
        return self._handle(self.cuModuleLoadData, ctypes.cast(c_char_p(image), c_void_p))

    def unload(self, module: int) -> None:
        """Let a module go."""
        self.check(self.cuModuleUnload(module))

    def function(self, module: int, name: str, shared: int) -> int:
        """A kernel of the module; DeviceError where it asks for more shared memory than a block may have."""
        found = self._handle(self.cuModuleGetFunction, module, name.encode())
        if shared > _DEFAULT_SHARED:
            device = self._int(self.cuDeviceGet, self._here.ordinal)
            limit = self._int(self.cuDeviceGetAttribute, _SHARED, device)
            free = limit - self._int(self.cuFuncGetAttribute, _STATIC_SHARED, found)
            if shared > free:
                raise DeviceError(f"kernel {name} needs {shared} bytes of shared memory, a block of this device has {free}")
            self.check(self.cuFuncSetCacheConfig(found, _PREFER_SHARED))
            self.check(self.cuFuncSetAttribute(found, _MOST_SHARED, free))
        return found

    def launch(self, function: int, grid: tuple[int, int, int], threads: int, shared: int, stream: int, params: int) -> None:
        """Run a kernel."""
        status = self.cuLaunchKernel(function, *grid, threads, 1, 1, shared, stream, params, None)
        if status:
            self.check(status)

    def tensor_map(
        self, target: int, address: int, element: int, shape: tuple[int, ...], strides: tuple[int, ...], box: tuple[int, ...],
        swizzle: int,
    ) -> None:  # fmt: skip
        """Write a tensor's CUtensorMap to `target`."""
        rank = len(shape)
        dims, steps = (c_uint64 * rank)(*reversed(shape)), (c_uint64 * rank)(*reversed(strides[:-1]), 0)
        boxes, ones = (c_uint * rank)(*reversed(box)), (c_uint * rank)(*[1] * rank)
        self.check(self.cuTensorMapEncodeTiled(target, element, rank, address, dims, steps, boxes, ones, 0, swizzle, _L2_128, 0))
        extent = 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if self._version <= _SMALL_MAPS and extent < 1 << 17:
            c_uint64.from_address(target + 8).value &= ~(1 << 21)  # these drivers mark small tensors wrongly

    # -- graphs

    def capture_begin(self, stream: int) -> None:
        """Record what this thread puts into `stream`."""
        self.check(self.cuStreamBeginCapture_v2(stream, _RELAXED))

    def capture_end(self, stream: int) -> int:
        """A graph of what was recorded; 0 where the capture was spoiled."""
        graph = c_void_p()
        if self.cuStreamEndCapture(stream, byref(graph)) or not graph.value:
            return 0
        made = self._handle(self.cuGraphInstantiateWithFlags, graph, 0)
        self.check(self.cuGraphDestroy(graph))
        return made

    def graph_launch(self, graph: int, stream: int) -> None:
        """Run a graph."""
        self.check(self.cuGraphLaunch(graph, stream))

    def graph_destroy(self, graph: int) -> None:
        """Let a graph go."""
        self.check(self.cuGraphExecDestroy(graph))
