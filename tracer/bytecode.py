"""What is known about CPython bytecode of 3.11, 3.12 and 3.13: decoding and normalising.

All differences between the versions lie in this file. `decode` gives the real instructions, `normalised` gives a small
instruction set that is the same for all versions (`OPCODES`). `flow` and `assemble` are built on them.
Never runs user code and never looks at values.

The normalised instruction set
------------------------------
A frame has *slots* (locals, then cells, then free variables; `slot_names`) and a value stack that lies exactly as in CPython,
NULLs included. A slot holds what CPython keeps there: for a cell or free variable the raw cell. ``s[-1]`` is the top.

====================== ================ =============================================================================
op                     arg              meaning
====================== ================ =============================================================================
NOP                    None             nothing
POP_TOP                None             pop
PUSH_NULL              None             push NULL
COPY                   n                push s[-n]
SWAP                   n                exchange s[-1] and s[-n]
LOAD_CONST             value            push value
LOAD_FAST              slot             push the slot's content (a raw cell too); UnboundLocalError where unbound
LOAD_FAST_AND_CLEAR    slot             push the slot's content, or NULL where unbound; the slot is then unbound
STORE_FAST             slot             pop into the slot; a popped NULL makes the slot unbound
DELETE_FAST            slot             make unbound; UnboundLocalError where it is
MAKE_CELL              slot             put a new cell around the slot's content (empty where unbound)
COPY_FREE_VARS         n                put the function's closure into the last n slots
LOAD_DEREF             slot             push the content of the cell in the slot; NameError where empty
STORE_DEREF            slot             pop into the cell in the slot
DELETE_DEREF           slot             empty the cell in the slot
LOAD_GLOBAL            name             push a global or builtin
STORE_GLOBAL           name             pop into a global
DELETE_GLOBAL          name             delete a global
LOAD_ATTR              name             pop object, push object.name
STORE_ATTR             name             pop object, pop value; object.name = value
DELETE_ATTR            name             pop object; del object.name
LOAD_SUPER_ATTR        name             pop self, class, super; push super(class, self).name
LOAD_ASSERTION_ERROR   None             push AssertionError
LOAD_BUILD_CLASS       None             push builtins.__build_class__
IMPORT_NAME            name             pop fromlist, level; push the module
IMPORT_FROM            name             push s[-1].name; the module stays
UNARY_OP               '-' '+' '~'      pop x, push op x (`UNARY`)
UNARY_NOT              None             pop a bool, push its negation
TO_BOOL                None             pop x, push bool(x)
BINARY_OP              '+' .. '**='     pop b, pop a, push a op b (`BINARY`)
BINARY_SUBSCR          None             pop key, pop object, push object[key]
STORE_SUBSCR           None             pop key, pop object, pop value; object[key] = value
DELETE_SUBSCR          None             pop key, pop object; del object[key]
COMPARE_OP             '<' .. '>='      pop b, pop a, push a op b (`COMPARE`); a truth test is a TO_BOOL of its own
IS_OP                  invert           pop b, pop a, push (a is b) != invert
CONTAINS_OP            invert           pop b, pop a, push (a in b) != invert
BUILD_TUPLE            n                also BUILD_LIST, BUILD_SET, BUILD_STRING: pop n items
BUILD_MAP              n                pop n key, value pairs
BUILD_CONST_KEY_MAP    n                pop the tuple of keys, then n values
BUILD_SLICE            2 or 3           pop (step,) stop, start
LIST_APPEND            n                pop x; s[-n].append(x), counted after the pop; SET_ADD alike
MAP_ADD                n                pop value, key; s[-n][key] = value
LIST_EXTEND            n                pop x; s[-n].extend(x); SET_UPDATE, DICT_UPDATE, DICT_MERGE (refuses doubles) alike
LIST_TO_TUPLE          None             pop list, push tuple
UNPACK_SEQUENCE        n                pop, push n items, the first on top
UNPACK_EX              (before, after)  pop, push items and a list between them, the first on top
CONVERT_VALUE          's' 'r' 'a'      pop x, push str(x), repr(x) or ascii(x)
FORMAT                 has_spec         pop spec if has_spec (else ''), pop x, push format(x, spec)
MAKE_FUNCTION          None             pop code, push a function
SET_FUNCTION_ATTRIBUTE which            pop function, pop value, push function; 'defaults' 'kwdefaults' 'annotations' 'closure'
CALL                   CallShape        `call_operands` pops the operands; push the result
CALL_EX                has_kwargs       `call_ex_operands` pops the operands; push the result
GET_ITER               None             pop x, push iter(x)
FOR_ITER               None, target     push next(s[-1]); exhausted: pop the iterator, go to target
GET_LEN                None             push len(s[-1])
MATCH_MAPPING          None             push whether s[-1] is a mapping; MATCH_SEQUENCE alike
MATCH_KEYS             None             push a tuple of s[-2][k] for k in s[-1], or None; MATCH_CLASS arg n: see `dis`
JUMP                   None, target     go to target; `backward` tells a loop
POP_JUMP_IF_FALSE      None, target     pop a bool; go to target if it is False; POP_JUMP_IF_TRUE alike
POP_JUMP_IF_NONE       None, target     pop x; go to target if it is None; POP_JUMP_IF_NOT_NONE alike
RETURN_VALUE           None             pop and return
RAISE_VARARGS          0, 1 or 2        raise, pop (cause,) exception
RERAISE                lasti at -n or 0 pop and raise again, the traceback as it is
PUSH_EXC_INFO          None             pop exc, push the exception handled so far, push exc; exc is now handled
POP_EXCEPT             None             pop the exception handled before; it is handled again
CHECK_EXC_MATCH        None             pop type, push whether s[-1] matches it
BEFORE_WITH            None             pop manager, push its bound __exit__, push __enter__()
WITH_EXCEPT_START      None             push s[-4](type(e), e, e.__traceback__) for e = s[-1]
RETURN_GENERATOR       None             the frame becomes a generator; a POP_TOP follows
YIELD_VALUE            None             pop and yield; push what is sent
GET_YIELD_FROM_ITER    None             pop x, push x if it is a generator else iter(x)
SEND                   None, target     pop v, push s[-1].send(v); at its end: pop the iterator, push the value, go to target
STOPITERATION_ERROR    None             pop exc, push RuntimeError for a StopIteration that leaves a generator
GET_AWAITABLE          None             pop x, push the iterator behind ``await x``
GET_AITER              None             pop x, push x.__aiter__(); GET_ANEXT: push the iterator behind s[-1].__anext__()
END_ASYNC_FOR          None             pop exc, pop the iterator; raise again what is no StopAsyncIteration
BEFORE_ASYNC_WITH      None             as BEFORE_WITH, by __aexit__ and __aenter__
ASYNC_GEN_WRAP         None             pop x, push it wrapped: the asynchronous generator yields it itself
CLEANUP_THROW          None             pop exc, sent, iterator; push None and the value of a StopIteration, raise again all else
CHECK_EG_MATCH         None             pop type; part the group s[-1]: push the rest in its place, then the match or None
PREP_RERAISE_STAR      None             pop list, pop group; push what except* leaves to raise, or None
LOAD_NAME              name             push from the names of the class body, else a global or builtin
STORE_NAME             name             pop into the names of the class body; DELETE_NAME alike
LOAD_LOCALS            None             push the names of the class body
SETUP_ANNOTATIONS      None             have a dict of annotations among the names of the class body
LOAD_FROM_DICT_OR_DEREF slot            pop names; push from there, else the content of the cell; LOAD_FROM_DICT_OR_GLOBALS name
UNKNOWN                real op name     not modelled, in `NOT_MODELLED` or new: a graph break
====================== ================ =============================================================================

One real instruction may become several steps. A graph break is only possible where `Step.begins` is true, at the start of a unit
of instructions that cannot be parted; an interpreter keeps the frame as it was there and rolls back to it.
"""

