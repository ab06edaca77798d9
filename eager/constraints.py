"""Checks of distributions' parameters and values, and of what losses and draws refuse."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.ops.checked import bounded, refuse
from .executor import is_plain
from .pure import pure

_CHECKS: Any = {
    "true": lambda x: x != 0,
    "real": lambda x: x == x,
    "positive": lambda x: x > 0,
    "nonnegative": lambda x: x >= 0,
    "unit interval": lambda x: (x >= 0) & (x <= 1),
    "count": lambda x: (x >= 0) & (x == np.floor(x)),
    "boolean": lambda x: (x == 0) | (x == 1),
    "one-hot": lambda x: ((x == 0) | (x == 1)).all(-1) & (x.sum(-1) == 1),
}


@pure
def within(x: Any, **bounds: Any) -> Any:
    """`x`, of whose elements `refuse` refuses some; of a traced tensor the kernel does that reads the result."""
    if not is_plain(x):
        return bounded(x, **bounds)
    refuse(x._array, **bounds)
    return x


@pure
def holds(x: Any, what: str) -> Any:
    """Whether every element (or row) of `x` is `what`: "real", "positive", "simplex" ... Of a tensor without values at hand (a
    traced one, one on a GPU) a Tensor says so; a graph looks at it before it writes anything."""
    if not hasattr(x, "meta"):
        return True
    if x._array is None:
        return _condition(x, what).all()
    wide = x._array.astype(np.float64)
    with np.errstate(all="ignore"):
        if what == "simplex":  # sums that lost digits in a half type are sums still
            close = (1e-2 if x.dtype.is_half else 1e-6) * max(wide.shape[-1], 10)
            return bool(np.all(wide >= 0) and np.all(np.abs(wide.sum(-1) - 1) < close))
        return bool(np.all(_CHECKS[what](wide)))


def _condition(x: Any, what: str) -> Any:
    """A tensor of bools, all of them true where `holds` is."""
    if what == "true":
        return x != 0
    if what == "real":
        return x == x
    if what == "positive":
        return x > 0
    if what == "nonnegative":
        return x >= 0
    if what == "unit interval":
        return (x >= 0) & (x <= 1)
    if what == "count":
        return (x >= 0) & (x == x.floor())
    if what == "boolean":
        return (x == 0) | (x == 1)
    if what == "one-hot":
        return ((x == 0) | (x == 1)).all(-1) & (x.sum(-1) == 1)
    close = (1e-2 if x.dtype.is_half else 1e-6) * max(x.shape[-1], 10)
    return (x >= 0).all(-1) & ((x.sum(-1) - 1).abs() < close)
