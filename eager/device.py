"""Names of devices, and which of them new tensors lie on. Touches no driver until a tensor is made on a GPU."""

from __future__ import annotations

import threading
from typing import Any

from ..errors import DeviceError
from .factory import make


class Device:
    """``device("cpu")`` or ``device("cuda", 0)``; equal to any other Device or text that names the same one. As a context
    manager: tensors are made there that do not say where."""

    __slots__ = ("index", "type")

    def __init__(self, name: str | Device | int, index: int | None = None) -> None:
        if isinstance(name, int):  # a number alone is a GPU's
            index = name
        text = "cuda" if isinstance(name, int) else str(name)
        kind, _, number = text.partition(":")
        if kind not in ("cpu", "cuda", "meta"):
            raise DeviceError(f"there is no device type {kind!r}; known are 'cpu' and 'cuda'")
        if number and not number.isdecimal():
            raise DeviceError(f"{text!r} is no device: behind the colon stands its number, as in 'cuda:0'")
        self.type = kind
        self.index = int(number) if number else index

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device(type={self.type!r})" if self.index is None else f"device(type={self.type!r}, index={self.index})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __reduce__(self) -> tuple[object, ...]:
        return Device, (str(self),)

    def __enter__(self) -> Device:
        check(self)
        _chosen.stack.append(_chosen.now)
        _choose(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _choose(_chosen.stack.pop())


class _Chosen(threading.local):
    """Where this thread makes tensors that do not say where; None: on the CPU."""

    now: Device | None = None

    def __init__(self) -> None:
        self.stack: list[Device | None] = []


_chosen = _Chosen()
_choosing = False  # whether any thread ever chose: spares all others the look at the thread's own


def _choose(device: Device | None) -> None:
    global _choosing
    _choosing = True
    _chosen.now = device if device is not None and device.type != "cpu" else None


def default() -> Device | None:
    """Where tensors are made that do not say where; None: on the CPU."""
    return _chosen.now if _choosing else None


def set_default(device: object) -> None:
    """Make tensors on `device` (None: the CPU) that do not say where."""
    check(device)
    _choose(None if device is None else Device(device))  # type: ignore[arg-type]


def check(device: object) -> None:
    """DeviceError unless tensors can be made on `device` (None: the default)."""
    if device is None:
        return
    kind = Device(device).type  # type: ignore[arg-type]
    if kind == "cuda":
        gpu(device)
    elif kind != "cpu":
        raise DeviceError(f"cannot make tensors on {device}: they hold values, on the CPU or on a GPU")


def gpu(device: object) -> Any:
    """The `runtime.gpu.device.GPU` that `device` (None: the default) names, None for the CPU; DeviceError where it is missing."""
    found = _chosen.now if device is None else Device(device)  # type: ignore[arg-type]
    if found is None or found.type == "cpu":
        return None
    if found.type == "meta":
        check(found)
    from ..runtime.gpu import device as devices
    from . import gpu as _executors  # noqa: F401  (says what runs the ops of tensors there)

    return devices.device(found.index)


def name_of(device: object) -> str:
    """How `device` (None: the default) is written with its number."""
    found = None if device is None and not _choosing else gpu(device)
    return "cpu" if found is None else str(found.name)


def on_cpu(device: object) -> bool:
    """Whether `device` (None: the default) is the CPU."""
    if device is None:
        return not _choosing or _chosen.now is None
    return Device(device).type == "cpu"  # type: ignore[arg-type]


def executor(device: object) -> Any:
    """What makes tensors on `device` (`eager.executor.Executor`); None: the CPU's."""
    if device is None and not _choosing:
        return None
    found = gpu(device)
    return None if found is None else found.executor


def placed(x: Any, device: object) -> Any:
    """`x`, a tensor of the CPU without history, as one on `device`."""
    if device is None and not _choosing:
        return x
    found = gpu(device)
    if found is None:
        return x
    from .gpu import moved

    out = moved(x, found)
    return out.requires_grad_() if x.meta.requires_grad else out


def made_beside(array: Any, x: Any) -> Any:
    """A Tensor of `array`, on the device of `x`."""
    return placed(make(array), beside(x))


def is_at(x: Any, device: object) -> bool:
    """Whether `x` lies on `device`; of a GPU without a number, the current one is meant."""
    wanted = Device(device)  # type: ignore[arg-type]
    have = x.meta.device
    if wanted.index is None and wanted.type != "cpu":
        return bool(have == gpu(wanted).name)
    return bool(have == str(wanted))


def beside(x: Any) -> str | None:
    """The device of `x` as an argument ``device=``; None, which costs no look, where that is the CPU anyway."""
    name = x.meta.device
    return None if name == "cpu" and not _choosing else name
