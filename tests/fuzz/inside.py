"""Random programs that take the gradient of their results themselves: `backward()` inside of the compiled region.

The programs are those of `program.py`. What they return is a list of the results and the gradients of all leaves.

    python tests/fuzz/inside.py SEED [SEED ...]      the programs of these seeds, in full, and what differs
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import run
from program import Program, make, shrink

import fusewire as fw

_FLAT = '''
def flat_of(value):
    if isinstance(value, (list, tuple)):
        return [x for v in value for x in flat_of(v)]
    if isinstance(value, dict):
        return [x for v in value.values() for x in flat_of(v)]
    return [value]

def tracked(x):
    return isinstance(x, fw.Tensor) and x.requires_grad and x.is_floating_point()
'''
_LOSS = "losses = [(r.float() * (0.5 + k)).sum() for k, r in enumerate(flat_of(out)) if tracked(r)]"
_GRADIENT = "None if t.grad is None else t.grad.contiguous() + 0"  # eager's strides differ


def trained(program: Program) -> Program:
    """`program` with the gradient of its results among them."""
    leaves = ", ".join([*(f"x{k}" for k in range(len(program.inputs))), "*net.parameters()", "state.bias"])
    more = [f"out = {program.result}", _LOSS, "if losses:\n    sum(losses).backward()"]
    return replace(program, statements=[*program.statements, *more], result=f"[out, [{_GRADIENT} for t in ({leaves})]]")


class Inside(run.Run):
    """As `Run`; gradients have been taken when the call returns."""

    def __init__(self, program: Program, wrap: run.Wrap, spoil: bool = False) -> None:
        super().__init__(program, wrap)

    def gradients(self, results: list[Any], args: list[Any]) -> Any:
        """Nothing more: those of this call go."""
        for x in (*args, *self.scope["net"].parameters(), self.scope["state"].bias):
            if isinstance(x, fw.Tensor):
                x.grad = None
        return None


def attempt(program: Program, compile: run.Wrap | None = None) -> str | None:
    """The first difference between eager and compiled in words; None where all agrees, and where eager refuses because a value
    that it saved was written to in place, which a captured graph need not."""
    before, build = run.Run, run.build

    def with_helpers(program: Program) -> dict[str, Any]:
        scope = build(program)
        exec(_FLAT, scope)
        return scope

    try:
        run.Run, run.build = Inside, with_helpers  # type: ignore[misc]
        wrong = run.attempt(trained(program), compile)
        refused = wrong is not None and "AutogradError" in str([t["result"] for t in run.Run(trained(program), run.plain).seen])
    finally:
        run.Run, run.build = before, build  # type: ignore[misc]
    return None if refused else wrong


def report(seed: int) -> str:
    """What is wrong with the program of a seed, in full and cut down; empty where nothing is."""
    program = make(seed)
    wrong = attempt(program)
    if wrong is None:
        return ""
    small = shrink(program, lambda p: "NameError" not in (attempt(p) or "NameError"))
    return f"{wrong}\n\n{trained(program)}\ncut down to\n\n{trained(small)}\nwhere {attempt(small)}\n"


def main(words: list[str]) -> int:
    """The command line above."""
    found = {word: report(int(word)) for word in words if word.isdigit()}
    for word, text in found.items():
        print(text or f"{word}: all agree", flush=True)
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
