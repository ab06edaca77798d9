"""Kernels -> machine code for a GPU: which variants there are, and the disk cache. Imports triton only where nothing is kept.

What is kept is named by the text, Triton's version, the target and all options; beside the machine code lies what Triton says
about it. So a process that finds everything there never imports triton.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial

from ... import knobs
from ...errors import CompileError
from ...ir import sizes
from ...ir.loops import Kernel
from ...ir.sizes import Size
from ...runtime import store
from . import stages
from .config import Config, choose, numel
from .kernel import SM90, Aligned, Assumption, Below, CompiledKernel, Divisible, Parameter, Target, Variant
from .spread import spread
from .triton import Source, triton_source

_KIND, _FORMAT = "triton", "1"
_LENGTH = struct.Struct("<I")
_NULLS = (Parameter("null"), Parameter("null"))
#: dynamic shared memory of one program that the hardware has
SHARED = 232448
#: indices of 32 bits reach so far, with room for the last block
_NARROW = 2**31 - 2**16


def compile_kernels(
    kernels: Iterable[Kernel], target: Target = SM90, tuned: Mapping[str, Config] | None = None
) -> dict[str, tuple[Variant, ...]]:
    """The code of each kernel by name; nothing is compiled before a variant's `load`. `tuned`: kernel name -> configuration
    that a measurement has chosen."""
    return {k.name: variants(k, target, (tuned or {}).get(k.name)) for k in kernels}


def variants(kernel: Kernel, target: Target = SM90, config: Config | None = None) -> tuple[Variant, ...]:
    """The ways to run one kernel, best first."""
    kernel = spread(kernel)
    narrow = _narrow(kernel)
    config = config or choose(kernel)
    aligned = tuple(Aligned(n) for n in range(len(kernel.buffers)))
    if narrow is None:
        return (_variant(kernel, config, target, (), True),)
    divisible = tuple(Divisible(sizes.symbol(name)) for name in kernel.sizes)
    ways: list[tuple[Assumption, ...]] = [(*narrow, *aligned, *divisible), (*narrow, *aligned)] if divisible else [aligned]
    made = [_variant(kernel, config, target, way, False) for way in ways]
    return (*made, _variant(kernel, config, target, (), bool(narrow)))


def _narrow(kernel: Kernel) -> tuple[Assumption, ...] | None:
    """What must hold for indices of 32 bits; None where they cannot do."""
    spans: list[Size] = [b.size for b in kernel.buffers]
    points = numel(kernel.grid)
    spans += [points, *(s.size * points for s in kernel.scratch)]
    if any(isinstance(n, int) and n >= _NARROW for n in spans):
        return None
    return tuple(Below(n, _NARROW) for n in dict.fromkeys(n for n in spans if not isinstance(n, int)))


def _variant(kernel: Kernel, config: Config, target: Target, assumes: tuple[Assumption, ...], wide: bool) -> Variant:
    from dataclasses import replace

    source = triton_source(kernel, replace(config, wide=wide))
    load = once(partial(_load, source, kernel.sizes, target, assumes))
    return Variant(assumes, kernel.sizes, source.scratch, load)


def once(make: Callable[[], tuple[CompiledKernel, ...]]) -> Callable[[], tuple[CompiledKernel, ...]]:
    """`make`, called once whoever asks; a failure is not remembered."""
    lock, made = threading.Lock(), []

    def load() -> tuple[CompiledKernel, ...]:
        with lock:
            if not made:
                made.append(make())
            return made[0]  # type: ignore[no-any-return]

    return load


def _load(
    source: Source, names: tuple[str, ...], target: Target, assumes: Sequence[Assumption]
) -> tuple[CompiledKernel, ...]:
    build = to_build(source, assumes)
    code, about = machine_code(build, target)
    grid = (source.grid, 1, 1)
    params = (*source.params, *_NULLS)
    return (CompiledKernel(about["name"], code, target, about["shared"], about["num_warps"], params, grid, names),)


def to_build(source: Source, assumes: Sequence[Assumption] = ()) -> stages.Build:
    """What Triton is given for a printed kernel of which `assumes` hold."""
    aligned = {a.buffer for a in assumes if isinstance(a, Aligned)}
    whole = {str(a.size) for a in assumes if isinstance(a, Divisible)}
    divisible = []
    for name, p in zip(source.signature, source.params, strict=True):
        fits = p.kind in ("scratch", "status") or (p.kind == "buffer" and p.index in aligned)
        if fits or (p.kind == "size" and whole):
            divisible.append(name)
    options = {"num_warps": source.config.warps}
    return stages.Build(source.name, source.text, source.signature, source.blocks, tuple(divisible), options)


@lru_cache(maxsize=1)
def _version() -> str:
    return stages.version()


def machine_code(build: stages.Build, target: Target) -> tuple[bytes, dict[str, object]]:
    """(cubin or hsaco, what Triton says about it), from disk where it was built before. CompileError where Triton refuses, or
    where a program needs more shared memory than there is."""
    name = store.digest(_KIND, _FORMAT, build.key(), _version(), repr(target))
    found = store.get(_KIND, name)
    if found is not None:
        (length,) = _LENGTH.unpack_from(found)
        end = _LENGTH.size + length
        return found[end:], json.loads(found[_LENGTH.size : end])
    knobs.say(5, build.text)
    made = stages.run(build, target)
    about = {key: made.metadata[key] for key in ("name", "shared", "num_warps")}
    if about["shared"] > SHARED:
        raise CompileError(f"{build.name} needs {about['shared']} bytes of shared memory; a program has {SHARED}")
    if made.metadata.get("global_scratch_size") or made.metadata.get("profile_scratch_size"):
        raise CompileError(f"{build.name} asks for scratch memory of Triton's own, which launches do not provide")
    code = made.asm["cubin" if target.kind == "cuda" else "hsaco"]
    head = json.dumps(about).encode()
    store.put(_KIND, name, _LENGTH.pack(len(head)) + head + code)
    return code, about
