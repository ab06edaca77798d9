"""Kernels -> one LLVM module -> machine code. Equal kernels (but for their names) are written once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ...ir.loops import Compute, Const, Kernel, Loop, Reduce, Stmt
from .. import build
from .emit import Emitter, Target


@lru_cache(maxsize=1)
def host_target() -> Target:
    """What this processor offers, by its features."""
    features = set(build.host_features().split(","))
    if {"+avx512f", "+avx512bw", "+avx512dq", "+avx512vl"} <= features:
        return Target(64, True)
    return Target(32 if "+avx2" in features else 16, False)


@dataclass(frozen=True, slots=True)
class Code:
    """Machine code of kernels: ``code[name]`` is the address of kernel `name`, valid while this object lives."""

    names: dict[str, str]
    text: str
    loaded: build.Loaded | None

    def __getitem__(self, name: str) -> int:
        if self.loaded is None:
            raise KeyError(name)
        return self.loaded[self.names[name]]


def unique(kernels: Sequence[Kernel]) -> dict[str, Kernel]:
    """Kernel name -> the first kernel with the same content."""
    first: dict[tuple[object, ...], Kernel] = {}
    out = {}
    for k in kernels:
        key = (k.buffers, k.sizes, k.scalars, k.grid, _content(k.body), k.scratch)
        out[k.name] = first.setdefault(key, k)
    return out


def _content(body: Sequence[Stmt]) -> tuple[object, ...]:
    """The statements without the user's lines; literals by their text, since 0.0 equals -0.0."""
    out: list[object] = []
    for s in body:
        if isinstance(s, Compute):
            out.append((s.dest, s.prim, s.args, s.dtype))
        elif isinstance(s, Const):
            out.append((s.dest, repr(s.value), s.dtype))
        elif isinstance(s, Loop):
            out.append((s.axis, _content(s.body)))
        elif isinstance(s, Reduce):
            out.append((s.axes, s.accs, _content(s.body)))
        else:
            out.append(s)
    return tuple(out)


def llvm_text(kernels: Sequence[Kernel], target: Target | None = None) -> str:
    """The LLVM module of `kernels`."""
    parts: list[str] = []
    declared: dict[str, str] = {}
    helpers: dict[str, str] = {}
    for kernel in {k.name: k for k in unique(kernels).values()}.values():
        emitter = Emitter(kernel, target or host_target())
        parts.append(emitter.text())
        declared.update(emitter.w.declared)
        helpers.update(emitter.w.helpers)
    return "\n".join([*sorted(declared.values()), "", "\n\n".join([*helpers.values(), *parts]), "", "!0 = !{}", ""])


def asm_text(kernels: Sequence[Kernel]) -> str:
    """The assembly of `kernels` on this machine."""
    return build.assembly(llvm_text(kernels), level=1, passes=())


def compile_kernels(kernels: Sequence[Kernel], target: Target | None = None) -> Code:
    """Machine code of `kernels`, in this process; for `target` in place of the host where that is given."""
    text = llvm_text(kernels, target)
    loaded = build.load(build.build(text, level=1, passes=())) if kernels else None
    return Code({name: k.name for name, k in unique(kernels).items()}, text, loaded)
