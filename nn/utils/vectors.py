"""Parameters as one vector, layers folded into one another, modules without drawn values."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from ...eager.creation import zeros_like
from ...eager.generated import cat
from ...eager.modes import no_grad
from ...eager.tensor import Tensor
from ..module import Module
from ..parameter import Parameter


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters in one line."""
    return cat([p.reshape(-1) for p in parameters], 0)  # type: ignore[no-any-return]


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Set parameters from one line of their values."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {type(vec).__name__}")
    at = 0
    with no_grad():
        for p in parameters:
            p.copy_(vec[at : at + p.numel()].reshape(tuple(p.shape)))
            at += p.numel()


def fuse_conv_bn_weights(
    conv_w: Tensor, conv_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor | None,
    bn_b: Tensor | None, transpose: bool = False,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """Weight and bias of the convolution that does what the convolution and then the batch norm (in evaluation) did."""
    scale = (bn_rv + bn_eps).rsqrt()
    scale = scale if bn_w is None else scale * bn_w
    shape = [1, -1] if transpose else [-1, 1]
    bias = (zeros_like(bn_rm) if conv_b is None else conv_b) - bn_rm
    bias = bias * scale if bn_b is None else bias * scale + bn_b
    weight = conv_w * scale.reshape(*shape, *[1] * (conv_w.ndim - 2))
    return Parameter(weight.detach(), conv_w.requires_grad), Parameter(bias.detach(), conv_w.requires_grad)


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """A convolution that does what `conv` and `bn` do in evaluation."""
    if conv.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    fused = copy.deepcopy(conv)
    rest = (bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias)
    fused.weight, fused.bias = fuse_conv_bn_weights(fused.weight, fused.bias, *rest, transpose)
    return fused


def fuse_linear_bn_weights(
    linear_w: Tensor, linear_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor, bn_b: Tensor
) -> tuple[Parameter, Parameter]:
    """Weight and bias of the linear map that does what the linear map and then the batch norm (in evaluation) did."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """A linear map that does what `linear` and `bn` do in evaluation."""
    return fuse_conv_bn_eval(linear, bn)


def _converted(module: Any, rank: int, memory_format: Any) -> Any:
    for child in module.modules():
        if getattr(child, "rank", 0) == rank and hasattr(child, "dilation") and hasattr(child, "weight"):
            child.weight.data = child.weight.detach().clone(memory_format=memory_format)
    return module


def convert_conv2d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """The module, the weights of whose 2-d convolutions lie in memory as asked."""
    return _converted(module, 2, memory_format)


def convert_conv3d_weight_memory_format(module: Any, memory_format: Any) -> Any:
    """The module, the weights of whose 3-d convolutions lie in memory as asked."""
    return _converted(module, 3, memory_format)


def skip_init(module_cls: Any, *args: Any, **kwargs: Any) -> Module:
    """A module whose values need not be set by drawing (they are drawn here all the same: that costs little)."""
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    return module_cls(*args, **kwargs)  # type: ignore[no-any-return]
