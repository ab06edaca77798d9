"""The ``out=`` argument: results stored in tensors that the caller gives. One place has PyTorch's rules for all functions.

`out` takes the shape of the result (with a warning where that changes one that holds elements), keeps its dtype, has no history.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ..errors import AutogradError, DeviceError
from ..runtime import gradmode
from . import overlaps
from .device import made_beside
from .inplace import store

R = TypeVar("R")


def into(out: Any, result: Any, convert: bool = True, inputs: tuple[Any, ...] = ()) -> Any:
    """Store `result`, a Tensor or a tuple of them, in `out`, which is returned. A dtype that differs is converted to where
    `convert` and the kinds allow it; RuntimeError elsewhere, and where one of `inputs` lies in a part of the memory of `out`."""
    if isinstance(result, tuple):
        return _each_into(out, result, convert)
    overlaps.refuse(out, inputs)
    if not hasattr(out, "meta"):
        raise TypeError(f"argument 'out' must be Tensor, not {type(out).__name__}")
    if gradmode.get() and (out.meta.requires_grad or result.meta.requires_grad):
        raise AutogradError("functions with out=... arguments don't support automatic differentiation, but one of the arguments "
                            "requires grad. Call them under no_grad(), or without out.")  # fmt: skip
    if out.meta.device != result.meta.device:
        raise DeviceError(f"Expected all tensors to be on the same device, but found at least two devices, {result.meta.device} "
                          f"and {out.meta.device}! (argument out)")  # fmt: skip
    if not convert and out.dtype is not result.dtype:
        raise RuntimeError(f"Expected out tensor to have dtype {result.dtype.name}, but got {out.dtype.name} instead")
    if out.shape != result.shape:
        if out.numel():
            warnings.warn(f"An output with one or more elements was resized since it had shape {list(out.shape)}, which does not "
                          f"match the required output shape {list(result.shape)}. Make it empty first: out.resize_(0).",
                          UserWarning, stacklevel=3)  # fmt: skip
        out.data = made_beside(np.empty(result.shape, out.dtype.np), out)
    return store(out, result)


def _each_into(out: Any, results: tuple[Any, ...], convert: bool) -> Any:
    if not isinstance(out, (tuple, list)) or len(out) != len(results):
        raise TypeError(f"argument 'out' must be a tuple of {len(results)} Tensors, not {type(out).__name__}")
    made = [into(o, r, convert) for o, r in zip(out, results, strict=True)]
    return type(results)(*made) if hasattr(results, "_fields") else tuple(made)


def finished(result: Any, out: Any) -> Any:
    """`result`; or `out`, which holds it then, converted to its dtype."""
    return result if out is None else into(out, result)


def matched(result: Any, out: Any) -> Any:
    """`result`; or `out`, which holds it then and must have its dtype."""
    return result if out is None else into(out, result, False)


def fills(fn: Callable[..., R]) -> Callable[..., R]:
    """`fn` with the argument `out`, whose dtype must be the result's. (Functions that programs call all the time name it
    themselves, which costs nothing where it is not given.)"""

    @functools.wraps(fn)
    def function(*args: Any, out: Any = None, **kwargs: Any) -> R:
        return fn(*args, **kwargs) if out is None else into(out, fn(*args, **kwargs), False)  # type: ignore[no-any-return]

    return function


def makes(fn: Callable[..., R]) -> Callable[..., R]:
    """`fills` for a function that makes a tensor from nothing: its dtype is that of `out` unless said."""

    @functools.wraps(fn)
    def function(*args: Any, out: Any = None, **kwargs: Any) -> R:
        if out is None:
            return fn(*args, **kwargs)
        kwargs.setdefault("dtype", out.dtype)
        return into(out, fn(*args, **kwargs), False)  # type: ignore[no-any-return]

    return function
