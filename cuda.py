"""``torch.cuda``: devices, streams, events, memory, seeds and graphs. Importing it touches no driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .addresses import address
from .eager import generators
from .eager.device import Device
from .errors import DeviceError
from .runtime.gpu import device as _devices
from .runtime.gpu import streams as _streams
from .runtime.gpu.allocator import text as _size
from .runtime.gpu.driver import OutOfMemory as OutOfMemoryError
from .runtime.gpu.driver import Properties as _CudaDeviceProperties
from .runtime.gpu.streams import Capturing as graph
from .runtime.gpu.streams import Event, Stream
from .runtime.gpu.streams import Graph as CUDAGraph

__all__ = ["CUDAGraph", "Event", "OutOfMemoryError", "Stream", "graph", "is_available"]

CudaError = DeviceError
__path__: list[str] = []  # so that torch.cuda.amp is imported as a module
amp = address("cuda.amp", "cudaamp")
for _part in ("autocast_mode", "grad_scaler", "common"):
    address(f"cuda.amp.{_part}", "cudaamp")
has_half = True


def _ordinal(device: Any = None) -> int:
    """The number of a device (None: the current one); ValueError for the CPU."""
    if device is None:
        return _devices.here.ordinal
    if isinstance(device, int):
        return device if device >= 0 else _devices.here.ordinal
    found = Device(device)
    if found.type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {found}")
    return _devices.here.ordinal if found.index is None else found.index


def _gpu(device: Any = None) -> _devices.GPU:
    from .eager import gpu  # noqa: F401  (says what runs the ops of tensors there)

    return _devices.device(_ordinal(device))


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
    return sorted({"sm_{}{}".format(*get_device_capability(i)) for i in range(device_count())})


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether there is a device, all of which compute with bfloat16 (in float32)."""
    return is_available()


def can_device_access_peer(device: Any, peer_device: Any) -> bool:
    """Whether one device reaches the memory of another."""
    return _ordinal(device) != _ordinal(peer_device)


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


def is_current_stream_capturing() -> bool:
    """Whether a graph is being recorded in the current stream."""
    return bool(_devices.started()) and _gpu().capturing


def graph_pool_handle() -> Any:
    """A name for memory that graphs share. (Each keeps its own.)"""
    return (0, 0)


def make_graphed_callables(callables: Any, sample_args: Any, *args: Any, **kwargs: Any) -> Any:
    """The callables compiled, with their launches recorded (``compile(mode="reduce-overhead")``)."""
    from .compiler import compile

    several = isinstance(callables, tuple)
    made = tuple(compile(f, mode="reduce-overhead") for f in (callables if several else (callables,)))
    return made if several else made[0]


# -- memory


def empty_cache() -> None:
    """Give memory that no tensor uses back to the driver."""
    for gpu in _devices.started():
        gpu.memory.empty()


def ipc_collect() -> None:
    """Accepted without effect: no memory is shared with other processes."""


def memory_stats(device: Any = None) -> dict[str, Any]:
    """Bytes and numbers of blocks and segments: now, at most, and in all."""
    return _gpu(device).memory.statistics() if is_available() else {}


def _statistic(name: str, doc: str) -> Callable[..., int]:
    def read(device: Any = None) -> int:
        return int(memory_stats(device).get(name, 0))

    read.__doc__ = doc
    return read


memory_allocated = _statistic("allocated_bytes.all.current", "Bytes that tensors hold; 0 without a device.")
max_memory_allocated = _statistic("allocated_bytes.all.peak", "The most bytes that tensors have held.")
memory_reserved = _statistic("reserved_bytes.all.current", "Bytes taken from the driver, for tensors and for the cache.")
max_memory_reserved = _statistic("reserved_bytes.all.peak", "The most bytes taken from the driver.")
memory_cached, max_memory_cached = memory_reserved, max_memory_reserved


def reset_peak_memory_stats(device: Any = None) -> None:
    """The most so far is what is held now."""
    if is_available():
        _gpu(device).memory.reset_peaks()


reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(free, total) bytes of the device, as the driver counts."""
    gpu = _gpu(device)
    gpu.activate()
    return gpu.driver.memory_info()


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """The statistics as a table to read."""
    found = memory_stats(device)
    rows = [f"memory of cuda:{_ordinal(device)}", f"  {'':24}{'now':>14}{'at most':>14}"]
    for title, name in (("held by tensors", "allocated_bytes.all"), ("asked for", "requested_bytes.all"),
                        ("taken from the driver", "reserved_bytes.all")):  # fmt: skip
        rows.append(f"  {title:24}{_size(found[f'{name}.current']):>14}{_size(found[f'{name}.peak']):>14}")
    rows.append(f"  {'allocations':24}{found['allocation.all.allocated']:>14}")
    return "\n".join(rows)


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
    if name == "default_generators":
        return tuple(generators.of(f"cuda:{i}") for i in range(device_count()))
    if name.endswith("Tensor"):
        from .eager.legacy import legacy

        return legacy(name, "cuda")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
