"""Named masks beside PyTorch's, and sequences of different lengths beside attention of each by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fusewire as fw
import fusewire.nn.functional as F
from fusewire.nn.attention import bias as ours
from fusewire.nn.attention.varlen import AuxRequest, varlen_attn, varlen_attn_out

ROWS, KEYS = [5, 1, 7], [6, 3, 7]


def normal(*shape: int, seed: int = 0) -> Any:
    return fw.tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def ends(lengths: list[int]) -> Any:
    return fw.tensor(np.cumsum([0, *lengths]).astype(np.int32))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["causal_upper_left", "causal_lower_right"])
def test_biases_are_pytorchs(name: str, compiled: bool) -> None:
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("torch.nn.attention.bias")
    q, k, v = normal(2, 4, 5, 8), normal(2, 4, 9, 8, seed=1), normal(2, 4, 9, 8, seed=2)

    def call(q: Any, k: Any, v: Any) -> Any:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=getattr(ours, name)(5, 9))

    given = [torch.tensor(x.numpy()) for x in (q, k, v)]
    wanted = torch.nn.functional.scaled_dot_product_attention(*given, attn_mask=getattr(theirs, name)(5, 9))
    got = (fw.compile(call, fullgraph=True) if compiled else call)(q, k, v)
    np.testing.assert_allclose(got.numpy(), wanted.numpy(), atol=2e-6)
    assert repr(getattr(ours, name)(2, 3)) == repr(getattr(theirs, name)(2, 3))


def test_wrong_biases() -> None:
    with pytest.raises(AssertionError, match="only supports 2D"):
        ours.causal_lower_right(3)
    with pytest.raises(AssertionError, match="must be a CausalVariant"):
        ours.CausalBias(1, 2, 3)  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match="NaNs"):
        mask = ours.causal_lower_right(4, 3)
    q = normal(1, 1, 4, 8)
    with pytest.raises(ValueError, match="causal=True"):
        F.scaled_dot_product_attention(q, q, q, mask, is_causal=True)


def alone(q: Any, k: Any, v: Any, window: tuple[int, int]) -> Any:
    """One sequence: queries and keys (tokens, heads, width), aligned at their ends."""
    rows, keys = q.shape[0], k.shape[0]
    away = np.arange(rows)[:, None] + keys - rows - np.arange(keys)
    opened = np.ones((rows, keys), bool)
    opened &= away <= window[0] if window[0] >= 0 else True
    opened &= -away <= window[1] if window[1] >= 0 else True
    q, k, v = (x.transpose(0, 1) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, fw.tensor(opened), enable_gqa=True).transpose(0, 1).numpy()


@pytest.mark.parametrize("window", [(-1, -1), (-1, 0), (2, 0)])
def test_sequences_one_behind_another(window: tuple[int, int]) -> None:
    q, k, v = normal(13, 4, 8), normal(16, 2, 8, seed=1), normal(16, 2, 8, seed=2)
    rows, keys = ends(ROWS), ends(KEYS)
    got, lse = varlen_attn(q, k, v, rows, keys, 7, 7, window_size=window, enable_gqa=True, return_aux=AuxRequest(lse=True))
    assert lse.shape == (4, 13)
    a, c = rows.tolist(), keys.tolist()
    for i in range(3):
        wanted = alone(q[a[i] : a[i + 1]], k[c[i] : c[i + 1]], v[c[i] : c[i + 1]], window)
        np.testing.assert_allclose(got[a[i] : a[i + 1]].numpy(), wanted, atol=2e-6)
    into = fw.empty(13, 4, 8)
    assert varlen_attn_out(into, q, k, v, rows, keys, 7, 7, window_size=window, enable_gqa=True) is into
    np.testing.assert_array_equal(into.numpy(), got.numpy())


def test_pages_of_keys() -> None:
    pool_k, pool_v = normal(6, 4, 2, 8, seed=1), normal(6, 4, 2, 8, seed=2)
    q, table, used = normal(3, 2, 8), fw.tensor([[5, 2], [0, 3], [1, 4]], dtype=fw.int32), fw.tensor([7, 3, 8], dtype=fw.int32)
    got = varlen_attn(q, pool_k, pool_v, ends([1, 1, 1]), None, 1, 8, seqused_k=used, block_table=table).numpy()
    for i, pages in enumerate(table.tolist()):
        k, v = (fw.cat([pool[p] for p in pages])[: used[i].item()] for pool in (pool_k, pool_v))
        np.testing.assert_allclose(got[i : i + 1], alone(q[i : i + 1], k, v, (-1, -1)), atol=2e-6)
    with pytest.raises(ValueError, match="same number of heads"):
        varlen_attn(normal(3, 4, 8), pool_k, pool_v, ends([1, 1, 1]), None, 1, 8, seqused_k=used, block_table=table)
