"""Convolutions and their adjoints; the computation is in `nn.functional`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..eager.creation import empty
from ..eager.tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter
from .ranks import each, ranked


class _ConvNd(Module):
    """What convolutions share: `weight`, `bias` and the text. `padding_mode` "zeros", "reflect", "replicate" or "circular"."""

    rank = 0
    transposed = False
    bias: Parameter | None
    _function: Callable[..., Tensor]

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any, padding: Any, output_padding: Any,
        dilation: Any, groups: int, bias: bool, padding_mode: str, device: Any, dtype: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        n = self.rank
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        for name, count in (("in_channels", in_channels), ("out_channels", out_channels)):
            if count % groups:
                raise ValueError(f"{name} must be divisible by groups")
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'valid', 'same'}}")
            if padding == "same" and any(s != 1 for s in each(stride, n)):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError("padding_mode must be one of {'zeros', 'reflect', 'replicate', 'circular'}, but got "
                             f"padding_mode={padding_mode!r}")  # fmt: skip
        if self.transposed and padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        self.in_channels, self.out_channels, self.groups, self.padding_mode = in_channels, out_channels, groups, padding_mode
        self.kernel_size, self.stride, self.dilation = each(kernel_size, n), each(stride, n), each(dilation, n)
        self.padding = padding if isinstance(padding, str) else each(padding, n)
        self.output_padding = each(output_padding, n)
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = Parameter(empty(first, second // groups, *self.kernel_size, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new values: uniform within ``1 / sqrt(fan in)``."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan = self.weight.shape[1] * math.prod(self.kernel_size)
            bound = 1 / math.sqrt(fan) if fan else 0
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        """As PyTorch prints it: what differs from the default, and sizes."""
        n, text = self.rank, f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0,) * n:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * n:
            text += f", dilation={self.dilation}"
        if self.output_padding != (0,) * n:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        text += "" if self.bias is not None else ", bias=False"
        return text if self.padding_mode == "zeros" else f"{text}, padding_mode={self.padding_mode}"

    def _around(self, input: Tensor) -> tuple[Tensor, Any]:
        """The input, padded where the convolution's own zeros will not do, and the padding that is left to it."""
        if self.padding_mode == "zeros":
            return input, self.padding
        return F.pad(input, self._lengths(), self.padding_mode), 0

    def _lengths(self) -> list[int]:
        """Places before and after each spatial dimension, the last one first."""
        if self.padding == "valid":
            return [0] * (2 * self.rank)
        sides = zip(reversed(self.kernel_size), reversed(self.dilation), strict=True)
        if self.padding == "same":
            return [n for k, d in sides for n in (d * (k - 1) // 2, d * (k - 1) - d * (k - 1) // 2)]
        return [p for p in reversed(self.padding) for _ in range(2)]  # type: ignore[misc]


class _Conv(_ConvNd):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, 0, dilation, groups, bias, padding_mode, device,
                         dtype)  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        x, padding = self._around(input)
        return self._function(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


Conv1d, Conv2d, Conv3d = ranked(
    _Conv, "Conv{}", "Cross-correlation of {shape}; `weight` (out, in / groups, *kernel) and `bias` (out).", "conv{}d"
)


class _ConvTranspose(_ConvNd):
    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
        groups: int = 1, bias: bool = True, dilation: Any = 1, padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation, groups, bias,
                         padding_mode, device, dtype)  # fmt: skip

    def _extra(self, input: Tensor, output_size: Any) -> tuple[int, ...]:
        """The output padding that makes spatial sizes `output_size`."""
        if output_size is None:
            return self.output_padding
        wanted = tuple(output_size)[-self.rank :]
        sides = zip(input.shape[-self.rank :], self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        least = tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 for n, k, s, p, d in sides)  # type: ignore[operator]
        extra = tuple(w - m for w, m in zip(wanted, least, strict=True))
        if any(not 0 <= e < s for e, s in zip(extra, self.stride, strict=True)):
            raise ValueError(f"requested an output size of {wanted}, but valid sizes range from {least} to "
                             f"{tuple(m + s - 1 for m, s in zip(least, self.stride, strict=True))}")  # fmt: skip
        return extra

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        extra = self._extra(input, output_size)
        return self._function(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)


ConvTranspose1d, ConvTranspose2d, ConvTranspose3d = ranked(
    _ConvTranspose, "ConvTranspose{}", "The adjoint of the convolution of {shape}; `weight` (in, out / groups, *kernel).",
    "conv_transpose{}d",
)  # fmt: skip
