"""The pickles inside of PyTorch's files: tensors are written as PyTorch writes them, and read through a table of what is allowed.

`Pickler` names PyTorch's functions without importing them. `Unpickler` makes what is in its table, and refuses every other name
before anything of it is imported or called.
"""

from __future__ import annotations

import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from typing import IO, Any

import ml_dtypes
import numpy as np

from ..eager import factory
from ..eager.device import Device
from ..eager.size import Size
from ..eager.tensor import Tensor
from ..errors import FileError, FusewireError
from ..ir import dtypes
from ..nn.parameter import Buffer, Parameter
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
_DTYPE_NAMES = {d: "bool" if d is dtypes.bool_ else d.name for d in dtypes.EVERY}


class Name:
    """A global of PyTorch's, written by its name."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self, *args: Any) -> Any:  # what pickle asks of the first part of a reduction; never called
        raise TypeError(f"{self.module}.{self.name} can be written, not called")


REBUILD_TENSOR, REBUILD_PARAMETER = Name("torch._utils", "_rebuild_tensor_v2"), Name("torch._utils", "_rebuild_parameter")
SIZE, DEVICE = Name("torch", "Size"), Name("torch", "device")


class Storages:
    """The memory that the tensors of one file lie in, numbered in the order they were met."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[str, Any, Array]] = {}

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
            obj = Name("torch", _DTYPE_NAMES[obj])
        super().save(obj, *args, **kwargs)

    def save_name(self, obj: Name) -> None:
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())

    dispatch[Name] = save_name

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Tensor):
            return self._tensor(obj)
        if isinstance(obj, Size):
            return SIZE, (tuple(obj),)
        if isinstance(obj, Device):
            return DEVICE, (obj.type,) if obj.index is None else (obj.type, obj.index)
        return NotImplemented

    def persistent_id(self, obj: Any) -> Any:
        return obj.words if isinstance(obj, _Stored) else None

    def _tensor(self, t: Tensor) -> Any:
        if t.meta.requires_grad and t._node is not None:
            raise pickle.PicklingError(f"a tensor of shape {list(t.shape)} with a history (grad_fn) was saved: detach() it first")
        stored, offset, strides = self._place(t)
        grad = t.meta.requires_grad
        plain = isinstance(t, (Parameter, Buffer))
        args: tuple[Any, ...] = (stored, offset, tuple(t.shape), strides, grad and not plain, OrderedDict())
        if not isinstance(t, Parameter):
            return REBUILD_TENSOR, args
        return REBUILD_PARAMETER, (_Call(REBUILD_TENSOR, args), grad, OrderedDict())

    def _place(self, t: Tensor) -> tuple[_Stored, int, tuple[int, ...]]:
        """Storage, offset and strides (elements) of `t`; where it does not lie forward in its storage, those of a copy."""
        array, owner, flat = t.array, t.storage, t.storage.flat
        first = (address_of(array) - address_of(flat)) // array.itemsize if array.size else 0
        strides = tuple(s // array.itemsize for s in array.strides)
        extent = 1 + sum((n - 1) * s for n, s in zip(array.shape, strides, strict=True)) if array.size else 0
        if min((*strides, 0)) < 0 or first < 0 or first + extent > flat.size or flat.dtype != array.dtype:
            copy = np.ascontiguousarray(array)
            owner, flat, first = copy, copy.reshape(-1), 0  # type: ignore[assignment]
            strides = tuple(s // array.itemsize for s in copy.strides)
        key, kept = self.storages.add(owner, flat)
        return _Stored(key, kept), first, strides


class _Call:
    """A reduction inside of another's arguments."""

    def __init__(self, function: Name, args: tuple[Any, ...]) -> None:
        self.function, self.args = function, args

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.args


class _Stored:
    """The memory of a tensor, written as what PyTorch calls a persistent id."""

    def __init__(self, key: str, array: Array) -> None:
        self.words = ("storage", Name("torch", _CLASS_OF[array.dtype]), key, "cpu", array.size)


# ---- reading -----------------------------------------------------------------------------------------------------------
def _tensor_v2(stored: Tensor, offset: Any, size: Any, stride: Any, requires_grad: Any = False, *rest: Any) -> Tensor:
    """A view of a storage, once its numbers are known to stay inside of it."""
    shape, steps = tuple(size), tuple(stride)
    if not all(type(n) is int and 0 <= n < 1 << 62 for n in (offset, *shape, *steps)) or len(shape) != len(steps):
        raise FileError(f"a tensor of size {shape}, strides {steps} and offset {offset!r} cannot be")
    extent = 1 + sum((n - 1) * s for n, s in zip(shape, steps, strict=True)) if 0 not in shape else 0
    flat = stored.array
    if flat.ndim != 1 or not flat.flags.c_contiguous:  # a view has as many elements as it says, not as its memory
        raise FileError(f"a view of shape {list(flat.shape)} is no storage")
    if offset + extent > flat.size:
        raise FileError(f"a tensor of size {shape}, strides {steps} and offset {offset} leaves its storage of {flat.size}")
    window = np.lib.stride_tricks.as_strided(flat[offset:], shape, [s * flat.itemsize for s in steps])
    return factory.make_view(window, stored, bool(requires_grad))


def _tensor_v3(stored: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, *rest: Any) -> Tensor:
    if not isinstance(dtype, dtypes.DType):
        raise FileError(f"a tensor of dtype {dtype!r} cannot be")
    if stored.array.size % dtype.itemsize:
        raise FileError(f"a storage of {stored.array.size} bytes holds no whole number of {dtype.name}")
    return _tensor_v2(factory.make(stored.array.view(dtype.np)), offset, size, stride, grad)


def _parameter(data: Any, requires_grad: Any = True, *rest: Any) -> Any:
    if not isinstance(data, Tensor):
        raise FileError("a Parameter that is no tensor cannot be")
    return Parameter(data, bool(requires_grad))


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """What pickles of protocol 2 hold in place of bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise FileError("a file holds bytes in an encoding that pickle does not write")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor_v2, ("torch._utils", "_rebuild_tensor_v3"): _tensor_v3,
    ("torch._utils", "_rebuild_parameter"): _parameter, ("torch", "Size"): Size, ("torch", "device"): Device,
    ("torch.nn.parameter", "Parameter"): _parameter, ("_codecs", "encode"): _encode, ("collections", "OrderedDict"): OrderedDict,
    ("collections", "Counter"): Counter, ("builtins", "set"): set, ("builtins", "frozenset"): frozenset,
    ("__builtin__", "set"): set, ("builtins", "complex"): complex, ("__builtin__", "complex"): complex,
    ("torch.storage", "UntypedStorage"): None, ("torch", "UntypedStorage"): None,
    **{("torch", name): dtype for name, dtype in STORAGES.items()},
    **{("torch", name): dtype for dtype, name in _DTYPE_NAMES.items()},
}  # fmt: skip
_added: dict[tuple[str, str], Any] = {}


def add_safe_globals(classes: list[Any]) -> None:
    """Let `load` make objects of these classes, and call these functions, where a file names them."""
    _added.update({(c.__module__, c.__qualname__): c for c in classes})


_Reader: Any = pickle._Unpickler  # type: ignore[attr-defined]  # the one in Python: only there can an instruction be refused


class Unpickler(_Reader):  # type: ignore[misc]
    """Reads the pickle of file `name`. `storage(dtype, key, location, count)` gives the memory of a tensor."""

    dispatch = dict(_Reader.dispatch)

    def __init__(
        self, file: IO[bytes], name: str, storage: Callable[[np.dtype[Any] | None, str, str, int], Array], weights_only: bool
    ) -> None:
        super().__init__(file)
        self.name, self.storage, self.weights_only = name, storage, weights_only
        self._stored: dict[str, Tensor] = {}

    def load(self) -> Any:
        try:
            return super().load()
        except (FusewireError, RecursionError, MemoryError):
            raise
        except Exception as error:
            if not self.weights_only and not isinstance(error, pickle.UnpicklingError):
                raise
            raise FileError(f"{self.name} cannot be read: {type(error).__name__}: {error}") from error

    def load_build(self) -> None:
        """Give the object on the stack a state: compiled code trusts that of a Tensor, so no file may."""
        if isinstance(self.stack[-2], (Tensor, dtypes.DType, np.dtype)):
            raise FileError(f"{self.name} is damaged: it holds the state of a {type(self.stack[-2]).__name__}")
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if (module, name) in _added:
            return _added[module, name]
        if not self.weights_only:
            return super().find_class(module, name)
        raise FileError(
            f"{self.name} asks for {module}.{name}, which is no tensor, container, number or text: nothing of it was run. "
            "If you trust the file, load it with weights_only=False, or name that class to add_safe_globals"
        )

    def persistent_load(self, words: Any) -> Tensor:
        kind, dtype, key, location, count = words
        known = dtype is None or isinstance(dtype, np.dtype)
        if kind != "storage" or not isinstance(key, str) or type(count) is not int or not known:
            raise FileError(f"{self.name} is damaged: {words!r} is no storage")
        if key not in self._stored:
            self._stored[key] = factory.make(self.storage(dtype, key, str(location), count))
        return self._stored[key]
