"""The ways to run the steps that our claims make: a template printed for the step, with a block size that the model chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from ...errors import CompileError
from ...ir import dtypes, sizes
from ...ir.plan import RoutineStep
from . import gemm, gemm_text, stages
from .config import PROCESSORS
from .conv import Convolution
from .gemm import Tile
from .gemm_text import Product
from .kernel import SM90, Aligned, Assumption, Divisible, Target
from .ways import Job, Way


def routine_ways(step: RoutineStep, target: Target = SM90) -> tuple[Way, ...]:
    """The ways to run `step`, best first. Its sizes are called s0, s1 ... by their places."""
    make = _TEMPLATES.get(step.routine.split()[0])
    if make is None:
        raise CompileError(f"the GPU back end has no template for {step.routine!r}")
    return make(step, target)


def names_of(step: RoutineStep) -> tuple[str, ...]:
    """What the step's sizes are called."""
    return tuple(f"s{i}" for i in range(len(step.sizes)))


def product_ways(step: RoutineStep, target: Target = SM90, tile: Tile | None = None) -> tuple[Way, ...]:
    """A matrix product by `tile` or the model's choice."""
    mapped = tile or gemm.choose(step, target)
    if step.begins and gemm.dtype_of(step) is dtypes.float32:
        mapped = gemm.small(step, mapped, 64 * 64, target)  # what is multiplied in registers leaves few for other work
    tile = gemm.deep(mapped, step.sizes[gemm.DEPTH])
    names = names_of(step)
    even = gemm.whole(step.sizes, gemm.DEPTH, tile.depth)
    aligned = tuple(Aligned(n) for n in range(len(step.views)))
    unknown = [i for i in range(gemm.TOTAL) if gemm.whole(step.sizes, i, 16) is None]
    divisible = tuple(Divisible(sizes.symbol(names[i])) for i in unknown)
    deep = (Divisible(sizes.symbol(names[gemm.DEPTH]), tile.depth),) if even is None else ()
    best = _product(step, tile, even is not False, (*aligned, *divisible, *deep))
    least = gemm.deep(gemm.small(step, tile, 64 * 64, target), step.sizes[gemm.DEPTH])
    if not gemm.wide_loads(step):
        best = _product(step, least, even is not False, (*aligned, *divisible, *deep))
    shared = gemm.shares(step, tile)
    if shared > 1:
        return tuple(_parts(step, t, shared, a) for t, a in ((tile if gemm.wide_loads(step) else least, aligned), (least, ())))
    strides = tuple(Divisible(sizes.symbol(names[i])) for i in gemm.boxed_strides(step))
    boxes = (mapped_way(step, mapped, (*aligned, *strides)),) if gemm.mapped(step, mapped, target) else ()
    return *boxes, best, _product(step, least, gemm.whole(step.sizes, gemm.DEPTH, least.depth) is True, ())


def conv_ways(step: RoutineStep, target: Target = SM90, tile: Tile | None = None) -> tuple[Way, ...]:
    """A convolution by `tile` or the model's choice."""
    tile = tile or gemm.choose(step, target)
    few = gemm.small(step, tile, target=target) if step.routine.split()[1] == "f32" else tile
    tile = gemm.deep(few, step.sizes[gemm.DEPTH])
    even = gemm.whole(step.sizes, gemm.DEPTH, tile.depth) is True
    aligned = tuple(Aligned(n) for n in range(len(step.views)))
    shared = gemm.shares(step, tile)
    if shared > 1:
        return tuple(_parts(step, tile, shared, assumes, Convolution) for assumes in (aligned, ()))
    return tuple(_product(step, tile, even, assumes, Convolution) for assumes in (aligned, ()))


