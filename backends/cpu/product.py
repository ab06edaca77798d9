"""Matrix products of a plan as steps that call our own routine: which words it gets, scratch, work. Writes no text.

Where this processor has no tiles for a dtype the step stays a GemmStep, which `runtime.blas` or NumPy runs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...ir import sizes as z
from ...ir.graph import Node
from ...ir.plan import BufferView, GemmStep, RoutineStep, Step
from ...ir.sizes import Size
from ...ir.types import TensorType, numel
from ...runtime import blas
from ..products import is_number, merged
from . import gemm
from .gemm_tile import tile
from .module import host_target

#: multiplications of one chunk at least: every chunk packs what it needs itself
CHUNK = 12_000_000
#: chunks at most
MAX_CHUNKS = 64
#: see `left_to_blas`; measured on Zen 5 with vectors of 64 bytes
MANY_ROWS, FEW_COLUMNS, SHORT = 512, 8, 64


def claim(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> Step:
    """The step of a product of views that have its result's batch dimensions."""
    step = merged(GemmStep(args[0], args[1], results[0]))
    return step if left_to_blas(step) else routine_step(step) or step


def left_to_blas(step: GemmStep) -> bool:
    """Whether many rows meet so few columns that most lanes of a tile would be idle: OpenBLAS is up to twice as fast there."""
    m, n, k = (*step.out.type.shape[-2:], step.a.type.shape[-1])
    if not isinstance(n, int) or (isinstance(m, int) and m < MANY_ROWS):
        return False
    idle = n <= FEW_COLUMNS or (n <= 3 * FEW_COLUMNS // 2 and isinstance(k, int) and k <= SHORT)
    return idle and blas.operands(step) is not None


def routine_step(step: GemmStep) -> RoutineStep | None:
    """`step` as a call of our routine; None for dtypes and layouts that it does not take."""
    target, dtype = host_target(), step.out.type.dtype
    t = tile(dtype, target)
    if t is None or step.a.type.dtype is not dtype or step.b.type.dtype is not dtype:
        return None
    turned = _row_major(step)
    if turned is None:
        return None
    step = merged(turned)
    a, b, out = step.a.type, step.b.type, step.out.type
    m, n, k = out.shape[-2], out.shape[-1], a.shape[-1]
    total = numel(out.shape[:-2])
    words: list[Size] = [m, n, k, *a.strides[-2:], *b.strides[-2:], out.strides[-2], len(out.shape) - 2, total, 0, 0]
    for size, *strides in zip(out.shape[:-2], a.strides, b.strides, out.strides, strict=False):
        words += [size, *strides]
    work = m * n * k * total
    return RoutineStep(
        f"product {dtype.short} {target.vector_bytes}", (step.a, step.b), (step.out,), tuple(words),
        scratch=gemm.scratch_bytes(t, *(x if isinstance(x, int) else None for x in (n, k))), parts=parts(work), work=work,
    )  # fmt: skip


def parts(work: Size) -> Size:
    """Chunks for that many multiplications: a power of two, so that they share rows and columns out well."""
    if not isinstance(work, int):
        return z.minimum(z.floordiv(work, CHUNK) + 1, MAX_CHUNKS)
    return min(1 << max(0, (work // CHUNK).bit_length() - 1), MAX_CHUNKS)


def _row_major(step: GemmStep) -> GemmStep | None:
    """The step, or that of the transposed product, whose result has rows of unit stride; None where neither has."""
    (m, n), (row, col) = step.out.type.shape[-2:], step.out.type.strides[-2:]
    if is_number(col, 1) or is_number(n, 1):
        return step
    return GemmStep(*map(transposed, (step.b, step.a, step.out))) if is_number(row, 1) or is_number(m, 1) else None


def transposed(view: BufferView) -> BufferView:
    """The view with its last two dimensions exchanged."""
    kind = view.type
    (*batch, m, n), (*steps, row, col) = kind.shape, kind.strides
    return replace(view, type=TensorType((*batch, n, m), kind.dtype, (*steps, col, row)))
