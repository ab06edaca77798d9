"""Makes Tensors from arrays without their constructor: the one place that fills the slots. Checks and records nothing."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir import dtypes, layout
from ..runtime.meta import Meta
from ..runtime.storage import Storage, address_of

if TYPE_CHECKING:
    from .tensor import Tensor

Array = np.ndarray[Any, Any]

_new = object.__new__
_class: Any = None
_LIMIT = 8192
_metas: dict[tuple[Any, ...], Meta] = {}
#: whether multiprocessing sends tensors by their memory (`sharing.register`): it asks for each class by itself
sent_by_memory = False


def bind(tensor_class: type) -> type:
    """Decorator of the Tensor class: what the functions below make."""
    global _class
    _class = tensor_class
    return tensor_class


def meta_of(array: Array, requires_grad: bool = False) -> Meta:
    """The interned Meta of a CPU array, through a small table keyed by what NumPy hands out for free."""
    key = array.shape, array.strides, array.dtype, requires_grad
    meta = _metas.get(key)
    if meta is None:
        if len(_metas) > _LIMIT:
            _metas.clear()
        meta = _metas[key] = _fresh_meta(array, requires_grad)
    return meta


def _fresh_meta(array: Array, requires_grad: bool) -> Meta:
    dtype = dtypes.from_numpy(array.dtype)
    if not array.dtype.isnative or any(s % array.itemsize for s in array.strides):
        what = "the other byte order" if not array.dtype.isnative else f"strides of {array.strides} bytes, not whole elements"
        raise ValueError(f"an array of {array.dtype} with {what} cannot be a tensor's memory: pass a copy, or tensor(array)")
    return Meta.of(array.shape, layout.strides_of(array), dtype, requires_grad)


def make(array: Array, requires_grad: bool = False) -> Tensor:
    """A Tensor that owns `array` (an ndarray of a supported dtype in native byte order)."""
    return of_meta(array, meta_of(array, requires_grad))


def of_meta(array: Array, meta: Meta) -> Tensor:
    """As `make`, where the Meta is known."""
    t: Tensor = _new(_class)
    t.meta = meta
    t._array = array
    t._storage = None
    t._offset = None
    t._grad = None
    t._node = None
    return t


def blank(meta: Meta) -> Tensor:
    """A Tensor without memory, which the caller gives it."""
    return of_meta(None, meta)  # type: ignore[arg-type]


def make_view(array: Array, base: Tensor, requires_grad: bool = False) -> Tensor:
    """A Tensor on `array`, a window on the memory of `base`: both share one Storage."""
    offset = (address_of(array) - storage_of(base).address) // array.itemsize if array.size else base._offset
    return view_at(array, base, offset, requires_grad)


def view_at(array: Array, base: Tensor, offset: int | None, requires_grad: bool = False) -> Tensor:
    """As `make_view`, where it is known how many elements into the storage the window lies."""
    t = make(array, requires_grad)
    storage = base._storage
    t._storage = storage_of(base) if storage is None else storage
    t._offset = place(base, offset or 0)
    return t


def place(base: Tensor, offset: int) -> int | None:
    """The `_offset` of a view of `base` that lies `offset` elements into the storage."""
    first = base._offset
    return offset or None if type(first) is not Detached else first.at(offset)


def view_of(array: Array, meta: Meta, base: Tensor, offset: int) -> Tensor:
    """A Tensor on `array`, a window on the memory of `base` that begins `offset` elements behind its first."""
    t: Tensor = _new(_class)
    t.meta = meta
    t._array = array
    storage = base._storage
    t._storage = storage_of(base) if storage is None else storage
    first = base._offset
    t._offset = offset or None if first is None else place(base, first + offset)
    t._grad = None
    t._node = None
    return t


def alias(x: Tensor, requires_grad: bool = False) -> Tensor:
    """Another Tensor object on exactly the memory of `x`, outside its history."""
    t: Tensor = _new(_class)
    t.meta = x.meta if x.meta.requires_grad is requires_grad else x.meta.with_grad(requires_grad)
    t._array = x._array
    t._storage = storage_of(x)
    t._offset = x._offset
    t._grad = None
    t._node = None
    return t


class Detached(int):
    """The offset of a tensor on the memory of another one outside its history, which is no view of it to the tape, and of the
    views of that tensor. `first`: the offset of the tensor that was detached; None: this one is it."""

    first: Detached | None = None
    seen = False  # whether the detached tensor has views
    count: Any = None  # of `x.data`: what tells its writes from those of `x`, which do not count to each other

    def at(self, offset: int) -> Detached:
        """The offset of a view."""
        made = Detached(offset)
        made.first = first = self if self.first is None else self.first
        made.count = self.count
        first.seen = True
        return made


def family(x: Tensor) -> Detached | None:
    """What tells tensors on one memory apart that are no views of each other: None, or the offset of a detached tensor that this
    is, or is a view of."""
    offset = x._offset
    return None if type(offset) is not Detached else offset if offset.first is None else offset.first


def detached(x: Tensor) -> Tensor:
    """``x.detach()``: an alias that takes no part in histories which others on its memory get."""
    made = alias(x)
    offset = x._offset
    if offset is None:
        made._offset = Detached()
    else:
        made._offset = own = Detached(offset)
        if type(offset) is Detached:
            own.count = offset.count
    return made


def data_of(x: Tensor) -> Tensor:
    """``x.data``: as `detached`, with a version of its own: its writes go unseen by what has saved `x`."""
    made = alias(x)
    made._offset = own = Detached(x._offset or 0)
    own.count = object()
    return made


def asked(x: Tensor, what: str) -> Array:
    """The values of a tensor without an array, for the user's own call of `what`."""
    storage: Any = x._storage
    refused = getattr(storage, "refused", None)
    if refused is not None:
        raise refused(what)
    found: Array = storage.read(x)
    return found


