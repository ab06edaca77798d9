"""Layers that pad: `padding` is one length for every side, or (before, after) for the last dimension, then the one before it."""

from __future__ import annotations

from typing import Any

from ..eager.tensor import Tensor
from . import functional as F
from .module import Module


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


class _Constant(_Pad):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_Constant):
    """The last dimension padded by `value`."""

    rank = 1


class ConstantPad2d(_Constant):
    """The last two dimensions padded by `value`."""

    rank = 2


class ConstantPad3d(_Constant):
    """The last three dimensions padded by `value`."""

    rank = 3


class _Zero(_Constant):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_Zero):
    """The last dimension padded by zeros."""

    rank = 1


class ZeroPad2d(_Zero):
    """The last two dimensions padded by zeros."""

    rank = 2


class ZeroPad3d(_Zero):
    """The last three dimensions padded by zeros."""

    rank = 3


class ReflectionPad1d(_Pad):
    """The last dimension padded by its mirror image, the edge not repeated."""

    rank, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """The last two dimensions padded by their mirror images, edges not repeated."""

    rank, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """The last three dimensions padded by their mirror images, edges not repeated."""

    rank, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """The last dimension padded by its edge."""

    rank, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """The last two dimensions padded by their edges."""

    rank, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """The last three dimensions padded by their edges."""

    rank, mode = 3, "replicate"


class CircularPad1d(_Pad):
    """The last dimension padded by what lies at its other end."""

    rank, mode = 1, "circular"


class CircularPad2d(_Pad):
    """The last two dimensions padded by what lies at their other ends."""

    rank, mode = 2, "circular"


class CircularPad3d(_Pad):
    """The last three dimensions padded by what lies at their other ends."""

    rank, mode = 3, "circular"
