"""The ways to run a kernel: printed text with all that a launch needs to know, before anything is compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...ir import sizes
from ...ir.loops import Kernel
from ...ir.sizes import Size
from . import stages
from .config import Config, choose, numel
from .kernel import Aligned, Assumption, Below, Divisible, Parameter, TensorMap
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
    kernel = spread(kernel)
    narrow = _narrow(kernel)
    config = config or choose(kernel)
    if narrow is None:
        return (_way(kernel, replace(config, wide=True), ()),)
    aligned = tuple(Aligned(n) for n in range(len(kernel.buffers)))
    divisible = tuple(Divisible(sizes.symbol(name)) for name in kernel.sizes)
    found: list[tuple[Assumption, ...]] = [(*narrow, *aligned, *divisible), (*narrow, *aligned)] if divisible else [aligned]
    return (*(_way(kernel, config, assumes) for assumes in found), _way(kernel, replace(config, wide=bool(narrow)), ()))


def _narrow(kernel: Kernel) -> tuple[Assumption, ...] | None:
    """What must hold for indices of 32 bits; None where they cannot do."""
    points = numel(kernel.grid)
    spans = [*(b.size for b in kernel.buffers), points, *(s.size * points for s in kernel.scratch)]
    if any(isinstance(n, int) and n >= NARROW for n in spans):
        return None
    return tuple(Below(n, NARROW) for n in dict.fromkeys(n for n in spans if not isinstance(n, int)))


def _way(kernel: Kernel, config: Config, assumes: tuple[Assumption, ...]) -> Way:
    source = triton_source(kernel, config)
    job = Job(to_build(source, assumes), source.params, (source.grid, 1, 1))
    return Way(assumes, kernel.sizes, (job,), source.scratch)


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
