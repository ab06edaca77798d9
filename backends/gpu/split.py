"""Kernel -> kernels that run one after the other: a long reduction with few results is shared out over the whole device.

What one kernel hands to the next lies in scratch memory of the launch. The number of parts follows from the sizes alone.
"""

from __future__ import annotations

from dataclasses import replace

from ...ir.loops import Acc, Buffer, Check, Compute, Const, Index, Kernel, Load, LoadAt, Loop, Param, Reduce, Store, walk
from ...ir.staged import Split, in_parts, place_of, pruned
from ...ir.types import numel
from . import config
from .config import PROCESSORS
from .spread import spread

#: rounds of one part at least, and parts at most
_ROUNDS, _PARTS = 2048, 512
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
    programs = max(1, config.guess(config.numel(kernel.grid)) // taken.xblock)
    if programs >= PROCESSORS or rounds < 4 * _ROUNDS:
        return 1
    wanted = config.power(2 * PROCESSORS // programs)
    return max(1, min(wanted, _PARTS, config.power(rounds // _ROUNDS) // 2 or 1, long // 16 or 1))


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
