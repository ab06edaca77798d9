"""The named tuples that functions with several results give, printed as PyTorch prints them. Computes nothing.

Public as `fusewire.return_types`; the classes bear the names of their functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["ValuesIndices", "cummax", "cummin", "kthvalue", "max", "median", "min", "mode", "nanmedian", "shown", "sort", "topk"]


def shown(name: str) -> Callable[[Any], str]:
    """A `__repr__` for the named tuples of the function `name`: each field on a line of its own."""

    def text(self: Any) -> str:
        fields = ",\n".join(f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True))
        return f"torch.return_types.{name}(\n{fields})"

    return text


class ValuesIndices(NamedTuple):
    """Elements and where along the dimension they were."""

    values: Any
    indices: Any


class max(ValuesIndices):
    """Of `fusewire.max` along a dimension."""

    __slots__ = ()
    __repr__ = shown("max")


class min(ValuesIndices):
    """Of `fusewire.min` along a dimension."""

    __slots__ = ()
    __repr__ = shown("min")


class median(ValuesIndices):
    """Of `fusewire.median` along a dimension."""

    __slots__ = ()
    __repr__ = shown("median")


class nanmedian(ValuesIndices):
    """Of `fusewire.nanmedian` along a dimension."""

    __slots__ = ()
    __repr__ = shown("nanmedian")


class mode(ValuesIndices):
    """Of `fusewire.mode`."""

    __slots__ = ()
    __repr__ = shown("mode")


class sort(ValuesIndices):
    """Of `fusewire.sort`."""

    __slots__ = ()
    __repr__ = shown("sort")


class topk(ValuesIndices):
    """Of `fusewire.topk`."""

    __slots__ = ()
    __repr__ = shown("topk")


class kthvalue(ValuesIndices):
    """Of `fusewire.kthvalue`."""

    __slots__ = ()
    __repr__ = shown("kthvalue")


class cummax(ValuesIndices):
    """Of `fusewire.cummax`."""

    __slots__ = ()
    __repr__ = shown("cummax")


class cummin(ValuesIndices):
    """Of `fusewire.cummin`."""

    __slots__ = ()
    __repr__ = shown("cummin")