from __future__ import annotations

import dis
import opcode
import operator
import sys
import weakref
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import field
from types import CodeType
from typing import Any, NamedTuple, TypeVar

from ..ir.lazyclass import dataclass

VERSION = sys.version_info[:2]
EXTENDED_ARG = dis.opmap["EXTENDED_ARG"]
Position = tuple[int | None, int | None, int | None, int | None]
NO_POSITION: Position = (None, None, None, None)
T = TypeVar("T")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


class Null:
    """The type of `NULL`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NULL"


NULL = Null()
"""Stands for CPython's NULL: an unbound slot, or the empty place beside a callable on the stack."""

UNARY: dict[str, Callable[[Any], Any]] = {"-": operator.neg, "+": operator.pos, "~": operator.invert}
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "&": operator.and_, "//": operator.floordiv, "<<": operator.lshift, "@": operator.matmul,
    "*": operator.mul, "%": operator.mod, "|": operator.or_, "**": operator.pow, ">>": operator.rshift,
    "-": operator.sub, "/": operator.truediv, "^": operator.xor, "+=": operator.iadd, "&=": operator.iand,
    "//=": operator.ifloordiv, "<<=": operator.ilshift, "@=": operator.imatmul, "*=": operator.imul,
    "%=": operator.imod, "|=": operator.ior, "**=": operator.ipow, ">>=": operator.irshift, "-=": operator.isub,
    "/=": operator.itruediv, "^=": operator.ixor,
}  # fmt: skip

