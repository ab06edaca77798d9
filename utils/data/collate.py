"""Items into batches. `default_collate` joins items of one structure; `default_convert` only makes tensors of arrays."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from ...eager import factory
from ...eager.creation import as_tensor, tensor
from ...eager.functional import stack
from ...eager.tensor import Tensor
from ...ir import dtypes

Array = np.ndarray[Any, Any]


def default_collate(batch: Sequence[Any]) -> Any:
    """Items with one structure joined: tensors and arrays stacked, numbers as a tensor (floats as float64), texts as they are;
    mappings, named tuples, tuples and lists inside out. TypeError for other items; RuntimeError where sizes differ."""
    first = batch[0]
    if isinstance(first, Tensor):
        return _stacked(batch)
    if isinstance(first, (np.ndarray, np.generic)) and not isinstance(first, (np.str_, np.bytes_)):
        return _arrays(batch)
    if isinstance(first, (int, float)):
        return _numbers(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _mapping(first, {k: default_collate([x[k] for x in batch]) for k in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*[default_collate(column) for column in zip(*batch, strict=True)])
    if isinstance(first, Sequence):
        columns = _columns(batch)
        done = [default_collate(column) for column in columns]
        return done if isinstance(first, tuple) else _sequence(first, done)
    raise TypeError(f"items to join are tensors, arrays, numbers, texts, or mappings and sequences of such, not {type(first)}")


def default_convert(data: Any) -> Any:
    """`data` with each array and NumPy number in it as a tensor, in the same structure."""
    if isinstance(data, Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind in "SUO" else as_tensor(data)  # anywhere
    if isinstance(data, Mapping):
        return _mapping(data, {k: default_convert(v) for k, v in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*[default_convert(v) for v in data])
    if isinstance(data, tuple):
        return [default_convert(v) for v in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _sequence(data, [default_convert(v) for v in data])
    return data


def each_tensor(data: Any, change: Callable[[Any], Any]) -> Any:
    """`data` with `change` made of each tensor in it; objects with a method of that function's name are asked themselves."""
    if isinstance(data, Tensor):
        return change(data)
    if isinstance(data, (str, bytes)):
        return data
    if isinstance(data, Mapping):
        return _mapping(data, {k: each_tensor(v, change) for k, v in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*[each_tensor(v, change) for v in data])
    if isinstance(data, tuple):
        return [each_tensor(v, change) for v in data]
    if isinstance(data, Sequence):
        return _sequence(data, [each_tensor(v, change) for v in data])
    own = getattr(data, change.__name__, None)
    return own() if callable(own) else data


def _numbers(batch: Sequence[Any]) -> Tensor:
    """Python numbers as a tensor: floats, if the first is one, as float64."""
    kinds = set(map(type, batch))
    if kinds == {float} or kinds == {int}:
        array = np.array(batch)
        if array.dtype.kind in "fi":  # not where a whole number is too large
            return factory.make(array)
    return tensor(list(batch), dtype=dtypes.float64 if isinstance(batch[0], float) else None)  # anywhere


def _stacked(batch: Sequence[Tensor]) -> Tensor:
    """`stack`, by way of NumPy where nothing is recorded and all are alike."""
    first = batch[0].meta
    if first.requires_grad or first.device != "cpu" or any(t.meta is not first for t in batch):
        return stack(list(batch), 0)
    arrays = [t._array for t in batch]
    if any(a is None for a in arrays):  # traced tensors
        return stack(list(batch), 0)
    return factory.make(_rows(arrays))


def _rows(arrays: list[Any]) -> Array:
    """`arrays` of one shape and dtype as the rows of a new one."""
    first = arrays[0]
    if not first.ndim:
        return np.array(arrays, first.dtype)
    out = np.empty((len(arrays), *first.shape), first.dtype)
    np.concatenate(arrays, 0, out=out.reshape(len(arrays) * first.shape[0], *first.shape[1:]))
    return out


def _arrays(batch: Sequence[Any]) -> Tensor:
    first = batch[0]
    if first.dtype.kind in "SUO":
        raise TypeError(f"arrays of dtype {first.dtype} make no tensor: convert them, or pass a collate_fn of your own")
    if isinstance(first, np.generic):
        return as_tensor(np.array(batch))  # anywhere
    if any(type(a) is not np.ndarray or a.shape != first.shape or a.dtype != first.dtype for a in batch):
        return stack([as_tensor(a) for a in batch], 0)  # anywhere
    return as_tensor(_rows(list(batch)))  # anywhere


def _columns(batch: Sequence[Any]) -> list[Any]:
    lengths = {len(x) for x in batch}
    if len(lengths) > 1:
        raise RuntimeError(f"items of one batch have one length, these have {sorted(lengths)}: pad them, or pass a collate_fn")
    return list(zip(*batch, strict=True))


def _mapping(like: Any, made: dict[Any, Any]) -> Any:
    """`made` as a mapping of the type that `like` has, or a dict where that cannot be made."""
    if type(like) is dict:
        return made
    try:
        if not isinstance(like, MutableMapping):
            return type(like)(made)
        clone = copy.copy(like)
        clone.update(made)
        return clone
    except TypeError:
        return made


def _sequence(like: Any, made: list[Any]) -> Any:
    """`made` as a sequence of the type that `like` has, or a list where that cannot be made."""
    if type(like) is list or isinstance(like, range):
        return made
    try:
        if not isinstance(like, MutableSequence):
            return type(like)(made)
        clone = copy.copy(like)
        for i, value in enumerate(made):
            clone[i] = value
        return clone
    except TypeError:
        return made
