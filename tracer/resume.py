"""Code that continues a frame in the middle of it: resume functions, and steps over a breaking unit.

At a graph break the compiled code has rebuilt the values of the frame (`FrameState`). A *step function* unpacks them, runs the
breaking unit natively and packs the frame again on every way out of the unit, its exception handler included; the driver then
calls a *resume function*, the user's own code between a head that jumps to a tail and that tail, which unpacks the frame and
jumps back in. Names, constants, globals, lines and handlers are the user's own, so `with`, `try` and loops need nothing special.
The driver (`turns`) never nests for breaks of one frame, however often a loop breaks. This file makes code only.
Generators, coroutines, class bodies and module code cannot be continued (`refusal`).
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Sequence
from dataclasses import field
from types import CellType, CodeType, FunctionType
from typing import Any, NamedTuple

from ..ir.lazyclass import dataclass
from .assemble import assemble, encode, handler_table, locations
from .bytecode import (
    AFTER_LOOP,
    ALWAYS_JUMP,
    CALL_TOP,
    CALLS,
    METHOD_PAIR,
    NO_POSITION,
    NULL,
    NULL_ABOVE,
    PAIRS,
    SLOT_OPS,
    Handler,
    Instruction,
    decode,
    normalised,
    plain_load,
    slot_count,
    tests_truth,
)  # fmt: skip
from .flow import Way, flow

HEAD = 4  # code units before the body: RESUME, EXTENDED_ARG, EXTENDED_ARG, JUMP_FORWARD
SHIFT = 2 * HEAD  # bytes by which offsets in a resume function exceed those in the user's code
ADD = 0  # of BINARY_OP
NO_POLL = 2  # RESUME with this argument lets no signal strike before the frame's handlers are in force


class FrameState:
    """A frame's values: `slots` in order (raw cells for cells and free variables), `stack` from the bottom up; `NULL` is empty.

    Both lists are emptied when the frame goes on, so that values die when the user's code drops them.
    """

    __slots__ = ("slots", "stack")

    def __init__(self, slots: list[Any], stack: list[Any]) -> None:
        self.slots, self.stack = slots, stack


class Shape(NamedTuple):
    """What is static about a packed frame: its place in the user's code, its stack depth, the NULLs among slots + stack."""

    offset: int
    depth: int
    nulls: frozenset[int]


class Exit:
    """The way out of a step function that was taken: second of the pair that it returns."""

    __slots__ = ("shape",)

    def __init__(self, shape: Shape) -> None:
        self.shape = shape


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """The user's code that a resume function continues; last constant of the resume function's code."""

    code: CodeType
    hidden: int
    line: int  # where it goes on


def _line(code: CodeType, offset: int) -> int:
    """The user's line of the instruction at byte `offset`."""
    found = [line for start, end, line in code.co_lines() if start <= offset < end and line is not None]
    return found[0] if found else code.co_firstlineno


def origin(code: CodeType) -> Origin | None:
    """The user's code behind a resume function's code, None for any other code."""
    last = code.co_consts[-1] if code.co_consts else None
    return last if type(last) is Origin else None


def refusal(code: CodeType) -> str | None:
    """Why frames of `code` cannot be continued, None if they can."""
    if code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        return f"{code.co_qualname} is a generator or coroutine; its frame outlives the call and cannot be rebuilt"
    if not code.co_flags & inspect.CO_OPTIMIZED:
        return f"{code.co_qualname} is a class or module body; its names are not slots"
    if _hidden(code) and any(_overflows(instr) for instr in decode(code)):
        return f"{code.co_qualname} has no local variable to receive its frame in, and too many cells to add one"
    return None


def lasti(code: CodeType, instr: Instruction) -> int:
    """What a handler that asks for it finds on the stack when `instr` of `code` raises; for handlers entered symbolically."""
    return instr.unit + (0 if origin(code) else HEAD)


def pack(state: FrameState) -> tuple[Any, ...]:
    """The one argument of step and resume functions: slots in order, then the stack from the top down."""
    values = (*state.slots, *reversed(state.stack))
    state.slots.clear()
    state.stack.clear()
    return values


