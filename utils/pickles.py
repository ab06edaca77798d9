"""The pickles inside of PyTorch's files: how tensors are written in them as PyTorch writes them. Reading is in `rebuilding`.

`Pickler` names PyTorch's functions without importing them.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Iterator
from typing import IO, Any

import ml_dtypes
import numpy as np

from ..eager.device import Device
from ..eager.kinds import Layout, MemoryFormat
from ..eager.size import Size
from ..eager.sparse import SparseTensor
from ..eager.tensor import Tensor
from ..ir import dtypes
from ..nn.parameter import Buffer, Parameter, UninitializedTensorMixin
from ..runtime.storage import address_of

Array = np.ndarray[Any, Any]

#: PyTorch's class of a storage by dtype
STORAGES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype(np.float32), "DoubleStorage": np.dtype(np.float64), "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16), "LongStorage": np.dtype(np.int64), "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16), "CharStorage": np.dtype(np.int8), "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_), "ComplexFloatStorage": np.dtype(np.complex64),
    "ComplexDoubleStorage": np.dtype(np.complex128),
}  # fmt: skip
_CLASS_OF = {dtype: name for name, dtype in STORAGES.items()}
DTYPE_NAMES = {d: "bool" if d is dtypes.bool_ else d.name for d in dtypes.EVERY}


class Name:
    """A global of PyTorch's, written by its name."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self, *args: Any) -> Any:  # what pickle asks of the first part of a reduction; never called
        raise TypeError(f"{self.module}.{self.name} can be written, not called")


REBUILD_TENSOR, REBUILD_PARAMETER = Name("torch._utils", "_rebuild_tensor_v2"), Name("torch._utils", "_rebuild_parameter")
REBUILD_SPARSE, LAYOUT = Name("torch._utils", "_rebuild_sparse_tensor"), Name("torch.serialization", "_get_layout")
WITH_STATE, FROM_TYPE = Name("torch._utils", "_rebuild_parameter_with_state"), Name("torch._tensor", "_rebuild_from_type_v2")
TENSOR = Name("torch", "Tensor")
SIZE, DEVICE = Name("torch", "Size"), Name("torch", "device")


class Storages:
    """The memory that the tensors of one file lie in, numbered in the order they were met."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[str, Any, Array]] = {}

    def known(self, owner: Any) -> Array | None:
        """The array that `owner` was added with."""
        found = self._kept.get(id(owner))
        return None if found is None else found[2]

    def add(self, owner: Any, flat: Array) -> tuple[str, Array]:
        """(number, array) of the memory that belongs to `owner`, which stays alive with this object."""
        key, _, array = self._kept.setdefault(id(owner), (str(len(self._kept)), owner, flat))
        return key, array

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """Every storage with its number."""
        for key, _, array in self._kept.values():
            yield key, array


_Python: Any = pickle._Pickler  # the one in Python: only there can a global be written that cannot be imported


class Pickler(_Python):  # type: ignore[misc]
    """Protocol 2, with tensors, sizes, dtypes and devices as PyTorch's."""

    dispatch = dict(_Python.dispatch)

    def __init__(self, file: IO[bytes], storages: Storages) -> None:
        super().__init__(file, 2)
        self.storages = storages

    def save(self, obj: Any, *args: Any, **kwargs: Any) -> None:
        if isinstance(obj, dtypes.DType):
            obj = Name("torch", DTYPE_NAMES[obj])
        elif isinstance(obj, MemoryFormat):
            obj = Name("torch", obj.name)
        super().save(obj, *args, **kwargs)

    def save_name(self, obj: Name) -> None:
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())

    dispatch[Name] = save_name

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, UninitializedTensorMixin):
            raise pickle.PicklingError("a parameter without a shape (of a lazy layer) was saved: call the layer once before")
        if isinstance(obj, Tensor):
            return self._tensor(obj)
        if isinstance(obj, Size):
            return SIZE, (tuple(obj),)
        if isinstance(obj, Device):
            return DEVICE, (obj.type,) if obj.index is None else (obj.type, obj.index)
        if isinstance(obj, Layout):
            return LAYOUT, (f"torch.{obj.name}",)
        if isinstance(obj, SparseTensor):
            parts = obj._indices, obj._values.detach(), obj.shape, obj._coalesced
            return REBUILD_SPARSE, (_Call(LAYOUT, ("torch.sparse_coo",)), parts)
        return NotImplemented

    def persistent_id(self, obj: Any) -> Any:
        return obj.words if isinstance(obj, _Stored) else None

    def _tensor(self, t: Tensor) -> Any:
        if t.meta.requires_grad and t._node is not None:
            raise pickle.PicklingError(f"a tensor of shape {list(t.shape)} with a history (grad_fn) was saved: detach() it first")
        stored, offset, strides = self._on_device(t) if t.storage.on_device else self._place(t)
        grad = t.meta.requires_grad
        plain = isinstance(t, (Parameter, Buffer))
        args: tuple[Any, ...] = (stored, offset, tuple(t.shape), strides, grad and not plain, OrderedDict())
        own = dict(getattr(t, "__dict__", ()))  # attributes that the program has set
        if isinstance(t, Parameter):
            parts: tuple[Any, ...] = _Call(REBUILD_TENSOR, args), grad, OrderedDict()
            return (WITH_STATE, (*parts, own)) if own else (REBUILD_PARAMETER, parts)
        return (FROM_TYPE, (REBUILD_TENSOR, TENSOR, args, own)) if own else (REBUILD_TENSOR, args)

    def _place(self, t: Tensor) -> tuple[_Stored, int, tuple[int, ...]]:
        """Storage, offset and strides (elements) of `t`; where it does not lie forward in its storage, those of a copy."""
        array, owner, flat = t.array, t.storage, t.storage.flat
        first = (address_of(array) - address_of(flat)) // array.itemsize if array.size else 0
        strides = tuple(s // array.itemsize for s in array.strides)
        extent = 1 + sum((n - 1) * s for n, s in zip(array.shape, strides, strict=True)) if array.size else 0
        if min((*strides, 0)) < 0 or first < 0 or first + extent > flat.size or flat.dtype != array.dtype:
            copy = np.ascontiguousarray(array).reshape(array.shape)
            owner, flat, first = copy, copy.reshape(-1), 0  # type: ignore[assignment]
            strides = tuple(s // array.itemsize for s in copy.strides)
        key, kept = self.storages.add(owner, flat)
        return _Stored(key, kept), first, strides

    def _on_device(self, t: Tensor) -> tuple[_Stored, int, tuple[int, ...]]:
        """As `_place`, of a tensor of a GPU, whose memory is copied here once."""
        flat = self.storages.known(t.storage)
        if flat is None:
            data = t.storage.flat.view(np.uint8)
            flat = data[: data.size // t.dtype.itemsize * t.dtype.itemsize].view(t.dtype.np)
        key, kept = self.storages.add(t.storage, flat)
        if kept.dtype != t.dtype.np:
            raise pickle.PicklingError("two tensors of other dtypes lie in the same memory of a GPU: clone() one of them")
        return _Stored(key, kept, t.meta.device), t.storage_offset(), tuple(t.stride())


class _Call:
    """A reduction inside of another's arguments."""

    def __init__(self, function: Name, args: tuple[Any, ...]) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.args


class _Stored:
    """The memory of a tensor, written as what PyTorch calls a persistent id."""

    def __init__(self, key: str, array: Array, location: str = "cpu") -> None:
        self.words = ("storage", Name("torch", _CLASS_OF[array.dtype]), key, location, array.size)
