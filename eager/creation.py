"""Tensors from nothing, from Python data and from NumPy.

Functions whose result is an op of no operand take `_executor`: a tracer passes its recorder there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir import dtypes
from ..ir import layout as layouts
from ..ir.dtypes import DType
from ..ir.ops import creation as made
from ..ir.ops.compare import where
from ..runtime import dispatchers
from . import device as devices
from . import notices
from .arguments import size_of, to_dtype
from .executor import EAGER, Executor, forget, is_plain, is_recording, recorder
from .factory import make
from .outputs import matched

if TYPE_CHECKING:
    from .tensor import Tensor

def get_default_dtype() -> DType:
    """The dtype of tensors made from Python floats."""
    return dtypes.default()


def set_default_dtype(d: DType) -> None:
    """Give Python floats another dtype from now on, in all threads: float16, bfloat16, float32 or float64. What was compiled
    before is compiled again. TypeError for others."""
    wanted = to_dtype(d)
    if wanted not in dtypes.FLOATING:
        raise TypeError(f"only floating-point types are supported as the default type, not {d!r}")
    if wanted is not dtypes.default():
        dtypes.set_default(wanted)  # type: ignore[arg-type]
        forget()
        dispatchers.forget_all()


def get_default_device() -> Any:
    """The device of tensors made without `device`."""
    chosen = devices.default()
    return devices.Device("cpu") if chosen is None else devices.Device(devices.name_of(chosen))


def set_default_device(device: Any) -> None:
    """Make tensors on `device` (None: the CPU) that do not say where; DeviceError where it is not there."""
    devices.set_default(device)


def set_default_tensor_type(t: Any) -> None:
    """`set_default_dtype` by a class such as DoubleTensor, or its name."""
    from .methods import dtype_of

    set_default_dtype(dtype_of(t))


def _finish(result: Any, requires_grad: bool, out: Any = None) -> Any:
    result = result if out is None else matched(result, out)
    return result.requires_grad_() if requires_grad else result


def _wanted(dtype: Any, out: Any, otherwise: DType) -> DType:
    return to_dtype(dtype) or (otherwise if out is None else out.dtype)


def _maker(executor: Executor | None, device: Any) -> Executor:
    """What makes a tensor on `device`: a tracer's recorder, which is told where, or what runs the ops of tensors there."""
    if executor is None and not is_recording():
        return devices.executor(device) or EAGER
    executor = executor or recorder()
    place = getattr(executor, "place", None)
    if place is not None:
        place(devices.name_of(device))
    return executor


def _full(
    shape: Any, value: Any, dtype: Any, device: Any, requires_grad: bool, executor: Executor | None, out: Any = None
) -> Any:
    wanted = _wanted(dtype, out, dtypes.default())
    if executor is None and out is None and type(value) is int and 0 <= value < 128 and _is_plain(shape, device):
        result: Any = make(np.full(shape, value, wanted.np) if value else np.zeros(shape, wanted.np))
        return result.requires_grad_() if requires_grad else result
    result = _maker(executor, device).apply(made.full, (value,), {"shape": shape, "dtype": wanted})
    return _finish(result, requires_grad, out)


_INT = frozenset((int,))


def _is_plain(shape: tuple[Any, ...], device: Any) -> bool:
    """Whether a tensor of that shape is made by NumPy at once: nothing records, on the CPU, no size is negative."""
    plain = _INT.issuperset(map(type, shape)) and min(shape, default=0) >= 0
    return plain and not is_recording() and devices.executor(device) is None


def _sizes(sizes: tuple[Any, ...], size: Any) -> tuple[Any, ...]:
    """A shape given in a row, or by the keyword `size`."""
    return size_of(sizes) if size is None else size_of((size,))


def zeros(
    *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False, out: Any = None,
    _executor: Executor | None = None,
) -> Tensor:  # fmt: skip
    """A tensor of zeros."""
    return _full(_sizes(sizes, size), 0, dtype, device, requires_grad, _executor, out)  # type: ignore[no-any-return]


