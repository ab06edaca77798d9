"""A module's call with other tensors in the places of its own; the function itself is in `nn/swapping.py`."""

from __future__ import annotations

from ..swapping import functional_call

__all__ = ["functional_call"]
