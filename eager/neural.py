"""Functions of neural networks over the composite records: activations along a dimension, normalisation, dropout, losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import knobs
from ..errors import DTypeError, ShapeError
from ..ir import layout
from ..ir.dtypes import DType, float16
from ..ir.ops import attention, composites, pointwise
from ..ir.ops import linear as linears
from ..ir.ops import random as draws
from ..ir.ops.compare import eq, ne, where
from ..ir.types import tensor as tensor_type
from . import casting, notices
from . import generated as g
from .arguments import to_dtype, wrap_dim
from .constraints import within
from .executor import apply
from .functional import matmul, reshape, t, unsqueeze
from .outputs import finished, matched
from .pure import pure
from .random import Generator, beside
from .reducing import norm
from .served import served

if TYPE_CHECKING:
    from .tensor import Tensor

_NONE: dict[str, Any] = {}


def _is_plain(x: Any, w: Any, b: Any) -> bool:
    """Whether a linear map is one call of its record: an eager one of rows, nothing of which is cast, and none of half numbers,
    which are rounded behind the product. Captures hold its parts."""
    try:
        if x._array is None or w._array is None or casting.on:
            return False
        (*_, columns), dtype, (rows, width) = x.meta.shape, x.meta.dtype, w.meta.shape
        if len(x.meta.shape) < 2 or columns != width or w.meta.dtype is not dtype or dtype.kind == "b" or dtype.is_half:
            return False
        return b is None or (b._array is not None and b.meta.dtype is dtype and b.meta.shape == (rows,))
    except (AttributeError, ValueError):
        return False


@pure
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``; `weight` is (out features, in features)."""
    if _is_plain(input, weight, bias):
        return apply(linears.linear, (input, weight, bias), _NONE)  # type: ignore[no-any-return]
    result = matmul(input, t(weight))
    if casting.on:
        (bias,) = casting.low(bias)
    return result if bias is None else apply(pointwise.add, (result, bias), _NONE)


@pure
def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None, *, out: Any = None) -> Tensor:
    """Exponentials that sum to 1 along `dim`."""
    return _along(composites.softmax, input, dim, dtype, out)


@pure
def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None, *, out: Any = None
) -> Tensor:
    """Logarithm of `softmax`."""
    return _along(composites.log_softmax, input, dim, dtype, out)


def _along(op: Any, input: Tensor, dim: int | None, dtype: Any, out: Any = None) -> Tensor:
    wanted = to_dtype(dtype)
    if wanted is not None and wanted is not input.dtype:
        input = input.to(wanted)
    if dim is None:  # PyTorch's implicit choice
        notices.implicit_dim(op.name)
        dim = 0 if input.ndim in (0, 1, 3) else 1
    made: Tensor = apply(op, (input,), {"dim": wrap_dim(dim, input.ndim)})
    return made if out is None else matched(made, out)  # type: ignore[no-any-return]


def dropout(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """In training, each element zero with probability `p`, else divided by ``1 - p``."""
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0.0:
        return input
    source = beside(input, generator)
    state = source.draw(draws.dropout.effects.draws(input.meta.type))  # type: ignore[misc]
    out: Tensor = apply(draws.dropout, (input, state), {"p": float(p)})
    return input.copy_(out) if inplace else out


@pure
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(x, 0)``."""
    return input.relu_() if inplace else g.relu(input)


@pure
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * sigmoid(x)``."""
    return input.silu_() if inplace else g.silu(input)


@served
@pure
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where positive, else `negative_slope` times x."""
    if not input.dtype.is_floating_point:
        raise DTypeError(f"leaky_relu: not defined for {input.dtype.name} (got {input.dtype.name}{list(input.shape)})")
    out: Tensor = where(input > 0, input, input * negative_slope)
    return input.copy_(out) if inplace else out


def _epsilon(dtype: DType) -> float:
    """The distance from 1 to the next number of the dtype that is computed with, f32 for the half types; 0 for integral
    dtypes, which the op refuses."""
    return {"f64": 2.0**-52}.get(dtype.short, 2.0**-23 if dtype.kind == "f" else 0.0)


@pure
def rms_norm(input: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """``x / sqrt(mean(x * x) + eps) * weight`` over the last dimensions; `eps` is by default that of the dtype computed with."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    least = _epsilon(input.dtype) if eps is None else eps
    attrs = {"normalized_shape": shape, "eps": float(least)}
    return apply(composites.rms_norm, (input, weight), attrs)  # type: ignore[no-any-return]


def _named(reduction: str, size_average: Any, reduce: Any) -> str:
    """The reduction that the older arguments name, where they are given."""
    if size_average is None and reduce is None:
        return reduction
    named = "none" if reduce is False else "sum" if size_average is False else "mean"
    notices.old_reduction(named)
    return named


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"{reduction} is not a valid value for reduction")


def warn_of_shapes(input: Tensor, target: Tensor) -> None:
    """Shapes that differ broadcast: (n, 1) beside (n,) makes (n, n), which is seldom meant."""
    if target.shape != input.shape:
        knobs.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). This will likely lead to "
            "incorrect results due to broadcasting. Please ensure they have the same size.", UserWarning,
        )  # fmt: skip


