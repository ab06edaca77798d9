"""The text of a Tensor, in PyTorch's look. Reads values; changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir import dtypes

if TYPE_CHECKING:
    from .tensor import Tensor

_HIDDEN = (dtypes.float32, dtypes.int64, dtypes.bool_)


def text(x: Tensor) -> str:
    """``tensor([[1., 2.]], requires_grad=True)``."""
    array = x.storage.read(x)
    if array.dtype.kind == "V":
        array = array.astype(np.float32)
    tail = [] if array.size else [f"size={tuple(x.shape)}"] if x.ndim != 1 else []
    if x.dtype not in _HIDDEN or (not array.size and x.dtype is not dtypes.float32):
        tail.append(f"dtype={x.dtype!r}")
    if x._node is not None:
        tail.append(f"grad_fn=<{x._node.name()}>")
    elif x.requires_grad:
        tail.append("requires_grad=True")
    body = np.array2string(array, separator=", ", prefix="tensor(", **_style(array)) if array.size else "[]"
    return f"tensor({', '.join([body, *tail])})"


def _style(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Four digits; scientific where the magnitudes ask for it; whole floats as ``1.``."""
    style: dict[str, Any] = {"threshold": 1000, "edgeitems": 3, "max_line_width": 80}
    if array.dtype.kind == "f":
        finite = np.abs(array[np.isfinite(array) & (array != 0)]).astype(np.float64)
        whole = finite.size == 0 or bool((finite == np.ceil(finite)).all())
        wide = finite.size and (finite.max() / finite.min() > 1000 or finite.max() > 1e8 or finite.min() < 1e-4)
        number = _scientific if wide and not (whole and finite.max() < 1e8) else _whole if whole else _fixed
        counted = array[np.isfinite(array) & (array != 0)]
        width = max((len(number(v)) for v in counted[:: max(1, counted.size // 1000)]), default=0)
        style["formatter"] = {"float_kind": lambda v: number(v).rjust(width if array.ndim else 0)}
    elif array.dtype.kind == "b":
        width = 5 if array.ndim and not array.all() else 0
        style["formatter"] = {"bool": lambda v: str(bool(v)).rjust(width)}
    return style


def _fixed(v: float) -> str:
    return f"{v:.4f}"


def _whole(v: float) -> str:
    return f"{v:.0f}." if np.isfinite(v) else str(v)


def _scientific(v: float) -> str:
    return f"{v:.4e}"
