"""Pooling over one to three trailing dimensions: operands (batch, channels, *spatial).

Attrs `kernel`, `stride`, `dilation` have one int a spatial dimension, `padding` a pair (before, after), so that windows that
reach beyond the end (ceil_mode) are wider padding. Public functions: `eager/windows.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout, sizes
from ..op import Decompose, Op, Sample, register
from ..sizes import Size
from ..types import TensorType, numel, tensor
from .compare import eq, ne, where
from .convolution import Ints, conv_input, padded, windows, windows_of
from .creation import arange, filled, made_by, number
from .declare import CLOSE, floats
from .indexing import scatter_add
from .pointwise import add, mul
from .reductions import amax, amin, any, converted, sum, wide
from .shape import expand, reshape

Pairs = tuple[tuple[int, int], ...]


def _results(spatial: Any, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> tuple[Size, ...]:
    each = zip(spatial, kernel, stride, padding, dilation, strict=True)
    return tuple(sizes.floordiv(n + low + high - d * (k - 1) - 1, s) + 1 for n, k, s, (low, high), d in each)


def _infer(op: str, to: Any = None) -> Any:
    def infer(x: TensorType, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> tuple[TensorType]:
        got, n = layout.describe(x), len(kernel)
        if x.dtype.kind not in "uif":
            raise DTypeError(f"{op}: needs a floating or integral dtype, got {got}")
        if x.ndim != n + 2 or not len(stride) == len(padding) == len(dilation) == n:
            raise ShapeError(f"{op}: a kernel of {list(kernel)} needs {n} dimensions behind batch and channels, got {got}")
        if min((*kernel, *stride, *dilation)) < 1 or any_(p < 0 for pair in padding for p in pair):
            raise ShapeError(f"{op}: kernel {kernel}, stride {stride} and dilation {dilation} must be positive (operand {got})")
        out = _results(x.shape[2:], kernel, stride, padding, dilation)
        if any_((sizes.bounds(m)[1] or 0) < 1 and sizes.bounds(m)[1] is not None for m in out):
            raise ShapeError(f"{op}: a kernel of {list(kernel)} does not fit: got {got}")
        return (tensor((*x.shape[:2], *out), to or x.dtype),)

    return infer


def any_(found: Any) -> bool:
    """Python's `any`; the record of that name hides it here."""
    return bool(max(found, default=False))


def _frame(x: Any, padding: Pairs, value: float) -> Any:
    """A row-major array with `value` around its trailing dimensions."""
    if x.dtype.kind not in "uif" or x.ndim != len(padding) + 2:
        raise TypeError("floating or integral array expected")
    if not any_(p for pair in padding for p in pair):
        return np.ascontiguousarray(x)
    shape = (*x.shape[:2], *(n + low + high for n, (low, high) in zip(x.shape[2:], padding, strict=True)))
    out = np.full(shape, value, x.dtype)
    inside: Any = tuple(slice(low, low + n) for n, (low, _) in zip(x.shape[2:], padding, strict=True))
    out[(..., *inside)] = x
    return out


