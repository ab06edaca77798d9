"""Size: what a tensor's shape is to users, a tuple that prints as PyTorch's and keeps its class where it is cut or joined."""

from __future__ import annotations

from typing import Any

_item = tuple.__getitem__
_joined = tuple.__add__
_repeated = tuple.__mul__


class Size(tuple[int, ...]):
    """``torch.Size([2, 3])``, equal to the tuple ``(2, 3)``."""

    __slots__ = ()

    def numel(self) -> int:
        """Number of elements of a tensor of this shape."""
        n = 1
        for size in self:
            n = n * size
        return n

    def __getitem__(self, key: Any) -> Any:
        found = _item(self, key)
        return Size(found) if type(found) is tuple else found

    def __add__(self, other: Any) -> Any:
        return Size(_joined(self, other)) if isinstance(other, tuple) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        return Size(_joined(other, self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, times: Any) -> Any:
        return Size(_repeated(self, times))

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join([str(n) for n in self])}])"
