"""Functions of `fusewire.nn.functional`: the eager library's, under PyTorch's address.

Every function of a record is found here, so that a new one needs no entry; `__all__` names those that PyTorch has.
"""

from __future__ import annotations

from typing import Any

from ..eager import generated
from ..eager.generated import gelu, layer_norm, sigmoid, tanh
from ..eager.neural import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    dropout,
    l1_loss,
    leaky_relu,
    linear,
    log_softmax,
    mse_loss,
    nll_loss,
    normalize,
    relu,
    scaled_dot_product_attention,
    silu,
    softmax,
)

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "dropout", "gelu", "l1_loss", "layer_norm",
    "leaky_relu", "linear", "log_softmax", "mse_loss", "nll_loss", "normalize", "relu", "scaled_dot_product_attention", "sigmoid",
    "silu", "softmax", "tanh",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in generated.__all__:
        return getattr(generated, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *generated.__all__})
