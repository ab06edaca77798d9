"""``torch.cuda``: devices, streams, events, memory, seeds and graphs. Importing it touches no driver."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..addresses import address
from ..eager import generators
from ..errors import DeviceError
from ..runtime.gpu import device as _devices
from ..runtime.gpu import streams as _streams
from ..runtime.gpu.allocator import Pool
from ..runtime.gpu.driver import OutOfMemory as OutOfMemoryError
from ..runtime.gpu.driver import Properties as _CudaDeviceProperties
from ..runtime.gpu.streams import Capturing as graph
from ..runtime.gpu.streams import Event, Stream
from ..runtime.gpu.streams import Graph as CUDAGraph
from .memory import (
    caching_allocator_alloc,
    caching_allocator_delete,
    empty_cache,
    get_allocator_backend,
    get_per_process_memory_fraction,
    host_memory_stats,
    ipc_collect,
    max_memory_allocated,
    max_memory_cached,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_cached,
    memory_reserved,
    memory_snapshot,
    memory_stats,
    memory_stats_as_nested_dict,
    memory_summary,
    reset_accumulated_memory_stats,
    reset_max_memory_allocated,
    reset_max_memory_cached,
    reset_peak_memory_stats,
    set_per_process_memory_fraction,
)
from .place import gpu as _gpu
from .place import ordinal as _ordinal

__all__ = [
    "CUDAGraph", "Event", "OutOfMemoryError", "Stream", "caching_allocator_alloc", "caching_allocator_delete", "empty_cache",
    "get_allocator_backend", "get_per_process_memory_fraction", "graph", "host_memory_stats", "ipc_collect", "is_available",
    "max_memory_allocated", "max_memory_cached", "max_memory_reserved", "mem_get_info", "memory_allocated", "memory_cached",
    "memory_reserved", "memory_snapshot", "memory_stats", "memory_stats_as_nested_dict", "memory_summary",
    "reset_accumulated_memory_stats", "reset_max_memory_allocated", "reset_max_memory_cached", "reset_peak_memory_stats",
    "set_per_process_memory_fraction",
]  # fmt: skip

CudaError = DeviceError
for _part in ("autocast_mode", "grad_scaler", "common"):
    address(f"cuda.amp.{_part}", "cuda.amp")
graphs, random, streams = (address(f"cuda.{_part}", "cuda") for _part in ("graphs", "random", "streams"))
has_half, has_magma = True, False
AcceleratorError = DeviceError


# -- devices


def is_available() -> bool:
    """Whether there is a driver with a device."""
    return _devices.is_available()


def is_initialized() -> bool:
    """Whether a device was asked for."""
    return bool(_devices.started())


def init() -> None:
    """Start the driver; DeviceError where there is none."""
    _gpu()


_lazy_init = init


def _is_in_bad_fork() -> bool:
    return _devices.in_fork()


def device_count() -> int:
    """Number of devices."""
    return _devices.count()


def current_device() -> int:
    """Number of this thread's device; DeviceError where there is none."""
    return _gpu().ordinal


def set_device(device: Any) -> None:
    """Make `device` this thread's."""
    _devices.here.ordinal = _gpu(device).ordinal


class device:
    """``with device(1):`` the thread's device inside; None or a negative number changes nothing."""

    def __init__(self, device: Any) -> None:
        self.idx = -1 if device is None else _ordinal(device)

    def __enter__(self) -> None:
        self.before = _devices.here.ordinal
        if self.idx >= 0:
            set_device(self.idx)

    def __exit__(self, *exc: object) -> None:
        _devices.here.ordinal = self.before


class device_of(device):
    """``with device_of(x):`` the device of tensor `x`, where it lies on a GPU."""

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.device.index if obj.is_cuda else None)


def get_device_properties(device: Any = None) -> _CudaDeviceProperties:
    """What the device is: name, compute capability, memory, multiprocessors."""
    return _gpu(device).properties


def get_device_name(device: Any = None) -> str:
    """Name of the device."""
    return _gpu(device).properties.name


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """Compute capability as (major, minor)."""
    found = _gpu(device).properties
    return found.major, found.minor


def get_arch_list() -> list[str]:
    """Architectures that kernels are compiled for: those of the devices at hand."""
    found = [get_device_properties(i) for i in range(device_count())]
    return sorted({p.arch or f"sm_{p.major}{p.minor}" for p in found})


