"""``torch.version``: ours, and which vendor's GPUs there are (read when asked; no driver is started by the import)."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
debug, git_version, xpu = False, None, None


def __getattr__(name: str) -> Any:
    """`cuda` and `hip`: the version of the driver's interface as text; None where it is not that vendor's."""
    if name not in ("cuda", "hip"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .runtime.gpu import device

    if not device.is_available() or device.driver().target != name:
        return None
    number: int = device.driver().version
    return f"{number // 1000}.{number % 1000 // 10}" if name == "cuda" else f"{number // 10**7}.{number // 10**5 % 100}"
