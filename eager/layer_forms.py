"""Functions of `nn.functional` in the form that PyTorch's top namespace has them in: weights first, options by number or by
position. Computes nothing itself."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .tensor import Tensor

_REDUCTIONS = {0: "none", 1: "mean", 2: "sum"}


def _of_layers(name: str) -> Any:
    return getattr(importlib.import_module(f"{__package__.rpartition('.')[0]}.nn.functional"), name)


def _loss(name: str) -> Any:
    def loss(*args: Any, reduction: Any = 0, **kwargs: Any) -> Any:
        return _of_layers(name)(*args, reduction=_REDUCTIONS.get(reduction, reduction), **kwargs)

    loss.__name__ = loss.__qualname__ = name
    loss.__doc__ = f"`nn.functional.{name}`; `reduction` is also a number: 0 none, 1 mean, 2 sum."
    return loss


kl_div, binary_cross_entropy_with_logits, cosine_embedding_loss, margin_ranking_loss = (
    _loss("kl_div"), _loss("binary_cross_entropy_with_logits"), _loss("cosine_embedding_loss"), _loss("margin_ranking_loss"),
)  # fmt: skip
hinge_embedding_loss, triplet_margin_loss = _loss("hinge_embedding_loss"), _loss("triplet_margin_loss")


def poisson_nll_loss(input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int) -> Any:
    """`nn.functional.poisson_nll_loss`, `reduction` by number."""
    return _of_layers("poisson_nll_loss")(input, target, log_input, full, eps=eps, reduction=_REDUCTIONS[reduction])


def embedding(
    weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Any:
    """Rows of `weight` by `indices`: `nn.functional.embedding`, weights first."""
    return _of_layers("embedding")(indices, weight, None if padding_idx < 0 else padding_idx)


def batch_norm(
    input: Tensor, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool, momentum: float, eps: float,
    cudnn_enabled: bool = True,
) -> Any:  # fmt: skip
    """`nn.functional.batch_norm`, weights first."""
    return _of_layers("batch_norm")(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(
    input: Tensor, weight: Any, bias: Any, running_mean: Any, running_var: Any, use_input_stats: bool, momentum: float,
    eps: float, cudnn_enabled: bool = True,
) -> Any:  # fmt: skip
    """`nn.functional.instance_norm`, weights first."""
    return _of_layers("instance_norm")(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def rms_norm(input: Tensor, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    """`nn.functional.rms_norm`."""
    return _of_layers("rms_norm")(input, tuple(normalized_shape), weight, eps)


def adaptive_max_pool1d(input: Tensor, output_size: Any) -> Any:
    """(values, places) of `nn.functional.adaptive_max_pool1d`."""
    return _of_layers("adaptive_max_pool1d")(input, output_size, return_indices=True)


def grid_sampler(input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool) -> Any:
    """`nn.functional.grid_sample`, modes by number."""
    modes, paddings = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
    return _of_layers("grid_sample")(input, grid, modes[interpolation_mode], paddings[padding_mode], align_corners)


grid_sampler_2d = grid_sampler


def constant_pad_nd(input: Tensor, pad: Sequence[int], value: Any = 0) -> Any:
    """`nn.functional.pad` by a constant."""
    return _of_layers("pad")(input, list(pad), value=value)


def dropout_(input: Tensor, p: float, train: bool) -> Any:
    """`dropout`, stored in `input`."""
    return _of_layers("dropout")(input, p, train, inplace=True)


def feature_dropout(input: Tensor, p: float, train: bool) -> Any:
    """Whole channels dropped: `nn.functional.dropout2d` for any rank from 3."""
    return _of_layers({3: "dropout1d", 5: "dropout3d"}.get(input.ndim, "dropout2d"))(input, p, train)