@served
@pure
def mse_loss(
    input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Tensor:
    """Squared differences, reduced by "mean", "sum" or "none". A warning where the shapes differ."""
    if casting.on:
        input, target = casting.wide(input, target)
    warn_of_shapes(input, target)
    away = input - target
    return _reduced(away * away, _named(reduction, size_average, reduce))


@served
@pure
def l1_loss(input: Tensor, target: Tensor, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> Tensor:
    """Absolute differences, reduced. A warning where the shapes differ."""
    if casting.on:
        input, target = casting.wide(input, target)
    warn_of_shapes(input, target)
    return _reduced((input - target).abs(), _named(reduction, size_average, reduce))


@served
@pure
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Negative log likelihood of probabilities `target` under probabilities `input`; logarithms are held above -100. RuntimeError
    where one of both is no probability."""
    if casting.on:
        input, target, weight = casting.wide(input, target, weight)
    if target.shape != input.shape:
        raise ValueError(f"Using a target size ({list(target.shape)}) that is different to the input size "
                         f"({list(input.shape)}) is deprecated. Please ensure they have the same size.")  # fmt: skip
    input = within(input, low=0.0, high=1.0, message="all elements of input should be between 0 and 1")
    target = within(target, low=0.0, high=1.0, message="all elements of target should be between 0 and 1")
    rest = 1 - input
    low = _held_log(input, rest) * target + _held_log(rest, input) * (1 - target)
    return _reduced(-low if weight is None else -low * weight, _named(reduction, size_average, reduce))


def _held_log(p: Tensor, rest: Tensor) -> Tensor:
    """log(p), -100 at least, whose slope is 1e12 at most (float16: 2**14), and 0 where p is 1 (`rest` is 1 - p): a saturated
    sigmoid gives probabilities of just 0 and 1, and a slope without bound would be NaN behind it."""
    tiny = 2.0**-14 if p.dtype is float16 else 1e-12
    value = p.detach().log().clamp(min=-100.0)
    sloped = (p - p.detach()) * (1 / tiny) + value
    held: Tensor = where(p < tiny, sloped, where(eq(rest, 0), value, p.clamp(min=tiny).log()))
    return held


@served
@pure
def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None, reduce: Any = None,
    reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """`binary_cross_entropy` of ``sigmoid(input)``, without overflow; targets of 1 count `pos_weight` times."""
    if casting.on:
        input, target, weight, pos_weight = casting.wide(input, target, weight, pos_weight)
    if target.shape != input.shape:
        raise ValueError(f"Target size ({list(target.shape)}) must be the same as input size ({list(input.shape)})")
    surprise = g.softplus(-input, 1.0, 50.0)
    if pos_weight is not None:
        surprise = surprise * ((pos_weight - 1) * target + 1)
    loss = (1 - target) * input + surprise
    return _reduced(loss if weight is None else loss * weight, _named(reduction, size_average, reduce))


@served
@pure
def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None, ignore_index: int = -100,
    reduce: Any = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Minus the entry of `input` (log-probabilities, classes along dimension 1) at each target."""
    if casting.on:
        input, weight = casting.wide(input, weight)
    reduction = _named(reduction, size_average, reduce)
    dim = 0 if input.ndim == 1 else 1
    if dim and input.shape[0] != target.shape[0]:
        raise ValueError(f"Expected input batch_size ({input.shape[0]}) to match target batch_size ({target.shape[0]}).")
    valid = ne(target, ignore_index)
    index = where(valid, target, 0)
    picked = g.gather(input, dim, unsqueeze(index, dim)).squeeze(dim)
    scale = valid.to(input.dtype) if weight is None else where(valid, weight[index], 0.0)
    loss = where(valid, -picked, 0.0) * scale
    return loss.sum() / scale.sum() if reduction == "mean" else _reduced(loss, reduction)


@served
@pure
def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: Any = None, ignore_index: int = -100,
    reduce: Any = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """Negative log likelihood of class indices, or of probabilities of `input`'s shape, under ``softmax(input, 1)``."""
    if casting.on:
        input, target, weight = casting.wide(input, target, weight)
    reduction = _named(reduction, size_average, reduce)
    dim = 0 if input.ndim == 1 else 1
    if target.dtype.is_floating_point:
        return _soft_cross_entropy(input, target, weight, dim, reduction, label_smoothing)
    if weight is not None and label_smoothing:
        return _weighted_cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)
    if weight is not None:
        return nll_loss(log_softmax(input, dim), target, weight, None, ignore_index, None, reduction)
    attrs = {"reduction": reduction, "ignore_index": ignore_index, "label_smoothing": float(label_smoothing)}
    return apply(composites.cross_entropy, (input, target), attrs)  # type: ignore[no-any-return]


def _weighted_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor, ignore_index: int, reduction: str, smoothing: float
) -> Tensor:
    """With class weights and label smoothing: each class's share is weighted by its own weight, the mean is over the targets'."""
    dim = 0 if input.ndim == 1 else 1
    low = log_softmax(input, dim)
    valid = ne(target, ignore_index)
    picked = nll_loss(low, target, weight, None, ignore_index, None, "none")
    spread = -(low * reshape(weight, (weight.shape[0], *(1,) * (input.ndim - dim - 1)))).sum(dim)
    loss = (1 - smoothing) * picked + smoothing * (1 / input.shape[dim]) * where(valid, spread, 0.0)
    if reduction != "mean":
        return _reduced(loss, reduction)
    mean: Tensor = loss.sum() / where(valid, weight[where(valid, target, 0)], 0.0).sum()
    return mean


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, dim: int, reduction: str, smoothing: float
) -> Tensor:
    if target.shape != input.shape:
        raise DTypeError(f"cross_entropy: floating targets are probabilities and must have the shape of the logits "
                         f"{list(input.shape)}, got {list(target.shape)}")  # fmt: skip
    if smoothing:
        target = target * (1 - smoothing) + smoothing * (1 / input.shape[dim])
    low = log_softmax(input, dim) * target
    if weight is not None:
        low = low * reshape(weight, (weight.shape[0], *(1,) * (input.ndim - dim - 1)))
    loss = -low.sum(dim)
    return loss.sum() / (loss.numel() or 1) if reduction == "mean" else _reduced(loss, reduction)


