"""A target of another shape broadcasts, and the losses that allow it say so at the user's line."""

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
