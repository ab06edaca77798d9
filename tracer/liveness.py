"""Which local variables of a frame are read again. Looks at code only.

A variable is dead before an instruction where every way on from there writes it before anything reads it. Code that may look at
its variables by name keeps all of them.
"""

from __future__ import annotations

from types import CodeType

from .bytecode import PAIRS, SLOT_OPS, Instruction, by_code
from .flow import Flow, flow

#: names of what looks at the variables of a frame
_LOOKS = {"locals", "vars", "dir", "eval", "exec", "_getframe", "currentframe", "stack", "breakpoint", "set_trace"}


class Gone:
    """Stands in a dead variable for what was not kept across a graph break."""

    def __repr__(self) -> str:
        return "<not kept across a graph break>"


GONE = Gone()


def _touched(instr: Instruction) -> list[tuple[str, int]]:
    """The parts of an instruction that touch slots, in order."""
    if instr.op in PAIRS:
        return list(zip(PAIRS[instr.op], (instr.arg >> 4, instr.arg & 15), strict=True))
    return [(instr.op, instr.arg)] if instr.op in SLOT_OPS else []


def _before(instr: Instruction, after: frozenset[int]) -> frozenset[int]:
    live = set(after)
    for op, slot in reversed(_touched(instr)):
        if op == "STORE_FAST":
            live.discard(slot)
        else:
            live.add(slot)
    return frozenset(live)


def _solve(graph: Flow) -> dict[int, frozenset[int]]:
    """Live slots before each reachable instruction, by its offset."""
    live: dict[int, frozenset[int]] = {}
    reached = sorted(graph.stack, key=lambda i: i.offset, reverse=True)
    ways = {i.offset: [(way.kind, way.to.offset) for way in graph.ways(i)] for i in reached}
    changed = True
    while changed:
        changed = False
        for instr in reached:
            none: frozenset[int] = frozenset()
            on = none.union(*[live.get(to, none) for kind, to in ways[instr.offset] if kind != "handler"])
            caught = none.union(*[live.get(to, none) for kind, to in ways[instr.offset] if kind == "handler"])
            found = _before(instr, on) | caught
            if found != live.get(instr.offset):
                live[instr.offset] = found
                changed = True
    return live


@by_code
def _dead(code: CodeType) -> dict[int, frozenset[int]]:
    if _LOOKS & {*code.co_names, *code.co_freevars}:
        return {}
    local = frozenset(range(code.co_nlocals)) - {k for k, name in enumerate(code.co_varnames) if name in code.co_cellvars}
    local -= {0} if "super" in code.co_names else set()  # it looks for the first argument there
    return {offset: local - live for offset, live in _solve(flow(code)).items()}


def dead(code: CodeType, offset: int) -> frozenset[int]:
    """The slots of plain local variables that are dead before byte `offset` of `code`."""
    return _dead(code).get(offset, frozenset())
