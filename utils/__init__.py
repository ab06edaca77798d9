"""Things beside the model. `utils.data` feeds it, `utils.checkpoint` spares its memory."""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name in ("_pytree", "checkpoint", "data", "dlpack", "model_zoo", "tensorboard"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