CLASS_BODY = "these stand in module code only"
NEVER_IN_CODE = "never stands in a function's fresh code"
NOT_MODELLED: dict[str, str] = {
    **dict.fromkeys(_words("PRINT_EXPR IMPORT_STAR"), CLASS_BODY),
    **dict.fromkeys(_words("CACHE EXTENDED_ARG INTERPRETER_EXIT RESERVED ENTER_EXECUTOR EXIT_INIT_CHECK"), NEVER_IN_CODE),
}
"""Real instructions that become UNKNOWN, with the reason. Pseudo and instrumented ones never stand in `co_code` either."""

OPCODES: tuple[str, ...] = _words(
    """NOP POP_TOP PUSH_NULL COPY SWAP LOAD_CONST LOAD_FAST LOAD_FAST_AND_CLEAR STORE_FAST DELETE_FAST MAKE_CELL COPY_FREE_VARS
    LOAD_DEREF STORE_DEREF DELETE_DEREF LOAD_GLOBAL STORE_GLOBAL DELETE_GLOBAL LOAD_ATTR STORE_ATTR DELETE_ATTR LOAD_SUPER_ATTR
    LOAD_ASSERTION_ERROR LOAD_BUILD_CLASS IMPORT_NAME IMPORT_FROM UNARY_OP UNARY_NOT TO_BOOL BINARY_OP BINARY_SUBSCR
    STORE_SUBSCR DELETE_SUBSCR COMPARE_OP IS_OP CONTAINS_OP BUILD_TUPLE BUILD_LIST BUILD_SET BUILD_STRING BUILD_MAP
    BUILD_CONST_KEY_MAP BUILD_SLICE LIST_APPEND SET_ADD MAP_ADD LIST_EXTEND SET_UPDATE DICT_UPDATE DICT_MERGE LIST_TO_TUPLE
    UNPACK_SEQUENCE UNPACK_EX CONVERT_VALUE FORMAT MAKE_FUNCTION SET_FUNCTION_ATTRIBUTE CALL CALL_EX GET_ITER FOR_ITER GET_LEN
    MATCH_MAPPING MATCH_SEQUENCE MATCH_KEYS MATCH_CLASS JUMP POP_JUMP_IF_FALSE POP_JUMP_IF_TRUE POP_JUMP_IF_NONE
    POP_JUMP_IF_NOT_NONE RETURN_VALUE RAISE_VARARGS RERAISE PUSH_EXC_INFO POP_EXCEPT CHECK_EXC_MATCH BEFORE_WITH
    WITH_EXCEPT_START RETURN_GENERATOR YIELD_VALUE GET_YIELD_FROM_ITER SEND STOPITERATION_ERROR GET_AWAITABLE GET_AITER GET_ANEXT
    END_ASYNC_FOR BEFORE_ASYNC_WITH ASYNC_GEN_WRAP CLEANUP_THROW CHECK_EG_MATCH PREP_RERAISE_STAR LOAD_NAME STORE_NAME DELETE_NAME
    LOAD_LOCALS LOAD_FROM_DICT_OR_DEREF LOAD_FROM_DICT_OR_GLOBALS SETUP_ANNOTATIONS UNKNOWN"""
)


