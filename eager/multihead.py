"""Attention with several heads as one function of all its weights (`multi_head_attention_forward`), the form with every option.

`nn.MultiheadAttention` has a shorter way of its own where nothing is appended to keys and values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .arranging import pad
from .creation import zeros_like
from .generated import cat
from .neural import dropout, linear, scaled_dot_product_attention, softmax

if TYPE_CHECKING:
    from .tensor import Tensor


def added(mask: Tensor, like: Tensor) -> Tensor:
    """A mask as numbers to add to scores: a boolean one is True where a key is closed."""
    if mask.dtype.is_floating_point:
        return mask
    closed: Tensor = zeros_like(mask, dtype=like.dtype).masked_fill(mask, float("-inf"))
    return closed


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int, in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Tensor, out_proj_bias: Tensor | None, training: bool = True, key_padding_mask: Tensor | None = None,
    need_weights: bool = True, attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None, static_v: Tensor | None = None, average_attn_weights: bool = True, is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """(result (queries, batch, width), weights) of attention of `query` over `key` and `value`, each (length, batch, width) or
    without a batch. `bias_k`, `bias_v`: a key and a value appended; `add_zero_attn`: another of zeros."""
    single = query.ndim == 2
    if single:
        query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    length, batch, width = query.shape
    if width != embed_dim_to_check:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim_to_check}, but got {width}")
    if is_causal and attn_mask is None:
        raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
    if use_separate_proj_weight:
        weights: Any = (q_proj_weight, k_proj_weight, v_proj_weight)
    else:
        weights = in_proj_weight.chunk(3)  # type: ignore[union-attr]
    biases = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
    q, k, v = (linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
    mask = None if attn_mask is None else added(attn_mask, q)
    padding = None if key_padding_mask is None else added(key_padding_mask, q)
    more = 0
    if bias_k is not None and bias_v is not None:
        k, v, more = cat([k, bias_k.expand(1, batch, width)]), cat([v, bias_v.expand(1, batch, width)]), 1
    depth = width // num_heads
    q, k, v = (x.view(x.shape[0], batch, num_heads, depth).permute(1, 2, 0, 3) for x in (q, k, v))
    k = k if static_k is None else static_k.view(batch, num_heads, -1, depth)
    v = v if static_v is None else static_v.view(batch, num_heads, -1, depth)
    if add_zero_attn:
        k, v, more = pad(k, (0, 0, 0, 1)), pad(v, (0, 0, 0, 1)), more + 1
    bias = _together(mask, padding, more, num_heads, batch)
    p, seen = dropout_p if training else 0.0, None
    if need_weights:
        scores = q @ k.transpose(-2, -1) * depth**-0.5
        seen = dropout(softmax(scores if bias is None else scores + bias, -1), p)
        out = seen @ v
        seen = seen.mean(1) if average_attn_weights else seen
    else:
        out = scaled_dot_product_attention(q, k, v, bias, p)
    out = linear(out.permute(2, 0, 1, 3).reshape(length, batch, width), out_proj_weight, out_proj_bias)
    if single:
        return out.squeeze(1), None if seen is None else seen.squeeze(0)
    return out, seen


def _together(mask: Tensor | None, padding: Tensor | None, more: int, heads: int, batch: int) -> Tensor | None:
    """Both masks as one, open at the `more` keys that were appended."""
    if more:
        mask = None if mask is None else pad(mask, (0, more))
        padding = None if padding is None else pad(padding, (0, more))
    if mask is not None and mask.ndim == 3:
        mask = mask.view(batch, heads, *mask.shape[1:])
    if padding is None:
        return mask
    padding = padding.view(batch, 1, 1, padding.shape[1])
    return padding if mask is None else mask + padding
