"""Convolution over one to three dimensions and its two adjoints: operands (batch, channels, *spatial).

The three records are the derivatives of one trilinear form (input x, weight w, result y), so that each one's gradients are
the other two, to every order. Attrs `stride`, `padding`, `dilation` have one int a spatial dimension; padding is with zeros,
equal on both sides. Half types compute in float32. Public functions: `eager/windows.py`.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...errors import DTypeError, ShapeError
from .. import dtypes, layout, sizes
from ..op import Decompose, Op, Sample, register
from ..sizes import Size
from ..types import TensorType, numel, tensor
from .casts import contiguous
from .creation import filled
from .declare import CLOSE, floats
from .linalg import matmul
from .pointwise import add
from .reductions import converted, sum, wide
from .shape import as_strided, cat, permute, reshape, slice_

Ints = tuple[int, ...]
LOOSE = {**CLOSE, "f32": (1e-5, 1e-5), "f64": (1e-12, 1e-12)}


def window_count(size: Size, kernel: Size, stride: int, padding: int, dilation: int) -> Size:
    """How many windows of `kernel` elements fit along a dimension of `size`."""
    return sizes.floordiv(size + 2 * padding - dilation * (kernel - 1) - 1, stride) + 1


def result_sizes(spatial: Any, kernel: Any, stride: Ints, padding: Ints, dilation: Ints) -> tuple[Size, ...]:
    """Spatial sizes of a convolution's result."""
    each = zip(spatial, kernel, stride, padding, dilation, strict=True)
    return tuple(window_count(*one) for one in each)


def negative(n: Size) -> bool:
    high = sizes.bounds(n)[1]
    return high is not None and high < 0


def check_attrs(op: str, types: Sequence[TensorType], stride: Ints, padding: Ints, dilation: Ints, groups: int) -> None:
    got = layout.describe(*types)
    if any(t.dtype is not types[0].dtype for t in types) or not types[0].dtype.is_floating_point:
        raise DTypeError(f"{op}: operands must share one floating dtype, got {got}")
    if any(t.ndim != len(stride) + 2 for t in types):
        raise ShapeError(f"{op}: operands must have {len(stride)} spatial dimensions behind batch and channels, got {got}")
    if len(padding) != len(stride) or len(dilation) != len(stride):
        raise ShapeError(f"{op}: stride {stride}, padding {padding}, dilation {dilation} must be equally long (operands {got})")
    if min(stride) < 1 or min(dilation) < 1 or min(padding) < 0 or groups < 1:
        raise ShapeError(f"{op}: stride {stride}, dilation {dilation}, groups {groups} must be positive and padding {padding} "
                         f"not negative (operands {got})")  # fmt: skip


def check_channels(op: str, got: str, inputs: Size, outputs: Size, per_group: Size, groups: int) -> None:
    if not layout.same(inputs, per_group * groups):
        raise ShapeError(f"{op}: {inputs} input channels are not {groups} groups of the weight's {per_group}: got {got}")
    if not layout.same(sizes.mod(outputs, groups), 0):
        raise ShapeError(f"{op}: {outputs} output channels do not divide into {groups} groups: got {got}")


def check_result(op: str, got: str, x: Any, kernel: Any, y: Any, attrs: tuple[Ints, Ints, Ints]) -> None:
    """ShapeError where `y` are certainly not the spatial sizes of the convolution of sizes `x` by `kernel`."""
    made = result_sizes(x, kernel, *attrs)
    if len(made) != len(y) or any(sizes.equal(m, n) is False for m, n in zip(made, y, strict=True)):
        shown = [f"[{','.join(map(str, s))}]" for s in (x, kernel, made, y)]
        raise ShapeError(f"{op}: sizes {shown[0]} under a kernel of {shown[1]} make {shown[2]}, not {shown[3]}: got {got}")


# -- the convolution itself


