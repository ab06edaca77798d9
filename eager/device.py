"""Names of devices. Knows which exist, and nothing of their memory."""

from __future__ import annotations

from ..errors import DeviceError


class Device:
    """``device("cpu")`` or ``device("cuda", 0)``; equal to any other Device or text that names the same one."""

    __slots__ = ("index", "type")

    def __init__(self, name: str | Device, index: int | None = None) -> None:
        text = str(name)
        kind, _, number = text.partition(":")
        if kind not in ("cpu", "cuda", "meta"):
            raise DeviceError(f"there is no device type {kind!r}; known are 'cpu' and 'cuda'")
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


def check(device: object) -> None:
    """DeviceError unless tensors can be made on `device` (None: the default)."""
    if device is not None and Device(device).type != "cpu":  # type: ignore[arg-type]
        raise DeviceError(f"cannot make tensors on {device}: this version of the eager library runs on the CPU only")
