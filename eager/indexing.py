"""``x[index]`` and ``x[index] = value``: basic indices are views; masks and integer tensors gather and scatter.

Everything is ops on Tensors, so the same code runs on traced ones; only a mask's positions are read from its values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import AutogradError, DeviceError, PositionError
from ..ir import dtypes
from ..ir.ops import indexing, scans
from ..ir.ops import shape as shapes
from ..ir.ops.creation import filled
from ..ir.ops.declare import LARGE
from ..runtime import gradmode
from ..runtime.meta import Meta
from . import executor, overlaps, tape
from .creation import as_tensor
from .factory import Detached, alias, blank, make, make_view, meta_of, of_meta, place, storage_of, view_of
from .functional import expand
from .generated import where
from .inplace import check_writable, rebase, store_broadcast, store_checked
from .recall import ITEMS, viewing

_FULL, _MOST, _FIRST = slice(None), 4096, {"dims": (0,)}
_PLAIN = frozenset((int, slice, tuple, list, type(None), type(Ellipsis)))


def _is_position(index: Any) -> bool:
    """Whether an index is one tensor of positions; one number is the int it is, unless it is traced."""
    return hasattr(index, "meta") and index.meta.dtype is dtypes.int64 and bool(index.meta.shape or index._array is None)


def get(x: Any, index: Any) -> Any:
    """The part of `x` that `index` names; a view of it where the index is basic (ints, slices, None, Ellipsis)."""
    if x._array is not None and not x.meta.requires_grad:
        plain = type(index) is tuple and ITEMS.issuperset(map(type, index))
        found = _recalled(x, index) if plain else _row(x, index) if type(index) is int else _unrecorded_view(x, index)
        if found is not None:
            return found
    if x._array is None:
        key = _key_of(x, index)
        known = None if key is None else _windows.get(key)
        if known is not None:
            return _windowed(x, *known)
        index = _brought(x, index)
        if key is not None:
            return _noted(key, x, _got(x, index))
    return _got(x, index)


_windows: dict[Any, tuple[Meta, int]] = {}


def _key_of(x: Any, index: Any) -> Any:
    """What tells the view of a tensor on a GPU that a basic index names; None where it is none, or has a history."""
    if not x._storage.on_device or (x.meta.requires_grad and gradmode.get()) or executor.recorders:
        return None
    if type(index) is int:
        return x.meta, index
    key: list[Any] = [x.meta]
    for i in index if type(index) is tuple else (index,):
        if type(i) is slice:
            if not {type(i.start), type(i.stop), type(i.step)} <= _BOUNDS:
                return None
            key += (slice, i.start, i.stop, i.step)
        elif type(i) is int or i is None or i is Ellipsis:
            key.append(i)
        else:
            return None
    return tuple(key)


_BOUNDS = {int, type(None)}


def _windowed(x: Any, meta: Meta, offset: int) -> Any:
    """The tensor with this Meta, `offset` elements behind the first of `x`."""
    out = blank(meta)
    out._storage = x._storage
    first = x._offset
    out._offset = (first or 0) + offset or None if type(first) is not Detached else place(x, first + offset)
    return out


def _noted(key: Any, x: Any, out: Any) -> Any:
    """`out`, remembered as what this index of tensors like `x` names, where it is a view of it."""
    if out is not x and out._storage is x._storage and out._node is None and not out.meta.requires_grad:
        if len(_windows) >= _MOST:
            _windows.clear()
        _windows[key] = out.meta, (out._offset or 0) - (x._offset or 0)
    return out


def _got(x: Any, index: Any) -> Any:
    """As `get`, by ops."""
    if type(index) not in _PLAIN:
        if _is_position(index) and x.meta.shape:
            return executor.apply(indexing.index, (x, index), _FIRST)
        found = _masked(x, index) if x._array is not None else None
        if found is not None:
            return found
    x, index = _unfolded(x, index)
    items, drop, insert = _parse(x, index)
    out = _window(x, items)
    at = {dim: item for dim, item in enumerate(items) if hasattr(item, "meta")}
    if at:
        return _gathered(out, at, drop)
    shape = [n for d, n in enumerate(out.shape) if d not in drop]
    for position in insert:
        shape.insert(position, 1)
    if out is x or len(shape) != len(out.shape) or insert:
        out = executor.apply(shapes.view, (out,), {"shape": tuple(shape)})
    return out


_recalled = viewing(_got)


def _brought(x: Any, index: Any) -> Any:
    """An index whose tensors lie where `x` does: those of the CPU may index a tensor of any device."""
    items = index if type(index) is tuple else (index,)
    found = tuple([i.to(x.device) if hasattr(i, "meta") and _is_away(x, i) else i for i in items])
    return found if type(index) is tuple else found[0]


def _is_away(x: Any, item: Any) -> bool:
    device, home = item.meta.device, x.meta.device
    if item._array is not None and not item.meta.shape and item.meta.dtype is not dtypes.bool_:
        return False  # the int that it is
    if device not in ("cpu", home):
        raise DeviceError(f"indices should be either on cpu or on the same device as the indexed tensor ({home}), not {device}")
    return bool(device != home)


_row_metas: dict[Any, Any] = {}


def _row(x: Any, i: int) -> Any:
    """The view ``x[i]``; None where it is not right."""
    meta = x.meta
    found = _row_metas.get(meta)
    if found is None or not -len(x._array) <= i < len(x._array):
        return _plain_row(x, i)
    return view_of(x._array[i, ...], found, x, (i if i >= 0 else i + len(x._array)) * meta.strides[0])


def _plain_row(x: Any, i: int) -> Any:
    found = _plain_view(x, (i,))
    if found is not None and meta_of(found._array) is found.meta:
        if len(_row_metas) > _MOST:
            _row_metas.clear()
        _row_metas[x.meta] = found.meta
    return found


def _unfolded(x: Any, index: Any) -> tuple[Any, Any]:
    """`x` with a new dimension of size 1 wherever the index has a single truth value, or None beside tensors; there the index
    has instead the places that the truth value selects (0 or none), or all."""
    given = index if type(index) is tuple else (index,)
    truths = [_is_truth(i) for i in given]
    mixed = any(i is None for i in given) and any(type(i) not in _BASIC for i in given)
    if not mixed and not any(truths):
        return x, index
    plain = [i if truth else _plain(i, x) for i, truth in zip(given, truths, strict=True)]
    free = x.ndim - sum(0 if _is_truth(i) else _consumes(i) for i in plain)
    dots = [k for k, i in enumerate(plain) if i is Ellipsis]
    if free < 0 or len(dots) > 1:
        return x, tuple(i for i in plain if not _is_truth(i))  # what is wrong is said where it is parsed
    for k in dots:
        plain[k : k + 1] = [_FULL] * free
    dim = 0
    for k, item in enumerate(plain):
        if item is None or _is_truth(item):
            x = executor.apply(shapes.view, (x,), {"shape": (*x.shape[:dim], 1, *x.shape[dim:])})
            plain[k] = _FULL if item is None else as_tensor([0] if item else [], dtype=dtypes.int64, device=x.meta.device)
        dim += _consumes(plain[k])
    return x, tuple(plain)


def _is_truth(item: Any) -> bool:
    """Whether an index item is one truth value: True, False or a 0-d bool tensor."""
    if isinstance(item, (bool, np.bool_)):
        return True
    return hasattr(item, "meta") and item.dtype is dtypes.bool_ and not item.ndim


_BASIC = frozenset((int, slice, type(None), type(Ellipsis)))


def _unrecorded_view(x: Any, index: Any) -> Any:
    """NumPy's own view where there is nothing to record; None where `index` is not basic or not right."""
    items = index if type(index) is tuple else (index,)
    for item in items:
        if type(item) not in _BASIC or (type(item) is slice and item.step is not None and not item.step > 0):
            return None
    found = _plain_view(x, items)
    if found is not None:
        return found
    try:
        items = items if Ellipsis in items else (*items, ...)
        made = x._array[items]
        if None in items:  # newaxis has a stride of 0; that of a reshape is the ops'
            made = x._array[tuple([i for i in items if i is not None])].reshape(made.shape)
        return make_view(made, x)
    except (IndexError, TypeError):
        return None


