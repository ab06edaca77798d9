"""Memory that an operation writes and reads at once in part, which PyTorch refuses: ``torch.add(x[:-1], 1, out=x[1:])``.

Only dense tensors of fixed sizes are compared; a tensor beside itself (the same window) may be written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..ir.layout import is_dense
from .factory import Detached

_FIXED = (int, Detached)
_TEXT = "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. "


def refuse(target: Any, inputs: Iterable[Any]) -> None:
    """RuntimeError where a Tensor among `inputs` (or in a list among them) lies in a part of the memory of `target`."""
    storage = getattr(target, "_storage", None)
    if storage is None:  # no other Tensor sees its memory
        return
    for x in inputs:
        if type(x) in (list, tuple):
            refuse(target, x)
        elif getattr(x, "_storage", None) is storage and x is not target and _in_part(target, x):
            raise RuntimeError(_TEXT + "Please clone() the tensor before performing the operation.")


def refuse_stored(target: Any, value: Any) -> None:
    """As `refuse`, for a value that is repeated over `target` first where it has another shape, and then refused nothing."""
    if _is_fixed(target, value) and target.meta.shape == value.meta.shape:
        refuse(target, (value,))


def _is_fixed(*tensors: Any) -> bool:
    """Whether all sizes are known; where they are open, a guard on how far windows reach would cost variants."""
    return all(type(n) in _FIXED for x in tensors for n in (*x.meta.shape, x._offset or 0))


def _in_part(a: Any, b: Any) -> bool:
    one, other = a.meta, b.meta
    if not _is_fixed(a, b):
        return False
    if not (is_dense(one.type) and is_dense(other.type)) or not (a.numel() and b.numel()):
        return False
    start, begin = int(a._offset or 0) * a.dtype.itemsize, int(b._offset or 0) * b.dtype.itemsize
    end, stop = start + a.numel() * a.dtype.itemsize, begin + b.numel() * b.dtype.itemsize
    if (start, end) == (begin, stop):
        return bool(one.strides != other.strides)
    return bool(start < stop and begin < end)
