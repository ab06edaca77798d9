"""AMD's HIP runtime behind the same protocol as CUDA's driver. Devices are called "cuda", as PyTorch has it on ROCm.

`libamdhip64` (knob `libhip` names another file) is loaded where there is no CUDA driver. HIP numbers flags,
attributes of pointers and most statuses as CUDA does; a device is chosen by its number, without a context.
"""

from __future__ import annotations

import ctypes
from ctypes import c_char_p, c_int, c_size_t, c_ubyte, c_uint, c_ulonglong, c_void_p
from typing import Any

from ... import knobs
from ...errors import DeviceError
from .vendor import Library, Vendor

_P, _I, _U, _N = c_void_p, c_int, c_uint, c_size_t
#: entry point -> types of its arguments; all give a status
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "hipInit": (_U,), "hipDriverGetVersion": (_P,), "hipGetDeviceCount": (_P,), "hipDeviceGet": (_P, _I),
    "hipDeviceGetName": (_P, _I, _I), "hipDeviceGetAttribute": (_P, _I, _I), "hipDeviceTotalMem": (_P, _I),
    "hipGetDevicePropertiesR0600": (_P, _I), "hipSetDevice": (_I,), "hipDeviceSynchronize": (),
    "hipDeviceCanAccessPeer": (_P, _I, _I), "hipDeviceGetStreamPriorityRange": (_P, _P), "hipDrvGetErrorName": (_I, _P),
    "hipDrvGetErrorString": (_I, _P), "hipPointerGetAttribute": (_P, _I, _P), "hipMalloc": (_P, _N), "hipFree": (_P,),
    "hipMemGetInfo": (_P, _P), "hipHostMalloc": (_P, _N, _U), "hipHostFree": (_P,), "hipMemcpyHtoDAsync": (_P, _P, _N, _P),
    "hipMemcpyDtoHAsync": (_P, _P, _N, _P), "hipMemcpyAsync": (_P, _P, _N, _I, _P), "hipMemsetD8Async": (_P, c_ubyte, _N, _P),
    "hipStreamCreateWithPriority": (_P, _U, _I), "hipStreamDestroy": (_P,), "hipStreamSynchronize": (_P,),
    "hipStreamQuery": (_P,),
    "hipStreamWaitEvent": (_P, _P, _U), "hipStreamBeginCapture": (_P, _I), "hipStreamEndCapture": (_P, _P),
    "hipGraphInstantiateWithFlags": (_P, _P, c_ulonglong), "hipGraphLaunch": (_P, _P), "hipGraphExecDestroy": (_P,),
    "hipGraphDestroy": (_P,), "hipEventCreateWithFlags": (_P, _U), "hipEventRecord": (_P, _P), "hipEventQuery": (_P,),
    "hipEventSynchronize": (_P,), "hipEventElapsedTime": (_P, _P, _P), "hipEventDestroy": (_P,), "hipModuleLoadData": (_P, _P),
    "hipModuleUnload": (_P,), "hipModuleGetFunction": (_P, _P, c_char_p),
    "hipModuleLaunchKernel": (_P, _U, _U, _U, _U, _U, _U, _U, _P, _P, _P),
}  # fmt: skip
#: what is called by which word (`vendor.Vendor`)
ENTRIES = {
    "init": "hipInit", "version": "hipDriverGetVersion", "count": "hipGetDeviceCount", "device": "hipDeviceGet",
    "name": "hipDeviceGetName", "attribute": "hipDeviceGetAttribute", "total": "hipDeviceTotalMem",
    "properties": "hipGetDevicePropertiesR0600", "choose": "hipSetDevice", "synchronize": "hipDeviceSynchronize",
    "peer": "hipDeviceCanAccessPeer", "priorities": "hipDeviceGetStreamPriorityRange", "error_name": "hipDrvGetErrorName",
    "error_text": "hipDrvGetErrorString", "pointer": "hipPointerGetAttribute", "allocate": "hipMalloc", "free": "hipFree",
    "memory_info": "hipMemGetInfo", "allocate_host": "hipHostMalloc", "free_host": "hipHostFree",
    "to_device": "hipMemcpyHtoDAsync", "to_host": "hipMemcpyDtoHAsync", "copy": "hipMemcpyAsync", "fill": "hipMemsetD8Async",
    "stream_create": "hipStreamCreateWithPriority", "stream_destroy": "hipStreamDestroy",
    "stream_synchronize": "hipStreamSynchronize", "stream_query": "hipStreamQuery", "stream_wait": "hipStreamWaitEvent",
    "capture_begin": "hipStreamBeginCapture", "capture_end": "hipStreamEndCapture",
    "instantiate": "hipGraphInstantiateWithFlags", "graph_launch": "hipGraphLaunch", "exec_destroy": "hipGraphExecDestroy",
    "graph_destroy": "hipGraphDestroy", "event_create": "hipEventCreateWithFlags", "event_record": "hipEventRecord",
    "event_query": "hipEventQuery", "event_synchronize": "hipEventSynchronize", "event_elapsed": "hipEventElapsedTime",
    "event_destroy": "hipEventDestroy", "load": "hipModuleLoadData", "unload": "hipModuleUnload",
    "function": "hipModuleGetFunction", "launch": "hipModuleLaunchKernel",
}  # fmt: skip
#: what HIP calls the numbers that are used here
NUMBERS: dict[str, int] = {
    "hipErrorOutOfMemory": 2, "hipErrorNotInitialized": 3, "hipErrorNotReady": 600, "hipStreamNonBlocking": 1,
    "hipEventDisableTiming": 2, "hipEventBlockingSync": 1, "hipHostMallocPortable": 1, "HIP_POINTER_ATTRIBUTE_DEVICE_ORDINAL": 9,
    "hipStreamCaptureModeRelaxed": 2, "hipMemcpyDeviceToDevice": 3,
}  # fmt: skip
#: field of Properties -> (HIP's name of the attribute, behind hipDeviceAttribute; its number)
FIELDS = {
    "major": ("ComputeCapabilityMajor", 23), "minor": ("ComputeCapabilityMinor", 61), "warp_size": ("WarpSize", 87),
    "multi_processor_count": ("MultiprocessorCount", 63), "L2_cache_size": ("L2CacheSize", 19),
    "max_threads_per_multi_processor": ("MaxThreadsPerMultiProcessor", 57), "shared_limit": ("MaxSharedMemoryPerBlock", 74),
    "regs_per_multiprocessor": ("MaxRegistersPerMultiprocessor", 72), "max_threads_per_block": ("MaxThreadsPerBlock", 56),
    "shared_memory_per_block": ("MaxSharedMemoryPerBlock", 74), "clock_rate": ("ClockRate", 5),
    "memory_clock_rate": ("MemoryClockRate", 60), "memory_bus_width": ("MemoryBusWidth", 59), "is_integrated": ("Integrated", 16),
    "is_multi_gpu_board": ("IsMultiGpuBoard", 17), "pci_bus_id": ("PciBusId", 67), "pci_device_id": ("PciDeviceId", 68),
    "pci_domain_id": ("PciDomainId", 69),
}  # fmt: skip
#: of hipDeviceProp_tR0600: its bytes, and where the name of the architecture stands in it
PROPERTIES, ARCHITECTURE = 1472, 1160
_COPY = NUMBERS["hipMemcpyDeviceToDevice"]