@served
@pure
def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None) -> Tensor:
    """Each vector along `dim` divided by its length, or by `eps` where it is shorter."""
    length = norm(input, p, dim, True)
    return finished(input / length.clamp(min=eps), out)  # type: ignore[no-any-return]


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """``dropout(softmax(query @ key.T * scale + mask)) @ value`` over the last two dimensions, rows without an open key being 0.

    `attn_mask`: True where a key is open, or numbers to add; `is_causal`: row i sees keys 0 to i. `scale`: 1 / sqrt(width) by
    default. `enable_gqa`: each head of `key` and `value` serves as many neighbouring heads of `query`."""
    if is_causal and attn_mask is not None:
        raise RuntimeError("scaled_dot_product_attention: attn_mask must not be set where is_causal is True")
    if not dropout_p > 0.0:
        return _attended(query, key, value, attn_mask, is_causal, scale, enable_gqa)
    query, key, value, attn_mask, shape = _heads_apart(query, key, value, attn_mask, enable_gqa)
    scores = tensor_type((*query.shape[:-1], key.shape[-2]), query.dtype)
    state = beside(query, None).draw(draws.dropout.effects.draws(scores))  # type: ignore[misc]
    out = _attention(query, key, value, attn_mask, state, scale, is_causal, dropout_p)
    return out if shape is None else reshape(out, shape)


@served
@pure
def _attended(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, scale: float | None, grouped: bool
) -> Tensor:
    """Attention that drops nothing."""
    query, key, value, mask, shape = _heads_apart(query, key, value, mask, grouped)
    out = _attention(query, key, value, mask, None, scale, causal, 0.0)
    return out if shape is None else reshape(out, shape)


@pure
def _heads_apart(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, grouped: bool) -> tuple[Any, ...]:
    """The operands with the same leading dimensions, and the result's shape where that is another then."""
    shape = None
    if grouped and query.ndim > 2 and query.shape[-3] != key.shape[-3]:
        many, heads = query.shape[-3], key.shape[-3]
        if many % heads or value.shape[-3] != heads:
            raise ShapeError(f"scaled_dot_product_attention: {many} heads of queries for {heads} heads of keys and "
                             f"{value.shape[-3]} of values")  # fmt: skip
        shape = (*query.shape[:-1], value.shape[-1])
        query = reshape(query, (*query.shape[:-3], heads, many // heads, *query.shape[-2:]))
        key, value = unsqueeze(key, -3), unsqueeze(value, -3)
        if mask is not None and mask.ndim > 2:
            each = mask.shape[-3] != 1
            mask = reshape(mask, (*mask.shape[:-3], heads, many // heads, *mask.shape[-2:])) if each else unsqueeze(mask, -3)
    if query.ndim > 2 and not tuple(query.shape[:-2]) == tuple(key.shape[:-2]) == tuple(value.shape[:-2]):
        types = [x.meta.type for x in (query, key, value)]
        batch = layout.broadcast_shapes("scaled_dot_product_attention", [t.shape[:-2] for t in types], types)
        query, key, value = (x.expand((*batch, *x.shape[-2:])) for x in (query, key, value))
    return query, key, value, mask, shape


@pure
def _attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, state: Tensor | None, scale: float | None, causal: bool,
    p: float,
) -> Tensor:  # fmt: skip
    factor = float(int(query.shape[-1]) ** -0.5 if scale is None and query.shape[-1] else scale or 0.0)
    attrs = {"scale": factor, "is_causal": bool(causal), "p": float(p)}
    return apply(attention.attention, (query, key, value, mask, state), attrs)[0]  # type: ignore[no-any-return]
