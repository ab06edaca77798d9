"""``torch.cuda`` on a machine without a GPU: nothing is available, seeds are accepted, what needs a device raises DeviceError."""

from __future__ import annotations

from typing import Any, NoReturn

from .errors import DeviceError


def is_available() -> bool:
    """False: the eager library computes on the CPU."""
    return False


is_initialized = is_bf16_supported = is_available


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed: int) -> None:
    """Accepted without effect: there is no device whose generator it could seed."""


def manual_seed_all(seed: int) -> None:
    """Accepted without effect, as `manual_seed`."""


def empty_cache() -> None:
    """Accepted without effect: there is no device memory."""


reset_peak_memory_stats = ipc_collect = empty_cache


def memory_allocated(device: Any = None) -> int:
    """0: there is no device memory."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def _refuse(*args: Any, **kwargs: Any) -> NoReturn:
    """DeviceError: there is no GPU."""
    raise DeviceError("there is no CUDA device: this version of the eager library runs on the CPU only (see cuda.is_available())")


synchronize = set_device = current_device = get_device_name = get_device_properties = get_device_capability = _refuse
current_stream = mem_get_info = Stream = Event = _refuse


def __getattr__(name: str) -> Any:
    if name == "amp":
        from . import amp

        return amp
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
