"""Convolutions as back ends claim them: without padding, of matrices, channels before examples; and the sum over windows.

Only the decompositions of `convolution` and its adjoints make these calls, after gradients were taken. Each record decomposes
further into windows and `matmul`, for back ends that claim nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout, sizes
from ..op import Decompose, Op, Sample, register
from ..sizes import Size
from ..types import TensorType, numel, tensor
from .casts import contiguous
from .convolution import (
    LOOSE,
    Ints,
    cases,
    check_attrs,
    check_channels,
    check_result,
    conv_eager,
    negative,
    padded,
    result_sizes,
    spread_out,
    turned_weight,
    weight_eager,
    windows,
)
from .creation import filled
from .declare import floats
from .linalg import matmul, swapped
from .pointwise import add
from .reductions import converted, wide
from .shape import permute, reshape, slice_


def _check_rows(
    op: str, x: TensorType, m: TensorType, kernel: Any, stride: Ints, dilation: Ints, groups: int
) -> tuple[Size, ...]:
    """Spatial sizes of the convolution of `x`; raises unless `m` is a matrix of its dtype with a multiple of `groups` rows."""
    got = layout.describe(x, m)
    if m.dtype is not x.dtype or not x.dtype.is_floating_point:
        raise DTypeError(f"{op}: operands must share one floating dtype, got {got}")
    if m.ndim != 2 or len(kernel) != len(stride):
        raise ShapeError(f"{op}: a matrix and a kernel of {len(stride)} sizes expected, got {got} and {kernel}")
    check_attrs(op, (x,), stride, (0,) * len(stride), dilation, groups)
    inside = sizes.floordiv(x.shape[1], groups)
    check_channels(op, got, x.shape[1], m.shape[0], inside, groups)
    return result_sizes(x.shape[2:], kernel, stride, (0,) * len(stride), dilation)


def _rows_infer(
    x: TensorType, w: TensorType, *, kernel: Ints, stride: Ints, dilation: Ints, groups: int = 1, turned: bool = False
) -> tuple[TensorType]:
    out = _check_rows("conv_rows", x, w, kernel, stride, dilation, groups)
    taps = numel(kernel)
    channels = sizes.floordiv(w.shape[1], taps) * groups if turned else w.shape[0]
    fits = (
        layout.same(w.shape[0], x.shape[1]) and layout.same(sizes.mod(w.shape[1], taps), 0) if turned
        else layout.same(w.shape[1], sizes.floordiv(x.shape[1], groups) * taps)
    )  # fmt: skip
    if not fits or any(negative(n - 1) for n in out):
        raise ShapeError(f"conv_rows: a kernel of {list(kernel)} does not fit: got {layout.describe(x, w)}")
    return (tensor((channels, x.shape[0], *out), x.dtype),)


def _rows_eager(x: Any, w: Any, *, kernel: Ints, stride: Ints, dilation: Ints, groups: int = 1, turned: bool = False) -> Any:
    taps = math.prod(kernel)
    fits = w.shape[0] == x.shape[1] and w.shape[1] % taps == 0 if turned else w.shape[1] * groups == x.shape[1] * taps
    if w.ndim != 2 or len(kernel) != x.ndim - 2 or not fits:
        raise TypeError("a matrix that fits the kernel expected")
    whole = w.reshape(w.shape[0], w.shape[1] // taps, *kernel)
    if turned:
        split = whole.reshape(groups, w.shape[0] // groups, *whole.shape[1:]).swapaxes(1, 2)
        whole = np.flip(split, tuple(range(3, split.ndim))).reshape(-1, w.shape[0] // groups, *kernel)
    made = conv_eager(x, whole, None, stride=stride, padding=(0,) * len(kernel), dilation=dilation, groups=groups)
    return np.array(made.swapaxes(0, 1), order="C", copy=True)


def _major_columns(x: Any, kernel: Any, out: Any, stride: Ints, dilation: Ints, groups: int) -> Any:
    """(groups, channels of a group x kernel, examples x pixels)."""
    n, c = x.shape[:2]
    view = windows(x, kernel, stride, dilation, out)
    rank = len(stride)
    order = permute(view, dims=(1, *range(2, 2 + rank), 0, *range(2 + rank, 2 + 2 * rank)))
    return reshape(contiguous(order), (groups, sizes.floordiv(c, groups) * numel(kernel), n * numel(out)))


def _rows_decompose(
    x: Any, w: Any, *, kernel: Ints, stride: Ints, dilation: Ints, groups: int = 1, turned: bool = False
) -> Any:
    to = x.dtype
    x, w = converted(x, wide(to)), converted(w, wide(to))
    if turned:
        whole = turned_weight(reshape(w, (w.shape[0], sizes.floordiv(w.shape[1], numel(kernel)), *kernel)), groups)
        w = reshape(whole, (whole.shape[0], numel(whole.shape[1:])))
    out = result_sizes(x.shape[2:], kernel, stride, (0,) * len(stride), dilation)
    rows = reshape(w, (groups, sizes.floordiv(w.shape[0], groups), w.shape[1]))
    made = matmul(rows, _major_columns(x, kernel, out, stride, dilation, groups))
    return converted(reshape(made, (w.shape[0], x.shape[0], *out)), to)


def _rows_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for x, w, attrs in _unpadded(rng):
        yield Sample((x, w.reshape(w.shape[0], -1)), {**attrs, "kernel": w.shape[2:]})
        back = floats(rng, (x.shape[1], w.shape[1] * w[0, 0].size), dtypes.float64)
        yield Sample((x, back), {**attrs, "kernel": w.shape[2:], "turned": True}, note="turned")
    for dtype in dtypes.FLOATING:
        yield Sample((floats(rng, (2, 3, 4, 5), dtype), floats(rng, (2, 18), dtype)), _bare(kernel=(2, 3)))
    x, w = floats(rng, (1, 2, 3, 3)), floats(rng, (2, 8))
    yield Sample((x.transpose(0, 1, 3, 2), w), _bare(kernel=(2, 2)), note="transposed")
    yield Sample((x, w[:, :7]), _bare(kernel=(2, 2)), raises=ShapeError)
    yield Sample((x, w.astype(np.float64)), _bare(kernel=(2, 2)), raises=DTypeError)
    yield Sample((x.astype(np.int64), w.astype(np.int64)), _bare(kernel=(2, 2)), raises=DTypeError)


def _unpadded(rng: np.random.Generator) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    for x, w, attrs in cases(rng):
        rest = {k: v for k, v in attrs.items() if k != "padding"}
        if w.shape[2] <= x.shape[2]:
            yield x, w, rest


def _bare(**other: Any) -> dict[str, Any]:
    return {"stride": (1, 1), "dilation": (1, 1), "groups": 1, **other}


_MADE = "only decompositions make it, after gradients were taken"

#: `convolution` without padding, by a matrix (out, in of a group x kernel): (out channels, batch, *pixels). With `turned` the
#: matrix is (in, out of a group x kernel), and the kernel is read backwards.
conv_rows: Op = register(Op(
    "conv_rows", (), _rows_infer, _rows_eager, None, Decompose(_rows_decompose), _rows_samples, tolerance=LOOSE, constant=_MADE,
))  # fmt: skip


def _taps_infer(
    x: TensorType, y: TensorType, *, shape: tuple[Size, ...], kernel: Ints, stride: Ints, dilation: Ints, groups: int = 1
) -> tuple[TensorType]:
    _check_rows("conv_taps", x, y, kernel, stride, dilation, groups)
    got = layout.describe(x, y)
    check_result("conv_taps", got, x.shape[2:], kernel, shape, (stride, (0,) * len(stride), dilation))
    if not layout.same(y.shape[1], x.shape[0] * numel(shape)):
        raise ShapeError(f"conv_taps: {y.shape[1]} columns are not {x.shape[0]} examples of {numel(shape)} pixels: got {got}")
    return (tensor((y.shape[0], sizes.floordiv(x.shape[1], groups), *kernel), x.dtype),)


def _taps_eager(x: Any, y: Any, *, shape: Ints, kernel: Ints, stride: Ints, dilation: Ints, groups: int = 1) -> Any:
    if y.ndim != 2 or len(kernel) != x.ndim - 2 or y.shape[1] != x.shape[0] * math.prod(shape):
        raise TypeError("a matrix that fits the pixels expected")
    whole = y.reshape(y.shape[0], x.shape[0], *shape).swapaxes(0, 1)
    return weight_eager(x, whole, kernel=kernel, stride=stride, padding=(0,) * len(kernel), dilation=dilation, groups=groups)


def _taps_decompose(
    x: Any, y: Any, *, shape: tuple[Size, ...], kernel: Ints, stride: Ints, dilation: Ints, groups: int = 1
) -> Any:
    to = x.dtype
    x, y = converted(x, wide(to)), converted(y, wide(to))
    rows = reshape(y, (groups, sizes.floordiv(y.shape[0], groups), y.shape[1]))
    made = matmul(rows, swapped(_major_columns(x, kernel, shape, stride, dilation, groups)))
    return converted(reshape(made, (y.shape[0], sizes.floordiv(x.shape[1], groups), *kernel)), to)


def _taps_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for x, w, attrs in _unpadded(rng):
        out = result_sizes(x.shape[2:], w.shape[2:], attrs["stride"], (0,) * (x.ndim - 2), attrs["dilation"])
        y = floats(rng, (w.shape[0], x.shape[0] * numel(out)), dtypes.float64)  # type: ignore[arg-type]
        yield Sample((x, y), {**attrs, "kernel": w.shape[2:], "shape": out})
    for dtype in dtypes.FLOATING:
        yield Sample((floats(rng, (2, 3, 4, 5), dtype), floats(rng, (2, 18), dtype)), _bare(kernel=(2, 3), shape=(3, 3)))
    yield Sample((floats(rng, (1, 3, 1, 1)), floats(rng, (2, 1))), _bare(kernel=(1, 1), shape=(1, 1)), note="one pixel")
    x, y = floats(rng, (1, 2, 3, 3)), floats(rng, (2, 4))
    yield Sample((x.transpose(0, 1, 3, 2), y), _bare(kernel=(2, 2), shape=(2, 2)), note="transposed")
    yield Sample((x, y[:, :3]), _bare(kernel=(2, 2), shape=(2, 2)), raises=ShapeError)
    yield Sample((x, y.astype(np.float64)), _bare(kernel=(2, 2), shape=(2, 2)), raises=DTypeError)
    yield Sample((x.astype(np.int64), y.astype(np.int64)), _bare(kernel=(2, 2), shape=(2, 2)), raises=DTypeError)


#: `conv_weight` without padding, of a matrix (out channels, batch x pixels of sizes `shape`): (out, in of a group, *kernel).
conv_taps: Op = register(Op(
    "conv_taps", (), _taps_infer, _taps_eager, None, Decompose(_taps_decompose), _taps_samples, tolerance=LOOSE, constant=_MADE,
))  # fmt: skip


# -- columns added up: the adjoint of reading windows


def _fold_infer(
    m: TensorType, *, shape: tuple[Size, ...], kernel: Ints, stride: Ints, padding: Ints, dilation: Ints
) -> tuple[TensorType]:
    got = layout.describe(m)
    if not m.dtype.is_floating_point:
        raise DTypeError(f"conv_fold: needs a floating dtype, got {got}")
    out = result_sizes(shape, kernel, stride, padding, dilation)
    taps = numel(kernel)
    if m.ndim != 3 or sizes.equal(m.shape[1], numel(out)) is False or not layout.same(sizes.mod(m.shape[2], taps), 0):
        raise ShapeError(f"conv_fold: (examples, {numel(out)} pixels, channels x {taps}) expected, got {got}")
    return (tensor((m.shape[0], sizes.floordiv(m.shape[2], taps), *shape), m.dtype),)


def _fold_eager(m: Any, *, shape: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Any:
    n, c = m.shape[0], m.shape[2] // math.prod(kernel)
    out: Ints = result_sizes(shape, kernel, stride, padding, dilation)  # type: ignore[assignment]
    if m.dtype.kind != "f":
        raise TypeError("columns that fit expected")
    columns = m.reshape(n, *out, c, *kernel)
    made = np.zeros((n, *(s + 2 * p for s, p in zip(shape, padding, strict=True)), c), m.dtype)
    for tap in np.ndindex(*kernel):
        each = zip(tap, dilation, stride, out, strict=True)
        places = tuple(slice(k * d, k * d + s * (size - 1) + 1, s) for k, d, s, size in each)
        made[(slice(None), *places)] += columns[(..., *tap)]
    inner = made[(slice(None), *(slice(p, p + s) for p, s in zip(padding, shape, strict=True)))]
    return np.array(np.moveaxis(inner, -1, 1), order="C", copy=True)


def _fold_decompose(
    m: Any, *, shape: tuple[Size, ...], kernel: Ints, stride: Ints, padding: Ints, dilation: Ints
) -> Any:
    to, taps = m.dtype, math.prod(kernel)
    out = result_sizes(shape, kernel, stride, padding, dilation)
    m = converted(m, wide(to))
    n, c = m.shape[0], sizes.floordiv(m.shape[2], taps)
    columns, total = reshape(m, (n, m.shape[1], c, taps)), None
    for k, tap in enumerate(np.ndindex(*kernel)):
        edges = []
        for at, size, count, s, p, d in zip(tap, shape, out, stride, padding, dilation, strict=True):
            low = int(at) * d - p
            edges.append((low, size - low - ((count - 1) * s + 1)))
        if any(isinstance(high, int) and -min(low, 0) - min(high, 0) >= (count - 1) * s + 1 > 0
               for (low, high), count, s in zip(edges, out, stride, strict=True) if isinstance(count, int)):  # fmt: skip
            continue  # all of it lies outside
        one = reshape(slice_(columns, dim=3, start=k, stop=k + 1, step=1), (n, m.shape[1], c))
        one = reshape(permute(one, dims=(0, 2, 1)), (n, c, *out))
        one = padded(spread_out(one, stride), edges)
        total = one if total is None else add(total, one)
    return converted(filled(m, (n, c, *shape), 0) if total is None else total, to)


def _fold_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for x, w, attrs in cases(rng):
        rest = {k: v for k, v in attrs.items() if k != "groups"}
        out = result_sizes(x.shape[2:], w.shape[2:], rest["stride"], rest["padding"], rest["dilation"])
        m = floats(rng, (x.shape[0], math.prod(out), 2 * w[0, 0].size), dtypes.float64)  # type: ignore[arg-type]
        yield Sample((m,), {**rest, "shape": x.shape[2:], "kernel": w.shape[2:]})
    plain = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "kernel": (2, 2), "shape": (3, 4)}
    for dtype in dtypes.FLOATING:
        yield Sample((floats(rng, (2, 6, 8), dtype),), plain)
    yield Sample((floats(rng, (2, 4, 8)),), {"stride": (1,), "padding": (0,), "dilation": (1,), "kernel": (1,), "shape": (4,)})
    yield Sample((floats(rng, (2, 8, 6)).transpose(0, 2, 1),), plain, note="transposed")
    yield Sample((floats(rng, (2, 6, 7)),), plain, raises=ShapeError)
    yield Sample((floats(rng, (2, 6, 8), dtypes.int64),), plain, raises=DTypeError)


#: Element (n, pixel, channel and tap) added where that tap of that pixel's window lies: (examples, channels, *shape).
conv_fold: Op = register(Op(
    "conv_fold", (), _fold_infer, _fold_eager, None, Decompose(_fold_decompose), _fold_samples, tolerance=LOOSE, constant=_MADE,
))  # fmt: skip
