"""Kernels that users have written for Triton (``@triton.jit``), launched on our tensors without PyTorch and without a C compiler.

Triton asks its active driver for the device, the stream and a launcher; `activate` puts ours there, unless PyTorch is loaded,
whose driver then serves (tensors of both share the primary context).
"""

from __future__ import annotations

import ctypes
import importlib.util
import struct
import sys
from typing import Any

from ...errors import CompileError
from ...runtime.gpu import device as devices
from ...runtime.gpu.allocator import Memory
from . import builder

_FORMS = {
    "i1": "?", "u1": "?", "i8": "b", "u8": "B", "i16": "h", "u16": "H", "i32": "i", "u32": "I", "i64": "q", "u64": "Q",
    "fp16": "e", "fp32": "f", "f32": "f", "fp64": "d",
}  # fmt: skip


class _Utils:
    """What Triton asks of a driver to load machine code."""

    @staticmethod
    def get_device_properties(ordinal: int) -> dict[str, int]:
        p = devices.device(ordinal).properties
        return {
            "max_shared_mem": p.shared_limit, "max_num_regs": p.regs_per_multiprocessor, "warpSize": p.warp_size,
            "multiprocessor_count": p.multi_processor_count, "sm_clock_rate": 0, "mem_clock_rate": 0, "mem_bus_width": 0,
        }  # fmt: skip

    @staticmethod
    def load_binary(name: str, image: bytes, shared: int, ordinal: int) -> tuple[int, int, int, int, int]:
        gpu = devices.device(ordinal)
        gpu.activate()
        module = gpu.driver.load(image)
        return module, gpu.driver.function(module, name, shared), 0, 0, 1024


class Launcher:
    """Launches one compiled kernel; made by Triton with its source and metadata."""

    def __init__(self, source: Any, metadata: Any) -> None:
        names = source.fn.arg_names
        constant = {names.index(k) if isinstance(k, str) else k[0] for k in source.constants}
        types = list(source.signature.values())
        self.kinds = [(i, t) for i, t in enumerate(types) if t != "constexpr" and i not in constant]
        odd = [t for _, t in self.kinds if not isinstance(t, str) or (t[0] != "*" and t not in _FORMS)]
        self.scratch, self.ctas = metadata.global_scratch_size, getattr(metadata, "num_ctas", 1)
        if odd or self.ctas != 1 or metadata.launch_cooperative_grid or getattr(metadata, "tensordesc_meta", None):
            what = f"arguments of type {odd[0]}" if odd else "clusters, cooperative grids or tensor descriptors of the host"
            raise CompileError(f"a kernel of yours with {what} is not launched here: pass pointers, and make descriptors inside")
        self.threads, self.shared = metadata.num_warps * metadata.target.warp_size, metadata.shared

    def __call__(
        self, x: int, y: int, z: int, stream: int, function: int, packed: Any, metadata: Any, enter: Any, leave: Any, *args: Any
    ) -> None:
        if not x * y * z:
            return
        gpu = devices.device()
        if enter is not None:
            enter(metadata)
        scratch: Memory | None = gpu.allocate(x * y * z * self.scratch) if self.scratch else None
        words = [self._word(t, args[i]) for i, t in self.kinds]
        words += [struct.pack("<Q", scratch.address if scratch is not None else 0), bytes(8)]
        memory = ctypes.create_string_buffer(b"".join(words), 8 * len(words))
        first = ctypes.addressof(memory)
        pointers = (ctypes.c_void_p * len(words))(*range(first, first + 8 * len(words), 8))
        gpu.activate()
        gpu.driver.launch(function, (x, y, z), self.threads, self.shared, stream, ctypes.addressof(pointers))
        if leave is not None:
            leave(metadata)

    @staticmethod
    def _word(kind: str, x: Any) -> bytes:
        """One argument in 8 bytes."""
        if kind[0] == "*":
            return struct.pack("<Q", 0 if x is None else x if isinstance(x, int) else x.data_ptr())
        return struct.pack(f"<{_FORMS[kind]}", x).ljust(8, b"\0")


class TritonDriver:
    """Our devices and streams as Triton's active driver."""

    launcher_cls = Launcher
    utils = _Utils()

    @staticmethod
    def is_active() -> bool:
        return devices.is_available()

    @staticmethod
    def get_current_device() -> int:
        return devices.device().ordinal

    @staticmethod
    def set_current_device(ordinal: int) -> None:
        devices.here.ordinal = ordinal

    @staticmethod
    def get_current_stream(ordinal: int | None = None) -> int:
        return devices.device(ordinal).stream

    @staticmethod
    def get_device_capability(ordinal: int | None = None) -> tuple[int, int]:
        p = devices.device(ordinal).properties
        return p.major, p.minor

    @staticmethod
    def get_current_target() -> Any:
        from triton.backends.compiler import GPUTarget

        found = builder.target_of(devices.device())
        return GPUTarget(found.kind, found.arch, found.warp)

    @staticmethod
    def get_active_torch_device() -> Any:
        raise CompileError("Triton asks for PyTorch's device: PyTorch is not used here")

    @staticmethod
    def get_benchmarker() -> Any:
        from .measuring import benchmark

        return benchmark


def activate() -> bool:
    """Make ours Triton's driver, if Triton is loaded and PyTorch is not. Whether it is."""
    if "triton.runtime" not in sys.modules or "torch" in sys.modules:
        return False
    from triton.runtime import driver

    if not isinstance(driver._active, TritonDriver):
        driver.set_active(TritonDriver())
    return True


class _Import:
    """Looks out for the import of Triton, which then gets our driver; does it once."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "triton.runtime":
            return None
        sys.meta_path.remove(self)  # type: ignore[arg-type]
        spec = importlib.util.find_spec(name)
        loader: Any = spec.loader if spec is not None else None
        if loader is not None:
            run = loader.exec_module

            def exec_module(module: Any) -> None:
                run(module)
                activate()

            loader.exec_module = exec_module
        return spec


def serve() -> None:
    """Be Triton's driver from now on, also where it is imported later."""
    if not activate() and "triton.runtime" not in sys.modules and not any(type(f) is _Import for f in sys.meta_path):
        sys.meta_path.insert(0, _Import())  # type: ignore[arg-type]
