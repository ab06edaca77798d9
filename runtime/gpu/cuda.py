"""The CUDA driver, on the primary context, so that its memory is also PyTorch's, CuPy's and JAX's of this process.

`libcuda` (knob `libcuda` names another file) is loaded when the first device is asked for.
"""

from __future__ import annotations

from ctypes import c_char_p, c_int, c_size_t, c_ubyte, c_uint, c_uint64, c_ulonglong, c_void_p
from typing import Any

from ... import knobs
from ...errors import DeviceError
from .vendor import Library, Vendor

_P, _I, _U, _Q, _N = c_void_p, c_int, c_uint, c_uint64, c_size_t
#: entry point -> types of its arguments; all give a status
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (_U,), "cuDriverGetVersion": (_P,), "cuDeviceGetCount": (_P,), "cuDeviceGet": (_P, _I),
    "cuDeviceGetName": (_P, _I, _I), "cuDeviceGetAttribute": (_P, _I, _I), "cuDeviceTotalMem_v2": (_P, _I),
    "cuDevicePrimaryCtxRetain": (_P, _I), "cuCtxSetCurrent": (_P,), "cuCtxSynchronize": (),
    "cuDeviceCanAccessPeer": (_P, _I, _I), "cuCtxGetStreamPriorityRange": (_P, _P),
    "cuGetErrorName": (_I, _P), "cuGetErrorString": (_I, _P), "cuPointerGetAttribute": (_P, _I, _Q),
    "cuMemAlloc_v2": (_P, _N), "cuMemFree_v2": (_Q,), "cuMemGetInfo_v2": (_P, _P), "cuMemHostAlloc": (_P, _N, _U),
    "cuMemFreeHost": (_P,), "cuMemcpyHtoDAsync_v2": (_Q, _P, _N, _P), "cuMemcpyDtoHAsync_v2": (_P, _Q, _N, _P),
    "cuMemcpyAsync": (_Q, _Q, _N, _P), "cuMemsetD8Async": (_Q, c_ubyte, _N, _P),
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
#: what is called by which word (`vendor.Vendor`)
ENTRIES = {
    "init": "cuInit", "version": "cuDriverGetVersion", "count": "cuDeviceGetCount", "device": "cuDeviceGet",
    "name": "cuDeviceGetName", "attribute": "cuDeviceGetAttribute", "total": "cuDeviceTotalMem_v2",
    "context": "cuDevicePrimaryCtxRetain", "choose": "cuCtxSetCurrent", "synchronize": "cuCtxSynchronize",
    "peer": "cuDeviceCanAccessPeer", "priorities": "cuCtxGetStreamPriorityRange", "error_name": "cuGetErrorName",
    "error_text": "cuGetErrorString", "pointer": "cuPointerGetAttribute", "allocate": "cuMemAlloc_v2", "free": "cuMemFree_v2",
    "memory_info": "cuMemGetInfo_v2", "allocate_host": "cuMemHostAlloc", "free_host": "cuMemFreeHost",
    "to_device": "cuMemcpyHtoDAsync_v2", "to_host": "cuMemcpyDtoHAsync_v2", "copy": "cuMemcpyAsync", "fill": "cuMemsetD8Async",
    "stream_create": "cuStreamCreateWithPriority", "stream_destroy": "cuStreamDestroy_v2",
    "stream_synchronize": "cuStreamSynchronize", "stream_query": "cuStreamQuery", "stream_wait": "cuStreamWaitEvent",
    "capture_begin": "cuStreamBeginCapture_v2", "capture_end": "cuStreamEndCapture",
    "instantiate": "cuGraphInstantiateWithFlags", "graph_launch": "cuGraphLaunch", "exec_destroy": "cuGraphExecDestroy",
    "graph_destroy": "cuGraphDestroy", "event_create": "cuEventCreate", "event_record": "cuEventRecord",
    "event_query": "cuEventQuery", "event_synchronize": "cuEventSynchronize", "event_elapsed": "cuEventElapsedTime",
    "event_destroy": "cuEventDestroy_v2", "load": "cuModuleLoadData", "unload": "cuModuleUnload",
    "function": "cuModuleGetFunction", "function_attribute": "cuFuncGetAttribute", "set_attribute": "cuFuncSetAttribute",
    "cache": "cuFuncSetCacheConfig", "launch": "cuLaunchKernel", "tensor_map": "cuTensorMapEncodeTiled",
}  # fmt: skip
#: what the driver calls the numbers that are used here
NUMBERS: dict[str, int] = {
    "CUDA_ERROR_OUT_OF_MEMORY": 2, "CUDA_ERROR_NOT_INITIALIZED": 3, "CUDA_ERROR_NOT_READY": 600,
    "CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES": 1, "CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES": 8,
    "CU_FUNC_CACHE_PREFER_SHARED": 1, "CU_TENSOR_MAP_L2_PROMOTION_L2_128B": 2, "CU_TENSOR_MAP_INTERLEAVE_NONE": 0,
    "CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE": 0, "CU_STREAM_NON_BLOCKING": 1, "CU_EVENT_DEFAULT": 0, "CU_EVENT_BLOCKING_SYNC": 1,
    "CU_EVENT_DISABLE_TIMING": 2, "CU_MEMHOSTALLOC_PORTABLE": 1, "CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL": 9,
    "CU_STREAM_CAPTURE_MODE_RELAXED": 2,
}  # fmt: skip
#: field of Properties -> (the driver's name of the attribute, behind CU_DEVICE_ATTRIBUTE_; its number)
FIELDS = {
    "major": ("COMPUTE_CAPABILITY_MAJOR", 75), "minor": ("COMPUTE_CAPABILITY_MINOR", 76), "warp_size": ("WARP_SIZE", 10),
    "multi_processor_count": ("MULTIPROCESSOR_COUNT", 16), "L2_cache_size": ("L2_CACHE_SIZE", 38),
    "max_threads_per_multi_processor": ("MAX_THREADS_PER_MULTIPROCESSOR", 39),
    "shared_limit": ("MAX_SHARED_MEMORY_PER_BLOCK_OPTIN", 97),
    "regs_per_multiprocessor": ("MAX_REGISTERS_PER_MULTIPROCESSOR", 82),
    "max_threads_per_block": ("MAX_THREADS_PER_BLOCK", 1), "shared_memory_per_block": ("MAX_SHARED_MEMORY_PER_BLOCK", 8),
    "shared_memory_per_multiprocessor": ("MAX_SHARED_MEMORY_PER_MULTIPROCESSOR", 81), "clock_rate": ("CLOCK_RATE", 13),
    "memory_clock_rate": ("MEMORY_CLOCK_RATE", 36), "memory_bus_width": ("GLOBAL_MEMORY_BUS_WIDTH", 37),
    "is_integrated": ("INTEGRATED", 18), "is_multi_gpu_board": ("MULTI_GPU_BOARD", 84), "pci_bus_id": ("PCI_BUS_ID", 33),
    "pci_device_id": ("PCI_DEVICE_ID", 34), "pci_domain_id": ("PCI_DOMAIN_ID", 50),
}  # fmt: skip
_SHARED = FIELDS["shared_limit"][1]
_STATIC_SHARED = NUMBERS["CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES"]
_MOST_SHARED = NUMBERS["CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES"]
_PREFER_SHARED, _L2_128 = NUMBERS["CU_FUNC_CACHE_PREFER_SHARED"], NUMBERS["CU_TENSOR_MAP_L2_PROMOTION_L2_128B"]
_DEFAULT_SHARED = 48 << 10  # what a block may have without asking (CUDA programming guide, "Compute Capabilities")
#: the last driver that marks tensors below 128 KiB wrongly in their maps; CUTLASS and Triton clear the same bit
_SMALL_MAPS = 13010


