"""Kernel -> kernels that run one after the other: a long reduction with few results is shared out over the whole device.

What one kernel hands to the next lies in scratch memory of the launch. The number of parts follows from the sizes alone.
"""

from __future__ import annotations

from dataclasses import replace

from ...ir.loops import Acc, Buffer, Check, Compute, Const, Index, Kernel, Load, LoadAt, Loop, Param, Reduce, Store, walk
from ...ir.sizes import Size
from ...ir.staged import Split, in_parts, place_of, pruned
from ...ir.types import numel
from . import config
from .config import PROCESSORS
from .spread import spread

#: numbers that one program of a part reads at least, and parts at most
_EACH, _PARTS = 1 << 13, 1024
#: results up to which unknown rounds are shared out, and rounds from which on
MOST, MANY = 8, 1 << 14
#: warps that each processor is to have (half of what it can: what they read must be on its way all the time), and numbers that
#: are fewer than another launch is worth
_WARPS, _FEW = 32, 1 << 15
_PURE = (Check, Compute, Const, Index, Load, LoadAt, Param)


def split(kernel: Kernel) -> Split:
    """`kernel` as the launches that do its work best."""
    found = _unnested(spread(kernel))
    kernels, temporaries = (found.kernels, found.temporaries) if found else ((spread(kernel),), ())
    out: list[Kernel] = []
    for k in kernels:
        parts = _parts(k)
        shared = in_parts(k, parts) if parts > 1 else None
        out += shared.kernels if shared else (k,)
        temporaries += shared.temporaries if shared else ()
    return Split(tuple(out), temporaries)


def _parts(kernel: Kernel) -> int:
    """Into how many parts the reduction of a kernel goes, so that every processor has some."""
    loops = [s for s in kernel.body if isinstance(s, (Loop, Reduce))]
    if len(loops) != 1 or not isinstance(loops[0], Reduce) or kernel.scratch:
        return 1
    rounds = config.guess(config.numel(loops[0].axes))
    long = max(config.guess(a.extent) for a in loops[0].axes)
    taken = config.choose(kernel)
    points = config.guess(config.numel(kernel.grid))
    programs = -(-points // taken.xblock)
    most = min(_PARTS, rounds * min(points, taken.xblock) // _EACH, long // 16)
    if 2 * programs * taken.warps >= PROCESSORS * _WARPS or rounds * points < _FEW or most < 2:
        return 1
    return max(1, min(config.power(PROCESSORS * _WARPS // (programs * taken.warps)), config.power(most + 1) // 2))


def many(kernel: Kernel) -> tuple[Size, Split] | None:
    """Of a reduction to few results whose rounds only a call tells: what their number is, and the launches that do the work best
    where there are many. (`split` leaves it in one piece.)"""
    kernel = spread(kernel)
    loops = [s for s in kernel.body if isinstance(s, (Loop, Reduce))]
    if len(loops) != 1 or not isinstance(loops[0], Reduce):
        return None
    points, rounds = config.numel(kernel.grid), config.numel(loops[0].axes)
    if isinstance(rounds, int) or not isinstance(points, int) or points > MOST:
        return None
    parts = config.power(PROCESSORS * _WARPS // (points * config.choose(kernel).warps))
    found = in_parts(kernel, parts, 0, 16)  # (each part then begins at a multiple of 16 bytes if the first one does)
    return (rounds, found) if found else None


def _unnested(kernel: Kernel) -> Split | None:
    """A reduction with loops inside as two kernels: one whose grid its axes are, and one that combines what that has made."""
    loops = [i for i, s in enumerate(kernel.body) if isinstance(s, (Loop, Reduce))]
    if len(loops) != 1 or not isinstance(kernel.body[loops[0]], Reduce) or kernel.scratch:
        return None
    outer = kernel.body[loops[0]]
    assert isinstance(outer, Reduce)
    before, after = kernel.body[: loops[0]], kernel.body[loops[0] + 1 :]
    deep = any(isinstance(s, (Loop, Reduce)) for s in outer.body)
    own = {b.name for b in kernel.buffers if b.access != "r"}
    again = {s.buffer for s in (*walk(outer.body), *before, *after) if isinstance(s, (Load, LoadAt))}
    if not deep or not all(isinstance(s, _PURE) for s in before) or own & again:
        return None
    grid = (*kernel.grid, *outer.axes)
    points, place = numel([a.extent for a in grid]), place_of(grid)
    names = {b.name for b in kernel.buffers}
    made = tuple(Buffer(_fresh(f"{a.dest}_each", names), a.dtype, points, "w") for a in outer.accs)
    stores = tuple(Store(b.name, place, a.value) for b, a in zip(made, outer.accs, strict=True))
    first = replace(kernel, name=f"{kernel.name}_each", grid=grid, body=(*before, *outer.body, *stores))
    loads = tuple(Load(f"each.{i}", b.name, place) for i, b in enumerate(made))
    accs = tuple(Acc(a.dest, a.combine, f"each.{i}", a.dtype) for i, a in enumerate(outer.accs))
    second = replace(kernel, name=f"{kernel.name}_all", body=(*before, Reduce(outer.axes, loads, accs), *after))
    read = tuple(replace(b, access="r") for b in made)
    return Split((pruned(first, made), pruned(second, read)), made)


def _fresh(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