def _conv_infer(
    x: TensorType, w: TensorType, bias: TensorType | None = None, *, stride: Ints, padding: Ints, dilation: Ints, groups: int = 1
) -> tuple[TensorType]:
    check_attrs("convolution", (x, w), stride, padding, dilation, groups)
    got = layout.describe(x, w) if bias is None else layout.describe(x, w, bias)
    check_channels("convolution", got, x.shape[1], w.shape[0], w.shape[1], groups)
    if bias is not None and bias.dtype is not x.dtype:
        raise DTypeError(f"convolution: operands must share one floating dtype, got {got}")
    if bias is not None and not layout.same_shape(bias.shape, (w.shape[0],)):
        raise ShapeError(f"convolution: the bias must have one element for each of {w.shape[0]} output channels: got {got}")
    out = result_sizes(x.shape[2:], w.shape[2:], stride, padding, dilation)
    if any(negative(n - 1) for n in out) or any(layout.is_zero(n) for n in w.shape[2:]):
        padded = "x".join(str(n + 2 * p) for n, p in zip(x.shape[2:], padding, strict=True))
        raise ShapeError(f"convolution: the kernel does not fit the input of padded size {padded}: got {got}")
    return (tensor((x.shape[0], w.shape[0], *out), x.dtype),)


def padded_array(x: np.ndarray, padding: Ints, value: float = 0.0) -> np.ndarray:
    """A row-major array with `padding` elements of `value` on both sides of each trailing dimension."""
    if not any(padding):
        return np.ascontiguousarray(x)
    lead = x.ndim - len(padding)
    shape = (*x.shape[:lead], *(n + 2 * p for n, p in zip(x.shape[lead:], padding, strict=True)))
    out = np.full(shape, value, x.dtype)
    inside: Any = tuple(slice(p, p + n) for n, p in zip(x.shape[lead:], padding, strict=True))
    out[(..., *inside)] = x
    return out


def windows_of(x: np.ndarray, kernel: Ints, stride: Ints, dilation: Ints, out: Ints) -> np.ndarray:
    """A view (batch, channels, *kernel, *out) of a padded array (batch, channels, *spatial)."""
    steps = x.strides[2:]
    inner = tuple(s * d for s, d in zip(steps, dilation, strict=True))
    outer = tuple(s * d for s, d in zip(steps, stride, strict=True))
    shape, strides = (*x.shape[:2], *kernel, *out), (*x.strides[:2], *inner, *outer)
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


