"""A gradient rule may compute on operands that the tape has not saved, where nothing follows from it."""

from __future__ import annotations

import numpy as np
import pytest

import fusewire as fw
from fusewire.ir.ops.rnn import rnn_steps_backward


@pytest.mark.parametrize("clipped", [False, True])
def test_the_rule_of_a_recurrent_backward_for_a_state_alone(clipped: bool) -> None:
    rng = np.random.default_rng(0)
    g, h, w, states = (fw.tensor(rng.standard_normal(shape)) for shape in ((3, 2, 5), (2, 5), (5, 5), (3, 2, 5)))
    h.requires_grad_()
    slopes, first = rnn_steps_backward(g, h, w, states, clipped=clipped)
    (found,) = fw.autograd.grad(slopes.sum() + first.sum(), h)
    assert found.shape == h.shape and not found.any()