def shape_of(offset: int, state: FrameState) -> Shape:
    """The static shape of a frame before `offset`."""
    nulls = frozenset(k for k, value in enumerate([*state.slots, *state.stack]) if value is NULL)
    return Shape(offset, len(state.stack), nulls)


# --- code --------------------------------------------------------------------------------------------------------------


def _hidden(code: CodeType) -> int:
    """1 where the code has no local variable that could receive the argument: then a slot is added before all others."""
    return int(code.co_nlocals == 0)


def _overflows(instr: Instruction) -> bool:
    if instr.op in PAIRS:
        return 15 in (instr.arg >> 4, instr.arg & 15)
    return instr.op in SLOT_OPS and instr.arg & 255 == 255


def _unpack(code: CodeType, shape: Shape) -> list[tuple[str, int]]:
    """Instructions that spread the packed frame over slots and stack."""
    slots, hidden = slot_count(code), _hidden(code)
    out = [("LOAD_FAST", 0), ("UNPACK_SEQUENCE", slots + shape.depth)]
    out += [("POP_TOP", 0) if k in shape.nulls else ("STORE_FAST", k + hidden) for k in range(slots)]
    if hidden or 0 in shape.nulls:
        out += [("PUSH_NULL", 0), ("STORE_FAST", 0)]
    for k in sorted(shape.nulls):
        if k >= slots:
            out += [("PUSH_NULL", 0), ("SWAP", shape.depth - (k - slots) + 1), ("POP_TOP", 0)]
    return out


def _frame_code(code: CodeType, room: int) -> dict[str, Any]:
    """What `code.replace` needs beside instructions to turn `code` into code of one argument."""
    names = code.co_varnames or (".frame",)
    return {
        "co_argcount": 1, "co_posonlyargcount": 0, "co_kwonlyargcount": 0, "co_varnames": names, "co_nlocals": len(names),
        "co_flags": code.co_flags & ~(inspect.CO_VARARGS | inspect.CO_VARKEYWORDS), "co_stacksize": code.co_stacksize + room,
    }  # fmt: skip


