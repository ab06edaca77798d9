"""Control and stack flow of a code object: where each instruction leads, and how the stack lies there. Looks at no values."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import CodeType
from typing import NamedTuple

from .bytecode import ALWAYS_JUMP, TERMINAL, Instruction, by_code, decode, has_argument, landing, unit_of


class State(NamedTuple):
    """The stack before an instruction: how many values, which of them hold an instruction's unit for RERAISE (`lastis`), and
    which hold the exception that was handled before (`saved`): none outside of handlers.
    """

    depth: int
    lastis: frozenset[int]
    saved: frozenset[int]


class Way(NamedTuple):
    """A way out of an instruction: 'next', 'jump' or 'handler', the instruction behind it, and the stack there."""

    kind: str
    to: Instruction
    state: State


def effect(instr: Instruction, jump: bool) -> int:
    """Change of the stack depth by `instr`."""
    return dis.stack_effect(dis.opmap[instr.op], instr.arg if has_argument(instr.op) else None, jump=jump)


def _moved(instr: Instruction, depth: int, marks: frozenset[int], left: int) -> frozenset[int]:
    """Marked stack positions behind `instr`, which found `depth` values and leaves `left`."""
    if instr.op == "SWAP":
        exchange = {depth - 1: depth - instr.arg, depth - instr.arg: depth - 1}
        marks = frozenset(exchange.get(k, k) for k in marks)
    elif instr.op == "COPY" and depth - instr.arg in marks:
        marks |= {depth}
    return frozenset(k for k in marks if k < left)


class Flow:
    """Control and stack flow of `code`: `stack` holds a `State` for every reachable instruction."""

    def __init__(self, code: CodeType) -> None:
        self.instrs = decode(code)
        self.index = {instr: k for k, instr in enumerate(self.instrs)}
        self.at = {instr.offset: instr for instr in self.instrs}
        self.stack: dict[Instruction, State] = {}
        todo = [(self.instrs[0], State(0, frozenset(), frozenset()))]
        while todo:
            instr, state = todo.pop()
            if instr not in self.stack:
                self.stack[instr] = state
                todo += [(way.to, way.state) for way in self.ways(instr)]

    def ways(self, instr: Instruction) -> list[Way]:
        """All ways out of `instr`; empty for one that is never reached."""
        if instr not in self.stack:
            return []
        depth, lastis, saved = self.stack[instr]
        out = []
        for kind, to, new in self._on(instr, depth):
            out.append(Way(kind, to, State(new, _moved(instr, depth, lastis, new), _moved(instr, depth, saved, new))))
            if instr.op == "PUSH_EXC_INFO":
                out[-1] = Way(kind, to, out[-1].state._replace(saved=saved | {depth - 1}))
        return out + self._caught(instr, self.stack[instr])

    def _on(self, instr: Instruction, depth: int) -> Iterator[tuple[str, Instruction, int]]:
        if instr.op == "FOR_ITER":
            yield "jump", landing(self.instrs, self.index, instr), depth - 1
        elif instr.target is not None:
            yield "jump", instr.target, depth + effect(instr, True)
        if instr.op not in TERMINAL and instr.op not in ALWAYS_JUMP:
            yield "next", self.instrs[self.index[instr] + 1], depth + effect(instr, False)

    def _caught(self, instr: Instruction, state: State) -> list[Way]:
        if instr.handler is None:
            return []
        target, keep, lasti = instr.handler
        lastis = frozenset(k for k in state.lastis if k < keep) | (frozenset({keep}) if lasti else frozenset())
        return [Way("handler", target, State(keep + lasti + 1, lastis, frozenset(k for k in state.saved if k < keep)))]

    def unit(self, instr: Instruction) -> list[Instruction]:
        """The instructions that `instr` cannot be parted from."""
        return unit_of(self.instrs, self.index[instr])

    def following(self, instr: Instruction) -> Instruction:
        """The instruction behind `instr` in the code."""
        return self.instrs[self.index[instr] + 1]

    def breakable(self) -> list[Instruction]:
        """First instructions of all units where a graph may break: reachable, and behind the set-up of the frame."""
        start = next((k for k, instr in enumerate(self.instrs) if instr.op == "RESUME"), len(self.instrs)) + 1
        return [i for i in self.instrs[start:] if i in self.stack and self.unit(i)[0] is i]


@by_code
def flow(code: CodeType) -> Flow:
    """The `Flow` of `code`, shared."""
    return Flow(code)
