"""Checks of distributions' parameters and values. A traced tensor has no values yet and passes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .pure import pure

_CHECKS: Any = {
    "true": lambda x: x != 0,
    "real": lambda x: x == x,
    "positive": lambda x: x > 0,
    "nonnegative": lambda x: x >= 0,
    "unit interval": lambda x: (x >= 0) & (x <= 1),
    "count": lambda x: (x >= 0) & (x == np.floor(x)),
    "boolean": lambda x: (x == 0) | (x == 1),
    "simplex": lambda x: (x >= 0).all(-1) & (np.abs(x.sum(-1) - 1) < 1e-6 * max(x.shape[-1], 10)),
    "one-hot": lambda x: ((x == 0) | (x == 1)).all(-1) & (x.sum(-1) == 1),
}


@pure
def holds(x: Any, what: str) -> bool:
    """Whether every element (or row) of `x` is `what`: "real", "positive", "simplex" ...; True of a traced tensor."""
    if not hasattr(x, "meta") or x._array is None:
        return True
    with np.errstate(all="ignore"):
        return bool(np.all(_CHECKS[what](x._array.astype(np.float64))))
