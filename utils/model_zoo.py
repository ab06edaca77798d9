"""``torch.utils.model_zoo``: the older names of what `hub` has. Fetches weights, never code."""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {"load_url": "load_state_dict_from_url", "_download_url_to_file": "download_url_to_file"}


def __getattr__(name: str) -> Any:
    if name in _NAMES or name in ("load_state_dict_from_url", "download_url_to_file"):
        hub = importlib.import_module(f"{__package__.rpartition('.')[0]}.namespace.hub")
        return getattr(hub, _NAMES.get(name, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
