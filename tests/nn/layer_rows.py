"""Layers and losses with inputs: ``"Layer(arguments)": "names of inputs"``, read by both libraries. `nn` and `t` (their top
namespace) are in scope; inputs are made from NumPy arrays by `inputs`, floating ones with gradients where the name has no "_"."""

from __future__ import annotations

from typing import Any

import numpy as np

ACTIVATIONS = {
    "Threshold(0.1, 20)": "x", "ReLU()": "x", "ReLU(inplace=True)": "x_", "RReLU()": "", "Hardtanh(-0.5, 0.7)": "x",
    "ReLU6()": "x", "ReLU6(inplace=True)": "x_", "Sigmoid()": "x", "Hardsigmoid()": "x", "Tanh()": "x", "SiLU()": "x",
    "SiLU(inplace=True)": "x_", "Mish()": "x", "Mish(inplace=True)": "x_", "Hardswish()": "x", "Hardswish(inplace=True)": "x_",
    "ELU(0.7)": "x", "ELU(inplace=True)": "x_", "CELU(0.7)": "x", "CELU(1.5, True)": "x_", "SELU()": "x",
    "SELU(inplace=True)": "x_", "GLU()": "x", "GLU(1)": "image", "GELU()": "x", "GELU('tanh')": "x", "Hardshrink(0.3)": "x",
    "Softshrink(0.3)": "x", "LeakyReLU()": "x", "LeakyReLU(0.2, inplace=True)": "x_", "LogSigmoid()": "x", "Softplus()": "x",
    "Softplus(2.0, 1.5)": "x", "PReLU()": "x", "PReLU(4)": "image", "PReLU(init=0.1)": "x", "Softsign()": "x",
    "Tanhshrink()": "x", "Softmin(dim=1)": "x", "Softmin()": "x", "Softmax(dim=-1)": "x", "Softmax2d()": "image",
    "LogSoftmax(dim=0)": "x",
}  # fmt: skip
LOSSES = {
    "L1Loss()": "x, y", "L1Loss(reduction='sum')": "x, y", "MSELoss(reduction='none')": "x, y", "MSELoss(False)": "x, y",
    "NLLLoss(w6_, ignore_index=1)": "logp, cls_", "NLLLoss()": "logp, cls_",
    "CrossEntropyLoss()": "x, cls_", "CrossEntropyLoss(w6_, label_smoothing=0.1)": "x, cls_",
    "CrossEntropyLoss(reduction='sum')": "x, prob",
    "BCELoss()": "prob, bits_", "BCELoss(w6_, reduction='sum')": "prob, bits_", "BCEWithLogitsLoss()": "x, bits_",
    "BCEWithLogitsLoss(w6_, pos_weight=w6_ + 1)": "x, bits_", "SmoothL1Loss()": "x, y", "SmoothL1Loss(beta=0.2)": "x, y",
    "HuberLoss('sum', 0.4)": "x, y", "KLDivLoss(reduction='batchmean')": "logp, prob",
    "KLDivLoss(log_target=True)": "logp, logp",
    "PoissonNLLLoss()": "x, count_", "PoissonNLLLoss(False, True)": "prob, count_", "GaussianNLLLoss(full=True)": "x, y, prob",
    "MarginRankingLoss(0.3)": "v, w, sign_", "HingeEmbeddingLoss(0.5)": "v, sign_", "SoftMarginLoss()": "v, sign_",
    "MultiLabelMarginLoss()": "x, labels_", "MultiLabelSoftMarginLoss(w6_)": "x, bits_", "MultiMarginLoss()": "x, cls_",
    "MultiMarginLoss(2, 0.5, w6_)": "x, cls_", "CosineEmbeddingLoss(0.1)": "x, y, sign_",
    "TripletMarginLoss(swap=True)": "x, y, z",
    "TripletMarginWithDistanceLoss(margin=0.5)": "x, y, z", "CTCLoss()": "long.log_softmax(2), labels2_, (7, 6), (3, 2)",
    "CosineSimilarity()": "x, y", "CosineSimilarity(0, 1e-3)": "x, y", "PairwiseDistance(1.0, keepdim=True)": "x, y",
    "AdaptiveLogSoftmaxWithLoss(6, 8, [2, 5], 2.0)": "x, cls_", "LinearCrossEntropyLoss(6, 6, bias=True)": "x, cls_",
    "AdaptiveLogSoftmaxWithLoss(6, 8, [2, 5], 2.0, head_bias=True)": "v6, cls_[0]",
}  # fmt: skip
PLACES = {
    "ConstantPad1d(2, 3.5)": "line", "ConstantPad2d((1, 2, 0, 1), 0.5)": "image", "ConstantPad3d(1, -1.0)": "volume",
    "ZeroPad1d(1)": "line", "ZeroPad2d((1, 0, 2, 1))": "image", "ZeroPad3d(1)": "volume", "ReflectionPad1d((2, 1))": "line",
    "ReflectionPad2d(2)": "image", "ReflectionPad3d(1)": "volume", "ReplicationPad1d(2)": "line", "ReplicationPad2d(1)": "image",
    "ReplicationPad3d((1, 2, 0, 1, 1, 0))": "volume", "CircularPad1d(2)": "line", "CircularPad2d((1, 2, 2, 0))": "image",
    "CircularPad3d(1)": "volume", "MaxPool1d(2, return_indices=True)": "line", "MaxPool2d((2, 3), 2, 1)": "image",
    "MaxPool3d(2)": "volume", "AvgPool1d(3, 2)": "line", "AvgPool2d(2, divisor_override=3)": "image", "AvgPool3d(2, 1)": "volume",
    "AdaptiveAvgPool1d(3)": "line", "AdaptiveAvgPool2d((2, None))": "image", "AdaptiveAvgPool3d(2)": "volume",
    "AdaptiveMaxPool1d(3)": "line", "AdaptiveMaxPool2d(2, return_indices=True)": "image", "AdaptiveMaxPool3d(2)": "volume",
    "LPPool1d(2, 3)": "line", "LPPool2d(3, 2, stride=1)": "image", "LPPool3d(2, 2)": "volume",
    "MaxUnpool1d(2)": "*nn.MaxPool1d(2, return_indices=True)(line)",
    "MaxUnpool2d(2)": "*nn.MaxPool2d(2, return_indices=True)(image)",
    "MaxUnpool3d(2)": "*nn.MaxPool3d(2, return_indices=True)(volume), (4, 5, 4)",
    "Unflatten(1, (2, 2))": "image", "Flatten(2)": "image", "PixelShuffle(2)": "image", "PixelUnshuffle(3)": "image",
    "ChannelShuffle(2)": "image", "Unfold(2, padding=1)": "image", "Fold((4, 4), 2)": "columns",
    "UpsamplingNearest2d(scale_factor=2)": "image", "UpsamplingBilinear2d((9, 4))": "image", "Upsample(5, mode='linear')": "line",
    "Upsample(scale_factor=2, mode='trilinear')": "volume",
    "LocalResponseNorm(2)": "image", "Identity(54, unused=1)": "x", "Dropout(0.3)": "", "Dropout1d()": "", "Dropout2d(0.1)": "",
    "Dropout3d()": "", "AlphaDropout(0.2)": "", "FeatureAlphaDropout()": "", "Dropout(0.0)": "x",
    "CrossMapLRN2d(3, k=2)": "image.detach()", "FractionalMaxPool2d((2, 3), (3, 2), _random_samples=spots_)": "image",
    "FractionalMaxPool3d(2, output_ratio=0.5, return_indices=True)": "",
}
WEIGHTS = {
    "Linear(6, 3)": "x", "Bilinear(6, 6, 3)": "x, y", "Bilinear(6, 6, 2, bias=False)": "x, y", "Embedding(10, 3)": "ids_",
    "Embedding(10, 3, padding_idx=2)": "ids_", "EmbeddingBag(10, 3)": "ids_", "Embedding(10, 3, max_norm=1.0)": "ids_",
    "Embedding(10, 3, max_norm=0.7, norm_type=1.0, scale_grad_by_freq=True)": "ids_",
    "EmbeddingBag(10, 3, max_norm=1.0)": "ids_", "Embedding(10, 3, scale_grad_by_freq=True)": "ids_",
    "EmbeddingBag(10, 3, mode='max')": "ids_",
    "EmbeddingBag(10, 3, mode='sum', padding_idx=1)": "flat_ids_, offsets_", "Conv1d(4, 5, 3)": "line",
    "Conv2d(4, 6, 3, padding=1, groups=2)": "image", "Conv3d(2, 3, 2, bias=False)": "volume",
    "Conv1d(4, 2, 3, padding=2, padding_mode='circular')": "line", "Conv2d(4, 2, 3, padding=1, padding_mode='reflect')": "image",
    "Conv2d(4, 2, (2, 3), padding='same', padding_mode='replicate')": "image",
    "ConvTranspose1d(4, 3, 3, 2)": "line", "ConvTranspose2d(4, 3, 2, 2, output_padding=1)": "image",
    "ConvTranspose3d(2, 3, 2)": "volume", "BatchNorm1d(4)": "line", "BatchNorm2d(4, momentum=None)": "image",
    "BatchNorm3d(2, affine=False)": "volume", "LayerNorm(6)": "x", "LayerNorm((6, 6), bias=False)": "image",
    "GroupNorm(2, 4)": "image", "RMSNorm(6)": "x", "DataParallel(nn.Linear(6, 2))": "x",
    "InstanceNorm1d(4)": "line", "InstanceNorm2d(4, affine=True)": "image",
    "InstanceNorm2d(4, track_running_stats=True)": "image", "InstanceNorm3d(2)": "volume",
    "InstanceNorm1d(4, affine=True)": "one", "SyncBatchNorm(4)": "",
    "MultiheadAttention(4, 2)": "seq, seq, seq", "MultiheadAttention(4, 2, kdim=6, vdim=5, bias=False)": "",
    "MultiheadAttention(4, 2, add_bias_kv=True, add_zero_attn=True, batch_first=True)": "seq, seq, seq",
    "TransformerEncoderLayer(4, 2, 8, 0.0, norm_first=True)": "seq", "TransformerDecoderLayer(4, 2, 8, 0.0)": "seq, seq",
    "RNN(4, 3)": "seq", "RNN(4, 3, 2, nonlinearity='relu', bidirectional=True)": "seq", "RNN(4, 3, bias=False)": "seq1",
    "LSTM(4, 3)": "seq", "LSTM(4, 3, 2, bidirectional=True, batch_first=True)": "seq", "LSTM(4, 5, proj_size=2)": "seq",
    "GRU(4, 3)": "seq", "GRU(4, 3, 2, bidirectional=True)": "seq", "GRU(4, 3, batch_first=True)": "seq1",
    "LSTM(4, 3, 2, dropout=0.2)": "", "RNNCell(4, 3)": "step", "RNNCell(4, 3, bias=False, nonlinearity='relu')": "step",
    "LSTMCell(4, 3)": "step", "GRUCell(4, 3)": "step", "GRUCell(4, 3, bias=False)": "step",
}

