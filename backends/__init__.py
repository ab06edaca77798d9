"""Everything that turns kernels and plans into machine code. Knows neither Tensor nor tracer."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

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


def __getattr__(name: str) -> Any:
    if name in ("cudnn", "cuda", "mps"):  # what PyTorch has under this name
        return importlib.import_module(f"{__name__}.{name}")
    if name in ("cpu_info", "mha", "miopen", "mkl", "mkldnn", "nnpack", "openmp", "opt_einsum", "quantized", "xeon", "xnnpack"):
        return importlib.import_module(f"{__name__}.absent")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
