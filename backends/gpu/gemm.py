"""Matrix products of a plan as steps that run a template: which words a step gets, and which tile it is run with. Writes no text.

The words: rows, columns and depth of the product; strides of a, b and the result (elements); products of the batch; for each
batch dimension its size and three strides; then what the epilogue's sizes stand for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ... import knobs
from ...ir import dtypes, sizes
from ...ir.dtypes import DType
from ...ir.graph import Node, Value
from ...ir.plan import BufferView, GemmStep, RoutineStep
from ...ir.sizes import Size
from ...ir.types import numel
from ..products import is_number, merged
from .config import PROCESSORS, power
from .gemm_model import expected
from .kernel import SM90, Target
from .walks import PRODUCT, Digit, digits_of

#: places of words
ROWS, COLUMNS, DEPTH, A_ROW, A_DEEP, B_DEEP, B_COLUMN, C_ROW, C_COLUMN, TOTAL, BATCH = range(11)
NAMES = ("M", "N", "K", "a_row", "a_deep", "b_deep", "b_column", "c_row", "c_column", "total")
#: words of each batch dimension
EACH = 4
_GUESS = 1024
_SMALL = 128 * 64


@dataclass(frozen=True, slots=True)
class Tile:
    """Rows, columns and depth of what one program computes at a time; `group`: rows of tiles that run together, so that what
    they read of b is still in the second cache."""

    rows: int
    columns: int
    depth: int
    warps: int
    stages: int
    group: int = 8


#: tiles of 16-bit operands on tensor cores, with the share of the peak that each reaches where it has enough work
_HALF = (
    (Tile(128, 256, 64, 8, 4), 1.0), (Tile(128, 128, 64, 4, 4), 0.92), (Tile(64, 256, 64, 4, 4), 0.9),
    (Tile(128, 64, 64, 4, 4), 0.75), (Tile(64, 128, 64, 4, 4), 0.75), (Tile(64, 64, 64, 4, 4), 0.5),
    (Tile(64, 32, 128, 4, 4), 0.4), (Tile(32, 64, 128, 4, 4), 0.3), (Tile(32, 32, 128, 4, 4), 0.25),
    (Tile(16, 128, 64, 4, 4), 0.25), (Tile(16, 64, 128, 4, 4), 0.2), (Tile(16, 32, 256, 4, 4), 0.15),
)  # fmt: skip
#: of float32, multiplied and added one by one: every product keeps 24 bits
_SINGLE = (
    (Tile(128, 128, 16, 8, 3), 1.0), (Tile(64, 128, 16, 4, 3), 0.9), (Tile(64, 64, 16, 4, 3), 0.75),
    (Tile(32, 64, 16, 4, 3), 0.5), (Tile(32, 32, 16, 4, 3), 0.3), (Tile(16, 32, 32, 2, 3), 0.2),
)  # fmt: skip
#: of float32 with 10 bits, on tensor cores
_TF32 = (
    (Tile(128, 256, 32, 8, 3), 1.0), (Tile(128, 128, 32, 4, 4), 0.92), (Tile(64, 128, 32, 4, 4), 0.75),
    (Tile(64, 64, 32, 4, 4), 0.5), (Tile(32, 64, 64, 4, 4), 0.3), (Tile(16, 64, 64, 4, 4), 0.2), (Tile(16, 32, 128, 4, 4), 0.15),
)  # fmt: skip
#: of float64, on tensor cores too
_DOUBLE = (
    (Tile(64, 64, 16, 8, 3), 1.0), (Tile(32, 64, 16, 4, 3), 0.8), (Tile(32, 32, 16, 4, 3), 0.6), (Tile(16, 32, 16, 2, 3), 0.4),
)  # fmt: skip
#: of convolutions, whose operands take more registers to find
_WINDOWS = (
    (Tile(128, 128, 32, 8, 3), 1.0), (Tile(64, 128, 32, 8, 3), 0.8), (Tile(64, 64, 32, 4, 3), 0.6),
    (Tile(32, 64, 32, 4, 3), 0.35), (Tile(16, 64, 32, 4, 3), 0.2),
)  # fmt: skip
#: of types that no dot product of Triton takes: one step of the depth at a time
_PLAIN = ((Tile(32, 64, 1, 4, 2), 1.0), (Tile(16, 32, 1, 4, 2), 0.6))


_BY_DTYPE = {dtypes.float32: _SINGLE, dtypes.float64: _DOUBLE}


def accepts(node: Node) -> bool:
    """Products of real numbers."""
    kind = node.args[0]
    return isinstance(kind, Value) and kind.dtype in dtypes.ALL


def claim(node: Node, args: tuple[Any, ...], results: tuple[BufferView, ...]) -> RoutineStep:
    """The step of a product of views that have its result's batch dimensions."""
    return step(args[0], args[1], results[0])


