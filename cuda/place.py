"""Which GPU a `torch.cuda` call means by its argument. Importing it touches no driver."""

from __future__ import annotations

from typing import Any

from ..eager.device import Device
from ..runtime.gpu import device as _devices


def ordinal(device: Any = None) -> int:
    """The number of a device (None: the current one); ValueError for the CPU."""
    if device is None:
        return _devices.here.ordinal
    if isinstance(device, int):
        return device if device >= 0 else _devices.here.ordinal
    found = Device(device)
    if found.type != "cuda":
        raise ValueError(f"Expected a cuda device, but got: {found}")
    return _devices.here.ordinal if found.index is None else found.index


def gpu(device: Any = None) -> _devices.GPU:
    """The device itself; DeviceError where it is not there."""
    from ..eager import gpu  # noqa: F401  (says what runs the ops of tensors there)

    return _devices.device(ordinal(device))