_STARTS = frozenset((int, type(None)))


def _plain_view(x: Any, items: tuple[Any, ...]) -> Any:
    """The view that ints and slices name, whose place follows from them; None for any other index, and for what is not right."""
    meta = x.meta
    offset = x._offset or 0
    try:
        for item, n, step in zip(items, meta.shape, meta.strides):  # noqa: B905  (an index may have fewer items)
            if type(item) is int:
                offset += (item + n if item < 0 else item) * step
            elif type(item) is not slice or type(item.start) not in _STARTS:
                return None
            elif item.start is not None:
                offset += (max(item.start + n, 0) if item.start < 0 else item.start) * step
        made = x._array[(*items, ...)]
    except IndexError:
        return None
    if not made.size:
        return None
    view = of_meta(made, meta_of(made))
    view._storage = storage_of(x) if x._storage is None else x._storage
    view._offset = offset or None if x._offset is None else place(x, offset)
    return view


def _masked(x: Any, mask: Any) -> Any:
    """The elements of an eager tensor where a mask of its leading dimensions is true, which nothing records; None where the
    index is something else, or the mask does not fit."""
    if not hasattr(mask, "meta") or mask.meta.dtype is not dtypes.bool_ or mask._array is None or executor.is_recording():
        return None
    rank = len(mask.meta.shape)
    if not rank or mask.meta.shape != x.meta.shape[:rank] or (x.meta.requires_grad and gradmode.get()):
        return None
    return make(np.asarray(x._array[mask._array], order="C"))


