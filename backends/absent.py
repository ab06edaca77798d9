"""``torch.backends.mkl``, ``mkldnn``, ``openmp``, ``opt_einsum`` and kin: libraries that fusewire does without. Switches are
kept and change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

enabled = False
allow_tf32 = False
deterministic = False
strategy: str | None = None


def is_available() -> bool:
    """False."""
    return False


def get_cpu_capability() -> str:
    """ "DEFAULT": machine code is made for this processor when it is needed."""
    return "DEFAULT"


def set_flags(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
    """Accepted without effect."""
    return ()


@contextmanager
def flags(*args: Any, **kwargs: Any) -> Iterator[None]:
    """Accepted without effect."""
    yield


verbose = flags
