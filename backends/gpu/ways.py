"""The ways to run a kernel: printed text with all that a launch needs to know, before anything is compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...ir import sizes
from ...ir.loops import Kernel, Loop, Reduce, walk
from ...ir.sizes import Size
from ...ir.staged import Split
from . import stages, together
from .config import Config, choose, nest, numel
from .kernel import Aligned, Assumption, Below, Divisible, Parameter, TensorMap
from .split import MANY, many, split
from .spread import spread
from .triton import Source, triton_source

#: indices of 32 bits reach so far, with room for the last block
NARROW = 2**31 - 2**16


@dataclass(frozen=True, slots=True)
class Job:
    """One launch to be compiled. `params`: the arguments but for Triton's own at the end."""

    build: stages.Build
    params: tuple[Parameter, ...]
    grid: tuple[Size, Size, Size]
    maps: tuple[TensorMap, ...] = ()


@dataclass(frozen=True, slots=True)
class Way:
    """The launches that do the work where `assumes` hold; `sizes` names the numbers they are given, `scratch` is in bytes."""

    assumes: tuple[Assumption, ...]
    sizes: tuple[str, ...]
    jobs: tuple[Job, ...]
    scratch: tuple[Size, ...] = ()


def kernel_ways(kernel: Kernel, config: Config | None = None) -> tuple[Way, ...]:
    """The ways to run one kernel, best first; the last assumes nothing."""
    if kernel.parts:
        return _joined_ways(kernel)
    narrow = _narrow(kernel)
    if narrow is None:
        return (_way(kernel, config, (), True),)
    aligned = tuple(Aligned(n) for n in range(len(kernel.buffers)))
    divisible = tuple(Divisible(sizes.symbol(name)) for name in kernel.sizes)
    found: list[tuple[Assumption, ...]] = [(*narrow, *aligned, *divisible), (*narrow, *aligned)] if divisible else [aligned]
    shared = many(kernel) if config is None else None
    if shared is None:
        return (*(_way(kernel, config, assumes, False) for assumes in found), _way(kernel, config, (), bool(narrow)))
    rounds, launches = shared
    few = [_way(kernel, None, (Below(rounds, MANY), *assumes), False) for assumes in found]
    return (*few, *(_way(kernel, None, assumes, False, launches) for assumes in found), _way(kernel, None, (), True, launches))


def _narrow(kernel: Kernel) -> tuple[Assumption, ...] | None:
    """What must hold for indices of 32 bits, in each of the launches too that do its work; None where they cannot do."""
    points = numel(kernel.grid)
    spans = [*(b.size for b in kernel.buffers), points, *(s.size * points for s in kernel.scratch)]
    for k in (kernel, *split(kernel).kernels):
        loops = [s for s in walk(k.body) if isinstance(s, (Loop, Reduce))]
        spans += [numel(k.grid), *(numel(s.axes if isinstance(s, Reduce) else nest(s)[0]) for s in loops)]
    if any(isinstance(n, int) and n >= NARROW for n in spans):
        return None
    return tuple(Below(n, NARROW) for n in dict.fromkeys(n for n in spans if not isinstance(n, int)))


def _way(
    kernel: Kernel, config: Config | None, assumes: tuple[Assumption, ...], wide: bool, shared: Split | None = None
) -> Way:
    """`config`: of the launch, where there is one only. `shared`: the launches, the first of which is run like the whole."""
    parts = shared or (split(kernel) if config is None else Split((spread(kernel),)))
    areas = [b.name for b in parts.temporaries]
    scratch: list[Size] = [b.size * b.dtype.itemsize for b in parts.temporaries]
    jobs = []
    for k in parts.kernels:
        like = spread(kernel if shared is not None and k is parts.kernels[0] else k)
        source = triton_source(k, replace(config or choose(like), wide=wide))
        source = replace(source, params=tuple(_outer(p, k, kernel, areas, len(scratch)) for p in source.params))
        scratch += source.scratch
        jobs.append(Job(to_build(source, assumes), source.params, (source.grid, 1, 1)))
    return Way(assumes, kernel.sizes, tuple(jobs), tuple(scratch))


def _joined_ways(kernel: Kernel) -> tuple[Way, ...]:
    """The ways to run parts in one launch: with aligned memory and short indices, and always."""
    narrow = [_narrow(part) for part in kernel.parts]
    assumes: list[tuple[Assumption, ...]] = [()]
    if None not in narrow:
        below = dict.fromkeys(a for some in narrow for a in some or ())
        assumes.insert(0, (*below, *(Aligned(n) for n in range(len(kernel.buffers)))))
    found = []
    for some in assumes:
        source = together.source(kernel, together.configured(kernel, wide=not some))
        found.append(Way(some, kernel.sizes, (Job(to_build(source, some), source.params, (source.grid, 1, 1)),)))
    return tuple(found)


def _outer(p: Parameter, part: Kernel, kernel: Kernel, areas: Sequence[str], first: int) -> Parameter:
    """Where a part's argument comes from when the whole kernel is launched."""
    if p.kind == "buffer":
        name = part.buffers[p.index].name
        names = [b.name for b in kernel.buffers]
        return replace(p, index=names.index(name)) if name in names else Parameter("scratch", areas.index(name), p.type)
    if p.kind in ("int", "float"):
        return replace(p, index=[s.name for s in kernel.scalars].index(part.scalars[p.index].name))
    return replace(p, index=p.index + first) if p.kind == "scratch" else p


def to_build(source: Source, assumes: Sequence[Assumption] = ()) -> stages.Build:
    """What Triton is given for a printed kernel of which `assumes` hold."""
    aligned = {a.buffer for a in assumes if isinstance(a, Aligned)}
    whole = any(isinstance(a, Divisible) for a in assumes)
    divisible = []
    for name, p in zip(source.signature, source.params, strict=True):
        fits = p.kind in ("scratch", "status") or (p.kind == "buffer" and p.index in aligned)
        if fits or (p.kind == "size" and whole):
            divisible.append(name)
    options = {"num_warps": source.config.warps}
    return stages.Build(source.name, source.text, source.signature, source.blocks, tuple(divisible), options)
