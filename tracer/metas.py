"""Metas of traced Tensors, some of whose sizes are open, and where in their memory views begin. Records nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ir.op import Move, Op
from ..ir.types import TensorType
from ..runtime.meta import Meta
from ..runtime.size import Size
from .symbols import SizeInt, has_size, raw


class SizedMeta(Meta):
    """The Meta of a traced Tensor some of whose sizes are `SizeInt`s. Not interned."""

    __slots__ = ()

    def with_grad(self, requires_grad: bool) -> Meta:
        return meta_of(self.type, requires_grad, self.device)


def meta_of(type: TensorType, requires_grad: bool, device: str) -> Meta:
    """The Meta of a Tensor of this type on `device`: interned where all its sizes are fixed; only floating and complex types
    require grad."""
    requires_grad = requires_grad and type.dtype.is_inexact
    if not any(isinstance(n, SizeInt) for n in (*type.shape, *type.strides)):
        return Meta.of(type.shape, type.strides, type.dtype, requires_grad, device)  # type: ignore[arg-type]
    meta = SizedMeta()
    meta.shape, meta.strides, meta.dtype = type.shape, type.strides, type.dtype  # type: ignore[assignment]
    meta.requires_grad, meta.device, meta.type, meta.plain, meta.raw = requires_grad, device, type, False, b""
    meta.kind = None
    meta.size = Size(type.shape)  # type: ignore[arg-type]
    return meta


def view_offset(op: Op, meta: Meta, attrs: dict[str, Any]) -> int | None:
    """Elements between the first element of the operand and that of the view; None where the op copies.

    The op's own NumPy kernel runs on memory that is never touched, which is how strides decide in eager too."""
    shape, strides = raw(meta.shape), raw(meta.strides)
    if not shape:
        extent = 1
    elif 0 in shape:
        return 0
    else:
        extent = 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    base = np.lib.stride_tricks.as_strided(np.zeros(extent, np.uint8), shape, strides)
    out = op.eager(base, **{k: raw(v) for k, v in attrs.items()})
    if not out.size:
        return 0
    if not np.may_share_memory(out, base):
        return None
    found = int(out.__array_interface__["data"][0] - base.__array_interface__["data"][0])
    sized = (found and isinstance(meta, SizedMeta)) or any(has_size(v) for k, v in attrs.items() if k != "shape")
    if sized and isinstance(op.lowering, Move):  # where the first element is read from
        ((_, _, index),) = op.lowering.fn((0,) * out.ndim, [meta.shape], **attrs)
        offset: int = sum((i * s for i, s in zip(index, meta.strides, strict=True)), 0)
        return offset
    return found
