"""What autocast does to the operands of ops while it is on. Never on by itself: `amp.autocast` switches it.

The mode of a thread is a small int (`runtime.gradmode.casting`), so that a guard is one compare: bits by device and option. The
executor asks `fitted` for every op whose record has an `autocast` class; functions that are several ops call `low` or `wide`.
"""

from __future__ import annotations

import threading
from typing import Any

from ..ir.dtypes import DType, bfloat16, float16, float32, float64
from ..ir.op import Op
from ..ir.ops.casts import cast
from ..runtime import gradmode
from .pure import pure

#: how many threads have autocast on: spares all other calls the look at the thread's own mode
on = 0
_lock = threading.Lock()

#: bits of the mode, for each type of device: on, and whether the dtype is the other one of its two
ENABLED, OTHER = {"cpu": 1, "cuda": 4}, {"cpu": 2, "cuda": 8}
#: bit of the mode: casts of parameters are not kept
UNCACHED = 16
#: (the dtype at first, the other one)
DTYPES = {"cpu": (bfloat16, float16), "cuda": (float16, bfloat16)}
_ANY = ENABLED["cpu"] | ENABLED["cuda"]


class _Casts(threading.local):
    """Low copies of parameters by (parameter, dtype), with the version of its memory that they are of."""

    kept: dict[Any, tuple[int, Any]] | None = None


_casts = _Casts()


def get() -> int:
    """The mode of this thread."""
    return gradmode.casting()


def switch(mode: int) -> None:
    """Set the mode of this thread. What was kept of parameters is dropped where nothing is cast any more."""
    global on
    before = bool(gradmode.casting() & _ANY)
    gradmode.set_casting(mode)
    after = bool(mode & _ANY)
    if before is not after:
        with _lock:
            on += 1 if after else -1
        from . import executor

        executor.divert(1 if after else -1)
    if not after:
        _casts.kept = None


def suspend() -> int:
    """Nothing is cast from here on; the mode so far, for `switch`."""
    mode = gradmode.casting()
    if mode:
        switch(0)
    return mode


def plainly(fn: Any, *args: Any, **kwargs: Any) -> Any:
    """``fn(*args, **kwargs)`` with nothing cast inside."""
    mode = suspend()
    try:
        return fn(*args, **kwargs)
    finally:
        switch(mode)


def clear() -> None:
    """Drop the low copies of parameters."""
    _casts.kept = None


@pure
def dtype_of(mode: int, device: str) -> DType:
    """The low dtype of a type of device in a mode."""
    return DTYPES[device][bool(mode & OTHER[device])]


@pure
def with_dtype(mode: int, device: str, dtype: DType) -> int:
    """The mode in which `dtype` is the low one of a type of device."""
    return mode & ~OTHER[device] | (OTHER[device] if dtype is DTYPES[device][1] else 0)


@pure
def with_options(mode: int, device: str, enabled: bool, dtype: DType, cached: bool) -> int:
    """The mode in which a type of device has these options; the others are as in `mode`."""
    bit = ENABLED.get(device, 0)
    mode = mode | bit if enabled else mode & ~bit
    mode = mode & ~UNCACHED if cached else mode | UNCACHED
    return with_dtype(mode, device, dtype) if bit else mode


def fitted(op: Op, operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """The operands as the class of the op's record wants them in this thread's mode."""
    rule, mode = op.autocast, gradmode.casting()
    if not mode & _ANY or rule == "promote":
        return operands
    return tuple([_cast(x, rule, mode) if hasattr(x, "meta") else x for x in operands])


@pure
def low(*tensors: Any) -> Any:
    """Tensors in the low dtype of their device where autocast is on there; others, None and float64 as they are."""
    mode = gradmode.casting()
    return tuple([_cast(x, "low", mode) if hasattr(x, "meta") else x for x in tensors]) if mode & _ANY else tensors


@pure
def wide(*tensors: Any) -> Any:
    """Half tensors as float32 where autocast is on for their device."""
    mode = gradmode.casting()
    return tuple([_cast(x, "f32", mode) if hasattr(x, "meta") else x for x in tensors]) if mode & _ANY else tensors


def _cast(x: Any, rule: str, mode: int) -> Any:
    meta = x.meta
    if meta.dtype.kind != "f" or meta.dtype is float64:
        return x
    device = meta.device.partition(":")[0]
    if not mode & ENABLED.get(device, 0) or (rule == "f32 gpu" and device == "cpu"):
        return x
    wanted = dtype_of(mode, device) if rule == "low" else float32
    if meta.dtype is wanted:
        return x
    if rule != "low" or mode & UNCACHED or not meta.requires_grad or x._node is not None or not _keepable(x):
        return cast(x, dtype=wanted)
    return _kept(x, wanted)


def _keepable(x: Any) -> bool:
    return x.meta.dtype is float32 and x._array is not None and gradmode.get()


def _kept(x: Any, wanted: DType) -> Any:
    """The low copy of a parameter: made once in a region, so that its gradients add up in the low dtype as PyTorch's do."""
    kept = _casts.kept
    if kept is None:
        kept = _casts.kept = {}
    version = 0 if x._storage is None else x._storage.version
    found = kept.get((x, wanted))
    if found is None or found[0] != version:
        found = version, cast(x, dtype=wanted)
        if found[1]._array is not None:  # not one of a capture
            kept[x, wanted] = found
    return found[1]
