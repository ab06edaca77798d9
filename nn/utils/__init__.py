"""`fusewire.nn.utils`: PyTorch's address for what is in `nn/gradients.py`, and helpers of modules."""

from __future__ import annotations

from . import rnn
from ..gradients import clip_grad_norm_, clip_grad_value_

__all__ = ["clip_grad_norm_", "clip_grad_value_"]