def ones(
    *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False, out: Any = None,
    _executor: Executor | None = None,
) -> Tensor:  # fmt: skip
    """A tensor of ones."""
    return _full(_sizes(sizes, size), 1, dtype, device, requires_grad, _executor, out)  # type: ignore[no-any-return]


def empty(
    *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
    memory_format: Any = None, out: Any = None, _executor: Executor | None = None,
) -> Tensor:  # fmt: skip
    """A tensor whose values do not matter (zeros: uninitialised memory would make runs differ)."""
    fresh = _full(_sizes(sizes, size), 0, dtype, device, requires_grad, _executor, out)
    return fresh if memory_format is None else fresh.contiguous(memory_format=memory_format)  # type: ignore[no-any-return]


def full(
    size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, out: Any = None,
    _executor: Executor | None = None,
) -> Tensor:  # fmt: skip
    """A tensor of one value, of the value's own dtype unless said."""
    value = fill_value.item() if hasattr(fill_value, "meta") else fill_value
    wanted = _wanted(dtype, out, fill_value.dtype if hasattr(fill_value, "meta") else _dtype_of(value))
    return _full(size_of((size,)), value, wanted, device, requires_grad, _executor, out)  # type: ignore[no-any-return]


def _dtype_of(value: Any) -> DType:
    return dtypes.bool_ if isinstance(value, bool) else dtypes.int64 if isinstance(value, int) else (
        dtypes.default().to_complex() if isinstance(value, complex) else dtypes.default())  # fmt: skip


def zeros_like(
    input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None,
    _executor: Executor | None = None,
) -> Tensor:  # fmt: skip
    """Zeros of the shape, dtype and order of dimensions of `input`."""
    return _like(input, 0, dtype, device, requires_grad, _executor, memory_format)  # type: ignore[no-any-return]


def ones_like(
    input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None,
    _executor: Executor | None = None,
) -> Tensor:  # fmt: skip
    """Ones of the shape, dtype and order of dimensions of `input`."""
    return _like(input, 1, dtype, device, requires_grad, _executor, memory_format)  # type: ignore[no-any-return]


def empty_like(
    input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None,
    _executor: Executor | None = None,
) -> Tensor:  # fmt: skip
    """A tensor of the shape and dtype of `input` whose values do not matter."""
    return _like(input, 0, dtype, device, requires_grad, _executor, memory_format)  # type: ignore[no-any-return]


def full_like(
    input: Any, fill_value: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: Any = None, _executor: Executor | None = None,
) -> Tensor:  # fmt: skip
    """One value in the shape and dtype of `input`."""
    return _like(input, fill_value, dtype, device, requires_grad, _executor, memory_format)  # type: ignore[no-any-return]


def _like(
    x: Any, value: Any, dtype: Any, device: Any, requires_grad: bool, executor: Executor | None, memory_format: Any = None
) -> Any:
    if device is not None and executor is None:
        executor = _maker(None, device)
    elif executor is None and type(value) is int and 0 <= value <= 1 and is_plain(x) and x.meta.plain and memory_format is None:
        wanted: Any = x.meta.dtype if dtype is None else to_dtype(dtype)
        result: Any = make(np.full(x.meta.shape, value, wanted.np) if value else np.zeros(x.meta.shape, wanted.np))
        return result.requires_grad_() if requires_grad else result
    attrs = {"shape": x.shape, "dtype": to_dtype(dtype) or x.dtype}
    keeps = memory_format is None or memory_format.name == "preserve_format"
    if keeps and not x.meta.plain and (strides := layouts.strides_like(x.meta.type)) is not None:
        attrs["strides"] = strides
    run = made.made_by(x, made.full, value, **attrs) if executor is None else executor.apply(made.full, (value,), attrs)
    if x._array is None and hasattr(x._storage, "like"):
        run = x._storage.like(run)
    if not keeps:
        run = run.contiguous(memory_format=memory_format)
    return _finish(run, requires_grad)


