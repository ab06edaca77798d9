"""DLPack for tensors on a GPU, both ways, without a copy: capsules made and read by ctypes. The CPU's go through NumPy.

The producer orders: before the consumer's stream goes on it waits for ours. What is exported lives until the consumer lets go.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_int32, c_int64, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p, cast
from typing import Any

from .. import knobs
from ..errors import DeviceError
from ..ir import dtypes
from ..ir.layout import extent_of
from ..ir.types import contiguous_strides
from ..runtime.gpu import device as gpus
from ..runtime.gpu.storage import DeviceStorage
from ..runtime.gpu.streams import Event, Stream
from ..runtime.meta import Meta
from .gpu import tensor_in

CUDA, ROCM, MANAGED = 2, 10, 13  # DLPack's kinds of devices that are ours
_READ_ONLY, _COPIED = 1, 2  # its flags
_PER_THREAD = 2  # the driver's handle of a thread's default stream
_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}
_NAMES = b"dltensor", b"dltensor_versioned"  # capsules keep these very pointers
_USED = b"used_dltensor", b"used_dltensor_versioned"


class _Tensor(Structure):
    _fields_ = [
        ("data", c_void_p), ("kind", c_int32), ("ordinal", c_int32), ("ndim", c_int32), ("code", c_uint8), ("bits", c_uint8),
        ("lanes", c_uint16), ("shape", POINTER(c_int64)), ("strides", POINTER(c_int64)), ("byte_offset", c_uint64),
    ]  # fmt: skip


class _Managed(Structure):
    _fields_ = [("tensor", _Tensor), ("context", c_void_p), ("deleter", c_void_p)]


class _Versioned(Structure):
    _fields_ = [
        ("major", c_uint32), ("minor", c_uint32), ("context", c_void_p), ("deleter", c_void_p), ("flags", c_uint64),
        ("tensor", _Tensor),
    ]  # fmt: skip


_KINDS = (_Managed, _Versioned)
_api = ctypes.PyDLL(None)
_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_IsValid", _api))
_pointer = ctypes.PYFUNCTYPE(c_void_p, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", _api))
_rename = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_SetName", _api))
_new = ctypes.PYFUNCTYPE(ctypes.py_object, c_void_p, ctypes.c_char_p, c_void_p)(("PyCapsule_New", _api))
# a dying capsule must not become an object again: its destructor looks at it as an address
_dying_valid = ctypes.PYFUNCTYPE(ctypes.c_int, c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", _api))
_dying_pointer = ctypes.PYFUNCTYPE(c_void_p, c_void_p, ctypes.c_char_p)(("PyCapsule_GetPointer", _api))

_exports: dict[int, Any] = {}  # address of a managed tensor -> all that it keeps alive


def _delete(address: int) -> None:
    kept = _exports.pop(address, None)
    if kept is not None and kept[-1] is not None:
        try:
            _behind(kept[-2].gpu, kept[-1])
        except DeviceError:  # nothing waits for a device that is lost
            return


def _behind(gpu: Any, stream: int) -> None:
    """Let our streams wait for what a consumer has put into a default stream by now: its memory is ours again behind that."""
    if gpu.alive and not gpu.capturing and stream != gpu.stream:
        event = Event()
        event.record(Stream(gpu=gpu, handle=stream))
        Stream(gpu=gpu, handle=gpu.stream).wait_event(event)


def _destroy(capsule: int) -> None:
    for name in _NAMES:
        if _dying_valid(capsule, name):  # nobody has taken it
            _exports.pop(_dying_pointer(capsule, name), None)


_DELETE, _DESTROY = ctypes.CFUNCTYPE(None, c_void_p)(_delete), ctypes.PYFUNCTYPE(None, c_void_p)(_destroy)


def exported(x: Any, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None) -> Any:
    """A capsule that shares the memory of `x`. `stream`: the consumer's, which waits for ours (None and 1: the default one, 2:
    the one of each thread; on ROCm None and 0; -1: the consumer orders itself). BufferError where `x` requires grad, or is
    wanted elsewhere."""
    if x.meta.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    gpu = x._storage.gpu
    home = kind_of(x._storage), gpu.ordinal
    if dl_device is not None and tuple(dl_device) == (1, 0) and copy is not False:
        return x.cpu().__dlpack__(max_version=max_version)
    if dl_device is not None and tuple(dl_device) != home:
        raise BufferError(f"a tensor on {gpu.name} is not exported to DLPack device {tuple(dl_device)}: move it there first")
    if copy:
        x = x.clone()
    consumer = _consumer(stream, home[0])
    if consumer not in (-1, gpu.stream):
        Stream(gpu=gpu, handle=consumer).wait_event(_here(gpu))
    versioned = int(max_version is not None and max_version[0] >= 1)
    made: Any = _KINDS[versioned]()
    rank = max(len(x.meta.shape), 1)
    shape, strides = (c_int64 * rank)(*x.meta.shape), (c_int64 * rank)(*x.meta.strides)
    t = made.tensor
    t.data, t.kind, t.ordinal, t.ndim = x.data_ptr() if x.numel() else None, *home, len(x.meta.shape)
    t.code, t.bits, t.lanes = _code(x.meta.dtype), 8 * x.meta.dtype.itemsize, 1
    t.shape, t.strides = cast(shape, POINTER(c_int64)), cast(strides, POINTER(c_int64))
    if versioned:
        made.major, made.minor = 1, 0
        made.flags = _COPIED if copy else 0
    made.deleter = cast(_DELETE, c_void_p)
    address = ctypes.addressof(made)
    _exports[address] = made, shape, strides, x._storage, consumer if consumer in (0, _PER_THREAD) else None
    return _new(address, _NAMES[versioned], cast(_DESTROY, c_void_p))


def _consumer(stream: Any, kind: int) -> int:
    """The handle that a consumer's ``stream=`` stands for; -1 where nothing is to wait. BufferError for what stands for none."""
    if stream is not None and type(stream) is not int:
        raise TypeError(f"__dlpack__: stream must be an int or None, not {type(stream).__name__}")
    if stream is None or stream == (0 if kind == ROCM else 1):
        return 0
    if stream < -1 or stream == 0 or (kind == ROCM and stream in (1, 2)):
        raise BufferError(f"__dlpack__: stream {stream} names no stream of this vendor")
    return int(stream)