def get_gencode_flags() -> str:
    """The architectures at hand as nvcc's options."""
    named = [a.removeprefix("sm_") for a in get_arch_list()]
    return " ".join(f"-gencode compute=compute_{a},code=sm_{a}" for a in named)


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the current device computes with bfloat16; with `including_emulation` also where it does so in float32."""
    return is_available() and (including_emulation or get_device_capability()[0] >= 8)


def is_tf32_supported() -> bool:
    """Whether the current device has products in TF32."""
    return is_available() and _devices.driver().target == "cuda" and get_device_capability()[0] >= 8


def can_device_access_peer(device: Any, peer_device: Any) -> bool:
    """Whether one device can be let read the memory of another."""
    one, other = _gpu(device), _gpu(peer_device)
    return one is not other and one.driver.reaches(one.ordinal, other.ordinal)


def check_error(res: int) -> None:
    """DeviceError for a status of the driver that is not 0."""
    if res:
        _devices.driver().check(int(res))


def set_sync_debug_mode(debug_mode: int | str) -> None:
    """What reading values of a device does: nothing (0, "default"), a warning (1, "warn"), or RuntimeError (2, "error")."""
    names = {"default": 0, "warn": 1, "error": 2}
    mode = names.get(debug_mode, -1) if isinstance(debug_mode, str) else debug_mode
    if mode not in (0, 1, 2):
        raise RuntimeError("invalid value of debug_mode, expected one of `default`, `warn`, `error`")
    _devices.waits.mode = mode


def get_sync_debug_mode() -> int:
    """As `set_sync_debug_mode` has set it."""
    return _devices.waits.mode


def _without_nvml(name: str) -> Callable[..., Any]:
    def ask(device: Any = None) -> Any:
        raise ModuleNotFoundError(f"{name}() asks NVIDIA's management library, which is not used here: see nvidia-smi")

    ask.__doc__ = "ModuleNotFoundError: the management library is not used here."
    return ask


utilization, temperature, power_draw = map(_without_nvml, ("utilization", "temperature", "power_draw"))
clock_rate, memory_usage, list_gpu_processes = map(_without_nvml, ("clock_rate", "memory_usage", "list_gpu_processes"))
device_memory_used = _without_nvml("device_memory_used")


# -- streams


def synchronize(device: Any = None) -> None:
    """Wait for all that a device does, then raise what its kernels have found wrong (an index out of range)."""
    _gpu(device).synchronize()


def current_stream(device: Any = None) -> Stream:
    """This thread's current stream on a device."""
    return _streams.current(_gpu(device))


def default_stream(device: Any = None) -> Stream:
    """The stream that is current where none was chosen."""
    return Stream(gpu=_gpu(device), handle=0)


def set_stream(stream: Stream | None) -> None:
    """Make `stream` this thread's current one."""
    if stream is not None:
        _devices.here.ordinal = stream.gpu.ordinal
        _devices.here.streams[stream.gpu.ordinal] = stream.cuda_stream


@contextmanager
def stream(stream: Stream | None) -> Iterator[None]:
    """``with stream(s):`` ops inside go into `s` (None changes nothing)."""
    if stream is None:
        yield
        return
    with stream:
        yield


StreamContext = stream


def ExternalStream(stream_ptr: int, device: Any = None) -> Stream:
    """A stream of another library by its handle."""
    return Stream(gpu=_gpu(device), handle=stream_ptr)


get_stream_from_external = ExternalStream


def is_current_stream_capturing() -> bool:
    """Whether this thread records a graph."""
    return bool(_devices.started()) and _gpu().recording


def graph_pool_handle() -> Pool:
    """Memory for graphs to share (``pool=``), which are replayed in the order of their recording."""
    return Pool()


def make_graphed_callables(callables: Any, sample_args: Any, *args: Any, **kwargs: Any) -> Any:
    """The callables compiled, with their launches recorded (``compile(mode="reduce-overhead")``)."""
    from ..compiler import compile

    several = isinstance(callables, tuple)
    made = tuple(compile(f, mode="reduce-overhead") for f in (callables if several else (callables,)))
    return made if several else made[0]


# -- random numbers


def manual_seed(seed: int) -> None:
    """Seed the current device's generator, if there is one."""
    if is_available():
        generators.of(f"cuda:{_devices.here.ordinal}").manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all devices, if there are any."""
    for i in range(device_count()):
        generators.of(f"cuda:{i}").manual_seed(seed)


def seed() -> None:
    """Start the current device's stream of numbers at a seed nobody knows."""
    if is_available():
        generators.of(f"cuda:{_devices.here.ordinal}").seed()


def seed_all() -> None:
    """As `seed`, for all devices."""
    for i in range(device_count()):
        generators.of(f"cuda:{i}").seed()


def initial_seed() -> int:
    """The seed of the current device's generator."""
    return int(generators.of(f"cuda:{_ordinal()}").initial_seed())


def get_rng_state(device: Any = None) -> Any:
    """A copy of the state of a device's generator, on the CPU."""
    return generators.of(_gpu(device).name).get_state().cpu()


def set_rng_state(new_state: Any, device: Any = None) -> None:
    """Go on from `new_state` in a device's generator."""
    generators.of(_gpu(device).name).set_state(new_state)


def get_rng_state_all() -> list[Any]:
    """Of each device, a copy of the state of its generator."""
    return [get_rng_state(i) for i in range(device_count())]


def set_rng_state_all(new_states: Any) -> None:
    """Go on from `new_states`, one for each device."""
    for i, state in enumerate(new_states):
        set_rng_state(state, i)


def __getattr__(name: str) -> Any:
    if name in ("amp", "comm", "nvtx", "profiler"):
        return importlib.import_module(f"{__name__}.{name}")
    if name == "default_generators":
        return tuple(generators.of(f"cuda:{i}") for i in range(device_count()))
    if name.endswith("Tensor"):
        from ..eager.legacy import legacy

        return legacy(name, "cuda")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
