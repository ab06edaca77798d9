"""Composites that a back end may claim whole: softmax, log_softmax, layer_norm, cross_entropy.

Kernels and decompositions compute half dtypes in float32 and round once at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import DTypeError, PositionError, ShapeError
from .. import dtypes, layout
from ..op import Decompose, Effects, Op, Sample, inner_dim, register, same_attrs
from ..sizes import Size
from ..types import TensorType, numel, tensor
from .casts import cast
from .compare import eq, ne, where
from .creation import arange, filled, made_by
from .declare import CLOSE, floats
from .indexing import gather
from .pointwise import add, div, exp, log, mul, neg, rsqrt, sub
from .reductions import amax, converted, elements, folded, mean, sum, wide
from .shape import front, reshape, view


def _softmax_infer(op: str) -> Any:
    def infer(x: TensorType, *, dim: int) -> tuple[TensorType]:
        if not x.dtype.is_floating_point:
            raise DTypeError(f"{op}: needs a floating dtype, got {layout.describe(x)}; cast it first")
        if not 0 <= dim < max(x.ndim, 1):
            raise ShapeError(f"{op}: dim {dim} does not fit {layout.describe(x)}")
        return (tensor(x.shape, x.dtype),)

    return infer


def _shift_eager(x: Any, dim: int) -> Any:
    """x minus its largest element along `dim`, row-major."""
    if x.dtype.kind != "f":
        raise TypeError("floating array expected")
    if x.size == 0 or x.ndim == 0:
        return np.subtract(x, x, order="C")
    return np.subtract(x, x.max(dim, keepdims=True), order="C")


def _softmax_eager(x: Any, *, dim: int) -> Any:
    e = np.exp(_shift_eager(x, dim))
    return e / np.sum(e, dim if x.ndim else None, keepdims=True)


def _log_softmax_eager(x: Any, *, dim: int) -> Any:
    low = _shift_eager(x, dim)
    return low - np.log(np.sum(np.exp(low), dim if x.ndim else None, keepdims=True))


def _along(x: Any, dim: int) -> dict[str, Any]:
    return {"dim": (dim,) if x.ndim else (), "keepdim": True}


def _shift(x: Any, dim: int) -> Any:
    x = converted(x, wide(x.dtype))
    return sub(x, amax(x, **_along(x, dim)))


def _softmax_decompose(x: Any, *, dim: int) -> Any:
    if layout.is_zero(numel(x.shape)):
        return mul(x, 1)
    e = exp(_shift(x, dim))
    return converted(div(e, sum(e, **_along(x, dim))), x.dtype)


def _log_softmax_decompose(x: Any, *, dim: int) -> Any:
    if layout.is_zero(numel(x.shape)):
        return mul(x, 1)
    low = _shift(x, dim)
    return converted(sub(low, log(sum(exp(low), **_along(x, dim)))), x.dtype)


def _softmax_grad(g: Any, need: Any, out: Any, x: Any, *, dim: int) -> tuple[Any, ...]:
    g, p = (converted(v, wide(x.dtype)) for v in (g, out))
    weighted = mul(g, p)
    return (converted(sub(weighted, mul(p, sum(weighted, **_along(x, dim)))), x.dtype),)


def _log_softmax_grad(g: Any, need: Any, out: Any, x: Any, *, dim: int) -> tuple[Any, ...]:
    g, low = (converted(v, wide(x.dtype)) for v in (g, out))
    return (converted(sub(g, mul(exp(low), sum(g, **_along(x, dim)))), x.dtype),)


def _softmax_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for dtype in dtypes.FLOATING:
        yield Sample((floats(rng, (3, 5), dtype, (-9, 9)),), {"dim": 1})
    x = floats(rng, (2, 3, 4), dtypes.float64)
    for dim in (0, 1, 2):
        yield Sample((x.transpose(2, 0, 1),), {"dim": dim}, note="transposed")
    yield Sample((x[:, ::2],), {"dim": 1}, note="strided")
    yield Sample((floats(rng, (2, 3)) + np.float32(1e4),), {"dim": 1}, note="no overflow")
    yield Sample((floats(rng, ()),), {"dim": 0}, note="0-d")
    yield Sample((floats(rng, (0, 3)),), {"dim": 1}, note="empty")
    yield Sample((floats(rng, (3, 0)),), {"dim": 1}, note="nothing along dim")
    yield Sample((floats(rng, (3,), dtypes.int64),), {"dim": 0}, raises=DTypeError)
    yield Sample((floats(rng, (3,)),), {"dim": 1}, raises=ShapeError)


def _normaliser(name: str, eager: Any, grad: Any, decompose: Any) -> Op:
    op = Op(
        name, (), _softmax_infer(name), eager, grad, Decompose(decompose), _softmax_samples, tolerance=CLOSE, autocast="f32 gpu",
        batch=lambda dims, x, *, dim: _normaliser_batch(op, front(x, dims[0]), dim), heavy=True, members=inner_dim,
    )  # fmt: skip
    return register(op)


def _normaliser_batch(op: Op, x: Any, dim: int) -> Any:
    return op(x, dim=dim + 1) if x.ndim > 1 else reshape(op(reshape(x, (x.shape[0], 1)), dim=1), (x.shape[0],))


#: exp(x) over its sum along `dim`, shifted so that nothing overflows. Public (with dtype): eager/functional.py.
softmax = _normaliser("softmax", _softmax_eager, _softmax_grad, _softmax_decompose)
#: Logarithm of softmax. Public (with dtype): eager/functional.py.
log_softmax = _normaliser("log_softmax", _log_softmax_eager, _log_softmax_grad, _log_softmax_decompose)


def _layer_norm_infer(x: TensorType, weight: Any, bias: Any, *, normalized_shape: tuple[Size, ...], eps: float = 1e-5) -> Any:
    k = len(normalized_shape)
    named = [t for t in (x, weight, bias) if t is not None]
    if k == 0 or k > x.ndim or not layout.same_shape(x.shape[x.ndim - k :], normalized_shape):
        raise ShapeError(f"layer_norm: {layout.describe(*named)} does not end in the normalized shape {list(normalized_shape)}")
    for t in named[1:]:
        if not layout.same_shape(t.shape, normalized_shape):
            raise ShapeError(f"layer_norm: {layout.describe(*named)}: weight and bias must have shape {list(normalized_shape)}")
    known = (x.dtype, dtypes.float32) if x.dtype.is_half else (x.dtype,)
    if not x.dtype.is_floating_point or any(t.dtype is not named[1].dtype or t.dtype not in known for t in named[1:]):
        raise DTypeError(f"layer_norm: operands must share one floating dtype (weights of half inputs may be float32), got "
                         f"{layout.describe(*named)}")  # fmt: skip
    return (tensor(x.shape, x.dtype),)


def _last(x: Any, normalized_shape: Any) -> tuple[int, ...]:
    return tuple(range(x.ndim - len(normalized_shape), x.ndim))


def _layer_norm_eager(x: Any, weight: Any, bias: Any, *, normalized_shape: Any, eps: float = 1e-5) -> Any:
    if x.dtype.kind != "f" or x.shape[x.ndim - len(normalized_shape) :] != tuple(normalized_shape):
        raise TypeError("floating array that ends in the normalized shape expected")
    dim = _last(x, normalized_shape)
    n = x.dtype.type(math.prod(normalized_shape))
    away = np.subtract(x, folded(np.add, x, dim, None, True) / n, order="C")
    out = away / np.sqrt(folded(np.add, away * away, dim, None, True) / n + x.dtype.type(eps))
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def _normalised(x: Any, normalized_shape: Any, eps: float) -> tuple[Any, Any]:
    """x with mean 0 and variance 1 over the last dimensions, and the factor it was scaled by."""
    dim = _last(x, normalized_shape)
    away = sub(x, mean(x, dim=dim, keepdim=True))
    scale = rsqrt(add(mean(mul(away, away), dim=dim, keepdim=True), eps))
    return mul(away, scale), scale


def _layer_norm_decompose(x: Any, weight: Any, bias: Any, *, normalized_shape: Any, eps: float = 1e-5) -> Any:
    out, _ = _normalised(converted(x, wide(x.dtype)), normalized_shape, eps)
    out = out if weight is None else mul(out, converted(weight, out.dtype))
    out = out if bias is None else add(out, converted(bias, out.dtype))
    return converted(out, x.dtype)


def _layer_norm_grad(
    g: Any, need: Any, out: Any, x: Any, weight: Any, bias: Any, *, normalized_shape: Any, eps: float = 1e-5
) -> tuple[Any, ...]:
    dtype, gx, gw = x.dtype, None, None
    g = converted(g, wide(dtype))
    if need[0] or need[1]:
        unit, scale = _normalised(converted(x, wide(dtype)), normalized_shape, eps)
        gw = converted(mul(g, unit), weight.dtype) if need[1] else None
    if need[0]:
        dim = _last(x, normalized_shape)
        inner = g if weight is None else mul(g, converted(weight, g.dtype))
        along = mul(unit, mean(mul(inner, unit), dim=dim, keepdim=True))
        gx = converted(mul(scale, sub(sub(inner, mean(inner, dim=dim, keepdim=True)), along)), dtype)
    return gx, gw, converted(g, bias.dtype) if need[2] else None


def _layer_norm_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for dtype in dtypes.FLOATING:
        yield Sample((floats(rng, (3, 8), dtype), floats(rng, (8,), dtype), floats(rng, (8,), dtype)), {"normalized_shape": (8,)})
    yield Sample((floats(rng, (3, 8), dtypes.bfloat16), *(floats(rng, (8,), dtypes.float32) for _ in range(2))),
                 {"normalized_shape": (8,)}, note="mixed")  # fmt: skip
    x, w = floats(rng, (2, 3, 4), dtypes.float64), floats(rng, (3, 4), dtypes.float64)
    yield Sample((x, w, None), {"normalized_shape": (3, 4), "eps": 1e-3})
    yield Sample((x, None, None), {"normalized_shape": (4,)})
    yield Sample((x.transpose(0, 2, 1), None, w[:, 0]), {"normalized_shape": (3,)}, note="transposed")
    yield Sample((floats(rng, (0, 3)), None, None), {"normalized_shape": (3,)})
    yield Sample((x, None, None), {"normalized_shape": (3,)}, raises=ShapeError)
    yield Sample((x, w[0, :2], None), {"normalized_shape": (4,)}, raises=ShapeError)
    yield Sample((x.astype(np.int64), None, None), {"normalized_shape": (4,)}, raises=DTypeError)


def _layer_norm_batch(dims: Any, x: Any, weight: Any, bias: Any, *, normalized_shape: Any, eps: float = 1e-5) -> Any:
    x = front(x, dims[0]) if dims[0] is not None else reshape(x, (1, *x.shape))
    k = len(normalized_shape)
    out = layer_norm(x, None if dims[1] is not None else weight, None, normalized_shape=normalized_shape, eps=eps)
    for operand, d, op in ((weight if dims[1] is not None else None, dims[1], mul), (bias, dims[2], add)):
        if operand is not None and d is not None:
            operand = front(operand, d)
            operand = reshape(operand, (operand.shape[0], *(1,) * (x.ndim - 1 - k), *normalized_shape))
        out = out if operand is None else converted(op(out, operand), x.dtype)
    return out


#: (x - mean) / sqrt(variance + eps) over the last dimensions, times weight, plus bias (each may be None).
layer_norm: Op = register(Op(
    "layer_norm",
    ("layer_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-05)",),
    _layer_norm_infer, _layer_norm_eager, _layer_norm_grad, Decompose(_layer_norm_decompose), _layer_norm_samples,
    tolerance=CLOSE, autocast="f32 gpu", batch=_layer_norm_batch, heavy=True, members=same_attrs,
))  # fmt: skip


def _rms_norm_infer(x: TensorType, weight: Any, *, normalized_shape: tuple[Size, ...], eps: float = 1e-6) -> Any:
    return _layer_norm_infer(x, weight, None, normalized_shape=normalized_shape, eps=eps)


def _rms_norm_eager(x: Any, weight: Any, *, normalized_shape: Any, eps: float = 1e-6) -> Any:
    if x.dtype.kind != "f" or x.shape[x.ndim - len(normalized_shape) :] != tuple(normalized_shape):
        raise TypeError("floating array that ends in the normalized shape expected")
    n = x.dtype.type(math.prod(normalized_shape))
    scale = np.sqrt(folded(np.add, x * x, _last(x, normalized_shape), None, True) / n + x.dtype.type(eps))
    out = np.divide(x, scale, order="C")
    return out if weight is None else np.multiply(out, weight, order="C")


def _rms_normalised(x: Any, normalized_shape: Any, eps: float) -> tuple[Any, Any]:
    """x with a mean square of 1 over the last dimensions, and the factor it was scaled by."""
    scale = rsqrt(add(mean(mul(x, x), dim=_last(x, normalized_shape), keepdim=True), eps))
    return mul(x, scale), scale


def _rms_norm_decompose(x: Any, weight: Any, *, normalized_shape: Any, eps: float = 1e-6) -> Any:
    out, _ = _rms_normalised(converted(x, wide(x.dtype)), normalized_shape, eps)
    return converted(out if weight is None else mul(out, converted(weight, out.dtype)), x.dtype)


def _rms_norm_grad(
    g: Any, need: Any, out: Any, x: Any, weight: Any, *, normalized_shape: Any, eps: float = 1e-6
) -> tuple[Any, ...]:  # fmt: skip
    dtype, gx, gw = x.dtype, None, None
    g = converted(g, wide(dtype))
    unit, scale = _rms_normalised(converted(x, wide(dtype)), normalized_shape, eps)
    if need[0]:
        inner = g if weight is None else mul(g, converted(weight, g.dtype))
        along = mul(unit, mean(mul(inner, unit), dim=_last(x, normalized_shape), keepdim=True))
        gx = converted(mul(scale, sub(inner, along)), dtype)
    if need[1]:
        gw = converted(mul(g, unit), weight.dtype)
    return gx, gw


def _rms_norm_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _layer_norm_samples(rng):
        x, weight, bias = sample.operands
        if bias is None or sample.raises is None:
            yield Sample((x, weight), sample.attrs, sample.raises, sample.note)


#: x / sqrt(mean of squares + eps) over the last dimensions, times weight (may be None). Public: eager/neural.py.
rms_norm: Op = register(Op(
    "rms_norm", (), _rms_norm_infer, _rms_norm_eager, _rms_norm_grad, Decompose(_rms_norm_decompose), _rms_norm_samples,
    tolerance=CLOSE, autocast="f32 gpu", heavy=True,
))  # fmt: skip


# -- cross entropy: logits [C], [N, C] or [N, C, d1, ...] against int64 targets without the class dimension


def _loss_infer(
    x: TensorType, target: TensorType, *, reduction: str = "mean", ignore_index: int = -100, label_smoothing: float = 0.0
) -> tuple[TensorType]:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"cross_entropy: reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    if not x.dtype.is_floating_point or target.dtype is not dtypes.int64:
        raise DTypeError(f"cross_entropy: floating logits and int64 targets expected, got {layout.describe(x, target)}")
    dim = _class_dim(x)
    if x.ndim == 0 or not layout.same_shape(target.shape, (*x.shape[:dim], *x.shape[dim + 1 :])):
        got = layout.describe(x, target)
        raise ShapeError(f"cross_entropy: targets must have the shape of the logits without dim {dim}, got {got}")
    return (tensor(target.shape if reduction == "none" else (), x.dtype),)


def _class_dim(x: Any) -> int:
    return 0 if x.ndim == 1 else 1


def _loss_eager(
    x: Any, target: Any, *, reduction: str = "mean", ignore_index: int = -100, label_smoothing: float = 0.0
) -> Any:
    dim = _class_dim(x)
    classes = x.shape[dim]
    if x.dtype.kind != "f" or target.shape != (*x.shape[:dim], *x.shape[dim + 1 :]) or reduction not in ("mean", "sum", "none"):
        raise TypeError("floating logits and fitting targets expected")
    valid = target != ignore_index
    bad = valid & ((target < 0) | (target >= classes))
    if bad.any():
        raise PositionError(f"Target {target[bad].flat[0]} is out of bounds.")
    low = _log_softmax_eager(x, dim=dim)
    picked = np.take_along_axis(low, np.expand_dims(np.where(valid, target, 0), dim), dim).squeeze(dim)
    if label_smoothing:
        picked = (1 - label_smoothing) * picked + label_smoothing / classes * low.sum(dim)
    loss = np.where(valid, -picked, 0).astype(x.dtype)
    if reduction == "none":
        return np.asarray(loss, order="C")
    total = loss.sum()
    return np.asarray(total / x.dtype.type(np.count_nonzero(valid)) if reduction == "mean" else total)


def _loss_decompose(
    x: Any, target: Any, *, reduction: str = "mean", ignore_index: int = -100, label_smoothing: float = 0.0
) -> Any:
    dim = _class_dim(x)
    valid = ne(target, ignore_index)
    low = log_softmax(converted(x, wide(x.dtype)), dim=dim)
    place = reshape(where(valid, target, 0), _with_class(target, dim))
    picked = reshape(gather(low, place, dim=dim), tuple(target.shape))
    if label_smoothing:
        spread = mul(div(sum(low, dim=(dim,), keepdim=False), elements(low, (dim,), low)), label_smoothing)
        picked = add(mul(picked, 1 - label_smoothing), spread)
    loss = where(valid, neg(picked), 0.0)
    every = tuple(range(target.ndim))
    if reduction != "none":
        loss = sum(loss, dim=every, keepdim=False)
    if reduction == "mean":
        loss = div(loss, sum(cast(valid, dtype=loss.dtype), dim=every, keepdim=False))
    return converted(loss, x.dtype)


def _with_class(target: Any, dim: int) -> tuple[Size, ...]:
    """The shape of `target` with a class dimension of size 1."""
    return (*target.shape[:dim], 1, *target.shape[dim:])


def _loss_grad(
    g: Any, need: Any, out: Any, x: Any, target: Any, *, reduction: str = "mean", ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> tuple[Any, ...]:  # fmt: skip
    """softmax - one_hot, with the classes compared and not scattered; zero where the target is ignored."""
    dim, dtype = _class_dim(x), wide(x.dtype)
    g = converted(g, dtype)
    valid = ne(target, ignore_index)
    if reduction == "mean":
        g = div(g, sum(cast(valid, dtype=dtype), dim=tuple(range(target.ndim)), keepdim=False))
    g = where(valid, g, 0.0)
    classes = made_by(x, arange, start=0, step=1, length=x.shape[dim], dtype=dtypes.int64)
    classes = view(classes, shape=(x.shape[dim], *(1,) * (x.ndim - dim - 1)))
    hot = cast(eq(reshape(target, _with_class(target, dim)), classes), dtype=dtype)
    if label_smoothing:
        hot = add(mul(hot, 1 - label_smoothing), div(filled(hot, (), label_smoothing), elements(x, (dim,), hot)))
    away = sub(softmax(converted(x, dtype), dim=dim), hot)
    return converted(mul(away, reshape(g, _with_class(target, dim))), x.dtype), None


def _loss_samples(rng: np.random.Generator) -> Iterator[Sample]:
    def case(shape: tuple[int, ...], dtype: Any = dtypes.float64) -> tuple[Any, Any]:
        dim = 0 if len(shape) == 1 else 1
        return floats(rng, shape, dtype), np.asarray(rng.integers(0, shape[dim], (*shape[:dim], *shape[dim + 1 :])))

    for dtype in dtypes.FLOATING:
        yield Sample(case((5, 7), dtype))
    for reduction in ("mean", "sum", "none"):
        yield Sample(case((4, 3)), {"reduction": reduction})
        yield Sample(case((2, 3, 4)), {"reduction": reduction, "label_smoothing": 0.1})
        yield Sample(case((6,)), {"reduction": reduction})
        x, t = case((4, 3))
        yield Sample((x, np.where(np.arange(4) % 2, -100, t)), {"reduction": reduction, "label_smoothing": 0.2}, note="ignored")
        yield Sample((x, t), {"reduction": reduction, "ignore_index": int(t[0])}, note="ignored")
    yield Sample(case((0, 3)), {"reduction": "none"}, note="empty")
    x, t = case((4, 3))
    yield Sample((x, np.repeat(t, 2)[::2]), note="strided")
    yield Sample((floats(rng, (3, 4), dtypes.float64).T, t), note="transposed")
    yield Sample((x, np.array([0, 1, 7, 2])), raises=PositionError, note="Target 7 is out of bounds.")
    yield Sample((x, np.array([0, 1, -1, 2])), raises=PositionError)
    yield Sample((x, t[:3]), raises=ShapeError)
    yield Sample((x, t.astype(np.int32)), raises=DTypeError)
    yield Sample((x, t), {"reduction": "max"}, raises=ValueError)


#: Minus the log-probability of the target class. Public (class weights, probabilities): eager/functional.py.
cross_entropy: Op = register(Op(
    "cross_entropy", (), _loss_infer, _loss_eager, _loss_grad, Decompose(_loss_decompose), _loss_samples, tolerance=CLOSE,
    autocast="f32 gpu", effects=Effects(raises=(PositionError,)), heavy=True,
))  # fmt: skip
