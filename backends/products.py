"""Matrix products of a plan, as every back end sees them: batch dimensions that are further rows of one product."""

from __future__ import annotations

from dataclasses import replace

from ..ir.plan import BufferView, GemmStep
from ..ir.sizes import Size
from ..ir.types import TensorType


def is_number(size: Size, value: int) -> bool:
    """Whether `size` is the constant `value`."""
    return isinstance(size, int) and size == value


def merged(step: GemmStep) -> GemmStep:
    """The step with batch dimensions that repeat B, and go on where the rows of A and of the result end, as further rows."""
    while len(step.out.type.shape) > 2 and _goes_on(step):
        step = GemmStep(_rows_merged(step.a), _less(step.b), _rows_merged(step.out))
    return step


def _goes_on(step: GemmStep) -> bool:
    if not is_number(step.b.type.strides[-3], 0):
        return False
    for kind in (step.a.type, step.out.type):
        size, rows = kind.shape[-3:-1]
        far, row = kind.strides[-3:-1]
        if not (is_number(size, 1) or far == rows * row):
            return False
    return True


def _rows_merged(view: BufferView) -> BufferView:
    kind = view.type
    shape = (*kind.shape[:-3], kind.shape[-3] * kind.shape[-2], kind.shape[-1])
    row = kind.strides[-3] if is_number(kind.shape[-2], 1) else kind.strides[-2]
    return replace(view, type=TensorType(shape, kind.dtype, (*kind.strides[:-3], row, kind.strides[-1])))


def _less(view: BufferView) -> BufferView:
    kind = view.type
    shape, strides = (*kind.shape[:-3], *kind.shape[-2:]), (*kind.strides[:-3], *kind.strides[-2:])
    return replace(view, type=TensorType(shape, kind.dtype, strides))
