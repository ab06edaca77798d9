"""Control and stack flow of a code object: where each instruction leads, and how the stack lies there. Looks at no values."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import CodeType
from typing import NamedTuple

from .bytecode import ALWAYS_JUMP, TERMINAL, VERSION, Instruction, by_code, decode, landing, unit_of


class State(NamedTuple):
    """The stack before an instruction: how many values, and which of them hold an instruction's unit for RERAISE."""

    depth: int
    lastis: frozenset[int]


class Way(NamedTuple):
    """A way out of an instruction: 'next', 'jump' or 'handler', the instruction behind it, and the stack there."""

    kind: str
    to: Instruction
    state: State


def effect(instr: Instruction, jump: bool) -> int:
    """Change of the stack depth by `instr`."""
    number = dis.opmap[instr.op]
    has_arg = number in dis.hasarg if VERSION >= (3, 12) else number >= dis.HAVE_ARGUMENT
    return dis.stack_effect(number, instr.arg if has_arg else None, jump=jump)


class Flow:
    """Control and stack flow of `code`: `stack` holds a `State` for every reachable instruction."""

    def __init__(self, code: CodeType) -> None:
        self.instrs = decode(code)
        self.index = {instr: k for k, instr in enumerate(self.instrs)}
        self.at = {instr.offset: instr for instr in self.instrs}
        self.stack: dict[Instruction, State] = {}
        todo = [(self.instrs[0], State(0, frozenset()))]
        while todo:
            instr, state = todo.pop()
            if instr not in self.stack:
                self.stack[instr] = state
                todo += [(way.to, way.state) for way in self.ways(instr)]

    def ways(self, instr: Instruction) -> list[Way]:
        """All ways out of `instr`; empty for one that is never reached."""
        if instr not in self.stack:
            return []
        depth, lastis = self.stack[instr]
        if instr.op == "SWAP":
            top, other = depth - 1, depth - instr.arg
            swapped = {top: other, other: top}
            after = frozenset(swapped.get(k, k) for k in lastis)
        else:
            after = lastis
        return [
            Way(kind, to, State(new, frozenset(k for k in after if k < new))) for kind, to, new in self._on(instr, depth)
        ] + self._caught(instr, lastis)

    def _on(self, instr: Instruction, depth: int) -> Iterator[tuple[str, Instruction, int]]:
        if instr.op == "FOR_ITER":
            yield "jump", landing(self.instrs, self.index, instr), depth - 1
        elif instr.target is not None:
            yield "jump", instr.target, depth + effect(instr, True)
        if instr.op not in TERMINAL and instr.op not in ALWAYS_JUMP:
            yield "next", self.instrs[self.index[instr] + 1], depth + effect(instr, False)

    def _caught(self, instr: Instruction, lastis: frozenset[int]) -> list[Way]:
        if instr.handler is None:
            return []
        target, keep, lasti = instr.handler
        kept = frozenset(k for k in lastis if k < keep) | (frozenset({keep}) if lasti else frozenset())
        return [Way("handler", target, State(keep + lasti + 1, kept))]

    def unit(self, instr: Instruction) -> list[Instruction]:
        """The instructions that `instr` cannot be parted from."""
        return unit_of(self.instrs, self.index[instr])

    def following(self, instr: Instruction) -> Instruction:
        """The instruction behind `instr` in the code."""
        return self.instrs[self.index[instr] + 1]

    def loops(self, instr: Instruction) -> bool:
        """Whether a backward jump can be reached from `instr`."""
        seen: set[Instruction] = set()
        todo = [instr]
        while todo:
            here = todo.pop()
            if here in seen:
                continue
            seen.add(here)
            for way in self.ways(here):
                if way.kind == "jump" and way.to.offset <= here.offset:
                    return True
                todo.append(way.to)
        return False

    def breakable(self) -> list[Instruction]:
        """First instructions of all units where a graph may break: reachable, and behind the set-up of the frame."""
        start = next((k for k, instr in enumerate(self.instrs) if instr.op == "RESUME"), len(self.instrs)) + 1
        return [i for i in self.instrs[start:] if i in self.stack and self.unit(i)[0] is i]


@by_code
def flow(code: CodeType) -> Flow:
    """The `Flow` of `code`, shared."""
    return Flow(code)
