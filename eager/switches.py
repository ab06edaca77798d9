"""Switches of PyTorch that have little to switch here: they are kept and answered.

A program gives the same bits on every run and any number of threads, and products of float32 have float32's precision.
"""

from __future__ import annotations

import warnings

from .. import knobs

_precision = ["highest"]
_deterministic = [False, False]  # asked for; only to warn


def set_float32_matmul_precision(precision: str) -> None:
    """Keeps "highest", "high" or "medium"; with the two lower ones GPUs may multiply with 10 bits (knob tf32). On CPUs products
    have the highest precision in any case."""
    if precision in ("highest", "high", "medium"):
        _precision[0] = precision
        knobs.tf32 = precision != "highest"
    else:
        warnings.warn(f"{precision} is not one of 'highest', 'high', or 'medium'; the current setting stays", stacklevel=2)


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was given last, or ``backends.cuda.matmul.allow_tf32`` stands for."""
    if knobs.tf32 == (_precision[0] != "highest"):
        return _precision[0]
    return "high" if knobs.tf32 else "highest"


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """With True, eager calls give the same bits however often a program has made them before: ops called again and again are
    not compiled (knob hot_ops). What GPUs compile from then on adds floats to one element one after the other (knob
    deterministic; on CPUs every algorithm does). Nothing is refused, and `warn_only` is only kept."""
    if bool(mode) is not _deterministic[0]:
        knobs.hot_ops = not mode
        knobs.deterministic = bool(mode)
    _deterministic[:] = [bool(mode), bool(warn_only)]


def are_deterministic_algorithms_enabled() -> bool:
    """What `use_deterministic_algorithms` was given last."""
    return _deterministic[0]


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """The `warn_only` that `use_deterministic_algorithms` was given last."""
    return _deterministic[1]


def set_flush_denormal(mode: bool) -> bool:
    """False: denormal numbers are never flushed."""
    return False
