"""Turns what users pass (negative dims, one int or several, tensors' sizes) into canonical op attributes. Runs no op."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..ir import dtypes
from ..ir.dtypes import DType


def wrap_dim(dim: Any, ndim: int) -> int:
    """`dim` counted from the front; IndexError (PyTorch's text) where there is no such dimension."""
    bound = ndim or 1
    try:
        dim = dim.__index__()
    except AttributeError:
        raise TypeError(f"a dimension must be an int, not {type(dim).__name__}") from None
    if not -bound <= dim < bound:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], but got {dim})")
    return int(dim + bound if dim < 0 else dim)


def wrap_dims(dim: Any, ndim: int) -> tuple[int, ...]:
    """The dimensions named by None (all), one int or several: from the front, ascending, none twice. () counts as all."""
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return _EVERY[ndim] if ndim < len(_EVERY) else tuple(range(ndim))
    if isinstance(dim, (tuple, list)):
        dims = sorted([wrap_dim(d, ndim) for d in dim])
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"a dimension appears twice in the list of dims {list(dim)}")
        return tuple(dims) if ndim else ()
    wrapped = wrap_dim(dim, ndim)
    return (wrapped,) if ndim else ()


_EVERY = tuple([tuple(range(ndim)) for ndim in range(8)])


def joined(tensors: Any) -> Any:
    """The tensor of a sequence that has as many dimensions as `cat` of it: empty vectors join anything."""
    if not len(tensors):
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    first = tensors[0]
    return first if first.ndim != 1 else next((t for t in tensors if t.ndim != 1), first)


def not_tensor(name: str, given: Any, error: Exception) -> Exception:
    """TypeError where `given`, a function's first argument, or one of a list, is no Tensor; else `error`."""
    for x in given if isinstance(given, (list, tuple)) and given and hasattr(given[0], "meta") else (given,):
        if not hasattr(x, "meta"):
            return TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    return error


def given_dims(dim: Any, ndim: int) -> tuple[int, ...]:
    """As `wrap_dims`, but () names none: `any` and `all` then only say of each element whether it is not zero."""
    return () if isinstance(dim, (tuple, list)) and not dim else wrap_dims(dim, ndim)


def size_of(sizes: Sequence[Any]) -> tuple[Any, ...]:
    """A shape given as ``f(2, 3)``, ``f((2, 3))`` or ``f([2, 3])``, as the tuple that ``*sizes`` holds."""
    if len(sizes) == 1 and isinstance(sizes[0], Iterable) and not hasattr(sizes[0], "meta"):
        sizes = tuple(sizes[0])
    return tuple([s if type(s) is int else to_size(s) for s in sizes])


def to_size(n: Any) -> Any:
    """One size: anything with ``__index__``; symbolic sizes pass."""
    if hasattr(n, "terms"):
        return n
    try:
        return int(n.__index__())
    except AttributeError:
        raise TypeError(f"a size must be an int, not {type(n).__name__}") from None


def to_dtype(dtype: Any) -> DType | None:
    """A fusewire dtype from one, from Python's bool, int and float, or from a NumPy dtype; None passes."""
    if dtype is None or isinstance(dtype, DType):
        return dtype
    plain = _PYTHON.get(dtype)
    return plain if plain is not None else dtypes.from_numpy(dtype)


_PYTHON: dict[Any, DType] = {bool: dtypes.bool_, int: dtypes.int64, float: dtypes.float64, complex: dtypes.complex128}


def one_of(name: str, value: Any, synonym: str, other: Any) -> Any:
    """`value`, or `other` where the synonym was used; TypeError where both were."""
    if other is None:
        return value
    if value is not None and value is not False:
        raise TypeError(f"both {name} and {synonym} were given")
    return other
