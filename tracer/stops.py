"""Code that runs natively and hands its frame over on arrival at chosen instructions.

Exception handlers always run under CPython, which keeps the exception being handled; capture starts again where they end. Which
variables are bound at a stop is found out when it is reached, so this is slower than a step function, and for rare paths only.
"""

from __future__ import annotations

from types import CodeType
from typing import Any

from .assemble import assemble
from .bytecode import LOAD_BOUND, NULL, PAIRS, SLOT_OPS, Handler, Instruction, parse, slot_count
from .flow import State, flow

_ANY_UNIT = 4  # stands for an instruction's unit where RERAISE would look for one; only tracing takes notice of it


class Stop:
    """Marks what `stopping_code` returns on arrival at a stop: (Stop, list of slots, stack from the bottom up)."""

    __slots__ = ("offset",)

    def __init__(self, offset: int) -> None:
        self.offset = offset


def in_handler(code: CodeType, offset: int) -> bool:
    """Whether a frame before byte `offset` is inside of an exception handler, or at its start."""
    graph = flow(code)
    here = graph.at[offset]
    return bool(graph.stack[here].saved) or any(i.handler is not None and i.handler.target is here for i in graph.instrs)


def ends_of_handlers(code: CodeType) -> set[int]:
    """Offsets of the instructions that are reached from inside a handler and lie outside of all handlers."""
    graph = flow(code)
    inside = [instr for instr, state in graph.stack.items() if state.saved]
    return {way.to.offset for instr in inside for way in graph.ways(instr) if not way.state.saved and way.kind != "handler"}


def _with_room(instr: Instruction, first: int, room: int) -> list[Instruction]:
    """`instr` for a frame with `room` more slots from `first` on."""
    if instr.op in PAIRS:
        ops, slots = PAIRS[instr.op], (instr.arg >> 4, instr.arg & 15)
        moved = [slot + room * (slot >= first) for slot in slots]
        instr.op, instr.arg = ops[0], moved[0]
        return [instr, Instruction(ops[1], moved[1], None, instr.handler, instr.position)]
    if instr.op in SLOT_OPS and instr.arg >= first:
        instr.arg += room
    return [instr]


def _pack(consts: list[Any], slots: list[int], first: int, state: State, stop: Stop) -> list[Instruction]:
    """Instructions that return (stop, slots, stack), and behind them what puts `NULL` in the place of an unbound slot."""

    def const(value: Any) -> Instruction:
        consts.append(value)
        return Instruction("LOAD_CONST", len(consts) - 1)

    stack = [first + k for k in range(state.depth)]
    main = [Instruction("STORE_FAST", slot) for slot in reversed(stack)]
    main.append(const(stop))
    late: list[Instruction] = []
    for below, group in ((1, slots), (2, stack)):
        for k, slot in enumerate(group):
            if group is stack and k in state.lastis:
                main.append(const(_ANY_UNIT))
                continue
            load, join = Instruction(LOAD_BOUND, slot), Instruction("NOP")
            caught = [Instruction("POP_TOP"), const(NULL), Instruction("JUMP_BACKWARD_NO_INTERRUPT", target=join)]
            load.handler = Handler(caught[0], below + k, False)
            main += [load, join]
            late += caught
        main.append(Instruction("BUILD_LIST", len(group)))
    for slot in slots + stack:
        main += [Instruction("PUSH_NULL"), Instruction("STORE_FAST", slot)]
    return [*main, Instruction("BUILD_TUPLE", 3), Instruction("RETURN_VALUE"), *late]


def stopping_code(code: CodeType, offsets: set[int]) -> CodeType:
    """`code` that returns (Stop, slots, stack) on arrival at a reachable instruction of `offsets`."""
    graph, consts, first = flow(code), list(code.co_consts), code.co_nlocals
    room = max((state.depth for state in graph.stack.values()), default=0) + 1
    slots = [k + room * (k >= first) for k in range(slot_count(code))]
    arrive: dict[Instruction, Instruction] = {}
    body: list[Instruction] = []
    packs: list[Instruction] = []
    for instr in parse(code):
        state = graph.stack.get(graph.at[instr.offset])
        if instr.offset in offsets and state is not None:
            pack = _pack(consts, slots, first, state, Stop(instr.offset))
            arrive[instr] = Instruction("JUMP_FORWARD", target=pack[0])
            packs += pack
            body.append(arrive[instr])
        body += _with_room(instr, first, room)
    for instr in body:
        if instr.offset >= 0 and instr.target in arrive:
            instr.target = arrive[instr.target]
        if instr.handler is not None and instr.handler.target in arrive:
            instr.handler = instr.handler._replace(target=arrive[instr.handler.target])
    return assemble(
        code,
        body + packs,
        co_consts=tuple(consts),
        co_nlocals=first + room,
        co_varnames=code.co_varnames + tuple(f".stack{k}" for k in range(room)),
        co_stacksize=code.co_stacksize + len(slots) + room + 5,
    )
