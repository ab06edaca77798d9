"""``torch.accelerator``: the GPUs under their neutral names; there may be none."""

from __future__ import annotations

from typing import Any

from .cuda import CUDAGraph as Graph
from .cuda import current_device as current_device_index
from .cuda import current_stream, device_count, get_device_capability, is_available, set_stream, synchronize
from .cuda import device as device_index
from .cuda import set_device as set_device_index
from .cuda.memory import (
    empty_cache,
    max_memory_allocated,
    max_memory_reserved,
    memory_allocated,
    memory_reserved,
    memory_stats,
    reset_accumulated_memory_stats,
    reset_peak_memory_stats,
)
from .cuda.memory import mem_get_info as get_memory_info
from .eager.device import Device

__all__ = [
    "Graph", "current_accelerator", "current_device_idx", "current_device_index", "current_stream", "device_count",
    "device_index", "empty_cache", "get_device_capability", "get_memory_info", "is_available", "max_memory_allocated",
    "max_memory_reserved", "memory_allocated", "memory_reserved", "memory_stats", "reset_accumulated_memory_stats",
    "reset_peak_memory_stats", "set_device_idx", "set_device_index", "set_stream", "synchronize",
]  # fmt: skip

current_device_idx, set_device_idx = current_device_index, set_device_index


def current_accelerator(check_available: bool = False) -> Any:
    """``device("cuda")``; None where there is none."""
    return Device("cuda") if is_available() else None
