"""One op on NumPy arrays, through its record's `eager`, with the rounding of half types. Knows no Tensor and no graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import dtypes
from .layout import conformed, is_plain, type_of_array
from .op import Op, Scalar
from .promote import fitted, target_dtype
from .types import TensorType

_HALF = frozenset(d.np for d in dtypes.ALL if d.is_half)
_NUMBERS = frozenset((int, float))
_F32 = np.dtype(np.float32)


def run_op(op: Op, args: Sequence[Any], attrs: Mapping[str, Any], result_dtypes: Sequence[Any] | None = None) -> tuple[Any, ...]:
    """Results of `op` as arrays. `args` are arrays, Python numbers or None, already promoted; sizes in `attrs` are ints.

    Half operands compute in float32 and each floating result is rounded once, to `result_dtypes` (default: what `infer`
    says). The caller sets np.errstate.
    """
    if op.promote is not None and not _NUMBERS.isdisjoint(map(type, args)):  # the value of a graph scalar is known only here
        target = target_dtype(op, tuple(map(_type, args)))
        args = args if target is None else fitted(op, tuple(args), target)
    half = op.upcast and any(isinstance(a, np.ndarray) and a.dtype in _HALF for a in args)
    if not half:
        out = op.eager(*args, **attrs)
        made = tuple(map(np.asarray, out)) if isinstance(out, tuple) else (np.asarray(out),)
        return _conformed(op, args, attrs, made)
    if result_dtypes is None:
        result_dtypes = [t.dtype for t in op.infer(*map(_type, args), **attrs) if isinstance(t, TensorType)]
    wide = [_widened(a) if isinstance(a, np.ndarray) and a.dtype in _HALF else a for a in args]
    out = op.eager(*wide, **attrs)
    out = out if isinstance(out, tuple) else (out,)
    return _conformed(op, args, attrs, tuple(_rounded(np.asarray(r), d) for r, d in zip(out, result_dtypes, strict=True)))


def _conformed(op: Op, args: Sequence[Any], attrs: Mapping[str, Any], results: tuple[Any, ...]) -> tuple[Any, ...]:
    """Elementwise results with the strides that `infer` says, where NumPy may have chosen others."""
    if type(op.lowering) is not Scalar or all(is_plain(a) for a in args if isinstance(a, np.ndarray)):
        return results
    types = op.infer(*map(_type, args), **attrs)
    strides = [tuple(s * r.itemsize for s in t.strides) for r, t in zip(results, types, strict=True)]  # type: ignore[union-attr]
    return tuple(conformed(r, s) for r, s in zip(results, strides, strict=True))


def _widened(array: Any) -> Any:
    """In float32; expanded dimensions stay so, since the result is laid out by the strides of the operands."""
    if 0 not in array.strides:
        return array.astype(_F32)
    sizes = zip(array.shape, array.strides, strict=True)
    once = array[tuple(slice(0, 1) if step == 0 and n > 1 else slice(None) for n, step in sizes)]
    return np.broadcast_to(once.astype(_F32), array.shape)


def _rounded(array: Any, dtype: dtypes.DType) -> Any:
    return array.astype(dtype.np) if dtype.is_half and array.dtype != dtype.np else array


def _type(x: Any) -> Any:
    return type_of_array(x) if isinstance(x, np.ndarray) else x
