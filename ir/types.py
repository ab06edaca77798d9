"""Types of graph values: tensors with exact strides, and weak Python scalars. Knows no op and no graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union

from .dtypes import DType
from .lazyclass import dataclass
from .sizes import Size


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape, dtype and strides (in elements) that an eager run of the same op would give its result."""

    shape: tuple[Size, ...]
    dtype: DType
    strides: tuple[Size, ...]

    def __str__(self) -> str:
        text = f"{self.dtype.short}[{','.join(map(str, self.shape))}]"
        return text if self.is_contiguous else f"{text}@({','.join(map(str, self.strides))})"

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def is_contiguous(self) -> bool:
        return self.strides == contiguous_strides(self.shape)


@dataclass(frozen=True, slots=True)
class ScalarType:
    """A Python scalar that is an input of the graph; weak in promotion. `kind`: "bool", "int" (i64) or "float" (f64)."""

    kind: str

    def __str__(self) -> str:
        return self.kind


Type = Union[TensorType, ScalarType]


def sizes_of(type: Type) -> tuple[Size, ...]:
    """Shape, then strides; nothing for a scalar."""
    return (*type.shape, *type.strides) if isinstance(type, TensorType) else ()


def contiguous_strides(shape: Sequence[Size]) -> tuple[Size, ...]:
    """Row-major strides in elements. A dimension of size 0 counts as 1, as PyTorch has it."""
    out: list[Size] = []
    step: Size = 1
    for n in reversed(shape):
        out.append(step)
        if not (isinstance(n, int) and n == 0):
            step = step * n
    return tuple(reversed(out))


def tensor(shape: Sequence[Size], dtype: DType) -> TensorType:
    """A contiguous tensor type."""
    return TensorType(tuple(shape), dtype, contiguous_strides(shape))


def numel(shape: Sequence[Size]) -> Size:
    """Number of elements."""
    out: Size = 1
    for n in shape:
        out = out * n
    return out
