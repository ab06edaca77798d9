"""``torch.nn.attention.bias``: masks of attention that are named, not held in memory."""

from __future__ import annotations

import warnings
from enum import IntEnum, auto
from typing import Any

from ...eager import neural
from ...eager.creation import ones

__all__ = ["CausalBias", "CausalVariant", "causal_lower_right", "causal_upper_left"]


class CausalVariant(IntEnum):
    """Where the triangle of open keys lies: row i sees keys 0 to i, or as many more as there are more keys than queries."""

    UPPER_LEFT = auto()
    LOWER_RIGHT = auto()


class CausalBias:
    """A triangular mask for `scaled_dot_product_attention`. It is no Tensor here; `_materialize` gives one."""

    def __init__(self, variant: CausalVariant, seq_len_q: int, seq_len_kv: int) -> None:
        if not isinstance(variant, CausalVariant):
            raise AssertionError(f"variant must be a CausalVariant, got {type(variant).__name__}")
        self.variant, self.seq_len_q, self.seq_len_kv = variant, seq_len_q, seq_len_kv
        if seq_len_q > seq_len_kv and variant == CausalVariant.LOWER_RIGHT:
            text = "Lower right causal bias will produce NaNs in the output when seq_len_q > seq_len_kv!"
            warnings.warn(text, stacklevel=2)

    @property
    def shape(self) -> tuple[int, int]:
        """Queries and keys."""
        return self.seq_len_q, self.seq_len_kv

    def _offset(self) -> int:
        return 0 if self.variant == CausalVariant.UPPER_LEFT else self.seq_len_kv - self.seq_len_q

    def _materialize(self, device: Any = None) -> Any:
        """The mask as a bool tensor."""
        return ones(self.seq_len_q, self.seq_len_kv, dtype=bool, device=device or "cpu").tril(self._offset())

    def __repr__(self) -> str:
        return repr(self._materialize())


def causal_upper_left(*size: int) -> CausalBias:
    """Row i of ``size = (queries, keys)`` sees keys 0 to i. AssertionError for other than two sizes."""
    if len(size) != 2:
        raise AssertionError("causal_upper_left only supports 2D tensors")
    return CausalBias(CausalVariant.UPPER_LEFT, *size)


def causal_lower_right(*size: int) -> CausalBias:
    """The last row of ``size = (queries, keys)`` sees all keys, each row before it one less."""
    if len(size) != 2:
        raise AssertionError("causal_lower_right only supports 2D tensors")
    return CausalBias(CausalVariant.LOWER_RIGHT, *size)


def attend(
    query: Any, key: Any, value: Any, bias: CausalBias, dropout_p: float, is_causal: bool, scale: float | None, grouped: bool
) -> Any:
    """Attention under a bias; ValueError with `is_causal` beside it. On a GPU the mask is never held."""
    if is_causal:
        raise ValueError("CausalBias should not be used with causal=True")
    if not bias._offset():
        return neural.scaled_dot_product_attention(query, key, value, None, dropout_p, True, scale, grouped)
    if dropout_p == 0.0 and query.is_cuda and query.ndim == key.ndim == value.ndim == 4:
        from ...eager.scores import flex

        offset = bias._offset()
        factor = query.shape[-1] ** -0.5 if scale is None else scale
        return flex(query, key, value, None, lambda b, h, q, k: q + offset >= k, (None,) * 8, (0, 0), factor)[0]
    mask = bias._materialize(query.device)
    return neural.scaled_dot_product_attention(query, key, value, mask, dropout_p, False, scale, grouped)


def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """``dropout(softmax(query @ key.T * scale + attn_mask)) @ value``, see `eager.neural`; the mask may be a `CausalBias`."""
    if type(attn_mask) is CausalBias:
        return attend(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
    return neural.scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
