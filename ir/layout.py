"""Shapes and strides of results: broadcasting, the stride order of elementwise results, and which reshapes are views.

The order of elementwise results is PyTorch's, whose rule differs from NumPy's where operands disagree and in dimensions of
size 1: `conformed` mends an eager kernel's array there. Reshapes are NumPy's copy-free ones. An empty tensor has row-major
strides. Never looks at data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from . import dtypes, sizes
from .dtypes import DType
from .sizes import Size
from .types import ScalarType, TensorType, contiguous_strides, numel


def describe(*types: Any) -> str:
    """Operands as an error message names them: ``f32[2,3] and f32[4]``."""
    return " and ".join(_describe(t) for t in types)


def _describe(t: Any) -> str:
    if isinstance(t, TensorType):
        return f"{t.dtype.short}[{','.join(map(str, t.shape))}]"
    return str(t) if isinstance(t, ScalarType) else repr(t)


def strides_of(array: np.ndarray) -> tuple[int, ...]:
    """Strides of an ndarray in elements; row-major where it is empty."""
    if array.size == 0:
        return contiguous_strides(array.shape)  # type: ignore[return-value]
    step = array.itemsize
    return tuple(s // step for s in array.strides)


def windowed(memory: np.ndarray, shape: Sequence[int], steps: Sequence[int]) -> np.ndarray:
    """The array of this shape, `steps` in bytes, from the first element of `memory` on, of which nothing is checked. Of single
    bytes NumPy knows no name of a float, by which `as_strided` hands the type over."""
    if memory.itemsize > 1 or memory.dtype.kind != "f":
        return np.lib.stride_tricks.as_strided(memory, tuple(shape), tuple(steps))
    return np.lib.stride_tricks.as_strided(memory.view(np.uint8), tuple(shape), tuple(steps)).view(memory.dtype)


def type_of_array(array: np.ndarray) -> TensorType:
    """The graph type of an ndarray; TypeError where no fusewire dtype stores its elements."""
    return TensorType(array.shape, dtypes.from_numpy(array.dtype), strides_of(array))


def is_zero(n: Size) -> bool:
    """Whether a size is certainly 0."""
    return isinstance(n, int) and n == 0


def is_one(n: Size) -> bool:
    """Whether a size is certainly 1."""
    return isinstance(n, int) and n == 1


def is_constant_one(n: Size) -> bool:
    """`is_one` for questions of strides: a size that a capture does not fix counts as larger, and is not asked. (Where it is 1
    after all, the stride in that dimension may not be eager's, and matters to nobody.)"""
    return type(n) is int and n == 1


def same(a: Size, b: Size) -> bool:
    """Whether two sizes are certainly equal."""
    return a is b or sizes.equal(a, b) is True


def same_shape(a: Sequence[Size], b: Sequence[Size]) -> bool:
    """Whether two shapes are certainly equal."""
    return len(a) == len(b) and all(same(m, n) for m, n in zip(a, b, strict=True))


def broadcast_shapes(op: str, shapes: Sequence[Sequence[Size]], types: Sequence[Any]) -> tuple[Size, ...]:
    """The shape all `shapes` broadcast to; ShapeError naming `types` where there is none or it cannot be told."""
    first = tuple(shapes[0])
    if all(sizes.identical(s, first) for s in shapes[1:]):
        return first
    out: list[Size] = [1] * max(len(s) for s in shapes)
    for shape in shapes:
        lead = len(out) - len(shape)
        for d, n in enumerate(shape, lead):
            if is_constant_one(out[d]):
                out[d] = n
            elif is_constant_one(n) or same(out[d], n):
                continue
            elif is_one(out[d]):
                out[d] = n
            elif not is_one(n):
                why = f"dimension {d} is {out[d]} in one and {n} in another"
                raise ShapeError(f"{op}: cannot broadcast {describe(*types)}: {why}")
    return tuple(out)


def at_most(a: Size, b: Size) -> bool:
    """Whether a <= b is certain where no symbol is zero (the only case in which strides matter)."""
    if isinstance(a, int) and isinstance(b, int):
        return a <= b
    diff = b - a
    positive = {name: sizes.symbol(name) + 1 for name in sizes.symbols_of(diff)}
    low, _ = sizes.bounds(sizes.substitute(diff, positive))
    return low is not None and low >= 0


def is_row_major(t: TensorType) -> bool:
    """Whether the elements lie in index order without gaps; dimensions of size 1 do not count."""
    if sizes.identical(t.strides, contiguous_strides(t.shape)):  # first: it asks no size whether it is 1
        return True
    return _dense(reversed(t.shape), reversed(t.strides))


def _dense(shape: Iterator[Size], strides: Iterator[Size]) -> bool:
    step: Size = 1
    ok = True
    for n, s in zip(shape, strides, strict=True):
        if is_zero(n):
            return True
        if not is_constant_one(n):
            ok = ok and same(s, step)
            step = step * n
    return ok


def elementwise(op: str, dtype: DType, *types: Any) -> TensorType:
    """Type of an elementwise result of the tensors among `types`: broadcast shape, dense in their common stride order."""
    tensors = [t for t in types if isinstance(t, TensorType)]
    shape = broadcast_shapes(op, [t.shape for t in tensors], types)
    alone = len(tensors) == len(types)
    return TensorType(shape, dtype, dense_strides(shape, tensors, alone))


def preserved(dtype: DType, t: TensorType) -> TensorType:
    """Type of a copy of `t`: its own strides where it is dense, else dense in their order."""
    dense = is_dense(t) and not any(is_zero(n) for n in t.shape)
    return TensorType(t.shape, dtype, t.strides if dense else dense_strides(t.shape, [t], False))


def dense_strides(shape: tuple[Size, ...], tensors: Sequence[TensorType], alone: bool = True) -> tuple[Size, ...]:
    """Strides of a fresh elementwise result, as PyTorch's iterator chooses them: dense, in the stride order of the operands;
    of two dimensions the first operand decides that is not broadcast along one. `alone`: whether there is no weak operand,
    which is broadcast like a 0-d tensor (it shows in dimensions of size 1)."""
    plain = contiguous_strides(shape)
    if any(is_zero(n) for n in shape) or all(sizes.identical(t.strides, plain) for t in tensors if t.shape):
        return plain
    big = [t for t in tensors if t.shape]
    reverse = [*reversed(range(len(shape)))]
    open_ = any(type(n) is not int for n in shape)  # there the order tells before other questions are asked of the sizes
    if open_ and _stride_order(shape, [_broadcast_strides(t, shape) for t in big]) == reverse:
        return plain
    if alone and all(len(t.shape) == len(shape) and same_shape(t.shape, shape) for t in tensors):
        if all(is_row_major(t) for t in tensors):
            return plain
        if len(shape) == 4 and all(_is_channels_last(t) for t in tensors):
            return _in_order(shape, (1, 3, 2, 0))
        if all(t.strides == big[0].strides for t in big) and is_dense(big[0]):
            return big[0].strides
    order = _stride_order(shape, [_broadcast_strides(t, shape) for t in big])
    return plain if order == reverse else _in_order(shape, order)


def extent_of(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """Elements between the first and the last, both counted, of a layout without negative strides."""
    if 0 in shape:
        return 0
    return 1 + sum([(n - 1) * s for n, s in zip(shape, strides, strict=True)])


def is_dense(t: TensorType) -> bool:
    """Whether the elements lie without gaps or overlap, in whatever order of dimensions."""
    step: Size = 1
    rest = [(n, s) for n, s in zip(t.shape, t.strides, strict=True) if not is_constant_one(n)]
    while rest:
        found = next((k for k, (_, s) in enumerate(rest) if same(s, step)), None)
        if found is None:
            return False
        step = step * rest.pop(found)[0]
    return True


def _is_channels_last(t: TensorType) -> bool:
    order = (1, 3, 2, 0)
    return len(t.shape) == 4 and _dense((t.shape[d] for d in order), (t.strides[d] for d in order))


def _broadcast_strides(t: TensorType, shape: tuple[Size, ...]) -> tuple[Size, ...]:
    lead = len(shape) - len(t.shape)
    spread = (is_constant_one(n) and not is_constant_one(m) for n, m in zip(t.shape, shape[lead:], strict=True))
    return (0,) * lead + tuple(0 if x else s for x, s in zip(spread, t.strides, strict=True))


def _stride_order(shape: tuple[Size, ...], strides: Sequence[tuple[Size, ...]]) -> list[int]:
    """Dimensions from fastest to slowest: PyTorch's insertion sort, which starts from row-major."""
    order = [*reversed(range(len(shape)))]
    for start in range(1, len(order)):
        at = start
        for i in reversed(range(start)):
            slower = _is_slower(order[i], order[at], shape, strides)
            if slower is False:
                break
            if slower:
                order[i], order[at] = order[at], order[i]
                at = i
    return order


def _is_slower(a: int, b: int, shape: tuple[Size, ...], strides: Sequence[tuple[Size, ...]]) -> bool | None:
    """Whether dimension `a` has the larger stride in the first operand that tells (of equal strides, the larger size);
    None where each operand is broadcast along one of the two."""
    for s in strides:
        if is_zero(s[a]) or is_zero(s[b]):
            continue
        one, other = sizes.form(s[a]), sizes.form(s[b])
        if one != other:
            return not at_most(one, other) and (at_most(other, one) or not at_most(s[a], s[b]))
        if not at_most(shape[a], shape[b]):
            return True
    return None


def _in_order(shape: tuple[Size, ...], order: Sequence[int]) -> tuple[Size, ...]:
    out: list[Size] = [0] * len(shape)
    step: Size = 1
    for d in order:
        out[d] = step
        step = step * shape[d]
    return tuple(out)


def strides_like(t: TensorType) -> tuple[Size, ...] | None:
    """Strides of a fresh tensor made like `t`, None where they are row-major. Of open sizes only the order is asked."""
    plain = contiguous_strides(t.shape)
    if sizes.identical(t.strides, plain):
        return None
    if all(type(n) is int for n in t.shape):
        found = preserved(t.dtype, t).strides
    else:
        found = _in_order(t.shape, _stride_order(t.shape, [t.strides]))
    return None if sizes.identical(found, plain) else found


def dense_order(t: TensorType) -> tuple[int, ...] | None:
    """The dimensions from the slowest to the fastest, where a copy stored in their order has the strides of `t`."""
    order = _stride_order(t.shape, [t.strides])
    return tuple(reversed(order)) if _in_order(t.shape, order) == t.strides else None


def empty_like(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """An uninitialised array with the strides of a copy of `x` (`preserved`)."""
    return empty(x.shape, dtype, preserved(dtypes.bool_, TensorType(x.shape, dtypes.bool_, strides_of(x))).strides)


def empty(shape: tuple[int, ...], dtype: np.dtype, strides: Sequence[Size]) -> np.ndarray:
    """An uninitialised dense array with these strides (in elements)."""
    memory = np.empty(math.prod(shape) * dtype.itemsize, np.uint8)
    return np.ndarray(shape, dtype, memory.data, 0, [s * dtype.itemsize for s in strides])  # type: ignore


def is_plain(x: np.ndarray) -> bool:
    """Whether the strides are the row-major ones, in dimensions of size 1 too."""
    return strides_of(x) == contiguous_strides(x.shape)


def conformed(array: np.ndarray, strides: tuple[int, ...]) -> np.ndarray:
    """A kernel's fresh result with these strides (in bytes): itself, or a copy. An empty one has any."""
    if array.size == 0 or array.strides == strides:
        return array
    out = empty(array.shape, array.dtype, [s // array.itemsize for s in strides])
    out[...] = array
    return out


def resolve_shape(op: str, shape: Sequence[Size], t: TensorType) -> tuple[Size, ...]:
    """`shape` with its -1 (one at most) replaced so that it holds as many elements as `t`; ShapeError where it cannot."""
    total = numel(t.shape)
    unknown = [d for d, n in enumerate(shape) if isinstance(n, int) and n < 0]
    message = f"{op}: cannot see {describe(t)} ({total} elements) as shape [{','.join(map(str, shape))}]"
    if len(unknown) > 1 or any(shape[d] != -1 for d in unknown):
        raise ShapeError(message + ": only one size may be -1")
    known = numel([n for n in shape if not (isinstance(n, int) and n == -1)])
    if not unknown:
        if not same(known, total):
            raise ShapeError(message)
        return tuple(shape)
    if is_zero(known):
        raise ShapeError(message + ": -1 is ambiguous beside a size of 0")
    if not same(sizes.mod(total, known), 0):
        raise ShapeError(message)
    return tuple(sizes.floordiv(total, known) if d in unknown else n for d, n in enumerate(shape))


def view_strides(t: TensorType, shape: tuple[Size, ...]) -> tuple[Size, ...] | None:
    """Strides that show `t` as `shape` (as many elements) without a copy, or None. NumPy's rule, sizes of 1 included."""
    if same_shape(t.shape, shape):
        return t.strides
    if is_row_major(t):
        return contiguous_strides(shape)
    old = [(n, s) for n, s in zip(t.shape, t.strides, strict=True) if not is_constant_one(n)]
    out: list[Size] = []
    ni = oi = 0
    while ni < len(shape) and oi < len(old):
        group = _matching_group(shape, old, ni, oi)
        if group is None:
            return None
        nj, oj = group
        if any(not same(old[k][1], old[k + 1][0] * old[k + 1][1]) for k in range(oi, oj - 1)):
            return None
        out += [numel(shape[k + 1 : nj]) * old[oj - 1][1] for k in range(ni, nj)]
        ni, oi = nj, oj
    last = out[-1] if out else 1
    return tuple(out + [last] * (len(shape) - len(out)))


def _matching_group(shape: tuple[Size, ...], old: list[tuple[Size, Size]], ni: int, oi: int) -> tuple[int, int] | None:
    """Ends of the shortest runs of new and old dimensions from `ni` and `oi` that hold equally many elements."""
    new_count, old_count, nj, oj = shape[ni], old[oi][0], ni + 1, oi + 1
    while not same(new_count, old_count):
        if at_most(new_count, old_count):
            if nj == len(shape):
                return None
            new_count, nj = new_count * shape[nj], nj + 1
        elif at_most(old_count, new_count):
            if oj == len(old):
                return None
            old_count, oj = old_count * old[oj][0], oj + 1
        else:
            return None
    return nj, oj


def unravel(flat: Size, shape: Sequence[Size]) -> tuple[Size, ...]:
    """The index in `shape` of element number `flat` in row-major order."""
    out: list[Size] = []
    for d in range(len(shape)):
        inside = numel(shape[d + 1 :])
        i = sizes.floordiv(flat, inside) if not is_zero(inside) else 0
        out.append(i if d == 0 else sizes.mod(i, shape[d]) if not is_zero(shape[d]) else 0)
    return tuple(out)


def ravel(index: Sequence[Size], shape: Sequence[Size]) -> Size:
    """The row-major number of element `index`."""
    flat: Size = 0
    for i, n in zip(index, shape, strict=True):
        flat = flat * n + i
    return flat


def regroup(index: Sequence[Size], new: Sequence[Size], old: Sequence[Size]) -> tuple[Size, ...]:
    """The index in shape `old` of the element at `index` in shape `new`, both row-major with equally many elements.

    Dimensions are matched in the shortest groups, so that a size shared by both shapes needs no division."""
    out: list[Size] = []
    ni = oi = 0
    while oi < len(old):
        if is_constant_one(old[oi]):
            out.append(0)
            oi += 1
        elif ni < len(new) and is_constant_one(new[ni]):
            ni += 1
        else:
            run: list[tuple[Size, Size]] = [(n, 0) for n in old]
            found = _matching_group(tuple(new), run, ni, oi) if ni < len(new) else None
            nj, oj = found or (len(new), len(old))
            out += unravel(ravel(index[ni:nj], new[ni:nj]), old[oi:oj])
            ni, oi = nj, oj
    return tuple(out)
