"""Activations and random dropping of `nn.functional` that are plain functions over ops, each kernel fused when compiled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..errors import DTypeError
from ..ir.ops import pointwise, rectifiers
from ..ir.ops.compare import where
from ..ir.ops.creation import filled
from . import casting, notices
from . import generated as g
from .arguments import wrap_dim
from .arranging import pad
from .executor import apply
from .functional import narrow, reshape, squeeze, unsqueeze
from .inplace import store_checked
from .neural import dropout, leaky_relu, softmax
from .outputs import fills
from .pure import pure
from .random import rand
from .reducing import index_along
from .served import served
from .windows import avg_pool2d, avg_pool3d

if TYPE_CHECKING:
    from .tensor import Tensor


def _own(input: Tensor, inplace: bool) -> Any:
    """`input`, or where it is to be overwritten and has a gradient, a copy which the rules may read later."""
    return input.clone() if inplace and input.requires_grad else input


def _stored(input: Tensor, result: Any, inplace: bool) -> Any:
    return store_checked(input, result) if inplace else result


def _floating(name: str, x: Tensor) -> None:
    if not x.dtype.is_floating_point:
        raise DTypeError(f"{name}: not defined for {x.dtype.name} (got {x.dtype.name}{list(x.shape)})")


def _made_inplace(fn: Any, name: str) -> Any:
    @pure
    def function(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return store_checked(input, fn(_own(input, True), *args, **kwargs))  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`{name[:-1]}`, stored in `input`."
    return function


@pure
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where positive, else ``alpha * (exp(x) - 1)``."""
    x = _own(input, inplace)
    _floating("elu", x)
    return _stored(input, rectifiers.elu(x, alpha=float(alpha), scale=1.0, inner=1.0), inplace)  # type: ignore[no-any-return]


@pure
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where positive, else ``alpha * (exp(x / alpha) - 1)``."""
    x = _own(input, inplace)
    _floating("celu", x)
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    made = rectifiers.elu(x, alpha=float(alpha), scale=1.0, inner=1.0 / alpha)
    return _stored(input, made, inplace)  # type: ignore[no-any-return]


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


@pure
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """The elu whose outputs keep mean 0 and variance 1."""
    x = _own(input, inplace)
    _floating("selu", x)
    made = rectifiers.elu(x, alpha=_SELU_ALPHA, scale=_SELU_SCALE, inner=1.0)
    return _stored(input, made, inplace)  # type: ignore[no-any-return]


@pure
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x brought between two bounds; flat at the bounds themselves."""
    x = _own(input, inplace)
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    kind = float if x.dtype.is_floating_point else int
    if x.dtype.kind == "u" and min_val < 0:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return _stored(input, rectifiers.hardtanh(x, low=kind(min_val), high=kind(max_val)), inplace)  # type: ignore[no-any-return]


@pure
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """x brought between 0 and 6."""
    return hardtanh(input, 0.0, 6.0, inplace)


@pure
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``relu6(x + 3) / 6``."""
    x = _own(input, inplace)
    _floating("hardsigmoid", x)
    return _stored(input, rectifiers.hardsigmoid(x), inplace)  # type: ignore[no-any-return]


@pure
def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * relu6(x + 3) / 6``."""
    x = _own(input, inplace)
    _floating("hardswish", x)
    return _stored(input, rectifiers.hardswish(x), inplace)  # type: ignore[no-any-return]


@served
@pure
def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * tanh(softplus(x))``."""
    x = _own(input, inplace)
    return _stored(input, x * g.tanh(g.softplus(x)), inplace)  # type: ignore[no-any-return]


@served
@pure
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along `dim` times the sigmoid of the second."""
    if not input.ndim:
        raise RuntimeError("glu does not support 0-dimensional tensors")
    at = wrap_dim(dim, input.ndim)
    n = input.shape[at]
    if n % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {at} is size {n}")
    return narrow(input, at, 0, n // 2) * g.sigmoid(narrow(input, at, n // 2, n // 2))  # type: ignore[return-value]


@served
@fills
@pure
def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)) without overflow."""
    _floating("logsigmoid", input)
    return -g.softplus(-input, 1.0, 50.0)  # type: ignore[no-any-return]


@served
@pure
def softsign(input: Tensor) -> Tensor:
    """``x / (1 + |x|)``."""
    return input / (g.abs(input) + 1)  # type: ignore[return-value]


@served
@pure
def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """`softmax` of ``-x``."""
    if dim is None:
        notices.implicit_dim("softmin")
        dim = 0 if input.ndim in (0, 1, 3) else 1
    return softmax(-input, dim, _stacklevel, dtype)


@served
@pure
def tanhshrink(input: Tensor) -> Tensor:
    """``x - tanh(x)``."""
    return input - g.tanh(input)  # type: ignore[return-value]


@fills
@pure
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by `lambd`, 0 where it would pass it."""
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return rectifiers.softshrink(input, lambd=float(lambd))  # type: ignore[no-any-return]


