"""Anomaly mode: where a backward pass goes wrong, say which line of the forward program made that step.

`tape` keeps the lines while the mode is on; here is what `autograd` asks of such nodes. Computes no gradient.
"""

from __future__ import annotations

import traceback
import warnings
from typing import Any

import numpy as np

from ..errors import AutogradError
from . import tape

_check_nan = True


class set_detect_anomaly:
    """Switch the mode on or off; as a context manager it is undone at the end of the block. With `check_nan` a gradient that
    holds a NaN is an error (AutogradError) too."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        global _check_nan
        self.before = tape.watching, _check_nan
        tape.watch(bool(mode))
        _check_nan = check_nan

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        global _check_nan
        tape.watch(self.before[0])
        _check_nan = self.before[1]


class detect_anomaly(set_detect_anomaly):
    """``with detect_anomaly():`` or ``with detect_anomaly(check_nan=False):``."""

    def __init__(self, check_nan: bool = True) -> None:
        self.wanted = check_nan

    def __enter__(self) -> None:
        set_detect_anomaly.__init__(self, True, self.wanted)


def is_anomaly_enabled() -> bool:
    """Whether the mode is on."""
    return tape.watching


def is_anomaly_check_nan_enabled() -> bool:
    """Whether NaN is an error while the mode is on."""
    return _check_nan


def examined(node: Any, forward: list[Any], grads: tuple[Any, ...]) -> tuple[Any, ...]:
    """``node.apply(grads)``; where it fails or gives NaN, a warning shows the `forward` call first."""
    try:
        made: tuple[Any, ...] = node.apply(grads)
    except Exception:
        _tell(node, forward)
        raise
    if tape.watching and _check_nan:
        for i, g in enumerate(made):
            if g is not None and g._array is not None and g.meta.dtype.is_inexact and bool(np.isnan(g._array.astype("f8")).any()):
                _tell(node, forward)
                where = f" (made at {forward[-1].filename}:{forward[-1].lineno})" if forward else ""
                raise AutogradError(f"Function '{node.name()}' returned nan values in its {i}th output.{where}")
    return made


def _tell(node: Any, forward: list[Any]) -> None:
    text = "".join(traceback.format_list(forward))
    warnings.warn(
        f"Error detected in {node.name()}. Traceback of forward call that caused the error:\n{text}", stacklevel=2
    )