ROWS = [*ACTIVATIONS.items(), *LOSSES.items(), *PLACES.items(), *WEIGHTS.items()]


def inputs() -> dict[str, Any]:
    """Arrays by name; a name that ends in "_" takes no gradient."""
    rng = np.random.default_rng(7)

    def normal(*shape: int) -> np.ndarray[Any, Any]:
        return rng.standard_normal(shape).astype(np.float32)

    def softmax(a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        e = np.exp(a - a.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    x = normal(5, 6)
    return {
        "x": x, "x_": normal(5, 6), "y": normal(5, 6), "z": normal(5, 6), "v": normal(5), "w": normal(5),
        "image": normal(2, 4, 6, 6),
        "logp": np.log(softmax(normal(5, 6))), "prob": softmax(normal(5, 6)), "cls_": rng.integers(0, 6, 5),
        "clsmap_": rng.integers(0, 4, (2, 6, 6)), "w6_": rng.random(6).astype(np.float32) + np.float32(0.5),
        "bits_": rng.integers(0, 2, (5, 6)).astype(np.float32), "count_": rng.integers(0, 5, (5, 6)).astype(np.float32),
        "sign_": np.array([1, -1, 1, 1, -1], np.float32), "labels_": np.array([[3, 1, -1, 0, 0, 0]] * 4 + [[5, 2, 0, -1, 1, 1]]),
        "long": normal(7, 2, 5), "labels2_": rng.integers(1, 5, (2, 3)), "line": normal(2, 4, 9),
        "volume": normal(2, 2, 4, 5, 4), "ids_": rng.integers(0, 10, (3, 4)), "flat_ids_": rng.integers(0, 10, 9),
        "offsets_": np.array([0, 3, 3, 7]), "columns": normal(2, 12, 9), "v6": normal(6),
        "spots_": rng.random((2, 4, 2)).astype(np.float32), "one": normal(4, 9), "seq": normal(5, 3, 4),
        "seq1": normal(5, 4), "step": normal(3, 4),
    }  # fmt: skip
