"""The compiled update of optimisers: the same bits, state and version counters as op by op, and where it steps aside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusewire as fw
from fusewire import knobs, optim
from fusewire.optim import fused

SHAPES = ((7, 5), (3,), (), (2, 3, 4))
RULES: dict[str, Callable[[Any], Any]] = {
    "adam": lambda p: optim.Adam(p),
    "adam with all": lambda p: optim.Adam(p, weight_decay=0.1, amsgrad=True, maximize=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.1),
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "sgd, nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "sgd, dampened": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.3, maximize=True),
}


def trained(make: Callable[[Any], Any], is_fused: bool, dtype: Any, columns: bool) -> tuple[list[Any], Any]:
    rng = np.random.default_rng(0)
    params = [fw.tensor(np.asarray(rng.standard_normal(s), dtype)).requires_grad_(True) for s in SHAPES]
    optimiser = make(params)
    with knobs.override(fused_optim=is_fused):
        for _ in range(4):
            for p in params:
                g = np.asarray(rng.standard_normal(tuple(p.shape)), dtype)
                p.grad = fw.tensor(np.asfortranarray(g) if columns and g.ndim > 1 else g)
            optimiser.step()
    return params, optimiser


@pytest.mark.parametrize("columns", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", RULES)
def test_the_same_bits_as_op_by_op(rule: str, dtype: Any, columns: bool) -> None:
    (ours, a), (base, b) = (trained(RULES[rule], is_fused, dtype, columns) for is_fused in (True, False))
    for x, y in zip(ours, base, strict=True):
        np.testing.assert_array_equal(x.detach().numpy(), y.detach().numpy())
        assert x._version == y._version
        for name, value in a.state.get(x, {}).items():
            np.testing.assert_array_equal(value.numpy(), b.state[y][name].numpy())
            assert value._version == b.state[y][name]._version


def test_one_kernel_serves_all_shapes() -> None:
    trained(RULES["adamw"], True, np.float32, False)
    before = fused._compiled.cache_info().misses
    trained(lambda p: optim.AdamW(p[:2], lr=0.5, betas=(0.8, 0.9)), True, np.float32, True)
    assert fused._compiled.cache_info().misses == before


def test_it_steps_aside() -> None:
    """Half types, a gradient that is the parameter's own memory, options that are not numbers: op by op."""
    half = fw.ones(4, dtype=fw.bfloat16).requires_grad_(True)
    own = fw.ones(4).requires_grad_(True)
    sliced = fw.ones(4, 4)[:, ::2].detach().requires_grad_(True)
    lr = fw.tensor(0.5)
    for p, grad, rate, want in (
        (half, fw.ones(4, dtype=fw.bfloat16), 0.5, 0.0), (own, own.detach(), 0.5, 0.25), (sliced, fw.ones(4, 2), 0.5, 0.0),
        (fw.ones(2).requires_grad_(True), fw.ones(2), lr, 0.0),
    ):  # fmt: skip
        optimiser = optim.SGD([p], lr=0.5)
        optimiser.param_groups[0]["lr"] = rate
        for _ in range(2):
            p.grad = grad
            optimiser.step()
        np.testing.assert_array_equal(p.detach().float().numpy(), np.full(tuple(p.shape), want, np.float32))


def test_a_captured_step_is_one_graph() -> None:
    def train(params: list[Any], optimiser: Any) -> None:
        for p in params:
            p.grad = p.detach() * 0.5
        optimiser.step()

    results = []
    for function in (train, fw.compile(train)):
        fw.manual_seed(3)
        params = [fw.randn(5, 3).requires_grad_(True), fw.randn(4).requires_grad_(True)]
        optimiser = optim.Adam(params, lr=0.1)
        for _ in range(4):
            function(params, optimiser)
        results.append([p.detach().numpy() for p in params])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
