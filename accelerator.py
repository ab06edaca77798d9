"""``torch.accelerator``: there is none; what needs one raises DeviceError."""

from __future__ import annotations

from typing import Any

from .cuda import _refuse, device_count, is_available

__all__ = ["current_accelerator", "device_count", "is_available", "set_device_index", "synchronize"]


def current_accelerator(check_available: bool = False) -> Any:
    """None: there is no accelerator."""
    return None


set_device_index = current_device_index = synchronize = _refuse
