"""What losses say of arguments that are seldom meant: a target of another shape, probabilities that are none."""

from __future__ import annotations

from typing import Any

import pytest

import fusewire as fw
from fusewire.nn import functional as F


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
def test_a_target_of_another_shape_is_warned_of(loss: Any) -> None:
    x, y = fw.zeros(3, 1), fw.ones(3)
    with pytest.warns(UserWarning, match=r"target size \(torch.Size\(\[3\]\)\).*input size \(torch.Size\(\[3, 1\]\)\)") as seen:
        loss(x, y)
    assert seen[0].filename == __file__
    loss(x, y[:, None])  # warnings are errors here


@pytest.mark.parametrize("wrong", [1.5, -0.1, float("nan")])
def test_probabilities_lie_between_0_and_1(wrong: float) -> None:
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        F.binary_cross_entropy(fw.tensor([0.5, wrong], requires_grad=True), fw.ones(2))
    assert F.binary_cross_entropy(fw.tensor([0.0, 1.0]), fw.tensor([0.0, 1.0])).item() == 0.0
