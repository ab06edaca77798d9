"""Convolutions of a plan as steps that call our product routine with a packing of their own: text, words, claims.

A convolution without padding is a product W @ B whose B is never stored: `conv_pack` reads the windows from the image. The
gradient in the weight is Y @ B of the same kind. Padding, reversed kernels and the order of dimensions are left to ops around.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ir import dtypes
from ...ir.graph import Node, Value
from ...ir.ops.conv_steps import conv_taps
from ...ir.plan import BufferView, RoutineStep
from ...ir.sizes import Size, floordiv
from ...ir.types import numel
from . import conv_pack, gemm
from .conv_lines import Lines
from .gemm_tile import tile
from .kinds import Target
from .module import host_target
from .product import parts

#: columns of a block up to which the weight is not packed
FEW = 64


def text(words: Sequence[str]) -> str:
    """The module of the routine for words such as ("f32", "64", "turned"): dtype, bytes of a vector, how A is read."""
    dtype, vector_bytes, *turned = words
    t = tile(dtypes.BY_NAME[dtype], Target(int(vector_bytes), True))
    if t is None:
        raise ValueError(f"no tiles of {dtype} with vectors of {vector_bytes} bytes")
    lines = Lines(None, True) if turned else Lines(FEW)
    return gemm.routine_text(t, "routine", pack_b=conv_pack.NAME, more=conv_pack.text(t), lines=lines)


def accepts(node: Node) -> bool:
    """Whether this processor has tiles for the dtype, and the matrix that is read as it lies has rows of unit stride."""
    dtype, matrix = node.results[0].dtype, node.args[1]
    return (
        tile(dtype, host_target()) is not None and isinstance(matrix, Value) and matrix.tensor_type.is_contiguous
        and len(node.attrs["kernel"]) <= 3
    )  # fmt: skip


def _places(sizes: Sequence[Size], strides: Sequence[Size]) -> list[Size]:
    """Words of the four dimensions (lead, *spatial): sizes of the last three and all strides; missing ones have size 1."""
    missing = 3 - len(sizes)
    lead, *rest = strides
    return [*(1,) * missing, *sizes, lead, *(0,) * missing, *rest]


def step(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> RoutineStep:
    """The step of a `conv_rows` or `conv_taps`."""
    image, matrix, out = args[0], args[1], results[0]
    attrs, x = node.attrs, image.type
    kernel, stride, dilation, groups = attrs["kernel"], attrs["stride"], attrs["dilation"], attrs["groups"]
    spatial = x.strides[2:]
    by_weight = node.op is conv_taps
    pixels = attrs["shape"] if by_weight else out.type.shape[2:]
    taps = _places(kernel, [x.strides[1], *(s * d for s, d in zip(spatial, dilation, strict=True))])
    places = _places(pixels, [x.strides[0], *(s * d for s, d in zip(spatial, stride, strict=True))])
    inside = floordiv(x.shape[1], groups)
    columns, rows = inside * numel(kernel), x.shape[0] * numel(pixels)
    n, k = (columns, rows) if by_weight else (rows, columns)
    turned = bool(attrs.get("turned"))
    m = floordiv(out.type.shape[0], groups)
    words: list[Size] = [m, n, k, k, 1, 0, 0, n, 1, groups, 0, 0, groups, m * k, inside * x.strides[1], m * n]
    words += [numel(kernel), m * numel(kernel)] if turned else [k, 0]
    words += [*taps, *places] if by_weight else [*places, *taps]
    work, dtype = m * n * k * groups, out.type.dtype
    t = tile(dtype, host_target())
    if t is None:
        raise ValueError(f"no tiles of {dtype.short}: the claim did not ask")
    known = (v if isinstance(v, int) else None for v in (n, k))
    return RoutineStep(
        f"conv {dtype.short} {host_target().vector_bytes}{' turned' if turned else ''}", (matrix, image), (out,), tuple(words),
        scratch=gemm.scratch_bytes(t, *known), parts=parts(work), work=work,
    )  # fmt: skip
