"""Everything that turns kernels and plans into machine code. Knows neither Tensor nor tracer."""

from __future__ import annotations

from collections.abc import Mapping

from ..runtime import pool


def _pool_code() -> Mapping[str, int]:
    from .native import code

    return code()


pool.provide(_pool_code)
