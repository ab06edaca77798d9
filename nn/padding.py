"""Layers that pad: `padding` is one length for every side, or (before, after) for the last dimension, then the one before it."""

from __future__ import annotations

from typing import Any

from ..eager.tensor import Tensor
from . import functional as F
from .module import Module
from .ranks import ranked


class _Pad(Module):
    rank = 0
    mode = "constant"

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * (2 * self.rank)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPadNd(_Pad):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


ConstantPad1d, ConstantPad2d, ConstantPad3d = ranked(_ConstantPadNd, "ConstantPad{}", "{last} padded by `value`.")


class _Zero(_ConstantPadNd):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ReflectionPadNd(_Pad):
    mode = "reflect"


class _ReplicationPadNd(_Pad):
    mode = "replicate"


class _CircularPadNd(_Pad):
    mode = "circular"


ZeroPad1d, ZeroPad2d, ZeroPad3d = ranked(_Zero, "ZeroPad{}", "{last} padded by zeros.")
ReflectionPad1d, ReflectionPad2d, ReflectionPad3d = ranked(
    _ReflectionPadNd, "ReflectionPad{}", "{last} padded by mirror images, edges not repeated."
)
ReplicationPad1d, ReplicationPad2d, ReplicationPad3d = ranked(_ReplicationPadNd, "ReplicationPad{}", "{last} padded by edges.")
CircularPad1d, CircularPad2d, CircularPad3d = ranked(_CircularPadNd, "CircularPad{}", "{last} padded by the other end.")
