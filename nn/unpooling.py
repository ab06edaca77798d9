"""The rarer pooling layers (norms, random windows), and those that put pooled elements back; the computation is in
`nn.functional`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..eager.tensor import Tensor
from .module import Module
from .ranks import each, ranked


class _LPPoolNd(Module):
    _function: Callable[..., Tensor]

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> None:
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return self._function(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return (f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
                f"ceil_mode={self.ceil_mode}")  # fmt: skip


LPPool1d, LPPool2d, LPPool3d = ranked(
    _LPPoolNd, "LPPool{}", "The norm of order `norm_type` of each window of {shape}.", "lp_pool{}d"
)


class _MaxUnpoolNd(Module):
    rank = 0
    _function: Callable[..., Tensor]

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        self.kernel_size = each(kernel_size, self.rank)
        self.stride = each(kernel_size if stride is None else stride, self.rank)
        self.padding = each(padding, self.rank)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return self._function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


MaxUnpool1d, MaxUnpool2d, MaxUnpool3d = ranked(
    _MaxUnpoolNd, "MaxUnpool{}", "What the max pool of {shape} kept at the positions it gave, zeros elsewhere.", "max_unpool{}d"
)
