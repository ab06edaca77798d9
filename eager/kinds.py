"""Names for how elements lie in memory: layouts and memory formats. Knows no tensor."""

from __future__ import annotations

from typing import Any


class Named:
    """A constant that prints as PyTorch's."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _found, (self.name,)


class Layout(Named):
    """How elements lie in memory."""

    __slots__ = ()


class MemoryFormat(Named):
    """An order of dimensions in memory."""

    __slots__ = ()


def _found(name: str) -> Named:
    return globals()[name]  # type: ignore[no-any-return]


strided, sparse_coo, sparse_csr, jagged = (Layout(n) for n in ("strided", "sparse_coo", "sparse_csr", "jagged"))
contiguous_format, preserve_format, channels_last, channels_last_3d = (
    MemoryFormat(n) for n in ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d")
)
