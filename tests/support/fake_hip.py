"""HIP's runtime without a GPU: the entry points of the CUDA driver of `fake_cuda` under HIP's names."""

from __future__ import annotations

import ctypes
from typing import Any

from fake_cuda import Fake
from fake_work import Refused, put

from fusewire.runtime.gpu import cuda, hip

#: HIP's name -> CUDA's
_NAMES = {name: cuda.ENTRIES[word] for word, name in hip.ENTRIES.items() if word in cuda.ENTRIES}
_ATTRIBUTES = {
    87: 64, 72: 65536, 63: 304, 19: 4 << 20, 57: 2048, 23: 9, 61: 4, 74: 65536, 56: 1024,
    **dict.fromkeys((5, 60, 59, 16, 17, 67, 68, 69), 1),
}  # fmt: skip


class FakeHip(Fake):
    """An MI300 (gfx942). Every thread has device 0 from its start; a launch has less than 2**32 threads in a dimension."""

    signatures: Any = hip.SIGNATURES

    def __getattr__(self, name: str) -> Any:
        if name not in _NAMES:
            raise AttributeError(name)
        return getattr(self, _NAMES[name])

    def known_as(self, name: str) -> str:
        return _NAMES.get(name, "cuDeviceGetAttribute")

    @property
    def here(self) -> int:
        return getattr(self.threads, "device", 0)

    def hipGetDeviceCount(self, out: int) -> int:
        put(out, ctypes.c_int, self.count)
        return 0 if self.count else 100

    def hipDeviceGetName(self, out: int, size: int, dev: int) -> None:
        ctypes.memmove(out, b"Fake MI300\0", 11)

    def hipDeviceGetAttribute(self, out: int, number: int, dev: int) -> None:
        put(out, ctypes.c_int, _ATTRIBUTES[number])

    def hipGetDevicePropertiesR0600(self, out: int, ordinal: int) -> int:
        ctypes.memset(out, 0, hip.PROPERTIES)
        text = b"gfx942:sramecc+:xnack-\0"
        ctypes.memmove(out + hip.ARCHITECTURE, text, len(text))
        return 0 if 0 <= ordinal < self.count else 101

    def hipSetDevice(self, ordinal: int) -> int:
        if not 0 <= ordinal < self.count:
            return 101
        self.threads.device = ordinal
        return 0

    def hipMemcpyAsync(self, target: int, source: int, nbytes: int, kind: int, stream: int | None) -> None:
        assert kind == 3
        self.cuMemcpyAsync(target, source, nbytes, stream)

    def hipModuleLaunchKernel(self, function: int, x: int, y: int, z: int, bx: int, by: int, bz: int, *rest: Any) -> int:
        if max(x * bx, y * by, z * bz) >= 1 << 32 or rest[0] > _ATTRIBUTES[74]:
            raise Refused(1)
        return self.cuLaunchKernel(function, x, y, z, bx, by, bz, *rest)
