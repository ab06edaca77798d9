"""Layers and models in PyTorch's shape."""

from __future__ import annotations

from . import functional, init, utils
from .containers import ModuleDict, ModuleList, Sequential
from .layers import (
    GELU,
    Dropout,
    Flatten,
    Identity,
    LayerNorm,
    Linear,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from .losses import CrossEntropyLoss, MSELoss
from .module import Module
from .parameter import Buffer, Parameter

__all__ = [
    "GELU", "Buffer", "CrossEntropyLoss", "Dropout", "Flatten", "Identity", "LayerNorm", "Linear", "LogSoftmax", "MSELoss",
    "Module", "ModuleDict", "ModuleList", "Parameter", "ReLU", "Sequential", "SiLU", "Sigmoid", "Softmax", "Tanh", "functional",
    "init", "utils",
]  # fmt: skip
