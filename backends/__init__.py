"""Everything that turns kernels and plans into machine code. Knows neither Tensor nor tracer."""

from __future__ import annotations

from collections.abc import Mapping

from ..runtime import blocks, pool


def _pool_code() -> Mapping[str, int]:
    from .native import pool_code

    code: Mapping[str, int] = pool_code()
    return code


def _blocks_code() -> Mapping[str, int]:
    from .native import blocks_code

    code: Mapping[str, int] = blocks_code()
    return code


pool.provide(_pool_code)
blocks.provide(_blocks_code)