def _sliced(x: Any, dim: int, item: slice) -> Any:
    start, stop, step = _indices(item, x.shape[dim])
    if step < 0:
        raise ValueError("step must be greater than zero")
    stop = start if start > stop else stop
    if start == 0 and step == 1 and stop is x.shape[dim]:  # sizes that are not fixed need not be told apart
        return x
    return executor.apply(shapes.slice_, (x,), {"dim": dim, "start": start, "stop": stop, "step": step})


def _indices(item: slice, n: Any) -> tuple[Any, Any, Any]:
    """``item.indices(n)``, also where bounds or `n` are sizes that a capture does not fix."""
    start, stop, step = (0 if item.start is None else item.start, n if item.stop is None else item.stop, item.step)
    if type(n) is type(start) is type(stop) is int or (step is not None and not step > 0):
        found = item.indices(n)
        return (found[0], n if found[1] == n else found[1], found[2])
    start, stop = (b + n if b < 0 else b for b in (start, stop))
    start, stop = (0 if b < 0 else b if b is n or b <= n else n for b in (start, stop))
    return start, stop, 1 if step is None else step


def _parse(x: Any, index: Any) -> tuple[list[Any], set[int], list[int]]:
    """(one item for each dimension of `x`, dimensions that ints remove, positions in the result of new dimensions)."""
    given = list(index) if isinstance(index, tuple) else [index]
    given = [_plain(i, x) for i in given]
    used = sum(_consumes(i) for i in given)
    if used > x.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x.ndim}")
    ellipses = [k for k, i in enumerate(given) if i is Ellipsis]
    if len(ellipses) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    at = ellipses[0] if ellipses else len(given)
    given[at : at + 1] = [_FULL] * (x.ndim - used)
    items: list[Any] = []
    drop: set[int] = set()
    insert: list[int] = []
    for item in given:
        if item is None:
            insert.append(len(items) - len(drop) + len(insert))
        elif hasattr(item, "meta") and item.dtype is dtypes.bool_:
            items += _positions(x, item, len(items))
        else:
            if _is_size(item):
                item = _wrapped(item, len(items), x)
                drop.add(len(items))
            items.append(item)
    return items, drop, insert


def _is_size(item: Any) -> bool:
    """Whether an index item is an int, or one by which a capture counts a size that it does not fix."""
    return type(item) is int or hasattr(item, "terms")


def _plain(item: Any, x: Any) -> Any:
    """An index item of `x` as int, slice, None, Ellipsis or Tensor; IndexError on anything else."""
    if item is None or item is Ellipsis or _is_size(item):
        return item
    if isinstance(item, slice):
        return slice(*[b if b is None or _is_size(b) else int(b.__index__()) for b in (item.start, item.stop, item.step)])
    if isinstance(item, (list, tuple, range, np.ndarray, bool)):
        item = as_tensor(item, device=x.meta.device)
        item = item.to(dtypes.int64) if not item.numel() else item
    if hasattr(item, "meta"):
        if item.dtype.kind == "f":
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        item = item.to(dtypes.bool_) if item.dtype is dtypes.uint8 else item  # bytes are a mask, as in PyTorch
        item = item.to(dtypes.int64) if item.dtype in (dtypes.int8, dtypes.int16) else item
        return int(item.item()) if not item.ndim and item.dtype is not dtypes.bool_ and item._array is not None else item
    if hasattr(item, "__index__"):
        return int(item.__index__())
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
        f"(got {type(item).__name__})"
    )


