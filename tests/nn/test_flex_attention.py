"""flex_attention beside PyTorch's: values, gradients, masks by blocks and errors, eagerly and compiled."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire.nn.attention import flex_attention as ours

torch: Any = pytest.importorskip("torch")
theirs: Any = pytest.importorskip("torch.nn.attention.flex_attention")

B, H, L, S, E = 2, 4, 37, 45, 8
_RNG = np.random.default_rng(5)
SLOPES = _RNG.standard_normal(H).astype(np.float32) / 8
TABLE = _RNG.standard_normal((H, L + S)).astype(np.float32)
BIAS = _RNG.standard_normal((B, 1, L, S)).astype(np.float32)
DOCUMENTS = np.sort(_RNG.integers(0, 4, S))
PREFIX = np.array([9, 20])
PAGES = _RNG.permutation(S)


@pytest.fixture(autouse=True)
def _unfused(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(theirs, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def scores(t: Any, slopes: Any, table: Any, bias: Any) -> dict[str, Callable[..., Any]]:
    """Functions of scores in the library `t`."""

    def branching(score: Any, b: Any, h: Any, q: Any, k: Any) -> Any:
        near = t.where((q - k).abs() <= 3, score * 2, score)
        return t.where(h % 2 == 0, near, t.sigmoid(score) + k // 4)

    def in_place(score: Any, b: Any, h: Any, q: Any, k: Any) -> Any:
        score += slopes[h]
        return score

    return {
        "alibi": lambda score, b, h, q, k: score + slopes[h] * (k - q),
        "relative": lambda score, b, h, q, k: score + table[h, q - k + S - 1],
        # PyTorch has no gradient of rows of rows.
        "rows of rows": lambda score, b, h, q, k: score + (table[h, k] if t is torch else table[h][k]),
        "bias": lambda score, b, h, q, k: score + bias[b, 0, q, k],
        "capped": lambda score, b, h, q, k: 5.0 * t.tanh(score / 5.0),
        "causal": lambda score, b, h, q, k: t.where(q >= k, score, -float("inf")),
        "capped alibi": lambda score, b, h, q, k: 5.0 * t.tanh((score + slopes[h] * (k - q)) / 5.0),
        "branching": branching,
        "in place": in_place,
        "of positions": lambda score, b, h, q, k: table[h, k] * slopes[h],
        "clamped": lambda score, b, h, q, k: t.clamp(score, -0.5, 0.5) + score.exp().log1p(),
    }


def masks(t: Any, f: Any, documents: Any, prefix: Any) -> dict[str, Callable[..., Any]]:
    """Functions of positions."""

    def causal(b: Any, h: Any, q: Any, k: Any) -> Any:
        return q >= k

    def window(b: Any, h: Any, q: Any, k: Any) -> Any:
        return q - k <= 7

    def same(b: Any, h: Any, q: Any, k: Any) -> Any:
        return documents[q] == documents[k]

    def before(b: Any, h: Any, q: Any, k: Any) -> Any:
        return k < prefix[b]

    def some_heads(b: Any, h: Any, q: Any, k: Any) -> Any:
        return (h != 2) & (k % 3 != h)

    return {
        "causal": causal, "window": f.and_masks(causal, window), "documents": same, "prefix": f.or_masks(before, causal),
        "documents and prefix": f.and_masks(same, f.or_masks(before, causal)), "heads": some_heads, "noop": f.noop_mask,
        "nothing": f.and_masks(lambda b, h, q, k: q > 5, causal),
    }  # fmt: skip


def operands(t: Any, dtype: str, heads: int = H) -> list[Any]:
    """Query, key, value, then slopes, table and bias, all wanting gradients."""
    rng = np.random.default_rng(1)
    shapes = (B, H, L, E), (B, heads, S, E), (B, heads, S, E + 2)
    made = [t.tensor(rng.standard_normal(s).astype(np.float32)).to(getattr(t, dtype)) for s in shapes]
    return [x.requires_grad_() for x in (*made, *(t.tensor(x) for x in (SLOPES, TABLE, BIAS)))]


def wanted(case: tuple[str, str], dtype: str, heads: int) -> tuple[Any, ...]:
    """PyTorch's result, lse and gradients (its own function has none on the CPU: what it is made of has)."""
    q, k, v, *captured = xs = operands(torch, dtype, heads)
    score = scores(torch, *captured).get(case[0])
    mask = masks(torch, theirs, torch.tensor(DOCUMENTS), torch.tensor(PREFIX)).get(case[1], theirs.noop_mask)
    from torch._higher_order_ops.flex_attention import math_attention

    out, lse, _ = math_attention(q, k, v, score or theirs._identity, (mask,), E**-0.5, {})
    lse = lse * np.log(2.0)
    weight = torch.arange(out.numel()).reshape(out.shape) % 7 / 7.0
    (out.float() * weight).sum().backward()
    return out, lse, [x.grad for x in xs]


def got(case: tuple[str, str], dtype: str, heads: int, compiled: bool) -> tuple[Any, ...]:
    """Ours."""
    xs = operands(fw, dtype, heads)
    documents, prefix = fw.tensor(DOCUMENTS), fw.tensor(PREFIX)
    find = masks(fw, ours, documents, prefix).get(case[1])
    mask = ours.create_block_mask(find, B, H, L, S, "cpu", 16) if find else None

    def call(q: Any, k: Any, v: Any, *captured: Any) -> Any:
        score = scores(fw, *captured).get(case[0])
        aux = ours.AuxRequest(lse=True)
        return ours.flex_attention(q, k, v, score, mask, enable_gqa=heads != H, return_aux=aux)

    out, aux = (fw.compile(call, fullgraph=True) if compiled else call)(*xs)
    weight = fw.arange(out.numel()).reshape(out.shape) % 7 / 7.0
    (out.float() * weight).sum().backward()
    return out, aux.lse, [x.grad for x in xs]


def array(x: Any) -> Any:
    """As float64."""
    return None if x is None else x.detach().float().numpy().astype(np.float64)


def compare(case: tuple[str, str], dtype: str = "float32", heads: int = H, compiled: bool = False) -> None:
    """Values and gradients agree."""
    close = {"float32": 2e-5, "bfloat16": 4e-2, "float64": 1e-6}[dtype]
    (out, lse, grads), (own, own_lse, own_grads) = wanted(case, dtype, heads), got(case, dtype, heads, compiled)
    assert str(own.dtype).split(".")[-1] == dtype and own.shape == out.shape
    np.testing.assert_allclose(array(own), array(out), atol=close, rtol=close)
    np.testing.assert_allclose(array(own_lse), array(lse), atol=close, rtol=close)
    for g, w in zip(own_grads, grads, strict=True):
        assert (g is None) == (w is None) or not np.any(array(g if w is None else w))
        if g is not None and w is not None:
            np.testing.assert_allclose(array(g), array(w), atol=close * max(1, np.abs(array(w)).max()), rtol=close)


SCORES = list(scores(torch, SLOPES, TABLE, BIAS))
MASKS = list(masks(torch, theirs, DOCUMENTS, PREFIX))


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("name", SCORES)
def test_functions_of_scores(name: str, compiled: bool) -> None:
    compare((name, "" if name != "alibi" else "causal"), compiled=compiled)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("name", MASKS)
def test_masks(name: str, compiled: bool) -> None:
    compare(("relative" if name == "documents and prefix" else "", name), compiled=compiled)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_fewer_heads_of_keys_and_half_types(compiled: bool) -> None:
    compare(("capped alibi", "window"), heads=2, compiled=compiled)
    compare(("relative", "prefix"), "bfloat16", heads=1, compiled=compiled)
