"""Runs a function up to chosen instructions under CPython and hands its frame over there, as compiled code does at a break."""

from types import FunctionType

from fusewire.tracer.assemble import assemble
from fusewire.tracer.bytecode import NULL, PAIRS, SLOT_OPS, VERSION, Handler, Instruction, parse, slot_count
from fusewire.tracer.flow import flow
from fusewire.tracer.resume import SHIFT, Continuations, Frame, FrameState, continue_frames, make_function, strip_frame

LOAD = "LOAD_FAST_CHECK" if VERSION >= (3, 12) else "LOAD_FAST"


class Reached:
    """Marks what a function with breaks returns when it arrives at one."""

    def __init__(self, offset):
        self.offset = offset


def with_room(instr, first, room):
    """`instr` for a frame with `room` more slots at `first`."""
    if instr.op in PAIRS:
        slots = [instr.arg >> 4, instr.arg & 15]
        ops = PAIRS[instr.op]
        second = Instruction(ops[1], slots[1] + room * (slots[1] >= first), None, instr.handler, instr.position)
        instr.op, instr.arg = ops[0], slots[0] + room * (slots[0] >= first)
        return [instr, second]
    if instr.op in SLOT_OPS and instr.arg >= first:
        instr.arg += room
    return [instr]


def packing(consts, slots, temps, state, marker):
    """Instructions that return (marker, slots, stack), and the handlers for unbound slots."""

    def const(value):
        consts.append(value)
        return Instruction("LOAD_CONST", len(consts) - 1)

    main = [Instruction("STORE_FAST", temps + k) for k in reversed(range(state.depth))]
    late = []
    main.append(const(marker))
    pushed = 1
    for group in (slots, [temps + k for k in range(state.depth)]):
        for k, slot in enumerate(group):
            load, join = Instruction(LOAD, slot), Instruction("NOP")
            caught = [Instruction("POP_TOP"), const(NULL), Instruction("JUMP_BACKWARD_NO_INTERRUPT", target=join)]
            load.handler = Handler(caught[0], pushed + k, False)
            main += [load, join]
            late += caught
        main.append(Instruction("BUILD_LIST", len(group)))
        pushed += 1
    for slot in [*slots, *range(temps, temps + state.depth)]:
        main += [Instruction("PUSH_NULL"), Instruction("STORE_FAST", slot)]
    return [*main, Instruction("BUILD_TUPLE", 3), Instruction("RETURN_VALUE")], late


def with_breaks(code, offsets):
    """`code` that returns (Reached, slots, stack) on arrival at an instruction of `offsets`."""
    graph, instrs, consts = flow(code), parse(code), list(code.co_consts)
    temps = code.co_nlocals
    room = max((state.depth for state in graph.stack.values()), default=0) + 1
    slots = [k + room * (k >= temps) for k in range(slot_count(code))]
    arrive, out, stubs = {}, [], []
    for instr in instrs:
        if instr.offset in offsets and graph.at[instr.offset] in graph.stack:
            state = graph.stack[graph.at[instr.offset]]
            main, late = packing(consts, slots, temps, state, Reached(instr.offset))
            arrive[instr] = Instruction("JUMP_FORWARD", target=main[0])
            stubs += main + late
            out.append(arrive[instr])
        out += with_room(instr, temps, room)
    for instr in out:
        if (instr.target in arrive and instr.op != "JUMP_FORWARD") or (instr.target in arrive and instr.offset >= 0):
            instr.target = arrive[instr.target]
        if instr.handler is not None and instr.handler.target in arrive:
            instr.handler = instr.handler._replace(target=arrive[instr.handler.target])
    return assemble(
        code, out + stubs, co_consts=tuple(consts), co_nlocals=temps + room,
        co_varnames=code.co_varnames + tuple(f".stack{k}" for k in range(room)),
        co_stacksize=code.co_stacksize + slot_count(code) + room + 5,
    )  # fmt: skip


class Breaker:
    """`entry` behaves as `fn`, broken at `offsets`: once, or `again` at every arrival. `hook`: see `Continuations`."""

    def __init__(self, fn, offsets, again, hook=None):
        self.fn, self.offsets, self.arrivals = fn, offsets, 0
        self.continuations = Continuations(self.hook if again else hook)
        self.first = FunctionType(with_breaks(fn.__code__, offsets), fn.__globals__, fn.__name__, fn.__defaults__, fn.__closure__)
        self.first.__kwdefaults__ = fn.__kwdefaults__

    def hook(self, resume):
        offsets = {offset + SHIFT for offset in self.offsets}
        broken = make_function(with_breaks(resume.__code__, offsets), resume.__globals__)

        def run(values):
            box = [values]
            del values
            try:
                return self.proceed(resume, broken(box.pop()))
            except BaseException as exc:
                strip_frame(exc)
                raise

        return run

    def proceed(self, fn, out):
        if type(out) is not tuple or len(out) != 3 or type(out[0]) is not Reached:
            return out
        self.arrivals += 1
        marker, slots, stack = out
        for k in flow(fn.__code__).stack[flow(fn.__code__).at[marker.offset]].lastis:
            stack[k] = 5  # only tracing looks at it; any unit of the code will do
        del out
        frames = [Frame(fn, marker.offset, FrameState(slots, stack))]
        del slots, stack
        try:
            return continue_frames(frames, self.continuations)
        except BaseException as exc:
            strip_frame(exc)
            raise

    def entry(self, *args, **kwargs):
        try:
            return self.proceed(self.fn, self.first(*args, **kwargs))
        except BaseException as exc:
            strip_frame(exc)
            raise