def find_library() -> Any:
    """The driver's library. (Tests put one of their own in its place.)"""
    return Library(knobs.libcuda or "libcuda.so.1", "CUDA")


class Cuda(Vendor):
    """CUDA as a `driver.Driver`."""

    target = "cuda"
    entries, signatures = ENTRIES, SIGNATURES
    attributes = {field: number for field, (_, number) in FIELDS.items()}
    non_blocking, portable = NUMBERS["CU_STREAM_NON_BLOCKING"], NUMBERS["CU_MEMHOSTALLOC_PORTABLE"]
    no_timing, blocking = NUMBERS["CU_EVENT_DISABLE_TIMING"], NUMBERS["CU_EVENT_BLOCKING_SYNC"]
    ordinal_of, relaxed = NUMBERS["CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL"], NUMBERS["CU_STREAM_CAPTURE_MODE_RELAXED"]

    def __init__(self) -> None:
        super().__init__(find_library())

    def _context(self, ordinal: int) -> int:
        with self._lock:
            context = self._contexts.get(ordinal)
            if context is None:
                device = self._int(self.calls.device, ordinal)
                context = self._contexts[ordinal] = self._handle(self.calls.context, device)
        return context

    def function(self, module: int, name: str, shared: int) -> int:
        """A kernel of the module; DeviceError where it asks for more shared memory than a block may have."""
        found = super().function(module, name, shared)
        if shared > _DEFAULT_SHARED:
            device = self._int(self.calls.device, self._here.ordinal)
            limit = self._int(self.calls.attribute, _SHARED, device)
            free = limit - self._int(self.calls.function_attribute, _STATIC_SHARED, found)
            if shared > free:
                raise DeviceError(f"kernel {name} needs {shared} bytes of shared memory, a block of this device has {free}")
            self.check(self.calls.cache(found, _PREFER_SHARED))
            self.check(self.calls.set_attribute(found, _MOST_SHARED, free))
        return found

    def tensor_map(
        self, target: int, address: int, element: int, shape: tuple[int, ...], strides: tuple[int, ...], box: tuple[int, ...],
        swizzle: int,
    ) -> None:  # fmt: skip
        """Write a tensor's CUtensorMap to `target`."""
        rank = len(shape)
        dims, steps = (c_uint64 * rank)(*reversed(shape)), (c_uint64 * rank)(*reversed(strides[:-1]), 0)
        boxes, ones = (c_uint * rank)(*reversed(box)), (c_uint * rank)(*[1] * rank)
        self.check(self.calls.tensor_map(target, element, rank, address, dims, steps, boxes, ones, 0, swizzle, _L2_128, 0))
        extent = 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if self.version <= _SMALL_MAPS and extent < 1 << 17:
            c_uint64.from_address(target + 8).value &= ~(1 << 21)
