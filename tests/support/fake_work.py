"""What a driver without a GPU keeps: streams, events and graphs under way, numbers of errors, and what it always refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

ERRORS = {
    1: "CUDA_ERROR_INVALID_VALUE", 2: "CUDA_ERROR_OUT_OF_MEMORY", 3: "CUDA_ERROR_NOT_INITIALIZED",
    4: "CUDA_ERROR_DEINITIALIZED", 100: "CUDA_ERROR_NO_DEVICE", 101: "CUDA_ERROR_INVALID_DEVICE",
    200: "CUDA_ERROR_INVALID_IMAGE", 201: "CUDA_ERROR_INVALID_CONTEXT", 209: "CUDA_ERROR_NO_BINARY_FOR_GPU",
    218: "CUDA_ERROR_INVALID_PTX", 400: "CUDA_ERROR_INVALID_HANDLE", 401: "CUDA_ERROR_ILLEGAL_STATE",
    500: "CUDA_ERROR_NOT_FOUND", 600: "CUDA_ERROR_NOT_READY", 700: "CUDA_ERROR_ILLEGAL_ADDRESS",
    701: "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", 719: "CUDA_ERROR_LAUNCH_FAILED", 900: "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
    901: "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", 902: "CUDA_ERROR_STREAM_CAPTURE_MERGE",
    904: "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", 905: "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", 907: "CUDA_ERROR_CAPTURED_EVENT",
}  # fmt: skip
ATTRIBUTES = {
    10: 32, 82: 65536, 16: 132, 38: 50 << 20, 39: 2048, 75: 9, 76: 0, 97: 232448, 1: 1024, 8: 49152, 81: 233472, 13: 1980000,
    36: 3201000, 37: 6144, 18: 0, 84: 0, 33: 1, 34: 0, 50: 0,
}  # fmt: skip
#: entry points for which a thread needs no context
ANYWHERE = frozenset((
    "cuInit", "cuDriverGetVersion", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetAttribute",
    "cuDeviceTotalMem_v2", "cuDevicePrimaryCtxRetain", "cuCtxSetCurrent", "cuCtxGetCurrent", "cuGetErrorName", "cuGetErrorString",
    "cuPointerGetAttribute", "cuTensorMapEncodeTiled", "cuDeviceCanAccessPeer",
))  # fmt: skip
BEFORE = frozenset(("cuInit", "cuGetErrorName", "cuGetErrorString", "cuDriverGetVersion"))
#: entry points that the driver refuses while the context records a graph, which is spoiled by it
WHOLE = frozenset(("cuCtxSynchronize", "cuMemFree_v2", "cuMemFreeHost"))


def put(address: Any, kind: Any, value: Any) -> None:
    """Store an output argument."""
    kind.from_address(address).value = value


class Refused(Exception):
    """A call that a driver answers with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Capture:
    """A graph being recorded, in `streams`."""

    def __init__(self, origin: Stream) -> None:
        self.origin, self.streams = origin, {origin}
        self.work: list[Callable[[], None]] = []
        self.spoiled = False
        self.joined: set[Stream] = set()


class Stream:
    """Work in order. `done`: how much of it has run."""

    def __init__(self, device: int = 0) -> None:
        self.device = device
        self.work: list[Callable[[], None]] = []
        self.done = 0
        self.capture: Capture | None = None


class Event:
    """A place in a stream (None: never recorded), and when it was passed. `capture`: the graph in which it was recorded."""

    def __init__(self, device: int, flags: int) -> None:
        self.device, self.flags = device, flags
        self.stream: Stream | None = None
        self.place = 0
        self.time = 0.0
        self.capture: Capture | None = None
