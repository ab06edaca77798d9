"""What the pickles in PyTorch's files may make beside plain values: tensors, sizes, dtypes, devices; classes the program names.

With ``weights_only=False`` also objects of classes that the running program has loaded: they are made without their constructor
and given their attributes. Nothing is imported, and no function that a file names is called, in either case.
"""

from __future__ import annotations

import datetime
import enum
import fractions
import pathlib
import sys
import types
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from ..eager import factory, kinds
from ..eager import random as randoms
from ..eager.device import Device
from ..eager.device import placed as placed_on
from ..eager.remaking import UntypedStorage
from ..eager.shaping import as_strided
from ..eager.size import Size
from ..eager.sparse import SparseTensor
from ..eager.tensor import Tensor
from ..errors import FileError
from ..ir import dtypes
from ..ir.layout import windowed
from ..nn.module import Module
from ..nn.parameter import Parameter
from .pickles import DTYPE_NAMES, STORAGES
from .unpickling import PLAIN, Bad, Machine, Made, Table, checked

_PACKAGE = (__package__ or "").split(".")[0]
#: classes and functions that the program has named to `add_safe_globals`, by the names that files have for them
added: Table = {}


class Stored(UntypedStorage):
    """The memory of tensors: a flat Tensor, on the device it was placed on, or bytes without a dtype."""

    __slots__ = ()

    def __init__(self, tensor: Tensor) -> None:
        self.storage, self.tensor = tensor.storage, tensor

    def cuda(self, device: Any = None, non_blocking: bool = False) -> Stored:
        """The same on a GPU."""
        return Stored(self.tensor.cuda(device, non_blocking))

    def cpu(self) -> Stored:
        """The same on the CPU."""
        return Stored(self.tensor.cpu())


# ---- tensors ---------------------------------------------------------------------------------------------------------------
def _tensor_v2(
    stored: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False, hooks: Any = None, facts: Any = None
) -> Tensor:
    """A view of a storage, once its numbers are known to stay inside of it."""
    if not isinstance(stored, Stored):
        raise Bad(f"a tensor in a {type(stored).__name__}")
    flat, shape, steps = stored.tensor, tuple(_numbers(size)), tuple(_numbers(stride))
    if type(offset) is not int or not all(0 <= n < 1 << 62 for n in (offset, *shape, *steps)) or len(shape) != len(steps):
        raise Bad(f"a tensor of size {shape}, strides {steps} and offset {offset!r}")
    extent = 1 + sum((n - 1) * s for n, s in zip(shape, steps, strict=True)) if 0 not in shape else 0
    if offset + extent > flat.numel() or len(shape) > 64:
        raise Bad(f"a tensor of size {shape}, strides {steps} and offset {offset}, which leaves its storage of {flat.numel()}")
    if flat.storage.on_device:
        made = as_strided(flat, shape, steps, offset)
        made = made.requires_grad_() if requires_grad else made
    else:
        array = flat.array
        window = windowed(array[offset:], shape, [s * array.itemsize for s in steps])
        made = factory.make_view(window, flat, bool(requires_grad))
    return made.conj() if isinstance(facts, dict) and facts.get("conj") else made


def _numbers(values: Any) -> Any:
    if not isinstance(values, (tuple, list)) or not all(type(n) is int for n in values):
        raise Bad(f"sizes of {values!r:.60}")
    return values


def _tensor_v3(stored: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, *rest: Any) -> Tensor:
    if not isinstance(dtype, dtypes.DType) or not isinstance(stored, Stored):
        raise Bad(f"a tensor of dtype {dtype!r}")
    if stored.tensor.numel() % dtype.itemsize:
        raise Bad(f"a storage of {stored.tensor.numel()} bytes as a whole number of {dtype.name}")
    return _tensor_v2(Stored(factory.make(stored.tensor.array.view(dtype.np))), offset, size, stride, grad)


def _parameter(data: Any, requires_grad: Any = True, *rest: Any) -> Any:
    if not isinstance(data, Tensor):
        raise Bad("a Parameter that is no tensor")
    return Parameter(data, bool(requires_grad))


