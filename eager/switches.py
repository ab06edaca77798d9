"""Switches of PyTorch that have little to switch here: they are kept and answered.

A program gives the same bits on every run and any number of threads, and products of float32 have float32's precision.
"""

from __future__ import annotations

import warnings
from typing import Any

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


def get_num_interop_threads() -> int:
    """1: ops run one after the other."""
    return 1


def set_num_interop_threads(num: int) -> None:
    """Accepted without effect: ops run one after the other."""


def set_warn_always(b: bool) -> None:
    """Accepted: warnings are Python's, whose filters say how often they are shown."""


def is_warn_always_enabled() -> bool:
    """False."""
    return False


def get_deterministic_debug_mode() -> int:
    """0, 1 (warn) or 2 (error): what `use_deterministic_algorithms` was given."""
    if not are_deterministic_algorithms_enabled():
        return 0
    return 1 if is_deterministic_algorithms_warn_only_enabled() else 2


def set_deterministic_debug_mode(debug_mode: Any) -> None:
    """`use_deterministic_algorithms` by "default", "warn" or "error", or 0, 1, 2."""
    mode = {"default": 0, "warn": 1, "error": 2}.get(debug_mode, debug_mode)
    if mode not in (0, 1, 2):
        raise RuntimeError(f"invalid value of debug_mode, expected `default`, `warn` or `error`, but got {debug_mode}")
    use_deterministic_algorithms(mode > 0, warn_only=mode == 1)


def compiled_with_cxx11_abi() -> bool:
    """True."""
    return True


def is_vulkan_available() -> bool:
    """False."""
    return False