class Handler(NamedTuple):
    """Where an exception goes: the stack is cut to `depth`, then come the instruction's unit if `lasti`, and the exception."""

    target: Instruction
    depth: int
    lasti: bool


@dataclass(eq=False, slots=True)
class Instruction:
    """A real instruction with its EXTENDED_ARGs. It begins at byte `offset`; `unit` is the code unit of its opcode."""

    op: str
    arg: int = 0
    target: Instruction | None = None
    handler: Handler | None = None
    position: Position = NO_POSITION
    offset: int = -1
    unit: int = -1

    @property
    def line(self) -> int | None:
        """The line in the user's file, None for code that the compiler added."""
        return self.position[0]


@dataclass(frozen=True, slots=True)
class CallShape:
    """How many positional arguments a CALL has, and the names of the keyword arguments behind them."""

    positional: int
    names: tuple[str, ...] = ()


@dataclass(eq=False, slots=True)
class Step:
    """A normalised instruction (`OPCODES`). `target` indexes `Program.steps`; `begins`: a graph break may stand before it."""

    op: str
    arg: Any
    instr: Instruction
    begins: bool = False
    target: int = -1
    backward: bool = False


@dataclass(eq=False, slots=True)
class Program:
    """The normalised form of a code object; `at` maps the offset of a real instruction to its first step."""

    steps: list[Step] = field(default_factory=list)
    at: dict[int, int] = field(default_factory=dict)

    def handler(self, step: Step) -> tuple[int, int, bool] | None:
        """(index of the handler's first step, stack depth to cut to, whether a lasti is pushed) for an exception in `step`."""
        found = step.instr.handler
        return None if found is None else (self.at[found.target.offset], found.depth, found.lasti)


def by_code(make: Callable[[CodeType], T]) -> Callable[[CodeType], T]:
    """Cache by the identity of the code object, for as long as it lives."""
    cache: dict[int, tuple[weakref.ref[CodeType], T]] = {}

    def cached(code: CodeType) -> T:
        entry = cache.get(id(code))
        if entry is not None and entry[0]() is code:
            return entry[1]
        key, made = id(code), make(code)
        cache[key] = weakref.ref(code, lambda _: cache.pop(key, None)), made
        return made

    cached.__doc__ = make.__doc__
    return cached


# --- encodings ---------------------------------------------------------------------------------------------------------

_CACHES: Any = opcode._inline_cache_entries  # type: ignore[attr-defined]  # a dict by name from 3.13 on, before it a list
CACHES: dict[str, int] = dict(_CACHES) if isinstance(_CACHES, dict) else dict(zip(dis.opname, _CACHES, strict=False))
JUMPS = {op for op in dis.opmap if "JUMP" in op or op in ("FOR_ITER", "SEND")}
TERMINAL = {"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE"}
ALWAYS_JUMP = {"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"}
AFTER_LOOP: tuple[str, ...] = {(3, 11): (), (3, 12): ("END_FOR",)}.get(VERSION, ("END_FOR", "POP_TOP"))
"""What an exhausted FOR_ITER does by itself: these instructions stand at its target and are skipped."""
PAIRS = {
    "LOAD_FAST_LOAD_FAST": ("LOAD_FAST", "LOAD_FAST"),
    "STORE_FAST_STORE_FAST": ("STORE_FAST", "STORE_FAST"),
    "STORE_FAST_LOAD_FAST": ("STORE_FAST", "LOAD_FAST"),
}
SLOT_OPS = {op for op in dis.opmap if op.startswith(("LOAD_FAST", "STORE_FAST", "DELETE_FAST", "MAKE_CELL"))}
SLOT_OPS |= {dis.opname[n] for n in dis.hasfree} | {"LOAD_CLOSURE"}
CALLS = {"CALL", "CALL_KW", "CALL_FUNCTION_EX"}
GLUED = {"KW_NAMES", "PRECALL"}  # they keep state outside the value stack for the CALL behind them


def slot_names(code: CodeType) -> tuple[str, ...]:
    """Names of a frame's slots: locals, cells that are no locals, free variables."""
    cells = tuple(name for name in code.co_cellvars if name not in code.co_varnames)
    return code.co_varnames + cells + code.co_freevars


