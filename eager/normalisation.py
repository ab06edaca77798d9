"""Normalisation over batches and groups of channels: plain functions over records, so that gradients and kernels follow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..errors import ShapeError
from . import generated as g
from . import notices
from .functional import reshape
from .modes import no_grad
from .neural import dropout
from .pure import pure
from .served import served

if TYPE_CHECKING:
    from .tensor import Tensor


def _per_channel(v: Tensor, x: Tensor) -> Tensor:
    return reshape(v, (v.shape[0], *(1,) * (x.ndim - 2))) if x.ndim > 2 else v


def _wide(x: Tensor) -> Tensor:
    """Half types normalise in float32."""
    return x.float() if x.dtype.is_half else x


@pure
def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: Any = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Each channel (dimension 1) with mean 0 and variance 1, then times `weight` plus `bias`. In training by the statistics of
    the batch, which `running_mean` and `running_var` follow by the factor `momentum` (number or 0-d tensor); else by these."""
    if input.ndim < 2:
        raise ShapeError(f"batch_norm: needs a batch and a channel dimension, got {list(input.shape)}")
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("Expected running_mean and running_var to be defined when training=False")
        return _by_running(input, running_mean, running_var, weight, bias, eps)
    count = math.prod(input.shape[d] for d in (0, *range(2, input.ndim)))
    if count == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
    out, mean, var = _by_batch(input, weight, bias, eps)
    if running_mean is not None and running_var is not None:
        with no_grad():
            _follow(running_mean, mean.detach(), momentum)
            _follow(running_var, var.detach() * (count / (count - 1)), momentum)
    return out


@served
@pure
def _by_running(input: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    x, mean = _wide(input), _wide(mean)
    scale = (_wide(var) + eps).rsqrt()
    scale = scale if weight is None else scale * _wide(weight)
    shift = -mean * scale if bias is None else _wide(bias) - mean * scale
    out = x * _per_channel(scale, x) + _per_channel(shift, x)
    return out.to(input.dtype)


@served
@pure
def _by_batch(input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """The result by the batch's own statistics, and mean and biased variance of each channel."""
    x = _wide(input)
    dims = (0, *range(2, x.ndim))
    mean, var = x.mean(dims), x.var(dims, correction=0)
    scale = (var + eps).rsqrt()
    scale = scale if weight is None else scale * _wide(weight)
    out = (x - _per_channel(mean, x)) * _per_channel(scale, x)
    out = out if bias is None else out + _per_channel(_wide(bias), x)
    return out.to(input.dtype), mean, var


@served
@pure
def _followed(running: Tensor, value: Tensor, momentum: Any) -> Tensor:
    return running * (1 - momentum) + value.to(running.dtype) * momentum  # type: ignore[no-any-return]


def _follow(running: Tensor, value: Tensor, momentum: Any) -> None:
    running.copy_(_followed(running, value, momentum))


@served
@pure
def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Each of `num_groups` groups of channels (dimension 1) of each example with mean 0 and variance 1, then an affine map."""
    n, c = input.shape[:2]
    if c % num_groups:
        raise RuntimeError(f"Expected number of channels in input to be divisible by num_groups, but got input of shape "
                           f"{list(input.shape)} and num_groups={num_groups}")  # fmt: skip
    rest = (c // num_groups, *input.shape[2:])
    if n * math.prod(rest) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(input.shape)}")
    split = reshape(_wide(input), (n, num_groups, *rest))
    out = reshape(g.layer_norm(split, rest, None, None, eps), tuple(input.shape))
    out = out if weight is None else out * _per_channel(_wide(weight), input)
    out = out if bias is None else out + _per_channel(_wide(bias), input)
    return out.to(input.dtype)


@pure
def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None, weight: Tensor | None = None,
    bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Each channel of each example with mean 0 and variance 1, then an affine map; the running statistics follow the mean of the
    examples' own, and serve where `use_input_stats` is False."""
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if math.prod(input.shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    if running_mean is not None and running_var is not None:
        x, dims = _wide(input), tuple(range(2, input.ndim))
        with no_grad():
            _follow(running_mean, x.mean(dims).mean(0), momentum)
            _follow(running_var, x.var(dims).mean(0), momentum)
    return group_norm(input, int(input.shape[1]), weight, bias, eps)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, each channel (dimensions 0 and 1) zero with probability `p`, else divided by ``1 - p``."""
    if input.ndim not in (3, 4):
        notices.flat_dropout("dropout2d", input.ndim)
    if not training or p == 0.0:
        return input
    ones = input.new_ones((*input.shape[:2], *(1,) * (input.ndim - 2)))
    out = input * dropout(ones, p, True)
    return input.copy_(out) if inplace else out
