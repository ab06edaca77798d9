"""The machine code that `runtime.pool` runs: compiled once for a processor, kept on disk, mapped when first asked for."""

from __future__ import annotations

from typing import Any

from ..errors import LoadError
from ..runtime import loader
from . import kept


def code() -> Any:
    """The mapped code. LoadError where this system is none that it is written for."""
    from . import pool_text

    if not loader.SUPPORTED:
        raise LoadError("the thread pool is written for x86-64 Linux")
    return kept.routine("pool", pool_text.text, passes=("sroa", "simplify_cfg"))
