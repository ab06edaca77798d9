"""Functions of neural networks over the composite records: activations along a dimension, normalisation, dropout, losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import DTypeError
from ..ir.ops import composites, linalg, pointwise
from ..ir.ops import random as draws
from ..ir.ops.compare import ne, where
from . import generated as g
from .arguments import to_dtype, wrap_dim
from .executor import apply
from .functional import matmul, reshape, t, unsqueeze
from .pure import pure
from .random import Generator, default_generator
from .reducing import index_along

if TYPE_CHECKING:
    from .tensor import Tensor

_NONE: dict[str, Any] = {}


@pure
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``; `weight` is (out features, in features)."""
    result = matmul(input, t(weight))
    return result if bias is None else apply(pointwise.add, (result, bias), _NONE)


@pure
def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Exponentials that sum to 1 along `dim`."""
    return _along(composites.softmax, input, dim, dtype)


@pure
def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """Logarithm of `softmax`."""
    return _along(composites.log_softmax, input, dim, dtype)


def _along(op: Any, input: Tensor, dim: int | None, dtype: Any) -> Tensor:
    wanted = to_dtype(dtype)
    if wanted is not None and wanted is not input.dtype:
        input = input.to(wanted)
    if dim is None:  # PyTorch's implicit choice
        dim = 0 if input.ndim in (0, 1, 3) else 1
    return apply(op, (input,), {"dim": wrap_dim(dim, input.ndim)})  # type: ignore[no-any-return]


def dropout(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """In training, each element zero with probability `p`, else divided by ``1 - p``."""
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0.0:
        return input
    source = default_generator if generator is None else generator
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


@pure
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where positive, else `negative_slope` times x."""
    if not input.dtype.is_floating_point:
        raise DTypeError(f"leaky_relu: not defined for {input.dtype.name} (got {input.dtype.name}{list(input.shape)})")
    out: Tensor = where(input > 0, input, input * negative_slope)
    return input.copy_(out) if inplace else out


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"{reduction} is not a valid value for reduction")


@pure
def mse_loss(
    input: Tensor, target: Tensor, size_average: None = None, reduce: None = None, reduction: str = "mean"
) -> Tensor:
    """Squared differences, reduced by "mean", "sum" or "none"."""
    away = input - target
    return _reduced(away * away, reduction)


@pure
def l1_loss(input: Tensor, target: Tensor, size_average: None = None, reduce: None = None, reduction: str = "mean") -> Tensor:
    """Absolute differences, reduced."""
    return _reduced((input - target).abs(), reduction)


@pure
def binary_cross_entropy(input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean") -> Tensor:
    """Negative log likelihood of probabilities `target` under probabilities `input`; logarithms are held above -100."""
    low = input.log().clamp(min=-100.0) * target + (1 - input).log().clamp(min=-100.0) * (1 - target)
    return _reduced(-low if weight is None else -low * weight, reduction)


@pure
def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """`binary_cross_entropy` of ``sigmoid(input)``, without overflow."""
    loss = (1 - target) * input + (-input).clamp(min=0.0) + (1 + (-input.abs()).exp()).log()
    return _reduced(loss if weight is None else loss * weight, reduction)


@pure
def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: None = None, ignore_index: int = -100,
    reduce: None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Minus the entry of `input` (log-probabilities, classes along dimension 1) at each target."""
    dim = 0 if input.ndim == 1 else 1
    valid = ne(target, ignore_index)
    index = where(valid, target, 0)
    picked = g.gather(input, dim, unsqueeze(index, dim)).squeeze(dim)
    scale = valid.to(input.dtype) if weight is None else where(valid, weight[index], 0.0)
    loss = where(valid, -picked, 0.0) * scale
    return loss.sum() / scale.sum() if reduction == "mean" else _reduced(loss, reduction)


@pure
def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: None = None, ignore_index: int = -100,
    reduce: None = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """Negative log likelihood of class indices, or of probabilities of `input`'s shape, under ``softmax(input, 1)``."""
    dim = 0 if input.ndim == 1 else 1
    if target.dtype.is_floating_point:
        return _soft_cross_entropy(input, target, weight, dim, reduction, label_smoothing)
    if weight is not None:
        if label_smoothing:
            raise NotImplementedError("cross_entropy with class weights and label smoothing over indices: pass probabilities")
        return nll_loss(log_softmax(input, dim), target, weight, None, ignore_index, None, reduction)
    attrs = {"reduction": reduction, "ignore_index": ignore_index, "label_smoothing": float(label_smoothing)}
    return apply(composites.cross_entropy, (input, target), attrs)  # type: ignore[no-any-return]


def _soft_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, dim: int, reduction: str, smoothing: float
) -> Tensor:
    if target.shape != input.shape:
        raise DTypeError(f"cross_entropy: floating targets are probabilities and must have the shape of the logits "
                         f"{list(input.shape)}, got {list(target.shape)}")  # fmt: skip
    if smoothing:
        target = target * (1 - smoothing) + smoothing / input.shape[dim]
    low = log_softmax(input, dim) * target
    if weight is not None:
        low = low * reshape(weight, (weight.shape[0], *(1,) * (input.ndim - dim - 1)))
    loss = -low.sum(dim)
    return loss.sum() / (loss.numel() or 1) if reduction == "mean" else _reduced(loss, reduction)


@pure
def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """Each vector along `dim` divided by its length, or by `eps` where it is shorter."""
    if p != 2.0:
        raise NotImplementedError(f"normalize: only p = 2 is built, not {p}")
    length = (input * input).sum(dim, keepdim=True).sqrt()
    return input / length.clamp(min=eps)  # type: ignore[no-any-return]


@pure
def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None,
) -> Tensor:  # fmt: skip
    """``softmax(query @ key.T * scale + mask) @ value`` over the last two dimensions."""
    if dropout_p:
        raise NotImplementedError("scaled_dot_product_attention: dropout_p is not built; apply dropout to the result")
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = apply(linalg.matmul, (query, key.transpose(-2, -1)), _NONE) * factor
    if is_causal:
        keep = g.ge(unsqueeze(index_along(scores, -2), 1), index_along(scores, -1))
        scores = where(keep, scores, float("-inf"))
    if attn_mask is not None:
        scores = scores + attn_mask if attn_mask.dtype.is_floating_point else where(attn_mask, scores, float("-inf"))
    return apply(linalg.matmul, (softmax(scores, -1), value), _NONE)  # type: ignore[no-any-return]