def _parameter_with_state(data: Any, requires_grad: Any, hooks: Any, state: Any) -> Any:
    return _with_attributes(_parameter(data, requires_grad), state)


def _from_type(function: Any, kind: Any, args: Any, state: Any) -> Any:
    if not isinstance(function, Made) or kind not in (Tensor, Parameter) or not isinstance(args, tuple):
        raise Bad("a tensor of a class of its own")
    return _with_attributes(function.make(*args), state)


def _with_attributes(made: Any, state: Any) -> Any:
    """`made` with the attributes of its own that were saved; none that its class has."""
    if isinstance(state, tuple) and len(state) == 2:
        state = state[0]
    for name, value in (state or {}).items() if isinstance(state, dict) else ():
        if isinstance(name, str) and name.isidentifier() and not name.startswith("_") and not hasattr(type(made), name):
            setattr(made, name, value)
    return made


def _layout(name: Any) -> Any:
    found = getattr(kinds, str(name).removeprefix("torch."), None) if isinstance(name, str) else None
    if not isinstance(found, kinds.Layout):
        raise Bad(f"the layout {name!r:.40}")
    return found


def _sparse(layout: Any, parts: Any) -> Any:
    if layout is not kinds.sparse_coo or not isinstance(parts, tuple) or len(parts) not in (3, 4):
        raise Bad(f"a sparse tensor of layout {layout!r}: only those of coordinates are read")
    indices, values, size = parts[:3]
    if (
        not isinstance(indices, Tensor)
        or not isinstance(values, Tensor)
        or indices.dtype is not dtypes.int64
        or indices.ndim != 2
    ):
        raise Bad("a sparse tensor of other than tensors")
    shape, places = tuple(_numbers(tuple(size))), indices.numpy()
    rank = places.shape[0]
    if values.ndim + rank - 1 != len(shape) or tuple(values.shape) != (places.shape[1], *shape[rank:]):
        raise Bad("a sparse tensor whose parts do not belong together")
    if places.size and ((places < 0).any() or (places >= np.array(shape[:rank])[:, None]).any()):
        raise Bad("a sparse tensor with elements outside of it")
    return SparseTensor(indices, values, shape, bool(parts[3]) if len(parts) == 4 else False)


def _size(items: Any = ()) -> Size:
    return Size(_numbers(items))


def _device(name: Any, index: Any = None) -> Device:
    if not isinstance(name, str) or not (index is None or type(index) is int):
        raise Bad(f"the device {name!r:.40}")
    return Device(name, index)


def _generator(state: Any, device: Any = "cpu") -> Any:
    if not isinstance(state, list) or len(state) != 2 or not all(type(n) is int and -(1 << 63) <= n < 1 << 63 for n in state):
        raise Bad("a generator of another state")
    return randoms._restored(state, str(device))


def _not_read(what: str) -> Any:
    raise Bad(what)


def _function(make: Callable[..., Any]) -> Made:
    made = Made(make)
    made.value = made  # it stands in the arguments of others
    return made


def _class(make: Callable[..., Any], value: Any) -> Made:
    return Made(make, value=value)