def _taps(x: Any, value: float, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Iterator[tuple[Ints, Any]]:
    """For each place in the window, that place and the elements there of all windows."""
    out: Any = _results(x.shape[2:], kernel, stride, padding, dilation)
    if min(out, default=1) < 1 or min((*kernel, *stride)) < 1:
        raise ValueError("the kernel does not fit")
    view = windows_of(_frame(x, padding, value), kernel, stride, dilation, out)
    for tap in np.ndindex(*kernel):
        yield tap, view[(slice(None), slice(None), *tap)]


def _lowest(dtype: Any) -> Any:
    """What no element of a dtype, NumPy's or ours, is below: a Python number."""
    bits = 8 * dtype.itemsize - 1
    return float("-inf") if dtype.kind not in "ui" else -(1 << bits) if dtype.kind == "i" else 0


def _max_eager(x: Any, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Any:
    best: Any = None
    for _, values in _taps(x, _lowest(x.dtype), kernel, stride, padding, dilation):
        best = np.array(values, order="C") if best is None else np.maximum(best, values, out=best)
    return best


def _index_eager(x: Any, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Any:
    best: Any = None
    at: Any = None
    for tap, values in _taps(x, _lowest(x.dtype), kernel, stride, padding, dilation):
        place = np.broadcast_to(_place(tap, x.shape[2:], values.shape[2:], stride, padding, dilation), values.shape)
        if best is None:
            best, at = np.array(values, order="C"), np.array(place, np.int64, order="C")
            continue
        inside = _inside(tap, x.shape[2:], values.shape[2:], stride, padding, dilation)
        better = (values > best) | np.isnan(values) | (inside & (at < 0))
        best[better], at[better] = values[better], place[better]
    return at


def _place(tap: Ints, spatial: Ints, out: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Any:
    """Row-major position in the plane of the elements at one place of all windows; -1 in the padding."""
    flat: Any = np.zeros((1,) * len(out), np.int64)
    for axis in _axes(tap, out, stride, padding, dilation):
        flat = flat * spatial[axis[0]] + axis[1]
    return np.where(_inside(tap, spatial, out, stride, padding, dilation), flat, -1)


def _inside(tap: Ints, spatial: Ints, out: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Any:
    ok: Any = np.ones((1,) * len(out), np.bool_)
    for d, at in _axes(tap, out, stride, padding, dilation):
        ok = ok & (at >= 0) & (at < spatial[d])
    return ok


def _axes(tap: Ints, out: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Iterator[tuple[int, Any]]:
    for d, (k, n, s, (low, _), step) in enumerate(zip(tap, out, stride, padding, dilation, strict=True)):
        yield d, (np.arange(n) * s + k * step - low).reshape(-1, *(1,) * (len(out) - d - 1))


def _sum_eager(x: Any, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Any:
    total: Any = None
    for _, values in _taps(x, 0, kernel, stride, padding, dilation):
        total = np.array(values, order="C") if total is None else np.add(total, values, out=total)
    return total


def _opened(x: Any, value: float, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> tuple[Any, Ints]:
    """The windows of `x` (batch, channels, *kernel, *out), and the dimensions of the kernel."""
    out = _results(x.shape[2:], kernel, stride, padding, dilation)
    return windows(padded(x, padding, value), kernel, stride, dilation, out), tuple(range(2, 2 + len(kernel)))


def _max_decompose(x: Any, **attrs: Any) -> Any:
    opened, dim = _opened(x, _lowest(x.dtype), **attrs)
    return amax(opened, dim=dim, keepdim=False)


def _sum_decompose(x: Any, **attrs: Any) -> Any:
    opened, dim = _opened(converted(x, wide(x.dtype)), 0, **attrs)
    return converted(sum(opened, dim=dim, keepdim=False, dtype=opened.dtype), x.dtype)


def _index_decompose(x: Any, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints) -> Any:
    opened, dim = _opened(x, _lowest(x.dtype), kernel, stride, padding, dilation)
    out = _results(x.shape[2:], kernel, stride, padding, dilation)
    place, inside = _places(x, kernel, out, stride, padding, dilation)
    far = number(x, numel(x.shape[2:]))
    best = expand(amax(opened, dim=dim, keepdim=True), shape=tuple(opened.shape))
    first = amin(where(_both(eq(opened, best), inside), place, far), dim=dim, keepdim=False)
    odd = ne(opened, opened)
    last = amax(where(odd, place, -1), dim=dim, keepdim=False)
    return where(any(odd, dim=dim, keepdim=False), last, first)


def _both(a: Any, b: Any) -> Any:
    from .compare import logical_and

    return logical_and(a, b)


def _places(x: Any, kernel: Ints, out: Any, stride: Ints, padding: Pairs, dilation: Ints) -> tuple[Any, Any]:
    """Position in the plane of every element of the windows, and whether it is one (*kernel, *out)."""
    from .compare import ge, lt

    n = len(kernel)
    flat: Any = None
    inside: Any = None
    for d in range(n):
        taps = made_by(x, arange, start=-padding[d][0], step=dilation[d], length=kernel[d], dtype=dtypes.int64)
        first = made_by(x, arange, start=0, step=stride[d], length=out[d], dtype=dtypes.int64)
        behind = (1,) * (n - d - 1)
        at = add(reshape(taps, (kernel[d], *(1,) * (n - 1 - d + n))), reshape(first, (out[d], *behind)))
        ok = _both(ge(at, 0), lt(at, number(x, x.shape[2 + d])))
        flat = at if flat is None else add(mul(flat, number(x, x.shape[2 + d])), at)
        inside = ok if inside is None else _both(inside, ok)
    return flat, inside


def _max_grad(g: Any, need: Any, out: Any, x: Any, **attrs: Any) -> tuple[Any, ...]:
    """Added at the place of each window's first largest element."""
    n, c = x.shape[:2]
    index, flat = max_pool_index(x, **attrs), (n, c, numel(g.shape[2:]))
    made = scatter_add(filled(g, (n, c, numel(x.shape[2:])), 0), reshape(index, flat), reshape(g, flat), dim=2)
    return (reshape(made, tuple(x.shape)),)


def _sum_grad(
    g: Any, need: Any, out: Any, x: Any, *, kernel: Ints, stride: Ints, padding: Pairs, dilation: Ints
) -> tuple[Any, ...]:
    """The transposed convolution with a kernel of ones, each plane by itself."""
    n, c, *spatial = x.shape
    shape = tuple(s + low + high for s, (low, high) in zip(spatial, padding, strict=True))
    ones, none = filled(g, (1, 1, *kernel), 1), (0,) * len(kernel)
    each = reshape(g, (n * c, 1, *g.shape[2:]))
    made = conv_input(each, ones, shape=shape, stride=stride, padding=none, dilation=dilation, groups=1)
    cut = padded(made, [(-low, -high) for low, high in padding])
    return (reshape(cut, tuple(x.shape)),)


def _attrs(n: int, kernel: int | Ints, stride: int | Ints, padding: Any = 0, dilation: int | Ints = 1) -> dict[str, Any]:
    def each(v: Any) -> Any:
        return v if isinstance(v, tuple) else (v,) * n

    pairs = tuple(p if isinstance(p, tuple) else (p, p) for p in each(padding))
    return {"kernel": each(kernel), "stride": each(stride), "padding": pairs, "dilation": each(dilation)}


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    f64 = dtypes.float64
    x = rng.permutation(2 * 2 * 5 * 6).reshape(2, 2, 5, 6) / 7.0
    yield Sample((x,), _attrs(2, 2, 2))
    yield Sample((x,), _attrs(2, 3, 2, 1))
    yield Sample((x,), _attrs(2, (2, 3), (1, 2), (0, 1), (2, 1)))
    yield Sample((x,), _attrs(2, 2, (2, 3), ((0, 1), (0, 1))), note="ceil")
    yield Sample((x[0],), _attrs(1, 2, 1))
    yield Sample((x.reshape(2, 1, 2, 5, 6),), _attrs(3, (1, 2, 2), (1, 2, 3)))
    yield Sample((x.transpose(0, 3, 2, 1),), _attrs(2, 2, 1), note="transposed")
    yield Sample((x[:, :, ::2, 1:],), _attrs(2, 2, 1), note="strided")
    yield Sample((floats(rng, (0, 2, 4, 4), f64),), _attrs(2, 2, 2), note="empty")
    for dtype in dtypes.FLOATING:
        yield Sample((floats(rng, (1, 2, 4, 5), dtype),), _attrs(2, 2, 2))
    odd = np.array([[[1.0, 1.0, np.nan, 0.0, np.nan, 2.0, -np.inf, -np.inf]]], np.float32)
    yield Sample((odd,), _attrs(1, 2, 2), note="NaN, ties")
    yield Sample((x.astype(np.float32),), _attrs(2, 7, 1), raises=ShapeError)
    yield Sample((x[0, 0].astype(np.float32),), _attrs(2, 2, 1), raises=ShapeError)
    for kind in (np.uint8, np.int64):
        yield Sample((rng.permutation(20).astype(kind).reshape(1, 1, 4, 5),), _attrs(2, 3, 2, 1))
    yield Sample((np.ones((1, 1, 3, 3), np.bool_),), _attrs(2, 2, 1), raises=DTypeError)


#: The largest element of each window; padding is minus infinity; NaN if there is one.
max_pool: Op = register(Op(
    "max_pool", (), _infer("max_pool"), _max_eager, _max_grad, Decompose(_max_decompose), _samples, heavy=True,
))  # fmt: skip

#: Where in its plane (row-major, int64) the first largest element of each window lies; the last NaN if there is one.
max_pool_index: Op = register(Op(
    "max_pool_index", (), _infer("max_pool_index", dtypes.int64), _index_eager, None, Decompose(_index_decompose), _samples,
    constant="positions", heavy=True,
))  # fmt: skip

#: The sum of each window; padding counts as zero.
sum_pool: Op = register(Op(
    "sum_pool", (), _infer("sum_pool"), _sum_eager, _sum_grad, Decompose(_sum_decompose), _samples, tolerance=CLOSE,
))  # fmt: skip