def _consumes(item: Any) -> int:
    if item is None or item is Ellipsis:
        return 0
    return item.ndim if hasattr(item, "meta") and item.dtype is dtypes.bool_ else 1


def _wrapped(i: int, dim: int, x: Any) -> int:
    n = x.shape[dim]
    if not -n <= i < n:
        raise IndexError(f"index {i} is out of bounds for dimension {dim} with size {n}")
    return i + n if i < 0 else i


def _positions(x: Any, mask: Any, dim: int) -> list[Any]:
    """The integer tensors that select the true elements of a mask."""
    covered = x.shape[dim : dim + mask.ndim]
    if mask.shape != covered:
        raise IndexError(
            f"The shape of the mask {list(mask.shape)} at index {dim} does not match the shape of the indexed tensor "
            f"{list(x.shape)}"
        )
    return [p if hasattr(p, "meta") else make(p) for p in mask.storage.true_places(mask)]


def positions_of(x: Any, index: tuple[Any, ...]) -> tuple[Any, list[Any], tuple[int, ...]]:
    """(`x`, positions, the dimensions they lie along) of an index of tensors, masks and None, which names all."""
    items, _, _ = _parse(x, tuple([_FULL if i is None else i for i in index]))
    at = {dim: item for dim, item in enumerate(items) if hasattr(item, "meta")}
    if not at or len(at) < sum(i != _FULL if isinstance(i, slice) else True for i in items):
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return x, list(at.values()), tuple(at)


def _gathered(x: Any, at: dict[int, Any], drop: set[int]) -> Any:
    """Slices at integer tensors along the dimensions `at`, the dimensions `drop` gone."""
    x, dims = _dropped(x, at, drop)
    return executor.apply(indexing.index, (x, *at.values()), {"dims": dims})


def _dropped(x: Any, at: dict[int, Any], drop: set[int]) -> tuple[Any, tuple[int, ...]]:
    """`x` without the dimensions of one element in `drop`, and which its dimensions `at` then are."""
    if not drop:
        return x, tuple(at)
    shape = tuple([n for d, n in enumerate(x.shape) if d not in drop])
    x = executor.apply(shapes.view, (x,), {"shape": shape})
    return x, tuple([d - sum(k < d for k in drop) for d in at])


def put(x: Any, index: Any, value: Any) -> None:
    """Store `value`, a Tensor or number that broadcasts, in the part of `x` that `index` names."""
    if not isinstance(value, (bool, int, float, complex)) and not hasattr(value, "meta"):
        value = as_tensor(value, device=x.meta.device)
    elif x._storage is not None and getattr(value, "_storage", None) is x._storage:
        overlaps.refuse_stored(get(x, index), value)  # what is gathered lies elsewhere and is refused nothing
    if x._array is not None and not x.meta.requires_grad and not executor.is_recording() and type(index) in _PLAIN:
        target = (_row if type(index) is int else _unrecorded_view)(x, index)
        if target is not None and _goes_in(value, target):
            executor.write(target, value)
            return
    if x._array is None:
        index = _brought(x, index)
    if type(value) in _NUMBERS and hasattr(index, "meta") and _fill_masked(x, index, value):
        return
    x, index = _unfolded(x, index)
    traced = x._array is None or executor.is_recording()
    if not traced and gradmode.get() and (x.meta.requires_grad or (hasattr(value, "meta") and value.meta.requires_grad)):
        _put_tracked(x, index, value)
        return
    if hasattr(index, "meta") and index.dtype is dtypes.bool_ and (traced or _is_one_value(x, index, value)):
        _put_mask(x, index, value)
        return
    items, drop, insert = _parse(x, index)
    at = {dim: item for dim, item in enumerate(items) if hasattr(item, "meta")}
    if not at and not _recorded(x, value):
        store_broadcast(get(x, index), value)
    elif not at:
        target = get(x, index)
        value = value.to(x.dtype) if hasattr(value, "meta") else filled(x, (), _element(x, value))
        value = shapes.reshape(value, value.shape[max(0, value.ndim - target.ndim) :])
        store_checked(target, expand(value, target.shape))
    elif traced:
        _put_traced(x, items, at, drop, insert, value)
    else:
        _put_array(x, index, value.storage.read(value) if hasattr(value, "meta") else value)


