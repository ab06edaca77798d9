"""``torch.nn.attention.varlen``: attention of sequences of different lengths that lie one behind another. Made of `eager.scores`:
the sequence of a token and its place there are two tables that the mask reads."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ...eager import functional as F
from ...eager.creation import arange
from ...eager.scores import flex
from ...ir import dtypes

__all__ = ["AuxRequest", "varlen_attn", "varlen_attn_out"]


class AuxRequest(NamedTuple):
    """Which further results are wanted."""

    lse: bool = False


def _tables(ends: Any, count: int, device: Any) -> tuple[Any, Any]:
    """(sequence of each token, its place there); `ends`: where sequences begin, and the end of the last."""
    tokens = arange(count, device=device)
    later = F.unsqueeze(tokens, 1) >= F.unsqueeze(ends[1:], 0)
    sequence = later.to(dtypes.int64).sum(1)
    starts = ends.to(dtypes.int64)[sequence.clamp(max=ends.shape[0] - 2)]
    return sequence, tokens - starts


def varlen_attn(
    query: Any, key: Any, value: Any, cu_seq_q: Any, cu_seq_k: Any, max_q: int, max_k: int, *,
    return_aux: AuxRequest | None = None, scale: float | None = None, window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False, seqused_k: Any = None, block_table: Any = None, num_splits: int | None = None,
) -> Any:  # fmt: skip
    """Attention within sequences: query (Tq, Hq, D), key and value (Tk, Hkv, D); `cu_seq_q` and `cu_seq_k` (N + 1): where each
    sequence begins. `window_size`: how many keys before and behind the place of a query, counted from the sequences' ends, are
    open (-1: all). `seqused_k` (N): keys of each sequence that count. `block_table` (N, pages): key and value are pools
    (pages, tokens, Hkv, D), of which it lists each sequence's. `max_q`, `max_k` and `num_splits` are hints without effect."""
    heads, few = query.shape[1], key.shape[2 if block_table is not None else 1]
    if not enable_gqa and heads != few:
        raise ValueError(f"Expect query and key/value to have the same number of heads but got Hq={heads} and Hkv={few}. Try "
                         "setting enable_gqa=True for GQA.")  # fmt: skip
    if enable_gqa and heads % few != 0:
        raise ValueError(
            f"Expect number of query heads to be a multiple of kv heads for GQA but got Hq={heads} and Hkv={few}."
        )
    if block_table is not None:
        size = int(block_table.shape[1]) * int(key.shape[1])
        pages = F.reshape(block_table, (-1,)).to(dtypes.int64)
        key, value = (F.reshape(x[pages], (-1, few, x.shape[-1])) for x in (key, value))
        cu_seq_k = arange(int(block_table.shape[0]) + 1, device=query.device) * size
    own, place = _tables(cu_seq_q, int(query.shape[0]), query.device)
    theirs, at = _tables(cu_seq_k, int(key.shape[0]), query.device)
    rows = (cu_seq_q[1:] - cu_seq_q[:-1]).to(dtypes.int64)
    keys = (cu_seq_k[1:] - cu_seq_k[:-1] if seqused_k is None else seqused_k).to(dtypes.int64)
    shift, used = keys - rows, keys[theirs.clamp(max=keys.shape[0] - 1)]
    place = place + shift[own.clamp(max=rows.shape[0] - 1)]
    left, right = window_size

    def mask(b: Any, h: Any, q: Any, k: Any) -> Any:
        opened = (own[q] == theirs[k]) & (at[k] < used[k])
        if left >= 0:
            opened = opened & (place[q] - at[k] <= left)
        return opened & (at[k] - place[q] <= right) if right >= 0 else opened

    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    q, k, v = (F.unsqueeze(x.transpose(0, 1), 0) for x in (query, key, value))
    out, lse, _ = flex(q, k, v, None, mask, (None,) * 8, (0, 0), factor)
    out = out[0].transpose(0, 1)
    return (out, lse[0]) if return_aux is not None and return_aux.lse else out


def varlen_attn_out(out: Any, *args: Any, **kwargs: Any) -> Any:
    """As `varlen_attn`, into `out`."""
    made = varlen_attn(*args, **kwargs)
    if isinstance(made, tuple):
        out.copy_(made[0])
        return out, made[1]
    return out.copy_(made)