def step(a: BufferView, b: BufferView, out: BufferView) -> RoutineStep:
    """``out = a @ b``."""
    whole = merged(GemmStep(a, b, out))
    a, b, out = whole.a, whole.b, whole.out
    m, n, k = out.type.shape[-2], out.type.shape[-1], a.type.shape[-1]
    batch = _even(list(zip(out.type.shape[:-2], a.type.strides, b.type.strides, out.type.strides, strict=False)))
    words: list[Size] = [m, n, k, *a.type.strides[-2:], *b.type.strides[-2:], *out.type.strides[-2:]]
    total = numel(out.type.shape[:-2])
    words += [total, *(word for one in batch for word in one)]
    name = f"product {out.type.dtype.short} {len(batch)}"
    return RoutineStep(name, (a, b), (out,), tuple(words), work=m * n * k * total)


def _even(dims: Sequence[tuple[Size, ...]]) -> list[tuple[Size, ...]]:
    """Batch dimensions, (size, strides ...) each, outermost first: even ones as one, none of 1."""
    out: list[tuple[Size, ...]] = []
    for size, *strides in dims:
        if is_number(size, 1):
            continue
        if out and all(far == size * near for far, near in zip(out[-1][1:], strides, strict=True)):
            out[-1] = out[-1][0] * size, *strides
        else:
            out.append((size, *strides))
    return out


def batch_dims(step: RoutineStep) -> int:
    """How many batch dimensions a product has."""
    return int(step.routine.split()[2])


def batch_digits(step: RoutineStep, view: int) -> list[Digit]:
    """The index of a product of the batch, by what it moves in a (1), b (2) or the result (3)."""
    places = range(BATCH, BATCH + EACH * batch_dims(step), EACH)
    return digits_of(PRODUCT, [(step.sizes[at], step.sizes[at + view]) for at in places])


def result_digits(step: RoutineStep) -> list[tuple[Size, Size]]:
    """(count, stride) of the dimensions that the result's columns walk through, innermost first."""
    if not step.routine.startswith("conv"):
        return [(step.sizes[COLUMNS], step.sizes[C_COLUMN])]
    given = json.loads(step.routine.split(" ", 3)[3])
    out: list[tuple[Size, Size]] = []
    counts = [n or sizes.floordiv(step.sizes[COLUMNS], numel(given["columns"][1:])) for n in given["columns"]]
    for count, stride in reversed(list(zip(counts, given["out"], strict=True))):
        if out and stride == out[-1][0] * out[-1][1]:
            out[-1] = out[-1][0] * count, out[-1][1]
        elif count != 1:
            out.append((count, stride))
    return list(out) or [(1, 1)]


def dtype_of(step: RoutineStep) -> DType:
    """The type of what is multiplied."""
    return dtypes.BY_NAME[step.routine.split()[1]]


def tiles(dtype: DType) -> tuple[tuple[Tile, float], ...]:
    """The tiles that a product of `dtype` may have."""
    if knobs.tf32 and dtype is dtypes.float32:
        return _TF32
    return _HALF if dtype.is_half else _BY_DTYPE.get(dtype, _PLAIN)


def choose(step: RoutineStep, target: Target = SM90) -> Tile:
    """The tile by the model (`gemm_model`)."""
    return ranked(step, target)[0]


def ranked(step: RoutineStep, target: Target = SM90) -> list[Tile]:
    """All tiles, the one that the model expects to be fastest first."""
    return [tile for tile, *_ in weighed(step, target)]


