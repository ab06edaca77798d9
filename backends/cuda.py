"""``torch.backends.cuda``: there is no GPU. The switches may be set, without effect; attention chooses by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .. import knobs


class Matmul:
    """Switches of products on a GPU."""

    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True

    @property
    def allow_tf32(self) -> bool:
        """Whether products of float32 may be made with 10 bits (knob tf32)."""
        return bool(knobs.tf32)

    @allow_tf32.setter
    def allow_tf32(self, allowed: bool) -> None:
        knobs.tf32 = bool(allowed)


matmul = Matmul()


def is_built() -> bool:
    """False."""
    return False


def flash_sdp_enabled() -> bool:
    """False: there is one kernel of attention here."""
    return False


mem_efficient_sdp_enabled = cudnn_sdp_enabled = flash_sdp_enabled


def math_sdp_enabled() -> bool:
    """True."""
    return True


def enable_flash_sdp(enabled: bool) -> None:
    """Accepted without effect."""


enable_mem_efficient_sdp = enable_math_sdp = enable_cudnn_sdp = enable_flash_sdp


@contextmanager
def sdp_kernel(*args: Any, **kwargs: Any) -> Iterator[None]:
    """Accepted without effect: there is one kernel of attention here."""
    yield
