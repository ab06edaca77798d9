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
    "CrossEntropyLoss()": "x, cls_", "CrossEntropyLoss(w6_, label_smoothing=0.1)": "x, cls_", "CrossEntropyLoss(reduction='sum')": "x, prob",
    "BCELoss()": "prob, bits_", "BCELoss(w6_, reduction='sum')": "prob, bits_", "BCEWithLogitsLoss()": "x, bits_",
    "BCEWithLogitsLoss(w6_, pos_weight=w6_ + 1)": "x, bits_", "SmoothL1Loss()": "x, y", "SmoothL1Loss(beta=0.2)": "x, y",
    "HuberLoss('sum', 0.4)": "x, y", "KLDivLoss(reduction='batchmean')": "logp, prob", "KLDivLoss(log_target=True)": "logp, logp",
    "PoissonNLLLoss()": "x, count_", "PoissonNLLLoss(False, True)": "prob, count_", "GaussianNLLLoss(full=True)": "x, y, prob",
    "MarginRankingLoss(0.3)": "v, w, sign_", "HingeEmbeddingLoss(0.5)": "v, sign_", "SoftMarginLoss()": "v, sign_",
    "MultiLabelMarginLoss()": "x, labels_", "MultiLabelSoftMarginLoss(w6_)": "x, bits_", "MultiMarginLoss()": "x, cls_",
    "MultiMarginLoss(2, 0.5, w6_)": "x, cls_", "CosineEmbeddingLoss(0.1)": "x, y, sign_", "TripletMarginLoss(swap=True)": "x, y, z",
    "TripletMarginWithDistanceLoss(margin=0.5)": "x, y, z", "CTCLoss()": "long.log_softmax(2), labels2_, (7, 6), (3, 2)",
    "CosineSimilarity()": "x, y", "CosineSimilarity(0, 1e-3)": "x, y", "PairwiseDistance(1.0, keepdim=True)": "x, y",
}  # fmt: skip

ROWS = [*ACTIVATIONS.items(), *LOSSES.items()]


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
        "x": x, "x_": normal(5, 6), "y": normal(5, 6), "z": normal(5, 6), "v": normal(5), "w": normal(5), "image": normal(2, 4, 6, 6),
        "logp": np.log(softmax(normal(5, 6))), "prob": softmax(normal(5, 6)), "cls_": rng.integers(0, 6, 5),
        "clsmap_": rng.integers(0, 4, (2, 6, 6)), "w6_": rng.random(6).astype(np.float32) + np.float32(0.5),
        "bits_": rng.integers(0, 2, (5, 6)).astype(np.float32), "count_": rng.integers(0, 5, (5, 6)).astype(np.float32),
        "sign_": np.array([1, -1, 1, 1, -1], np.float32), "labels_": np.array([[3, 1, -1, 0, 0, 0]] * 4 + [[5, 2, 0, -1, 1, 1]]),
        "long": normal(7, 2, 5), "labels2_": rng.integers(1, 5, (2, 3)), "line": normal(2, 4, 9),
        "volume": normal(2, 2, 4, 5, 4), "ids_": rng.integers(0, 10, (3, 4)), "flat_ids_": rng.integers(0, 10, 9),
        "offsets_": np.array([0, 3, 3, 7]), "columns": normal(2, 12, 9), "one": normal(4, 9), "seq": normal(5, 3, 4),
        "seq1": normal(5, 4), "step": normal(3, 4),
    }  # fmt: skip