def weighed(step: RoutineStep, target: Target = SM90) -> list[tuple[Tile, float, int, int]]:
    """Every tile with the nanoseconds that the model expects, how many programs and how many rounds of all processors it takes;
    the fastest first."""
    m, n, _, total = shape = _shape(step)
    dtype = dtype_of(step)
    found = []
    for tile, share in _options(step):
        tile = within(tile, dtype, target)
        count = -(-m // tile.rows) * -(-n // tile.columns) * total
        cut = deep(tile, step.sizes[DEPTH])
        spent = expected(shape, cut, dtype, share, knobs.tf32, shares(step, tile))
        found.append((tile, spent, count, -(-count // PROCESSORS)))
    return sorted(found, key=lambda f: f[1])


def _options(step: RoutineStep) -> tuple[tuple[Tile, float], ...]:
    return _WINDOWS if step.routine.startswith("conv") else tiles(dtype_of(step))


def _shape(step: RoutineStep) -> tuple[int, int, int, int]:
    m, n, k, total = (_guess(step.sizes[i]) for i in (ROWS, COLUMNS, DEPTH, TOTAL))
    return m, n, k, total


def within(tile: Tile, dtype: DType, target: Target) -> Tile:
    """The tile with no more operands under way than the target's shared memory has room for, two at least. (Of AMD's targets
    `compile.fitted` takes care.)"""
    if target.kind != "cuda":
        return tile
    direct = 90 <= int(target.arch) < 120  # else the oldest of them lies in registers when it is multiplied
    while tile.stages > 2 and shared_bytes(tile, dtype) - (0 if direct else _one(tile, dtype)) > target.shared:
        tile = replace(tile, stages=tile.stages - 1)
    return tile


def shared_bytes(tile: Tile, dtype: DType) -> int:
    """Of shared memory that the operands under way take."""
    return _one(tile, dtype) * tile.stages


def _one(tile: Tile, dtype: DType) -> int:
    return (tile.rows + tile.columns) * tile.depth * dtype.itemsize


def _guess(size: Size) -> int:
    return size if isinstance(size, int) else _GUESS


def mapped(step: RoutineStep, tile: Tile, target: Target) -> bool:
    """Whether the hardware can copy the operands box by box, and there is enough to do for that to pay."""
    if target.kind != "cuda" or int(target.arch) < 90 or not dtype_of(step).is_half or batch_dims(step) > 1 or step.begins:
        return False  # (what the hardware copies it copies as it lies)
    depth = step.sizes[DEPTH]
    if tile.rows < 128 or (isinstance(depth, int) and depth < 4 * tile.depth):
        return False
    for one, other in ((A_DEEP, A_ROW), (B_DEEP, B_COLUMN)):
        if not any(is_number(step.sizes[x], 1) and whole(step.sizes, y, 8) is not False for x, y in ((one, other), (other, one))):
            return False
    return not batch_dims(step) or all(_boxed(step, BATCH + n) for n in (1, 2))


def _boxed(step: RoutineStep, far: int) -> bool:
    """Whether an operand's matrices lie so far apart that the hardware can tell them apart, or are the same one."""
    return is_number(step.sizes[far], 0) or (isinstance(step.sizes[far], int) and whole(step.sizes, far, 8) is True)


def boxed_strides(step: RoutineStep) -> list[int]:
    """The words of which tensor maps ask that they are multiples of 8, where only a call tells."""
    return [i for i in (A_ROW, A_DEEP, B_DEEP, B_COLUMN) if whole(step.sizes, i, 8) is None]


def shares(step: RoutineStep, tile: Tile) -> int:
    """Into how many parts the depth of a product of few tiles goes, so that every processor has some; 1 where that is no gain."""
    m, n, k, total = shape = _shape(step)
    known = all(isinstance(step.sizes[i], int) for i in (ROWS, COLUMNS, DEPTH, TOTAL))
    count = -(-m // tile.rows) * -(-n // tile.columns) * total
    if not known or tile.depth == 1 or not count or 2 * count > PROCESSORS or 32 * m * n * total >= 1 << 31:
        return 1
    share = next((s for t, s in _options(step) if (t.rows, t.columns) == (tile.rows, tile.columns)), 1.0)
    most = min(PROCESSORS // count, k // (4 * tile.depth), 32)
    cut, dtype = deep(tile, step.sizes[DEPTH]), dtype_of(step)
    return min(range(1, max(1, most) + 1), key=lambda parts: expected(shape, cut, dtype, share, knobs.tf32, parts))


def small(step: RoutineStep, tile: Tile, most: int = _SMALL, target: Target = SM90) -> Tile:
    """A tile whose operands may be read element by element and still fit the registers: of `most` elements."""
    return tile if tile.rows * tile.columns <= most else next(t for t in ranked(step, target) if t.rows * t.columns <= most)


def wide_loads(step: RoutineStep) -> bool:
    """Whether rows (or columns) of both operands begin at multiples of 16 bytes, as far as is known."""
    pairs = ((A_ROW, A_DEEP), (B_COLUMN, B_DEEP))
    return all(any(is_number(step.sizes[x], 1) and whole(step.sizes, y, 8) is not False for x, y in (p, p[::-1])) for p in pairs)


def deep(tile: Tile, k: Size) -> Tile:
    """The tile with no more depth than the product has."""
    if not isinstance(k, int) or tile.depth == 1:
        return tile
    return replace(tile, depth=max(16, min(tile.depth, power(max(k, 1)))))


def whole(words: Sequence[Size], index: int, by: int) -> bool | None:
    """Whether a word is a multiple of `by`; None where only a call tells."""
    word = words[index]
    if isinstance(word, int):
        return word % by == 0
    return True if isinstance(sizes.mod(word, by), int) and sizes.mod(word, by) == 0 else None
