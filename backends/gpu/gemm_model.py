"""How long a product by tiles takes on an H200, in nanoseconds, by a model: what multiplies, what brings operands, what is waited
for. Only comparisons of one product's tiles mean something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...ir.dtypes import DType, float32, float64
from .config import PROCESSORS

if TYPE_CHECKING:
    from .gemm import Tile

#: floating-point operations a nanosecond of one processor, of half types, tf32, float32 and float64 (four fifths of what the
#: data sheet of an H200 says, shared by its 132 processors), of others by guess
_HALF, _TF32, _WIDE, _OTHER = 6000.0, 3000.0, 400.0, 50.0
#: bytes a nanosecond that one processor has from the second cache, and that all have from memory
_NEAR, _FAR = 64.0, 4000.0
#: nanoseconds until memory answers, and that another launch costs
_WAIT, _LAUNCH = 900.0, 2500.0
#: bytes of shared memory and registers of a processor (Hopper tuning guide, "Occupancy"), registers of a thread beside the sums
_SHARED, _REGISTERS, _BESIDE = 228 << 10, 1 << 16, 60


def expected(shape: tuple[int, int, int, int], tile: Tile, dtype: DType, share: float, tf32: bool, parts: int = 1) -> float:
    """Nanoseconds of a product of (rows, columns, depth, products of a batch) by `tile`, which reaches `share` of the rate; the
    depth cut in `parts`, whose sums another launch adds up."""
    m, n, k, total = shape
    programs = -(-m // tile.rows) * -(-n // tile.columns) * total * parts
    rounds, each = -(-k // (tile.depth * parts)), -(-programs // PROCESSORS)
    side = (tile.rows + tile.columns) * tile.depth * dtype.itemsize
    threads = 32 * tile.warps
    registers = (tile.rows * tile.columns // threads + _BESIDE) * threads
    beside = max(1, min(each, _SHARED // (side * tile.stages + 1024), _REGISTERS // registers))
    multiply = 2 * tile.rows * tile.columns * tile.depth / (rate(dtype, tf32) * share)
    step = max(beside * multiply, beside * side / _NEAR, _WAIT / max(1, tile.stages - 1))
    last = _WAIT + beside * tile.rows * tile.columns * dtype.itemsize / _NEAR
    spent = -(-each // beside) * (rounds * step + last)
    least = (m * k + k * n + m * n) * dtype.itemsize * total / _FAR
    added = _LAUNCH + 8 * parts * m * n * total / _FAR if parts > 1 else 0.0
    return max(spent, least) + spent / 16 + added  # (of those that memory bounds, the one with the most to spare)


def rate(dtype: DType, tf32: bool) -> float:
    """Operations a nanosecond of one processor."""
    if dtype.is_half:
        return _HALF
    return _TF32 if dtype is float32 and tf32 else _WIDE if dtype in (float32, float64) else _OTHER
