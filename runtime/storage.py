"""Who owns a tensor's memory. One Storage is shared by a tensor and all its views; a write through any of them counts.

Storage knows arrays and Tensors by their slots only; it records nothing and computes nothing.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ..ir.layout import windowed

Array = np.ndarray[Any, Any]


class Held(Protocol):
    """What a Storage may read of the tensors that lie in it."""

    _array: Any
    _offset: Any
    _storage: Any


class Storage:
    """Memory on the CPU. `version` is the number of in-place writes through any view so far.

    A tracer's subclass sets `recorder` (an `eager.executor.Executor`) and overrides `read` and `write`; ``recorder is
    None`` is what every eager storage answers.
    """

    __slots__ = ("_address", "apart", "base", "version")

    #: runs of versions (first, last) that tensors with a count of their own made, and whose count it was; the newest only
    apart: list[list[Any]]

    recorder: Any = None
    on_device = False  # whether the memory is a GPU's

    def __init__(self, base: Array) -> None:
        self.base = base
        self.version = 0
        self._address: int | None = None

    @property
    def address(self) -> int:
        """Address of element 0 of the tensor that the storage was made for."""
        if self._address is None:
            self._address = address_of(self.base)
        return self._address

    @property
    def flat(self) -> Array:
        """All memory reached by the first tensor as one dimension, sharing it."""
        base = self.base
        if base.flags.c_contiguous:
            return base.reshape(-1)
        steps = [(n - 1) * (s // base.itemsize) for n, s in zip(base.shape, base.strides, strict=True)]
        extent = 1 + sum(steps) if base.size else 0
        return windowed(base, (extent,), (base.itemsize,))

    def read(self, tensor: Held) -> Array:
        """The values of `tensor`, which lies in this storage, as an array that shares the memory."""
        array: Array | None = tensor._array
        if array is None:  # a traced tensor, which met the storage of a real one: its own refuses
            array = tensor._storage.read(tensor)
        return array  # type: ignore[return-value]

    def shared(self, tensor: Held) -> Array:
        """As `read`, where a copy will not do."""
        return self.read(tensor)

    def true_places(self, tensor: Held) -> Any:
        """Where `tensor`, a mask, is true: an array of positions for each dimension."""
        return self.read(tensor).nonzero()

    def counted_apart(self, whose: Any) -> None:
        """The last write was made by a tensor with a count of its own, `whose`: to others on this memory it does not count."""
        try:
            runs = self.apart
        except AttributeError:
            runs = self.apart = []
        if runs and runs[-1][1] == self.version - 1 and runs[-1][2] is whose:
            runs[-1][1] = self.version
        else:
            runs.append([self.version, self.version, whose])
            del runs[:-_RUNS]

    def writes_since(self, version: int, whose: Any) -> int:
        """The writes since then that count to a tensor whose count is `whose` (None: the storage's)."""
        runs = getattr(self, "apart", ())
        others = sum(max(0, last - max(first - 1, version)) for first, last, count in runs if count is not whose)
        return int(self.version - version - others)

    def becomes_leaf(self, tensor: Held) -> None:
        """`tensor` is about to record, or to stop recording, gradients: an identity that a graph value does not have."""

    def write(self, tensor: Held, source: Any) -> None:
        """Store `source` (an array or number that broadcasts to it) into `tensor` and count the write."""
        self.write_at(tensor, (), None, source)

    def write_at(self, tensor: Held, window: Any, key: Any, source: Any) -> None:
        """Store `source` where the NumPy index `key` (None: everywhere) says in the window of `tensor` that the basic index
        `window` names, and count the write."""
        array: Array = self.read(tensor)
        if not array.flags.writeable or (0 in array.strides and _repeats(array)):
            raise RuntimeError(
                f"cannot write in place to a tensor of shape {list(array.shape)}: more than one of its elements refers to a "
                "single memory location (an expanded view), or its memory is read-only; clone() it first"
            )
        if key is None and type(source) in _PLAIN and array.dtype.char in "fd":
            array.fill(source)
            self._count(tensor)
            return
        values = np.asarray(source)
        if values.dtype != array.dtype:
            values = values.astype(array.dtype)  # ml_dtypes converts by astype only
        if key is None:
            np.copyto(array, values)
        else:
            array[window][key] = values
        self._count(tensor)

    def _count(self, tensor: Held) -> None:
        self.version += 1
        offset = tensor._offset
        if offset is not None and type(offset) is not int and offset.count is not None:
            self.counted_apart(offset.count)


_RUNS = 64
_PLAIN = frozenset((int, float))


def _repeats(array: Array) -> bool:
    """Whether several elements lie in one place."""
    return array.size > 0 and any(step == 0 and n > 1 for n, step in zip(array.shape, array.strides, strict=True))


def address_of(array: Array) -> int:
    """Address of an array's first element."""
    return int(array.__array_interface__["data"][0])
