"""Functions of `fusewire.nn.functional`: the eager library's, under PyTorch's address.

Every function of a record is found here, so that a new one needs no entry; `__all__` names those that PyTorch has.
"""

from __future__ import annotations

from typing import Any

from ..eager import generated, later
from ..eager.arranging import pad
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
    rms_norm,
    silu,
    softmax,
)
from ..eager.normalisation import batch_norm, dropout2d, group_norm, instance_norm
from ..eager.resampling import interpolate
from ..eager.scattering import embedding, one_hot
from ..eager.windows import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from .attention.bias import scaled_dot_product_attention

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "batch_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cross_entropy", "dropout",
    "dropout2d", "embedding", "gelu", "group_norm", "instance_norm", "interpolate", "l1_loss", "layer_norm", "leaky_relu",
    "linear", "log_softmax", "max_pool1d", "max_pool2d", "max_pool3d", "mse_loss", "nll_loss", "normalize", "one_hot", "pad",
    "relu", "rms_norm", "scaled_dot_product_attention", "sigmoid", "silu", "softmax", "tanh",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in generated.__all__:
        return getattr(generated, name)
    found = later.find_layer(name)
    if found is not None:
        return globals().setdefault(name, found)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *generated.__all__})
