"""Interned descriptions of tensors: equal ones are one object, so that a guard is one pointer compare."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from ..ir import dtypes
from ..ir.dtypes import DType
from ..ir.lazyclass import dataclass
from ..ir.types import TensorType
from .size import Size


class Meta:
    """Shape, strides (elements), dtype, requires_grad, device of a tensor. Made by `Meta.of` only.

    `raw` is the bytes of dims, then strides, as int64: what machine code reads. `type` is the graph type. `plain`: whether
    the strides are the row-major ones, in dimensions of size 1 too. `kind` is one object for all with this dtype, rank, device
    and need of gradients. `size` is the shape as users see it.
    """

    __slots__ = ("__weakref__", "device", "dtype", "kind", "plain", "raw", "requires_grad", "shape", "size", "strides", "type")

    shape: tuple[int, ...]
    size: Size
    strides: tuple[int, ...]
    dtype: DType
    requires_grad: bool
    device: str
    plain: bool
    raw: bytes
    kind: object
    type: TensorType

    @staticmethod
    def of(
        shape: tuple[int, ...], strides: tuple[int, ...], dtype: DType, requires_grad: bool = False, device: str = "cpu"
    ) -> Meta:
        """The one Meta with these properties."""
        key = shape, strides, dtype, requires_grad, device
        meta = _TABLE.get(key)
        if meta is None:
            meta = Meta()
            meta.shape, meta.strides, meta.dtype, meta.requires_grad, meta.device = key
            meta.kind = kind_of(dtype, requires_grad, device, len(shape))
            meta.size = Size(shape)
            meta.raw = np.array(shape + strides, np.int64).tobytes()
            meta.type = TensorType(shape, dtype, strides)
            meta.plain = meta.type.is_contiguous
            meta = _TABLE.setdefault(key, meta)
        return meta

    @staticmethod
    def of_array(array: np.ndarray[Any, Any], requires_grad: bool = False) -> Meta:
        """The Meta of a CPU tensor that lies in `array`."""
        size = array.itemsize
        strides = tuple([s // size for s in array.strides])
        return Meta.of(array.shape, strides, dtypes.BY_NUMPY[array.dtype], requires_grad)

    def with_grad(self, requires_grad: bool) -> Meta:
        """The same but for `requires_grad`."""
        return Meta.of(self.shape, self.strides, self.dtype, requires_grad, self.device)

    def __repr__(self) -> str:
        return f"{self.type} on {self.device}{', requires grad' if self.requires_grad else ''}"


def kind_of(dtype: DType, requires_grad: bool, device: str, rank: int) -> object:
    """The one object that stands for these properties."""
    key = dtype, requires_grad, device, rank
    found = _KINDS.get(key)
    return found if found is not None else _KINDS.setdefault(key, object())


_KINDS: dict[tuple[DType, bool, str, int], object] = {}


@dataclass(frozen=True, slots=True)
class MetaPattern:
    """A Meta some of whose sizes are known at the call only: `type` has symbols."""

    type: TensorType
    requires_grad: bool = False
    device: str = "cpu"

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    def with_grad(self, requires_grad: bool) -> MetaPattern:
        """The same but for `requires_grad`."""
        return MetaPattern(self.type, requires_grad, self.device)


_TABLE: weakref.WeakValueDictionary[tuple[Any, ...], Meta] = weakref.WeakValueDictionary()