TORCH: Table = {
    ("torch._utils", "_rebuild_tensor_v2"): _function(_tensor_v2), ("torch._utils", "_rebuild_tensor_v3"): _function(_tensor_v3),
    ("torch._utils", "_rebuild_tensor"): _function(_tensor_v2), ("torch._utils", "_rebuild_parameter"): _function(_parameter),
    ("torch._utils", "_rebuild_parameter_with_state"): _function(_parameter_with_state),
    ("torch._tensor", "_rebuild_from_type_v2"): _function(_from_type), ("torch._utils", "_rebuild_sparse_tensor"):
    _function(_sparse), ("torch.serialization", "_get_layout"): _function(_layout), ("torch", "Size"): _class(_size, Size),
    ("torch", "device"): _class(_device, Device), ("torch.nn.parameter", "Parameter"): _class(_parameter, Parameter),
    ("torch", "Tensor"): _class(lambda *args: _not_read("a tensor without its memory"), Tensor),
    (f"{_PACKAGE}.eager.random", "_restored"): _function(_generator), ("ml_dtypes", "bfloat16"): ml_dtypes.bfloat16,
    **{("torch", name): dtype for dtype, name in DTYPE_NAMES.items()},
    **{("torch", kinds_name): getattr(kinds, kinds_name) for kinds_name in
       ("strided", "sparse_coo", "sparse_csr", "jagged", "contiguous_format", "preserve_format", "channels_last",
       "channels_last_3d")},
    **{(module, name): np.dtype(dtype) for name, dtype in STORAGES.items() for module in ("torch", "torch.cuda")},
    **{(module, name): None for name in ("UntypedStorage", "_UntypedStorage") for module in ("torch", "torch.storage",
    "torch.cuda")},
}  # fmt: skip


# ---- objects ---------------------------------------------------------------------------------------------------------------
def named(obj: Any) -> Made:
    """A class or function that the program trusts: called, made and given its state as `pickle` does."""

    def state(made: Any, values: Any) -> Any:
        if hasattr(made, "__setstate__"):
            made.__setstate__(values)
            return made
        return _attributes(made, values)

    def new(*args: Any) -> Any:
        return obj.__new__(obj, *args)

    return Made(obj, state if isinstance(obj, type) else None, obj, new if isinstance(obj, type) else None)


def _attributes(made: Any, values: Any) -> Any:
    """`made` with what `values` says in its ``__dict__``, by no setter."""
    if isinstance(values, tuple) and len(values) == 2 and not values[1]:
        values = values[0]
    if not isinstance(values, (dict, type(None))) or not all(isinstance(name, str) for name in values or ()):
        raise Bad(f"a state of a {type(made).__name__} that is no dict of attributes")
    if isinstance(made, Module):
        object.__setattr__(made, "__dict__", dict(values or {}))  # a dict of its own, as its constructor makes one
    else:
        vars(made).update({sys.intern(k): v for k, v in (values or {}).items()})
    return made


def loaded(module: str, name: str) -> Made | None:
    """A class of the running program for ``weights_only=False``; None for one whose objects are more than their attributes (a
    constructor in C, a finaliser, a state or reduction of their own), and for all that is no class."""
    found: Any = vars(sys.modules[module]) if module in sys.modules else {}
    for part in name.split("."):
        found = (found if isinstance(found, dict) else dict(vars(found)) if isinstance(found, type) else {}).get(part)
    if isinstance(found, types.FunctionType):
        ours = module.startswith((f"{_PACKAGE}.eager.", f"{_PACKAGE}.nn.")) and found.__module__ == module
        return Made(_refusal(found), value=found) if ours else None
    if not isinstance(found, type) or issubclass(found, (type, Tensor, BaseException)):
        return None
    if issubclass(found, enum.Enum):
        return Made(found, value=found)
    if found in _DATA:
        return Made(_DATA[found], lambda made, values: _attributes(made, values), found)
    return _plain_class(found)


def _plain_class(found: type) -> Made | None:
    top = found.__module__.split(".")[0]
    own = [
        n
        for c in found.__mro__[:-1]
        for n in ("__del__", "__setstate__", "__reduce__", "__reduce_ex__", "__slots__")
        if n in vars(c)
    ]
    maker: Any = found.__new__
    if own or maker is not object.__new__ or (top in sys.stdlib_module_names and top != "__main__") or top == "builtins":
        return None

    def new(*args: Any) -> Any:
        if args:
            raise Bad(f"a {found.__name__} of arguments")
        return object.__new__(found)

    return Made(_refusal(found), _attributes, found, new)


def _refusal(obj: Any) -> Callable[..., Any]:
    def refuse(*args: Any) -> Any:
        raise Bad(f"a call of {obj.__name__}")

    return refuse