def _columns(x: np.ndarray, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints, groups: int) -> np.ndarray:
    """im2col: (batch, groups, channels of a group x kernel, pixels)."""
    n, c = x.shape[:2]
    if math.prod(kernel) == 1 and max(stride) == 1 and not any(padding):
        return np.ascontiguousarray(x).reshape(n, groups, c // groups, math.prod(out))
    view = windows_of(padded_array(x, padding), kernel, stride, dilation, out)
    return view.reshape(n, groups, c // groups * math.prod(kernel), math.prod(out))


def conv_eager(
    x: Any, w: Any, bias: Any = None, *, stride: Ints, padding: Ints, dilation: Ints, groups: int = 1
) -> Any:
    kernel = w.shape[2:]
    out: Any = result_sizes(x.shape[2:], kernel, stride, padding, dilation)
    _refuse(x, w, builtins.min(out, default=0) < 1 or x.shape[1] != w.shape[1] * groups or w.shape[0] % groups)
    if x.dtype != w.dtype or (bias is not None and (bias.shape != w.shape[:1] or bias.dtype != x.dtype)):
        raise TypeError("operands of one dtype and a fitting bias expected")
    cols = _columns(x, kernel, stride, padding, dilation, out, groups)
    made = np.matmul(w.reshape(groups, w.shape[0] // groups, -1), cols).reshape(x.shape[0], w.shape[0], *out)
    if bias is not None:
        made += bias.reshape(-1, *(1,) * len(out))
    return made


def _refuse(x: Any, w: Any, wrong: Any) -> None:
    if wrong or x.dtype.kind in "biu" or w.dtype.kind in "biu":
        raise TypeError("floating arrays that fit expected")


def padded(x: Any, padding: Sequence[tuple[Size, Size]], value: bool | int | float = 0) -> Any:
    """`x` with elements of `value` before and after each trailing dimension; negative numbers cut off."""
    lead = x.ndim - len(padding)
    for dim, (low, high) in enumerate(padding, lead):
        cut = [builtins.max(-n, 0) if isinstance(n, int) else 0 for n in (low, high)]
        if cut != [0, 0]:
            x = slice_(x, dim=dim, start=cut[0], stop=x.shape[dim] - cut[1], step=1)
        wanted = x.shape[dim] + (0 if cut[0] else low) + (0 if cut[1] else high)
        sides = [sizes.maximum(low, 0), sizes.maximum(high, 0)]
        shape = tuple(x.shape)
        ends = [None if layout.is_zero(n) else filled(x, (*shape[:dim], n, *shape[dim + 1 :]), value) for n in sides]
        parts = [p for p in (ends[0], x, ends[1]) if p is not None]
        x = cat(*parts, dim=dim) if len(parts) > 1 else x
        if not layout.same(x.shape[dim], wanted):  # a symbolic size behind it that may be negative
            x = slice_(x, dim=dim, start=0, stop=wanted, step=1)
    return x


def windows(x: Any, kernel: Sequence[Size], stride: Ints, dilation: Ints, out: Sequence[Size]) -> Any:
    """The view (batch, channels, *kernel, *out) of padded `x`, as an op call."""
    x = contiguous(x)
    steps = [numel(x.shape[d + 1 :]) for d in range(x.ndim)]
    inner = tuple(s * d for s, d in zip(steps[2:], dilation, strict=True))
    outer = tuple(s * d for s, d in zip(steps[2:], stride, strict=True))
    return as_strided(x, shape=(*x.shape[:2], *kernel, *out), strides=(*steps[:2], *inner, *outer), offset=0)


def _as_rows(x: Any, w: Any, stride: Ints, dilation: Ints, groups: int) -> Any:
    """The convolution of padded `x` by `w`, as ops."""
    from .conv_steps import conv_rows

    matrix = reshape(w, (w.shape[0], numel(w.shape[1:])))
    return _examples_first(conv_rows(x, matrix, kernel=tuple(w.shape[2:]), stride=stride, dilation=dilation, groups=groups))


def _examples_first(rows: Any) -> Any:
    """(channels, examples, *pixels) as (examples, channels, *pixels)."""
    c, n, *pixels = rows.shape
    return reshape(rows, (1, c, *pixels)) if layout.is_one(n) else permute(rows, dims=(1, 0, *range(2, rows.ndim)))


def _conv_decompose(
    x: Any, w: Any, bias: Any = None, *, stride: Ints, padding: Ints, dilation: Ints, groups: int = 1
) -> Any:
    to = x.dtype
    x, w = converted(x, wide(to)), converted(w, wide(to))
    made = _as_rows(padded(x, [(p, p) for p in padding]), w, stride, dilation, groups)
    if bias is not None:
        made = add(made, reshape(converted(bias, made.dtype), (w.shape[0], *(1,) * len(stride))))
    return converted(made, to)


def _conv_grad(g: Any, need: Any, out: Any, x: Any, w: Any, bias: Any = None, **attrs: Any) -> tuple[Any, ...]:
    gx = conv_input(g, w, shape=tuple(x.shape[2:]), **attrs) if need[0] else None
    gw = conv_weight(x, g, kernel=tuple(w.shape[2:]), **attrs) if need[1] else None
    if bias is None:
        return gx, gw, None
    return gx, gw, sum(g, dim=(0, *range(2, g.ndim)), keepdim=False, dtype=g.dtype) if need[2] else None


def cases(rng: np.random.Generator, dtype: Any = dtypes.float64) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    """(input, weight, attrs) of all kinds."""
    kinds: tuple[tuple[Any, ...], ...] = (
        ((2, 3, 5, 6), (4, 3, 3, 3), 1, 1, 1, 1), ((1, 4, 7, 6), (6, 2, 3, 2), 2, 1, 1, 2),
        ((2, 2, 4, 4), (3, 2, 1, 1), 1, 0, 1, 1), ((1, 2, 8, 7), (2, 1, 2, 3), (3, 2), (2, 0), (2, 1), 2),
        ((2, 3, 9), (4, 3, 4), 2, 3, 1, 1), ((1, 1, 4), (1, 1, 4), 1, 0, 1, 1),
        ((1, 2, 3, 4, 3), (2, 2, 2, 2, 1), 1, (1, 0, 1), 1, 1), ((0, 2, 4, 4), (3, 2, 3, 3), 1, 1, 1, 1),
    )  # fmt: skip
    for shape, weight, *rest in kinds:
        n = len(shape) - 2
        stride, padding, dilation = (v if isinstance(v, tuple) else (v,) * n for v in rest[:3])
        attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": rest[3]}
        yield floats(rng, shape, dtype), floats(rng, weight, dtype), attrs


def _plain(n: int = 2, **other: Any) -> dict[str, Any]:
    return {"stride": (1,) * n, "padding": (0,) * n, "dilation": (1,) * n, "groups": 1, **other}


def _conv_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for k, (x, w, attrs) in enumerate(cases(rng)):
        bias = floats(rng, w.shape[:1], dtypes.float64) if k % 2 else None
        yield Sample((x, w, bias), attrs)
    for dtype in dtypes.FLOATING:
        yield Sample((floats(rng, (2, 3, 4, 5), dtype), floats(rng, (2, 3, 2, 3), dtype), floats(rng, (2,), dtype)), _plain())
    x, w = floats(rng, (2, 5, 6, 3), dtypes.float64).transpose(0, 3, 1, 2), floats(rng, (2, 4, 3, 3), dtypes.float64)
    yield Sample((x, w.transpose(0, 3, 1, 2)[..., :2], None), _plain(padding=(1, 1)), note="transposed")
    yield Sample((x[..., ::2], w[:, 1:], None), _plain(), note="strided")
    x, w = floats(rng, (1, 2, 3, 3)), floats(rng, (2, 2, 2, 2))
    yield Sample((x, w[:, :1], None), _plain(), raises=ShapeError)
    yield Sample((x, floats(rng, (2, 2, 4, 4)), None), _plain(), raises=ShapeError)
    yield Sample((x, w, floats(rng, (3,))), _plain(), raises=ShapeError)
    yield Sample((x, w.astype(np.float64), None), _plain(), raises=DTypeError)
    yield Sample((x.astype(np.uint8), w.astype(np.uint8), None), _plain(), raises=DTypeError)


#: y[n,o,p] = sum over c and k of x[n,c,p*stride+k*dilation-padding] * w[o,c,k], plus bias[o] (may be None).
convolution: Op = register(Op(
    "convolution", (), _conv_infer, conv_eager, _conv_grad, Decompose(_conv_decompose), _conv_samples, tolerance=LOOSE,
    autocast="low", heavy=True,
))  # fmt: skip


# -- its adjoint in the input: a transposed convolution


def _input_infer(
    y: TensorType, w: TensorType, *, shape: tuple[Size, ...], stride: Ints, padding: Ints, dilation: Ints, groups: int = 1
) -> tuple[TensorType]:
    check_attrs("conv_input", (y, w), stride, padding, dilation, groups)
    got = layout.describe(y, w)
    check_channels("conv_input", got, w.shape[1] * groups, w.shape[0], w.shape[1], groups)
    if not layout.same(y.shape[1], w.shape[0]):
        raise ShapeError(f"conv_input: {y.shape[1]} channels against a weight for {w.shape[0]}: got {got}")
    check_result("conv_input", got, shape, w.shape[2:], y.shape[2:], (stride, padding, dilation))
    return (tensor((y.shape[0], w.shape[1] * groups, *shape), y.dtype),)


def _input_eager(y: Any, w: Any, *, shape: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int = 1) -> Any:
    kernel, out = w.shape[2:], y.shape[2:]
    _refuse(y, w, out != result_sizes(shape, kernel, stride, padding, dilation) or y.shape[1] != w.shape[0] or y.dtype != w.dtype)
    n, inside = y.shape[0], w.shape[1]
    rows = w.reshape(groups, w.shape[0] // groups, -1).swapaxes(1, 2)
    cols = np.matmul(rows, np.ascontiguousarray(y).reshape(n, groups, w.shape[0] // groups, math.prod(out)))
    if math.prod(kernel) == 1 and max(stride) == 1 and not any(padding):
        return cols.reshape(n, groups * inside, *shape)
    cols = cols.reshape(n, groups * inside, *kernel, *out)
    made = np.zeros((n, groups * inside, *(s + 2 * p for s, p in zip(shape, padding, strict=True))), y.dtype)
    for tap in np.ndindex(*kernel):
        each = zip(tap, dilation, stride, out, strict=True)
        places: Any = tuple(slice(k * d, k * d + s * (m - 1) + 1, s) for k, d, s, m in each)
        made[(..., *places)] += cols[(slice(None), slice(None), *tap)]
    box: Any = tuple(slice(p, p + s) for p, s in zip(padding, shape, strict=True))
    return np.ascontiguousarray(made[(..., *box)])


def spread_out(y: Any, stride: Ints) -> Any:
    """`y` with stride - 1 zeros behind each element of its trailing dimensions, but for the last."""
    for dim, s in enumerate(stride, y.ndim - len(stride)):
        if s > 1:
            shape = tuple(y.shape)
            gaps = filled(y, (*shape[: dim + 1], s - 1, *shape[dim + 1 :]), 0)
            joined = cat(reshape(y, (*shape[: dim + 1], 1, *shape[dim + 1 :])), gaps, dim=dim + 1)
            joined = reshape(joined, (*shape[:dim], shape[dim] * s, *shape[dim + 1 :]))
            y = slice_(joined, dim=dim, start=0, stop=shape[dim] * s - (s - 1), step=1)
    return y


def turned_weight(w: Any, groups: int) -> Any:
    """Weight (out, in of a group, *kernel) as (in, out of a group, *kernel) with the kernel reversed."""
    kernel = w.shape[2:]
    w = swap_channels(w, groups)
    for dim, n in enumerate(kernel, 2):
        if not isinstance(n, int):
            raise ShapeError(f"conv_input: a kernel of symbolic size {n} cannot be reversed")
        if n > 1:
            w = cat(*(slice_(w, dim=dim, start=k, stop=k + 1, step=1) for k in reversed(range(n))), dim=dim)
    return w


def swap_channels(w: Any, groups: int) -> Any:
    """Weight (groups * a, b, *kernel) as (groups * b, a, *kernel)."""
    a, b, kernel = sizes.floordiv(w.shape[0], groups), w.shape[1], tuple(w.shape[2:])
    split = permute(reshape(w, (groups, a, b, *kernel)), dims=(0, 2, 1, *range(3, w.ndim + 1)))
    return reshape(split, (groups * b, a, *kernel))


def _input_decompose(
    y: Any, w: Any, *, shape: tuple[Size, ...], stride: Ints, padding: Ints, dilation: Ints, groups: int = 1
) -> Any:
    """With a stride a product whose columns are added up by `conv_fold`; else, and in groups, a convolution by the kernel
    read backwards, with zeros between the pixels."""
    from .conv_steps import conv_fold, conv_rows

    to = y.dtype
    y, w = converted(y, wide(to)), converted(w, wide(to))
    out = tuple(y.shape[2:])
    if groups == 1 and max(stride) > 1:
        pixels = reshape(permute(y, dims=(0, *range(2, y.ndim), 1)), (y.shape[0] * numel(out), y.shape[1]))
        columns = matmul(pixels, reshape(w, (w.shape[0], numel(w.shape[1:]))))
        columns = reshape(columns, (y.shape[0], numel(out), columns.shape[1]))
        made = conv_fold(columns, shape=shape, kernel=tuple(w.shape[2:]), stride=stride, padding=padding, dilation=dilation)
        return converted(made, to)
    edges = []
    for n, k, m, s, p, d in zip(shape, w.shape[2:], y.shape[2:], stride, padding, dilation, strict=True):
        low = d * (k - 1) - p
        edges.append((low, n + d * (k - 1) - low - ((m - 1) * s + 1)))
    one = (1,) * len(stride)
    matrix = reshape(w, (w.shape[0], numel(w.shape[1:])))
    made = conv_rows(padded(spread_out(y, stride), edges), matrix, kernel=tuple(w.shape[2:]), stride=one, dilation=dilation,
                     groups=groups, turned=True)  # fmt: skip
    return converted(_examples_first(made), to)


def _input_grad(
    g: Any, need: Any, out: Any, y: Any, w: Any, *, shape: Any, **attrs: Any
) -> tuple[Any, ...]:
    gy = convolution(g, w, None, **attrs) if need[0] else None
    return gy, conv_weight(g, y, kernel=tuple(w.shape[2:]), **attrs) if need[1] else None


def _result_of(x: Any, w: Any, attrs: dict[str, Any]) -> Ints:
    spatial = result_sizes(x.shape[2:], w.shape[2:], attrs["stride"], attrs["padding"], attrs["dilation"])
    return (x.shape[0], w.shape[0], *spatial)  # type: ignore[return-value]


def _input_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for x, w, attrs in cases(rng):
        yield Sample((floats(rng, _result_of(x, w, attrs), dtypes.float64), w), {"shape": x.shape[2:], **attrs})
    for dtype in dtypes.FLOATING:
        y, w = floats(rng, (1, 2, 3, 4), dtype), floats(rng, (2, 3, 2, 3), dtype)
        yield Sample((y, w), _plain(shape=(4, 6)))
    y, w = floats(rng, (1, 4, 3, 2)).transpose(0, 3, 1, 2), floats(rng, (2, 3, 2, 2))
    yield Sample((y, w), _plain(shape=(5, 4)), note="transposed")
    yield Sample((y, w), _plain(shape=(5, 5)), raises=ShapeError)
    yield Sample((y[:, :1], w), _plain(shape=(5, 4)), raises=ShapeError)
    yield Sample((y, w.astype(np.float64)), _plain(shape=(5, 4)), raises=DTypeError)
    yield Sample((y.astype(np.int64), w.astype(np.int64)), _plain(shape=(5, 4)), raises=DTypeError)


#: The gradient of `convolution` in its input, whose spatial sizes are attr `shape`; y has the result's shape.
conv_input: Op = register(Op(
    "conv_input", (), _input_infer, _input_eager, _input_grad, Decompose(_input_decompose), _input_samples, tolerance=LOOSE,
    autocast="low", heavy=True,
))  # fmt: skip


# -- its adjoint in the weight


def _weight_infer(
    x: TensorType, y: TensorType, *, kernel: tuple[Size, ...], stride: Ints, padding: Ints, dilation: Ints, groups: int = 1
) -> tuple[TensorType]:
    check_attrs("conv_weight", (x, y), stride, padding, dilation, groups)
    got = layout.describe(x, y)
    inside = sizes.floordiv(x.shape[1], groups)
    check_channels("conv_weight", got, x.shape[1], y.shape[1], inside, groups)
    if not layout.same(x.shape[0], y.shape[0]):
        raise ShapeError(f"conv_weight: batches of {x.shape[0]} and {y.shape[0]}: got {got}")
    check_result("conv_weight", got, x.shape[2:], kernel, y.shape[2:], (stride, padding, dilation))
    return (tensor((y.shape[1], inside, *kernel), x.dtype),)


def weight_eager(x: Any, y: Any, *, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, groups: int = 1) -> Any:
    out = y.shape[2:]
    wrong = out != result_sizes(x.shape[2:], kernel, stride, padding, dilation) or x.shape[0] != y.shape[0]
    _refuse(x, y, wrong or x.dtype != y.dtype)
    n, c, o, pixels = x.shape[0], x.shape[1] // groups, y.shape[1] // groups, math.prod(out)
    view = windows_of(padded_array(x, padding), kernel, stride, dilation, out)
    rank = len(kernel)
    cols = view.transpose(1, *range(2, 2 + rank), 0, *range(2 + rank, 2 + 2 * rank))
    cols = cols.reshape(groups, c * math.prod(kernel), n * pixels)
    rows = y.reshape(n, groups, o, pixels).transpose(1, 2, 0, 3).reshape(groups, o, n * pixels)
    return np.matmul(rows, cols.swapaxes(1, 2), order="C").reshape(groups * o, c, *kernel)


def _weight_decompose(
    x: Any, y: Any, *, kernel: tuple[Size, ...], stride: Ints, padding: Ints, dilation: Ints, groups: int = 1
) -> Any:
    to = x.dtype
    x, y = converted(x, wide(to)), converted(y, wide(to))
    from .conv_steps import conv_taps

    o, out = y.shape[1], tuple(y.shape[2:])
    matrix = reshape(permute(y, dims=(1, 0, *range(2, y.ndim))), (o, y.shape[0] * numel(out)))
    x = padded(x, [(p, p) for p in padding])
    made = conv_taps(x, matrix, shape=out, kernel=kernel, stride=stride, dilation=dilation, groups=groups)
    return converted(made, to)


def _weight_grad(
    g: Any, need: Any, out: Any, x: Any, y: Any, *, kernel: Any, **attrs: Any
) -> tuple[Any, ...]:
    gx = conv_input(y, g, shape=tuple(x.shape[2:]), **attrs) if need[0] else None
    return gx, convolution(x, g, None, **attrs) if need[1] else None


def _weight_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for x, w, attrs in cases(rng):
        y = floats(rng, _result_of(x, w, attrs), dtypes.float64)
        yield Sample((x, y), {"kernel": w.shape[2:], **attrs})
    for dtype in dtypes.FLOATING:
        yield Sample((floats(rng, (1, 3, 4, 6), dtype), floats(rng, (1, 2, 3, 4), dtype)), _plain(kernel=(2, 3)))
    x, y = floats(rng, (2, 4, 5, 3)).transpose(0, 3, 1, 2), floats(rng, (2, 2, 3, 4))
    yield Sample((x, y), _plain(kernel=(2, 2)), note="transposed")
    yield Sample((x, y), _plain(kernel=(3, 2)), raises=ShapeError)
    yield Sample((x[:1], y), _plain(kernel=(2, 2)), raises=ShapeError)
    yield Sample((x, y.astype(np.float64)), _plain(kernel=(2, 2)), raises=DTypeError)
    yield Sample((x.astype(np.int32), y.astype(np.int32)), _plain(kernel=(2, 2)), raises=DTypeError)


#: The gradient of `convolution` in its weight, of spatial sizes `kernel`; y has the result's shape.
conv_weight: Op = register(Op(
    "conv_weight", (), _weight_infer, weight_eager, _weight_grad, Decompose(_weight_decompose), _weight_samples,
    tolerance=LOOSE, autocast="low", heavy=True,
))  # fmt: skip
