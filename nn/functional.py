"""Functions of `fusewire.nn.functional`: the eager library's, under PyTorch's address."""

from __future__ import annotations

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
