"""More ways to make tensors: logspace, asarray, frombuffer, DLPack, given strides. Nothing here is recorded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir import dtypes
from ..ir.layout import windowed
from . import creation
from . import device as devices
from .arguments import size_of, to_dtype
from .factory import make
from .outputs import makes

if TYPE_CHECKING:
    from .tensor import Tensor


def _finish(array: Any, requires_grad: bool, device: Any = None) -> Any:
    out = devices.placed(make(array), device)
    return out.requires_grad_() if requires_grad else out


@makes
def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`base` to the power of `steps` numbers from `start` to `end`, equally far apart."""
    wanted = to_dtype(dtype) or creation.get_default_dtype()
    first, last = (x.item() if hasattr(x, "meta") else x for x in (start, end))
    values = np.power(float(base), np.linspace(first, last, steps))
    return _finish(values.astype(wanted.np), requires_grad, device)  # type: ignore[no-any-return]


def scalar_tensor(s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A 0-d tensor of a number."""
    return creation.full((), s, dtype=dtype or creation.get_default_dtype(), device=device, requires_grad=requires_grad)


def asarray(obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False) -> Tensor:
    """`obj` as a tensor, sharing its memory unless `copy` is True. ValueError: `copy` is False and it cannot."""
    shares = hasattr(obj, "meta") or isinstance(obj, np.ndarray) or hasattr(obj, "__dlpack__")
    if hasattr(obj, "meta"):
        out = obj if not requires_grad else obj.detach()
    elif isinstance(obj, np.ndarray):
        out = creation.from_numpy(obj)
    elif hasattr(obj, "__dlpack__"):
        out = from_dlpack(obj)
    elif hasattr(obj, "__cuda_array_interface__"):
        from .moving import from_array_interface

        out, shares = from_array_interface(obj), True
    else:
        out = creation.tensor(obj, dtype=dtype, device=device)
    if device is not None and out.device != devices.Device(device):
        out, copy = out.to(device), False if copy else copy
    wanted = to_dtype(dtype) or out.dtype
    if copy is False and (not shares or wanted is not out.dtype):
        raise ValueError("can't alias an object of this kind or dtype without a copy: leave copy=None")
    if wanted is not out.dtype:
        out = out.to(wanted)
    elif copy and shares:
        out = out.clone()
    return out.requires_grad_() if requires_grad else out  # type: ignore[no-any-return]


def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """A vector on the memory of an object with Python's buffer protocol."""
    wanted = to_dtype(dtype)
    if wanted is None:
        raise TypeError("frombuffer() needs a dtype")
    raw = np.frombuffer(buffer, np.uint8, offset=offset)
    item = wanted.itemsize
    if count < 0:
        if len(raw) % item:
            raise ValueError(f"buffer length ({len(raw) + offset} bytes) after offset ({offset} bytes) must be a multiple of "
                             f"element size ({item})")  # fmt: skip
        count = len(raw) // item
    if not 0 < count * item <= len(raw):
        raise ValueError(f"requested buffer length ({count} * {item} bytes) after offset ({offset} bytes) must not be greater "
                         f"than actual buffer length ({len(raw) + offset} bytes)")  # fmt: skip
    return _finish(raw[: count * item].view(wanted.np), requires_grad)  # type: ignore[no-any-return]


def empty_strided(size: Any, stride: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with these strides (in elements) whose values do not matter."""
    shape, strides = size_of((size,)), size_of((stride,))
    if len(shape) != len(strides):
        raise RuntimeError(f"mismatch in length of strides and shape: {list(shape)} and {list(strides)}")
    wanted, gpu = to_dtype(dtype) or creation.get_default_dtype(), None if devices.on_cpu(device) else devices.gpu(device)
    if gpu is not None:
        from .gpu import fresh

        return fresh(gpu, shape, strides, wanted, requires_grad)  # type: ignore[no-any-return]
    extent = 0 if 0 in shape else 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    memory = np.zeros(extent, wanted.np)
    step = wanted.itemsize
    array = windowed(memory, shape, [s * step for s in strides])
    return _finish(array, requires_grad, device)  # type: ignore[no-any-return]


def empty_permuted(
    size: Any, physical_layout: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor that is dense in the order of dimensions `physical_layout`, the slowest first."""
    shape, order = size_of((size,)), size_of((physical_layout,))
    if sorted(order) != list(range(len(shape))):
        raise RuntimeError(f"Number of dimensions in size does not match the physical layout {list(order)}, or it repeats one")
    strides, step = [0] * len(shape), 1
    for d in reversed(order):
        strides[d], step = step, step * shape[d]
    return empty_strided(shape, strides, dtype=dtype, device=device, requires_grad=requires_grad)


@makes
def range_(
    start: Any = 0, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """Numbers from `start` to `end`, which is included."""
    start, end = (0, start) if end is None else (start, end)
    wanted = to_dtype(dtype) or creation.get_default_dtype()
    count = math.floor((end - start) / step) + 1
    return _finish((start + step * np.arange(count)).astype(wanted.np), requires_grad, device)


# -- DLPack


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor on the memory of an object with ``__dlpack__``, or in a DLPack capsule of the CPU."""
    found = _imported(ext_tensor, copy)
    if device is not None and not devices.is_at(found, device):
        if copy is False:
            raise BufferError(f"from_dlpack: the memory lies on {found.device}, and {device} would take a copy")
        return found.to(device)  # type: ignore[no-any-return]
    return found


def _imported(ext_tensor: Any, copy: bool | None) -> Tensor:
    source: Any = ext_tensor if hasattr(ext_tensor, "__dlpack__") else Capsule(ext_tensor)
    if hasattr(source, "meta"):
        return source.clone() if copy else source.detach()  # type: ignore[no-any-return]
    kind = source.__dlpack_device__()[0] if hasattr(source, "__dlpack_device__") else 1
    if int(kind) in (2, 10, 13):
        from .dlpack import imported

        found = imported(source)
        return found.clone() if copy else found  # type: ignore[no-any-return]
    if int(kind) not in (1, 3):
        raise BufferError(f"from_dlpack: the memory lies on a device of DLPack kind {int(kind)}, and only the CPU's is read")
    half = _halves(source)
    array = np.from_dlpack(half) if half is not None else np.from_dlpack(source)
    if half is not None:
        array = array.view(dtypes.bfloat16.np)
    if copy:
        array = array.copy()
    return make(array)


def to_capsule(x: Tensor, max_version: Any = None, dl_device: Any = None, copy: bool | None = None) -> Any:
    """A DLPack capsule that shares the memory of `x`; BufferError where it requires grad or cannot be exported."""
    if x.meta.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    array = x.numpy()
    if array.dtype == dtypes.bfloat16.np:
        raise BufferError("a bfloat16 tensor has no DLPack form, because NumPy knows no such dtype: cast it")
    wanted = {"max_version": max_version, "dl_device": dl_device, "copy": copy}
    return array.__dlpack__(**{k: v for k, v in wanted.items() if v is not None})


def to_dlpack(tensor: Tensor) -> Any:
    """A DLPack capsule that shares the memory of `tensor`."""
    return tensor.__dlpack__()


class Capsule:
    """A bare DLPack capsule as an object of the protocol."""

    __slots__ = ("capsule",)

    def __init__(self, capsule: Any) -> None:
        if type(capsule).__name__ != "PyCapsule":
            raise TypeError(f"from_dlpack: expected an object with __dlpack__ or a DLPack capsule, not {type(capsule).__name__}")
        self.capsule = capsule

    def __dlpack__(self, **_ignored: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        from .dlpack import device_of

        return device_of(self.capsule)


def _halves(source: Any) -> Any:
    """A bfloat16 source as one of 16-bit ints, which NumPy's DLPack knows; None for other dtypes."""
    if not str(getattr(source, "dtype", "")).endswith("bfloat16"):
        return None
    view = getattr(source, "view", None)
    kind = getattr(__import__("sys").modules.get(type(source).__module__.partition(".")[0]), "int16", None)
    return view(kind) if callable(view) and kind is not None else None
