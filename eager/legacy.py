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
_made: dict[str, Any] = {}


class LegacyType(type):
    """A class of which every Tensor of its dtype is an instance."""

    dtype: Any

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, Tensor) and x.dtype is cls.dtype

    def __call__(cls, *data: Any) -> Any:
        if not data or all(isinstance(n, (int, np.integer)) for n in data):
            return make(np.zeros(size_of(data) if data else (0,), cls.dtype.np))
        return creation.tensor(data[0], dtype=cls.dtype)

    def __repr__(cls) -> str:
        return f"<class 'torch.{cls.__name__}'>"


def legacy(name: str) -> Any:
    """The class called `name`, e.g. ``FloatTensor``: ``FloatTensor(2, 3)`` or ``FloatTensor([1, 2])``."""
    found = _made.get(name)
    if found is None:
        found = _made[name] = LegacyType(name, (), {"dtype": _DTYPES[name.removesuffix("Tensor")], "__module__": "torch"})
    return found
