"""``torch.types``: names for annotations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union

from ..eager.device import Device
from ..eager.size import Size
from ..eager.tensor import Tensor

Number = Union[int, float, bool]
_int, _float, _bool, _complex = int, float, bool, complex
_size = Union[Size, Sequence[int]]
_dtype, _device, _layout = Any, Device, Any
_TensorOrTensors = Union[Tensor, Sequence[Tensor]]
IntLikeType, FloatLikeType, BoolLikeType, PySymType = int, float, bool, Any
FileLike = Any
DeviceLikeType = Union[str, Device, int]
