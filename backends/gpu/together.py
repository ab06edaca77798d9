"""A kernel with parts (`ir.together`) -> Triton source: one launch, in which every program does a block of one of the parts.

Parts that differ only in the memory they are given and in the length of their first axis are one text: programs of such a class
take their pointers and their length by where their number falls. Classes stand one after the other, each behind an ``if``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...ir import sizes
from ...ir.loops import Compute, Const, Index, Kernel, Load, LoadAt, Param, Store, StoreAt
from ...ir.loops_text import print_kernel
from ...ir.schedule_twins import renamed
from ...ir.sizes import Size
from . import scalar
from .config import PROCESSORS, Config, numel, power
from .names import Flat, X, unravelled
from .spread import spread
from .tiles import side
from .triton import HEAD, Printer, Source

_FLAT = (Load, LoadAt, Store, StoreAt, Compute, Const, Index, Param)
#: elements of a block: four warps, 16 bytes a thread and access
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Class:
    """Parts with one text: `kernel` is the first of them. `pointers`: for each part its buffers, `points`: its grid's points."""

    kernel: Kernel
    pointers: tuple[tuple[str, ...], ...]
    points: tuple[Size, ...]


def fits(kernel: Kernel) -> bool:
    """Whether `kernel` may be a part: each of its grid's points is worked out alone, in one round, and none can fail."""
    if kernel.errors or kernel.scratch or not kernel.body:
        return False
    opened = spread(kernel)
    return all(isinstance(s, _FLAT) for s in opened.body) and not side(opened)


def classes(kernel: Kernel) -> tuple[Class, ...]:
    """The parts of `kernel`, those with one text together, in the order of their first."""
    found: dict[str, list[Kernel]] = {}
    for part in map(spread, kernel.parts):
        found.setdefault(_outline(part), []).append(part)
    return tuple(
        Class(alike[0], tuple(tuple(b.name for b in k.buffers) for k in alike), tuple(numel(k.grid) for k in alike))
        for alike in found.values()
    )


def _outline(part: Kernel) -> str:
    """The part as text without its name, names and sizes of buffers, the length of the first axis and the user's lines."""
    places = {b.name: f"b{n}" for n, b in enumerate(part.buffers)}
    buffers = tuple(replace(b, name=places[b.name], size=0) for b in part.buffers)
    grid = (replace(part.grid[0], extent=-1), *part.grid[1:]) if part.grid else ()
    text = print_kernel(replace(part, name="part", buffers=buffers, grid=grid, body=renamed(part.body, places, {})))
    return re.sub(r"  # \S+:\d+$", "", text, flags=re.MULTILINE)


def configured(kernel: Kernel, wide: bool = False) -> Config:
    """Blocks for all parts: large ones where there is enough work for every processor."""
    total = sum(n if isinstance(n, int) else _BLOCK for n in (numel(spread(p).grid) for p in kernel.parts))
    block = max(128, min(_BLOCK, power(total // (4 * PROCESSORS))))
    return Config(block, 0, False, max(1, min(4, block // 256)), wide)


def source(kernel: Kernel, config: Config | None = None) -> Source:
    """The Triton source of a kernel with parts."""
    config = config or configured(kernel)
    printer = Printer(kernel, config)
    printer.at.wide = config.wide
    signature, params = printer.arguments([])
    at = printer.at
    program = at.fresh("program")
    at.say(f"{program} = tl.program_id(0)")
    total: Size = 0
    for one in classes(kernel):
        total = _written(printer, one, program, total)
    arguments = ", ".join([*signature, "XBLOCK: tl.constexpr"])
    text = "\n".join([f"@triton.jit\ndef {kernel.name}({arguments}):", *at.lines])
    helpers = [scalar.HELPERS[name] + "\n" for name in scalar.helpers_in(text)]
    whole = "\n\n".join([HEAD, *helpers, text]) + "\n"
    return Source(kernel.name, whole, signature, {"XBLOCK": config.xblock}, params, total, (), config)


def _programs(points: Size, block: int) -> Size:
    return sizes.floordiv(points + block - 1, block)


def _written(outer: Printer, one: Class, program: str, first: Size) -> Size:
    """Print a class whose programs begin at number `first`; where they end."""
    at, block = outer.at, outer.config.xblock
    starts = [first]
    for n in one.points:
        starts.append(starts[-1] + _programs(n, block))
    at.say(f"# {len(one.points)} of {one.kernel.name}" if len(one.points) > 1 else f"# {one.kernel.name}")
    at.say(f"if ({program} >= {at.wrapped(first)}) & ({program} < {at.wrapped(starts[-1])}):")
    with at.scope():
        inner = Printer(one.kernel, outer.config, at=at)
        names = {b.name: at.fresh(f"{b.name}_ptr") for b in one.kernel.buffers} if len(one.points) > 1 else {}
        inner.pointers = names or {b: outer.pointers[b] for b in one.pointers[0]}
        begin, length = at.fresh("first"), at.fresh("points")
        if names:
            _chosen(outer, one, starts, [*names.values()], (program, begin, length))
            points: Size = one.points[0] if len({*one.points}) == 1 else sizes.symbol(length, 0, None)
        else:
            begin, points = at.wrapped(first), one.points[0]
        _blocks(inner, program, begin, points, all(isinstance(n, int) and n % block == 0 for n in one.points))
        inner.body(one.kernel.body)
    return starts[-1]


def _chosen(outer: Printer, one: Class, starts: Sequence[Size], names: Sequence[str], given: tuple[str, str, str]) -> None:
    """The pointers, first program and length of the part that a program belongs to, by halves."""
    at, (program, begin, length) = outer.at, given

    def pick(low: int, high: int) -> None:
        if high - low > 1:
            middle = (low + high) // 2
            at.say(f"if {program} < {at.wrapped(starts[middle])}:")
            at.indent += 1
            pick(low, middle)
            at.indent -= 1
            at.say("else:")
            at.indent += 1
            pick(middle, high)
            at.indent -= 1
            return
        for name, buffer in zip(names, one.pointers[low], strict=True):
            at.say(f"{name} = {outer.pointers[buffer]}")
        at.say(f"{begin} = {_number(at.size(starts[low]))}")
        at.say(f"{length} = {_number(at.size(one.points[low]))}")

    pick(0, len(one.points))


def _number(text: str) -> str:
    """A number that other branches give other values."""
    return f"tl.full((), {text}, tl.int32)" if text.isdigit() else text


def _blocks(p: Printer, program: str, begin: str, points: Size, whole: bool) -> None:
    """The index vector of a program's block and what is in range."""
    at, kernel = p.at, p.kernel
    x, mask = at.fresh("x"), at.fresh("xmask")
    number = program if begin == "0" else f"({program} - {begin})"
    wide = ".to(tl.int64)" if p.config.wide else ""
    at.say(f"{x} = {number}{wide} * XBLOCK + tl.arange(0, XBLOCK)")
    if not whole:
        at.say(f"{mask} = {x} < {at.size(points)}")
        p.ends["x"] = mask
    axes = [(a.name, a.extent) for a in kernel.grid]
    if axes and sizes.symbols_of(points) and not isinstance(points, int):
        rest = numel(kernel.grid[1:])
        axes[0] = (axes[0][0], sizes.floordiv(points, rest))
    at.flats = [Flat(x, X, points, unravelled(x, axes))]
