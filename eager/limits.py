"""What the numbers of a dtype can be: finfo and iinfo. Knows no tensor."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from ..ir import dtypes
from ..ir.dtypes import DType

_half_finfo: Any = ml_dtypes.finfo


class finfo:
    """``finfo(dtype)`` of a floating (or complex: of its parts) dtype: bits, eps, max, min, tiny, smallest_normal, resolution.
    The default dtype where none is given; TypeError for others."""

    __slots__ = ("bits", "dtype", "eps", "max", "min", "resolution", "smallest_normal", "tiny")

    def __init__(self, type: DType | None = None) -> None:
        wanted = type or dtypes.default()
        if getattr(wanted, "kind", "") not in ("f", "c"):
            raise TypeError(f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle {type!r}")
        found: Any = _half_finfo(wanted.np) if wanted.np.kind == "V" else np.finfo(wanted.np)
        part = {8: "float32", 16: "float64"}[wanted.itemsize] if wanted.kind == "c" else wanted.name
        self.bits, self.dtype = int(found.bits), part
        self.eps, self.max, self.min = float(found.eps), float(found.max), float(found.min)
        self.tiny = self.smallest_normal = float(found.tiny)
        self.resolution = 10.0 ** -int(found.precision)

    def __repr__(self) -> str:
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        values = ", ".join(f"{n}={_short(getattr(self, n))}" for n in names)
        return f"finfo({values}, dtype={self.dtype})"


class iinfo:
    """``iinfo(dtype)`` of an integral dtype: bits, max, min. TypeError for others."""

    __slots__ = ("bits", "dtype", "max", "min")

    def __init__(self, type: DType) -> None:
        if getattr(type, "kind", "") not in ("u", "i"):
            raise TypeError(f"torch.iinfo() requires an integer input type. Use torch.finfo to handle {type!r}")
        found = np.iinfo(type.np)
        self.bits, self.dtype, self.max, self.min = int(found.bits), type.name, int(found.max), int(found.min)

    def __repr__(self) -> str:
        return f"iinfo(min={_short(self.min)}, max={_short(self.max)}, dtype={self.dtype})"


def _short(v: float) -> str:
    return f"{v:g}"
