"""``torch.signal``: `windows`."""

from __future__ import annotations

from ..eager import windowing as windows

__all__ = ["windows"]