def resume_code(code: CodeType, shape: Shape) -> CodeType:
    """Code of one argument, the packed frame, that continues `code` at `shape.offset`. The body lies at `SHIFT`, unchanged."""
    body = bytearray(code.co_code)
    if _hidden(code):
        for instr in decode(code):
            if instr.op in SLOT_OPS:
                body[2 * instr.unit + 1] += 0x11 if instr.op in PAIRS else 1
    tail = b"".join(encode(op, arg) for op, arg in _unpack(code, shape))
    away = (len(body) + len(tail) - shape.offset) // 2
    width = next(n for n in (1, 2, 3, 4) if away + n < 1 << 8 * n)
    tail += encode("JUMP_BACKWARD_NO_INTERRUPT", away + width)
    head = encode("RESUME", NO_POLL) + encode("JUMP_FORWARD", len(body) // 2, HEAD - 1)
    ranges = [
        (e.start // 2 + HEAD, e.end // 2 + HEAD, e.target // 2 + HEAD, e.depth, e.lasti)
        for e in dis._parse_exception_table(code)  # type: ignore[attr-defined]
    ]
    lines = [locations(units, NO_POSITION, 0)[0] for units in (HEAD, len(tail) // 2)]
    return code.replace(
        co_code=head + bytes(body) + tail,
        co_linetable=lines[0] + code.co_linetable + lines[1],
        co_exceptiontable=handler_table(ranges),
        co_consts=(*code.co_consts, Origin(code, _hidden(code), _line(code, shape.offset))),
        **_frame_code(code, slot_count(code) + shape.depth + 2),
    )


@dataclass(slots=True)
class _Builder:
    """Assembles a step function: the unpacked frame, the breaking unit, and a stub on every way out of it."""

    code: CodeType
    shape: Shape
    main: list[Instruction] = field(default_factory=list)
    stubs: list[Instruction] = field(default_factory=list)
    consts: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.consts = list(self.code.co_consts)
        self.slots, self.hidden = slot_count(self.code), _hidden(self.code)

    slots: int = 0
    hidden: int = 0

    def const(self, value: Any) -> Instruction:
        self.consts.append(value)
        return Instruction("LOAD_CONST", len(self.consts) - 1)

    def stub(self, to: Instruction, depth: int, nulls: frozenset[int], before: Sequence[Instruction] = ()) -> list[Instruction]:
        """Return (the frame packed, the `Exit` there), having let go of all values."""
        out = list(before)
        for k in range(self.slots):
            out.append(self.const(NULL) if k in nulls else Instruction("LOAD_FAST", k + self.hidden))
        out.append(Instruction("BUILD_TUPLE", self.slots))
        for k in range(self.slots):
            if k not in nulls:
                out += [Instruction("PUSH_NULL"), Instruction("STORE_FAST", k + self.hidden)]
        for k in range(depth):
            if k + self.slots in nulls:  # of all instructions only STORE_FAST takes a NULL from the stack; slot 0 is free by now
                out += [self.const(NULL), Instruction("SWAP", depth - k + 2), Instruction("STORE_FAST", 0)]
        for k in range(depth):
            out.append(Instruction("COPY", 2 + 2 * k))  # from the top down: each copy moves the next one away by two
        if depth:
            out += [Instruction("BUILD_TUPLE", depth), Instruction("BINARY_OP", ADD)]
        for _ in range(depth):
            out += [Instruction("SWAP", 2), Instruction("POP_TOP")]
        out += [self.const(Exit(Shape(to.offset, depth, nulls))), Instruction("BUILD_TUPLE", 2)]
        return [*out, Instruction("RETURN_VALUE")]

    def finish(self) -> CodeType:
        """The code. Cells count as made for `locals()` only if a MAKE_CELL lies before the running instruction."""
        start = [Instruction(op, arg) for op, arg in _unpack(self.code, self.shape)]
        cells = [Instruction("MAKE_CELL", i.arg + self.hidden) for i in decode(self.code) if i.op == "MAKE_CELL"]
        head = [Instruction("RESUME", NO_POLL), Instruction("JUMP_FORWARD", target=start[0]), *cells]
        instrs = head + start + self.main + self.stubs
        room = self.slots + self.code.co_stacksize + 8
        return assemble(self.code, instrs, co_consts=tuple(self.consts), **_frame_code(self.code, room))


def _nulls_after(code: CodeType, unit: list[Instruction], shape: Shape, depth: int) -> frozenset[int]:
    """The NULLs among slots + stack once `unit` has run, where `depth` values are left on the stack."""
    slots, nulls, top = slot_count(code), set(shape.nulls), shape.depth
    program = normalised(code)
    first = program.at[unit[-1].offset]
    for step in program.steps[first:]:
        if step.instr is not unit[-1]:
            break
        here = slots + top
        if step.op == "LOAD_FAST_AND_CLEAR":
            nulls |= {here} if step.arg in nulls else set()
            nulls.add(step.arg)
        elif step.op == "STORE_FAST":
            nulls.discard(step.arg)
            nulls |= {step.arg} if here - 1 in nulls else set()
            nulls.discard(here - 1)
        elif step.op == "DELETE_FAST":
            nulls.add(step.arg)
        elif step.op == "MAKE_CELL":
            nulls.discard(step.arg)
        elif step.op == "PUSH_NULL":
            nulls.add(here)
        elif step.op == "SWAP":
            exchange = {here - 1: here - step.arg, here - step.arg: here - 1}
            nulls = {exchange.get(k, k) for k in nulls}
        top += STEP_EFFECT.get(step.op, 0)
    if unit[-1].op in CALLS:
        nulls.discard(slots + depth - 1)
    return frozenset(k for k in nulls if k < slots + depth)


STEP_EFFECT = {
    "LOAD_FAST": 1, "LOAD_FAST_AND_CLEAR": 1, "STORE_FAST": -1, "PUSH_NULL": 1, "LOAD_GLOBAL": 1, "LOAD_SUPER_ATTR": -2,
}  # fmt: skip
"""Depth changes inside instructions of several steps that touch NULLs."""


def _native(code: CodeType, instr: Instruction, hidden: int) -> list[Instruction]:
    """`instr` for a step function. Whether an attribute is called as a method is decided here, not at run time: never."""
    op, arg = instr.op, instr.arg
    parts = plain_load(op, arg) or [(op, arg)]
    if op in PAIRS:
        parts = [(PAIRS[op][0], (arg >> 4) + hidden), (PAIRS[op][1], (arg & 15) + hidden)]
    elif op in SLOT_OPS:
        parts = [(op, arg + hidden)]
    elif op in ALWAYS_JUMP:
        parts = [("NOP", 0)]
    elif instr.target is not None:
        parts = [(op.replace("BACKWARD", "FORWARD"), arg)]
    return [Instruction(name, value or 0, position=instr.position) for name, value in parts]


def step_code(code: CodeType, shape: Shape) -> CodeType:
    """Code of one argument that runs the unit at `shape.offset` and returns the frame packed, or what the unit returns."""
    build, graph = _Builder(code, shape), flow(code)
    unit = graph.unit(graph.at[shape.offset])
    last = unit[-1]
    body = [new for instr in unit for new in _native(code, instr, build.hidden)]
    ways = graph.ways(last)
    build.main = [Instruction("NOP", position=last.position), *body]  # 3.13 looks for an inlined call's handler one unit early
    nulls = {way.kind: _nulls_after(code, unit, shape, way.state.depth) for way in ways}
    for way in ways:
        if way.kind == "handler":
            _cover(build, build.main, last, way, shape)
        elif way.kind == "jump" and last.op not in ALWAYS_JUMP:
            after = [Instruction(op, position=last.position) for op in AFTER_LOOP] if last.op == "FOR_ITER" else []
            label = Instruction("NOP")
            where = after[0] if after else label
            build.stubs += [*after, label, *build.stub(way.to, way.state.depth, nulls["jump"])]
            body[-1].target = where
    for way in ways:
        if way.kind == "next" or (way.kind == "jump" and last.op in ALWAYS_JUMP):
            build.main += build.stub(way.to, way.state.depth, nulls[way.kind])
    return build.finish()


def _cover(build: _Builder, covered: list[Instruction], raising: Instruction, way: Way, shape: Shape) -> None:
    """Send exceptions in `covered` to a stub for the user's own handler."""
    assert raising.handler is not None
    keep, pushes = raising.handler.depth, raising.handler.lasti
    nulls = frozenset(k for k in shape.nulls if k < build.slots + keep)
    where = [Instruction("SWAP", 2), Instruction("POP_TOP"), build.const(lasti(build.code, raising)), Instruction("SWAP", 2)]
    stub = build.stub(way.to, way.state.depth, nulls, [Instruction("NOP"), *(where if pushes else [])])
    build.stubs += stub
    for instr in covered:
        instr.handler = Handler(stub[0], keep, pushes)


def site_code(code: CodeType, shape: Shape) -> CodeType:
    """Like `step_code` for the call site of an inlined call: the callable on top of the stack is called in the call's place."""
    build, graph = _Builder(code, shape), flow(code)
    last = graph.unit(graph.at[shape.offset])[-1]
    onward = next(way for way in graph.ways(last) if way.kind == "next")
    below, wanted = shape.depth - 1, onward.state.depth
    parts = list(CALL_TOP)
    if tests_truth(last.op, last.arg):
        parts.append(("TO_BOOL", 0))
    nulls = shape.nulls
    if wanted == below:
        parts.append(("POP_TOP", 0))
    elif wanted == below + 2:
        parts += METHOD_PAIR
        nulls |= {build.slots + below + NULL_ABOVE}
    elif wanted != below + 1:
        raise ValueError(f"{last.op} at {shape.offset} of {code.co_qualname} leaves {wanted} values over {below} below the call")
    build.main = [Instruction(op, arg or 0, position=last.position) for op, arg in parts]
    for way in graph.ways(last):
        if way.kind == "handler":
            _cover(build, build.main, last, way, shape)
    build.main += build.stub(onward.to, wanted, nulls)
    return build.finish()


def make_function(code: CodeType, fn_globals: dict[str, Any]) -> FunctionType:
    """A function of step or resume code; the real cells come with the packed frame."""
    return FunctionType(code, fn_globals, code.co_name, None, tuple(CellType() for _ in code.co_freevars))
