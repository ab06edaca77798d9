"""The text of a Tensor, in PyTorch's look. Reads values; changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir import dtypes

if TYPE_CHECKING:
    from .tensor import Tensor

Array = np.ndarray[Any, Any]

#: Characters of a line, items shown at either end of a long dimension, and elements from which on a tensor is shortened.
_LINE, _EDGE, _MANY = 80, 3, 1000
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
        tail.append(f"grad_fn=<{_with_number(x._node.name())}>")
    elif x.requires_grad:
        tail.append("requires_grad=True")
    return _with_tail(f"tensor({_body(array)}", tail) + ")"


def _with_number(name: str) -> str:
    return f"{name}0" if name.endswith("Backward") else name


def _with_tail(shown: str, tail: list[str]) -> str:
    """`shown` and what follows it, on a line of its own where it does not fit."""
    used = len(shown) - shown.rfind("\n") + 1
    for item in tail:
        if used + len(item) + 2 > _LINE:
            shown += ",\n" + " " * len("tensor(") + item
            used = len("tensor(") + len(item)
        else:
            shown += ", " + item
            used += len(item) + 2
    return shown


def _body(array: Array) -> str:
    if not array.size:
        return "[]"
    short = array.size > _MANY
    shown = _ends(array) if short else array
    number, width = _style(shown)
    return _nested(array, len("tensor("), short, number, width) if array.ndim else number(array.item())


def _ends(array: Array) -> Array:
    """What a shortened tensor shows."""
    for dim, n in enumerate(array.shape):
        if n > 2 * _EDGE:
            array = np.take(array, [*range(_EDGE), *range(n - _EDGE, n)], dim)
    return array


def _nested(array: Array, indent: int, short: bool, number: Callable[[Any], str], width: int) -> str:
    cut = short and len(array) > 2 * _EDGE
    rows = [*array[:_EDGE], *array[-_EDGE:]] if cut else [*array]
    if array.ndim > 1:
        parts = [_nested(r, indent + 1, short, number, width) for r in rows]
        return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(_dotted(parts, "...") if cut else parts) + "]"
    items = [number(v.item()).rjust(width) for v in rows]
    items = _dotted(items, " ...") if cut else items
    count = max(1, (_LINE - indent) // (width + 2))
    lines = [", ".join(items[i : i + count]) for i in range(0, len(items), count)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _dotted(parts: list[str], dots: str) -> list[str]:
    return [*parts[:_EDGE], dots, *parts[_EDGE:]]


def _style(array: Array) -> tuple[Callable[[Any], str], int]:
    """How an element is written, and how wide: four digits, scientific where the magnitudes ask for it, whole floats ``1.``."""
    if array.dtype.kind != "f":
        return str, max(len(str(v)) for v in array.reshape(-1).tolist())
    values = array[np.isfinite(array) & (array != 0)].astype(np.float64)
    if not values.size:
        return _whole, 1
    size = np.abs(values)
    whole = bool((values == np.ceil(values)).all())
    wide = size.max() / size.min() > 1000 or size.max() > 1e8 or (not whole and size.min() < 1e-4)
    number = _scientific if wide else _whole if whole else _fixed
    return number, max(len(number(v)) for v in values.tolist())


def _fixed(v: float) -> str:
    return f"{v:.4f}"


def _whole(v: float) -> str:
    return f"{v:.0f}." if np.isfinite(v) else str(v)


def _scientific(v: float) -> str:
    return f"{v:.4e}"
