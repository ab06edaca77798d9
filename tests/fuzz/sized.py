"""Random programs at several shapes each: sizes become symbols at their second value, and what a call shows stays eager's.

    python tests/fuzz/sized.py SEED [SEED ...]      the programs of these seeds: what differs, and the number of variants
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from program import Program, make
from run import WAYS, Run, difference, noise, plain

import fusewire as fw
from fusewire import compiler

#: what the sizes of a program's inputs become in each call; 0 and 1 stay, so that broadcasting is the same
SIZES: list[dict[int, int]] = [{}, {5: 6, 4: 3, 3: 2, 17: 21, 2: 5, 33: 9}, {5: 9, 4: 7, 3: 5, 17: 4, 2: 3, 33: 40},
                               {5: 3, 4: 8, 3: 11, 17: 2, 2: 7, 33: 12}, {5: 12, 4: 2, 3: 7, 17: 30, 2: 6, 33: 5}]  # fmt: skip


class Sized(Run):
    """A run whose calls differ in the inputs' shapes alone."""

    def __init__(self, program: Program, wrap: Callable[..., Any]) -> None:
        super().__init__(replace(program, changes=[[] for _ in SIZES[1:]]), wrap)

    def arguments(self, turn: int) -> list[Any]:
        inputs, of = self.program.inputs, SIZES[turn]
        self.program.inputs = [replace(x, shape=tuple(of.get(n, n) for n in x.shape)) for x in inputs]
        try:
            return super().arguments(turn)
        finally:
            self.program.inputs = inputs


def check(program: Program) -> tuple[str | None, int]:
    """(the first difference in words, None where all agrees; variants of the function itself)."""
    want, compiled = Sized(program, plain).seen, []

    def compile(function: Callable[..., Any]) -> Callable[..., Any]:
        compiled.append(fw.compile(function))
        return compiled[-1]

    try:
        got = Sized(program, compile).seen
    except Exception as error:
        return f"{type(error).__name__}: {error}", 0
    others = []
    for k, way in enumerate(WAYS):
        with noise(program.seed + k, way):
            others.append(Sized(program, plain).seen)
    return difference(_lenient(want), [_lenient(o) for o in others], _lenient(got)), len(compiler.variants_of(compiled[0]))


def _lenient(value: Any) -> Any:
    """Without the strides in dimensions of size 1, which a size that is 1 by chance may have of its own."""
    if isinstance(value, tuple) and len(value) == 3 and value[0] == "tensor" and isinstance(value[1][3], tuple):
        name, dtype, shape, strides, *rest = value[1]
        strides = tuple(0 if n == 1 or 0 in shape else s for n, s in zip(shape, strides, strict=True))
        return value[0], (name, dtype, shape, strides, *rest), value[2]
    if isinstance(value, dict):
        return {k: _lenient(v) for k, v in value.items()}
    return type(value)(map(_lenient, value)) if type(value) in (list, tuple) else value


def main(words: list[str]) -> int:
    """The command line above."""
    failed, counts = 0, []
    for seed in map(int, words):
        wrong, variants = check(make(seed))
        counts.append(variants)
        if wrong:
            failed += 1
            print(f"{seed}: {variants} variants; {wrong}\n{make(seed)}")
    print(f"{failed} of {len(words)} differ; variants: {np.bincount(counts)}")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
