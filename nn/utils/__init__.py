"""`fusewire.nn.utils`: PyTorch's address for what is in `nn/gradients.py`, and helpers of modules."""

from __future__ import annotations

import importlib
from typing import Any

from ..gradients import clip_grad_norm, clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm

#: Module of this folder, loaded at first use -> functions in it.
_LATER = {
    "vectors": "parameters_to_vector vector_to_parameters fuse_conv_bn_eval fuse_conv_bn_weights fuse_linear_bn_eval "
               "fuse_linear_bn_weights skip_init convert_conv2d_weight_memory_format convert_conv3d_weight_memory_format",
    "hooked": "weight_norm remove_weight_norm spectral_norm remove_spectral_norm WeightNorm SpectralNorm",
}  # fmt: skip
_PLACES = {name: module for module, row in _LATER.items() for name in row.split()}
_MODULES = ("rnn", "parametrize", "parametrizations", "stateless", "prune", "clip_grad", "convert_parameters", "fusion")
__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm",
           *sorted(_PLACES), *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    return globals().setdefault(name, found)
