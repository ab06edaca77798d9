"""The text of a Tensor, in PyTorch's look, and its options. Reads values; changes nothing but the options."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir import dtypes

if TYPE_CHECKING:
    from .tensor import Tensor

Array = np.ndarray[Any, Any]

_HIDDEN = frozenset(("int64", "bool"))


@dataclass(slots=True)
class Options:
    """How tensors are written: digits, elements from which on one is shortened, items shown at either end, characters of a line,
    and whether floats are written with an exponent (None: where their magnitudes ask for it)."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {"default": Options(), "short": Options(2, 1000, 2), "full": Options(4, math.inf)}
_now = Options()


def set_printoptions(
    precision: int | None = None, threshold: float | None = None, edgeitems: int | None = None, linewidth: int | None = None,
    profile: str | None = None, sci_mode: bool | None = None,
) -> None:  # fmt: skip
    """How tensors are written from now on; `profile` ("default", "short", "full") first. `sci_mode` falls back to None."""
    if profile is not None:
        given = _PROFILES[profile]
        _now.precision, _now.threshold, _now.edgeitems, _now.linewidth = (
            given.precision, given.threshold, given.edgeitems, given.linewidth)  # fmt: skip
    _now.precision = _now.precision if precision is None else precision
    _now.threshold = _now.threshold if threshold is None else threshold
    _now.edgeitems = _now.edgeitems if edgeitems is None else edgeitems
    _now.linewidth = _now.linewidth if linewidth is None else linewidth
    _now.sci_mode = sci_mode


def text(x: Tensor, *, tensor_contents: str | None = None) -> str:
    """``tensor([[1., 2.]], requires_grad=True)``."""
    array = x.storage.read(x)
    if array.dtype.kind == "V":
        array = array.astype(np.float32)
    tail = [] if array.size else [f"size={tuple(x.shape)}"] if x.ndim != 1 else []
    usual = dtypes.default()
    hidden = x.dtype is usual or x.dtype is usual.to_complex() or x.dtype.name in _HIDDEN
    if not hidden or (not array.size and x.dtype is not usual):
        tail.append(f"dtype={x.dtype!r}")
    if x.meta.device != "cpu":
        tail.insert(0, f"device='{x.meta.device}'")
    if x._node is not None:
        tail.append(f"grad_fn=<{x._node.name()}>")
    elif x.requires_grad:
        tail.append("requires_grad=True")
    return _with_tail(f"tensor({_body(array) if tensor_contents is None else tensor_contents}", tail) + ")"


def _with_tail(shown: str, tail: list[str]) -> str:
    """`shown` and what follows it, on a line of its own where it does not fit."""
    used = len(shown) - shown.rfind("\n") + 1
    for item in tail:
        if used + len(item) + 2 > _now.linewidth:
            shown += ",\n" + " " * len("tensor(") + item
            used = len("tensor(") + len(item)
        else:
            shown += ", " + item
            used += len(item) + 2
    return shown


def _body(array: Array) -> str:
    if not array.size:
        return "[]"
    short = array.size > _now.threshold
    style = _style(_ends(array) if short else array)
    return _nested(array, len("tensor("), short, style) if array.ndim else style.text(array.item())


def _ends(array: Array) -> Array:
    """What a shortened tensor shows."""
    edge = _now.edgeitems
    for dim, n in enumerate(array.shape):
        if n > 2 * edge:
            array = np.take(array, [*range(edge), *range(n - edge, n)], dim)
    return array


def _nested(array: Array, indent: int, short: bool, style: Style) -> str:
    edge = _now.edgeitems
    cut = short and len(array) > 2 * edge
    rows = [*array[:edge], *(array[-edge:] if edge else ())] if cut else [*array]
    if array.ndim > 1:
        parts = [_nested(r, indent + 1, short, style) for r in rows]
        return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(_dotted(parts, "...") if cut else parts) + "]"
    items = [style.text(v.item()) for v in rows]
    items = _dotted(items, " ...") if cut else items
    count = max(1, (_now.linewidth - indent) // style.room)
    lines = [", ".join(items[i : i + count]) for i in range(0, len(items), count)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _dotted(parts: list[str], dots: str) -> list[str]:
    return [*parts[: _now.edgeitems], dots, *parts[_now.edgeitems :]]


class Style:
    """How an element is written: `text` of its value, and the `room` that it takes with what separates it from the next."""

    def __init__(self, number: Callable[[Any], str], width: int) -> None:
        self.number, self.width = number, width
        self.room = width + 2

    def text(self, value: Any) -> str:
        """The element, as wide as all others."""
        return self.number(value).rjust(self.width)


class ComplexStyle(Style):
    """The real and the imaginary part, each in its own style."""

    def __init__(self, real: Style, imag: Style) -> None:
        self.real, self.imag = real, imag
        self.room = real.width + imag.width + 3

    def text(self, value: complex) -> str:
        """``1.0000+2.0000j``; the imaginary part stands close to its sign."""
        imag = self.imag.text(value.imag).lstrip()
        return f"{self.real.text(value.real)}{'' if imag[0] in '+-' else '+'}{imag}j"


def _style(array: Array) -> Style:
    """The style of all elements: four digits, scientific where the magnitudes ask for it, whole floats ``1.``."""
    if array.dtype.kind == "c":
        return ComplexStyle(_style(array.real), _style(array.imag))
    if array.dtype.kind != "f":
        return Style(str, max(len(str(v)) for v in array.reshape(-1).tolist()))
    values = array[np.isfinite(array) & (array != 0)].astype(np.float64)
    if not values.size:
        return Style(_whole, 1)
    size = np.abs(values)
    whole = bool((values == np.ceil(values)).all())
    wide = size.max() / size.min() > 1000 or size.max() > 1e8 or (not whole and size.min() < 1e-4)
    wide = bool(wide) if _now.sci_mode is None else _now.sci_mode
    number = _scientific if wide else _whole if whole else _fixed
    return Style(number, max(map(len, map(number, values.tolist()))))


def _fixed(v: float) -> str:
    return f"{v:.{_now.precision}f}"


def _whole(v: float) -> str:
    return f"{v:.0f}." if math.isfinite(v) else str(v)


def _scientific(v: float) -> str:
    return f"{v:.{_now.precision}e}"
