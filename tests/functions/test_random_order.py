"""Orders drawn at random hang together with no other draw from the same seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import fusewire as fw

DRAWS: dict[str, Callable[[int], fw.Tensor]] = {
    "rand": fw.rand, "randn": fw.randn, "randint": lambda n: fw.randint(0, 1000, (n,)).double(), "randperm": fw.randperm,
}  # fmt: skip


@pytest.mark.parametrize("first", DRAWS)
@pytest.mark.parametrize("draws", [0, 1])
def test_an_order_does_not_sort_what_was_drawn(first: str, draws: int) -> None:
    """Behind as many draws of the same size, by a generator of the same seed."""
    n = 4000
    fw.manual_seed(7)
    values = [DRAWS[first](n) for _ in range(3)][draws]
    order = fw.randperm(n, generator=fw.Generator().manual_seed(7))
    assert sorted(order.tolist()) == list(range(n))
    if first != "randperm" or draws:
        seen = np.corrcoef(values[order].double().numpy(), np.arange(n))[0, 1]
        assert abs(seen) < 0.08  # five times the deviation of a chance one


def test_a_split_keeps_the_classes() -> None:
    fw.manual_seed(0)
    labels = fw.randint(0, 10, (1000,))
    parts = fw.utils.data.random_split(fw.utils.data.TensorDataset(labels), [800, 200], generator=fw.Generator().manual_seed(0))
    counts = fw.bincount(fw.stack([y for (y,) in parts[1]]), minlength=10)
    assert counts.min() >= 8


def test_orders_differ_and_compiled_code_draws_the_same() -> None:
    fw.manual_seed(3)
    wanted = [fw.randperm(50).tolist() for _ in range(3)]
    fw.manual_seed(3)
    compiled = fw.compile(lambda: fw.randperm(50), fullgraph=True)
    assert [compiled().tolist() for _ in range(3)] == wanted and wanted[0] != wanted[1] != wanted[2]