def find_library() -> Any:
    """The runtime's library. (Tests put one of their own in its place.)"""
    if knobs.libhip:
        return Library(knobs.libhip, "HIP")
    for path in ("libamdhip64.so", "libamdhip64.so.7", "libamdhip64.so.6"):
        try:
            return Library(path, "HIP")
        except DeviceError:
            continue
    raise DeviceError("no HIP driver: libamdhip64.so cannot be loaded")


class Hip(Vendor):
    """HIP as a `driver.Driver`."""

    target = "hip"
    entries, signatures = ENTRIES, SIGNATURES
    attributes = {field: number for field, (_, number) in FIELDS.items()}
    non_blocking, portable = NUMBERS["hipStreamNonBlocking"], NUMBERS["hipHostMallocPortable"]
    no_timing, blocking = NUMBERS["hipEventDisableTiming"], NUMBERS["hipEventBlockingSync"]
    ordinal_of, relaxed = NUMBERS["HIP_POINTER_ATTRIBUTE_DEVICE_ORDINAL"], NUMBERS["hipStreamCaptureModeRelaxed"]

    def __init__(self) -> None:
        super().__init__(find_library())

    def _arch(self, ordinal: int) -> str:
        raw = ctypes.create_string_buffer(PROPERTIES)
        self.check(self.calls.properties(raw, ordinal))
        return ctypes.string_at(ctypes.addressof(raw) + ARCHITECTURE).decode().partition(":")[0]

    def copy(self, target: int, source: int, nbytes: int, stream: int) -> None:
        """Copy device memory, between devices too."""
        self.check(self.calls.copy(target, source, nbytes, _COPY, stream))

    def tensor_map(self, *given: Any) -> None:
        """DeviceError: AMD's hardware has no such maps, and no kernel for it asks for them."""
        raise DeviceError("tensor maps are NVIDIA's")
