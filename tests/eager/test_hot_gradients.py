"""Gradient rules of heavy ops run as compiled graphs from the third call of a kind on, and give what they give op by op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import knobs
from fusewire.eager import hot
from fusewire.nn import functional as F


def numbers(*shape: int) -> Any:
    return fw.tensor(np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32))


TARGETS = fw.tensor(np.random.default_rng(1).integers(0, 500, 40))
CASES: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (64,), w, b), ((200, 64), (64,), (64,))),
    "layer_norm without bias": (lambda x, w: F.layer_norm(x, (64,), w), ((200, 64), (64,))),
    "softmax": (lambda x: F.softmax(x, -1), ((100, 120),)),
    "gelu": (F.gelu, ((100, 120),)),
    "cross_entropy": (lambda x: F.cross_entropy(x, TARGETS), ((40, 500),)),
    "attention": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), ((2, 2, 50, 32),) * 3),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_the_rule(name: str) -> None:
    function, shapes = CASES[name]
    inputs = [numbers(*s).requires_grad_() for s in shapes]

    def gradients(create: bool = False) -> list[Any]:
        out = function(*inputs)
        weights = fw.arange(out.numel()).view(out.shape).float().cos()
        return list(fw.autograd.grad((out * weights).sum(), inputs, create_graph=create))

    former = knobs.hot_ops
    try:
        knobs.hot_ops = False
        wanted = gradients()
        knobs.hot_ops = True
        before = len(hot._found)
        for _ in range(5):
            got = gradients()
        assert len(hot._found) > before
        higher = gradients(create=True)
    finally:
        knobs.hot_ops = former
    for a, b, c in zip(got, wanted, higher, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(c.detach().numpy(), b.numpy(), rtol=1e-4, atol=1e-5)
        assert not a.requires_grad and a.stride() == b.stride()
    assert higher[0].requires_grad


def test_only_the_wanted_gradients() -> None:
    x, w = numbers(200, 64), numbers(64).requires_grad_()
    for _ in range(4):
        (g,) = fw.autograd.grad(F.layer_norm(x, (64,), w).sum(), (w,))
    assert g.shape == (64,) and x.grad is None


def test_a_position_out_of_range_is_refused_as_before() -> None:
    x, bad = numbers(40, 500), fw.full((40,), 500)
    for _ in range(4):
        F.cross_entropy(x, TARGETS)
    with pytest.raises(IndexError, match="Target 500 is out of bounds"):
        F.cross_entropy(x, bad)
