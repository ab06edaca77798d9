"""The bytes of a tensor as elements of another dtype. Eager only: a graph has no memory to look at."""

from __future__ import annotations

from typing import Any

from .arguments import to_dtype
from .factory import make_view


def viewed(x: Any, dtype: Any) -> Any:
    """``x.view(dtype)``: the same memory; the last dimension grows or shrinks with the size of an element. RuntimeError where the
    bytes do not fall into whole elements."""
    wanted = to_dtype(dtype)
    assert wanted is not None
    if wanted is x.dtype:
        return x.view(x.shape)
    old, new = x.dtype.itemsize, wanted.itemsize
    array = x.storage.read(x)
    both = f"{x.dtype.name} as {wanted.name} (different element sizes)"
    if old != new:
        if not x.ndim:
            raise RuntimeError(f"self.dim() cannot be 0 to view {both}")
        if x.shape[-1] > 1 and x.stride(-1) != 1:
            raise RuntimeError(f"self.stride(-1) must be 1 to view {both}, but got {x.stride(-1)}")
        if x.shape[-1] * old % new or any(s * old % new for s in x.stride()[:-1]):
            raise RuntimeError(f"self.size(-1) and strides must be divisible by {new // old} to view {both}, but got "
                               f"{list(x.shape)}, {list(x.stride())}")  # fmt: skip
    return make_view(array.view(wanted.np), x)
