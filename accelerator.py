"""``torch.accelerator``: the GPUs under their neutral names; there may be none."""

from __future__ import annotations

from typing import Any

from .cuda import current_device as current_device_index
from .cuda import current_stream, device_count, empty_cache, is_available, set_stream, synchronize
from .cuda import set_device as set_device_index
from .eager.device import Device

__all__ = [
    "current_accelerator", "current_device_index", "current_stream", "device_count", "empty_cache", "is_available",
    "set_device_index", "set_stream", "synchronize",
]  # fmt: skip


def current_accelerator(check_available: bool = False) -> Any:
    """``device("cuda")``; None where there is none."""
    return Device("cuda") if is_available() else None
