"""`fusewire.nn.utils`: PyTorch's address for what is in `gradients.py`."""

from __future__ import annotations

from .gradients import clip_grad_norm_, clip_grad_value_

__all__ = ["clip_grad_norm_", "clip_grad_value_"]
