"""How a kernel is spread over a GPU: block sizes and warps by an analytical model. The same kernel always gets the same one.

The first of `candidates` is what the model chooses; the others are what a measurement may choose from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...ir import sizes
from ...ir.loops import Axis, Kernel, Load, Loop, Reduce, Running, Stmt, StoreAt, walk
from ...ir.sizes import Size

#: multiprocessors of the device that the model has in mind (H100, H200)
PROCESSORS = 132
#: longest row that one program keeps in registers, and elements of a row for each warp: 32 of a thread, over which it spreads
#: what warps do to come together
_PERSISTENT, _WARP = 16384, 1024
#: what an unknown size counts as
_GUESS = 4096
#: elements of one block at least where there is enough work: four warps, 16 bytes a thread and access
_POINTWISE = 1024


@dataclass(frozen=True, slots=True)
class Config:
    """`xblock`: grid points of a program; `rblock`: rounds of a loop done at once, 0 in kernels without vector loops;
    `persistent`: every loop is done in one round, whatever `rblock`; `wide`: indices are 64 bits; `warps`: of a program;
    `tile`: side of the tiles that a pointwise kernel walks in (`tiles`), 0: line by line."""

    xblock: int
    rblock: int = 0
    persistent: bool = False
    warps: int = 4
    wide: bool = False
    tile: int = 0


def power(n: int) -> int:
    """The least power of two that is not below `n`."""
    return 1 << max(0, n - 1).bit_length()


def numel(axes: Sequence[Axis]) -> Size:
    """Points of these axes together."""
    total: Size = 1
    for a in axes:
        total = total * a.extent
    return total


def is_scan(s: Stmt) -> bool:
    """Whether a serial loop is running totals and nothing else that depends on the order."""
    return (
        isinstance(s, Loop)
        and s.serial
        and any(isinstance(x, Running) for x in s.body)
        and not any(isinstance(x, (StoreAt, Loop, Reduce)) for x in s.body)
    )


def nest(s: Loop) -> tuple[tuple[Axis, ...], tuple[Stmt, ...]]:
    """The axes of perfectly nested independent loops, and what is inside."""
    axes, body = [s.axis], s.body
    while not s.serial and len(body) == 1 and isinstance(body[0], Loop) and not body[0].serial:
        axes.append(body[0].axis)
        body = body[0].body
    return tuple(axes), body


def vector_loops(kernel: Kernel) -> tuple[tuple[Axis, ...], ...]:
    """The axes of the loops that get the second dimension of a block."""
    found = []
    for s in kernel.body:
        if isinstance(s, Reduce):
            found.append(s.axes)
        elif isinstance(s, Loop) and (not s.serial or is_scan(s)):
            found.append(nest(s)[0])
    return tuple(found)


def choose(kernel: Kernel, wide: bool = False) -> Config:
    """What the model takes for `kernel`."""
    points = guess(numel(kernel.grid))
    loops = vector_loops(kernel)
    if not loops:
        from .tiles import side

        n = side(kernel)
        return Config(n, n, True, max(1, n * n // 512), wide, n) if n else _pointwise(points, kernel, wide)
    rounds = [numel(axes) for axes in loops]
    longest = max(map(guess, rounds))
    known = all(isinstance(n, int) and n > 0 for n in rounds)
    if _across(kernel):
        xblock = min(64, power(points))
        rblock = max(1, min(power(longest), 1024 // xblock))
        return Config(xblock, rblock, known and longest <= rblock, _warps(xblock * rblock, 256), wide)
    if known and longest <= _PERSISTENT and _straight(kernel):
        row = power(longest)
        xblock = max(1, min(1024 // row, power(max(1, points // (2 * PROCESSORS)))))
        return Config(xblock, row, True, _warps(xblock * row, _WARP), wide)
    row = min(2048, power(longest))
    xblock = max(1, min(1024 // row, power(points)))
    return Config(xblock, row, known and longest <= row, _warps(xblock * row, 256), wide)


def candidates(kernel: Kernel, wide: bool = False) -> Iterator[Config]:
    """Different configurations worth a measurement, the model's choice first."""
    first = choose(kernel, wide)
    seen = set()
    for config in (first, *_near(first)):
        if config not in seen:
            seen.add(config)
            yield config


def _near(c: Config) -> Iterator[Config]:
    if c.tile:
        yield replace(c, warps=c.warps // 2)
        yield Config(_POINTWISE, wide=c.wide)
        return
    if not c.rblock:
        for xblock in (c.xblock // 2, c.xblock * 2, c.xblock * 4):
            if 64 <= xblock <= 4096:
                yield replace(c, xblock=xblock, warps=_warps(xblock, 256))
        return
    for warps in (c.warps // 2, c.warps * 2):
        if 1 <= warps <= 16:
            yield replace(c, warps=warps)
    if c.persistent and c.rblock > 1024:
        yield replace(c, xblock=1, rblock=1024, persistent=False, warps=4)
    for xblock in (c.xblock // 2, c.xblock * 2):
        if xblock >= 1 and xblock * c.rblock <= 8192:
            yield replace(c, xblock=xblock)


def _pointwise(points: int, kernel: Kernel, wide: bool) -> Config:
    bytes_alone = all(b.dtype.itemsize == 1 for b in kernel.buffers)
    block = max(128, min(_POINTWISE * (1 + bytes_alone), power(points // (4 * PROCESSORS))))
    if any(isinstance(s, (Loop, Reduce)) for s in kernel.body):
        block = min(block, 128)
    return Config(block, 0, False, min(4, _warps(block, 256)), wide)


def _warps(elements: int, each: int) -> int:
    return max(1, min(16, power(elements // each)))


def guess(size: Size) -> int:
    """The size, where each unknown one is a usual number."""
    return size if isinstance(size, int) else sizes.evaluate(size, _Guesses())


class _Guesses(dict[str, Any]):
    def __missing__(self, key: str) -> int:
        return _GUESS


def _straight(kernel: Kernel) -> bool:
    """Whether no loop lies inside of another: then a row in registers is all there is."""
    return not any(
        isinstance(inner, (Loop, Reduce))
        for s in kernel.body
        if isinstance(s, (Loop, Reduce))
        for inner in walk(nest(s)[1] if isinstance(s, Loop) else s.body)
    )


def _across(kernel: Kernel) -> bool:
    """Whether neighbours in memory are neighbours in the grid rather than in the loops (as in a column sum)."""
    last = kernel.grid[-1].name if kernel.grid else ""
    along = across = 0
    for s in kernel.body:
        if not isinstance(s, (Loop, Reduce)):
            continue
        inner = s.axes[-1].name if isinstance(s, Reduce) else nest(s)[0][-1].name
        for load in walk(s.body):
            if isinstance(load, Load):
                steps = stride(load.index, inner), stride(load.index, last)
                weight = 16 if 0 not in steps else 1  # what every point reads again lies in a cache
                along += weight * (steps[0] == 1)
                across += weight * (steps[1] == 1 and steps[0] not in (0, 1))
    return across > along


def stride(index: Size, axis: str) -> Size | None:
    """By how much `index` grows with `axis`; None where it is not affine in it."""
    if axis not in sizes.symbols_of(index):
        return 0
    at = sizes.symbol(axis)
    step = sizes.substitute(index, {axis: at + 1}) - index
    return None if axis in sizes.symbols_of(step) else step