_NUMBERS = frozenset((bool, int, float))


def _fill_masked(x: Any, mask: Any, value: Any) -> bool:
    """Whether one number has been stored where a mask of the leading dimensions is true, which nothing records."""
    if not executor.is_plain(x) or x.meta.requires_grad or mask.meta.dtype is not dtypes.bool_ or mask._array is None:
        return False
    rank = len(mask.meta.shape)
    if not rank or mask.meta.shape != x.meta.shape[:rank] or _is_one_value(x, mask, value):
        return False
    storage_of(x).write_at(x, (), mask._array, value)
    return True


def _goes_in(value: Any, target: Any) -> bool:
    """Whether a write of `value` into `target`, which is plain, is a copy of numbers."""
    if not hasattr(value, "meta"):
        return True
    same = value._array is not None and value.meta.dtype is target.meta.dtype and value.meta.shape == target.meta.shape
    return same and not (value.meta.requires_grad and gradmode.get())


def _is_one_value(x: Any, mask: Any, value: Any) -> bool:
    """Whether one value goes to places spread over all of a large tensor: to choose for every element is faster then."""
    one = not hasattr(value, "meta") or not value.ndim
    return one and mask.shape == x.shape and x.meta.dtype.kind == "f" and mask.numel() >= LARGE


def _put_array(x: Any, index: Any, value: Any) -> None:
    """NumPy's own assignment, with PyTorch's errors."""
    window, key = _numpy_keys(x, index)
    try:
        x.storage.write_at(x, window, key, value)
    except IndexError as e:
        raise PositionError(str(e).replace("for axis", "for dimension")) from None
    except ValueError:
        taken = list(x._array[window][key].shape)
        raise PositionError(f"shape mismatch: value tensor of shape {list(np.shape(value))} cannot be broadcast to indexing "
                            f"result of shape {taken}") from None  # fmt: skip


def _put_traced(x: Any, items: list[Any], at: dict[int, Any], drop: set[int], insert: list[int], value: Any) -> None:
    """As ops: the slices and ints of the index make a window, which is written with `value` at the tensors' positions."""
    window = _window(x, items)
    inner, dims = _dropped(window, at, drop)
    taken = _part_shape(inner, at, dims)
    if hasattr(value, "meta"):
        value = value.to(x.dtype)
        shape = list(taken)
        for position in insert:
            shape.insert(position, 1)
        value = shapes.reshape(value, value.shape[max(0, value.ndim - len(shape)) :])
        value = shapes.reshape(expand(value, shape), taken)
    else:
        value = filled(x, taken, _element(x, value))
    out = executor.apply(indexing.index_put, (inner, *at.values(), value), {"dims": dims})
    _store(window, out if out.shape == window.shape else shapes.reshape(out, window.shape))


def _recorded(x: Any, value: Any) -> bool:
    """Whether a write to `x`, a tensor on a GPU, has a history."""
    if x._array is not None or not x._storage.on_device or executor.is_recording() or not gradmode.get():
        return False
    return bool(x.meta.requires_grad or (hasattr(value, "meta") and value.meta.requires_grad))


def _store(x: Any, out: Any) -> None:
    """Write `out` into `x`, with its history where one is recorded here and not by a capture."""
    if _recorded(x, out):
        store_checked(x, out)
    else:
        executor.write(x, out)


def _window(x: Any, items: list[Any]) -> Any:
    """The view that the slices and ints of an index name; ints leave dimensions of size 1."""
    for dim, item in enumerate(items):
        if _is_size(item):
            item = slice(item, item + 1)
        if isinstance(item, slice) and item != _FULL:
            x = _sliced(x, dim, item)
    return x


def _part_shape(x: Any, at: dict[int, Any], dims: tuple[int, ...]) -> tuple[Any, ...]:
    """The shape of what the positions `at` along `dims` name."""
    wide = indexing.together([p.shape for p in at.values()])
    rest = [n for d, n in enumerate(x.shape) if d not in dims]
    lead = dims[0] if indexing.is_adjacent(dims) else 0
    return (*rest[:lead], *wide, *rest[lead:])


def _element(x: Any, value: Any) -> Any:
    """A number as an element of `x`."""
    if x.dtype.is_complex:
        return complex(value)
    return float(value) if x.dtype.is_floating_point else bool(value) if x.dtype.kind == "b" else int(value)


