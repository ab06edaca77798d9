"""``torch.backends.mps``: there is no such device."""

from __future__ import annotations


def is_available() -> bool:
    """False."""
    return False


is_built = is_available
