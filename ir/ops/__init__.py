"""All op records. Importing this registers them; nothing else is keyed by an op's name."""

from __future__ import annotations

from . import (
    attention,
    casts,
    compare,
    composites,
    conv_steps,
    convolution,
    creation,
    indexing,
    linalg,
    moves,
    ordering,
    pointwise,
    pooling,
    random,
    reductions,
    scans,
    shape,
    views,
)

__all__ = [
    "attention", "casts", "compare", "composites", "conv_steps", "convolution", "creation", "indexing", "linalg", "moves",
    "ordering", "pointwise", "pooling", "random", "reductions", "scans", "shape", "views",
]  # fmt: skip