def kind_of(storage: Any) -> int:
    """DLPack's number for the vendor of a storage's device."""
    return ROCM if storage.gpu.driver.target == "hip" else CUDA


def _here(gpu: Any) -> Event:
    event = Event()
    event.record(Stream(gpu=gpu, handle=gpu.stream))
    return event


def _code(dtype: Any) -> int:
    return 4 if dtype is dtypes.bfloat16 else _CODES[dtype.kind]


class _Owner:
    """Memory of another library: lets go of it when the last tensor there does."""

    __slots__ = ("address", "kind")

    def __init__(self, address: int, kind: Any) -> None:
        self.address, self.kind = address, kind

    def __del__(self) -> None:
        deleter = self.kind.from_address(self.address).deleter
        if deleter:
            ctypes.CFUNCTYPE(None, c_void_p)(deleter)(self.address)


def imported(source: Any) -> Any:
    """A Tensor on the GPU memory of an object with ``__dlpack__``, or of a capsule, which is used up."""
    capsule = source
    if hasattr(source, "__dlpack__"):
        gpu = gpus.device(int(source.__dlpack_device__()[1]))
        stream = gpu.stream or (0 if gpu.driver.target == "hip" else 1)
        try:
            capsule = source.__dlpack__(stream=stream, max_version=(1, 0))
        except TypeError:
            capsule = source.__dlpack__(stream=stream)
    kind = next((i for i, name in enumerate(_NAMES) if _valid(capsule, name)), None)
    if kind is None:
        raise BufferError("from_dlpack: the capsule was used before, or is none of DLPack's")
    address = _pointer(capsule, _NAMES[kind])
    managed: Any = _KINDS[kind].from_address(address)
    if kind and managed.major > 1:
        raise BufferError(f"from_dlpack: the capsule is of DLPack {managed.major}.{managed.minor}, and 1 is the last read here")
    t = managed.tensor
    dtype = _dtype(t)
    ours = (ROCM,) if gpus.driver().target == "hip" else (CUDA, MANAGED)
    if t.kind not in ours:
        raise BufferError(f"from_dlpack: memory on a device of DLPack kind {t.kind}")
    if kind and managed.flags & _READ_ONLY:
        knobs.warn("from_dlpack: the memory is read-only for its owner, and no tensor knows that: do not write to it")
    shape = tuple(t.shape[: t.ndim])
    strides: Any = tuple(t.strides[: t.ndim]) if t.strides else contiguous_strides(shape)
    if any(n > 1 and s < 0 for n, s in zip(shape, strides, strict=True)):
        raise BufferError(f"from_dlpack: strides {strides} run backwards: copy the array first")
    _rename(capsule, _USED[kind])
    gpu = gpus.device(t.ordinal)
    nbytes = extent_of(shape, strides) * dtype.itemsize
    storage = DeviceStorage(gpu, _Owner(address, _KINDS[kind]), nbytes, (t.data or 0) + t.byte_offset)
    return tensor_in(storage, Meta.of(shape, strides, dtype, False, gpu.name))


def device_of(capsule: Any) -> tuple[int, int]:
    """(DLPack's kind of device, number) of the memory that a capsule names."""
    for name, kind in zip(_NAMES, _KINDS, strict=True):
        if _valid(capsule, name):
            t = kind.from_address(_pointer(capsule, name)).tensor  # type: ignore[attr-defined]
            return t.kind, t.ordinal
    raise BufferError("from_dlpack: the capsule was used before, or is none of DLPack's")


def _dtype(t: Any) -> Any:
    for dtype in dtypes.ALL:
        if (_code(dtype), 8 * dtype.itemsize, 1) == (t.code, t.bits, t.lanes):
            return dtype
    raise DeviceError(f"from_dlpack: elements of DLPack type {t.code} with {t.bits} bits and {t.lanes} lanes have no dtype here")