def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    out: Any = None, _executor: Executor | None = None,
) -> Tensor:  # fmt: skip
    """Numbers from `start` (default 0) up to, not including, `end`."""
    low, high = (0, start) if end is None else (start, end)
    counted = type(low) is type(high) is type(step) is int and low <= high and step > 0
    if counted and dtype is out is _executor is None and _is_plain((), device):
        whole_numbers: Any = make(np.arange(low, high, step, dtype=np.int64))
        return _finish(whole_numbers, requires_grad)  # type: ignore[no-any-return]
    given: tuple[Any, ...] = (0, start, step) if end is None else (start, end, step)
    start, end, step = (x.item() if hasattr(x, "meta") else x for x in given)
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError(f"upper bound and lower bound inconsistent with step sign (start={start}, end={end}, step={step})")
    whole = all(isinstance(x, int) for x in (start, end, step))
    if not whole and not (np.isfinite(start) and np.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    wanted = _wanted(dtype, out, dtypes.int64 if whole else dtypes.default())
    if wanted.kind in "ui" and not whole:  # whole numbers from here on, as PyTorch counts in int64
        bounds = [int(x) for x in (start, end, step)]
        start, end, step = bounds if wanted is dtypes.int64 and bounds[2] else (bounds[0], end, step)
    length = -((start - end) // step) if whole else int(np.ceil((end - start) / step))
    maker = _maker(_executor, device)
    on_device = maker is not EAGER and _executor is None and not is_recording()
    apart = on_device and whole and start and step == 1 and wanted in (dtypes.int32, dtypes.int64)
    attrs = {"start": 0 if apart else start, "step": step, "length": length, "dtype": wanted}
    result = maker.apply(made.arange, (), attrs)
    result = result + start if apart else result  # (a range that moves with each call needs no kernel of its own)
    return _finish(result, requires_grad, out)  # type: ignore[no-any-return]


def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, out: Any = None
) -> Tensor:
    """`steps` numbers from `start` to `end`, both included, equally far apart."""
    wanted = _wanted(dtype, out, dtypes.default())
    first, last = (x.item() if hasattr(x, "meta") else x for x in (start, end))
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    if wanted.kind in "ui":
        first, last = int(first), int(last)
    step = (last - first) / (steps - 1) if steps > 1 else 0.0
    if out is None and wanted.kind == "f" and not wanted.is_half and _is_plain((steps,), device):
        values = make(_spaced(first, last, step, steps).astype(wanted.np, copy=False))
        return _finish(values, requires_grad)  # type: ignore[no-any-return]
    counted = {"start": 0, "step": 1, "length": steps, "dtype": dtypes.float64}
    i = _maker(None, device).apply(made.arange, (), counted)
    values = where(i < steps // 2, i * step + first, (i - (steps - 1)) * step + last) if steps > 1 else i + first
    return _finish(values.to(wanted), requires_grad, out)  # type: ignore[no-any-return]


def _spaced(first: float, last: float, step: float, steps: int) -> Any:
    """`steps` numbers from `first` to `last`, the second half counted from the end."""
    i, half = np.arange(steps, dtype=np.float64), steps // 2
    if steps > 1:
        i[half:] -= steps - 1
    i *= step
    i[:half] += first
    i[half:] += last if steps > 1 else first
    return i


def eye(
    n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, out: Any = None
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere."""
    if n < 0 or (m is not None and m < 0):
        raise RuntimeError(f"n and m must be greater or equal to 0, got {n}" + ("" if m is None else f" and {m}"))
    wanted, executor = _wanted(dtype, out, dtypes.default()), _maker(None, device)
    if out is None and _is_plain((n, n if m is None else m), device):
        return _finish(make(np.eye(n, m, dtype=wanted.np)), requires_grad)  # type: ignore[no-any-return]
    down, across = (executor.apply(made.arange, (), {"start": 0, "step": 1, "length": k, "dtype": dtypes.int64})
                    for k in (n, n if m is None else m))  # fmt: skip
    return _finish((down.unsqueeze(1) == across).to(wanted), requires_grad, out)  # type: ignore[no-any-return]


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Tensor:
    """A new tensor with a copy of `data`: numbers, nested sequences, NumPy arrays, Tensors or arrays on a GPU."""
    if hasattr(data, "meta"):
        notices.copied_tensor()
    if type(data) not in _LISTS and hasattr(data, "__cuda_array_interface__"):
        copied = as_tensor(data, dtype, device).detach().clone()
        copied.requires_grad = requires_grad
        return copied
    out = devices.placed(make(np.array(_array_of(data, to_dtype(dtype)), copy=True, order="C")), device)
    if requires_grad:
        out.requires_grad = True
    return out  # type: ignore[no-any-return]


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a Tensor, without a copy where it is a Tensor or an ndarray of the wanted dtype."""
    wanted = to_dtype(dtype)
    if hasattr(data, "meta"):
        return data if wanted is None and device is None else data.to(device=device, dtype=wanted)  # type: ignore[no-any-return]
    if type(data) not in _LISTS and hasattr(data, "__cuda_array_interface__"):
        from .moving import from_array_interface

        found: Tensor = from_array_interface(data)
        return found if wanted is None and device is None else found.to(device=device, dtype=wanted)
    return devices.placed(make(_array_of(data, wanted)), device)  # type: ignore[no-any-return]


#: what `tensor` is called with most, and what is no array of another library
_LISTS = frozenset((list, tuple, int, float, bool, complex, np.ndarray))


def from_numpy(ndarray: Any) -> Tensor:
    """A Tensor that shares the memory of `ndarray`."""
    array = ndarray
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    dtypes.from_numpy(array.dtype)
    if not array.flags.writeable:
        notices.read_only_array()
    return make(array.view(np.ndarray))


def _array_of(data: Any, dtype: DType | None) -> np.ndarray[Any, Any]:
    """`data` as an ndarray of `dtype`, or of the dtype PyTorch gives it."""
    if hasattr(data, "meta"):
        array: np.ndarray[Any, Any] = data.storage.read(data)
    elif isinstance(data, (np.ndarray, np.generic)):
        array = np.asarray(data)
    else:
        plain = _without_tensors(data)
        array = np.asarray(plain)
        if array.dtype == np.float64 and not _holds_numpy(plain):
            array = array.astype(dtypes.default().np) if dtype is None else array
        elif array.dtype == np.complex128 and not _holds_numpy(plain):
            array = array.astype(dtypes.default().to_complex().np) if dtype is None else array
        elif array.size == 0 and array.dtype == np.float64:
            array = array.astype(dtypes.default().np)
    if array.dtype.kind in "US":
        raise ValueError(f"not a number: {str(array.reshape(-1)[0])!r}; tensors hold numbers only")
    if array.dtype.kind == "O" and any(x is None for x in array.reshape(-1)):
        raise RuntimeError("Could not infer dtype of NoneType")
    if array.dtype.kind == "O":
        raise ValueError(f"not a rectangular nest of numbers: {type(data).__name__}")
    if dtype is not None:
        with np.errstate(over="ignore", invalid="ignore"):  # what a dtype does not hold is infinite in it
            array = array.astype(np.float32) if dtype.is_half and array.dtype == np.float64 else array  # as `to` rounds
            return array if array.dtype == dtype.np else array.astype(dtype.np)
    out = np.asarray(array, dtypes.from_numpy(array.dtype).np)
    return out.copy() if any(s % out.itemsize for s in out.strides) else out  # a field of a record array


def _without_tensors(data: Any) -> Any:
    if isinstance(data, (list, tuple)):
        return [_without_tensors(x) for x in data]
    return data.tolist() if hasattr(data, "meta") else data


def _holds_numpy(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.generic, np.ndarray))
