"""Layers and models in PyTorch's shape."""

from __future__ import annotations

import importlib
from typing import Any

from . import functional, init, utils
from .containers import ModuleDict, ModuleList, Sequential
from .convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .embedding import Embedding
from .layers import (
    GELU,
    Dropout,
    Dropout2d,
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
from .losses import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, L1Loss, MSELoss, NLLLoss
from .module import Module
from .normalisation import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
)
from .parameter import Buffer, Parameter
from .pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from .transformer import (
    MultiheadAttention,
    RMSNorm,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from .upsampling import Upsample

__all__ = [
    "GELU",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Buffer",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "Embedding",
    "Flatten",
    "GroupNorm",
    "Identity",
    "L1Loss",
    "LayerNorm",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NLLLoss",
    "Parameter",
    "RMSNorm",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "Upsample",
    "functional",
    "init",
    "utils",
]  # fmt: skip

#: Module of this folder, loaded at first use -> layers in it.
_LATER = {
    "activations": "Threshold RReLU Hardtanh ReLU6 Hardsigmoid Hardswish Mish ELU CELU SELU GLU Hardshrink Softshrink LeakyReLU "
                   "LogSigmoid Softplus PReLU Softsign Tanhshrink Softmin Softmax2d",
    "criteria": "SmoothL1Loss HuberLoss KLDivLoss PoissonNLLLoss GaussianNLLLoss MarginRankingLoss HingeEmbeddingLoss "
                "SoftMarginLoss MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss CosineEmbeddingLoss "
                "TripletMarginLoss TripletMarginWithDistanceLoss CTCLoss CosineSimilarity PairwiseDistance",
    "containers": "DataParallel",
    "normalisation": "SyncBatchNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d LocalResponseNorm CrossMapLRN2d",
    "padding": "ConstantPad1d ConstantPad2d ConstantPad3d ZeroPad1d ZeroPad2d ZeroPad3d ReflectionPad1d ReflectionPad2d "
               "ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d CircularPad1d CircularPad2d CircularPad3d",
    "parameterlists": "ParameterList ParameterDict",
    "unpooling": "LPPool1d LPPool2d LPPool3d MaxUnpool1d MaxUnpool2d MaxUnpool3d FractionalMaxPool2d FractionalMaxPool3d",
    "adaptive": "AdaptiveLogSoftmaxWithLoss LinearCrossEntropyLoss LinearCrossEntropyOptions",
    "dropout": "Dropout1d Dropout3d AlphaDropout FeatureAlphaDropout",
    "rearranging": "Unflatten PixelShuffle PixelUnshuffle ChannelShuffle Unfold Fold Bilinear",
    "upsampling": "UpsamplingNearest2d UpsamplingBilinear2d",
    "embedding": "EmbeddingBag",
    "lazy": "LazyLinear LazyConv1d LazyConv2d LazyConv3d LazyConvTranspose1d LazyConvTranspose2d "
            "LazyConvTranspose3d LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d LazyInstanceNorm1d LazyInstanceNorm2d "
            "LazyInstanceNorm3d",
    "parameter": "UninitializedParameter UninitializedBuffer",
    "transformer": "Transformer",
    "recurrent": "RNNBase RNN LSTM GRU RNNCellBase RNNCell LSTMCell GRUCell",
}  # fmt: skip
#: PyTorch's names of base classes and helpers, by which programs ask for families of layers
_INNER = {
    "convolution": "_ConvNd",
    "everywhere": "register_module_forward_pre_hook register_module_forward_hook register_module_full_backward_hook "
                  "register_module_backward_hook register_module_full_backward_pre_hook "
                  "register_module_parameter_registration_hook register_module_buffer_registration_hook "
                  "register_module_module_registration_hook",
    "lazy": "LazyModuleMixin",
    "layers": "_DropoutNd NonDynamicallyQuantizableLinear",
    "normalisation": "_NormBase _BatchNorm _InstanceNorm",
    "padding": "_ConstantPadNd _ReflectionPadNd _ReplicationPadNd _CircularPadNd",
    "pooling": "_MaxPoolNd _AvgPoolNd _AdaptiveAvgPoolNd _AdaptiveMaxPoolNd",
    "unpooling": "_LPPoolNd _MaxUnpoolNd",
    "transformer": "_get_activation_fn _get_clones",
    "losses": "_Loss _WeightedLoss",
}  # fmt: skip
_PLACES = {name: module for rows in (_LATER, _INNER) for module, row in rows.items() for name in row.split()}
__all__ += sorted(name for row in _LATER.values() for name in row.split())


def __getattr__(name: str) -> Any:
    if name in ("attention", "modules", "parallel"):
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    return globals().setdefault(name, found)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