def slot_count(code: CodeType) -> int:
    """How many slots a frame of `code` has."""
    return len(slot_names(code))


def parse(code: CodeType) -> list[Instruction]:
    """The real instructions of `code`, a fresh list that may be edited and assembled."""
    raw, positions = code.co_code, list(code.co_positions())
    out: list[Instruction] = []
    jumps: list[tuple[Instruction, int]] = []
    at, start, high = 0, 0, 0
    while at < len(raw):
        op, arg = dis.opname[raw[at]], raw[at + 1] | high
        at += 2
        if op == "EXTENDED_ARG":
            high = arg << 8
            continue
        instr = Instruction(op, arg, None, None, positions[at // 2 - 1], start, at // 2 - 1)
        at += 2 * CACHES.get(op, 0)
        if op in JUMPS:
            jumps.append((instr, at - 2 * arg if "BACKWARD" in op else at + 2 * arg))
        out.append(instr)
        start, high = at, 0
    found = {instr.offset: instr for instr in out}
    for instr, to in jumps:
        instr.target = found[to]
    starts = [instr.offset for instr in out]
    for entry in dis._parse_exception_table(code):  # type: ignore[attr-defined]
        handler = Handler(found[entry.target], entry.depth, entry.lasti)
        for instr in out[bisect_left(starts, entry.start) : bisect_left(starts, entry.end)]:
            instr.handler = handler
    return out


@by_code
def decode(code: CodeType) -> list[Instruction]:
    """The real instructions of `code`, shared: never edit them."""
    return parse(code)


# --- normalising -------------------------------------------------------------------------------------------------------

Part = tuple[str, Any]
PLAIN = _words(
    """NOP POP_TOP PUSH_NULL LOAD_ASSERTION_ERROR LOAD_BUILD_CLASS UNARY_NOT TO_BOOL BINARY_SUBSCR STORE_SUBSCR DELETE_SUBSCR
    LIST_TO_TUPLE GET_ITER FOR_ITER GET_LEN MATCH_MAPPING MATCH_SEQUENCE MATCH_KEYS RETURN_VALUE PUSH_EXC_INFO POP_EXCEPT
    CHECK_EXC_MATCH BEFORE_WITH WITH_EXCEPT_START RETURN_GENERATOR YIELD_VALUE GET_YIELD_FROM_ITER SEND GET_AWAITABLE GET_AITER
    GET_ANEXT END_ASYNC_FOR BEFORE_ASYNC_WITH ASYNC_GEN_WRAP CLEANUP_THROW CHECK_EG_MATCH PREP_RERAISE_STAR LOAD_LOCALS
    SETUP_ANNOTATIONS"""
)
COUNTED = _words(
    """COPY SWAP LOAD_FAST LOAD_FAST_AND_CLEAR STORE_FAST DELETE_FAST MAKE_CELL COPY_FREE_VARS LOAD_DEREF STORE_DEREF
    DELETE_DEREF IS_OP CONTAINS_OP BUILD_TUPLE BUILD_LIST BUILD_SET BUILD_STRING BUILD_MAP BUILD_CONST_KEY_MAP BUILD_SLICE
    LIST_APPEND SET_ADD MAP_ADD LIST_EXTEND SET_UPDATE DICT_UPDATE DICT_MERGE UNPACK_SEQUENCE MATCH_CLASS RAISE_VARARGS
    RERAISE LOAD_FROM_DICT_OR_DEREF"""
)
NAMED = {
    "STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR", "IMPORT_NAME", "IMPORT_FROM", "LOAD_NAME", "STORE_NAME",
    "DELETE_NAME", "LOAD_FROM_DICT_OR_GLOBALS",
}  # fmt: skip
FIXED: dict[str, list[Part]] = {
    "RESUME": [("NOP", None)],
    "PRECALL": [("NOP", None)],
    "KW_NAMES": [("NOP", None)],
    "UNARY_NEGATIVE": [("UNARY_OP", "-")],
    "UNARY_POSITIVE": [("UNARY_OP", "+")],
    "UNARY_INVERT": [("UNARY_OP", "~")],
    "BINARY_SLICE": [("BUILD_SLICE", 2), ("BINARY_SUBSCR", None)],
    "STORE_SLICE": [("BUILD_SLICE", 2), ("STORE_SUBSCR", None)],
    "FORMAT_SIMPLE": [("FORMAT", False)],
    "FORMAT_WITH_SPEC": [("FORMAT", True)],
    "END_FOR": [("POP_TOP", None)] * (2 if VERSION == (3, 12) else 1),
    "END_SEND": [("SWAP", 2), ("POP_TOP", None)],
    "JUMP_FORWARD": [("JUMP", None)],
    "JUMP_BACKWARD": [("JUMP", None)],
    "JUMP_BACKWARD_NO_INTERRUPT": [("JUMP", None)],
    "JUMP_IF_FALSE_OR_POP": [("COPY", 1), ("TO_BOOL", None), ("POP_JUMP_IF_FALSE", None), ("POP_TOP", None)],
    "JUMP_IF_TRUE_OR_POP": [("COPY", 1), ("TO_BOOL", None), ("POP_JUMP_IF_TRUE", None), ("POP_TOP", None)],
}
if VERSION < (3, 13):  # from 3.13 on these take a bool, and a TO_BOOL stands before them
    FIXED["UNARY_NOT"] = [("TO_BOOL", None), ("UNARY_NOT", None)]
    for _way in ("FALSE", "TRUE"):
        for _prefix in ("POP_JUMP_IF_", "POP_JUMP_FORWARD_IF_", "POP_JUMP_BACKWARD_IF_"):
            FIXED[_prefix + _way] = [("TO_BOOL", None), ("POP_JUMP_IF_" + _way, None)]
for _way in ("FALSE", "TRUE", "NONE", "NOT_NONE"):
    for _prefix in ("POP_JUMP_IF_", "POP_JUMP_FORWARD_IF_", "POP_JUMP_BACKWARD_IF_"):
        FIXED.setdefault(_prefix + _way, [("POP_JUMP_IF_" + _way, None)])
BINARY_SYMBOLS = tuple(BINARY)  # in the order of CPython's own table; the test compares them
INTRINSICS: dict[int, list[Part]] = {
    3: [("STOPITERATION_ERROR", None)], 4: [("ASYNC_GEN_WRAP", None)], 5: [("UNARY_OP", "+")], 6: [("LIST_TO_TUPLE", None)],
}  # fmt: skip
ATTRIBUTES = {1: "defaults", 2: "kwdefaults", 4: "annotations", 8: "closure"}
CONVERSIONS = {1: "s", 2: "r", 3: "a"}
NULL_ABOVE = VERSION >= (3, 13)
METHOD_PAIR: list[Part] = [("PUSH_NULL", None)] + [("SWAP", 2)] * (not NULL_ABOVE)
"""Behind an attribute that is about to be called: the NULL goes below the callable up to 3.12, above it from 3.13 on."""
CALL_TOP: list[Part] = [*METHOD_PAIR, *([("PRECALL", 0)] if VERSION == (3, 11) else []), ("CALL", 0)]
"""Real instructions that call the top of the stack without arguments."""
LOAD_BOUND = "LOAD_FAST_CHECK" if VERSION >= (3, 12) else "LOAD_FAST"
"""The real instruction that loads a slot and raises UnboundLocalError where it is unbound."""


JOIN_GROUPS = ("PREP_RERAISE_STAR", 0) if VERSION == (3, 11) else ("CALL_INTRINSIC_2", 1)
"""The real instruction that makes what ``except*`` leaves to raise."""
CLOSE_GIVES = VERSION >= (3, 13)
"""Whether ``generator.close()`` gives what the generator returns."""


def has_argument(op: str) -> bool:
    """Whether the real instruction reads its argument."""
    if sys.version_info >= (3, 12):
        return dis.opmap[op] in dis.hasarg
    return dis.opmap[op] >= dis.HAVE_ARGUMENT


def plain_load(op: str, arg: int) -> list[Part] | None:
    """Real instructions for an attribute load with the pair that a method call takes, none of which looks for a method; None
    for any other instruction."""
    if op == "LOAD_METHOD":
        return [("LOAD_ATTR", arg), *METHOD_PAIR]
    if op in ("LOAD_ATTR", "LOAD_SUPER_ATTR") and VERSION >= (3, 12) and arg & 1:
        return [(op, arg - 1), *METHOD_PAIR]
    return None


def tests_truth(op: str, arg: int) -> bool:
    """Whether the real instruction is a comparison that pushes the truth of its result."""
    return op == "COMPARE_OP" and VERSION >= (3, 13) and bool(arg & 16)


def _load_global(code: CodeType, arg: int) -> list[Part]:
    load: Part = ("LOAD_GLOBAL", code.co_names[arg >> 1])
    if not arg & 1:
        return [load]
    return [load, ("PUSH_NULL", None)] if NULL_ABOVE else [("PUSH_NULL", None), load]


def _load_attr(code: CodeType, arg: int) -> list[Part]:
    if VERSION == (3, 11):
        return [("LOAD_ATTR", code.co_names[arg])]
    return [("LOAD_ATTR", code.co_names[arg >> 1]), *(METHOD_PAIR if arg & 1 else [])]


def _compare(code: CodeType, arg: int) -> list[Part]:
    shift = {(3, 11): 0, (3, 12): 4}.get(VERSION, 5)
    return [("COMPARE_OP", dis.cmp_op[arg >> shift]), *([("TO_BOOL", None)] if tests_truth("COMPARE_OP", arg) else [])]


def _make_function(code: CodeType, arg: int) -> list[Part]:
    flags = () if VERSION >= (3, 13) else (8, 4, 2, 1)
    return [("MAKE_FUNCTION", None)] + [("SET_FUNCTION_ATTRIBUTE", ATTRIBUTES[bit]) for bit in flags if arg & bit]


def _format_value(code: CodeType, arg: int) -> list[Part]:
    spec = bool(arg & 4)
    turn: list[Part] = [("SWAP", 2)] * spec
    convert: list[Part] = [*turn, ("CONVERT_VALUE", CONVERSIONS[arg & 3]), *turn] if arg & 3 else []
    return [*convert, ("FORMAT", spec)]


def _load_super(code: CodeType, arg: int) -> list[Part]:
    return [("LOAD_SUPER_ATTR", code.co_names[arg >> 2]), *(METHOD_PAIR if arg & 1 else [])]


def _intrinsic_2(code: CodeType, arg: int) -> list[Part]:
    return [("PREP_RERAISE_STAR", None)] if arg == 1 else [("UNKNOWN", f"CALL_INTRINSIC_2 {arg}")]


def _intrinsic(code: CodeType, arg: int) -> list[Part]:
    return INTRINSICS.get(arg, [("UNKNOWN", f"CALL_INTRINSIC_1 {arg}")])


WITH_ARG: dict[str, Callable[[CodeType, int], list[Part]]] = {
    "LOAD_CONST": lambda code, arg: [("LOAD_CONST", code.co_consts[arg])],
    "RETURN_CONST": lambda code, arg: [("LOAD_CONST", code.co_consts[arg]), ("RETURN_VALUE", None)],
    "LOAD_FAST_CHECK": lambda code, arg: [("LOAD_FAST", arg)],
    "LOAD_CLOSURE": lambda code, arg: [("LOAD_FAST", arg)],
    "LOAD_GLOBAL": _load_global,
    "LOAD_ATTR": _load_attr,
    "LOAD_METHOD": lambda code, arg: [("LOAD_ATTR", code.co_names[arg]), *METHOD_PAIR],
    "LOAD_SUPER_ATTR": _load_super,
    "BINARY_OP": lambda code, arg: [("BINARY_OP", BINARY_SYMBOLS[arg])],
    "COMPARE_OP": _compare,
    "UNPACK_EX": lambda code, arg: [("UNPACK_EX", (arg & 255, arg >> 8))],
    "CONVERT_VALUE": lambda code, arg: [("CONVERT_VALUE", CONVERSIONS[arg])],
    "FORMAT_VALUE": _format_value,
    "MAKE_FUNCTION": _make_function,
    "SET_FUNCTION_ATTRIBUTE": lambda code, arg: [("SET_FUNCTION_ATTRIBUTE", ATTRIBUTES[arg])],
    "CALL_FUNCTION_EX": lambda code, arg: [("CALL_EX", bool(arg & 1))],
    "CALL_INTRINSIC_1": _intrinsic,
    "CALL_INTRINSIC_2": _intrinsic_2,
    "LOAD_CLASSDEREF": lambda code, arg: [("LOAD_LOCALS", None), ("LOAD_FROM_DICT_OR_DEREF", arg)],
}


def _parts(code: CodeType, instr: Instruction) -> list[Part]:
    op, arg = instr.op, instr.arg
    if op in FIXED:
        return FIXED[op]
    if op in PLAIN:
        return [(op, None)]
    if op in COUNTED:
        return [(op, arg)]
    if op in NAMED:
        return [(op, code.co_names[arg])]
    if op in PAIRS:
        first, second = PAIRS[op]
        return [(first, arg >> 4), (second, arg & 15)]
    make = WITH_ARG.get(op)
    return [("UNKNOWN", op)] if make is None else make(code, arg)


def _call_parts(code: CodeType, instrs: list[Instruction], k: int) -> list[Part]:
    """CALL and CALL_KW with the names of the keywords, which an earlier instruction gives."""
    arg, names = instrs[k].arg, ()
    if VERSION < (3, 13):
        named = next((i for i in unit_of(instrs, k) if i.op == "KW_NAMES"), None)
        names = code.co_consts[named.arg] if named else ()
    elif instrs[k].op == "CALL_KW":
        if instrs[k - 1].op != "LOAD_CONST":
            return [("UNKNOWN", "CALL_KW")]
        names = code.co_consts[instrs[k - 1].arg]
    return [("CALL", CallShape(arg - len(names), names))]


def unit_of(instrs: list[Instruction], k: int) -> list[Instruction]:
    """The instructions that instruction number `k` cannot be parted from, itself included."""
    first = last = k
    while first > 0 and instrs[first - 1].op in GLUED:
        first -= 1
    while instrs[last].op in GLUED:
        last += 1
    return instrs[first : last + 1]


def landing(instrs: list[Instruction], index: dict[Instruction, int], instr: Instruction) -> Instruction:
    """Where the jump of `instr` goes on, past what the instruction itself does at its target."""
    assert instr.target is not None
    skip = len(AFTER_LOOP) if instr.op == "FOR_ITER" else int(instr.op == "SEND" and VERSION >= (3, 12))
    return instrs[index[instr.target] + skip]


@by_code
def normalised(code: CodeType) -> Program:
    """The steps of `code`. Shared: never edit them."""
    instrs = decode(code)
    index = {instr: k for k, instr in enumerate(instrs)}
    program = Program()
    jumps: list[tuple[Step, Instruction]] = []
    started = False
    for k, instr in enumerate(instrs):
        program.at[instr.offset] = len(program.steps)
        begins = started and not (k > 0 and instrs[k - 1].op in GLUED)
        started |= instr.op == "RESUME"
        parts = _call_parts(code, instrs, k) if instr.op in ("CALL", "CALL_KW") else _parts(code, instr)
        for op, arg in parts:
            step = Step(op, arg, instr, begins)
            begins = False
            program.steps.append(step)
            if instr.target is not None and (op == "JUMP" or op.startswith("POP_JUMP") or op in ("FOR_ITER", "SEND")):
                jumps.append((step, landing(instrs, index, instr)))
    for step, to in jumps:
        step.target, step.backward = program.at[to.offset], to.offset <= step.instr.offset
    return program


def call_operands(stack: list[Any], shape: CallShape) -> tuple[Any, list[Any]]:
    """Pop a CALL's operands: (callable, arguments, a method's self first). `NULL` must lie on the stack as itself."""
    if VERSION >= (3, 13) and shape.names:
        stack.pop()
    first = len(stack) - shape.positional - len(shape.names)
    low, high = stack[first - 2 : first]
    args = stack[first:]
    del stack[first - 2 :]
    if NULL_ABOVE:
        return (low, args) if high is NULL else (low, [high, *args])
    return (high, args) if low is NULL else (low, [high, *args])


def call_ex_operands(stack: list[Any], has_kwargs: bool) -> tuple[Any, Any, Any]:
    """Pop a CALL_EX's operands: (callable, the tuple of arguments, the dict of keywords or None)."""
    kwargs = stack.pop() if has_kwargs else None
    args = stack.pop()
    high, low = stack.pop(), stack.pop()
    return (low if NULL_ABOVE else high), args, kwargs
