"""All op records. Importing this registers all but those of `RARE` modules; nothing else is keyed by an op's name."""

from __future__ import annotations

import importlib

from . import (
    attention,
    casts,
    checked,
    compare,
    composites,
    conv_steps,
    convolution,
    creation,
    indexing,
    linalg,
    linear,
    moves,
    ordering,
    pointwise,
    pooling,
    random,
    rectifiers,
    reductions,
    scans,
    shape,
    transcendental,
    views,
)

__all__ = [
    "attention", "casts", "checked", "compare", "composites", "conv_steps", "convolution", "creation", "indexing", "linalg",
    "linear", "moves", "ordering", "pointwise", "pooling", "random", "rectifiers", "reductions", "scans", "shape",
    "transcendental", "views",
]  # fmt: skip

#: Modules of records that few programs use: loaded by the public functions over them, or by `load_rare`.
RARE = (
    "complexes", "searching", "special", "decompositions", "spectra", "factors", "symmetric", "fourier", "lstm", "gru", "rnn",
    "flex", "launches",
)  # fmt: skip


def load_rare() -> None:
    """Register the records of every `RARE` module."""
    for name in RARE:
        importlib.import_module(f"{__name__}.{name}")
