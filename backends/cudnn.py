"""``torch.backends.cudnn``: there is no cuDNN. The switches may be set, without effect."""

from __future__ import annotations

enabled, benchmark, deterministic, allow_tf32 = False, False, False, False


def is_available() -> bool:
    """False."""
    return False


def version() -> None:
    """None: no version is there."""
