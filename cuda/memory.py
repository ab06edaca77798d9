"""``torch.cuda.memory``: what is held, what the cache keeps, and limits. Importing it touches no driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..runtime.gpu import device as _devices
from ..runtime.gpu.allocator import Memory
from ..runtime.gpu.allocator import text as _size
from .place import gpu, ordinal


def empty_cache() -> None:
    """Give memory that no tensor uses back to the driver."""
    for home in _devices.started():
        home.memory.empty()


def ipc_collect() -> None:
    """Accepted without effect: no memory is shared with other processes."""


def memory_stats(device: Any = None) -> dict[str, Any]:
    """Bytes and numbers of blocks and segments: now, at most, and in all."""
    return gpu(device).memory.statistics() if _devices.is_available() else {}


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
    if _devices.is_available():
        gpu(device).memory.reset_peaks()


reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(free, total) bytes of the device, as the driver counts."""
    home = gpu(device)
    home.activate()
    return home.driver.memory_info()


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """The statistics as a table to read."""
    found = memory_stats(device)
    rows = [f"memory of cuda:{ordinal(device)}", f"  {'':24}{'now':>14}{'at most':>14}"]
    for title, name in (("held by tensors", "allocated_bytes.all"), ("asked for", "requested_bytes.all"),
                        ("taken from the driver", "reserved_bytes.all")):  # fmt: skip
        rows.append(f"  {title:24}{_size(found[f'{name}.current']):>14}{_size(found[f'{name}.peak']):>14}")
    rows.append(f"  {'allocations':24}{found['allocation.all.allocated']:>14}")
    return "\n".join(rows)


def memory_stats_as_nested_dict(device: Any = None) -> dict[str, Any]:
    """As `memory_stats`, the parts of each name as dicts in dicts."""
    made: dict[str, Any] = {}
    for name, value in memory_stats(device).items():
        *path, last = name.split(".")
        inner = made
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return made


def reset_accumulated_memory_stats(device: Any = None) -> None:
    """Count allocations, frees, retries and failures from here on."""
    if _devices.is_available():
        gpu(device).memory.reset_totals()


def memory_snapshot(mempool_id: Any = None) -> list[dict[str, Any]]:
    """Every segment taken from the driver, with its blocks: address, bytes, and whether a tensor holds it."""
    return [{"device": home.ordinal, **segment} for home in _devices.started() for segment in home.memory.snapshot()]


def host_memory_stats() -> dict[str, int]:
    """Bytes of page-locked memory taken from the driver, and how many pieces."""
    sizes = _devices.pinned.sizes()
    return {"allocated_bytes.current": sum(sizes), "segment.current": len(sizes), "num_host_alloc": len(sizes)}


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """Let tensors and the cache take no more than this share (0 to 1) of a device's memory."""
    if not isinstance(fraction, float):
        raise TypeError("Invalid type for fraction argument, must be `float`")
    if not 0 <= fraction <= 1:
        raise ValueError(f"Invalid fraction value: {fraction}. Allowed range: 0~1")
    home = gpu(device)
    home.memory.limit = int(fraction * home.properties.total_memory)


def get_per_process_memory_fraction(device: Any = None) -> float:
    """The share of `set_per_process_memory_fraction`; 1 where none was set."""
    home = gpu(device)
    return 1.0 if home.memory.limit is None else home.memory.limit / home.properties.total_memory


_handed_out: dict[int, Memory] = {}


def caching_allocator_alloc(size: int, device: Any = None, stream: Any = None) -> int:
    """The address of `size` bytes on a device, for work in `stream` (a Stream, a handle, or None: the current one)."""
    home = gpu(device)
    handle = home.stream if stream is None else getattr(stream, "cuda_stream", stream)
    made = home.memory.allocate(size, handle)
    _handed_out[made.address] = made
    return made.address


def caching_allocator_delete(mem_ptr: int) -> None:
    """Give memory of `caching_allocator_alloc` back."""
    _handed_out.pop(mem_ptr, None)


def get_allocator_backend() -> str:
    """``native``: the allocator is ours."""
    return "native"