def _typed(kind: Callable[..., Any], *types: type) -> Callable[..., Any]:
    """`kind`, called with plain values only."""

    def make(*args: Any) -> Any:
        if not all(isinstance(a, types) for a in args):
            raise Bad(f"a {getattr(kind, '__name__', kind)} of other parts")
        return kind(*args)

    return make


#: classes of Python's own library that are data
_DATA: dict[type, Callable[..., Any]] = {
    types.SimpleNamespace: types.SimpleNamespace, fractions.Fraction: _typed(fractions.Fraction, int, str),
    datetime.date: _typed(datetime.date, bytes, int), datetime.datetime: _typed(datetime.datetime, bytes, int),
    datetime.time: _typed(datetime.time, bytes, int), datetime.timedelta: _typed(datetime.timedelta, int),
    **{c: _typed(c, str) for c in (pathlib.PurePosixPath, pathlib.PosixPath, pathlib.PureWindowsPath)},
}  # fmt: skip


#: what PyTorch's functions make that are in no table
_KINDS = {
    "_rebuild_qtensor": "a quantized tensor", "_rebuild_meta_tensor_no_storage": "a tensor without values (of the device 'meta')",
    "_rebuild_nested_tensor": "a nested tensor", "_rebuild_wrapper_subclass": "a tensor of a class of its own",
    "_rebuild_device_tensor_from_numpy": "a tensor of a device that is not known here",
}  # fmt: skip


class Reader(Machine):
    """One pickle of a file. `storage(dtype, key, location, count)` gives the memory of tensors as a `Stored`."""

    def __init__(
        self, data: bytes, name: str, storage: Callable[[Any, str, str, int], Stored], weights_only: bool, start: int = 0
    ) -> None:
        super().__init__(data, name, {**PLAIN, **TORCH, **added}, self.memory, start)
        self.storage, self.weights_only = storage, weights_only

    def memory(self, words: Any) -> Any:
        """What a persistent id stands for: a storage, or (in old files) a module's class."""
        if not isinstance(words, tuple) or len(words) not in (5, 6) or words[0] != "storage":
            raise Bad(f"{words!r:.80} as a storage")
        dtype, key, location, count = words[1:5]
        known = dtype is None or isinstance(dtype, np.dtype)
        if not known or not isinstance(key, str) or not isinstance(location, str) or type(count) is not int or count < 0:
            raise Bad(f"{words!r:.80} as a storage")
        if len(words) == 6 and words[5] is not None:
            raise Bad("a view of a storage in a form that PyTorch has not written since 0.4")
        return self.storage(dtype, key, location, count)

    def name_of(self, module: str, name: str) -> None:
        if (module, name) not in self.table:
            found = None if self.weights_only else loaded(module, name)
            if found is None:
                raise self.refusal(module, name)
            self.table[module, name] = found
        self.push(self.table[module, name])

    def refusal(self, module: str, name: str) -> Exception:
        kind = _KINDS.get(name) or (module == "torch" and name[:1].islower() and f"torch.{name}, a dtype that is not known here")
        if kind:
            return FileError(f"{self.name} holds {kind}: such tensors are not read")
        about = f"{self.name} asks for {module}.{name}, which is no tensor, container, number or text: nothing of it was run. "
        if module.startswith("torch.nn.") or (module.startswith(f"{_PACKAGE}.") and self.weights_only):
            about += "It seems to hold a whole module: save and load its state_dict(). "
        if self.weights_only:
            return FileError(
                f"{about}If you trust the file, name that class to add_safe_globals, or, where this program has loaded the "
                "class, pass weights_only=False"
            )
        return FileError(
            f"{about}weights_only=False makes objects of classes that this program has loaded and that are no more than their "
            "attributes; any other class or function has to be named to add_safe_globals"
        )


def placed(tensor: Tensor, device: Device) -> Tensor:
    """`tensor`, a flat one of the CPU, on `device`."""
    return tensor if device.type == "cpu" else placed_on(tensor, device)  # type: ignore[no-any-return]


__all__ = ["Reader", "Stored", "added", "checked", "named", "placed"]
