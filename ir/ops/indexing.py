"""Reads and writes at positions held in tensors. Positions are checked: one out of range raises PositionError.

`gather`, `scatter` and `scatter_add` replace one coordinate of each element's index; `index`, `index_put` and `spread` take
whole slices at positions along several dimensions (PyTorch's advanced indexing). Writes follow the order of the source, so
that they give the same result every time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ...errors import DTypeError, PositionError, ShapeError, SizeError
from .. import dtypes, layout
from ..op import Decompose, Effects, Extern, Gather, Op, Places, Sample, Scatter, register
from ..sizes import Size
from ..types import TensorType, tensor
from .compare import eq, where
from .creation import arange, filled, made_by, zeros_like
from .declare import CLOSE, LARGE, check_kind, floats
from .shape import expand, front, permute, reshape, view

_RAISES = Effects(raises=(PositionError,))


def _check_positions(op: str, positions: Sequence[TensorType], *operands: Any) -> None:
    for p in positions:
        if p.dtype not in (dtypes.int64, dtypes.int32):
            raise DTypeError(f"{op}(): Expected dtype int32/int64 for index, got {layout.describe(*operands)}")


def check_range(index: Any, size: int, dim: int, wraps: bool = False) -> None:
    """PositionError where an element of `index` is no position in a dimension of `size`; `wraps`: negative ones count back."""
    bad = (index < (-size if wraps else 0)) | (index >= size)
    if bad.any():
        raise PositionError(f"index {index[bad].flat[0]} is out of bounds for dimension {dim} with size {size}")


def _integral(*positions: Any) -> None:
    if any(p.dtype.itemsize < 4 or p.dtype.kind != "i" for p in positions):
        raise TypeError("int32 or int64 positions expected")


# -- one coordinate of each index


def _check(op: str, x: TensorType, index: TensorType, dim: int) -> None:
    _check_positions(op, (index,), x, index)
    if index.ndim != x.ndim or not 0 <= dim < x.ndim:
        raise ShapeError(f"{op}: operand and index must have equally many dimensions, got {layout.describe(x, index)}, dim {dim}")
    for d, (n, m) in enumerate(zip(index.shape, x.shape, strict=True)):
        too_big = isinstance(n, int) and isinstance(m, int) and n > m
        if d != dim and too_big:
            raise ShapeError(f"{op}: the index reaches beyond dimension {d}: {layout.describe(x, index)}, dim {dim}")


def _gather_infer(x: TensorType, index: TensorType, *, dim: int) -> tuple[TensorType]:
    _check("gather", x, index, dim)
    return (tensor(index.shape, x.dtype),)


def _coordinates(index: Any, dim: int) -> tuple[Any, ...]:
    """Positions along every dimension, to read or write with."""
    grid = np.ogrid[tuple(slice(n) for n in index.shape)]
    return tuple(index if d == dim else grid[d] for d in range(index.ndim))


def _gather_eager(x: Any, index: Any, *, dim: int) -> Any:
    _integral(index)
    check_range(index, x.shape[dim], dim)
    if not x.flags.c_contiguous:
        return np.asarray(x[_coordinates(index, dim)], order="C")
    return np.take(x.reshape(-1), _flat(x.shape, _coordinates(index, dim)), mode="clip")


def _replaced(index: tuple[Any, ...], shapes: Any, *, dim: int) -> Places:
    return Places((*index[:dim], None, *index[dim + 1 :]), ((1, index),))


def _gather_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (3, 4), dtypes.float64)
    for dim, shape in ((0, (2, 4)), (1, (3, 6)), (1, (2, 1)), (0, (0, 4))):
        yield Sample((x, rng.integers(0, x.shape[dim], shape)), {"dim": dim})
    yield Sample((floats(rng, (4, 3)).T, rng.integers(0, 3, (4, 3)).T), {"dim": 0}, note="transposed")
    yield Sample((floats(rng, (2, 3, 4), dtypes.bfloat16), rng.integers(0, 3, (2, 2, 4))), {"dim": 1})
    yield Sample((floats(rng, (5, 40)), np.broadcast_to(rng.integers(0, 5, (9, 1)), (9, 40))), {"dim": 0}, note="whole rows")
    yield Sample((x, np.array([[4]])), {"dim": 1}, raises=PositionError)
    yield Sample((x, np.array([[-1]])), {"dim": 0}, raises=PositionError)
    yield Sample((x, rng.integers(0, 3, (2, 4)).astype(np.int32)), {"dim": 0}, note="int32")
    yield Sample((x, np.array([[3]], np.int32)), {"dim": 0}, raises=PositionError)
    yield Sample((x, np.array([[0]], np.int16)), {"dim": 0}, raises=DTypeError)
    yield Sample((x, np.array([0])), {"dim": 0}, raises=ShapeError)


def _batched(dims: Any, xs: Any) -> tuple[Any, ...]:
    n = next(x.shape[d] for x, d in zip(xs, dims, strict=True) if d is not None)
    return tuple(front(x, d) if d is not None else expand(x, shape=(n, *x.shape)) for x, d in zip(xs, dims, strict=True))


#: result[i] = x[i with i[dim] replaced by index[i]].
gather: Op = register(Op(
    "gather", ("gather(Tensor input, dim dim, Tensor index)",), _gather_infer, _gather_eager,
    lambda g, need, out, x, index, *, dim: (scatter_add(zeros_like(x), index, g, dim=dim) if need[0] else None, None),
    Gather(_replaced), _gather_samples, effects=_RAISES, upcast=False, heavy=LARGE,
    batch=lambda dims, x, index, *, dim: gather(*_batched(dims, (x, index)), dim=dim + 1),
))  # fmt: skip


def _scatter_infer(name: str, kinds: str) -> Callable[..., tuple[TensorType]]:
    def infer(x: TensorType, index: TensorType, source: TensorType, *, dim: int) -> tuple[TensorType]:
        _check(name, x, index, dim)
        check_kind(name, kinds, x, index, source)
        if x.dtype is not source.dtype:
            raise DTypeError(f"{name}(): Expected self.dtype to be equal to src.dtype, got {layout.describe(x, index, source)}")
        if not layout.same_shape(index.shape, source.shape):
            raise ShapeError(f"{name}: index and source must share one shape, got {layout.describe(x, index, source)}")
        return (tensor(x.shape, x.dtype),)

    return infer


def _scatter_eager(x: Any, index: Any, source: Any, *, dim: int) -> Any:
    _integral(index)
    check_range(index, x.shape[dim], dim)
    out = np.array(x, order="C", copy=True)
    out[_coordinates(index, dim)] = source
    return out


def _scatter_add_eager(x: Any, index: Any, source: Any, *, dim: int) -> Any:
    _integral(index)
    check_range(index, x.shape[dim], dim)
    out = np.array(x, order="C", copy=True)
    add_at(out, _coordinates(index, dim), source)
    return out


def add_at(out: Any, places: tuple[Any, ...], values: Any) -> None:
    """Add `values` to the row-major `out` at index arrays for every dimension, in order. (On one flat index NumPy is fast.)"""
    flat = np.ascontiguousarray(np.broadcast_to(_flat(out.shape, places), values.shape), np.int64).reshape(-1)
    np.add.at(out.reshape(-1), flat, np.ascontiguousarray(values).reshape(-1))


def _flat(shape: Sequence[int], places: tuple[Any, ...]) -> Any:
    """Row-major numbers of the elements at index arrays for every dimension, those of few elements combined first."""
    total, step = None, 1
    for n, at in zip(reversed(shape), reversed(places), strict=True):
        term = at.astype(np.int64, copy=False) * step if step != 1 else at
        total = term if total is None else total + term
        step *= n
    return np.zeros((), np.int64) if total is None else total


def _scatter_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _gather_samples(rng):
        x, index = sample.operands
        if not sample.raises or index.ndim == x.ndim:
            yield Sample((x, index, floats(rng, index.shape, dtypes.from_numpy(x.dtype))), sample.attrs, sample.raises)
    yield Sample((np.zeros((3,), np.int64), np.array([1, 1, 1]), np.array([1, 2, 3])), {"dim": 0}, note="repeats")
    x, index = floats(rng, (4, 3), dtypes.float64), rng.integers(0, 4, (20, 3))
    yield Sample((x, index, floats(rng, (20, 3), dtypes.float64)), {"dim": 0}, note="many repeats")
    yield Sample((x, index, floats(rng, (20, 3), dtypes.float32)), {"dim": 0}, raises=DTypeError)
    yield Sample((x, index, floats(rng, (20, 2), dtypes.float64)), {"dim": 0}, raises=ShapeError)


#: A copy of x with source[i] added at x[i with i[dim] replaced by index[i]]; repeated positions add up in index order.
scatter_add: Op = register(Op(
    "scatter_add", (), _scatter_infer("scatter_add", "uifc"), _scatter_add_eager,
    lambda g, need, out, x, index, source, *, dim: (g, None, gather(g, index, dim=dim) if need[2] else None),
    Scatter(_replaced, lambda shapes, *, dim: (dim,), lambda *, dim: "add"), _scatter_samples,
    effects=_RAISES, tolerance=CLOSE, heavy=LARGE, batch=lambda dims, *xs, dim: scatter_add(*_batched(dims, xs), dim=dim + 1),
))  # fmt: skip


def _apart_samples(rng: np.random.Generator) -> Iterator[Sample]:
    """No place twice where values have gradients: which of them stays is not for a rule to say."""
    x = floats(rng, (3, 4), dtypes.float64)
    for dim, shape in ((0, (2, 4)), (1, (3, 4)), (1, (2, 1)), (0, (0, 4))):
        order = np.argsort(rng.random(x.shape), axis=dim)[tuple(slice(n) for n in shape)]
        yield Sample((x, order, floats(rng, shape, dtypes.float64)), {"dim": dim})
        yield Sample((x.T, order.T, floats(rng, shape, dtypes.float64).T), {"dim": 1 - dim}, note="transposed")
    y = floats(rng, (40, 5), dtypes.int64)
    yield Sample((y, rng.integers(0, 40, (90, 5)), floats(rng, (90, 5), dtypes.int64)), {"dim": 0}, note="the last one stays")
    yield Sample((floats(rng, (3, 4), dtypes.bfloat16), np.array([[2, 1]]), floats(rng, (1, 2), dtypes.bfloat16)), {"dim": 1})
    yield Sample((y > 0, rng.integers(0, 5, (40, 2)), y[:, :2] > 1), {"dim": 1}, note="bool")
    yield Sample((x, np.array([[4]]), floats(rng, (1, 1), dtypes.float64)), {"dim": 1}, raises=PositionError)
    yield Sample((x, np.array([[0]]), floats(rng, (1, 1))), {"dim": 1}, raises=DTypeError)


def _scatter_grad(g: Any, need: Any, out: Any, x: Any, index: Any, source: Any, *, dim: int) -> tuple[Any, ...]:
    kept = scatter(g, index, zeros_like(source), dim=dim) if need[0] else None
    return kept, None, gather(g, index, dim=dim) if need[2] else None


#: As scatter_add, but source[i] replaces what is there; of several for one place the last stays (its gradient, as PyTorch's,
#: takes no notice of that).
scatter: Op = register(Op(
    "scatter", (), _scatter_infer("scatter", "buifc"), _scatter_eager, _scatter_grad,
    Scatter(_replaced, lambda shapes, *, dim: (dim,), lambda *, dim: None), _apart_samples,
    effects=_RAISES, upcast=False, heavy=LARGE, batch=lambda dims, *xs, dim: scatter(*_batched(dims, xs), dim=dim + 1),
))  # fmt: skip


# -- whole slices at positions along some dimensions


def is_adjacent(dims: Sequence[int]) -> bool:
    """Whether dimensions follow one another: what is indexed there then stays there, else it goes to the front."""
    return list(dims) == list(range(dims[0], dims[0] + len(dims)))


def together(shapes: Sequence[Sequence[Size]], found_in: str = "") -> tuple[Size, ...]:
    """The shape that `shapes` broadcast to; PositionError, which names `found_in`, where they do not."""
    out: list[Size] = []
    if len(shapes) == 1:  # sizes that a capture does not fix are not asked whether they are 1
        return tuple(shapes[0])
    for d in range(-max(map(len, shapes)), 0):
        found = [s[d] for s in shapes if len(s) >= -d]
        wide = [n for n in found if not layout.is_one(n)] or [1]
        if not all(layout.same(wide[0], n) for n in wide):
            listed = ", ".join(str(list(s)) for s in shapes)
            text = "shape mismatch: indexing tensors could not be broadcast together with shapes"
            raise PositionError(f"{text} {listed}{found_in}")
        out.append(wide[0])
    return tuple(out)


def _parts(shape: Sequence[Any], count: int, dims: Sequence[int]) -> tuple[Any, Any, Any]:
    """A shape or index of a result as (what precedes the indexed part of `count` dimensions, that part, what follows)."""
    lead = dims[0] if is_adjacent(dims) else 0
    return shape[:lead], shape[lead : lead + count], shape[lead + count :]


def _indexed_shape(
    op: str, shape: Sequence[Size], positions: Sequence[TensorType], dims: Any, *operands: Any
) -> tuple[Size, ...]:
    _check_positions(op, positions, *operands)
    if len(dims) != len(positions) or not dims or list(dims) != sorted(set(dims)) or not 0 <= dims[0] <= dims[-1] < len(shape):
        given = f"{len(positions)} positions for dimensions {list(dims)} of {list(shape)}"
        raise ShapeError(f"{op}: {given}: {layout.describe(*operands)}")
    rest = [n for d, n in enumerate(shape) if d not in dims]
    lead = dims[0] if is_adjacent(dims) else 0
    return (*rest[:lead], *together([p.shape for p in positions], f" ({op} of {layout.describe(*operands)})"), *rest[lead:])


def _index_infer(x: TensorType, *positions: TensorType, dims: tuple[int, ...], wrap: bool = True) -> tuple[TensorType]:
    return (tensor(_indexed_shape("index", x.shape, positions, dims, x, *positions), x.dtype),)


def _key(ndim: int, positions: Sequence[Any], dims: Sequence[int]) -> tuple[Any, ...]:
    at = dict(zip(dims, positions, strict=True))
    return tuple(at.get(d, slice(None)) for d in range(ndim))


def _in_range(shape: Sequence[int], positions: Sequence[Any], dims: Sequence[int], wrap: bool) -> None:
    _integral(*positions)
    for d, p in zip(dims, positions, strict=True):
        check_range(p, shape[d], d, wrap)


def _index_eager(x: Any, *positions: Any, dims: tuple[int, ...], wrap: bool = True) -> Any:
    _integral(*positions)
    if not wrap:
        _in_range(x.shape, positions, dims, wrap)
    try:
        if len(dims) == 1 and x.flags.c_contiguous:
            return np.take(x, positions[0], dims[0])
        return np.asarray(x[_key(x.ndim, positions, dims)], order="C")  # one element keeps no dimension
    except IndexError:
        _in_range(x.shape, positions, dims, wrap)
        raise


def _places(index: tuple[Any, ...], shapes: Any, *, dims: tuple[int, ...], **_rest: Any) -> Places:
    """Where in the table element `index` of the result (or source) lies; positions are operands 1 and on."""
    own = shapes[1 : 1 + len(dims)]
    before, middle, after = _parts(index, max(map(len, own)), dims)
    found = iter((*before, *after))
    table = tuple(None if d in dims else next(found) for d in range(len(shapes[0])))
    at = tuple(tuple(0 if layout.is_one(n) else i for i, n in zip(middle[len(middle) - len(s) :], s, strict=True)) for s in own)
    return Places(table, tuple((k + 1, i) for k, i in enumerate(at)))


def _index_grad(g: Any, need: Any, out: Any, x: Any, *positions: Any, dims: Any, wrap: bool = True) -> tuple[Any, ...]:
    return spread(g, *positions, shape=tuple(x.shape), dims=dims, wrap=wrap), *[None] * len(positions)


def _index_samples(rng: np.random.Generator) -> Iterator[Sample]:
    x = floats(rng, (3, 4, 5), dtypes.float64)
    i, j, k = rng.integers(-3, 3, (2, 3)), rng.integers(-4, 4, (3,)), rng.integers(-5, 5, (2, 1))
    at = {0: i, 1: j, 2: k}
    for dims in ((0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)):
        yield Sample((x, *(at[d] for d in dims)), {"dims": dims})
    yield Sample((x.transpose(2, 0, 1), i), {"dims": (1,)}, note="transposed")
    yield Sample((floats(rng, (7, 33)), rng.integers(0, 7, (2, 5))), {"dims": (0,), "wrap": False}, note="rows")
    yield Sample((floats(rng, (7, 5), dtypes.bfloat16), np.array(2)), {"dims": (0,)}, note="0-d")
    yield Sample((floats(rng, (4,), dtypes.int16), np.array([[1, -1]], np.int32)), {"dims": (0,)}, note="int32")
    yield Sample((x, np.zeros((0, 2), np.int64)), {"dims": (1,)}, note="empty")
    yield Sample((x, np.array([3])), {"dims": (0,)}, raises=PositionError)
    yield Sample((x, np.array([-4])), {"dims": (0,)}, raises=PositionError)
    yield Sample((x, np.array([0, 1]), np.array([0, 1, 2])), {"dims": (0, 1)}, raises=PositionError)
    yield Sample((x, np.array([0.0])), {"dims": (0,)}, raises=DTypeError)


def _fronted(dims: Any, ins: Sequence[Any], at: Any, ndim: int, source: int) -> tuple[Any, list[Any], Any]:
    """Of a batch of calls: the table with the batch and the indexed dimensions in front, the positions with one for the batch
    before them, and how a result or source lies then. `source`: dimensions of the positions."""
    x, positions, bdims = ins[0], ins[1:], dims
    n = next(v.shape[d] for v, d in zip(ins, bdims, strict=True) if d is not None)
    x = front(x, bdims[0]) if bdims[0] is not None else expand(x, shape=(n, *x.shape))
    rest = [d for d in range(ndim) if d not in at]
    table = permute(x, dims=(0, *(d + 1 for d in (*at, *rest))))
    spreads = []
    for p, d in zip(positions, bdims[1:], strict=True):
        p = front(p, d)
        own = p.shape[1:] if d is not None else p.shape
        lead = p.shape[:1] if d is not None else (1,)
        spreads.append(reshape(p, (*lead, *(1,) * (source - len(own)), *own)))
    members = reshape(made_by(x, arange, start=0, step=1, length=n, dtype=dtypes.int64), (n, *(1,) * source))
    lead = at[0] if is_adjacent(at) else 0
    order = (0, *range(1 + source, 1 + source + lead), *range(1, 1 + source), *range(1 + source + lead, 1 + source + len(rest)))
    return table, [members, *spreads], order


def _index_batch(bdims: Any, *ins: Any, dims: Any, wrap: bool = True) -> Any:
    ndim = ins[0].ndim - (bdims[0] is not None)
    count = max(p.ndim - (d is not None) for p, d in zip(ins[1:], bdims[1:], strict=True))
    table, positions, order = _fronted(bdims, ins, dims, ndim, count)
    return permute(index(table, *positions, dims=tuple(range(len(positions))), wrap=wrap), dims=order)


#: Slices of x at positions along `dims` (ascending), which broadcast together; their shape stands where the dimensions were if
#: these follow one another, else in front. `wrap`: negative positions count from the end. Public: x[...], index_select,
#: F.embedding.
index: Op = register(Op(
    "index", (), _index_infer, _index_eager, _index_grad, Gather(_places, lambda *, dims, wrap=True: wrap), _index_samples,
    effects=_RAISES, upcast=False, batch=_index_batch,
))  # fmt: skip


def _put_infer(x: TensorType, *rest: TensorType, dims: tuple[int, ...], accumulate: bool = False, wrap: bool = True) -> Any:
    positions, values = rest[:-1], rest[-1]
    name = "index_put"
    shape = _indexed_shape(name, x.shape, positions, dims, x, *rest)
    check_kind(name, "uifc" if accumulate else "buifc", x, *rest)
    if x.dtype is not values.dtype:
        raise DTypeError(f"index_put: requires the source and destination dtypes match, got {layout.describe(x, *rest)}")
    if not layout.same_shape(shape, values.shape):
        raise ShapeError(f"index_put: {layout.describe(x, *rest)}: positions along {list(dims)} take values of {list(shape)}")
    return (tensor(x.shape, x.dtype),)


def _put_eager(x: Any, *rest: Any, dims: tuple[int, ...], accumulate: bool = False, wrap: bool = True) -> Any:
    positions, values = rest[:-1], rest[-1]
    _in_range(x.shape, positions, dims, wrap)
    if accumulate and x.dtype.kind == "b":
        raise TypeError("bool values do not add up")
    out = np.array(x, order="C", copy=True)
    if accumulate:
        _add_slices(out, positions, dims, values)
    else:
        out[_key(x.ndim, positions, dims)] = values
    return out


#: Elements from which on rows are added as a whole.
_WIDE = 16


def _add_rows(out: Any, rows: Any, values: Any) -> None:
    """Add each of `values` to the row of `out` at its position, in order: the first for each row at once."""
    rows = np.where(rows < 0, rows + out.shape[0], rows)
    _, first = np.unique(rows, return_index=True)
    out[rows[first]] += values[first]
    if len(first) == len(rows):
        return
    later = np.ones(len(rows), np.bool_)
    later[first] = False
    add_at(out, (rows[later][:, None], np.arange(out.shape[1])), values[later])


def _add_slices(out: Any, positions: Sequence[Any], dims: Sequence[int], values: Any) -> None:
    """Add slices `values` to `out` at `positions` along `dims`, in order."""
    count = max(p.ndim for p in positions)
    if len(positions) == 1 and dims[0] == 0 and positions[0].ndim and values[0:1].size >= _WIDE and values.size:
        _add_rows(out.reshape(out.shape[0], -1), positions[0].reshape(-1), values.reshape(positions[0].size, -1))
        return
    axes: list[Any] = []
    before, _, after = _parts(range(values.ndim), count, dims)
    free = iter((*before, *after))
    at = dict(zip(dims, positions, strict=True))
    trailing = len(after)
    for d, n in enumerate(out.shape):
        if d in at:
            p = np.where(at[d] < 0, at[d] + n, at[d])
            axes.append(p.reshape((*p.shape, *(1,) * trailing)))
        else:
            k = next(free)
            axes.append(np.arange(n).reshape((n, *(1,) * (values.ndim - 1 - k))))
    add_at(out, tuple(axes), values)


def _put_grad(g: Any, need: Any, out: Any, x: Any, *rest: Any, dims: Any, accumulate: bool = False, wrap: bool = True) -> Any:
    positions, values = rest[:-1], rest[-1]
    kept = g if accumulate or not need[0] else index_put(g, *positions, zeros_like(values), dims=dims, wrap=wrap)
    return kept, *[None] * len(positions), index(g, *positions, dims=dims, wrap=wrap) if need[-1] else None


def _serial(shapes: Any, *, dims: tuple[int, ...], **_rest: Any) -> tuple[int, ...]:
    """The dimensions of the source that positions choose: two of their elements may go to one place."""
    lead = dims[0] if is_adjacent(dims) else 0
    return tuple(range(lead, lead + max(map(len, shapes[1 : 1 + len(dims)]))))


def _put_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _index_samples(rng):
        x, *positions = sample.operands
        attrs = {**sample.attrs, "accumulate": True}
        if sample.raises:
            shape = (1, 4, 5) if 0 in sample.attrs["dims"] else (3, 4, 1)
            yield Sample((*sample.operands, floats(rng, shape, dtypes.from_numpy(x.dtype))), attrs, sample.raises)
            continue
        shape = _index_eager(x, *positions, **sample.attrs).shape
        yield Sample((*sample.operands, floats(rng, shape, dtypes.from_numpy(x.dtype))), attrs, note=sample.note)
    yield from _replacing_samples(rng)
    x, at = floats(rng, (3, 20), dtypes.float64), rng.integers(0, 3, (50,))
    yield Sample((x, at, floats(rng, (50, 20), dtypes.float64)), {"dims": (0,), "accumulate": True}, note="many repeats")
    yield Sample((x, at, floats(rng, (50, 19), dtypes.float64)), {"dims": (0,)}, raises=ShapeError)
    yield Sample((x, at, floats(rng, (50, 20), dtypes.float32)), {"dims": (0,)}, raises=DTypeError)


def _replacing_samples(rng: np.random.Generator) -> Iterator[Sample]:
    """(As `_apart_samples`.)"""
    x = floats(rng, (3, 4, 5), dtypes.float64)
    i, j = rng.permutation(3)[:, None], rng.permutation(4)[:3] - 4
    for positions, dims in (((i,), (0,)), ((j,), (1,)), ((j[:2],), (2,)), ((i, j), (0, 1)), ((j, i), (1, 2)), ((i, j), (0, 2))):
        shape = _index_eager(x, *positions, dims=dims).shape
        yield Sample((x, *positions, floats(rng, shape, dtypes.float64)), {"dims": dims})
    y, at = floats(rng, (9, 6), dtypes.int64), rng.integers(0, 9, (30,))
    yield Sample((y, at, floats(rng, (30, 6), dtypes.int64)), {"dims": (0,)}, note="the last one stays")
    yield Sample((y > 0, at[:4], y[:4] > 1), {"dims": (0,)}, note="bool")
    yield Sample((floats(rng, (4, 3), dtypes.float16), np.array(-1), floats(rng, (3,), dtypes.float16)), {"dims": (0,)})


def _put_batch(bdims: Any, *ins: Any, dims: Any, accumulate: bool = False, wrap: bool = True) -> Any:
    x, values = ins[0], ins[-1]
    ndim = x.ndim - (bdims[0] is not None)
    n = next(v.shape[d] for v, d in zip(ins, bdims, strict=True) if d is not None)
    count = max(p.ndim - (d is not None) for p, d in zip(ins[1:-1], bdims[1:-1], strict=True))
    if bdims[0] is None:
        x, bdims = expand(x, shape=(n, *x.shape)), (0, *bdims[1:])
    table, positions, order = _fronted(bdims[:-1], (x, *ins[1:-1]), dims, ndim, count)
    values = front(values, bdims[-1]) if bdims[-1] is not None else expand(values, shape=(n, *values.shape))
    values = permute(values, dims=tuple(order.index(d) for d in range(len(order))))
    out = index_put(table, *positions, values, dims=tuple(range(len(positions))), accumulate=accumulate, wrap=wrap)
    kept = [d for d in range(ndim) if d not in dims]
    source = (*dims, *kept)
    return permute(out, dims=(0, *(1 + source.index(d) for d in range(ndim))))


#: A copy of x in which the slices that `index` reads are replaced by the last operand, or have it added (`accumulate`; repeated
#: positions then add up in order; else the last one stays). Public: x[...] = value, index_put_, index_add, index_copy.
index_put: Op = register(Op(
    "index_put", (), _put_infer, _put_eager, _put_grad,
    Scatter(_places, _serial, lambda *, accumulate=False, **_rest: "add" if accumulate else None,
            lambda *, wrap=True, **_rest: wrap),
    _put_samples, effects=_RAISES, tolerance=CLOSE, heavy=LARGE, batch=_put_batch,
))  # fmt: skip


def _spread_infer(
    values: TensorType, *positions: TensorType, shape: tuple[Size, ...], dims: tuple[int, ...], wrap: bool = True
) -> tuple[TensorType]:
    check_kind("spread", "uifc", values)
    wanted = _indexed_shape("spread", shape, positions, dims, values, *positions)
    if not layout.same_shape(wanted, values.shape):
        raise ShapeError(f"spread: {layout.describe(values, *positions)} do not fit slices of {list(shape)} along {list(dims)}")
    return (tensor(tuple(shape), values.dtype),)


def _spread_eager(values: Any, *positions: Any, shape: Any, dims: tuple[int, ...], wrap: bool = True) -> Any:
    _in_range(shape, positions, dims, wrap)
    if values.dtype.kind == "b":
        raise TypeError("bool values do not add up")
    out = np.zeros(shape, values.dtype)
    _add_slices(out, positions, dims, values)
    return out


def _spread_lower(values: Any, *positions: Any, shape: Any, dims: Any, wrap: bool = True) -> Any:
    return index_put(filled(values, shape, 0), *positions, values, dims=dims, accumulate=True, wrap=wrap)


def _spread_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _put_samples(rng):
        if sample.attrs.get("accumulate"):
            x, *positions, values = sample.operands
            kept = {k: v for k, v in sample.attrs.items() if k != "accumulate"}
            yield Sample((values, *positions), {**kept, "shape": x.shape}, sample.raises, sample.note)
    values, at = floats(rng, (20, 9), dtypes.float64).T, rng.integers(0, 3, (9,))
    yield Sample((values, at), {"dims": (0,), "shape": (3, 20)}, note="transposed")


#: Zeros of `shape` with slices added at positions along `dims`, in order: what `index` does to a gradient.
spread: Op = register(Op(
    "spread", (), _spread_infer, _spread_eager,
    lambda g, need, out, values, *positions, shape, dims, wrap=True: (
        index(g, *positions, dims=dims, wrap=wrap), *[None] * len(positions)),
    Decompose(_spread_lower), _spread_samples, effects=_RAISES, tolerance=CLOSE, heavy=LARGE,
))  # fmt: skip


def _embedding_infer(weight: TensorType, at: TensorType, *, padding_idx: int | None = None) -> tuple[TensorType]:
    _check_positions("embedding", (at,), weight, at)
    if weight.ndim != 2:
        raise ShapeError(f"embedding: 'weight' must be 2-D, got {layout.describe(weight, at)}")
    return (tensor((*at.shape, weight.shape[1]), weight.dtype),)


def _embedding_eager(weight: Any, at: Any, *, padding_idx: int | None = None) -> Any:
    if weight.ndim != 2:
        raise TypeError("a matrix expected")
    try:
        return _index_eager(weight, at, dims=(0,), wrap=False)
    except PositionError as e:
        raise PositionError(f"index out of range in self: {e}") from None


def _embedding_grad(g: Any, need: Any, out: Any, weight: Any, at: Any, *, padding_idx: int | None = None) -> tuple[Any, ...]:
    if padding_idx is not None:
        g = where(view(eq(at, padding_idx), shape=(*at.shape, 1)), 0.0, g)
    return spread(g, at, shape=tuple(weight.shape), dims=(0,), wrap=False), None


def _embedding_samples(rng: np.random.Generator) -> Iterator[Sample]:
    weight = floats(rng, (5, 6), dtypes.float64)
    for shape in ((2, 3), (7,), (), (0,), (40,)):
        yield Sample((weight, rng.integers(0, 5, shape)))
    yield Sample((weight, rng.integers(1, 5, (3,))), {"padding_idx": 0}, note="padding not met")
    yield Sample((floats(rng, (6, 5)).T, rng.integers(0, 5, (4,)).astype(np.int32)), note="transposed")
    yield Sample((floats(rng, (5, 3), dtypes.float16), rng.integers(0, 5, (4,))))
    yield Sample((weight, np.array([5])), raises=PositionError)
    yield Sample((weight, np.array([0, -1])), raises=PositionError)
    yield Sample((weight, np.array([0.5])), raises=DTypeError)
    yield Sample((weight[0], np.array([0])), raises=ShapeError)


#: Rows of a matrix; the row `padding_idx` gets no gradient. Public: F.embedding.
embedding: Op = register(Op(
    "embedding", (), _embedding_infer, _embedding_eager, _embedding_grad,
    Decompose(lambda weight, at, *, padding_idx=None: index(weight, at, dims=(0,), wrap=False)), _embedding_samples,
    effects=_RAISES, upcast=False,
))  # fmt: skip



# -- the places where a mask is true


def _true_infer(mask: TensorType, *, size: Size) -> tuple[TensorType, ...]:
    if mask.dtype is not dtypes.bool_ or not mask.ndim:
        raise DTypeError(f"true_places: a mask of one dimension or more expected, got {layout.describe(mask)}")
    return (tensor((size,), dtypes.int64),) * mask.ndim


def _true_eager(mask: Any, *, size: int | None) -> Any:
    if mask.dtype != np.bool_ or not mask.ndim:
        raise TypeError("a mask expected")
    found = tuple([np.ascontiguousarray(p) for p in mask.nonzero()])
    if len(found[0]) < 2 if size is None else len(found[0]) != size:
        raise SizeError(f"{len(found[0])} elements are true, not {'two or more' if size is None else size}")
    return found if mask.ndim > 1 else found[0]


def _true_samples(rng: np.random.Generator) -> Iterator[Sample]:
    mask = floats(rng, (3, 4), dtypes.bool_)
    for x in (mask, mask.T, mask[:, ::2], mask[:0], np.ones((7,), np.bool_), np.zeros((2, 1, 3), np.bool_)):
        yield Sample((x,), {"size": int(x.sum())})
    yield Sample((np.zeros((3,), np.bool_),), {"size": 2}, raises=SizeError)
    yield Sample((np.ones((3,), np.int64),), {"size": 3}, raises=DTypeError)


#: Where a mask is true: a vector of positions for each dimension. `size`, how many, is a symbol of at least 2 that the result
#: settles (`size` None at a run); fewer raise SizeError. Public: nonzero and masks as indices, in captures.
true_places = register(Op(
    "true_places", (), _true_infer, _true_eager, None, Extern("how much it writes hangs on values"), _true_samples,
    constant="positions", effects=Effects(raises=(SizeError,)), binds="size",
    looped="how many places there are differs from member to member",
))  # fmt: skip
