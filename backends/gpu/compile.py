"""Kernels -> machine code for a GPU, and the disk cache. Imports triton only where nothing is kept.

What is kept is named by the text, Triton's version, the target and all options; beside the machine code lies what Triton says
about it. So a process that finds everything there never imports triton.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from ... import knobs
from ...errors import CompileError
from ...ir.loops import Kernel
from ...ir.plan import RoutineStep
from ...runtime import store
from . import stages
from .kernel import SM90, CompiledKernel, Parameter, Target, TensorMap, Variant
from .plain import plain
from .templates import routine_ways
from .tuned import Choices
from .ways import Job, Way, kernel_ways

#: what entries of the disk cache are called
KIND = "triton"
_FORMAT = "3"
_LENGTH = struct.Struct("<I")
_NULLS = (Parameter("null"), Parameter("null"))


def compile_kernels(
    kernels: Iterable[Kernel], target: Target = SM90, tuned: Choices | None = None
) -> dict[str, tuple[Variant, ...]]:
    """The code of each kernel by name; nothing is compiled before a variant's `load`. `tuned`: what was measured before."""
    return {k.name: variants(k, target, tuned) for k in kernels}


def variants(kernel: Kernel, target: Target = SM90, tuned: Choices | None = None) -> tuple[Variant, ...]:
    """The ways to run one kernel, best first."""
    ways = tuned.ways(kernel, target) if tuned is not None else None
    return tuple(variant(way, target) for way in ways or kernel_ways(kernel))


def routine(step: RoutineStep, target: Target = SM90, tuned: Choices | None = None) -> tuple[Variant, ...]:
    """The ways to run a step that one of our claims has made, best first. Its sizes are called s0, s1 ... by their places."""
    ways = tuned.ways(step, target) if tuned is not None else None
    return tuple(variant(way, target) for way in ways or routine_ways(step, target))


def variant(way: Way, target: Target) -> Variant:
    """A way that is compiled when it is first asked for."""
    return Variant(way.assumes, way.sizes, way.scratch, Once(way, target))


class Once:
    """The kernels of a way, made once whoever asks; a failure is not remembered."""

    def __init__(self, way: Way, target: Target) -> None:
        self.way, self.target, self.lock = way, target, threading.Lock()
        self.made: tuple[CompiledKernel, ...] | None = None

    def builds(self) -> tuple[stages.Build, ...]:
        """What will be compiled."""
        return tuple(plain(fitted(job.build, self.target)) for job in self.way.jobs)

    def __call__(self) -> tuple[CompiledKernel, ...]:
        with self.lock:
            if self.made is None:
                self.made = tuple(map(partial(compiled, names=self.way.sizes, target=self.target), self.way.jobs))
            return self.made


def compiled(job: Job, names: tuple[str, ...], target: Target) -> CompiledKernel:
    """One launch with its machine code. CompileError where Triton refuses it."""
    knobs.say(5, job.build.text)
    code, about = machine_code(plain(fitted(job.build, target)), target)
    params = (*job.params, *_NULLS)
    maps = tuple(map(_described, job.maps, about["maps"]))
    return CompiledKernel(about["name"], code, target, about["shared"], about["num_warps"], params, job.grid, names, maps)


def _described(given: TensorMap, about: Mapping[str, Any]) -> TensorMap:
    """The map as the compiled code expects it. (Triton numbers the types of elements in its own way.)"""
    element = {8: 10, 9: 8, 10: 9}.get(about["elem_type"], about["elem_type"])
    return replace(given, box=tuple(about["block_size"]), element=element, swizzle=about["swizzle"])


def fitted(build: stages.Build, target: Target) -> stages.Build:
    """`build` with no more copies of a tile in flight than the target's shared memory has room for."""
    depth = build.options.get("num_stages", 1)
    return build if target.kind == "cuda" or depth < 3 else replace(build, options={**build.options, "num_stages": 2})


@lru_cache(maxsize=1)
def _version() -> str:
    return stages.version()


def entry(build: stages.Build, target: Target) -> str:
    """The name under which the machine code of a `plain` build is kept."""
    return store.digest(KIND, _FORMAT, build.key(), _version(), repr(target))


def _run(build: stages.Build, target: Target) -> stages.Built:
    """Triton's stages; with fewer tiles under way where shared memory has no room for all."""
    made = stages.run(build, target)
    while made.metadata["shared"] > target.shared and (depth := build.options.get("num_stages", 1)) > 1:
        build = replace(build, options={**build.options, "num_stages": depth - 1})
        made = stages.run(build, target)
    return made


def machine_code(build: stages.Build, target: Target) -> tuple[bytes, dict[str, Any]]:
    """(cubin or hsaco, what Triton says about it), from disk where it was built before. CompileError where Triton refuses, or
    where a program needs more shared memory than there is."""
    name = entry(build, target)
    found = store.get(KIND, name)
    if found is not None:
        (length,) = _LENGTH.unpack_from(found)
        end = _LENGTH.size + length
        return found[end:], json.loads(found[_LENGTH.size : end])
    made = _run(build, target)
    about = {key: made.metadata[key] for key in ("name", "shared", "num_warps")}
    about["maps"] = list(made.metadata.get("tensordesc_meta") or ())
    if about["shared"] > target.shared:
        raise CompileError(f"{build.name} needs {about['shared']} bytes of shared memory, a program on {target} has "
                           f"{target.shared}: its blocks {dict(build.constants)} are too large")  # fmt: skip
    if made.metadata.get("global_scratch_size") or made.metadata.get("profile_scratch_size"):
        raise CompileError(f"{build.name} asks for scratch memory of Triton's own, which launches do not provide")
    code = made.asm["cubin" if target.kind == "cuda" else "hsaco"]
    head = json.dumps(about).encode()
    store.put(KIND, name, _LENGTH.pack(len(head)) + head + code)
    return code, about
