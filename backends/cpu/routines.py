"""Native routines of the CPU back end by name: what a plan's RoutineStep calls. Each is built once, generic over sizes.

A name is words: the family, then what the text of this one depends on ("attention f32 bool causal"). A family is a module here
with ``text(words) -> str``, the LLVM module of one routine, whose function of the Kernel ABI is called ``routine``.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from .. import kept

#: Family -> module of this package.
FAMILIES: dict[str, str] = {
    "attention": "attention", "conv": "conv", "fold": "window_fold", "pool": "window_pool", "product": "gemm",
    "recurrent": "recurrent",
}  # fmt: skip

#: Family -> module here whose functions its routines call; they are built once for all of them.
SHARED: dict[str, str] = {"attention": "attention_blocks", "recurrent": "attention_blocks"}

#: Level of code generation of the families whose texts leave nothing to LLVM's second level but its time.
_LEVEL = {"attention": 1, "conv": 1, "product": 1, "recurrent": 1}


def address(name: str) -> int:
    """Where the routine's machine code lies; it stays there. KeyError where there is no such family."""
    family, *words = name.split()
    imports = None
    if family in SHARED:
        shared = kept.routine(SHARED[family], lambda: _text(SHARED[family], ()), level=1, passes=())
        imports = {name: shared[name] for name in shared.exports}
    level = _LEVEL.get(family, 2)
    return kept.routine(name, lambda: _text(FAMILIES[family], words), level=level, passes=(), imports=imports)["routine"]


def _text(module: str, words: Sequence[str]) -> str:
    made: str = import_module(f".{module}", __package__).text(words)
    return made
