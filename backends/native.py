"""Machine code that the run time asks for by itself, built once for a processor and kept on disk: the pool's, the blocks'."""

from __future__ import annotations

from typing import Any

from ..errors import LoadError
from ..runtime import loader
from . import kept

#: Both are called once for a job or a large block: code generation without optimisation costs 3 ms each in place of 13.
_LEVEL, _PASSES = 0, ("sroa", "simplify_cfg")


def pool_code() -> Any:
    """The code of `runtime.pool`. LoadError where this system is none that it is written for."""
    from . import pool_text

    _supported("the thread pool")
    return kept.routine("pool", pool_text.text, level=_LEVEL, passes=_PASSES)


def blocks_code() -> Any:
    """The code of `runtime.blocks`. LoadError where this system is none that it is written for."""
    from . import blocks_text

    _supported("the cache of memory")
    return kept.routine("blocks", blocks_text.text, level=_LEVEL, passes=_PASSES)


def _supported(what: str) -> None:
    if not loader.SUPPORTED:
        raise LoadError(f"{what} is written for x86-64 Linux")
