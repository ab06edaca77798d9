"""The classes by which PyTorch once named dtypes: FloatTensor, LongTensor and kin. Each makes Tensors of its dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir import dtypes
from . import creation
from .arguments import size_of
from .factory import make
from .tensor import Tensor

_DTYPES = {
    "Float": dtypes.float32, "Double": dtypes.float64, "Half": dtypes.float16, "BFloat16": dtypes.bfloat16, "Long": dtypes.int64,
    "Int": dtypes.int32, "Short": dtypes.int16, "Char": dtypes.int8, "Byte": dtypes.uint8, "Bool": dtypes.bool_,
}  # fmt: skip
_made: dict[tuple[str, str], Any] = {}


class LegacyType(type):
    """A class of which every Tensor of its dtype is an instance."""

    dtype: Any
    device: str

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, Tensor) and x.dtype is cls.dtype and x.meta.device.startswith(cls.device)

    def __call__(cls, *data: Any) -> Any:
        if not data or all(isinstance(n, (int, np.integer)) for n in data):
            made = make(np.zeros(size_of(data) if data else (0,), cls.dtype.np))
        else:
            made = creation.tensor(data[0], dtype=cls.dtype, device=cls.device)
        return made if cls.device == "cpu" else made.to(cls.device)

    def __repr__(cls) -> str:
        return f"<class '{cls.__module__}.{cls.__name__}'>"


def legacy(name: str, device: str = "cpu") -> Any:
    """The class called `name`, e.g. ``FloatTensor``: ``FloatTensor(2, 3)`` or ``FloatTensor([1, 2])``; its tensors lie on
    `device`. AttributeError for a name that is none."""
    kind = _DTYPES.get(name.removesuffix("Tensor"))
    if kind is None:
        raise AttributeError(f"there is no class {name}")
    key = name, device
    if key not in _made:
        place = "torch" if device == "cpu" else f"torch.{device}"
        _made[key] = LegacyType(name, (), {"dtype": kind, "device": device, "__module__": place})
    return _made[key]


def __getattr__(name: str) -> Any:
    return legacy(name)