def _parts(
    step: RoutineStep, tile: Tile, parts: int, assumes: tuple[Assumption, ...], printer: type[Product] = Product
) -> Way:
    """A product of few tiles and much depth: the depth shared out, and the sums added up."""
    m, n, k, total = (int(str(step.sizes[i])) for i in (gemm.ROWS, gemm.COLUMNS, gemm.DEPTH, gemm.TOTAL))
    share = -(-k // (parts * tile.depth)) * tile.depth
    names, jobs = names_of(step), []
    for stage, t in (("parts", tile), ("total", replace(tile, rows=min(32, tile.rows), columns=64, warps=4))):
        printed = printer(step, t, k % tile.depth == 0, stage=stage)
        text = printed.source()
        blocks = {"BM": t.rows, "BN": t.columns, "BK": t.depth, "GROUP": t.group, "EVEN": k % tile.depth == 0}
        options = {"num_warps": t.warps, "num_stages": t.stages}
        divisible = divided(step, printed, assumes)
        build = stages.Build("product", text, printed.signature, {**blocks, "PARTS": parts, "SHARE": share}, divisible, options)
        count = gemm_text.programs((m, n, k, *step.sizes[3:]), t)
        jobs.append(Job(build, tuple(printed.params), (count * parts if stage == "parts" else count, 1, 1)))
    return Way(assumes, names, tuple(jobs), (max(4, gemm.dtype_of(step).itemsize) * parts * total * m * n,))


def mapped_way(step: RoutineStep, tile: Tile, assumes: tuple[Assumption, ...]) -> Way:
    """A product whose operands the hardware copies box by box."""
    names = names_of(step)
    printed = gemm_text.Mapped(step, tile, True)
    text = printed.source()
    words = tuple(n if isinstance(n, int) else sizes.symbol(names[i]) for i, n in enumerate(step.sizes))
    blocks = {"BM": tile.rows, "BN": tile.columns, "BK": tile.depth, "GROUP": tile.group, "PROGRAMS": PROCESSORS}
    options = {"num_warps": tile.warps, "num_stages": tile.stages}
    build = stages.Build("product", text, printed.signature, blocks, divided(step, printed, assumes), options)
    programs = sizes.minimum(gemm_text.programs(words, tile), PROCESSORS)
    return Way(assumes, names, (Job(build, tuple(printed.params), (programs, 1, 1), printed.maps),))


def _product(
    step: RoutineStep, tile: Tile, even: bool, assumes: tuple[Assumption, ...], printer: type[Product] = Product
) -> Way:
    names = names_of(step)
    printed = printer(step, tile, even)
    text = printed.source()
    words = tuple(n if isinstance(n, int) else sizes.symbol(names[i]) for i, n in enumerate(step.sizes))
    blocks = {"BM": tile.rows, "BN": tile.columns, "BK": tile.depth, "GROUP": tile.group, "EVEN": even}
    divisible = divided(step, printed, assumes)
    options = {"num_warps": tile.warps, "num_stages": tile.stages}
    build = stages.Build("product", text, printed.signature, blocks, divisible, options)
    return Way(assumes, names, (Job(build, tuple(printed.params), (gemm_text.programs(words, tile), 1, 1)),))


def attention_ways(step: RoutineStep, target: Target = SM90) -> tuple[Way, ...]:
    """Attention, forward or backward, with functions of scores or without."""
    from .attention_ways import ways

    return ways(step, target)


def user_ways(step: RoutineStep, target: Target = SM90) -> tuple[Way, ...]:
    """A kernel of the user's."""
    from .user_functions import ways

    return ways(step, target)


def order_ways(step: RoutineStep, target: Target = SM90) -> tuple[Way, ...]:
    """Rows in order."""
    from .sorting import ways

    return ways(step, target)


def search_ways(step: RoutineStep, target: Target = SM90) -> tuple[Way, ...]:
    """Places in ascending rows."""
    from .searching import ways

    return ways(step, target)


def divided(step: RoutineStep, printed: Any, assumes: tuple[Assumption, ...]) -> tuple[str, ...]:
    """The arguments of a printed template that are multiples of 16."""
    whole = {str(a.size) for a in assumes if isinstance(a, Divisible)}
    names, out = names_of(step), []
    whole |= {name for name, size in zip(names, step.sizes, strict=True) if any(size == step.sizes[int(w[1:])] for w in whole)}
    params = [p for p in printed.params if p.kind != "map size"]
    for name, p in zip(printed.signature, params, strict=True):
        known = p.kind == "scratch" or (p.kind == "size" and (gemm.whole(step.sizes, p.index, 16) or names[p.index] in whole))
        if known or (p.kind == "buffer" and Aligned(p.index) in assumes):
            out.append(name)
    return tuple(out)


def candidates(step: RoutineStep, target: Target = SM90) -> Mapping[str, Callable[[], tuple[Way, ...]]]:
    """Ways worth a measurement by a readable name, the model's choice first."""
    if step.routine.startswith("product"):
        return {repr(tile): partial(product_ways, step, target, tile) for tile in gemm.ranked(step, target)[:6]}
    if step.routine.startswith(("attention", "flex")):
        from .attention_ways import candidates as of_attention

        return of_attention(step, target)
    if step.routine.startswith("conv"):
        return {repr(tile): partial(conv_ways, step, target, tile) for tile in gemm.ranked(step, target)[:5]}
    return {"": partial(routine_ways, step, target)}


_TEMPLATES: dict[str, Callable[[RoutineStep, Target], tuple[Way, ...]]] = {
    "product": product_ways, "attention": attention_ways, "flex": attention_ways, "conv": conv_ways, "user": user_ways,
    "order": order_ways, "search": search_ways,
}  # fmt: skip