def storage_of(x: Tensor) -> Storage:
    """The Storage of `x`, made at first need."""
    storage = x._storage
    if storage is None:
        storage = x._storage = Storage(x._array)  # type: ignore[arg-type]
    return storage


def tensors_in(storage: Storage) -> list[Tensor]:
    """All tensors that lie in this memory. The garbage collector is asked who refers to it: that takes milliseconds,
    in the three rare places that need it; a list kept by each Storage would cost every view, those of machine code too."""
    found = [x for x in gc.get_referrers(storage) if isinstance(x, _class) and x._storage is storage]
    return [x for x in found if x._array is not None or storage.on_device]


def address_of_first(x: Tensor) -> int:
    """Address of the first element of `x`, in the memory of its device."""
    if x._array is None and x._storage.on_device:  # type: ignore[union-attr]
        return x._storage.address + (x._offset or 0) * x.meta.dtype.itemsize  # type: ignore[union-attr]
    return address_of(storage_of(x).read(x))


def version_of(x: Tensor) -> int:
    """Number of writes to the memory of `x`, those of its `data` too; a tensor that never needed a Storage was not written to."""
    storage = x._storage
    return 0 if storage is None else storage.version


def count_write(x: Tensor) -> None:
    """Count a write to the memory of `x` that others have made."""
    storage_of(x).version += 1


def written_since(x: Tensor, version: int) -> bool:
    """Whether a write that counts to `x` was made since its memory had that version."""
    storage = x._storage
    if storage is None or storage.version == version:
        return False
    offset = x._offset
    return storage.writes_since(version, offset.count if type(offset) is Detached else None) > 0


def visible_version(x: Tensor) -> int:
    """``x._version``: the writes that count to `x`."""
    storage = x._storage
    if storage is None:
        return 0
    offset = x._offset
    return storage.writes_since(0, offset.count if type(offset) is Detached else None)
