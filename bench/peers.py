"""The peers that are installed here: PyTorch eager, torch.compile, jax.jit. Nothing of the product needs them."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from typing import Any

TORCH_EAGER, TORCH_COMPILE, JAX = "torch eager", "torch.compile", "jax.jit"
#: libraries that are not to be measured, though they may be installed
LEFT_OUT: set[str] = set()


def pin(threads: int) -> None:
    """This process, and with it all libraries loaded later, on the first `threads` of the processors it may use."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def installed(name: str) -> bool:
    """Whether the library of that name can be imported here and is not left out."""
    return name not in LEFT_OUT and importlib.util.find_spec(name) is not None


def torch_at(threads: int) -> Any:
    """PyTorch with that many threads; None where it is not installed."""
    if not installed("torch"):
        return None
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)
    return torch


def jax_here() -> Any:
    """JAX; None where it is not installed."""
    return importlib.import_module("jax") if installed("jax") else None


def works(call: Callable[[], object]) -> bool:
    """Whether a peer's first call goes through; says why where it does not (no C++ compiler, say)."""
    try:
        call()
    except Exception as error:  # whatever goes wrong inside of the peer, the row is printed without it
        print(f"# left out: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}", flush=True)
        return False
    return True
