"""Kernels -> one LLVM module -> machine code. Kernels that differ in names only are written once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from ...ir.lazyclass import dataclass
from ...ir.loops import Compute, Const, Kernel, Load, LoadAt, Loop, Param, Reduce, Stmt, Store, StoreAt
from .. import build, kept
from . import routines
from .emit import Emitter
from .kinds import Target

#: Level of LLVM's code generation. The text is vectorised and hoisted already: no pass of LLVM's own runs over it.
_LEVEL = 1


@lru_cache(maxsize=1)
def host_target() -> Target:
    """What this processor offers, by its features."""
    features = set(kept.host_features().split(","))
    if {"+avx512f", "+avx512bw", "+avx512dq", "+avx512vl"} <= features:
        return Target(64, True)
    return Target(32 if "+avx2" in features else 16, False)


@dataclass(frozen=True, slots=True)
class Code:
    """Machine code of kernels: ``code[name]`` is the address of kernel `name`, valid while this object lives, or that of the
    routine called so. KeyError where there is neither."""

    names: dict[str, str]
    text: str
    loaded: build.Loaded | None
    key: str = ""  # of the machine code on disk

    def __getitem__(self, name: str) -> int:
        if self.loaded is None or name not in self.names:
            return routines.address(name)
        return self.loaded[self.names[name]]


def unique(kernels: Sequence[Kernel]) -> dict[str, Kernel]:
    """Kernel name -> the first kernel with the same text but for its own name."""
    first: dict[tuple[object, ...], Kernel] = {}
    return {k.name: first.setdefault(_content(k), k) for k in kernels}


def _content(kernel: Kernel) -> tuple[object, ...]:
    """What the text follows from: memory and scalar arguments count by their place, not by their name."""
    places = {x.name: str(i) for i, x in enumerate(kernel.memory)}
    places |= {p.name: str(i) for i, p in enumerate(kernel.scalars)}
    memory = tuple((b.dtype, b.size, b.access) for b in kernel.buffers), tuple((s.dtype, s.size) for s in kernel.scratch)
    return memory, kernel.sizes, tuple(p.kind for p in kernel.scalars), kernel.grid, _statements(kernel.body, places)


def _statements(body: Sequence[Stmt], places: Mapping[str, str]) -> tuple[object, ...]:
    """The statements without the user's lines; literals by their text, since 0.0 equals -0.0."""
    out: list[object] = []
    for s in body:
        if isinstance(s, Compute):
            out.append(replace(s, where=None))
        elif isinstance(s, Const):
            out.append((s.dest, repr(s.value), s.dtype))
        elif isinstance(s, (Load, LoadAt, Store, StoreAt)):
            out.append(replace(s, buffer=places[s.buffer]))
        elif isinstance(s, Param):
            out.append(replace(s, param=places[s.param]))
        elif isinstance(s, Loop):
            out.append((s.axis, s.serial, _statements(s.body, places)))
        elif isinstance(s, Reduce):
            out.append((s.axes, s.accs, _statements(s.body, places)))
        else:
            out.append(s)
    return tuple(out)


def llvm_text(kernels: Sequence[Kernel], target: Target | None = None) -> str:
    """The LLVM module of `kernels`."""
    return _module_text(unique(kernels), target)


def _module_text(kernels: Mapping[str, Kernel], target: Target | None) -> str:
    parts: list[str] = []
    declared: dict[str, str] = {}
    helpers: dict[str, str] = {}
    for kernel in {k.name: k for k in kernels.values()}.values():
        emitter = Emitter(kernel, target or host_target())
        parts.append(emitter.text())
        declared.update(emitter.w.declared)
        helpers.update(emitter.w.helpers)
    return "\n".join([*sorted(declared.values()), "", "\n\n".join([*helpers.values(), *parts]), "", "!0 = !{}", ""])


def asm_text(kernels: Sequence[Kernel]) -> str:
    """The assembly of `kernels` on this machine."""
    return build.assembly(llvm_text(kernels), level=_LEVEL, passes=())


def compile_kernels(kernels: Sequence[Kernel], target: Target | None = None) -> Code:
    """Machine code of `kernels`, in this process; for `target` in place of the host where that is given."""
    written = unique(kernels)
    text = _module_text(written, target)
    loaded = build.load(kept.machine_code(text, level=_LEVEL, passes=())) if kernels else None
    key = kept.key(text, _LEVEL, ()) if kernels else ""
    return Code({name: k.name for name, k in written.items()}, text, loaded, key)
