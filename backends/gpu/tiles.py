"""Kernel -> Kernel: a pointwise kernel that reads one way and writes the other walks the memory in square tiles.

A block of one dimension would touch one element of each line of memory on one of its sides. Of a tile both sides are whole
lines; Triton turns it in shared memory.
"""

from __future__ import annotations

from dataclasses import replace

from ...ir import sizes
from ...ir.loops import Axis, Compute, Const, Index, Kernel, Load, Loop, Param, Stmt, Store
from ...ir.sizes import Size
from .config import numel, stride

#: sides of a tile, the best first, and elements from which on it is worth it
SIDES, _WORTH = (64, 32), 1 << 14
_POINTWISE = (Load, Store, Compute, Const, Index, Param)


def side(kernel: Kernel) -> int:
    """The side of the tiles that `kernel` is to walk in; 0 where it is to go line by line."""
    count = numel(kernel.grid)
    if not isinstance(count, int) or count < _WORTH or not all(isinstance(s, _POINTWISE) for s in kernel.body):
        return 0
    other = _other(kernel)
    ends = [a.extent for a in (kernel.grid[-1], other)] if other else []
    return next((n for n in SIDES if ends and all(isinstance(e, int) and e % n == 0 for e in ends)), 0)


def _other(kernel: Kernel) -> Axis | None:
    """The axis along which some operands lie, where others lie along the grid's last one."""
    touched = [s.index for s in kernel.body if isinstance(s, (Load, Store))]
    if len(kernel.grid) < 2 or not any(stride(at, kernel.grid[-1].name) == 1 for at in touched):
        return None
    across = [at for at in touched if stride(at, kernel.grid[-1].name) not in (0, 1, None)]
    return next((a for a in kernel.grid[:-1] if any(stride(at, a.name) == 1 for at in across)), None)


def tiled(kernel: Kernel, n: int) -> Kernel:
    """`kernel` with its last axis in pieces of `n`: a loop inside, and the number of the piece in the grid, whose last axis is
    now the other one."""
    last, other = kernel.grid[-1], _other(kernel)
    assert other is not None and isinstance(last.extent, int)
    taken = {a.name for a in kernel.grid} | set(kernel.sizes)
    piece, inner = (_fresh(f"{last.name}_{what}", taken) for what in ("tile", "in"))
    pieces = last.extent // n
    at = sizes.symbol(piece, 0, pieces - 1) * n + sizes.symbol(inner, 0, n - 1)
    body = tuple(_moved(s, {last.name: at}) for s in kernel.body)
    rest = tuple(a for a in kernel.grid[:-1] if a is not other)
    return replace(kernel, grid=(*rest, Axis(piece, pieces), other), body=(Loop(Axis(inner, n), body),))


def _moved(s: Stmt, values: dict[str, Size]) -> Stmt:
    if isinstance(s, (Load, Store)):
        return replace(s, index=sizes.simplify(sizes.substitute(s.index, values)))
    return replace(s, value=sizes.simplify(sizes.substitute(s.value, values))) if isinstance(s, Index) else s


def _fresh(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