def _put_mask(x: Any, mask: Any, value: Any) -> None:
    """On a traced tensor, where a mask of its leading dimensions is true: one value, or one for each place inside of those."""
    inner = x.shape[mask.ndim :]
    if mask.shape != x.shape[: mask.ndim]:
        raise IndexError(f"The shape of the mask {list(mask.shape)} at index 0 does not match the shape of the indexed tensor "
                         f"{list(x.shape)}")  # fmt: skip
    if hasattr(value, "meta"):
        while value.ndim > len(inner) and value.shape[0] == 1:
            value = shapes.reshape(value, value.shape[1:])
        if value.ndim > len(inner):
            _store(x, _taken_in_turn(x, mask, value.to(x.dtype)))
            return
        value = expand(value.to(x.dtype), inner)
    mask = shapes.reshape(mask, (*mask.shape, *(1,) * len(inner)))
    _store(x, where(mask, value, x).to(x.dtype))


def _taken_in_turn(x: Any, mask: Any, values: Any) -> Any:
    """`x` with the next slice of `values` wherever a mask of the leading dimensions is true; there must be just as many."""
    inner = x.shape[mask.ndim :]
    flat = shapes.reshape(mask, (-1,))
    number = executor.apply(scans.cumsum, (flat,), {"dim": 0})
    count, n = shapes.reshape(shapes.slice_(number, dim=0, start=flat.shape[0] - 1, stop=flat.shape[0]), ()), values.shape[0]
    at = where(flat, number - 1, 0)
    at = where(count.eq(n), at, n)  # no position where the numbers differ
    rows = executor.apply(indexing.index, (expand(values, (n, *inner)), at), {**_FIRST, "wrap": False})
    wide = shapes.reshape(flat, (flat.shape[0], *(1,) * len(inner)))
    return shapes.reshape(where(wide, rows, shapes.reshape(x, (flat.shape[0], *inner))), x.shape)


def _numpy_keys(x: Any, index: Any) -> tuple[Any, Any]:
    """(the slices and ints of an index, the positions and masks in what they leave), as NumPy takes them: an int beside tensors
    is no tensor here."""
    if hasattr(index, "meta") and index.dtype is dtypes.bool_ and index.ndim:
        return (), (index.storage.read(index),)
    items, _, _ = _parse(x, index)
    window = tuple([_FULL if hasattr(i, "meta") else i for i in items])
    return window, tuple([i.storage.read(i) if hasattr(i, "meta") else _FULL for i in items if type(i) is not int])


def _put_tracked(x: Any, index: Any, value: Any) -> None:
    check_writable(x)
    before = alias(x, x.meta.requires_grad)
    before._node = x._node
    edges = tape.edge_of(before), tape.edge_of(value)
    node = IndexWrite(x, index, value)
    del before  # a second Tensor on this storage would look like a view
    was = gradmode.get()
    gradmode.set(False)
    try:
        put(x, index, value.detach() if hasattr(value, "meta") else value)
    finally:
        gradmode.set(was)
    out = make(x._array, True)
    node.edges, node.results = edges, (out.meta.type,)
    out._node = node
    rebase(x, out)


class IndexWrite(tape.Node):
    """History of a tensor part of which was assigned to: the part's gradient goes to the value, the rest's to the tensor."""

    __slots__ = ("index", "mask", "value_type")

    def __init__(self, x: Any, index: Any, value: Any) -> None:
        super().__init__()
        if not x.meta.dtype.is_inexact:
            raise AutogradError(f"cannot store a value that requires grad in a {x.meta.dtype.name} tensor")
        self.index = index
        mask = np.zeros(x.meta.shape, np.bool_)
        window, key = _numpy_keys(x, index)
        if any(type(i) is not slice for i in key):
            mask[window][key] = True
        else:
            mask[window] = True
        self.mask = make(mask)
        self.value_type = getattr(getattr(value, "meta", None), "type", None)

    def apply(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        (g,) = grads
        kept = where(self.mask, 0.0, g) if self.edges[0] is not None else None
        if self.edges[1] is None or self.value_type is None:
            return kept, None
        part = get(g, self.index)
        extra = len(self.value_type.shape) - part.ndim
        if extra > 0:  # NumPy lets a value have leading dimensions of size 1
            part = shapes.reshape(part, (1,) * extra + part.shape)
        return kept, tape.fitted(part, self.value_type)

