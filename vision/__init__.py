"""The vision part, in torchvision's shape: `datasets`, `transforms`, `models`, `utils`; and digits that ship with fusewire.

Downloads nothing unless a data set is told to.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["datasets", "load_digits", "models", "transforms", "utils"]
__version__ = "0.28.0"  # of the torchvision whose shape this has


def __getattr__(name: str) -> Any:
    if name == "load_digits":
        return importlib.import_module(f"{__name__}.digits").load_digits
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
