"""Who compiles kernels for a GPU: Triton, unless a test has put something else in its place. Launches nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from ...ir.loops import Kernel
from ...runtime.gpu import device as devices
from .kernel import Code, Target, Variant

Candidates = Mapping[str, Callable[[], tuple[Variant, ...]]]


class Builder(Protocol):
    """A compiler of kernels. `claims`: composites that it has routines for (`ir.schedule_prepare.Claims`)."""

    @property
    def claims(self) -> Any:
        """As `pipeline.Backend.claims`."""

    def kernels(self, kernels: Sequence[Kernel], target: Target) -> Code:
        """The variants of each kernel by name."""

    def routine(self, step: Any, target: Target) -> tuple[Variant, ...]:
        """The variants of a step (RoutineStep) that the claims have made."""

    def candidates(self, work: Any, target: Target) -> Candidates:
        """The variants worth a measurement of a Kernel or RoutineStep, by readable names, the model's choice first."""


class Triton:
    """Kernels printed as Triton's text and compiled by it; CompileError where it is not installed."""

    @property
    def claims(self) -> Any:
        """Products, convolutions and attention by templates."""
        from .claims import CLAIMS

        return CLAIMS

    def kernels(self, kernels: Sequence[Kernel], target: Target) -> Code:
        """The variants of each kernel by name."""
        from .compile import compile_kernels

        return compile_kernels(kernels, target)

    def routine(self, step: Any, target: Target) -> tuple[Variant, ...]:
        """By the vendor's library where there is one and it has all of the step; by a template."""
        from . import cublas
        from .compile import routine

        return (*(cublas.variants(step) if target.kind == "cuda" else ()), *routine(step, target))

    def candidates(self, work: Any, target: Target) -> Candidates:
        """The block sizes that the model ranks best."""
        from .compile import variant
        from .tuned import candidates

        def made(ways: Callable[[], Any]) -> tuple[Variant, ...]:
            return tuple([variant(way, target) for way in ways()])

        return {**_by_library(work, target), **{name: partial(made, ways) for name, ways in candidates(work, target).items()}}


def _by_library(work: Any, target: Target) -> Candidates:
    """What the vendor's library may have for a step: its algorithms in its own order."""
    from ...runtime.gpu import cublaslt
    from . import cublas
    from .compile import routine

    if isinstance(work, Kernel) or target.kind != "cuda" or not cublas.variants(work):
        return {}
    if not any(cublaslt.of(gpu) for gpu in devices.started()):
        return {}

    def made(algorithm: int) -> tuple[Variant, ...]:
        return (*cublas.variants(work, algorithm), *routine(work, target))

    return {f"cublasLt {n}": partial(made, n) for n in range(cublas.ALGORITHMS)}


current: Builder = Triton()


def target_of(gpu: devices.GPU) -> Target:
    """What machine code for a device is for."""
    p = gpu.properties
    return Target(gpu.driver.target, p.arch or 10 * p.major + p.minor, p.warp_size)