@fills
@pure
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x, but 0 from ``-lambd`` to `lambd`."""
    _floating("hardshrink", input)
    return where(g.logical_and(input >= -lambd, input <= lambd), 0.0, input)  # type: ignore[no-any-return]


@pure
def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where above `threshold`, else `value`."""
    x = _own(input, inplace)
    kept = where(x <= threshold, filled(x, (), value), x)
    return _stored(input, kept, inplace)  # type: ignore[no-any-return]


@served
@pure
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where positive, else x times `weight`: one number, or one a channel (dimension 1)."""
    if casting.on:
        input, weight = casting.low(input, weight)
    if weight.ndim == 1 and weight.shape[0] != 1:
        channels = input.shape[1] if input.ndim > 1 else 1
        if channels != weight.shape[0]:
            raise RuntimeError(f"Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                               f"{weight.shape[0]} and channel size = {channels}.")  # fmt: skip
        weight = reshape(weight, [-1 if d == 1 else 1 for d in range(input.ndim)])
    elif weight.ndim == 1:
        weight = reshape(weight, ())
    return where(input > 0, input, input * weight)  # type: ignore[no-any-return]


def rrelu(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Tensor:
    """x where positive, else x times a slope: uniform from `lower` to `upper` in training, else their mean."""
    if not training:
        return leaky_relu(input, (lower + upper) / 2, inplace)
    slope = rand(input.shape, dtype=input.dtype, device=input.device) * (upper - lower) + lower
    return _stored(input, where(input <= 0, input * slope, input), inplace)  # type: ignore[no-any-return]


relu_ = pure(lambda input: input.relu_())
elu_, celu_, selu_ = _made_inplace(elu, "elu_"), _made_inplace(celu, "celu_"), _made_inplace(selu, "selu_")
hardtanh_, threshold_ = _made_inplace(hardtanh, "hardtanh_"), _made_inplace(threshold, "threshold_")
leaky_relu_, rrelu_ = _made_inplace(leaky_relu, "leaky_relu_"), _made_inplace(rrelu, "rrelu_")


# -- dropping


def _checked(p: float) -> None:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _per_channel(input: Tensor, spatial: int) -> tuple[int, ...]:
    """The shape of one number a channel; an input without a batch has its channels first."""
    lead = input.ndim - spatial
    return (*input.shape[:lead], *(1,) * spatial)


def _drop_channels(input: Tensor, p: float, training: bool, inplace: bool, spatial: int) -> Tensor:
    _checked(p)
    if not training or p == 0.0:
        return input
    ones = input.new_ones(_per_channel(input, spatial))
    return _stored(input, input * dropout(ones, p, True), inplace)  # type: ignore[no-any-return]


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, each channel of (batch, channels, length) zero with probability `p`, else divided by ``1 - p``."""
    return _drop_channels(input, p, training, inplace, 1)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, each channel of (batch, channels, 3 spatial) zero with probability `p`, else divided by ``1 - p``."""
    return _drop_channels(input, p, training, inplace, 3)


_DROPPED = -_SELU_ALPHA * _SELU_SCALE


def _alpha(input: Tensor, p: float, training: bool, inplace: bool, shape: Any) -> Tensor:
    _checked(p)
    if not training or p == 0.0:
        return input
    kept = rand(shape, dtype=input.dtype, device=input.device) >= p
    if p == 1.0:
        return _stored(input, input * 0.0, inplace)  # type: ignore[no-any-return]
    scale = 1 / math.sqrt((_DROPPED**2 * p + 1) * (1 - p))
    found = where(kept, input, _DROPPED) * scale - scale * p * _DROPPED
    return _stored(input, found, inplace)  # type: ignore[no-any-return]


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout that keeps mean and variance behind `selu`: elements take selu's lowest value with probability `p`."""
    return _alpha(input, p, training, inplace, input.shape)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels."""
    return _alpha(input, p, training, inplace, (*input.shape[:2], *(1,) * (input.ndim - 2)))


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A draw from the categories of `logits` that gradients can pass: softmax of (logits + Gumbel noise) / tau; `hard`: its
    largest entry as 1, with the gradient of the soft draw."""
    uniform = rand(logits.shape, dtype=logits.dtype, device=logits.device).clamp(min=1e-30)
    noise = -g.log((-g.log(uniform)).clamp(min=1e-20))
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    at = wrap_dim(dim, logits.ndim)
    top = g.argmax(soft, at, keepdim=True)
    places = reshape(index_along(soft, at), [-1 if d == at else 1 for d in range(soft.ndim)])
    return (places == top).to(soft.dtype) - soft.detach() + soft  # type: ignore[no-any-return]


@served
@pure
def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Each element over ``(k + alpha * mean of squares of `size` neighbouring channels) ** beta``."""
    if input.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    square = unsqueeze(input * input, 1)
    low, high = size // 2, (size - 1) // 2
    if input.ndim == 3:
        total = squeeze(avg_pool2d(pad(square, (0, 0, low, high)), (size, 1), 1), 1)
    else:
        n, c, h = input.shape[:3]
        flat = reshape(square, (n, 1, c, h, -1))
        total = reshape(squeeze(avg_pool3d(pad(flat, (0, 0, 0, 0, low, high)), (size, 1, 1), 1), 1), input.shape)
    return input / apply(pointwise.pow, (total * alpha + k, beta), {})  # type: ignore[no-any-return]
