"""Methods that give a tensor other memory or another shape in place, Python functions of elements, and questions about dtypes and
storages. Eager only: a graph cannot record what changes here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir import dtypes
from ..ir.dtypes import DType
from ..ir.types import contiguous_strides
from ..runtime.size import Size
from ..runtime.storage import Storage
from . import functional as f
from .arguments import size_of
from .device import made_beside
from .factory import make, make_view, storage_of
from .inplace import store_checked
from .shaping import as_strided

if TYPE_CHECKING:
    from .tensor import Tensor

# -- memory


def _real(x: Any, what: str) -> None:
    if x._array is None and not x._storage.on_device:
        raise RuntimeError(f"{what} of a traced tensor: a graph cannot record that memory is exchanged")
    if x.meta.requires_grad:
        raise RuntimeError(f"cannot {what} a tensor that requires grad")


def resize_(self: Tensor, *sizes: Any, memory_format: Any = None) -> Tensor:
    """Another shape, row by row from the tensor's first element; new memory, with the old elements first, where there is too
    little."""
    _real(self, "resize")
    shape = size_of(sizes)
    count, first = int(np.prod(shape, dtype=np.int64)), self._offset or 0
    if self._array is None:
        from .moving import grown_to

        return grown_to(self, shape, first + count)  # type: ignore[no-any-return]
    flat = storage_of(self).flat
    if flat.size < first + count:
        grown = np.zeros(first + count, flat.dtype)
        grown[: flat.size] = flat
        storage_of(self).base, storage_of(self)._address = grown, None
        flat = grown
    self._array = flat[first : first + count].reshape(shape)
    self.meta = make(self._array).meta
    return self


def resize_as_(self: Tensor, the_template: Tensor, memory_format: Any = None) -> Tensor:
    """`resize_` to the shape of another tensor."""
    return resize_(self, the_template.shape)


def set_(self: Tensor, source: Any = None, storage_offset: int = 0, size: Any = None, stride: Any = None) -> Tensor:
    """On the memory of `source` from now on, a Tensor or a storage; without one empty."""
    _real(self, "set")
    if source is None:
        source = self.new_empty(0)
    if hasattr(source, "tensor"):
        source = source.tensor
    if source.device != self.device:
        raise RuntimeError(f"Attempted to set the storage of a tensor on device {self.device} to a storage on different device "
                           f"{source.device}")  # fmt: skip
    if source.dtype is not self.dtype:
        raise RuntimeError(f"could not set tensor of type {source.dtype.name} to a tensor of type {self.dtype.name}")
    if size is not None:
        steps: Any = size_of((stride,)) if stride is not None else contiguous_strides(size_of((size,)))
        source = as_strided(f.reshape(source, -1), size, steps, storage_offset)
    self.data = source
    return self


class UntypedStorage:
    """The memory of a tensor, shared with its views."""

    __slots__ = ("storage", "tensor")

    def __init__(self, tensor: Any) -> None:
        self.storage: Storage = storage_of(tensor)
        if tensor._array is None:
            from .moving import whole

            self.tensor = whole(tensor)
        else:
            self.tensor = make_view(self.storage.flat, tensor)

    @property
    def device(self) -> Any:
        """Where the memory lies."""
        return self.tensor.device

    def data_ptr(self) -> int:
        """Address of the first element."""
        return self.storage.address

    def nbytes(self) -> int:
        """Number of bytes."""
        return int(self.storage.nbytes if self.storage.on_device else self.storage.flat.nbytes)  # type: ignore[attr-defined]

    size = __len__ = nbytes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and other.storage is self.storage

    def __hash__(self) -> int:
        return id(self.storage)


def untyped_storage(self: Tensor) -> UntypedStorage:
    """The memory of this tensor and its views."""
    _real(self.detach(), "take the storage of")
    return UntypedStorage(self)


def is_storage(obj: Any) -> bool:
    """Whether `obj` is a tensor's storage."""
    return isinstance(obj, UntypedStorage)


# -- Python functions, one element at a time


def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Each element replaced by what a Python function makes of it (slow)."""
    values = [callable(v) for v in f.reshape(self.detach(), -1).tolist()]
    return store_checked(self, _shaped(values, self))  # type: ignore[no-any-return]


def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Each element replaced by what a Python function makes of it and that of `tensor` (slow)."""
    other = f.reshape(f.expand(tensor, self.shape), -1).tolist()
    values = [callable(a, b) for a, b in zip(f.reshape(self.detach(), -1).tolist(), other, strict=True)]
    return store_checked(self, _shaped(values, self))  # type: ignore[no-any-return]


def _shaped(values: list[Any], like: Any) -> Any:
    return made_beside(np.array(values).astype(like.dtype.np).reshape(like.shape), like)


def as_subclass(self: Tensor, cls: type) -> Any:
    """The same memory and history as an instance of `cls`, a class made of Tensor without slots or attributes of its own."""
    out = f.view(self, self.shape)
    out.__class__ = cls  # type: ignore[assignment]
    return out


# -- dtypes and shapes


def _plain(x: Any) -> type:
    return bool if isinstance(x, bool) else int if isinstance(x, int) else float if isinstance(x, float) else complex


def result_type(tensor1: Any, tensor2: Any) -> DType:
    """The dtype that arithmetic of two tensors or numbers has."""
    tensors = [x for x in (tensor1, tensor2) if hasattr(x, "meta")]
    numbers = tuple(_plain(x) for x in (tensor1, tensor2) if not hasattr(x, "meta"))
    return dtypes.result_type(
        tuple(x.dtype for x in tensors if x.ndim), tuple(x.dtype for x in tensors if not x.ndim), numbers
    )


def can_cast(from_: DType, to: DType) -> bool:
    """Whether a result of one dtype may be stored in the other: not float in int, complex in float, or numbers in bool."""
    return dtypes.RANK[from_.kind] <= dtypes.RANK[to.kind]


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that `shapes` (tuples or ints) broadcast to."""
    try:
        return Size(np.broadcast_shapes(*[(s,) if isinstance(s, int) else tuple(s) for s in shapes]))
    except ValueError as e:
        raise RuntimeError(f"Shape mismatch: objects cannot be broadcast to a single shape: {[list(s) for s in shapes]}") from e


def typename(obj: Any) -> str:
    """``"torch.FloatTensor"`` of a tensor, the full name of the type of anything else."""
    return str(obj.type()) if hasattr(obj, "meta") else f"{type(obj).__module__}.{type(obj).__qualname__}"


def get_device(input: Tensor) -> int:
    """Number of the GPU; -1 on the CPU."""
    return input.get_device()


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """The index in `shape` of each row-major number in `indices`, one tensor for each dimension."""
    sizes, out = size_of((shape,)), []
    rest = indices.long()
    for n in reversed(sizes):
        out.append(rest % n)
        rest = rest // n
    return tuple(reversed(out))


def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Callable[[Any, Any, Any], Any]) -> Tensor:
    """Each element replaced by what a Python function makes of it and those of `x` and `y` (slow)."""
    rows = zip(*[f.expand(t.detach(), self.shape).reshape(-1).tolist() for t in (self, x, y)], strict=True)
    values = np.array([callable(*row) for row in rows]).reshape(tuple(self.shape))
    return self.copy_(make(values.astype(self.dtype.np)))
