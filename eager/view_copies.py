"""Views as copies (`view_copy` and the like), views that replace the tensor itself, and copies with a window replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .shaping import as_strided

if TYPE_CHECKING:
    from .tensor import Tensor


def as_strided_scatter(input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """`input` with the window that `as_strided` names replaced by `src`."""
    out = input.clone()
    as_strided(out, size, stride, storage_offset or 0).copy_(src)
    return out


def as_strided_(self: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """`as_strided`, in place: self becomes that window on its memory."""
    self.data = as_strided(self.detach(), size, stride, self.storage_offset() if storage_offset is None else storage_offset)
    return self


def swapaxes_(self: Tensor, dim0: int, dim1: int) -> Tensor:
    """`transpose_`."""
    return self.transpose_(dim0, dim1)  # type: ignore[no-any-return]


swapdims_ = swapaxes_


def _copied(name: str) -> Any:
    def copy(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        found = getattr(input, name)(*args, **kwargs)
        return tuple(x.clone() for x in found) if isinstance(found, tuple) else found.clone()

    copy.__name__ = copy.__qualname__ = f"{name}_copy"
    copy.__doc__ = f"`{name}` in new memory."
    return copy


(view_copy, expand_copy, permute_copy, transpose_copy, t_copy, squeeze_copy, unsqueeze_copy, select_copy, diagonal_copy,
 as_strided_copy, unfold_copy, detach_copy, unbind_copy, split_copy, split_with_sizes_copy, narrow_copy) = (
    _copied(n) for n in ("view", "expand", "permute", "transpose", "t", "squeeze", "unsqueeze", "select", "diagonal",
                         "as_strided", "unfold", "detach", "unbind", "split", "split_with_sizes", "narrow")
)  # fmt: skip
