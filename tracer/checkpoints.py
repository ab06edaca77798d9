"""Checkpoints in a region: the part is followed like any call, for what a graph saves is found by a minimum cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..utils.checkpoint import checkpoint
from .breaks import Break
from .special import models

if TYPE_CHECKING:
    from .session import Session


@models(checkpoint)
def _checkpoint(
    s: Session, function: Callable[..., Any], *args: Any, use_reentrant: Any = None, preserve_rng_state: Any = True,
    context_fn: Any = None, determinism_check: Any = "default", debug: Any = False, early_stop: Any = True, **kwargs: Any,
) -> Any:  # fmt: skip
    if context_fn is not None:
        raise Break("tensor-state", "a checkpoint with contexts of its own")
    return s.call(function, args, kwargs)
